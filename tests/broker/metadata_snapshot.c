/* Snapshots of the metadata log: written, read back, let go; what they keep and what they drop. */
#include "broker/state/metadata/metadata_snapshot.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "broker/state/metadata/metadata.h"
#include "broker/state/metadata/metadata_image.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"
#include "tests/lib/state_fixture.h"

#define NOW 1700000000000

static char dir[64], data_dir[96], path[128];
static Config config;
static State *state;

static void setup(void) {
        snprintf(dir, sizeof(dir), "/tmp/odradek-snapshot-XXXXXX");
        cr_assert(mkdtemp(dir));
        snprintf(data_dir, sizeof(data_dir), "%s/data", dir);
        snprintf(path, sizeof(path), "%s/__cluster_metadata-0", data_dir);
        config = (Config){ .data_dir = data_dir };
        trace_level = TRACE_ERROR;
}

static void teardown(void) {
        state_abandon(state);
        config_map_deinit(&config.broker);
        char command[128];
        snprintf(command, sizeof(command), "rm -rf '%s'", dir);
        cr_assert_eq(system(command), 0);
}

TestSuite(metadata_snapshot, .init = setup, .fini = teardown);

static void set_broker(const char *name, const char *value) {
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_BROKER, str_of(name));
        cr_assert_not_null(key, "%s", name);
        cr_assert_eq(config_map_set(&config.broker, key, str_of(value), CONFIG_SOURCE_STATIC_BROKER), 0);
}

static void open_state(void) {
        cr_assert_eq(state_open(&config, NOW, 0, &state), 0);
}

static void reopen(void) {
        state_abandon(state);
        state = NULL;
        open_state();
}

static void create(const char *name, int32_t partitions) {
        ConfigMap map = CONFIG_MAP_INIT;
        cr_assert_eq(config_map_set(&map, config_find_key(CONFIG_RESOURCE_TOPIC, STR("retention.ms")), STR("12345"),
                                    CONFIG_SOURCE_TOPIC), 0);
        cr_assert_eq(state_create_patiently(state, str_of(name), partitions, &map, NULL), 0);
        config_map_deinit(&map);
}

/* How many files of that pattern the log's directory holds; the last of them in *ret_name. */
static int count_files(const char *pattern, char *ret_name) {
        char full[192];
        glob_t found;
        snprintf(full, sizeof(full), "%s/%s", path, pattern);
        int count = glob(full, 0, NULL, &found) == 0 ? (int)found.gl_pathc : 0;
        if (count && ret_name)
                snprintf(ret_name, 256, "%s", found.gl_pathv[count - 1]);
        if (count)
                globfree(&found);
        return count;
}

static int count_one(Str record, void *data) {
        ++*(int *)data;
        return 0;
}

/* The newest snapshot's records. */
static int count_records(void) {
        char name[256];
        int count = 0;
        MetadataImage image;
        cr_assert_geq(count_files("*.checkpoint", name), 1);
        metadata_image_init(&image);
        cr_assert_eq(metadata_replay_snapshot(&image.replay, name), 0);
        metadata_image_each(&image, count_one, &count);
        metadata_image_deinit(&image);
        return count;
}

static void snapshot_now(void) {
        state_drain(state); /* what is on disk is due in time */
        state->mono_ms += 3600000;
        state_run_timers(state);
        state_drain(state);
}

Test(metadata_snapshot, time_and_something_new_make_one) {
        open_state();
        cr_assert_eq(count_files("*.checkpoint", NULL), 0);
        state->mono_ms = 3599999;
        state_run_timers(state);
        state_drain(state);
        cr_assert_eq(count_files("*.checkpoint", NULL), 0);
        state->mono_ms = 3600000;
        state_run_timers(state);
        state_drain(state);
        cr_assert_eq(count_files("*-0000000001.checkpoint", NULL), 1);
        snapshot_now();
        cr_assert_eq(count_files("*.checkpoint", NULL), 1, "nothing happened since");
        create("a", 1);
        snapshot_now();
        cr_assert_eq(count_files("*.checkpoint", NULL), 2);
}

Test(metadata_snapshot, so_many_bytes_make_one) {
        set_broker("metadata.log.max.record.bytes.between.snapshots", "2000");
        open_state();
        char name[16];
        for (int i = 0; i < 40; i++) {
                snprintf(name, sizeof(name), "t%d", i);
                create(name, 1);
                state_drain(state);
        }
        int count = count_files("*.checkpoint", NULL);
        cr_assert(count >= 3 && count <= 12, "%d", count);
        reopen();
        for (int i = 0; i < 40; i++) {
                snprintf(name, sizeof(name), "t%d", i);
                cr_assert_not_null(topic_find(state, str_of(name)), "%s", name);
        }
}

static void expect_state(const Uuid *id, int64_t producer_id_min) {
        Topic *topic = topic_find(state, STR("a"));
        ConfigSource source;
        cr_assert_not_null(topic);
        cr_assert(uuid_equal(&topic->id, id));
        cr_assert_eq(topic->partition_count, 5);
        cr_assert(str_equal(config_topic_str(state->config, &topic->config, "retention.ms", &source), STR("777")));
        cr_assert_eq(source, CONFIG_SOURCE_TOPIC);
        cr_assert_null(topic_find(state, STR("gone")));
        cr_assert_not_null(topic_find(state, STR("tail")));
        cr_assert_geq(state_take_producer_id(state), producer_id_min);
}

Test(metadata_snapshot, a_start_reads_the_snapshot_and_the_tail) {
        open_state();
        create("a", 2);
        create("gone", 3);
        int64_t producer_id = state_take_producer_id(state);
        ConfigMap map = CONFIG_MAP_INIT;
        cr_assert_eq(config_map_set(&map, config_find_key(CONFIG_RESOURCE_TOPIC, STR("retention.ms")), STR("777"),
                                    CONFIG_SOURCE_TOPIC), 0);
        cr_assert_eq(topic_set_config(state, topic_find(state, STR("a")), &map), 0);
        cr_assert_eq(topic_delete(state, topic_find(state, STR("gone"))), 0);
        Uuid id = topic_find(state, STR("a"))->id;
        snapshot_now();
        cr_assert_eq(topic_add_partitions(state, topic_find(state, STR("a")), 5), 0);
        create("tail", 1);
        reopen();
        expect_state(&id, producer_id + 1);
        snapshot_now(); /* made of the first one and the tail */
        cr_assert_eq(count_files("*.checkpoint", NULL), 2);
        reopen();
        expect_state(&id, producer_id + 1);
}

Test(metadata_snapshot, what_is_gone_takes_no_space) {
        open_state();
        snapshot_now();
        int before = count_records();
        for (int i = 0; i < 20; i++) {
                create("a", 4);
                cr_assert_eq(topic_delete(state, topic_find(state, STR("a"))), 0);
        }
        snapshot_now();
        cr_assert_eq(count_records(), before);
        create("a", 4);
        snapshot_now();
        cr_assert_eq(count_records(), before + 1 + 1 + 4, "a topic, a config, its partitions");
}

Test(metadata_snapshot, old_ones_go_with_the_log_below_the_next) {
        set_broker("metadata.max.retention.ms", "1000");
        set_broker("metadata.log.segment.bytes", "8388608");
        open_state();
        create("a", 1);
        snapshot_now();
        cr_assert_eq(count_files("*.checkpoint", NULL), 1, "the newest stays, however old");
        state->now_ms += 5000;
        create("b", 1);
        snapshot_now();
        char name[256];
        cr_assert_eq(count_files("*.checkpoint*", name), 1);
        cr_assert_null(strstr(name, "00000000000000000000-"));
        reopen();
        cr_assert_not_null(topic_find(state, STR("a")));
        cr_assert_not_null(topic_find(state, STR("b")));
}

/* A log whose first segment is gone, as retention leaves it. */
static void drop_log_below_snapshot(void) {
        LogOpen how = { .path = path, .config = LOG_CONFIG_INIT, .clean_shutdown = true, .now_ms = NOW };
        Log *log;
        cr_assert_eq(state_close(state), 0);
        state = NULL;
        cr_assert_eq(log_open(&how, &log), 0);
        LogConfig rolling = how.config;
        rolling.segment_ms = -1;
        rolling.retention_ms = -1;
        log_set_config(log, &rolling);
        cr_assert_eq(log_retain(log, NOW + 1), 0);
        cr_assert_eq(log_advance_start(log, log_end_offset(log), NOW), 0);
        cr_assert_gt(log_start_offset(log), 0);
        cr_assert_eq(log_close(log, NOW), 0);
}

Test(metadata_snapshot, the_log_may_begin_where_the_snapshot_ends) {
        open_state();
        create("a", 1);
        snapshot_now();
        drop_log_below_snapshot();
        cr_assert_eq(count_files("00000000000000000000.log", NULL), 0);
        open_state();
        cr_assert_not_null(topic_find(state, STR("a")));
        create("b", 1);
        reopen();
        cr_assert_not_null(topic_find(state, STR("b")));
        snapshot_now();
        reopen();
        cr_assert(topic_find(state, STR("a")) && topic_find(state, STR("b")));
}

Test(metadata_snapshot, a_log_without_its_beginning_is_refused) {
        open_state();
        create("a", 1);
        drop_log_below_snapshot();
        int files = count_files("*", NULL);
        cr_assert_eq(state_open(&config, NOW, 0, &state), -EUCLEAN);
        cr_assert_eq(count_files("*", NULL), files);
}

static void flip(const char *name, long position) {
        FILE *file = fopen(name, "r+");
        fseek(file, position, SEEK_SET);
        int byte = fgetc(file);
        fseek(file, position, SEEK_SET);
        fputc(byte ^ 0x10, file);
        fclose(file);
}

/* The leader epoch of a batch is not covered by anything, nor used. */
static bool is_in_epoch(const char *name, long position) {
        uint8_t bytes[4096];
        FILE *file = fopen(name, "r");
        size_t size = fread(bytes, 1, sizeof(bytes), file), at = 0;
        BatchHeader header;
        fclose(file);
        while (batch_read_header(bytes + at, size - at, &header) == 0 && (long)(at + batch_size(&header)) <= position)
                at += batch_size(&header);
        return position >= (long)at + 12 && position < (long)at + 16;
}

Test(metadata_snapshot, damage_is_refused_and_leftovers_are_removed) {
        open_state();
        create("a", 1);
        snapshot_now();
        char name[256], leftover[300];
        cr_assert_eq(count_files("*.checkpoint", name), 1);
        snprintf(leftover, sizeof(leftover), "%s/00000000000000000009-0000000001-4711.checkpoint.part", path);
        fclose(fopen(leftover, "w"));
        reopen();
        cr_assert_neq(access(leftover, F_OK), 0);
        state_abandon(state);
        state = NULL;
        struct stat st;
        cr_assert_eq(stat(name, &st), 0);
        for (long at = 0; at < st.st_size; at += 7) {
                if (is_in_epoch(name, at))
                        continue;
                flip(name, at);
                cr_assert_eq(state_open(&config, NOW, 0, &state), -EUCLEAN, "byte %ld", at);
                flip(name, at);
        }
        cr_assert_eq(truncate(name, st.st_size - 75), 0);
        cr_assert_eq(state_open(&config, NOW, 0, &state), -EUCLEAN);
        cr_assert_eq(access(name, F_OK), 0);
}

/* ---- what only a Kafka writes */

static void add(BatchBuilder *batch, const MessageSchema *message, int16_t version, const void *record) {
        Reply reply = REPLY_INIT;
        metadata_encode_record(message, version, record, &reply);
        batch_builder_add(batch, NOW, STR_NULL, (Str){ (const char *)reply.bytes.data, reply.bytes.size }, NULL, 0);
        reply_deinit(&reply);
}

static void feed(MetadataImage *image, BatchBuilder *batch) {
        int64_t next;
        cr_assert_eq(batch_builder_finish(batch, 0), 0);
        cr_assert_eq(metadata_replay_bytes(&image->replay, batch->out.data, batch->out.size, 0, &next), 0);
        batch_builder_deinit(batch);
}

static Str kept[16];
static int kept_count;

static int keep(Str record, void *data) {
        kept[kept_count++] = record;
        return 0;
}

static void each_kept(const MetadataImage *image) {
        kept_count = 0;
        metadata_image_each(image, keep, NULL);
}

Test(metadata_snapshot, changes_of_a_partition_are_merged) {
        MetadataImage image;
        BatchBuilder batch;
        int32_t one[] = { 1 };
        Uuid id = uuid_random();
        metadata_image_init(&image);
        batch_builder_init(&batch, 0, -1, -1, -1);
        add(&batch, &TopicRecord_message, 0, &(TopicRecord){ .name = STR("a"), .topic_id = id });
        PartitionRecord partition = PartitionRecord_INIT;
        partition.topic_id = id;
        partition.partition_id = partition.leader = 0;
        partition.leader_epoch = 4;
        partition.partition_epoch = 7;
        partition.replicas = partition.isr = one;
        partition.replicas_count = partition.isr_count = 1;
        partition.directories = &id;
        partition.directories_count = 1;
        add(&batch, &PartitionRecord_message, 1, &partition);
        PartitionChangeRecord change = PartitionChangeRecord_INIT;
        change.topic_id = id;
        change.partition_id = 0;
        change.leader = -1;
        add(&batch, &PartitionChangeRecord_message, 0, &change);
        change.leader = 1;
        change.isr = one;
        change.isr_count = 1;
        add(&batch, &PartitionChangeRecord_message, 0, &change);
        feed(&image, &batch);
        each_kept(&image);
        cr_assert_eq(kept_count, 2);
        MetadataFrame frame;
        PartitionRecord merged;
        Arena arena = ARENA_INIT(0);
        cr_assert(metadata_read_frame(kept[1], &frame));
        cr_assert_eq(frame.version, 1);
        cr_assert_eq(codec_decode(&PartitionRecord_message, 1, frame.body, &arena, &merged, NULL), 0);
        cr_assert(merged.leader == 1 && merged.leader_epoch == 6 && merged.partition_epoch == 9 && merged.directories_count == 1);
        arena_deinit(&arena);
        metadata_image_deinit(&image);
}

static void add_raw(BatchBuilder *batch, const char *bytes, size_t size) {
        batch_builder_add(batch, NOW, STR_NULL, (Str){ bytes, size }, NULL, 0);
}

Test(metadata_snapshot, records_of_other_kinds_stay_and_replace_one_another) {
        MetadataImage image;
        BatchBuilder batch;
        metadata_image_init(&image);
        batch_builder_init(&batch, 0, -1, -1, -1);
        add_raw(&batch, "\1\x14\0\0", 4);                     /* NoOp */
        add_raw(&batch, "\1\0\0\0\0\0\1old", 10);             /* RegisterBroker 1 */
        add_raw(&batch, "\1\7\0\0\0\0\1\0", 8);               /* FenceBroker 1 */
        add_raw(&batch, "\1\x0b\0\4bob\1salt", 12);           /* UserScramCredential bob, 1 */
        add_raw(&batch, "\1\x0b\0\4bob\2salt", 12);
        add_raw(&batch, "\1\x0b\0\4bob\1SALT", 12);
        add_raw(&batch, "\1\x16\0\4bob\2", 8);                /* RemoveUserScramCredential */
        add_raw(&batch, "\1\x12\0" "0123456789abcdefX", 20);  /* AccessControlEntry */
        add_raw(&batch, "\1\x13\0" "0123456789abcdef", 19);   /* RemoveAccessControlEntry */
        add_raw(&batch, "\1\x63\0first", 8);                  /* of a Kafka to come */
        add_raw(&batch, "\1\x63\0second", 9);
        add_raw(&batch, "\1\0\0\0\0\0\1new", 10);             /* RegisterBroker 1 again */
        feed(&image, &batch);
        each_kept(&image);
        cr_assert_eq(kept_count, 4);
        cr_assert(str_equal(kept[0], (Str){ "\1\0\0\0\0\0\1new", 10 }));
        cr_assert(str_equal(kept[1], (Str){ "\1\x0b\0\4bob\1SALT", 12 }));
        cr_assert(str_equal(kept[2], (Str){ "\1\x63\0first", 8 }));
        cr_assert(str_equal(kept[3], (Str){ "\1\x63\0second", 9 }));
        metadata_image_deinit(&image);
}

Test(metadata_snapshot, aborted_records_never_were) {
        MetadataImage image;
        BatchBuilder batch;
        metadata_image_init(&image);
        batch_builder_init(&batch, 0, -1, -1, -1);
        add(&batch, &BeginTransactionRecord_message, 0, &BeginTransactionRecord_INIT);
        add_raw(&batch, "\1\x63\0first", 8);
        add(&batch, &AbortTransactionRecord_message, 0, &AbortTransactionRecord_INIT);
        add(&batch, &BeginTransactionRecord_message, 0, &BeginTransactionRecord_INIT);
        add_raw(&batch, "\1\x63\0second", 9);
        add(&batch, &EndTransactionRecord_message, 0, &EndTransactionRecord_INIT);
        feed(&image, &batch);
        each_kept(&image);
        cr_assert_eq(kept_count, 1);
        cr_assert(str_equal(kept[0], (Str){ "\1\x63\0second", 9 }));
        metadata_image_deinit(&image);
}

static void append_to_log(BatchBuilder *batch) {
        LogOpen how = { .path = path, .config = LOG_CONFIG_INIT, .clean_shutdown = true, .now_ms = NOW };
        Log *log;
        LogAppend result;
        cr_assert_eq(log_open(&how, &log), 0);
        cr_assert_eq(batch_builder_finish(batch, 0), 0);
        cr_assert_eq(log_append(log, batch->out.data, batch->out.size, LOG_ORIGIN_BROKER, 3, NOW, &result), 0);
        cr_assert_eq(log_commit(log, NOW), 0);
        cr_assert_eq(log_close(log, NOW), 0);
        batch_builder_deinit(batch);
}

/* Otherwise all that follows would belong to it, and be gone at the next start. */
Test(metadata_snapshot, a_transaction_that_was_left_open_is_aborted) {
        open_state();
        cr_assert_eq(state_close(state), 0);
        BatchBuilder batch;
        batch_builder_init(&batch, 0, -1, -1, -1);
        add(&batch, &BeginTransactionRecord_message, 0, &BeginTransactionRecord_INIT);
        append_to_log(&batch);
        open_state();
        create("a", 1);
        reopen();
        cr_assert_not_null(topic_find(state, STR("a")));
        snapshot_now();
        cr_assert_eq(count_files("*-0000000003.checkpoint", NULL), 1);
}

Test(metadata_snapshot, voters_and_the_raft_version_are_kept) {
        open_state();
        cr_assert_eq(state_close(state), 0);
        BatchBuilder batch;
        batch_builder_init(&batch, BATCH_CONTROL, -1, -1, -1);
        batch_builder_add(&batch, NOW, (Str){ "\0\0\0\5", 4 }, (Str){ "\0\0\0\1\0", 5 }, NULL, 0);
        batch_builder_add(&batch, NOW, (Str){ "\0\0\0\6", 4 }, STR("\0\0\2voter"), NULL, 0);
        append_to_log(&batch);
        open_state();
        for (int i = 0; i < 2; i++) { /* from the log, then from the snapshot */
                create(i ? "b" : "a", 1);
                snapshot_now();
                char name[256];
                MetadataImage image;
                cr_assert_eq(count_files("*.checkpoint", name), i + 1);
                metadata_image_init(&image);
                cr_assert_eq(metadata_replay_snapshot(&image.replay, name), 0);
                cr_assert(str_equal(image.kraft_version, (Str){ "\0\0\0\1\0", 5 }));
                cr_assert(str_equal(image.voters, STR("\0\0\2voter")));
                metadata_image_deinit(&image);
        }
}
