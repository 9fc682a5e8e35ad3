/* How topics are made: their directories first, by the worker; then the rest at once, or nothing of it. */
#include "broker/state/creation.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "storage/base/file.h"
#include "tests/lib/ask.h"
#include "tests/lib/state_fixture.h"

static StateFixture fixture;
static bool is_on_loop;     /* or the worker's thread is being played */
static int made_on_loop;    /* directories, and files in those of topics */
static int mkdirs_left = -1; /* until the disk is full; -1: it never is */

static int count_mkdir(const char *path, mode_t mode) {
        made_on_loop += is_on_loop;
        if (mkdirs_left == 0) {
                errno = ENOSPC;
                return -1;
        }
        mkdirs_left -= mkdirs_left > 0;
        return mkdir(path, mode);
}

static int count_open(const char *path, int flags, mode_t mode) {
        made_on_loop += is_on_loop && flags & O_CREAT && !strstr(path, TOPIC_NAME_METADATA);
        return open(path, flags, mode);
}

static void setup(void) {
        state_fixture_start(&fixture);
        state_fixture_set(&fixture, "transaction.state.log.num.partitions", "3");
        state_fixture_set(&fixture, "num.partitions", "2");
        file_ops.mkdir = count_mkdir;
        file_ops.open = count_open;
        is_on_loop = true;
}

static void teardown(void) {
        file_ops = FILE_OPS_SYSTEM;
        state_fixture_end(&fixture);
}

TestSuite(creation, .init = setup, .fini = teardown);

/* What was wanted so far is made, or removed, and nobody knows yet. */
static void let_worker_run(void) {
        is_on_loop = false;
        worker_wait(&fixture.state->maker);
        is_on_loop = true;
}

/* All who wait get their turn. */
static void make_all(void) {
        do
                let_worker_run();
        while (worker_collect(&fixture.state->maker));
}

static void finish_all(void) {
        make_all();
        state_drain(fixture.state);
}

static Topic *topic_of(const char *name) {
        return topic_find(fixture.state, str_of(name));
}

static Asked *ask_create_all(CreateTopicsRequestTopic *topics, int32_t count) {
        return ASK_START(fixture.state, CreateTopics, create_topics, 7, .timeout_ms = 1000, .topics = topics, .topics_count = count);
}

static Asked *ask_create(const char *name, int32_t partitions) {
        CreateTopicsRequestTopic topic = { .name = str_of(name), .num_partitions = partitions, .replication_factor = 1 };
        return ask_create_all(&topic, 1);
}

static int16_t end_create(Asked *asked) {
        return ((CreateTopicsResponse *)asked_end(asked))->topics[0].error_code;
}

static void create(const char *name, int32_t partitions) {
        Asked *asked = ask_create(name, partitions);
        finish_all();
        cr_assert_eq(end_create(asked), 0);
}

static Asked *ask_grow(const char *name, int32_t count) {
        CreatePartitionsRequestTopic topic = { .name = str_of(name), .count = count, .assignments_count = -1 };
        return ASK_START(fixture.state, CreatePartitions, create_partitions, 3, .timeout_ms = 1000, .topics = &topic, .topics_count = 1);
}

static int16_t end_grow(Asked *asked) {
        return ((CreatePartitionsResponse *)asked_end(asked))->results[0].error_code;
}

static Asked *ask_metadata(const char *name, bool creates) {
        MetadataRequestTopic topic = { .name = str_of(name) };
        return ASK_START(fixture.state, Metadata, metadata, 9, .topics = &topic, .topics_count = 1, .allow_auto_topic_creation = creates);
}

static MetadataResponseTopic end_metadata(Asked *asked) {
        return ((MetadataResponse *)asked_end(asked))->topics[0];
}

static int16_t ask_delete(const char *name) {
        Str names = str_of(name);
        DeleteTopicsResponse *answer = ASK(fixture.state, DeleteTopics, delete_topics, 4, .topic_names = &names, .topic_names_count = 1,
                                           .timeout_ms = 1000);
        return answer->responses[0].error_code;
}

/* ---- who waits, and for what */

Test(creation, a_topic_is_there_when_its_directories_are) {
        Asked *asked = ask_create("a", 3);
        cr_assert(!asked_is_done(asked) && state_fixture_count(&fixture, "a-*") == 0);
        let_worker_run();
        cr_assert_eq(state_fixture_count(&fixture, "a-[012]/00000000000000000000.log"), 3);
        cr_assert_eq(state_fixture_count(&fixture, "a-[012]/partition.metadata"), 3);
        cr_assert(!topic_of("a") && !asked_is_done(asked));
        make_all();
        cr_assert(topic_of("a") && topic_of("a")->partition_count == 3);
        cr_assert_not(asked_is_done(asked)); /* before it is on disk */
        state_drain(fixture.state);
        cr_assert_eq(end_create(asked), 0);
        state_fixture_crash(&fixture);
        for (int32_t i = 0; i < 3; i++)
                cr_assert_not_null(topic_of("a")->partitions[i]->log);
}

Test(creation, nobody_else_waits_for_it) {
        create("there", 1);
        Asked *asked = ask_create("a", 1), *others[] = { ask_metadata("there", true), ask_metadata("a", false) };
        cr_assert(asked_is_done(others[0]) && asked_is_done(others[1]));
        cr_assert_eq(end_metadata(others[0]).error_code, 0);
        cr_assert_eq(end_metadata(others[1]).error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        cr_assert_eq(ask_delete("there"), 0);
        finish_all();
        cr_assert_eq(end_create(asked), 0);
}

static Asked *ask_create_new(void) {
        return ask_create("new", 3);
}

static Asked *ask_grow_new(void) {
        return ask_grow("new", 5);
}

static Asked *ask_auto(void) {
        return ask_metadata("auto", true);
}

static Asked *ask_offsets(void) {
        return ASK_START(fixture.state, FindCoordinator, find_coordinator, 1, .key = STR("g"), .key_type = 0);
}

static Asked *ask_transactions(void) {
        return ASK_START(fixture.state, FindCoordinator, find_coordinator, 1, .key = STR("t"), .key_type = 1);
}

static Asked *ask_init(void) {
        return ASK_START(fixture.state, InitProducerId, init_producer_id, 4, .transactional_id = STR("t"), .transaction_timeout_ms = 1000,
                         .producer_id = -1, .producer_epoch = -1);
}

static Asked *ask_join(void) {
        JoinGroupRequestProtocol protocol = { .name = STR("range") };
        return ASK_START(fixture.state, JoinGroup, join_group, 4, .group_id = STR("g"), .session_timeout_ms = 10000,
                         .rebalance_timeout_ms = 10000, .protocol_type = STR("consumer"), .protocols = &protocol, .protocols_count = 1);
}

static Asked *ask_heartbeat(void) {
        Str topic = STR("new");
        return ASK_START(fixture.state, ConsumerGroupHeartbeat, consumer_group_heartbeat, 1, .group_id = STR("c"), .member_id = STR("m"),
                         .rebalance_timeout_ms = 1000, .subscribed_topic_names = &topic, .subscribed_topic_names_count = 1);
}

static Asked *ask_commit(void) {
        OffsetCommitRequestPartition partition = { .partition_index = 0, .committed_offset = 1, .committed_leader_epoch = -1 };
        OffsetCommitRequestTopic topic = { .name = STR("there"), .partitions = &partition, .partitions_count = 1 };
        return ASK_START(fixture.state, OffsetCommit, offset_commit, 8, .group_id = STR("s"), .generation_id_or_member_epoch = -1,
                         .topics = &topic, .topics_count = 1);
}

static Asked *ask_commit_in_txn(void) {
        TxnOffsetCommitRequestPartition partition = { .partition_index = 0, .committed_offset = 1, .committed_leader_epoch = -1 };
        TxnOffsetCommitRequestTopic topic = { .name = STR("there"), .partitions = &partition, .partitions_count = 1 };
        return ASK_START(fixture.state, TxnOffsetCommit, txn_offset_commit, 3, .transactional_id = STR("t"), .group_id = STR("g"),
                         .producer_id = 1, .generation_id = -1, .topics = &topic, .topics_count = 1);
}

static Asked *ask_add_offsets(void) {
        return ASK_START(fixture.state, AddOffsetsToTxn, add_offsets_to_txn, 3, .transactional_id = STR("t"), .group_id = STR("g"),
                         .producer_id = 1);
}

static const struct {
        const char *name;
        Asked *(*ask)(void);
        const char *topic;
} requests[] = {
        { "CreateTopics", ask_create_new, "new" },
        { "CreatePartitions", ask_grow_new, "new" },
        { "Metadata", ask_auto, "auto" },
        { "FindCoordinator of a group", ask_offsets, TOPIC_NAME_OFFSETS },
        { "FindCoordinator of a transaction", ask_transactions, TOPIC_NAME_TRANSACTIONS },
        { "InitProducerId", ask_init, TOPIC_NAME_TRANSACTIONS },
        { "JoinGroup", ask_join, TOPIC_NAME_OFFSETS },
        { "ConsumerGroupHeartbeat", ask_heartbeat, TOPIC_NAME_OFFSETS },
        { "OffsetCommit", ask_commit, TOPIC_NAME_OFFSETS },
        { "TxnOffsetCommit", ask_commit_in_txn, TOPIC_NAME_OFFSETS },
        { "AddOffsetsToTxn", ask_add_offsets, TOPIC_NAME_OFFSETS },
};
enum { REQUESTS = sizeof(requests) / sizeof(requests[0]) };

static void forget_internal_topics(void) {
        static const char *const names[] = { TOPIC_NAME_OFFSETS, TOPIC_NAME_TRANSACTIONS };
        for (int i = 0; i < 2; i++)
                if (topic_of(names[i]))
                        cr_assert_eq(topic_delete(fixture.state, topic_of(names[i])), 0);
        state_drain(fixture.state);
        state_fixture_reopen(&fixture);
}

Test(creation, the_loop_makes_no_directory) {
        create("there", 1);
        for (int i = 0; i < REQUESTS; i++) {
                forget_internal_topics();
                int64_t producer_id = state_take_producer_id(fixture.state); /* so that InitProducerId has some */
                cr_assert_geq(producer_id, 0);
                made_on_loop = 0;
                Asked *asked = requests[i].ask();
                cr_assert_not(asked_is_done(asked), "%s", requests[i].name);
                make_all();
                cr_assert_not_null(topic_of(requests[i].topic), "%s", requests[i].name);
                cr_assert_eq(made_on_loop, 0, "%s: %d", requests[i].name, made_on_loop);
                state_drain(fixture.state);
                cr_assert(asked_is_done(asked) && !asked_is_closed(asked), "%s", requests[i].name);
                asked_drop(asked);
        }
        cr_assert_eq(topic_of("new")->partition_count, 5);
}

/* ---- several at once */

Test(creation, the_first_of_two_makes_the_topic) {
        Asked *first = ask_create("a", 2), *second = ask_create("a", 3), *grow = ask_grow("a", 5);
        cr_assert_eq(ask_delete("a"), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        finish_all();
        cr_assert_eq(end_create(first), 0);
        cr_assert_eq(end_create(second), KAFKA_TOPIC_ALREADY_EXISTS);
        cr_assert_eq(end_grow(grow), 0);
        cr_assert_eq(topic_of("a")->partition_count, 5);
        cr_assert_eq(state_fixture_count(&fixture, "a-*"), 5);
}

/* As in Kafka: whoever asks is told that there is nothing yet, whoever asks later finds it. */
Test(creation, what_is_missing_is_made_for_the_first_who_asks) {
        Asked *first = ask_metadata("a", true), *second = ask_metadata("a", true);
        finish_all();
        cr_assert_eq(end_metadata(first).error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        MetadataResponseTopic found = end_metadata(second);
        cr_assert(found.error_code == 0 && found.partitions_count == 2);
}

Test(creation, names_that_collide_are_found_late_enough) {
        Asked *first = ask_create("a.b", 1), *second = ask_create("a_b", 1);
        finish_all();
        cr_assert_eq(end_create(first), 0);
        cr_assert_eq(end_create(second), KAFKA_INVALID_TOPIC_EXCEPTION);
        CreateTopicsRequestTopic both[] = { { .name = STR("c.d"), .num_partitions = 1, .replication_factor = 1 },
                                            { .name = STR("c_d"), .num_partitions = 1, .replication_factor = 1 } };
        Asked *asked = ask_create_all(both, 2);
        finish_all();
        CreateTopicsResponse *answer = asked_end(asked);
        cr_assert(answer->topics[0].error_code == 0 && answer->topics[1].error_code == KAFKA_INVALID_TOPIC_EXCEPTION);
        cr_assert_eq(state_fixture_count(&fixture, "?_?-*"), 0);
}

#define MANY 300

Test(creation, a_request_makes_many_topics_in_one_step) {
        static CreateTopicsRequestTopic topics[MANY];
        static char names[MANY][16];
        create("t7", 1);
        for (int i = 0; i < MANY; i++) {
                snprintf(names[i], sizeof(names[i]), "t%d", i);
                topics[i] = (CreateTopicsRequestTopic){ .name = str_of(names[i]), .num_partitions = 1 + i % 2, .replication_factor = 1 };
        }
        topics[9].num_partitions = 0;
        Asked *asked = ask_create_all(topics, MANY);
        let_worker_run();
        cr_assert_eq(fixture.state->topics.count, 1);
        worker_collect(&fixture.state->maker);
        cr_assert_eq(fixture.state->topics.count, MANY - 1);
        finish_all();
        CreateTopicsResponse *answer = asked_end(asked);
        for (int i = 0; i < MANY; i++) {
                int16_t code = i == 7 ? KAFKA_TOPIC_ALREADY_EXISTS : i == 9 ? KAFKA_INVALID_PARTITIONS : 0;
                cr_assert_eq(answer->topics[i].error_code, code, "%s: %d", names[i], answer->topics[i].error_code);
        }
        cr_assert_eq(state_fixture_count(&fixture, "t*-0"), MANY - 1);
        cr_assert_eq(state_fixture_count(&fixture, "t*-1"), MANY / 2 - 2);
        cr_assert_eq(made_on_loop, 0);
}

Test(creation, there_are_directories_only_where_there_is_room) {
        state_fixture_set(&fixture, "odradek.max.partitions", "5");
        CreateTopicsRequestTopic topics[] = { { .name = STR("a"), .num_partitions = 3, .replication_factor = 1 },
                                              { .name = STR("b"), .num_partitions = 3, .replication_factor = 1 },
                                              { .name = STR("c"), .num_partitions = 2, .replication_factor = 1 } };
        Asked *asked = ask_create_all(topics, 3);
        let_worker_run();
        cr_assert_eq(state_fixture_count(&fixture, "[abc]-*"), 5);
        finish_all();
        CreateTopicsResponse *answer = asked_end(asked);
        cr_assert_eq(answer->topics[0].error_code, 0);
        cr_assert_eq(answer->topics[1].error_code, KAFKA_POLICY_VIOLATION);
        cr_assert_eq(answer->topics[2].error_code, 0);
        cr_assert_eq(made_on_loop, 0);
}

/* ---- what comes to nothing */

Test(creation, what_cannot_be_made_leaves_nothing) {
        CreateTopicsRequestTopic topics[] = { { .name = STR("a"), .num_partitions = 2, .replication_factor = 1 },
                                              { .name = STR("b"), .num_partitions = 2, .replication_factor = 1 } };
        mkdirs_left = 3;
        Asked *asked = ask_create_all(topics, 2);
        finish_all();
        CreateTopicsResponse *answer = asked_end(asked);
        int bad = answer->topics[0].error_code ? 0 : 1;
        cr_assert_eq(answer->topics[bad].error_code, KAFKA_KAFKA_STORAGE_ERROR);
        cr_assert_eq(answer->topics[1 - bad].error_code, 0);
        cr_assert_eq(state_fixture_count(&fixture, "[ab]-*"), 2);
        cr_assert_eq(made_on_loop, 0); /* nor is it tried there */
        asked = ask_grow(bad ? "a" : "b", 3);
        finish_all();
        cr_assert_eq(end_grow(asked), KAFKA_KAFKA_STORAGE_ERROR);
        cr_assert_eq(state_fixture_count(&fixture, "[ab]-*"), 2);
        mkdirs_left = -1;
        create(bad ? "b" : "a", 2);
        cr_assert_eq(state_fixture_count(&fixture, "[ab]-*"), 4);
}

/* However far it has come. */
Test(creation, nothing_is_left_when_the_client_is_gone) {
        static const char *const others[] = { "b", "c", "d" };
        for (int step = 0; step < 3; step++) {
                Asked *asked = ask_create("a", 2);
                if (step)
                        let_worker_run();
                asked_drop(asked);
                if (step == 2)
                        worker_collect(&fixture.state->maker);
                asked = ask_create(others[step], 1); /* who waits behind it */
                finish_all();
                cr_assert_eq(end_create(asked), 0);
                cr_assert(!topic_of("a") && state_fixture_count(&fixture, "a-*") == 0);
        }
        create("a", 1);
        cr_assert_eq(made_on_loop, 0);
}

Test(creation, a_client_may_leave_while_it_waits_for_its_turn) {
        Asked *first = ask_create("a", 1), *second = ask_create("b", 1), *third = ask_create("c", 1);
        asked_drop(second);
        finish_all();
        cr_assert(end_create(first) == 0 && end_create(third) == 0 && !topic_of("b"));
}

Test(creation, a_request_that_is_refused_leaves_nothing) {
        JoinGroupRequestProtocol protocol = { .name = STR("range") };
        Asked *asked = ASK_START(fixture.state, JoinGroup, join_group, 4, .group_id = STR("g"), .session_timeout_ms = -1,
                                 .protocol_type = STR("consumer"), .protocols = &protocol, .protocols_count = 1);
        finish_all();
        cr_assert_eq(((JoinGroupResponse *)asked_end(asked))->error_code, KAFKA_INVALID_SESSION_TIMEOUT);
        cr_assert(!topic_of(TOPIC_NAME_OFFSETS) && state_fixture_count(&fixture, TOPIC_NAME_OFFSETS "-*") == 0);
}

Test(creation, a_topic_may_be_deleted_while_it_grows) {
        create("a", 1);
        Asked *asked = ask_grow("a", 3);
        let_worker_run();
        cr_assert_eq(state_fixture_count(&fixture, "a-*"), 3);
        cr_assert_eq(topic_delete(fixture.state, topic_of("a")), 0);
        Asked *again = ask_create("a", 4);
        finish_all();
        cr_assert_eq(end_grow(asked), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        cr_assert_eq(end_create(again), 0);
        cr_assert_eq(topic_of("a")->partition_count, 4);
        state_drain(fixture.state);
        cr_assert_eq(state_fixture_count(&fixture, "a-*"), 4);
}

/* ---- the end of the process */

Test(creation, a_stop_finishes_it) {
        Asked *asked = ask_create("a", 2), *next = ask_create("b", 1);
        state_fixture_reopen(&fixture);
        cr_assert(end_create(asked) == 0 && end_create(next) == 0);
        cr_assert(topic_of("a") && topic_of("b"));
}

/* A crash leaves directories that no topic owns. */
Test(creation, a_crash_leaves_no_topic) {
        for (int step = 0; step < 2; step++) {
                Asked *asked = ask_create("a", 2);
                if (step)
                        let_worker_run();
                state_fixture_crash(&fixture);
                asked_drop(asked);
                cr_assert_null(topic_of("a"));
                cr_assert_eq(state_fixture_count(&fixture, "a-[01]"), step ? 2 : 0);
        }
        create("a", 2);
        cr_assert_eq(state_fixture_count(&fixture, "a-[01].*-stray"), 2);
        state_fixture_crash(&fixture);
        cr_assert_not_null(topic_of("a")->partitions[1]->log);
}
