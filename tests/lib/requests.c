/* Requests with one topic and one partition, mostly. */
#include "tests/lib/requests.h"

#include <criterion/criterion.h>

#include "storage/batch.h"

#define CREATE_VERSION 7

static void send_creation(TestClient *client, const char *name, int32_t partitions, int16_t replication_factor, const char *key,
                          const char *value) {
        CreateTopicsRequestConfig config = CreateTopicsRequestConfig_INIT;
        config.name = str_of(key);
        config.value = str_of(value);
        CreateTopicsRequestTopic topic = CreateTopicsRequestTopic_INIT;
        topic.name = str_of(name);
        topic.num_partitions = partitions;
        topic.replication_factor = replication_factor;
        topic.configs = &config;
        topic.configs_count = key ? 1 : 0;
        CreateTopicsRequest request = CreateTopicsRequest_INIT;
        request.topics = &topic;
        request.topics_count = 1;
        client_send(client, &CreateTopicsRequest_message, CREATE_VERSION, &request);
}

void request_create_send(TestClient *client, const char *name) {
        send_creation(client, name, 1, 1, NULL, NULL);
}

CreateTopicsResponseTopic request_create_receive(TestClient *client) {
        CreateTopicsResponse response;
        client_receive(client, &CreateTopicsResponse_message, CREATE_VERSION, client->correlation_id, &response);
        cr_assert_eq(response.topics_count, 1);
        return response.topics[0];
}

CreateTopicsResponseTopic request_create(TestClient *client, const char *name, int32_t partitions, int16_t replication_factor,
                                         const char *key, const char *value) {
        send_creation(client, name, partitions, replication_factor, key, value);
        return request_create_receive(client);
}

int16_t request_delete(TestClient *client, const char *name) {
        Str names[] = { str_of(name) };
        DeleteTopicsRequest request = DeleteTopicsRequest_INIT;
        request.timeout_ms = 9000;
        request.topic_names = names;
        request.topic_names_count = 1;
        DeleteTopicsResponse response;
        CLIENT_CALL(client, DeleteTopics, 5, &request, &response);
        cr_assert_eq(response.responses_count, 1);
        return response.responses[0].error_code;
}

MetadataResponseTopic request_metadata(TestClient *client, int16_t version, const char *name) {
        MetadataRequestTopic topic = MetadataRequestTopic_INIT;
        topic.name = str_of(name);
        MetadataRequest request = MetadataRequest_INIT;
        request.topics = &topic;
        request.topics_count = 1;
        request.allow_auto_topic_creation = version < 4;
        MetadataResponse response;
        CLIENT_CALL(client, Metadata, version, &request, &response);
        cr_assert_eq(response.topics_count, 1);
        return response.topics[0];
}

Buffer make_batch(int count, bool with_keys) {
        BatchBuilder builder;
        batch_builder_init(&builder, 0, -1, -1, -1);
        for (int i = 0; i < count; i++)
                batch_builder_add(&builder, 1700000000000 + i, with_keys ? STR("key") : STR_NULL, STR("value"), NULL, 0);
        cr_assert_eq(batch_builder_finish(&builder, 0), 0);
        Buffer bytes = builder.out;
        builder.out = BUFFER_INIT;
        batch_builder_deinit(&builder);
        return bytes;
}

/* The only row of a Produce. */
static ProduceRequestTopicData produce_row(const char *name, Uuid id, Str records, ProduceRequestPartitionData *partition) {
        *partition = ProduceRequestPartitionData_INIT;
        partition->records.bytes = records;
        ProduceRequestTopicData topic = ProduceRequestTopicData_INIT;
        topic.name = str_of(name);
        topic.topic_id = id;
        topic.partition_data = partition;
        topic.partition_data_count = 1;
        return topic;
}

static ProduceRequest produce_of(ProduceRequestTopicData *topic) {
        ProduceRequest request = ProduceRequest_INIT;
        request.acks = -1;
        request.timeout_ms = 1000;
        request.topic_data = topic;
        request.topic_data_count = 1;
        return request;
}

static ProduceResponsePartitionResponse produced(const ProduceResponse *response) {
        cr_assert_eq(response->responses_count, 1);
        cr_assert_eq(response->responses[0].partition_responses_count, 1);
        return response->responses[0].partition_responses[0];
}

ProduceResponsePartitionResponse request_produce(TestClient *client, int16_t version, const char *name, Uuid id, Str records) {
        ProduceRequestPartitionData partition;
        ProduceRequestTopicData topic = produce_row(name, id, records, &partition);
        ProduceRequest request = produce_of(&topic);
        ProduceResponse response;
        CLIENT_CALL(client, Produce, version, &request, &response);
        return produced(&response);
}

Buffer request_produce_frame(int16_t version, const char *name, Uuid id, Str records, int32_t correlation_id) {
        ProduceRequestPartitionData partition;
        ProduceRequestTopicData topic = produce_row(name, id, records, &partition);
        ProduceRequest request = produce_of(&topic);
        return client_frame(&ProduceRequest_message, version, correlation_id, &request);
}

ProduceResponsePartitionResponse request_produce_receive(TestClient *client, int16_t version, int32_t correlation_id) {
        ProduceResponse response;
        client_receive(client, &ProduceResponse_message, version, correlation_id, &response);
        return produced(&response);
}

int64_t request_append(TestClient *client, const char *name, int count) {
        Buffer batch = make_batch(count, true);
        ProduceResponsePartitionResponse row =
                request_produce(client, 9, name, UUID_ZERO, (Str){ (char *)batch.data, batch.size });
        buffer_deinit(&batch);
        cr_assert_eq(row.error_code, 0, "%s: %d", name, row.error_code);
        return row.base_offset;
}

void request_fetch_send(TestClient *client, int16_t version, const char *name, Uuid id, int64_t offset, int32_t wait_ms,
                        int32_t bytes_min) {
        FetchRequestPartition partition = FetchRequestPartition_INIT;
        partition.fetch_offset = offset;
        partition.partition_max_bytes = 1 << 20;
        FetchRequestTopic topic = FetchRequestTopic_INIT;
        topic.topic = str_of(name);
        topic.topic_id = id;
        topic.partitions = &partition;
        topic.partitions_count = 1;
        FetchRequest request = FetchRequest_INIT;
        request.max_wait_ms = wait_ms;
        request.min_bytes = bytes_min;
        request.topics = &topic;
        request.topics_count = 1;
        client_send(client, &FetchRequest_message, version, &request);
}

FetchResponsePartition request_fetch_receive(TestClient *client, int16_t version) {
        FetchResponse response;
        client_receive(client, &FetchResponse_message, version, client->correlation_id, &response);
        cr_assert(response.error_code == 0 && response.responses_count == 1);
        cr_assert_eq(response.responses[0].partitions_count, 1);
        return response.responses[0].partitions[0];
}

FetchResponsePartition request_fetch(TestClient *client, int16_t version, const char *name, Uuid id, int64_t offset) {
        request_fetch_send(client, version, name, id, offset, 0, 1);
        return request_fetch_receive(client, version);
}
