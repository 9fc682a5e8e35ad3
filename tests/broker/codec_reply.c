/* The rest of the codec: pieces of files in a reply, request headers, and Apache Kafka's own bytes. */
#include "broker/protocol/codec.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/protocol/messages.h"
#include "storage/base/error.h"

static int releases;

static void count_release(void *owner) {
        (void)owner;
        releases++;
}

/* A Fetch response with one partition. */
static void encode_fetch(Reply *reply, Records records) {
        FetchResponsePartition partition = FetchResponsePartition_INIT;
        partition.records = records;
        FetchResponseResponse topic = FetchResponseResponse_INIT;
        topic.partitions = &partition;
        topic.partitions_count = 1;
        FetchResponse response = FetchResponse_INIT;
        response.responses = &topic;
        response.responses_count = 1;
        cr_assert_eq(codec_encode(&FetchResponse_message, 12, &response, reply), 0);
}

Test(codec_reply, a_file_span_counts_but_is_not_copied) {
        Reply with = REPLY_INIT, without = REPLY_INIT;
        releases = 0;
        encode_fetch(&with, (Records){ .span = { .fd = 9, .size = 100, .release = count_release } });
        encode_fetch(&without, RECORDS_INIT);
        cr_assert_eq(with.span_count, 1);
        cr_assert_eq(with.spans[0].span.fd, 9);
        cr_assert_eq(with.bytes.size, without.bytes.size); /* lengths 101 and 0 (null) take a byte each */
        cr_assert_eq(reply_size(&with), with.bytes.size + 100);
        cr_assert_eq(with.bytes.data[with.spans[0].at - 1], 101);
        cr_assert_eq(releases, 0);
        reply_deinit(&with);
        cr_assert_eq(releases, 1);
        reply_deinit(&without);
}

Test(codec_reply, an_empty_span_is_empty_records_and_released_at_once) {
        Reply reply = REPLY_INIT, empty = REPLY_INIT;
        releases = 0;
        encode_fetch(&reply, (Records){ .span = { .fd = 9, .size = 0, .release = count_release } });
        encode_fetch(&empty, (Records){ .bytes = STR(""), .span = FILE_SPAN_INIT });
        cr_assert_eq(releases, 1);
        cr_assert_eq(reply.span_count, 0);
        cr_assert_eq(reply.bytes.size, empty.bytes.size);
        cr_assert(memcmp(reply.bytes.data, empty.bytes.data, empty.bytes.size) == 0);
        reply_deinit(&reply);
        reply_deinit(&empty);
}

static void check_header(const RequestHeader *header, bool flexible) {
        Buffer bytes = BUFFER_INIT;
        codec_encode_request_header(header, flexible, &bytes);
        for (size_t size = 0; size <= bytes.size; size++) {
                char *copy = malloc(size ? size : 1);
                memcpy(copy, bytes.data, size);
                RequestHeader read;
                size_t used;
                int r = codec_decode_request_header((Str){ .data = copy, .len = size }, flexible, &read, &used);
                cr_assert_eq(r, size < bytes.size ? KAFKA_INVALID_REQUEST : 0);
                if (r == 0) {
                        cr_assert_eq(used, bytes.size);
                        cr_assert_eq(read.api_key, header->api_key);
                        cr_assert_eq(read.api_version, header->api_version);
                        cr_assert_eq(read.correlation_id, header->correlation_id);
                        cr_assert(str_equal(read.client_id, header->client_id));
                        cr_assert_eq(str_is_null(read.client_id), str_is_null(header->client_id));
                }
                free(copy);
        }
        buffer_deinit(&bytes);
}

Test(codec_reply, request_headers_round_trip_and_refuse_every_cut) {
        Str ids[] = { STR("a client"), STR(""), STR_NULL };
        for (size_t i = 0; i < 3; i++)
                for (int flexible = 0; flexible < 2; flexible++)
                        check_header(&(RequestHeader){ 18, 4, -7, ids[i] }, flexible);
}

static size_t unhex(const char *hex, uint8_t *to) {
        size_t size = 0;
        unsigned byte;
        for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
                to[size++] = (uint8_t)byte;
        return size;
}

static const MessageSchema *message_named(const char *name) {
        for (const MessageSchema *const *m = all_messages; *m; m++)
                if (strcmp((*m)->name, name) == 0)
                        return *m;
        cr_assert_fail("no message %s", name);
        return NULL;
}

static void check_golden(const MessageSchema *message, int16_t version, const uint8_t *bytes, size_t size) {
        Arena arena = ARENA_INIT(0);
        Reply again = REPLY_INIT;
        void *value = arena_alloc(&arena, message->body->size);
        size_t used;
        int r = codec_decode(message, version, (Str){ .data = (const char *)bytes, .len = size }, &arena, value, &used);
        cr_assert_eq(r, 0, "%s v%d: %d", message->name, version, r);
        cr_assert_eq(used, size, "%s v%d", message->name, version);
        cr_assert_eq(codec_encode(message, version, value, &again), 0);
        cr_assert_eq(again.bytes.size, size, "%s v%d", message->name, version);
        cr_assert(size == 0 || memcmp(again.bytes.data, bytes, size) == 0, "%s v%d", message->name, version);
        reply_deinit(&again);
        arena_deinit(&arena);
}

Test(codec_reply, bytes_that_apache_kafka_wrote_are_read_and_written_back) {
        FILE *file = fopen("tests/golden/messages", "r");
        cr_assert(file, "run from the project's root");
        static char line[65536];
        static uint8_t bytes[sizeof(line) / 2];
        size_t count = 0, expected = 0;
        while (fgets(line, sizeof(line), file)) {
                char name[64];
                int version, at = 0;
                cr_assert_eq(sscanf(line, "%63s %d %n", name, &version, &at), 2);
                check_golden(message_named(name), (int16_t)version, bytes, unhex(line + at, bytes));
                count++;
        }
        fclose(file);
        for (const MessageSchema *const *m = all_messages; *m; m++)
                expected += 2 * (size_t)((*m)->version_max - (*m)->version_min + 1);
        cr_assert_eq(count, expected, "generate tests/golden/messages anew");
}
