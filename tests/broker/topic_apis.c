/* The APIs about topics answer as a one-node Kafka does. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/api/api.h"
#include "broker/state/groups/groups.h"
#include "storage/base/trace.h"
#include "tests/lib/ask.h"

#include "tests/lib/state_fixture.h"

static StateFixture fixture;

static void setup(void) {
        state_fixture_start(&fixture);
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(topic_apis, .init = setup, .fini = teardown);

static CreateTopicsResponseTopic *create_one(CreateTopicsRequestTopic topic, bool validate_only) {
        CreateTopicsResponse *answer = ASK(fixture.state, CreateTopics, create_topics, 7, .timeout_ms = 1000, .topics = &topic, .topics_count = 1,
                                           .validate_only = validate_only);
        cr_assert_eq(answer->topics_count, 1);
        return answer->topics;
}

static void assert_refused(CreateTopicsRequestTopic topic, int16_t code, const char *message) {
        CreateTopicsResponseTopic *row = create_one(topic, false);
        cr_assert_eq(row->error_code, code);
        cr_assert(str_equal(row->error_message, str_of(message)), "%.*s", STR_ARG(row->error_message));
        cr_assert_null(topic_find(fixture.state, topic.name));
}

#define TOPIC(text, partitions, factor) \
        { .name = { (text), sizeof(text) - 1 }, .num_partitions = (partitions), .replication_factor = (factor) }

Test(topic_apis, create_answers_with_what_the_topic_is) {
        CreateTopicsRequestConfig row = { STR("retention.ms"), STR("5") };
        CreateTopicsRequestTopic want = TOPIC("a", 3, 1);
        want.configs = &row;
        want.configs_count = 1;
        CreateTopicsResponseTopic *topic = create_one(want, false);
        cr_assert(topic->error_code == 0 && str_is_null(topic->error_message));
        cr_assert(topic->num_partitions == 3 && topic->replication_factor == 1);
        cr_assert(uuid_equal(&topic->topic_id, &topic_find(fixture.state, STR("a"))->id));
        cr_assert_eq(topic->configs_count, (int32_t)topic_config_key_count);
        bool found = false;
        for (int32_t i = 0; i < topic->configs_count; i++)
                if (str_equal(topic->configs[i].name, STR("retention.ms")))
                        found = str_equal(topic->configs[i].value, STR("5")) && topic->configs[i].config_source == CONFIG_SOURCE_TOPIC;
        cr_assert(found);
}

Test(topic_apis, create_can_only_validate) {
        CreateTopicsRequestTopic want = TOPIC("a", -1, -1);
        CreateTopicsResponseTopic *row = create_one(want, true);
        cr_assert(row->error_code == 0 && row->num_partitions == 1);
        cr_assert_null(topic_find(fixture.state, STR("a")));
}

Test(topic_apis, create_refuses_in_kafkas_words) {
        assert_refused((CreateTopicsRequestTopic)TOPIC("a", 1, 3), KAFKA_INVALID_REPLICATION_FACTOR,
                       "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because "
                       "only 1 broker(s) are registered or some brokers have all their log directories cordoned.");
        assert_refused((CreateTopicsRequestTopic)TOPIC("a", 1, 0), KAFKA_INVALID_REPLICATION_FACTOR,
                       "Replication factor must be larger than 0, or -1 to use the default value.");
        assert_refused((CreateTopicsRequestTopic)TOPIC("a", 0, 1), KAFKA_INVALID_PARTITIONS,
                       "Number of partitions was set to an invalid non-positive value.");
        assert_refused((CreateTopicsRequestTopic)TOPIC("..", 1, 1), KAFKA_INVALID_TOPIC_EXCEPTION,
                       "Topic name is invalid: '..' is not allowed");
        CreateTopicsRequestConfig unknown = { STR("no.such"), STR("1") }, null = { STR("retention.ms"), STR_NULL };
        CreateTopicsRequestTopic want = TOPIC("a", 1, 1);
        want.configs_count = 1;
        want.configs = &unknown;
        assert_refused(want, KAFKA_INVALID_CONFIG, "Unknown topic config name: no.such");
        want.configs = &null;
        assert_refused(want, KAFKA_INVALID_CONFIG, "Null value not supported for topic configs: retention.ms");
        want = (CreateTopicsRequestTopic)TOPIC("a", 20000, 1);
        assert_refused(want, KAFKA_POLICY_VIOLATION, "Excessively large number of partitions per request.");
}

Test(topic_apis, any_replication_factor_can_be_accepted) {
        fixture.config.any_replication_factor = true;
        CreateTopicsRequestTopic want = TOPIC("a", 1, 3);
        CreateTopicsResponseTopic *row = create_one(want, false);
        cr_assert(row->error_code == 0 && row->replication_factor == 1);
}

Test(topic_apis, create_takes_assignments_to_this_node_only) {
        int32_t here = fixture.state->node_id, there = here + 1;
        CreateTopicsRequestAssignment good[] = { { 1, &here, 1 }, { 0, &here, 1 } }, bad = { 0, &there, 1 };
        CreateTopicsRequestTopic want = TOPIC("a", -1, -1);
        want.assignments = &bad;
        want.assignments_count = 1;
        assert_refused(want, KAFKA_INVALID_REPLICA_ASSIGNMENT,
                       "The manual partition assignment includes broker 2, but no such broker is registered.");
        want.assignments = good;
        want.assignments_count = 2;
        cr_assert_eq(create_one(want, false)->num_partitions, 2);
}

Test(topic_apis, create_refuses_existing_and_doubled_names) {
        CreateTopicsRequestTopic want[] = { TOPIC("a", 1, 1), TOPIC("b", 1, 1), TOPIC("b", 1, 1) };
        CreateTopicsResponse *answer = ASK(fixture.state, CreateTopics, create_topics, 4, .timeout_ms = 1000, .topics = want, .topics_count = 3);
        cr_assert_eq(answer->topics_count, 2);
        cr_assert_eq(answer->topics[0].error_code, 0);
        cr_assert_eq(answer->topics[1].error_code, KAFKA_INVALID_REQUEST);
        CreateTopicsResponseTopic *row = create_one(want[0], false);
        cr_assert_eq(row->error_code, KAFKA_TOPIC_ALREADY_EXISTS);
        cr_assert(str_equal(row->error_message, STR("Topic 'a' already exists.")));
}

static void create(const char *name, int32_t partitions) {
        cr_assert_eq(topic_create(fixture.state, str_of(name), partitions, &CONFIG_MAP_INIT, NULL), 0);
}

/* As Kafka's controller has it: too late before it began. */
Test(topic_apis, nothing_happens_without_time) {
        CreateTopicsRequestTopic a = TOPIC("a", 1, 1), b = TOPIC("b", 1, 1);
        cr_assert_eq(create_one(a, false)->error_code, 0);
        CreatePartitionsRequestTopic more = { .name = STR("a"), .count = 2, .assignments_count = -1 };
        Str name = STR("a");
        for (int32_t timeout_ms = -1; timeout_ms <= 0; timeout_ms++) {
                CreateTopicsResponse *created = ASK(fixture.state, CreateTopics, create_topics, 7, .topics = &b, .topics_count = 1,
                                                    .timeout_ms = timeout_ms);
                cr_assert(created->topics_count == 1 && created->topics[0].error_code == KAFKA_REQUEST_TIMED_OUT);
                CreatePartitionsResponse *grown = ASK(fixture.state, CreatePartitions, create_partitions, 3, .topics = &more,
                                                      .topics_count = 1, .timeout_ms = timeout_ms);
                cr_assert(grown->results_count == 1 && grown->results[0].error_code == KAFKA_REQUEST_TIMED_OUT);
                DeleteTopicsResponse *deleted = ASK(fixture.state, DeleteTopics, delete_topics, 1, .topic_names = &name,
                                                    .topic_names_count = 1, .timeout_ms = timeout_ms);
                cr_assert(deleted->responses_count == 1 && deleted->responses[0].error_code == KAFKA_REQUEST_TIMED_OUT);
        }
        cr_assert(topic_find(fixture.state, STR("a")) && !topic_find(fixture.state, STR("b")));
        cr_assert_eq(topic_find(fixture.state, STR("a"))->partition_count, 1);
}

Test(topic_apis, there_are_no_more_partitions_than_allowed) {
        state_fixture_set(&fixture, "odradek.max.partitions", "4");
        CreateTopicsRequestTopic a = TOPIC("a", 3, 1), b = TOPIC("b", 2, 1);
        cr_assert_eq(create_one(a, false)->error_code, 0);
        for (int i = 0; i < 2; i++) {
                assert_refused(b, KAFKA_POLICY_VIOLATION, "There are as many partitions as odradek.max.partitions allows.");
                cr_assert_eq(create_one(b, true)->error_code, KAFKA_POLICY_VIOLATION);
                state_fixture_crash(&fixture);
                cr_assert_eq(fixture.state->partition_total, 3);
        }
        for (int32_t count = 4; count <= 5; count++) {
                CreatePartitionsRequestTopic row = { .name = STR("a"), .count = count, .assignments_count = -1 };
                CreatePartitionsResponse *answer = ASK(fixture.state, CreatePartitions, create_partitions, 3, .timeout_ms = 1000, .topics = &row,
                                                       .topics_count = 1);
                cr_assert_eq(answer->results[0].error_code, count == 4 ? 0 : KAFKA_POLICY_VIOLATION);
        }
        Topic *made;
        cr_assert_eq(topic_auto_create(fixture.state, STR("b"), &made), KAFKA_POLICY_VIOLATION);
        cr_assert_eq(topic_delete(fixture.state, topic_find(fixture.state, STR("a"))), 0);
        cr_assert_eq(fixture.state->partition_total, 0);
        cr_assert_eq(create_one(b, false)->error_code, 0);
}

Test(topic_apis, delete_by_name_and_by_id) {
        create("a", 1);
        create("b", 1);
        create("c", 1);
        DeleteTopicsRequestTopic want[] = { { .name = STR("a") },
                                            { .topic_id = topic_find(fixture.state, STR("b"))->id },
                                            { .name = STR("none") },
                                            { .topic_id = uuid_random() },
                                            { .name = STR("c") },
                                            { .name = STR("c") },
                                            { .name = STR_NULL } };
        DeleteTopicsResponse *answer = ASK(fixture.state, DeleteTopics, delete_topics, 6, .timeout_ms = 1000, .topics = want, .topics_count = 7);
        static const int16_t codes[] = { 0, 0, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, KAFKA_UNKNOWN_TOPIC_ID, KAFKA_INVALID_REQUEST,
                                         KAFKA_INVALID_REQUEST };
        cr_assert_eq(answer->responses_count, 6);
        for (int i = 0; i < 6; i++)
                cr_assert_eq(answer->responses[i].error_code, codes[i], "%d", i);
        cr_assert(str_equal(answer->responses[1].name, STR("b")));
        cr_assert_eq(fixture.state->topics.count, 1);
        Str name = STR("c");
        answer = ASK(fixture.state, DeleteTopics, delete_topics, 1, .timeout_ms = 1000, .topic_names = &name, .topic_names_count = 1);
        cr_assert_eq(answer->responses[0].error_code, 0);
        cr_assert_eq(fixture.state->topics.count, 0);
}

Test(topic_apis, partitions_only_grow) {
        create("a", 2);
        static const int32_t counts[] = { 2, 1, 5 };
        static const char *const messages[] = { "Topic already has 2 partition(s).",
                                                "The topic a currently has 2 partition(s); 1 would not be an increase.", NULL };
        for (int i = 0; i < 3; i++) {
                CreatePartitionsRequestTopic want = { .name = STR("a"), .count = counts[i], .assignments_count = -1 };
                CreatePartitionsResponse *answer = ASK(fixture.state, CreatePartitions, create_partitions, 3, .timeout_ms = 1000, .topics = &want,
                                                      .topics_count = 1);
                cr_assert_eq(answer->results[0].error_code, messages[i] ? KAFKA_INVALID_PARTITIONS : 0);
                cr_assert(str_equal(answer->results[0].error_message, str_of(messages[i])));
        }
        cr_assert_eq(topic_find(fixture.state, STR("a"))->partition_count, 5);
}

/* Which partition holds a group's records depends on their number. */
Test(topic_apis, the_coordinators_topics_stay_as_large_as_they_are) {
        cr_assert_eq(groups_ensure_topic(fixture.state), 0);
        const Topic *topic = topic_find(fixture.state, STR(TOPIC_NAME_OFFSETS));
        int32_t count = topic->partition_count;
        CreatePartitionsRequestTopic want = { .name = STR(TOPIC_NAME_OFFSETS), .count = count + 1, .assignments_count = -1 };
        CreatePartitionsResponse *answer = ASK(fixture.state, CreatePartitions, create_partitions, 3, .timeout_ms = 1000, .topics = &want,
                                               .topics_count = 1);
        cr_assert_eq(answer->results[0].error_code, KAFKA_POLICY_VIOLATION);
        cr_assert(answer->results[0].error_message.len > 0);
        cr_assert_eq(topic->partition_count, count);
}

Test(topic_apis, metadata_names_this_broker_as_everything) {
        create("a", 2);
        MetadataResponse *answer = ASK(fixture.state, Metadata, metadata, 9, .topics_count = -1);
        cr_assert_eq(answer->controller_id, fixture.state->node_id);
        cr_assert(str_equal(answer->cluster_id, str_of(fixture.state->cluster_id)));
        cr_assert(answer->brokers_count == 1 && answer->brokers[0].port == 1234);
        cr_assert(str_equal(answer->brokers[0].host, STR("me")) && str_is_null(answer->brokers[0].rack));
        cr_assert(answer->topics_count == 1 && answer->topics[0].partitions_count == 2);
        cr_assert_eq(answer->topics[0].partitions[1].isr_nodes[0], fixture.state->node_id);
        cr_assert_eq(answer->topics[0].topic_authorized_operations, INT32_MIN);
}

Test(topic_apis, metadata_empty_list_means_all_only_in_v0) {
        create("a", 1);
        cr_assert_eq(ASK(fixture.state, Metadata, metadata, 0, .topics_count = 0)->topics_count, 1);
        cr_assert_eq(ASK(fixture.state, Metadata, metadata, 1, .topics_count = 0)->topics_count, 0);
        cr_assert_eq(ASK(fixture.state, Metadata, metadata, 1, .topics_count = -1)->topics_count, 1);
}

Test(topic_apis, metadata_makes_topics_when_asked_to) {
        MetadataRequestTopic want[] = { { .name = STR("new") }, { .name = STR("new") }, { .name = STR("bad name") } };
        MetadataResponse *answer = ASK(fixture.state, Metadata, metadata, 4, .topics = want, .topics_count = 3,
                                      .allow_auto_topic_creation = false);
        cr_assert_eq(answer->topics_count, 2);
        cr_assert_eq(answer->topics[0].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        cr_assert_eq(answer->topics[1].error_code, KAFKA_INVALID_TOPIC_EXCEPTION);
        answer = ASK(fixture.state, Metadata, metadata, 4, .topics = want, .topics_count = 3, .allow_auto_topic_creation = true);
        cr_assert_eq(answer->topics[0].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "there for the next question only");
        cr_assert_eq(answer->topics[0].partitions_count, 0);
        cr_assert_eq(answer->topics[1].error_code, KAFKA_INVALID_TOPIC_EXCEPTION);
        cr_assert(topic_find(fixture.state, STR("new")));
        answer = ASK(fixture.state, Metadata, metadata, 4, .topics = want, .topics_count = 1, .allow_auto_topic_creation = true);
        cr_assert_eq(answer->topics[0].error_code, 0);
        cr_assert_eq(answer->topics[0].partitions_count, 1);
}

Test(topic_apis, metadata_by_topic_id) {
        create("a", 1);
        MetadataRequestTopic want[] = { { .topic_id = topic_find(fixture.state, STR("a"))->id, .name = STR_NULL },
                                        { .topic_id = uuid_random(), .name = STR_NULL } };
        MetadataResponse *answer = ASK(fixture.state, Metadata, metadata, 12, .topics = want, .topics_count = 2);
        cr_assert(str_equal(answer->topics[0].name, STR("a")));
        cr_assert(answer->topics[1].error_code == KAFKA_UNKNOWN_TOPIC_ID && str_is_null(answer->topics[1].name));
        answer = ASK(fixture.state, Metadata, metadata, 10, .topics = want, .topics_count = 1);
        cr_assert_eq(answer->topics[0].error_code, KAFKA_INVALID_REQUEST);
}

Test(topic_apis, described_partitions_come_in_pages) {
        create("b", 3);
        create("a", 3);
        DescribeTopicPartitionsRequestCursor cursor = { .topic_name = STR("") };
        DescribeTopicPartitionsResponse *answer = ASK(fixture.state, DescribeTopicPartitions, describe_topic_partitions, 0,
                                                      .response_partition_limit = 4);
        cr_assert(answer->topics_count == 2 && answer->topics[0].partitions_count == 3 && answer->topics[1].partitions_count == 1);
        cr_assert_eq(answer->topics[0].partitions[0].eligible_leader_replicas_count, 0);
        cr_assert(answer->next_cursor && str_equal(answer->next_cursor->topic_name, STR("b")));
        cr_assert_eq(answer->next_cursor->partition_index, 1);
        cursor = (DescribeTopicPartitionsRequestCursor){ answer->next_cursor->topic_name, answer->next_cursor->partition_index };
        answer = ASK(fixture.state, DescribeTopicPartitions, describe_topic_partitions, 0, .response_partition_limit = 4,
                     .cursor = &cursor);
        cr_assert(answer->topics_count == 1 && answer->topics[0].partitions_count == 2 && !answer->next_cursor);
        cr_assert_eq(answer->topics[0].partitions[0].partition_index, 1);
        DescribeTopicPartitionsRequestTopic want = { STR("none") };
        answer = ASK(fixture.state, DescribeTopicPartitions, describe_topic_partitions, 0, .topics = &want, .topics_count = 1,
                     .response_partition_limit = 4);
        cr_assert_eq(answer->topics[0].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

Test(topic_apis, cluster_is_one_broker) {
        DescribeClusterResponse *answer = ASK(fixture.state, DescribeCluster, describe_cluster, 1, .endpoint_type = 1,
                                              .include_cluster_authorized_operations = true);
        cr_assert(answer->brokers_count == 1 && answer->controller_id == fixture.state->node_id);
        cr_assert_eq(answer->cluster_authorized_operations, 0x1fa0);
        answer = ASK(fixture.state, DescribeCluster, describe_cluster, 1, .endpoint_type = 2);
        cr_assert_eq(answer->error_code, KAFKA_MISMATCHED_ENDPOINT_TYPE);
}

Test(topic_apis, records_are_deleted_up_to_an_offset) {
        create("a", 2);
        DeleteRecordsRequestPartition want[] = { { 0, -1 }, { 1, 7 }, { 2, 0 } };
        DeleteRecordsRequestTopic topic = { .name = STR("a"), .partitions = want, .partitions_count = 3 };
        Asked *asked = ASK_START(fixture.state, DeleteRecords, delete_records, 2, .topics = &topic, .topics_count = 1);
        cr_assert_not(asked_is_done(asked), "nobody else waits for the disk");
        state_drain(fixture.state);
        DeleteRecordsResponse *answer = asked_end(asked);
        static const int16_t codes[] = { 0, KAFKA_OFFSET_OUT_OF_RANGE, KAFKA_UNKNOWN_TOPIC_OR_PARTITION };
        for (int i = 0; i < 3; i++) {
                cr_assert_eq(answer->topics[0].partitions[i].error_code, codes[i]);
                cr_assert_eq(answer->topics[0].partitions[i].low_watermark, codes[i] ? -1 : 0);
        }
}

static Asked *start_delete_records(void) {
        static DeleteRecordsRequestPartition want = { 0, -1 };
        static DeleteRecordsRequestTopic topic = { .name = { "a", 1 }, .partitions = &want, .partitions_count = 1 };
        return ASK_START(fixture.state, DeleteRecords, delete_records, 2, .topics = &topic, .topics_count = 1);
}

Test(topic_apis, deleted_records_whose_start_cannot_be_written_are_not_told_of) {
        create("a", 1);
        trace_level = TRACE_NONE;
        Asked *asked = start_delete_records();
        state_fixture_fail_writes(true);
        state_drain(fixture.state);
        DeleteRecordsResponse *answer = asked_end(asked);
        cr_assert_eq(answer->topics[0].partitions[0].error_code, KAFKA_KAFKA_STORAGE_ERROR);
        cr_assert_eq(answer->topics[0].partitions[0].low_watermark, -1);
}

Test(topic_apis, records_are_deleted_also_for_a_client_that_is_gone) {
        create("a", 1);
        asked_drop(start_delete_records());
        state_drain(fixture.state);
}
