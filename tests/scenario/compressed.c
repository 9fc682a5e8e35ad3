/* Batches that inflate to far more than was sent: checked aside, in order, within bounds, and nobody else waits for them. */
#include <criterion/criterion.h>

#include "storage/batch.h"
#include "storage/compress.h"
#include "tests/lib/requests.h"

#define MANY_BYTES ((size_t)8 << 20)

static BrokerFixture broker;
static TestClient client, other;

static void start(void) {
        broker = BROKER_FIXTURE_INIT;
        fixture_start(&broker, NULL);
        client = client_connect(&broker);
        other = client_connect(&broker);
}

static void stop(void) {
        client_close(&client);
        client_close(&other);
        fixture_remove(&broker);
}

TestSuite(compressed, .init = start, .fini = stop, .timeout = 60);

/* One record of so many zeros. */
static Buffer zeros(size_t size, int codec) {
        BatchBuilder builder;
        char *value = calloc(1, size);
        batch_builder_init(&builder, 0, -1, -1, -1);
        batch_builder_add(&builder, 1700000000000, STR("key"), (Str){ value, size }, NULL, 0);
        cr_assert_eq(batch_builder_finish(&builder, codec), 0);
        free(value);
        return builder.out;
}

static Str str_of_bytes(const Buffer *bytes) {
        return (Str){ (char *)bytes->data, bytes->size };
}

static void send_produce(const char *name, const Buffer *batch) {
        ProduceRequestPartitionData partition = ProduceRequestPartitionData_INIT;
        partition.records.bytes = str_of_bytes(batch);
        ProduceRequestTopicData topic = ProduceRequestTopicData_INIT;
        topic.name = str_of(name);
        topic.partition_data = &partition;
        topic.partition_data_count = 1;
        ProduceRequest request = ProduceRequest_INIT;
        request.acks = -1;
        request.timeout_ms = 1000;
        request.topic_data = &topic;
        request.topic_data_count = 1;
        client_send(&client, &ProduceRequest_message, 9, &request);
}

static ProduceResponsePartitionResponse receive_produce(int32_t correlation_id) {
        ProduceResponse response;
        client_receive(&client, &ProduceResponse_message, 9, correlation_id, &response);
        return response.responses[0].partition_responses[0];
}

static int16_t create(const char *name, const char *key, const char *value) {
        return request_create(&client, name, 1, 1, key, value).error_code;
}

/* The codec and the records' bytes of the batch at offset 0. */
static int stored_codec(const char *name, size_t *ret_inflated) {
        FetchResponsePartition row = request_fetch(&client, 11, name, UUID_ZERO, 0);
        Str bytes = row.records.bytes;
        BatchHeader header;
        BatchReader reader;
        cr_assert_eq(row.error_code, 0);
        cr_assert_eq(batch_read_header((const uint8_t *)bytes.data, bytes.len, &header), 0);
        cr_assert(batch_check_crc((const uint8_t *)bytes.data, &header));
        cr_assert_eq(batch_reader_init(&reader, (const uint8_t *)bytes.data, &header, 2 * MANY_BYTES), 0);
        *ret_inflated = (size_t)(reader.end - reader.at);
        batch_reader_deinit(&reader);
        return batch_compression(&header);
}

Test(compressed, long_check_keeps_the_order_of_a_connection) {
        cr_assert_eq(create("order", NULL, NULL), 0);
        Buffer big = zeros(MANY_BYTES, CODEC_GZIP), small = make_batch(2, true);
        for (int i = 0; i < 3; i++) {
                send_produce("order", &big);
                send_produce("order", &small);
        }
        int32_t first = client.correlation_id - 5;
        for (int i = 0; i < 6; i++) {
                ProduceResponsePartitionResponse row = receive_produce(first + i);
                cr_expect_eq(row.error_code, 0);
                cr_expect_eq(row.base_offset, i / 2 * 3 + i % 2);
        }
        size_t inflated;
        cr_expect_eq(stored_codec("order", &inflated), CODEC_GZIP);
        cr_expect_gt(inflated, MANY_BYTES);
        buffer_deinit(&big);
        buffer_deinit(&small);
}

Test(compressed, what_inflates_beyond_measure_is_refused) {
        cr_assert_eq(create("bomb", NULL, NULL), 0);
        Buffer bomb = zeros((size_t)300 << 20, CODEC_ZSTD);
        cr_assert_lt(bomb.size, 1 << 20);
        send_produce("bomb", &bomb);
        cr_expect_eq(request_append(&other, "bomb", 1), 0, "others are served meanwhile");
        cr_expect_neq(receive_produce(client.correlation_id).error_code, 0);
        cr_expect_eq(request_append(&client, "bomb", 1), 1);
        buffer_deinit(&bomb);
}

Test(compressed, topic_with_a_codec_takes_big_batches_aside) {
        cr_assert_eq(create("recompressed", "compression.type", "zstd"), 0);
        Buffer plain = zeros(500000, CODEC_NONE), gzipped = zeros(MANY_BYTES, CODEC_GZIP);
        send_produce("recompressed", &gzipped);
        send_produce("recompressed", &plain);
        cr_expect_eq(receive_produce(client.correlation_id - 1).base_offset, 0);
        cr_expect_eq(receive_produce(client.correlation_id).base_offset, 1);
        size_t inflated;
        cr_expect_eq(stored_codec("recompressed", &inflated), CODEC_ZSTD);
        cr_expect_gt(inflated, MANY_BYTES);
        buffer_deinit(&plain);
        buffer_deinit(&gzipped);
}

Test(compressed, client_that_leaves_during_a_check_harms_nobody) {
        cr_assert_eq(create("left", NULL, NULL), 0);
        Buffer big = zeros(4 * MANY_BYTES, CODEC_GZIP);
        for (int i = 0; i < 8; i++) {
                TestClient staying = client;
                client = client_connect(&broker);
                send_produce("left", &big);
                client_close(&client);
                client = staying;
                request_append(&other, "left", 1);
        }
        buffer_deinit(&big);
}

Test(compressed, bytes_that_do_not_inflate_are_refused) {
        cr_assert_eq(create("torn", NULL, NULL), 0);
        Buffer big = zeros(MANY_BYTES, CODEC_ZSTD);
        BatchHeader header;
        big.data[big.size - 4] ^= 0xff;
        batch_read_header(big.data, big.size, &header);
        batch_set_max_timestamp(big.data, header.max_timestamp); /* makes the CRC right again */
        send_produce("torn", &big);
        cr_expect_neq(receive_produce(client.correlation_id).error_code, 0);
        cr_expect_eq(request_append(&client, "torn", 1), 0);
        buffer_deinit(&big);
}
