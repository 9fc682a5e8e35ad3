/* What is told of the metadata is on disk, and nobody waits for the disk. Without a thread: jobs run when the test drains them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/state/deletion.h"
#include "broker/state/metadata/metadata.h"
#include "broker/state/producer_ids.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "tests/lib/ask.h"
#include "tests/lib/state_fixture.h"

static StateFixture fixture;
static State *state;
static char syncs[64]; /* m: of the metadata log, d: of another */
static bool is_failing;

static int noted_sync(int fd) {
        char name[64], target[512] = "";
        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        cr_assert_gt(readlink(name, target, sizeof(target) - 1), 0);
        bool is_metadata = strstr(target, "__cluster_metadata") != NULL;
        if (strlen(syncs) < sizeof(syncs) - 1)
                strcat(syncs, is_metadata ? "m" : "d");
        return is_failing && is_metadata ? (errno = EIO, -1) : fdatasync(fd);
}

static void create(const char *name) {
        cr_assert_eq(state_fixture_create(&fixture, str_of(name), 1, NULL), 0);
}

static void setup(void) {
        state_fixture_start(&fixture);
        state = fixture.state;
        create("t");
        state_drain(state);
        file_ops.fdatasync = noted_sync;
        *syncs = '\0';
}

static void teardown(void) {
        file_ops = FILE_OPS_SYSTEM;
        state_fixture_end(&fixture);
}

TestSuite(metadata_sync, .init = setup, .fini = teardown);

/* ---- one request of each kind that changes the metadata */

static Asked *ask_create(const char *name) {
        CreateTopicsRequestTopic topic = { .name = str_of(name), .num_partitions = 1, .replication_factor = 1 };
        return ASK_START(state, CreateTopics, create_topics, 7, .topics = &topic, .topics_count = 1, .timeout_ms = 1000);
}

static int16_t end_create(Asked *asked) {
        return ((CreateTopicsResponse *)asked_end(asked))->topics[0].error_code;
}

static Asked *ask_create_new(void) {
        return ask_create("new");
}

static Asked *ask_grow(void) {
        CreatePartitionsRequestTopic topic = CreatePartitionsRequestTopic_INIT;
        topic.name = STR("t");
        topic.count = 3;
        topic.assignments_count = -1;
        return ASK_START(state, CreatePartitions, create_partitions, 2, .topics = &topic, .topics_count = 1, .timeout_ms = 1000);
}

static int16_t end_grow(Asked *asked) {
        return ((CreatePartitionsResponse *)asked_end(asked))->results[0].error_code;
}

static Asked *ask_delete(void) {
        Str name = STR("t");
        return ASK_START(state, DeleteTopics, delete_topics, 4, .topic_names = &name, .topic_names_count = 1, .timeout_ms = 1000);
}

static int16_t end_delete(Asked *asked) {
        return ((DeleteTopicsResponse *)asked_end(asked))->responses[0].error_code;
}

static Asked *ask_alter_topic(void) {
        AlterConfigsRequestConfig config = { .name = STR("retention.ms"), .value = STR("5000") };
        AlterConfigsRequestResource resource = { .resource_type = CONFIG_RESOURCE_TOPIC, .resource_name = STR("t"), .configs = &config,
                                                 .configs_count = 1 };
        return ASK_START(state, AlterConfigs, alter_configs, 1, .resources = &resource, .resources_count = 1);
}

static int16_t end_alter(Asked *asked) {
        return ((AlterConfigsResponse *)asked_end(asked))->responses[0].error_code;
}

static Asked *alter_incrementally(ConfigResource type, const char *resource_name, const char *name, const char *value) {
        IncrementalAlterConfigsRequestConfig config = { .name = str_of(name), .value = str_of(value) };
        IncrementalAlterConfigsRequestResource resource = { .resource_type = (int8_t)type, .resource_name = str_of(resource_name),
                                                            .configs = &config, .configs_count = 1 };
        return ASK_START(state, IncrementalAlterConfigs, incremental_alter_configs, 1, .resources = &resource, .resources_count = 1);
}

static Asked *ask_alter_broker(void) {
        return alter_incrementally(CONFIG_RESOURCE_BROKER, "", "log.retention.ms", "7000");
}

static Asked *ask_alter_group(void) {
        return alter_incrementally(CONFIG_RESOURCE_GROUP, "g", "consumer.session.timeout.ms", "50000");
}

static int16_t end_incrementally(Asked *asked) {
        return ((IncrementalAlterConfigsResponse *)asked_end(asked))->responses[0].error_code;
}

static Asked *ask_features(void) {
        UpdateFeaturesRequestUpdate update = { .feature = STR("transaction.version"), .max_version_level = 1, .upgrade_type = 2 };
        return ASK_START(state, UpdateFeatures, update_features, 1, .feature_updates = &update, .feature_updates_count = 1);
}

static int16_t end_features(Asked *asked) {
        return ((UpdateFeaturesResponse *)asked_end(asked))->error_code;
}

static Asked *ask_metadata(const char *name) {
        MetadataRequestTopic topic = { .name = str_of(name) };
        return ASK_START(state, Metadata, metadata, 9, .topics = &topic, .topics_count = 1, .allow_auto_topic_creation = true);
}

static Asked *ask_auto_create(void) {
        return ask_metadata("auto");
}

static int16_t end_metadata(Asked *asked) {
        return ((MetadataResponse *)asked_end(asked))->topics[0].error_code;
}

/* What is made by asking for it is there for the next question. */
static int16_t end_auto_create(Asked *asked) {
        int16_t code = end_metadata(asked);
        return code == KAFKA_UNKNOWN_TOPIC_OR_PARTITION && topic_find(state, STR("auto")) ? 0 : code;
}

static Asked *ask_producer_id(void) {
        return ASK_START(state, InitProducerId, init_producer_id, 3, .transactional_id = STR_NULL, .producer_id = -1, .producer_epoch = -1);
}

static int16_t end_producer_id(Asked *asked) {
        return ((InitProducerIdResponse *)asked_end(asked))->error_code;
}

static const struct {
        const char *name;
        Asked *(*ask)(void);
        int16_t (*end)(Asked *asked);
} requests[] = {
        { "CreateTopics", ask_create_new, end_create },
        { "CreatePartitions", ask_grow, end_grow },
        { "AlterConfigs", ask_alter_topic, end_alter },
        { "IncrementalAlterConfigs of the brokers", ask_alter_broker, end_incrementally },
        { "IncrementalAlterConfigs of a group", ask_alter_group, end_incrementally },
        { "UpdateFeatures", ask_features, end_features },
        { "Metadata", ask_auto_create, end_auto_create },
        { "InitProducerId", ask_producer_id, end_producer_id },
        { "DeleteTopics", ask_delete, end_delete },
};
enum { REQUESTS = sizeof(requests) / sizeof(requests[0]) };

/* ---- the answers */

Test(metadata_sync, a_change_is_answered_when_it_is_on_disk) {
        for (int i = 0; i < REQUESTS; i++) {
                Asked *asked = requests[i].ask();
                cr_assert_not(asked_is_done(asked), "%s", requests[i].name);
                worker_drain(&state->maker);
                state_commit(state);
                cr_assert_not(asked_is_done(asked), "%s", requests[i].name);
                cr_assert_str_eq(syncs, "", "%s", requests[i].name);
                worker_drain(&state->flusher);
                cr_assert(asked_is_done(asked), "%s", requests[i].name);
                cr_assert_eq(requests[i].end(asked), 0, "%s", requests[i].name);
                cr_assert_str_eq(syncs, "m", "%s", requests[i].name);
                cr_assert_eq(metadata_recovery_point(state), metadata_end_offset(state));
                state_drain(state);
                *syncs = '\0';
        }
}

Test(metadata_sync, changes_of_one_turn_share_a_sync) {
        Asked *asked[REQUESTS];
        for (int i = 0; i < REQUESTS; i++) {
                asked[i] = requests[i].ask();
                worker_drain(&state->maker);
        }
        state_commit(state);
        worker_drain(&state->flusher);
        cr_assert_leq(strlen(syncs), 2); /* the deletion of a topic begins with the end of the turn so far */
        for (int i = 0; i < REQUESTS; i++)
                cr_assert_eq(requests[i].end(asked[i]), 0, "%s", requests[i].name);
}

/* What is written while a sync is under way waits for the next. */
Test(metadata_sync, a_change_waits_for_its_own_sync) {
        Asked *first = ask_create("a");
        worker_drain(&state->maker);
        state_commit(state);
        Asked *second = ask_create("b");
        worker_drain(&state->maker);
        worker_wait(&state->flusher);
        worker_collect(&state->flusher);
        cr_assert(asked_is_done(first) && !asked_is_done(second));
        state_drain(state);
        cr_assert_eq(end_create(first), 0);
        cr_assert_eq(end_create(second), 0);
        cr_assert_str_eq(syncs, "mm");
}

Test(metadata_sync, what_others_changed_is_told_when_it_is_on_disk) {
        Asked *asked = ask_create("a"), *again = ask_create("a"), *other = ask_metadata("a");
        state_commit(state);
        cr_assert(!asked_is_done(asked) && !asked_is_done(again) && !asked_is_done(other));
        state_drain(state);
        cr_assert_eq(end_create(asked), 0);
        cr_assert_eq(end_create(again), KAFKA_TOPIC_ALREADY_EXISTS);
        cr_assert_eq(end_metadata(other), 0);
        other = ask_metadata("a");
        cr_assert(asked_is_done(other));
        cr_assert_eq(end_metadata(other), 0);
}

Test(metadata_sync, a_client_may_leave_while_it_waits) {
        for (int i = 0; i < REQUESTS; i++) {
                asked_drop(requests[i].ask());
                state_drain(state);
        }
        cr_assert_null(topic_find(state, STR("t")));
}

static void append(Partition *partition) {
        state_append_one(state, partition, STR("v"));
}

/* Though the records were queued before, and may rest on it. */
Test(metadata_sync, the_metadata_is_the_first_in_a_round) {
        fixture.config.durable = true;
        append(partition_find(state, STR("t"), 0));
        state_drain(state);
        *syncs = '\0';
        append(partition_find(state, STR("t"), 0));
        state_commit(state); /* a round is under way */
        append(partition_find(state, STR("t"), 0));
        state_commit(state);
        Asked *asked = ask_create("a");
        state_drain(state);
        cr_assert_eq(end_create(asked), 0);
        cr_assert_str_eq(syncs, "dmd");
}

Test(metadata_sync, a_failed_sync_is_final_and_acknowledges_nothing) {
        Asked *asked[REQUESTS];
        for (int i = 0; i < REQUESTS; i++)
                asked[i] = requests[i].ask();
        Asked *name = ask_create("t"); /* waits for the deleted one */
        is_failing = true;
        state_drain(state);
        cr_assert(state->failed);
        is_failing = false;
        state_drain(state);
        for (int i = 0; i < REQUESTS; i++) {
                cr_assert(asked_is_closed(asked[i]), "%s", requests[i].name);
                asked_drop(asked[i]);
        }
        cr_assert(asked_is_closed(name));
        asked_drop(name);
        cr_assert_str_eq(syncs, "m", "there is no second try");
        char path[128];
        snprintf(path, sizeof(path), "%s/t-0", fixture.dir);
        cr_assert_eq(access(path, F_OK), 0, "the topic may be back after a power cut");
        Asked *more = ask_create("more");
        cr_assert_null(topic_find(state, STR("more")));
        cr_assert_not(asked_is_done(more));
        cr_assert_lt(state_close(state), 0);
        cr_assert(asked_is_closed(more));
        asked_drop(more);
        snprintf(path, sizeof(path), "%s/.kafka_cleanshutdown", fixture.dir);
        cr_assert_neq(access(path, F_OK), 0);
        cr_assert_eq(state_open(&fixture.config, FIXTURE_NOW, 1000, &fixture.state), 0);
}

/* ---- the name of a deleted topic */

Test(metadata_sync, a_name_is_waited_for) {
        Uuid old_id = topic_find(state, STR("t"))->id;
        Asked *deleted = ask_delete(), *created = ask_create("t"), *other = ask_create("other");
        cr_assert_null(topic_find(state, STR("t")));
        state_drain(state);
        cr_assert_eq(end_delete(deleted), 0);
        cr_assert_eq(end_create(other), 0);
        cr_assert_eq(end_create(created), 0);
        cr_assert_not(uuid_equal(&topic_find(state, STR("t"))->id, &old_id));
        cr_assert_eq(state->deletions.count, 0);
        state_fixture_crash(&fixture);
        state = fixture.state;
        cr_assert_not_null(partition_find(state, STR("t"), 0)->log);
}

Test(metadata_sync, a_name_is_waited_for_where_a_topic_makes_itself) {
        Asked *deleted = ask_delete(), *created = ask_metadata("t");
        cr_assert_not(asked_is_done(created));
        state_drain(state);
        cr_assert_eq(end_delete(deleted), 0);
        cr_assert_eq(end_metadata(created), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        cr_assert_not_null(topic_find(state, STR("t")));
}

/* Which keeps nobody waiting who asks for nothing new. */
Test(metadata_sync, only_who_makes_a_topic_waits_for_its_name) {
        Asked *deleted = ask_delete();
        worker_drain(&state->flusher);
        state_commit(state);
        worker_drain(&state->flusher);
        cr_assert_eq(end_delete(deleted), 0);
        cr_assert_eq(state->deletions.count, 1);
        MetadataRequestTopic topic = { .name = STR("t") };
        Asked *asked = ASK_START(state, Metadata, metadata, 9, .topics = &topic, .topics_count = 1);
        cr_assert(asked_is_done(asked));
        cr_assert_eq(end_metadata(asked), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        CreateTopicsRequestTopic create = { .name = STR("t"), .num_partitions = 1, .replication_factor = 1 };
        asked = ASK_START(state, CreateTopics, create_topics, 7, .topics = &create, .topics_count = 1, .timeout_ms = 1000,
                          .validate_only = true);
        cr_assert(asked_is_done(asked));
        cr_assert_eq(end_create(asked), 0);
}

static bool is_full;

static int fail_checkpoint(const char *path, int flags, mode_t mode) {
        return is_full && strstr(path, "offset-checkpoint") && flags & O_CREAT ? (errno = EIO, -1) : open(path, flags, mode);
}

Test(metadata_sync, a_name_that_cannot_be_cleared_is_an_error_until_it_can) {
        Asked *deleted = ask_delete(), *created = ask_create("t");
        file_ops.open = fail_checkpoint;
        is_full = true;
        trace_level = TRACE_NONE;
        state_drain(state);
        trace_level = TRACE_ERROR;
        cr_assert_eq(end_delete(deleted), 0);
        cr_assert_eq(end_create(created), KAFKA_KAFKA_STORAGE_ERROR);
        is_full = false;
        created = ask_create("t");
        state_drain(state);
        cr_assert_eq(end_create(created), 0);
}
