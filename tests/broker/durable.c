/* What is acknowledged, and served, only when it is on disk. Without a thread: jobs run when the test drains them. */
#include "broker/state/flusher.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/state/journal.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/batch.h"
#include "tests/lib/state_fixture.h"

#define NOW 1700000000000

static char dir[64], data_dir[96];
static Config config;
static State *state;
static Partition *partition;

static char events[64]; /* w: written, s: synced, a: acknowledged, r: a reader was woken */
static int sync_calls, failing_sync;

static void note(char event) {
        size_t size = strlen(events);
        cr_assert_lt(size, sizeof(events) - 1);
        events[size] = event;
        events[size + 1] = '\0';
}

static void forget_events(void) {
        events[0] = '\0';
}

static bool is_segment(int fd) {
        char name[64], target[512];
        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        ssize_t size = readlink(name, target, sizeof(target) - 1);
        target[size < 0 ? 0 : size] = '\0';
        return size > 4 && strcmp(target + size - 4, ".log") == 0 && !strstr(target, "__cluster_metadata");
}

static ssize_t noted_write(int fd, const struct iovec *parts, int count, off_t position) {
        if (is_segment(fd))
                note('w');
        return pwritev(fd, parts, count, position);
}

static int noted_sync(int fd) {
        if (!is_segment(fd))
                return fdatasync(fd);
        note('s');
        if (++sync_calls == failing_sync)
                return errno = EIO, -1;
        return fdatasync(fd);
}

static void set_broker(const char *name, const char *value) {
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_BROKER, str_of(name));
        cr_assert_not_null(key, "%s", name);
        cr_assert_eq(config_map_set(&config.broker, key, str_of(value), CONFIG_SOURCE_STATIC_BROKER), 0);
}

static void open_state(void) {
        cr_assert_eq(state_open(&config, NOW, 0, &state), 0);
        Topic *topic = topic_find(state, STR("a"));
        partition = topic ? topic->partitions[0] : NULL;
}

/* The topic a, with one config or none. */
static void make_topic(const char *name, const char *value) {
        ConfigMap map = CONFIG_MAP_INIT;
        if (name)
                cr_assert_eq(config_map_set(&map, config_find_key(CONFIG_RESOURCE_TOPIC, str_of(name)), str_of(value),
                                            CONFIG_SOURCE_TOPIC), 0);
        Topic *topic;
        cr_assert_eq(topic_create(state, STR("a"), 2, &map, &topic), 0);
        config_map_deinit(&map);
        partition = topic->partitions[0];
        state_drain(state);
        file_ops.pwritev = noted_write;
        file_ops.fdatasync = noted_sync;
        forget_events();
}

static void setup(void) {
        snprintf(dir, sizeof(dir), "/tmp/odradek-durable-XXXXXX");
        cr_assert(mkdtemp(dir));
        snprintf(data_dir, sizeof(data_dir), "%s/data", dir);
        config = (Config){ .data_dir = data_dir };
        trace_level = TRACE_ERROR;
}

static void teardown(void) {
        file_ops = FILE_OPS_SYSTEM;
        state_abandon(state);
        config_map_deinit(&config.broker);
        char command[128];
        snprintf(command, sizeof(command), "rm -rf '%s'", dir);
        cr_assert_eq(system(command), 0);
}

TestSuite(durable, .init = setup, .fini = teardown);

static Buffer make_batch(int32_t sequence) {
        BatchBuilder builder;
        batch_builder_init(&builder, 0, sequence < 0 ? -1 : 5, sequence < 0 ? -1 : 0, sequence);
        batch_builder_add(&builder, NOW, STR_NULL, STR("v"), NULL, 0);
        cr_assert_eq(batch_builder_finish(&builder, 0), 0);
        return builder.out;
}

static void note_ack(void) {
        note('a');
}

static void append_to(Partition *to, Ack *ack) {
        state_append_acked(state, to, ack);
        ack->on_done = note_ack;
}

static void on_wake(PartitionWait *wait, State *unused) {
        note('r');
}

typedef struct MarkWait {
        CommitWait wait;
        int64_t mark;
        bool is_over;
} MarkWait;

static void on_mark(CommitWait *wait, State *unused) {
        MarkWait *waits = container_of(wait, MarkWait, wait);
        waits->is_over = state_sync_is_past(state, waits->mark);
        if (!waits->is_over)
                state_wait_sync(state, wait, on_mark);
}

/* As a start, which syncs logs that are queued already. */
Test(durable, whoever_waits_learns_of_a_queue_that_has_nothing_left_to_sync) {
        config.durable = true;
        open_state();
        make_topic(NULL, NULL);
        Partition *other = partition->topic->partitions[1];
        LogAppend result;
        Buffer batch = make_batch(-1);
        cr_assert_eq(partition_append_owned(state, partition, &batch, LOG_ORIGIN_BROKER, &result), 0);
        state_commit(state);
        batch = make_batch(-1);
        cr_assert_eq(partition_append_owned(state, other, &batch, LOG_ORIGIN_BROKER, &result), 0);
        state_commit(state);
        MarkWait waits = { .mark = state_sync_mark(state) };
        cr_assert_gt(waits.mark, 0);
        state_wait_sync(state, &waits.wait, on_mark);
        cr_assert_eq(log_sync(other->log), 0);
        worker_drain(&state->flusher);
        cr_assert(waits.is_over);
}

Test(durable, the_sync_comes_before_the_answer_and_the_reader) {
        config.durable = true;
        open_state();
        make_topic(NULL, NULL);
        PartitionWait reader = { .wake = on_wake };
        list_append(&partition->fetch_waits, &reader.node);
        Ack ack;
        append_to(partition, &ack);
        state_commit(state);
        cr_assert_str_eq(events, "w");
        cr_assert_eq(partition_high_watermark(partition), 0);
        FileSpan span;
        cr_assert_eq(partition_read(partition, 0, false, 1000, true, &span), 0);
        cr_assert_eq(span.size, 0, "nothing is served before it is on disk");
        state_drain(state);
        cr_assert_str_eq(events, "wsar");
        cr_assert_eq(partition_high_watermark(partition), 1);
        cr_assert_eq(log_recovery_point(partition->log), 1);
        cr_assert_eq(partition_read(partition, 0, false, 1000, true, &span), 0);
        cr_assert_gt(span.size, 0);
        file_span_release(&span);
        list_remove(&reader.node);
}

static int refusals_left;

static int open_directory_later(const char *path, int flags, mode_t mode) {
        return flags & O_DIRECTORY && refusals_left-- > 0 ? (errno = EMFILE, -1) : open(path, flags, mode);
}

/* To be out of descriptors for a while is no reason to give up, nor to acknowledge. */
Test(durable, a_sync_waits_for_a_descriptor) {
        config.durable = true;
        open_state();
        make_topic(NULL, NULL);
        Ack ack;
        append_to(partition, &ack);
        state_commit(state);
        file_ops.open = open_directory_later;
        refusals_left = 20; /* the reserve holds fewer */
        state_drain(state);
        cr_assert_lt(refusals_left, 0);
        cr_assert(ack.count == 1 && !state->failed);
        cr_assert_eq(log_recovery_point(partition->log), 1);
}

Test(durable, appends_of_one_round_share_a_sync) {
        config.durable = true;
        open_state();
        make_topic(NULL, NULL);
        Ack first, later[3];
        append_to(partition, &first);
        state_commit(state); /* its round is under way */
        for (int i = 0; i < 3; i++) {
                append_to(partition, &later[i]);
                state_commit(state);
        }
        state_drain(state);
        cr_assert_str_eq(events, "wwwwsasaaa");
}

Test(durable, partitions_of_one_round_are_synced_together) {
        config.durable = true;
        open_state();
        make_topic(NULL, NULL);
        Ack acks[2];
        for (int i = 0; i < 2; i++)
                append_to(topic_find(state, STR("a"))->partitions[i], &acks[i]);
        state_drain(state);
        cr_assert_str_eq(events, "wwssaa");
}

Test(durable, without_it_nothing_waits) {
        open_state();
        make_topic(NULL, NULL);
        Ack ack;
        append_to(partition, &ack);
        state_commit(state);
        cr_assert_str_eq(events, "wa");
        state_drain(state);
        cr_assert_str_eq(events, "wa");
        cr_assert_eq(log_recovery_point(partition->log), 0);
}

Test(durable, flush_messages_holds_the_append_that_fills_it) {
        open_state();
        make_topic("flush.messages", "3");
        Ack acks[4];
        for (int i = 0; i < 4; i++) {
                append_to(partition, &acks[i]);
                state_commit(state);
        }
        cr_assert_str_eq(events, "wawaww");
        cr_assert_eq(partition_high_watermark(partition), 4, "what may be lost anyway is served at once");
        state_drain(state);
        cr_assert_eq(acks[2].count + acks[3].count, 2);
        cr_assert_geq(log_recovery_point(partition->log), 3);
}

Test(durable, flush_messages_of_one_is_durable) {
        open_state();
        make_topic("flush.messages", "1");
        Ack ack;
        append_to(partition, &ack);
        state_commit(state);
        cr_assert_str_eq(events, "w");
        cr_assert_eq(partition_high_watermark(partition), 0);
        state_drain(state);
        cr_assert_str_eq(events, "wsa");
}

Test(durable, flush_ms_syncs_what_is_that_old) {
        open_state();
        make_topic("flush.ms", "500");
        Ack ack;
        append_to(partition, &ack);
        state_commit(state);
        cr_assert_str_eq(events, "wa");
        state->mono_ms = 499;
        state_run_timers(state);
        state_drain(state);
        cr_assert_str_eq(events, "wa");
        cr_assert_eq(state_next_timer_ms(state), 500);
        state->mono_ms = 500;
        state_run_timers(state);
        state_drain(state);
        cr_assert_str_eq(events, "was");
        cr_assert_eq(log_recovery_point(partition->log), 1);
        cr_assert_neq(state_next_timer_ms(state), 500, "a clean partition has no deadline");
}

Test(durable, a_topic_becomes_durable_and_stops_to_be) {
        open_state();
        make_topic(NULL, NULL);
        Ack ack;
        append_to(partition, &ack);
        state_commit(state);
        ConfigMap map = CONFIG_MAP_INIT;
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_TOPIC, STR("flush.messages"));
        cr_assert_eq(config_map_set(&map, key, STR("1"), CONFIG_SOURCE_TOPIC), 0);
        cr_assert_eq(topic_set_config(state, partition->topic, &map), 0);
        cr_assert_eq(partition_high_watermark(partition), 1, "it never falls");
        state_drain(state);
        cr_assert_eq(log_recovery_point(partition->log), 1, "what is there already is synced");
        append_to(partition, &ack);
        state_commit(state);
        cr_assert_eq(partition_high_watermark(partition), 1);
        map = CONFIG_MAP_INIT;
        cr_assert_eq(topic_set_config(state, partition->topic, &map), 0);
        cr_assert_eq(partition_high_watermark(partition), 2);
        state_drain(state);
        cr_assert_eq(ack.count, 1);
}

/* Appends twice to each of two partitions with the n-th sync failing: what is acknowledged lies below a recovery point. */
Test(durable, after_a_failed_sync_nothing_is_acknowledged) {
        for (int n = 1; n <= 6; n++) {
                config.durable = true;
                open_state();
                if (!partition)
                        make_topic(NULL, NULL);
                forget_events();
                sync_calls = 0;
                failing_sync = n;
                Ack acks[4];
                for (int i = 0; i < 4; i++) {
                        append_to(partition->topic->partitions[i % 2], &acks[i]);
                        state_commit(state);
                        if (i % 2)
                                state_drain(state);
                        if (state->failed)
                                for (int k = 0; k <= i; k++)
                                        cr_assert(!acks[k].count || log_recovery_point(acks[k].partition->log) >= acks[k].end_offset);
                        if (state->failed)
                                break;
                }
                cr_assert_eq(state->failed, sync_calls >= n, "sync %d", n);
                const char *failed_at = events;
                for (int left = n; state->failed && *failed_at; failed_at++)
                        if (*failed_at == 's' && --left == 0)
                                break;
                cr_assert(!state->failed || !strchr(failed_at, 'a'), "%s", events);
                Buffer bytes = make_batch(-1);
                LogAppend result;
                int r = partition_append_owned(state, partition, &bytes, LOG_ORIGIN_BROKER, &result);
                cr_assert_eq(r, state->failed ? KAFKA_KAFKA_STORAGE_ERROR : 0);
                cr_assert(!state->failed || topic_create(state, STR("b"), 1, &CONFIG_MAP_INIT, NULL) != 0);
                bool failed = state->failed;
                failing_sync = 0;
                cr_assert_eq(state_close(state) != 0, failed);
                state = NULL;
                forget_events();
        }
}

Test(durable, deleting_a_topic_ends_the_wait) {
        config.durable = true;
        open_state();
        make_topic(NULL, NULL);
        Ack ack;
        append_to(partition, &ack);
        state_commit(state);
        cr_assert_eq(ack.count, 0);
        cr_assert_eq(topic_delete(state, partition->topic), 0);
        cr_assert_eq(ack.count, 1);
        state_drain(state); /* the round that was under way */
        cr_assert_not(state->failed);
}

Test(durable, the_name_of_a_deleted_topic_is_free_when_its_files_are_gone) {
        config.durable = true;
        open_state();
        make_topic(NULL, NULL);
        Ack ack;
        append_to(partition, &ack);
        state_commit(state); /* its round has not run yet, and knows files by their names */
        cr_assert_eq(topic_delete(state, partition->topic), 0);
        cr_assert_eq(topic_create(state, STR("a"), 1, &CONFIG_MAP_INIT, NULL), -EBUSY);
        cr_assert_not(list_is_empty(&state->flusher.todo), "nobody waits for the disk");
        state_drain(state);
        cr_assert_eq(state->deletions.count, 0);
        cr_assert_eq(topic_create(state, STR("a"), 1, &CONFIG_MAP_INIT, NULL), 0);
        cr_assert_str_eq(events, "was");
        partition = topic_find(state, STR("a"))->partitions[0];
        append_to(partition, &ack);
        state_drain(state);
        cr_assert(!state->failed && ack.count == 1);
        cr_assert_eq(partition_high_watermark(partition), 1);
        cr_assert_eq(state_sync_mark(state), 0);
}

/* A producer that lost its connection asks again: what is in the log already is no answer before it is on disk. */
Test(durable, a_retry_waits_for_the_original) {
        config.durable = true;
        open_state();
        make_topic(NULL, NULL);
        LogAppend result;
        for (int i = 0; i < 2; i++) {
                Buffer bytes = make_batch(0);
                cr_assert_eq(partition_append(state, partition, bytes.data, bytes.size, LOG_ORIGIN_CLIENT, &result), 0);
                cr_assert_eq(result.duplicate, i == 1);
                state_commit(state);
                buffer_deinit(&bytes);
                cr_assert(!partition_is_settled(partition, result.last_offset + 1));
        }
        state_drain(state);
        cr_assert(partition_is_settled(partition, result.last_offset + 1));
        cr_assert_str_eq(events, "ws");
}

Test(durable, a_cancelled_wait_stays_silent) {
        config.durable = true;
        open_state();
        make_topic(NULL, NULL);
        Ack ack;
        append_to(partition, &ack);
        state_commit(state);
        list_remove(&ack.wait.node);
        state_drain(state);
        cr_assert_eq(ack.count, 0);
        cr_assert_eq(partition_high_watermark(partition), 1);
}

static void on_journal_written(JournalWrite *write, State *unused, int16_t code) {
        cr_assert_eq(code, 0);
        note('e');
}

Test(durable, the_journal_takes_effect_when_written_and_its_mark_passes_when_synced) {
        config.durable = true;
        set_broker("offsets.topic.num.partitions", "1");
        open_state();
        make_topic(NULL, NULL);
        cr_assert_eq(groups_ensure_topic(state), 0);
        state_drain(state);
        forget_events();
        Journal journal;
        JournalWrite write;
        CommittedOffset offset = { .topic = (char *)"a", .offset = 1, .metadata = STR(""), .expire_timestamp_ms = -1 };
        cr_assert_eq(state_sync_mark(state), 0);
        journal_begin(&journal, NOW);
        journal_add_offset(&journal, STR("g"), &offset);
        cr_assert_eq(journal_append(state, &journal, STR("g"), &write, on_journal_written), 0);
        state_commit(state);
        cr_assert_str_eq(events, "we");
        int64_t mark = state_sync_mark(state);
        cr_assert(mark > 0 && !state_sync_is_past(state, mark));
        state_drain(state);
        cr_assert(state_sync_is_past(state, mark));
        cr_assert_str_eq(events, "wes");
        cr_assert_eq(state_sync_mark(state), 0);
}

/* Marks under load: what comes later does not hold up who came before. */
Test(durable, a_mark_passes_with_its_own_round) {
        config.durable = true;
        open_state();
        make_topic(NULL, NULL);
        Ack acks[2];
        append_to(partition, &acks[0]);
        state_commit(state);
        int64_t mark = state_sync_mark(state);
        append_to(partition, &acks[1]);
        state_commit(state);
        cr_assert_gt(state_sync_mark(state), mark);
        worker_wait(&state->flusher);
        worker_collect(&state->flusher);
        cr_assert(state_sync_is_past(state, mark));
        cr_assert_neq(state_sync_mark(state), 0);
        state_drain(state);
        cr_assert_eq(state_sync_mark(state), 0);
}

/* Nor does what need not be synced any more let it pass too early. */
Test(durable, a_mark_does_not_pass_because_another_topic_is_deleted) {
        config.durable = true;
        open_state();
        make_topic(NULL, NULL);
        Topic *other;
        cr_assert_eq(topic_create(state, STR("b"), 1, &CONFIG_MAP_INIT, &other), 0);
        Ack acks[2];
        append_to(partition, &acks[0]);
        state_commit(state); /* its round is under way */
        int64_t mark = state_sync_mark(state);
        append_to(other->partitions[0], &acks[1]);
        state_commit(state);
        cr_assert_eq(topic_delete(state, other), 0);
        cr_assert(!state_sync_is_past(state, mark));
        state_drain(state);
        cr_assert(state_sync_is_past(state, mark));
}

Test(durable, sealed_segments_are_synced_in_the_background) {
        open_state();
        make_topic("segment.bytes", "1048576");
        LogConfig small = *log_config(partition->log);
        small.segment_bytes = 200;
        log_set_config(partition->log, &small);
        Ack ack;
        for (int i = 0; i < 9; i++) {
                append_to(partition, &ack);
                state_commit(state);
                cr_assert_eq(ack.count, 1);
        }
        cr_assert_null(strchr(events, 's'));
        state_drain(state);
        cr_assert_gt(log_active_offset(partition->log), 0);
        cr_assert_eq(log_recovery_point(partition->log), log_active_offset(partition->log));
        cr_assert_lt(log_recovery_point(partition->log), log_end_offset(partition->log));
        state->mono_ms = state_next_timer_ms(state);
        cr_assert_leq(state->mono_ms, 5000, "the recovery point is written soon");
        state_run_timers(state);
        state_drain(state);
        int64_t recovery_point = log_recovery_point(partition->log);
        state_abandon(state);
        open_state();
        cr_assert_eq(partition->recovery_point, recovery_point);
        cr_assert_eq(log_end_offset(partition->log), 9);
}

/* A roll would wait for them. */
Test(durable, the_names_of_a_young_log_do_not_wait_for_what_was_rolled) {
        open_state();
        make_topic(NULL, NULL);
        Partition *young = partition->topic->partitions[1];
        LogConfig small = *log_config(partition->log);
        Ack ack;
        small.segment_bytes = 200;
        log_set_config(partition->log, &small);
        for (int i = 0; i < 9; i++) {
                append_to(partition, &ack);
                state_commit(state);
                worker_drain(&state->maker);
        }
        cr_assert(worker_has_jobs(&state->worker), "the round of what was rolled");
        small.segment_bytes = 400;
        log_set_config(young->log, &small);
        while (!log_wants_names(young->log)) {
                append_to(young, &ack);
                state_commit(state);
        }
        cr_assert_eq(log_active_offset(young->log), 0);
        worker_drain(&state->maker);
        cr_assert_not(log_wants_names(young->log));
        cr_assert(worker_has_jobs(&state->worker), "nobody waited for that");
        state_drain(state);
}

Test(durable, what_a_crash_left_unsynced_is_synced_before_it_is_served) {
        open_state();
        make_topic(NULL, NULL);
        Ack ack;
        append_to(partition, &ack);
        state_commit(state);
        state_abandon(state);
        config.durable = true;
        open_state();
        cr_assert_eq(partition_high_watermark(partition), log_recovery_point(partition->log));
        state_drain(state);
        cr_assert_eq(partition_high_watermark(partition), 1);
        cr_assert_eq(log_recovery_point(partition->log), 1);
}
