/* Which logs are compacted, when, and what is left of them. Without a thread: a compaction runs when the test drains it. */
#include "broker/state/cleaner.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/state/groups/groups.h"
#include "broker/state/journal.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/batch.h"
#include "tests/lib/ask.h"
#include "tests/lib/state_fixture.h"

#define KEYS 10
#define BACKOFF_MS 15000

static StateFixture fixture;

static void setup(void) {
        state_fixture_start(&fixture);
}

static void teardown(void) {
        file_ops = FILE_OPS_SYSTEM;
        state_fixture_end(&fixture);
}

TestSuite(cleaner, .init = setup, .fini = teardown);

static void set(ConfigMap *map, const char *name, const char *value) {
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_TOPIC, str_of(name));
        cr_assert_not_null(key, "%s", name);
        cr_assert_eq(config_map_set(map, key, str_of(value), CONFIG_SOURCE_TOPIC), 0);
}

/* With segments of a few records, that are compacted as soon as they are dirty; one config more, or NULL. */
static ConfigMap compacted(const char *name, const char *value) {
        ConfigMap map = CONFIG_MAP_INIT;
        set(&map, "cleanup.policy", "compact");
        set(&map, "segment.bytes", "1048576");
        set(&map, "segment.index.bytes", "24"); /* a new segment after two indexed batches */
        set(&map, "index.interval.bytes", "1");
        set(&map, "min.cleanable.dirty.ratio", "0");
        if (name)
                set(&map, name, value);
        return map;
}

static Partition *create(const char *topic_name, const char *name, const char *value) {
        ConfigMap map = compacted(name, value);
        Topic *topic;
        cr_assert_eq(state_create_patiently(fixture.state, str_of(topic_name), 1, &map, &topic), 0);
        config_map_deinit(&map);
        return topic->partitions[0];
}

static Partition *find(const char *topic) {
        return partition_find(fixture.state, str_of(topic), 0);
}

/* value NULL: a tombstone. */
static void append(Partition *partition, int key, const char *value) {
        char text[16];
        snprintf(text, sizeof(text), "k%d", key);
        BatchBuilder builder;
        LogAppend result;
        batch_builder_init(&builder, 0, -1, -1, -1);
        batch_builder_add(&builder, fixture.state->now_ms, str_of(text), value ? str_of(value) : STR_NULL, NULL, 0);
        cr_assert_eq(batch_builder_finish(&builder, 0), 0);
        Buffer bytes = builder.out;
        builder.out = BUFFER_INIT;
        batch_builder_deinit(&builder);
        cr_assert_eq(partition_append_owned(fixture.state, partition, &bytes, LOG_ORIGIN_BROKER, &result), 0);
        state_commit(fixture.state);
}

static void append_rounds(Partition *partition, int rounds) {
        for (int i = 0; i < rounds * KEYS; i++)
                append(partition, i % KEYS, "v");
        worker_drain(&fixture.state->worker); /* only what is on disk is compacted */
}

Test(cleaner, what_is_not_on_disk_is_not_compacted) {
        Partition *partition = create("a", NULL, NULL);
        for (int i = 0; i < 10 * KEYS; i++)
                append(partition, i % KEYS, "v");
        state_fixture_advance(&fixture, BACKOFF_MS);
        cr_assert_null(fixture.state->cleaner.busy);
        state_drain(fixture.state);
        state_fixture_advance(&fixture, BACKOFF_MS);
        cr_assert_eq(fixture.state->cleaner.busy, partition);
        state_drain(fixture.state);
}

static int count_batches(Partition *partition) {
        int count = 0;
        for (int64_t offset = log_start_offset(partition->log); offset < log_end_offset(partition->log);) {
                FileSpan span;
                uint8_t head[BATCH_HEADER_BYTES];
                BatchHeader header;
                cr_assert_eq(log_read(partition->log, offset, INT64_MAX, 1, true, &span), 0);
                if (!span.size)
                        break;
                cr_assert_eq(pread(span.fd, head, sizeof(head), span.position), (ssize_t)sizeof(head));
                batch_read_header(head, sizeof(head), &header);
                file_span_release(&span);
                offset = batch_next_offset(&header);
                count++;
        }
        return count;
}

static void clean(void) {
        state_fixture_advance(&fixture, BACKOFF_MS);
        state_drain(fixture.state);
        state_fixture_advance(&fixture, BACKOFF_MS);
        state_drain(fixture.state);
}

/* Each key once, and what the active segment holds. */
static void assert_compacted(Partition *partition) {
        int count = count_batches(partition);
        cr_assert(count >= KEYS && count < 2 * KEYS, "%d batches are left", count);
}

Test(cleaner, keeps_the_last_record_of_each_key) {
        Partition *partition = create("a", NULL, NULL);
        append_rounds(partition, 10);
        int64_t end = log_end_offset(partition->log);
        state_fixture_advance(&fixture, BACKOFF_MS - 1);
        state_drain(fixture.state);
        cr_assert_eq(count_batches(partition), 10 * KEYS, "it waits for the backoff");
        clean();
        assert_compacted(partition);
        cr_assert_eq(log_end_offset(partition->log), end);
        cr_assert_gt(partition->cleaner_offset, 0);
}

Test(cleaner, an_idle_broker_does_not_wake_up_for_it) {
        Partition *partition = create("a", NULL, NULL);
        append_rounds(partition, 10);
        clean();
        cr_assert(list_is_empty(&fixture.state->cleaner.queue));
        cr_assert_not(timer_is_set(&fixture.state->cleaner.timer));
        append_rounds(partition, 1);
        cr_assert(timer_is_set(&fixture.state->cleaner.timer), "a roll is news");
}

Test(cleaner, the_dirtiest_comes_first) {
        Partition *a = create("a", NULL, NULL), *b = create("b", NULL, NULL);
        append_rounds(a, 10);
        clean();
        append_rounds(a, 2);
        append_rounds(b, 10);
        state_fixture_advance(&fixture, BACKOFF_MS);
        cr_assert_eq(fixture.state->cleaner.busy, b);
        state_drain(fixture.state);
        state_fixture_advance(&fixture, 0);
        cr_assert_eq(fixture.state->cleaner.busy, a);
        state_drain(fixture.state);
        assert_compacted(a);
        assert_compacted(b);
}

Test(cleaner, a_clean_enough_log_is_left_alone) {
        Partition *partition = create("a", "min.cleanable.dirty.ratio", "0.9");
        append_rounds(partition, 10);
        clean();
        assert_compacted(partition);
        append_rounds(partition, 1);
        int count = count_batches(partition);
        clean();
        cr_assert_eq(count_batches(partition), count);
}

Test(cleaner, young_records_wait_for_their_lag) {
        Partition *partition = create("a", "min.compaction.lag.ms", "100000");
        append_rounds(partition, 10);
        clean();
        cr_assert_eq(count_batches(partition), 10 * KEYS);
        state_fixture_advance(&fixture, 100000);
        clean();
        assert_compacted(partition);
}

Test(cleaner, records_that_waited_too_long_are_compacted_however_clean_the_log) {
        Partition *partition = create("a", "max.compaction.lag.ms", "100000");
        ConfigMap map = compacted("max.compaction.lag.ms", "100000");
        set(&map, "min.cleanable.dirty.ratio", "1");
        cr_assert_eq(topic_set_config(fixture.state, partition->topic, &map), 0);
        append_rounds(partition, 10);
        clean();
        cr_assert_eq(count_batches(partition), 10 * KEYS);
        state_fixture_advance(&fixture, 100000);
        clean();
        assert_compacted(partition);
}

Test(cleaner, tombstones_go_after_their_time) {
        Partition *partition = create("a", "delete.retention.ms", "50000");
        append_rounds(partition, 2);
        for (int i = 0; i < KEYS; i++)
                append(partition, i, NULL);
        for (int i = 0; i < 6; i++)
                append(partition, KEYS, "filler");
        clean();
        int with_tombstones = count_batches(partition);
        cr_assert_geq(with_tombstones, KEYS);
        state_fixture_advance(&fixture, 60000);
        for (int i = 0; i < 6; i++)
                append(partition, KEYS, "filler");
        clean();
        cr_assert_lt(count_batches(partition), KEYS);
}

Test(cleaner, goes_on_where_it_was_after_a_restart) {
        append_rounds(create("a", NULL, NULL), 10);
        clean();
        int64_t offset = find("a")->cleaner_offset;
        int count = count_batches(find("a"));
        state_drain(fixture.state);
        state_fixture_advance(&fixture, 1); /* the checkpoint files are written */
        state_drain(fixture.state);
        state_fixture_crash(&fixture);
        cr_assert_eq(find("a")->cleaner_offset, offset);
        cr_assert_eq(count_batches(find("a")), count);
        state_fixture_reopen(&fixture);
        cr_assert_eq(find("a")->cleaner_offset, offset);
        cr_assert_eq(count_batches(find("a")), count);
        append_rounds(find("a"), 5);
        clean();
        assert_compacted(find("a"));
}

Test(cleaner, a_topic_that_becomes_compacted_is_compacted_and_one_that_no_longer_is_is_not) {
        ConfigMap map = compacted("cleanup.policy", "delete");
        Topic *topic;
        cr_assert_eq(topic_create(fixture.state, STR("a"), 1, &map, &topic), 0);
        config_map_deinit(&map);
        Partition *partition = topic->partitions[0];
        append_rounds(partition, 10);
        clean();
        cr_assert_eq(count_batches(partition), 10 * KEYS);
        map = compacted(NULL, NULL);
        cr_assert_eq(topic_set_config(fixture.state, topic, &map), 0);
        state_fixture_advance(&fixture, BACKOFF_MS);
        cr_assert_eq(fixture.state->cleaner.busy, partition);
        map = compacted("cleanup.policy", "delete");
        cr_assert_eq(topic_set_config(fixture.state, topic, &map), 0);
        clean();
        cr_assert_eq(count_batches(partition), 10 * KEYS, "it was cancelled");
        map = compacted("cleanup.policy", "compact,delete");
        cr_assert_eq(topic_set_config(fixture.state, topic, &map), 0);
        clean();
        assert_compacted(partition);
}

Test(cleaner, a_topic_may_be_deleted_under_it) {
        Partition *partition = create("a", NULL, NULL);
        append_rounds(partition, 10);
        state_fixture_advance(&fixture, BACKOFF_MS);
        cr_assert_eq(fixture.state->cleaner.busy, partition);
        cr_assert_eq(topic_delete(fixture.state, partition->topic), 0);
        cr_assert_eq(fixture.state->cleaner.busy, partition, "nobody waits for it to end");
        state_drain(fixture.state);
        cr_assert_null(fixture.state->cleaner.busy);
        partition = create("a", NULL, NULL);
        clean();
        append_rounds(partition, 10);
        clean();
        assert_compacted(partition);
}

Test(cleaner, a_stop_does_not_wait_for_it) {
        append_rounds(create("a", NULL, NULL), 10);
        state_fixture_advance(&fixture, BACKOFF_MS);
        cr_assert_not_null(fixture.state->cleaner.busy);
        state_fixture_reopen(&fixture);
        cr_assert_eq(count_batches(find("a")), 10 * KEYS);
        state_fixture_advance(&fixture, BACKOFF_MS);
        cr_assert_not_null(fixture.state->cleaner.busy);
        state_fixture_crash(&fixture);
        clean();
        assert_compacted(find("a"));
}

/* Until the new segments serve under names that are not theirs yet. */
static Partition *clean_by_half(void) {
        Partition *partition = create("a", NULL, NULL);
        append_rounds(partition, 10);
        state_fixture_advance(&fixture, BACKOFF_MS);
        Worker *worker = &fixture.state->cleaner.worker;
        worker_wait(worker);
        worker_collect(worker);
        cr_assert_eq(fixture.state->cleaner.busy, partition);
        assert_compacted(partition);
        return partition;
}

Test(cleaner, new_segments_serve_before_they_have_their_names) {
        Partition *partition = clean_by_half();
        append_rounds(partition, 10);
        state_drain(fixture.state);
        cr_assert_null(fixture.state->cleaner.busy);
        clean();
        assert_compacted(partition);
}

Test(cleaner, a_crash_before_they_have_their_names_keeps_them) {
        clean_by_half();
        state_fixture_crash(&fixture);
        assert_compacted(find("a"));
}

Test(cleaner, a_stop_gives_them_their_names) {
        clean_by_half();
        state_fixture_reopen(&fixture);
        assert_compacted(find("a"));
}

Test(cleaner, a_topic_may_be_deleted_before_they_have_their_names) {
        cr_assert_eq(topic_delete(fixture.state, clean_by_half()->topic), 0);
        Partition *partition = create("a", NULL, NULL);
        append_rounds(partition, 10);
        clean();
        assert_compacted(partition);
}

Test(cleaner, log_cleaner_enable_turns_it_off) {
        state_fixture_set(&fixture, "log.cleaner.enable", "false");
        Partition *partition = create("a", NULL, NULL);
        append_rounds(partition, 10);
        clean();
        cr_assert_eq(count_batches(partition), 10 * KEYS);
}

static ssize_t full_disk(int fd, const struct iovec *parts, int count, off_t position) {
        return errno = ENOSPC, -1;
}

Test(cleaner, a_full_disk_only_postpones_it) {
        Partition *partition = create("a", NULL, NULL);
        append_rounds(partition, 10);
        state_drain(fixture.state);
        file_ops.pwritev = full_disk;
        clean();
        cr_assert_eq(count_batches(partition), 10 * KEYS);
        file_ops = FILE_OPS_SYSTEM;
        clean();
        assert_compacted(partition);
}

Test(cleaner, a_damaged_log_is_left_as_it_is) {
        Partition *partition = create("a", NULL, NULL);
        append_rounds(partition, 10);
        char path[256];
        snprintf(path, sizeof(path), "%s/a-0/%020d.log", fixture.dir, 0);
        state_drain(fixture.state);
        FILE *file = fopen(path, "r+");
        cr_assert_not_null(file);
        fseek(file, BATCH_HEADER_BYTES + 2, SEEK_SET);
        fputc(0x55, file);
        fclose(file);
        clean();
        cr_assert(partition->is_uncleanable);
        cr_assert_eq(count_batches(partition), 10 * KEYS);
        cr_assert_not(timer_is_set(&fixture.state->cleaner.timer));
        append_rounds(partition, 1);
        clean();
        cr_assert_eq(count_batches(partition), 11 * KEYS, "it is served, but not tried again");
}

static void commit(int64_t offset) {
        OffsetCommitRequestPartition partition = { .partition_index = 0, .committed_offset = offset, .committed_leader_epoch = -1,
                                                   .committed_metadata = STR("") };
        OffsetCommitRequestTopic topic = { .name = STR("a"), .partitions = &partition, .partitions_count = 1 };
        OffsetCommitResponse *answer = ASK(fixture.state, OffsetCommit, offset_commit, 7, .group_id = STR("g"), .member_id = STR(""),
                                           .group_instance_id = STR_NULL, .generation_id_or_member_epoch = -1, .topics = &topic,
                                           .topics_count = 1);
        cr_assert_eq(answer->topics[0].partitions[0].error_code, 0);
}

Test(cleaner, committed_offsets_outlast_the_compaction_of_their_log) {
        state_fixture_set(&fixture, "offsets.topic.segment.bytes", "1048576");
        create("a", NULL, NULL);
        for (int64_t offset = 1; offset <= 15000; offset++)
                commit(offset);
        Topic *topic = topic_find(fixture.state, STR(TOPIC_NAME_OFFSETS));
        int64_t bytes = 0, bytes_left = 0;
        for (int32_t i = 0; i < topic->partition_count; i++)
                bytes += log_size_bytes(topic->partitions[i]->log);
        clean();
        for (int32_t i = 0; i < topic->partition_count; i++)
                bytes_left += log_size_bytes(topic->partitions[i]->log);
        cr_assert(bytes > 1 << 20 && bytes_left < 1 << 20, "%lld bytes became %lld", (long long)bytes, (long long)bytes_left);
        state_fixture_reopen(&fixture);
        const CommittedOffset *found = offset_find(group_find(fixture.state, STR("g")), STR("a"), 0);
        cr_assert(found && found->offset == 15000);
}

/* What is appended meanwhile waits for no other write to get to the disk. */
Test(cleaner, durable_appends_are_synced_after_it) {
        fixture.config.durable = true;
        Partition *partition = create("a", NULL, NULL);
        append_rounds(partition, 10);
        state_drain(fixture.state);
        state_fixture_advance(&fixture, BACKOFF_MS);
        cr_assert_eq(fixture.state->cleaner.busy, partition);
        append(partition, 0, "v");
        worker_drain(&fixture.state->flusher);
        worker_drain(&fixture.state->cleaner.worker);
        worker_drain(&fixture.state->flusher);
        cr_assert_eq(fixture.state->flushes_done, fixture.state->flushes_wanted);
        cr_assert_eq(partition_high_watermark(partition), log_end_offset(partition->log));
}

Test(cleaner, retention_looks_at_a_few_logs_a_turn) {
        Topic *topic;
        ConfigMap map = CONFIG_MAP_INIT;
        set(&map, "retention.ms", "1000");
        set(&map, "segment.ms", "500");
        cr_assert_eq(topic_create(fixture.state, STR("many"), 200, &map, &topic), 0);
        config_map_deinit(&map);
        for (int i = 0; i < 200; i++)
                append(topic->partitions[i], 0, "v");
        state_fixture_advance(&fixture, 301000);
        for (int i = 0; i < 200; i++)
                cr_assert_eq(log_start_offset(topic->partitions[i]->log), 1, "partition %d", i);
}

/* Each cut is synced: what else there is to do in a turn must not wait for those of all logs. */
Test(cleaner, retention_cuts_one_log_a_turn) {
        Topic *topic;
        ConfigMap map = CONFIG_MAP_INIT;
        set(&map, "retention.ms", "1000");
        cr_assert_eq(topic_create(fixture.state, STR("many"), 10, &map, &topic), 0);
        config_map_deinit(&map);
        for (int i = 0; i < 10; i++)
                append(topic->partitions[i], 0, "v");
        fixture.state->now_ms += 300001;
        fixture.state->mono_ms += 300001;
        for (int turn = 1; turn <= 10; turn++) {
                int n_cut = 0;
                state_run_timers(fixture.state);
                for (int i = 0; i < 10; i++)
                        n_cut += log_start_offset(topic->partitions[i]->log) == 1;
                cr_assert_eq(n_cut, turn);
                state_commit(fixture.state);
                fixture.state->mono_ms += 1;
        }
}
