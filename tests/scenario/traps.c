/* What test_traps.py leaves out: every version, topics that come back, answers to errors. */
#include <criterion/criterion.h>

#include "broker/api/api.h"
#include "storage/base/endian.h"
#include "tests/lib/requests.h"

static BrokerFixture broker;
static TestClient client;

static void start(void) {
        broker = BROKER_FIXTURE_INIT;
        fixture_start(&broker, (const char *[]){ "--override", "group.initial.rebalance.delay.ms=0", NULL });
        client = client_connect(&broker);
        cr_assert_eq(request_create(&client, "t", 1, 1, NULL, NULL).error_code, 0);
}

static void stop(void) {
        client_close(&client);
        fixture_remove(&broker);
}

TestSuite(traps, .init = start, .fini = stop, .timeout = 60);

/* A request without a body, of any API and version. */
static void send_header(TestClient *to, int16_t key, int16_t version) {
        uint8_t frame[4 + 10] = { 0 };
        store_be32(frame, sizeof(frame) - 4);
        store_be16(frame + 4, (uint16_t)key);
        store_be16(frame + 6, (uint16_t)version);
        store_be32(frame + 8, (uint32_t)++to->correlation_id);
        client_send_bytes(to, frame, sizeof(frame));
}

/* What is served is listed, so clients ask for nothing else; one that does all the same loses its connection. */
Test(traps, what_is_not_listed_closes_the_connection) {
        ApiVersionsRequest request = ApiVersionsRequest_INIT;
        ApiVersionsResponse listed;
        CLIENT_CALL(&client, ApiVersions, 0, &request, &listed);
        cr_assert_leq(listed.api_keys_count, (int32_t)api_count);
        for (int16_t key = -2; key < 100; key++) {
                const Api *api = api_find(key);
                if (api && api->request == &ApiVersionsRequest_message)
                        continue; /* answers every version */
                const int16_t versions[] = { api ? api->request->version_min - 1 : 0, api ? api->request->version_max + 1 : 1 };
                for (int i = 0; i < 2; i++) {
                        TestClient other = client_connect(&broker);
                        send_header(&other, key, versions[i]);
                        cr_expect(client_is_closed(&other), "key %d v%d", key, versions[i]);
                        client_close(&other);
                }
        }
}

Test(traps, every_unknown_version_of_api_versions_is_answered_in_v0) {
        static const int16_t unknown[] = { 5, 6, 999, INT16_MAX, -1, INT16_MIN };
        for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
                send_header(&client, 18, unknown[i]);
                ApiVersionsResponse response;
                client_receive(&client, &ApiVersionsResponse_message, 0, client.correlation_id, &response);
                cr_assert(response.error_code == KAFKA_UNSUPPORTED_VERSION && response.api_keys_count == 1);
                cr_expect(response.api_keys[0].api_key == 18 && response.api_keys[0].max_version == 4);
        }
}

Test(traps, a_recreated_topic_has_another_id) {
        Uuid first = request_metadata(&client, 12, "t").topic_id;
        cr_assert_eq(request_append(&client, "t", 1), 0);
        cr_assert_eq(request_delete(&client, "t"), 0);
        Uuid second = request_create(&client, "t", 1, 1, NULL, NULL).topic_id;
        cr_expect(!uuid_equal(&first, &second));
        cr_expect_eq(request_fetch(&client, 13, NULL, first, 0).error_code, KAFKA_UNKNOWN_TOPIC_ID);
        cr_expect_eq(request_append(&client, "t", 1), 0);
}

Test(traps, a_fetch_without_records_is_empty_and_not_null) {
        Uuid id = request_metadata(&client, 12, "t").topic_id;
        for (int16_t version = 4; version <= 18; version++) {
                FetchResponsePartition row = request_fetch(&client, version, "t", id, 0);
                cr_expect_eq(row.error_code, 0);
                cr_expect(!str_is_null(row.records.bytes) && row.records.bytes.len == 0, "v%d", version);
                row = request_fetch(&client, version, "t", id, 99);
                cr_expect_eq(row.error_code, KAFKA_OFFSET_OUT_OF_RANGE);
                cr_expect(!str_is_null(row.records.bytes) && row.records.bytes.len == 0, "v%d", version);
                row = request_fetch(&client, version, "nowhere", UUID_ZERO, 0);
                cr_expect_neq(row.error_code, 0);
                cr_expect(!str_is_null(row.records.bytes) && row.records.bytes.len == 0, "v%d", version);
        }
}

Test(traps, a_fetch_inside_a_batch_returns_the_whole_batch) {
        cr_assert_eq(request_append(&client, "t", 5), 0);
        cr_assert_eq(request_append(&client, "t", 5), 5);
        Str whole = request_fetch(&client, 12, "t", UUID_ZERO, 0).records.bytes;
        for (int64_t offset = 5; offset < 10; offset++) {
                Str records = request_fetch(&client, 12, "t", UUID_ZERO, offset).records.bytes;
                cr_assert(records.len > 0 && records.len < whole.len);
                cr_expect(str_equal(records, (Str){ whole.data + whole.len - records.len, records.len }), "from %lld",
                          (long long)offset);
        }
}

/* The wait is longer than any test may take: an answer that came only then would fail. */
Test(traps, a_long_poll_is_answered_as_soon_as_min_bytes_are_there) {
        TestClient writer = client_connect(&broker);
        request_fetch_send(&client, 12, "t", UUID_ZERO, 0, 3600 * 1000, 150);
        cr_expect(client_is_silent(&client, 20));
        cr_assert_eq(request_append(&writer, "t", 1), 0);
        cr_expect(client_is_silent(&client, 20), "one batch is less than 150 bytes");
        cr_assert_eq(request_append(&writer, "t", 1), 1);
        FetchResponsePartition row = request_fetch_receive(&client, 12);
        cr_expect_geq(row.records.bytes.len, 150);
        cr_expect_eq(row.high_watermark, 2);
        client_close(&writer);
}

typedef struct Wanted {
        int32_t partition;
        int64_t timestamp;
} Wanted;

static ListOffsetsResponseTopic list_offsets(int16_t version, const Wanted *wanted, int32_t count) {
        ListOffsetsRequestPartition partitions[4];
        for (int32_t i = 0; i < count; i++) {
                partitions[i] = ListOffsetsRequestPartition_INIT;
                partitions[i].partition_index = wanted[i].partition;
                partitions[i].timestamp = wanted[i].timestamp;
        }
        ListOffsetsRequestTopic topic = ListOffsetsRequestTopic_INIT;
        topic.name = STR("t");
        topic.partitions = partitions;
        topic.partitions_count = count;
        ListOffsetsRequest request = ListOffsetsRequest_INIT;
        request.replica_id = -1;
        request.topics = &topic;
        request.topics_count = 1;
        ListOffsetsResponse response;
        CLIENT_CALL(&client, ListOffsets, version, &request, &response);
        cr_assert_eq(response.topics_count, 1);
        return response.topics[0];
}

static ListOffsetsResponsePartition list_one(int16_t version, int64_t timestamp) {
        ListOffsetsResponseTopic topic = list_offsets(version, &(Wanted){ 0, timestamp }, 1);
        cr_assert_eq(topic.partitions_count, 1);
        return topic.partitions[0];
}

Test(traps, a_partition_listed_twice_is_an_invalid_request) {
        for (int16_t version = 1; version <= 11; version++) {
                ListOffsetsResponseTopic topic = list_offsets(version, (Wanted[]){ { 0, -1 }, { 1, -1 }, { 0, -2 } }, 3);
                cr_assert_eq(topic.partitions_count, 2);
                for (int32_t i = 0; i < 2; i++)
                        cr_expect_eq(topic.partitions[i].error_code, topic.partitions[i].partition_index == 0
                                             ? KAFKA_INVALID_REQUEST : KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        }
}

Test(traps, special_timestamps_have_their_versions) {
        static const struct {
                int64_t timestamp;
                int16_t since;
        } special[] = { { -1, 1 }, { -2, 1 }, { -3, 7 }, { -4, 8 }, { -5, 9 }, { -6, 11 }, { -7, 12 }, { INT64_MIN, 12 } };
        for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
                for (int16_t version = 1; version <= 11; version++)
                        cr_expect_eq(list_one(version, special[i].timestamp).error_code,
                                     version < special[i].since ? KAFKA_UNSUPPORTED_VERSION : 0, "%lld in v%d",
                                     (long long)special[i].timestamp, version);
}

/* A consumer drops an offset without an epoch, or asks for its end for ever. */
Test(traps, listed_offsets_carry_the_epoch) {
        static const int64_t timestamps[] = { -1, -2, -3, -4, 0, 1700000000001 };
        for (size_t i = 0; i < 2; i++)
                cr_expect_eq(list_one(11, timestamps[i]).leader_epoch, 0, "of an empty partition");
        cr_assert_eq(request_append(&client, "t", 3), 0);
        for (size_t i = 0; i < sizeof(timestamps) / sizeof(timestamps[0]); i++) {
                ListOffsetsResponsePartition row = list_one(11, timestamps[i]);
                cr_expect(row.error_code == 0 && row.offset >= 0, "%lld", (long long)timestamps[i]);
                cr_expect_eq(row.leader_epoch, 0, "%lld: %d", (long long)timestamps[i], row.leader_epoch);
        }
        ListOffsetsResponsePartition none = list_one(11, INT64_MAX);
        cr_expect(none.error_code == 0 && none.offset == -1 && none.timestamp == -1, "there is no such record");
}

static OffsetFetchResponseTopicPartition fetch_offset(const char *group) {
        int32_t index = 0;
        OffsetFetchRequestGroupTopic topic = OffsetFetchRequestGroupTopic_INIT;
        topic.name = STR("t");
        topic.partition_indexes = &index;
        topic.partition_indexes_count = 1;
        OffsetFetchRequestGroup row = OffsetFetchRequestGroup_INIT;
        row.group_id = str_of(group);
        row.topics = &topic;
        row.topics_count = 1;
        OffsetFetchRequest request = OffsetFetchRequest_INIT;
        request.groups = &row;
        request.groups_count = 1;
        OffsetFetchResponse response;
        CLIENT_CALL(&client, OffsetFetch, 9, &request, &response);
        cr_assert_eq(response.groups[0].error_code, 0);
        return response.groups[0].topics[0].partitions[0];
}

static int16_t commit(int16_t version, const char *group, int32_t generation, const char *metadata) {
        OffsetCommitRequestPartition partition = OffsetCommitRequestPartition_INIT;
        partition.committed_offset = 42;
        partition.committed_metadata = str_of(metadata);
        OffsetCommitRequestTopic topic = OffsetCommitRequestTopic_INIT;
        topic.name = STR("t");
        topic.topic_id = request_metadata(&client, 12, "t").topic_id;
        topic.partitions = &partition;
        topic.partitions_count = 1;
        OffsetCommitRequest request = OffsetCommitRequest_INIT;
        request.group_id = str_of(group);
        request.generation_id_or_member_epoch = generation;
        request.topics = &topic;
        request.topics_count = 1;
        OffsetCommitResponse response;
        CLIENT_CALL(&client, OffsetCommit, version, &request, &response);
        cr_assert_eq(response.topics[0].partitions_count, 1);
        return response.topics[0].partitions[0].error_code;
}

Test(traps, a_commit_without_generation_makes_a_simple_group) {
        char group[16];
        for (int16_t version = 1; version <= 10; version++) {
                snprintf(group, sizeof(group), "simple-%d", version);
                cr_assert_eq(commit(version, group, -1, "what I \xc3\xbc wrote"), 0, "v%d", version);
                OffsetFetchResponseTopicPartition row = fetch_offset(group);
                cr_expect_eq(row.committed_offset, 42);
                cr_expect(str_equal(row.metadata, STR("what I \xc3\xbc wrote")), "%.*s", STR_ARG(row.metadata));
        }
        client_close(&client);
        cr_assert_eq(fixture_stop(&broker), BROKER_EXIT_CLEAN);
        fixture_start(&broker, NULL);
        client = client_connect(&broker);
        cr_expect(str_equal(fetch_offset("simple-3").metadata, STR("what I \xc3\xbc wrote")));
}

Test(traps, a_commit_with_a_generation_needs_the_group) {
        for (int16_t version = 1; version <= 10; version++)
                cr_expect_eq(commit(version, "nobody", 1, ""), version >= 9 ? KAFKA_GROUP_ID_NOT_FOUND : KAFKA_ILLEGAL_GENERATION,
                             "v%d", version);
}
