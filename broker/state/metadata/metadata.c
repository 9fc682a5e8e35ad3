/* Writing, reading and replaying the metadata log. */
#include "broker/state/metadata/metadata.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "broker/state/data_dir.h"
#include "broker/state/flusher.h"
#include "broker/state/metadata/metadata_replay.h"
#include "broker/state/metadata/metadata_snapshot.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/base/varint.h"

#define READ_BYTES (1 << 20)

struct Metadata {
        char *path;
        Log *log;
        MetadataSnapshots snapshots;
        int64_t bytes_since_snapshot, snapshot_ms; /* monotonic */
        bool snapshot_is_running;
        Timer snapshot_timer;
};

static void schedule_snapshot(State *state);

void metadata_batch_init(MetadataBatch *batch, const State *state) {
        *batch = (MetadataBatch){ .now_ms = state->now_ms };
        batch_builder_init(&batch->builder, 0, -1, -1, -1);
}

void metadata_batch_deinit(MetadataBatch *batch) {
        batch_builder_deinit(&batch->builder);
}

void metadata_encode_record(const MessageSchema *message, int16_t version, const void *record, Reply *out) {
        uint8_t frame[3 * VARINT_BYTES_MAX];
        size_t size = varuint_write(frame, 1);
        size += varuint_write(frame + size, (uint64_t)message->key);
        size += varuint_write(frame + size, (uint64_t)version);
        buffer_append(&out->bytes, frame, size);
        if (codec_encode(message, version, record, out) < 0)
                out->bytes.failed = true;
}

void metadata_batch_add(MetadataBatch *batch, const MessageSchema *message, int16_t version, const void *record) {
        Reply reply = REPLY_INIT;
        metadata_encode_record(message, version, record, &reply);
        if (!reply.bytes.failed)
                batch_builder_add(&batch->builder, batch->now_ms, STR_NULL,
                                  (Str){ (const char *)reply.bytes.data, reply.bytes.size }, NULL, 0);
        else if (batch->error == 0)
                batch->error = -ENOMEM;
        reply_deinit(&reply);
}

void metadata_batch_add_configs(MetadataBatch *batch, ConfigResource resource, Str resource_name, ConfigSource source,
                                const ConfigMap *from, const ConfigMap *to) {
        ConfigRecord record = { .resource_type = (int8_t)resource, .resource_name = resource_name };
        for (int32_t i = 0; i < from->count; i++) {
                const ConfigEntry *entry = &from->entries[i];
                if (entry->source != source || config_map_find_source(to, entry->key, source))
                        continue;
                record.name = str_of(entry->key->name);
                record.value = STR_NULL;
                metadata_batch_add(batch, &ConfigRecord_message, 0, &record);
        }
        for (int32_t i = 0; i < to->count; i++) {
                const ConfigEntry *entry = &to->entries[i];
                const ConfigEntry *old = config_map_find_source(from, entry->key, source);
                if (entry->source != source || (old && str_equal(config_given(old), config_given(entry))))
                        continue;
                record.name = str_of(entry->key->name);
                record.value = config_given(entry);
                metadata_batch_add(batch, &ConfigRecord_message, 0, &record);
        }
}

/* Never older than what the log holds: a Kafka that led this log left later epochs. */
static int32_t leader_epoch(const Log *log) {
        int32_t latest = log_latest_epoch(log);
        return latest > METADATA_LEADER_EPOCH ? latest : METADATA_LEADER_EPOCH;
}

static int write_batch(State *state, Buffer *out) {
        Log *log = state->metadata->log;
        LogAppend append;
        int r = log_append(log, out->data, out->size, LOG_ORIGIN_BROKER, leader_epoch(log), state->now_ms,
                           &append);
        if (r > 0) {
                trace_error("the metadata log refuses its own batch: %s", kafka_error_name(r));
                return -EINVAL;
        }
        if (r == 0)
                r = log_commit(log, state->now_ms);
        if (r == 0) {
                state->metadata->bytes_since_snapshot += (int64_t)out->size;
                flusher_metadata_written(state);
        }
        return r;
}

int metadata_sync_begin(State *state, LogSync **ret_sync) {
        return log_sync_begin(state->metadata->log, false, ret_sync);
}

void metadata_sync_finish(State *state, LogSync *sync, int result) {
        log_sync_finish(state->metadata ? state->metadata->log : NULL, sync, result);
        if (state->metadata && !result)
                schedule_snapshot(state);
}

int metadata_batch_write(State *state, MetadataBatch *batch) {
        int r = batch->error;
        if (r == 0 && state->failed)
                r = -EIO;
        if (r == 0 && batch->builder.header.record_count > 0) {
                r = batch_builder_finish(&batch->builder, 0);
                if (r == 0)
                        r = write_batch(state, &batch->builder.out);
        }
        metadata_batch_deinit(batch);
        return r;
}

/* What a formatted Kafka directory starts with: the lowest feature levels that carry what is served, so that every Kafka 4.x can
 * adopt the directory. */
static int write_bootstrap(State *state) {
        static const FeatureLevelRecord levels[] = {
                { .name = { "metadata.version", 16 }, .feature_level = 25 }, /* 4.0 */
                { .name = { "group.version", 13 }, .feature_level = 1 },
                { .name = { "transaction.version", 19 }, .feature_level = 2 },
        };
        MetadataBatch batch;
        metadata_batch_init(&batch, state);
        metadata_batch_add(&batch, &BeginTransactionRecord_message, 0,
                           &(BeginTransactionRecord){ .name = STR("Bootstrap records") });
        for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
                metadata_batch_add(&batch, &FeatureLevelRecord_message, 0, &levels[i]);
        metadata_batch_add(&batch, &ConfigRecord_message, 0,
                           &(ConfigRecord){ .resource_type = CONFIG_RESOURCE_BROKER, .resource_name = STR(""),
                                            .name = STR("min.insync.replicas"), .value = STR("1") });
        metadata_batch_add(&batch, &EndTransactionRecord_message, 0, &EndTransactionRecord_INIT);
        return metadata_batch_write(state, &batch);
}

/* Replays the batches of one span; *offset moves past them. */
static int replay_span(MetadataReplay *replay, const FileSpan *span, int64_t *offset) {
        uint8_t *copy = NULL;
        const uint8_t *data = span->map;
        if (!data) {
                data = copy = malloc((size_t)span->size);
                if (!copy)
                        return -ENOMEM;
                ssize_t n = file_read(span->fd, copy, (size_t)span->size, span->position);
                if (n != span->size) {
                        int r = n < 0 ? (int)n : -EIO;
                        free(copy);
                        return r;
                }
        }
        int64_t from = *offset;
        int r = metadata_replay_bytes(replay, data, (size_t)span->size, from, offset);
        free(copy);
        return r == 0 && *offset <= from ? -EUCLEAN : r;
}

static int replay_log(MetadataReplay *replay, Log *log, int64_t offset) {
        int64_t end = log_end_offset(log);
        if (offset < log_start_offset(log))
                offset = log_start_offset(log);
        while (offset < end) {
                FileSpan span = FILE_SPAN_INIT;
                int r = log_read(log, offset, end, READ_BYTES, true, &span);
                if (r == 0)
                        r = span.size > 0 ? replay_span(replay, &span, &offset) : -EUCLEAN;
                replay->state->metadata->bytes_since_snapshot += span.size;
                file_span_release(&span);
                if (r)
                        return r > 0 ? -EUCLEAN : r;
        }
        return 0;
}

/* ---- snapshots */

typedef struct SnapshotJob {
        Job job;
        char *path;
        int64_t end_offset, now_ms;
        int32_t epoch;
        MetadataSnapshot written;
} SnapshotJob;

static int run_snapshot(Job *base) {
        SnapshotJob *job = container_of(base, SnapshotJob, job);
        return metadata_snapshot_write(job->path, job->end_offset, job->epoch, job->now_ms, &job->written);
}

static void snapshot_done(Job *base, State *state, int result) {
        SnapshotJob *job = container_of(base, SnapshotJob, job);
        Metadata *metadata = state->metadata;
        if (metadata) {
                metadata->snapshot_is_running = false;
                if (result == 0)
                        result = metadata_snapshots_add(&metadata->snapshots, &job->written);
                if (result == 0)
                        metadata_snapshots_retain(&metadata->snapshots, state, metadata->log);
        }
        if (result && result != -ECANCELED)
                trace_error("cannot write a snapshot of '%s': %s", job->path,
                            result == -EUCLEAN ? "the log, or its last snapshot, is damaged" : strerror(-result));
        free(job->path);
        free(job);
}

static void start_snapshot(State *state) {
        Metadata *metadata = state->metadata;
        SnapshotJob *job = calloc(1, sizeof(*job));
        timer_stop(state, &metadata->snapshot_timer);
        metadata->bytes_since_snapshot = 0;
        metadata->snapshot_ms = state->mono_ms;
        if (!job || !(job->path = strdup(metadata->path))) {
                free(job);
                return; /* the next time will do */
        }
        *job = (SnapshotJob){ .job = { .run = run_snapshot, .done = snapshot_done }, .path = job->path, .now_ms = state->now_ms,
                              .end_offset = log_recovery_point(metadata->log), .epoch = leader_epoch(metadata->log) };
        metadata->snapshot_is_running = true;
        worker_submit(&state->worker, &job->job);
}

static void on_snapshot_timer(Timer *timer, State *state) {
        if (!state->metadata->snapshot_is_running && !state->failed)
                start_snapshot(state);
}

/* After more was synced: one is due by size, or by time, which runs only while there is something new. */
static void schedule_snapshot(State *state) {
        Metadata *metadata = state->metadata;
        if (metadata->snapshot_is_running || state->failed)
                return;
        int64_t interval_ms = config_int(state->config, "metadata.log.max.snapshot.interval.ms");
        if (metadata->bytes_since_snapshot >= config_int(state->config, "metadata.log.max.record.bytes.between.snapshots"))
                start_snapshot(state);
        else if (interval_ms > 0 && interval_ms < INT64_MAX - metadata->snapshot_ms && !timer_is_set(&metadata->snapshot_timer))
                timer_set(state, &metadata->snapshot_timer, metadata->snapshot_ms + interval_ms);
}

/* ---- opening */

static int open_log(State *state, bool clean_shutdown, int64_t recovery_point, int64_t start_offset) {
        LogOpen how = { .path = state->metadata->path, .config = LOG_CONFIG_INIT, .clean_shutdown = clean_shutdown,
                        .recovery_point = recovery_point, .log_start_offset = start_offset, .now_ms = state->now_ms,
                        .writes_again = state->writes_again, .reaper = &state->reaper, .spares_space = true };
        how.config.retention_ms = -1;
        how.config.max_message_bytes = INT32_MAX;
        how.config.segment_bytes = config_int(state->config, "metadata.log.segment.bytes");
        how.config.segment_ms = config_int(state->config, "metadata.log.segment.ms");
        if (how.config.segment_ms <= 0)
                how.config.segment_ms = INT64_MAX;
        return log_open(&how, &state->metadata->log);
}

/* The newest snapshot, which has to reach the log's beginning. A log that ends before it (Kafka may have fetched the snapshot
 * and died) goes on behind it. */
static int open_snapshots(State *state, MetadataReplay *replay, int64_t *ret_offset) {
        Metadata *metadata = state->metadata;
        char name[PATH_MAX];
        *ret_offset = 0;
        int r = metadata_snapshots_open(&metadata->snapshots, metadata->path);
        const MetadataSnapshot *newest = metadata->snapshots.count ? &metadata->snapshots.rows[metadata->snapshots.count - 1] : NULL;
        if (r == 0 && log_start_offset(metadata->log) > (newest ? newest->offset : 0)) {
                trace_error("the metadata log '%s' begins at offset %lld, and no snapshot reaches up to there: what was below is missing",
                            metadata->path, (long long)log_start_offset(metadata->log));
                return -EUCLEAN;
        }
        if (r || !newest)
                return r;
        metadata_snapshot_path(metadata->path, newest, name, sizeof(name));
        r = metadata_replay_snapshot(replay, name);
        if (r == -EUCLEAN)
                trace_error("the metadata snapshot '%s' is damaged", name);
        *ret_offset = newest->offset;
        if (r == 0 && log_end_offset(metadata->log) < newest->offset) {
                log_abandon(metadata->log);
                metadata->log = NULL;
                r = open_log(state, true, 0, newest->offset);
        }
        return r;
}

/* A controller that died in the middle of a transaction left it open: what follows would belong to it. */
static int abort_transaction(State *state) {
        MetadataBatch batch;
        metadata_batch_init(&batch, state);
        metadata_batch_add(&batch, &AbortTransactionRecord_message, 0,
                           &(AbortTransactionRecord){ .reason = STR("the controller restarted") });
        return metadata_batch_write(state, &batch);
}

static int open_and_replay(State *state, bool clean_shutdown, int64_t recovery_point) {
        MetadataReplay replay;
        int64_t offset = 0;
        metadata_replay_init(&replay, state);
        int r = open_log(state, clean_shutdown, recovery_point, 0);
        if (r == 0)
                r = open_snapshots(state, &replay, &offset);
        if (r == 0 && log_end_offset(state->metadata->log) == 0 && replay.record_count == 0)
                r = write_bootstrap(state);
        if (r == 0)
                r = replay_log(&replay, state->metadata->log, offset);
        if (r == 0 && replay.in_transaction)
                r = abort_transaction(state);
        if (r == 0) /* what was just written, and what a crash left unsynced: from here on it is told */
                r = log_sync(state->metadata->log);
        if (r == 0 && state->metadata->bytes_since_snapshot > 0)
                schedule_snapshot(state);
        metadata_replay_deinit(&replay);
        return r;
}

static void complain(const char *path, int r) {
        if (r == -EUCLEAN)
                trace_error("cannot open the metadata log '%s': it is damaged; its files were left as they are", path);
        else
                data_dir_complain("open the metadata log", path, r);
}

int metadata_open(State *state, bool clean_shutdown, int64_t recovery_point) {
        char path[PATH_MAX];
        if ((size_t)snprintf(path, sizeof(path), "%s/" TOPIC_NAME_METADATA "-0", state->config->data_dir) >= sizeof(path))
                return -ENAMETOOLONG;
        state->metadata = calloc(1, sizeof(*state->metadata));
        if (!state->metadata)
                return -ENOMEM;
        state->metadata->path = strdup(path);
        state->metadata->snapshot_ms = state->mono_ms;
        state->metadata->snapshot_timer.fire = on_snapshot_timer;
        int r = state->metadata->path ? open_and_replay(state, clean_shutdown, recovery_point) : -ENOMEM;
        if (r < 0)
                complain(path, r);
        return r;
}

int64_t metadata_recovery_point(const State *state) {
        return log_recovery_point(state->metadata->log);
}

int64_t metadata_end_offset(const State *state) {
        return log_end_offset(state->metadata->log);
}

int32_t metadata_leader_epoch(const State *state) {
        return leader_epoch(state->metadata->log);
}

static void metadata_free(State *state) {
        timer_stop(state, &state->metadata->snapshot_timer);
        metadata_snapshots_deinit(&state->metadata->snapshots);
        free(state->metadata->path);
        free(state->metadata);
        state->metadata = NULL;
}

int metadata_close(State *state) {
        int r = log_close(state->metadata->log, state->now_ms);
        metadata_free(state);
        return r;
}

void metadata_abandon(State *state) {
        if (!state->metadata)
                return;
        if (state->metadata->log)
                log_abandon(state->metadata->log);
        metadata_free(state);
}
