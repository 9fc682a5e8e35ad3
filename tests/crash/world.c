/* The steps, and what may be found after them. */
#include "tests/crash/world.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/state/checkpoints.h"
#include "broker/state/creation.h"
#include "broker/state/groups/groups.h"
#include "broker/state/groups/offsets_write.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"
#include "storage/batch.h"
#include "tests/crash/faults.h"
#include "tests/lib/state_fixture.h"

#define GROUP STR("readers")
#define KEYS 3 /* of a compacted topic */

static Str topic_name(int topic) {
        static const char *const names[WORLD_TOPICS] = { "alpha", "beta", "gamma" };
        return str_of(names[topic]);
}

static Topic *find_topic(const World *world, int topic) {
        return world->state ? topic_find(world->state, topic_name(topic)) : NULL;
}

static void set(World *world, const char *name, const char *value) {
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_BROKER, str_of(name));
        cr_assert_eq(config_map_set(&world->config.broker, key, str_of(value), CONFIG_SOURCE_STATIC_BROKER), 0);
}

void world_init(World *world) {
        *world = (World){ .now_ms = WORLD_NOW };
        snprintf(world->dir, sizeof(world->dir), "%s/odradek-crash-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        cr_assert(mkdtemp(world->dir));
        world->config = (Config){ .data_dir = world->dir };
        set(world, "offsets.topic.num.partitions", "1");
        trace_level = TRACE_ERROR;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

void world_deinit(World *world) {
        state_abandon(world->state);
        config_map_deinit(&world->config.broker);
        cr_assert_eq(nftw(world->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void world_start(World *world) {
        if (!world->state && !world->has_power)
                faults_lose(world->config.durable ? ".log" : "__cluster_metadata");
        if (!world->state && state_open(&world->config, world->now_ms, 1000, &world->state))
                world->state = NULL;
}

void world_stop(World *world) {
        if (world->state) {
                state_drain(world->state);
                state_close(world->state);
        }
        world->state = NULL;
}

void world_crash(World *world) {
        state_abandon(world->state);
        world->state = NULL;
}

/* Those that a client may be told of: a failed disk, or no memory. */
static bool is_honest(int r) {
        return r == 0 || r == -ENOMEM || r == -EIO || r == -ENOSPC || r == KAFKA_KAFKA_STORAGE_ERROR;
}

/* As requests that change the metadata are answered: when it is on disk. */
static bool is_told(World *world) {
        state_drain(world->state);
        return !world->state->failed && !state_metadata_mark(world->state);
}

typedef struct Creator {
        CommitWait wait;
        Str name;
        const ConfigMap *config;
        int result;
} Creator;

static void on_made(CommitWait *wait, State *state) {
        Creator *creator = container_of(wait, Creator, wait);
        creator->result = topic_create(state, creator->name, WORLD_PARTITIONS, creator->config, NULL);
}

/* As CreateTopics, which has the directories made first; a client that is not patient is gone by then. */
static int create_topic(World *world, int topic, const ConfigMap *config, bool is_patient) {
        Creation *creation = NULL;
        Creator creator = { .name = topic_name(topic), .config = config, .result = -EBUSY };
        int r = creation_add(world->state, &creation, creator.name, WORLD_PARTITIONS);
        if (r)
                creation_free(creation);
        else if (creation)
                creation_start(world->state, creation, &creator.wait, on_made);
        else
                on_made(&creator.wait, world->state);
        if (!is_patient)
                list_remove(&creator.wait.node);
        worker_drain(&world->state->maker);
        return r ? r : creator.result;
}

/* Which waits until a topic that had the name is gone, too. */
static int create_patiently(World *world, int topic, const ConfigMap *config) {
        int r = create_topic(world, topic, config, true);
        if (r != -EBUSY)
                return r;
        state_drain(world->state);
        return create_topic(world, topic, config, true);
}

static void create(World *world, int topic, const ConfigMap *config, bool compacts) {
        WorldTopic *model = &world->topics[topic];
        if (!world->state)
                return;
        if (model->presence == WORLD_GONE)
                *model = (WorldTopic){ .presence = WORLD_DOUBTFUL, .flush_acknowledged = -1, .flush_asked = -1, .compacts = compacts };
        int r = create_patiently(world, topic, config);
        cr_assert(is_honest(r) || (r == KAFKA_TOPIC_ALREADY_EXISTS && find_topic(world, topic)) || r == -EBUSY, "create: %d", r);
        cr_assert(r || model->presence != WORLD_THERE);
        if (is_told(world) && r == 0) {
                model->presence = WORLD_THERE;
                world->acknowledged++;
        }
}

void world_create(World *world, int topic) {
        create(world, topic, &CONFIG_MAP_INIT, false);
}

void world_create_in_vain(World *world, int topic) {
        if (!world->state || find_topic(world, topic))
                return;
        (void)create_topic(world, topic, &CONFIG_MAP_INIT, false);
        cr_assert_null(find_topic(world, topic));
}

static void create_rolling(World *world, int topic, bool compacts) {
        static const char *const rows[][2] = { { "index.interval.bytes", "0" }, { "segment.index.bytes", "60" }, { "cleanup.policy", "compact" } };
        ConfigMap config = CONFIG_MAP_INIT;
        faults_hold(true);
        for (size_t i = 0; i < (compacts ? 3 : 2); i++)
                cr_assert_eq(config_map_set(&config, config_find_key(CONFIG_RESOURCE_TOPIC, str_of(rows[i][0])), str_of(rows[i][1]),
                                            CONFIG_SOURCE_TOPIC), 0);
        faults_hold(false);
        create(world, topic, &config, compacts);
        faults_hold(true);
        config_map_deinit(&config);
        faults_hold(false);
}

void world_create_rolling(World *world, int topic) {
        create_rolling(world, topic, false);
}

void world_create_compacted(World *world, int topic) {
        create_rolling(world, topic, true);
}

static void delete_topic(World *world, int topic, bool checkpoints) {
        WorldTopic *model = &world->topics[topic];
        Topic *found = find_topic(world, topic);
        if (!found)
                return;
        model->presence = WORLD_DOUBTFUL;
        int r = topic_delete(world->state, found);
        cr_assert(is_honest(r), "delete: %d", r);
        if (checkpoints) {
                checkpoints_now(world->state);
                (void)state_write_starts(world->state);
                worker_drain(&world->state->worker);
        }
        if (is_told(world) && r == 0) {
                model->presence = WORLD_GONE;
                world->acknowledged++;
        }
}

void world_delete(World *world, int topic) {
        delete_topic(world, topic, false);
}

void world_delete_checkpointed(World *world, int topic) {
        delete_topic(world, topic, true);
}

/* As Produce answers: an error at once, or when it was not written, or success once it is settled. */
static void on_commit(CommitWait *wait, State *state) {
        Ack *ack = container_of(wait, Ack, wait);
        if (partition_is_written(ack->partition, ack->end_offset))
                ack_on_commit(wait, state);
}

static void append_one(World *world, Partition *partition, WorldLog *model, bool compacts) {
        char value[16], key[16];
        BatchBuilder builder;
        LogAppend result;
        cr_assert_lt(model->attempted, WORLD_RECORDS_MAX);
        int sequence = model->attempted++, n = snprintf(value, sizeof(value), "%d", sequence);
        int key_size = snprintf(key, sizeof(key), "%d", compacts ? sequence % KEYS : 0);
        model->acknowledged[sequence] = -1;
        faults_hold(true);
        batch_builder_init(&builder, 0, -1, -1, -1);
        batch_builder_add(&builder, world->now_ms, (Str){ key, (size_t)key_size }, (Str){ value, (size_t)n }, NULL, 0);
        cr_assert_eq(batch_builder_finish(&builder, 0), 0);
        faults_hold(false);
        int r = partition_append_owned(world->state, partition, &builder.out, LOG_ORIGIN_CLIENT, &result);
        cr_assert(is_honest(r), "append: %d", r);
        if (r)
                return;
        Ack ack = { .partition = partition, .end_offset = result.last_offset + 1 };
        state_wait_commit(world->state, &ack.wait, on_commit);
        state_commit(world->state);
        state_drain(world->state);
        list_remove(&ack.wait.node);
        if (!ack.count)
                return;
        model->acknowledged[sequence] = result.last_offset;
        world->acknowledged++;
}

void world_append(World *world, int topic, int partition, int count) {
        Topic *found = find_topic(world, topic);
        for (int i = 0; found && i < count; i++)
                append_one(world, found->partitions[partition], &world->topics[topic].logs[partition], world->topics[topic].compacts);
}

typedef struct Commit {
        OffsetsWait wait;
        int64_t mark; /* as OffsetCommit waits for it */
        bool is_done;
} Commit;

static void on_offsets(OffsetsWait *wait, State *state, int16_t code) {
        cr_assert(code == 0 || code == KAFKA_COORDINATOR_NOT_AVAILABLE, "commit: %d", code);
        Commit *commit = container_of(wait, Commit, wait);
        commit->is_done = code == 0;
        commit->mark = state_sync_mark(state);
}

void world_commit(World *world, int topic, int64_t offset) {
        WorldTopic *model = &world->topics[topic];
        if (!find_topic(world, topic))
                return;
        OffsetToCommit row = { .topic = topic_name(topic), .metadata = STR(""), .leader_epoch = -1, .offset = offset,
                               .commit_ms = world->now_ms, .expire_ms = -1 };
        Commit commit = { .wait.done = on_offsets };
        model->commit_asked = offset;
        int r = offsets_write(world->state, GROUP, &row, 1, NULL, &commit.wait);
        cr_assert(is_honest(r) || r == KAFKA_COORDINATOR_NOT_AVAILABLE, "commit: %d", r);
        if (r == 0) {
                state_commit(world->state);
                state_drain(world->state);
                offsets_wait_cancel(&commit.wait);
        }
        if (commit.is_done && state_sync_is_past(world->state, commit.mark) && !world->state->failed) {
                model->commit_acknowledged = offset;
                world->acknowledged++;
        }
}

void world_delete_records(World *world, int topic, int partition, int64_t offset) {
        Topic *found = find_topic(world, topic);
        WorldLog *model = &world->topics[topic].logs[partition];
        if (!found)
                return;
        model->start_asked = offset;
        bool is_beyond = offset > partition_high_watermark(found->partitions[partition]);
        int r = partition_delete_records(world->state, found->partitions[partition], offset);
        if (r == 0)
                r = state_write_starts(world->state);
        cr_assert(is_honest(r) || (r == KAFKA_OFFSET_OUT_OF_RANGE && is_beyond), "delete records: %d", r);
        if (r == 0) {
                model->start_acknowledged = offset;
                world->acknowledged++;
        }
        state_drain(world->state);
}

void world_configure(World *world, int topic, const char *key, int64_t value) {
        WorldTopic *model = &world->topics[topic];
        Topic *found = find_topic(world, topic);
        const ConfigKey *row = config_find_key(CONFIG_RESOURCE_TOPIC, str_of(key));
        bool is_flush = strcmp(key, "flush.ms") == 0;
        char text[24];
        ConfigMap config;
        if (!found)
                return;
        snprintf(text, sizeof(text), "%lld", (long long)value);
        faults_hold(true);
        cr_assert_eq(config_map_copy(&found->config, &config), 0);
        cr_assert_eq(config_map_set(&config, row, str_of(text), CONFIG_SOURCE_TOPIC), 0);
        faults_hold(false);
        if (is_flush)
                model->flush_asked = value;
        int r = topic_set_config(world->state, found, &config);
        cr_assert(is_honest(r), "configure: %d", r);
        if (r)
                config_map_deinit(&config);
        bool is_acknowledged = is_told(world) && r == 0;
        if (is_acknowledged && is_flush)
                model->flush_acknowledged = value;
        world->acknowledged += is_acknowledged;
}

void world_pass(World *world, int64_t ms) {
        State *state = world->state;
        world->now_ms += ms;
        if (!state)
                return;
        int64_t end_ms = state->mono_ms + ms;
        for (int64_t due_ms; (due_ms = state_next_timer_ms(state)) >= 0 && due_ms <= end_ms;) {
                state->now_ms += due_ms > state->mono_ms ? due_ms - state->mono_ms : 0;
                state->mono_ms = due_ms > state->mono_ms ? due_ms : state->mono_ms;
                state_run_timers(state);
                state_commit(state);
                state_drain(state);
        }
        state->now_ms = world->now_ms;
        state->mono_ms = end_ms;
}

void world_set_back(World *world, int64_t ms) {
        world->now_ms -= ms;
        if (world->state)
                world->state->now_ms = world->now_ms;
}

/* ---- looking ---- */

typedef struct Look {
        WorldLog *model;
        int64_t found[WORLD_RECORDS_MAX]; /* offset, or -1 */
        int last;                         /* sequence */
        const char *what;
} Look;

static void look_at_record(Look *look, const Record *record) {
        int64_t sequence;
        cr_assert(str_to_int64(record->value, 0, look->model->attempted - 1, &sequence), "%s: a phantom", look->what);
        cr_assert_gt((int)sequence, look->last, "%s: twice or out of order", look->what);
        look->last = (int)sequence;
        look->found[sequence] = record->offset;
}

static int64_t look_at_bytes(Look *look, const uint8_t *data, size_t size, int64_t offset) {
        for (size_t at = 0; at < size;) {
                BatchHeader header;
                BatchReader reader;
                Record record;
                cr_assert_eq(batch_read_header(data + at, size - at, &header), 0, "%s", look->what);
                cr_assert(batch_check_crc(data + at, &header), "%s", look->what);
                cr_assert_eq(batch_reader_init(&reader, data + at, &header, 1 << 20), 0);
                while (batch_reader_next(&reader, &record) == 1)
                        look_at_record(look, &record);
                batch_reader_deinit(&reader);
                offset = batch_next_offset(&header);
                at += batch_size(&header);
        }
        return offset;
}

static void read_log(Look *look, Partition *partition) {
        for (int64_t offset = partition_start_offset(partition); offset < partition_high_watermark(partition);) {
                FileSpan span;
                Buffer bytes = BUFFER_INIT;
                cr_assert_eq(partition_read(partition, offset, false, 1 << 20, true, &span), 0, "%s", look->what);
                cr_assert_gt(span.size, 0, "%s", look->what);
                cr_assert_eq(file_span_copy(&span, &bytes), 0);
                int64_t next = look_at_bytes(look, bytes.data, bytes.size, offset);
                cr_assert_gt(next, offset);
                offset = next;
                buffer_deinit(&bytes);
                file_span_release(&span);
        }
}

/* Whether a later record with the key of this one is there. */
static bool is_superseded(const Look *look, int sequence) {
        for (int i = sequence + KEYS; i < look->model->attempted; i += KEYS)
                if (look->found[i] >= 0)
                        return true;
        return false;
}

static void check_log(World *world, Partition *partition, WorldLog *model, bool compacts, const char *what) {
        Look look = { .model = model, .last = -1, .what = what };
        memset(look.found, 0xff, sizeof(look.found));
        cr_assert_not_null(partition->log, "%s: the partition is not served", what);
        int64_t start = partition_start_offset(partition);
        cr_assert(start >= model->start_acknowledged, "%s: deleted records are back", what);
        cr_assert(world->forgets || start <= model->start_asked, "%s: starts at %lld", what, (long long)start);
        read_log(&look, partition);
        for (int i = 0; i < model->attempted; i++)
                if (compacts && look.found[i] < 0 && is_superseded(&look, i))
                        continue;
                else if (model->acknowledged[i] >= start)
                        cr_assert_eq(look.found[i], model->acknowledged[i], "%s: record %d was at %lld, is at %lld", what, i,
                                     (long long)model->acknowledged[i], (long long)look.found[i]);
                else if (look.found[i] >= 0)
                        model->acknowledged[i] = look.found[i]; /* it is there now, and stays */
        model->start_asked = model->start_acknowledged = start;
}

static void check_topic(World *world, int topic, const char *what) {
        WorldTopic *model = &world->topics[topic];
        Topic *found = find_topic(world, topic);
        cr_assert(model->presence != WORLD_THERE || found, "%s: a topic is lost", what);
        cr_assert(model->presence != WORLD_GONE || !found, "%s: a deleted topic is back", what);
        model->presence = found ? WORLD_THERE : WORLD_GONE;
        for (int i = 0; found && i < WORLD_PARTITIONS; i++)
                check_log(world, found->partitions[i], &model->logs[i], model->compacts, what);
        if (!found)
                return;
        Group *group = group_find(world->state, GROUP);
        const CommittedOffset *offset = group ? offset_find(group, topic_name(topic), 0) : NULL;
        int64_t committed = offset ? offset->offset : 0;
        cr_assert(committed >= model->commit_acknowledged && committed <= model->commit_asked, "%s: committed %lld", what,
                  (long long)committed);
        model->commit_acknowledged = committed;
        const ConfigEntry *entry = config_map_find(&found->config, config_find_key(CONFIG_RESOURCE_TOPIC, STR("flush.ms")));
        int64_t flush = entry ? atoll(entry->value) : -1;
        cr_assert(flush >= model->flush_acknowledged && flush <= model->flush_asked, "%s: flush.ms is %lld", what, (long long)flush);
        model->flush_acknowledged = model->flush_asked = flush;
}

void world_check(World *world, const char *what) {
        cr_assert_not_null(world->state, "%s: does not start", what);
        for (int i = 0; i < WORLD_TOPICS; i++) {
                check_topic(world, i, what);
                int before = world->acknowledged;
                world_append(world, i, 0, 1);
                cr_assert_eq(world->acknowledged - before, world->topics[i].presence == WORLD_THERE, "%s: does not go on", what);
        }
}
