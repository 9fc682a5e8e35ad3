/* Opening and closing the data directory, and the end of a turn. */
#include "broker/state/state.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/state/metadata/metadata.h"
#include "broker/state/producer_ids.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/batch.h"
#include "tests/lib/state_fixture.h"

#define NOW 1700000000000

static char dir[64], data_dir[96];
static Config config;
static State *state;

static void setup(void) {
        snprintf(dir, sizeof(dir), "/tmp/odradek-state-XXXXXX");
        cr_assert(mkdtemp(dir));
        snprintf(data_dir, sizeof(data_dir), "%s/new/data", dir);
        config = (Config){ .data_dir = data_dir };
        trace_level = TRACE_ERROR;
}

static void teardown(void) {
        state_close(state);
        config_map_deinit(&config.broker);
        char command[128];
        snprintf(command, sizeof(command), "rm -rf '%s'", dir);
        cr_assert_eq(system(command), 0);
}

TestSuite(state, .init = setup, .fini = teardown);

static int open_state(void) {
        return state_open(&config, NOW, 0, &state);
}

static bool exists(const char *name) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", data_dir, name);
        return access(path, F_OK) == 0;
}

Test(state, directory_is_made_and_keeps_its_ids) {
        cr_assert_eq(open_state(), 0);
        char cluster_id[64];
        memcpy(cluster_id, state->cluster_id, sizeof(cluster_id));
        Uuid directory_id = state->directory_id;
        cr_assert_eq(strlen(cluster_id), 22);
        cr_assert(exists("meta.properties") && exists(".lock") && exists("__cluster_metadata-0/00000000000000000000.log"));
        cr_assert_eq(state_close(state), 0);
        cr_assert_eq(open_state(), 0);
        cr_assert_str_eq(state->cluster_id, cluster_id);
        cr_assert(uuid_equal(&state->directory_id, &directory_id));
}

Test(state, marker_is_there_only_while_closed_properly) {
        cr_assert_eq(open_state(), 0);
        cr_assert(!exists(".kafka_cleanshutdown"));
        cr_assert_eq(state_close(state), 0);
        cr_assert(exists(".kafka_cleanshutdown") && exists("recovery-point-offset-checkpoint"));
        cr_assert_eq(open_state(), 0);
        cr_assert(!exists(".kafka_cleanshutdown"));
        state_abandon(state);
        state = NULL;
        cr_assert(!exists(".kafka_cleanshutdown"));
}

Test(state, second_broker_is_kept_out) {
        cr_assert_eq(open_state(), 0);
        State *second = NULL;
        cr_assert_eq(state_open(&config, NOW, 0, &second), STATE_OPEN_LOCKED);
}

Test(state, foreign_directory_is_left_alone) {
        snprintf(data_dir, sizeof(data_dir), "%s", dir);
        char path[256];
        snprintf(path, sizeof(path), "%s/thesis.txt", dir);
        close(open(path, O_CREAT | O_WRONLY, 0644));
        cr_assert_eq(open_state(), STATE_OPEN_FOREIGN);
        cr_assert(!exists(".lock") && !exists("meta.properties"));
}

Test(state, producer_ids_are_never_given_twice) {
        cr_assert_eq(open_state(), 0);
        int64_t first = state_take_producer_id(state);
        cr_assert_eq(state_take_producer_id(state), first + 1);
        state_abandon(state);
        cr_assert_eq(open_state(), 0);
        cr_assert_eq(state_take_producer_id(state), first + 1000);
}

Test(state, producer_ids_are_given_when_they_are_on_disk) {
        int64_t producer_id;
        cr_assert_eq(open_state(), 0);
        state_drain(state);
        for (int i = 0; i < 2; i++) {
                cr_assert_eq(producer_ids_take(state, &producer_id), -EAGAIN);
                state_commit(state); /* its sync is under way */
        }
        state_drain(state);
        int64_t end_offset = metadata_end_offset(state);
        for (int i = 0; i < 1000; i++)
                cr_assert_eq(producer_ids_take(state, &producer_id), 0);
        cr_assert_eq(metadata_end_offset(state), end_offset);
        cr_assert_eq(producer_ids_take(state, &producer_id), -EAGAIN);
        cr_assert_eq(metadata_end_offset(state), end_offset + 1);
}

static Buffer make_batch(void) {
        BatchBuilder builder;
        batch_builder_init(&builder, 0, -1, -1, -1);
        batch_builder_add(&builder, NOW, STR_NULL, STR("v"), NULL, 0);
        cr_assert_eq(batch_builder_finish(&builder, 0), 0);
        Buffer bytes = builder.out;
        builder.out = BUFFER_INIT;
        batch_builder_deinit(&builder);
        return bytes;
}

typedef struct Seen {
        CommitWait commit;
        PartitionWait fetch;
        Partition *partition;
        int commits, wakes, chained;
        int64_t end_at_commit, end_at_wake;
} Seen;

static Seen seen;

static void on_commit(CommitWait *wait, State *unused) {
        seen.commits++;
        seen.end_at_commit = partition_high_watermark(seen.partition);
        if (seen.chained-- > 0) {
                Buffer bytes = make_batch();
                LogAppend result;
                cr_assert_eq(partition_append_owned(state, seen.partition, &bytes, LOG_ORIGIN_BROKER, &result), 0);
                state_wait_commit(state, wait, on_commit);
        }
}

static void on_wake(PartitionWait *wait, State *unused) {
        seen.wakes++;
        seen.end_at_wake = partition_high_watermark(seen.partition);
}

Test(state, a_commit_tells_writers_then_readers) {
        cr_assert_eq(open_state(), 0);
        Topic *topic;
        cr_assert_eq(topic_create(state, STR("a"), 1, &CONFIG_MAP_INIT, &topic), 0);
        seen = (Seen){ .partition = topic->partitions[0], .chained = 2, .fetch.wake = on_wake };
        list_append(&seen.partition->fetch_waits, &seen.fetch.node);
        Buffer bytes = make_batch();
        LogAppend result;
        cr_assert_eq(partition_append_owned(state, seen.partition, &bytes, LOG_ORIGIN_BROKER, &result), 0);
        cr_assert_eq(result.base_offset, 0);
        state_wait_commit(state, &seen.commit, on_commit);
        cr_assert_eq(seen.commits, 0);
        state_commit(state);
        cr_assert_eq(seen.commits, 3);
        cr_assert_eq(seen.end_at_commit, 3);
        cr_assert_geq(seen.wakes, 1);
        cr_assert_eq(seen.end_at_wake, 3);
        list_remove(&seen.fetch.node);
}

Test(state, deleting_a_topic_wakes_its_readers) {
        cr_assert_eq(open_state(), 0);
        Topic *topic;
        cr_assert_eq(topic_create(state, STR("a"), 1, &CONFIG_MAP_INIT, &topic), 0);
        seen = (Seen){ .partition = topic->partitions[0], .fetch.wake = on_wake };
        list_append(&seen.partition->fetch_waits, &seen.fetch.node);
        cr_assert_eq(topic_delete(state, topic), 0);
        cr_assert_eq(seen.wakes, 1);
        cr_assert(!list_node_is_linked(&seen.fetch.node));
}

/* A Kafka that led the metadata log left a later epoch, and records of kinds that mean nothing here. */
Test(state, metadata_log_of_a_kafka_is_continued) {
        cr_assert_eq(open_state(), 0);
        cr_assert_eq(state_close(state), 0);
        char path[128];
        snprintf(path, sizeof(path), "%s/__cluster_metadata-0", data_dir);
        LogOpen how = { .path = path, .config = LOG_CONFIG_INIT, .now_ms = NOW };
        Log *log;
        LogAppend result;
        BatchBuilder no_op;
        cr_assert_eq(log_open(&how, &log), 0);
        batch_builder_init(&no_op, 0, -1, -1, -1);
        batch_builder_add(&no_op, NOW, STR_NULL, (Str){ "\1\24\0\0", 4 }, NULL, 0);
        cr_assert_eq(batch_builder_finish(&no_op, 0), 0);
        cr_assert_eq(log_append(log, no_op.out.data, no_op.out.size, LOG_ORIGIN_BROKER, 7, NOW, &result), 0);
        cr_assert_eq(log_commit(log, NOW), 0);
        cr_assert_eq(log_close(log, NOW), 0);
        batch_builder_deinit(&no_op);
        for (int i = 0; i < 2; i++) {
                cr_assert_eq(open_state(), 0);
                cr_assert_eq(topic_create(state, STR("a"), 1, &CONFIG_MAP_INIT, NULL), i ? KAFKA_TOPIC_ALREADY_EXISTS : 0);
                state_abandon(state);
                state = NULL;
        }
}
