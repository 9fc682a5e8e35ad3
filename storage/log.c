/* The life of a log: open, commit, roll, sync, close. Checks of what is appended are in log_append.c, lookups in
 * log_read.c. */
#include "storage/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/checkpoint.h"
#include "storage/log_internal.h"

#define COMMIT_PARTS_MAX 512 /* batches in one system call */

int log_open(const LogOpen *how, Log **ret_log) {
        Log *log = calloc(1, sizeof(*log));
        if (!log)
                return -ENOMEM;
        log_set_config(log, &how->config);
        log->snapshot_offset = log->recall_offset = log->next_asked_offset = -1;
        log->spares_space = how->spares_space;
        log->compacted_offset = how->compacted_offset;
        log->path = strdup(how->path);
        int r = log->path ? log_load(log, how) : -ENOMEM;
        if (r) {
                log_abandon(log);
                return r;
        }
        log->reaper = how->reaper; /* not while loading, which may be another thread's */
        *ret_log = log;
        return 0;
}

void log_abandon(Log *log) {
        if (!log)
                return;
        log_forget_compaction(log);
        for (int32_t i = 0; i < log->segment_count; i++) {
                if (log->segments[i]->refs > 1) /* the files may be unlinked meanwhile */
                        log->segments[i]->reaper = log->reaper;
                segment_unref(log->segments[i]);
        }
        free(log->segments);
        log_free_owned(log);
        snapshot_queue_deinit(&log->snapshots);
        free(log->queue);
        free(log->aborted);
        producers_deinit(&log->producers);
        epochs_deinit(&log->epochs);
        free(log->path);
        free(log);
}

int log_write_snapshot(Log *log, int64_t offset) {
        char path[SEGMENT_PATH_MAX];
        segment_path(log->path, offset, "snapshot", path);
        int r = producers_write_snapshot(&log->producers, offset, path);
        if (!r)
                log->snapshot_offset = offset;
        return r;
}

static void remove_next(const Log *log) {
        char path[SEGMENT_PATH_MAX];
        snprintf(path, sizeof(path), "%s/" LOG_NEXT_NAME, log->path);
        if (log->has_next)
                (void)file_unlink(path);
}

int log_close(Log *log, int64_t now_ms) {
        if (!log)
                return 0;
        int first = log_commit(log, now_ms);
        int r = segment_flush(log_active(log));
        first = first ? first : r;
        log_active(log)->sealed = true; /* its indexes are to be synced too */
        remove_next(log);
        r = log_sync(log);
        first = first ? first : r;
        if (log->end_offset > log->snapshot_offset && log->size_bytes) {
                r = log_write_snapshot(log, log->end_offset);
                first = first ? first : r;
        }
        log_abandon(log);
        return first;
}

void log_set_config(Log *log, const LogConfig *config) {
        log->config = *config;
        log->producers.count_max = config->producers_max;
}

const LogConfig *log_config(const Log *log) {
        return &log->config;
}

const char *log_path(const Log *log) {
        return log->path;
}

int64_t log_start_offset(const Log *log) {
        return log->start_offset;
}

int64_t log_end_offset(const Log *log) {
        return log->end_offset;
}

int64_t log_size_bytes(const Log *log) {
        return log->size_bytes;
}

int64_t log_recovery_point(const Log *log) {
        return log->recovery_point;
}

int64_t log_active_offset(const Log *log) {
        return log_active(log)->base_offset;
}

bool log_is_dirty(const Log *log) {
        return log->queue_count > 0;
}

int32_t log_segment_index(const Log *log, int64_t offset) {
        int32_t low = 0, high = log->segment_count - 1;
        while (low < high) {
                int32_t middle = low + (high - low + 1) / 2;
                if (log->segments[middle]->base_offset <= offset)
                        low = middle;
                else
                        high = middle - 1;
        }
        return low;
}

int log_push_segment(Log *log, Segment *segment) {
        if (log->segment_count == log->segment_capacity) {
                int32_t capacity = log->segment_capacity ? log->segment_capacity * 2 : 1;
                Segment **segments = realloc(log->segments, (size_t)capacity * sizeof(*segments));
                if (!segments)
                        return -ENOMEM;
                log->segments = segments;
                log->segment_capacity = capacity;
        }
        log->segments[log->segment_count++] = segment;
        return 0;
}

/* Of a log that lost the name of its first segment, but not the second's, nobody could tell that its beginning is missing. */
static int keep_beginning(const Log *log) {
        if (log->segment_count != 1 || !log_active(log)->entry_unsynced)
                return 0;
        int r = file_sync_directory(log->path);
        return r ? r : file_sync_parent(log->path);
}

int log_add_segment(Log *log, int64_t base_offset, int64_t now_ms) {
        Segment *segment;
        char next[SEGMENT_PATH_MAX];
        snprintf(next, sizeof(next), "%s/" LOG_NEXT_NAME, log->path);
        int r = keep_beginning(log);
        if (!r)
                r = segment_create(log->path, base_offset, now_ms, log->has_next ? next : NULL, &segment);
        log->has_next = false;
        if (r)
                return r;
        r = log_push_segment(log, segment);
        if (r) {
                segment_delete(segment);
                segment_unref(segment);
        }
        return r;
}

void snapshot_queue_deinit(SnapshotQueue *queue) {
        for (int32_t i = 0; i < queue->count; i++)
                buffer_deinit(&queue->items[i].bytes);
        free(queue->items);
        *queue = (SnapshotQueue){ 0 };
}

/* Without memory there is none: the log says the same. */
static void queue_snapshot(Log *log, int64_t offset) {
        SnapshotQueue *queue = &log->snapshots;
        if (queue->size > LOG_SNAPSHOTS_BYTES_MAX)
                snapshot_queue_deinit(queue);
        if (queue->count == queue->capacity) {
                int32_t capacity = queue->capacity ? queue->capacity * 2 : 2;
                void *items = realloc(queue->items, (size_t)capacity * sizeof(*queue->items));
                if (!items)
                        return;
                queue->items = items;
                queue->capacity = capacity;
        }
        Buffer bytes = producers_encode_snapshot(&log->producers, offset);
        if (bytes.failed) {
                buffer_deinit(&bytes);
                return;
        }
        queue->items[queue->count].offset = offset;
        queue->items[queue->count++].bytes = bytes;
        queue->size += bytes.size;
}

void log_end_segments(Log *log, int32_t first) {
        for (int32_t i = first; i < log->segment_count - 1; i++) {
                segment_end(log->segments[i]);
                queue_snapshot(log, log->segments[i + 1]->base_offset);
        }
}

static void forget_recent(Log *log) {
        memset(log->recent, 0, sizeof(log->recent));
}

int log_drop_segments(Log *log, int32_t count) {
        int first = 0;
        assert(count < log->segment_count);
        forget_recent(log);
        for (int32_t i = 0; i < count; i++) {
                assert(!log->segments[i]->busy);
                int r = log->reaper ? segment_retire(log->segments[i], log->reaper) : segment_delete(log->segments[i]);
                first = first ? first : r;
                log->size_bytes -= log->segments[i]->size;
                segment_unref(log->segments[i]);
        }
        log->segment_count -= count;
        memmove(log->segments, log->segments + count, (size_t)log->segment_count * sizeof(*log->segments));
        return first;
}

/* The first segment rather grows on for a while than to have the commit wait until its name is on disk: see keep_beginning(). */
static int64_t segment_bytes_max(const Log *log) {
        const Segment *active = log_active(log);
        int64_t bytes = log->config.segment_bytes;
        bool waits = log->segment_count == 1 && active->entry_unsynced && active->size >= LOG_NAMES_FROM_BYTES;
        return waits && bytes <= INT32_MAX / 2 ? bytes * 2 : bytes;
}

static bool is_full(const Log *log, const BatchHeader *header, int64_t now_ms) {
        return segment_is_full(log_active(log), header, segment_bytes_max(log), log->config.segment_ms,
                               log->config.segment_index_bytes, now_ms);
}

/* Writes queued batches from first on to the active segment, as many as belong there and fit one call. Returns
 * their number or -errno. */
static int write_run(Log *log, uint32_t first, int64_t now_ms) {
        struct iovec parts[COMMIT_PARTS_MAX];
        Segment *segment = log_active(log);
        int64_t position = segment->size;
        int count = 0;
        while (first + (uint32_t)count < log->queue_count && count < COMMIT_PARTS_MAX) {
                const QueuedBatch *batch = &log->queue[first + (uint32_t)count];
                if (count && is_full(log, &batch->header, now_ms))
                        break;
                parts[count++] = (struct iovec){ .iov_base = (void *)batch->data, .iov_len = batch_size(&batch->header) };
                segment_note(segment, &batch->header, log->config.index_interval_bytes);
        }
        int64_t bytes = segment->size - position;
        int r = segment_write(segment, parts, count, position, bytes, log->config.segment_bytes);
        if (r)
                return r;
        segment_used(segment);
        log->size_bytes += bytes;
        log->recent[log->recent_next++ % LOG_RECENT_COUNT] = (RecentWrite){
                .offset = log->queue[first].header.base_offset, .position = position, .segment = segment };
        return count;
}

int log_write_epochs(Log *log) {
        log->description_unsynced = true;
        log->epochs_unsaved = false;
        return epochs_write(&log->epochs, log->path);
}

void log_note_epochs(Log *log) {
        log->epochs_unsaved = log->description_unsynced = true;
}

int log_write_partition_metadata(Log *log, const Uuid *topic_id) {
        log->description_unsynced = true;
        return checkpoint_write_partition_metadata(log->path, topic_id, false);
}

/* Of queued batches. */
static void begin_epochs(Log *log) {
        for (uint32_t i = 0; i < log->queue_count; i++) {
                const BatchHeader *header = &log->queue[i].header;
                if (header->partition_leader_epoch > epochs_latest(&log->epochs) &&
                    epochs_begin(&log->epochs, header->partition_leader_epoch, header->base_offset))
                        log_note_epochs(log);
        }
}

static int write_queue(Log *log, int64_t now_ms) {
        for (uint32_t i = 0; i < log->queue_count;) {
                if (is_full(log, &log->queue[i].header, now_ms)) {
                        int r = log_add_segment(log, log->queue[i].header.base_offset, now_ms);
                        if (r)
                                return r;
                }
                int written = write_run(log, i, now_ms);
                if (written < 0)
                        return written;
                i += (uint32_t)written;
        }
        return 0;
}

void log_free_owned(Log *log) {
        for (uint32_t i = 0; log->queue_owns && i < log->queue_count; i++)
                free(log->queue[i].owned);
        log->queue_owns = false;
}

static void empty_queue(Log *log) {
        log_free_owned(log);
        log->queue_count = log->aborted_count = 0;
        if (log->queue_capacity > LOG_QUEUE_KEPT) {
                free(log->queue);
                log->queue = NULL;
                log->queue_capacity = 0;
        }
}

/* Files and their sizes as they were, reserved extents left out. */
static void undo_write(Log *log, int32_t segment_count, const SegmentMark *mark, int64_t size_bytes) {
        forget_recent(log);
        while (log->segment_count > segment_count) {
                Segment *segment = log->segments[--log->segment_count];
                segment_delete(segment);
                segment_unref(segment);
        }
        segment_reset(log_active(log), mark);
        log->size_bytes = size_bytes;
}

/* On a full disk what is reserved behind a segment may do for the next one: it is given back before a commit is refused. */
static int write_all(Log *log, int32_t segment_count, const SegmentMark *mark, int64_t size_bytes, int64_t now_ms) {
        bool reserves = log_active(log)->reserved_end > mark->size;
        int r = write_queue(log, now_ms);
        if (!file_is_full(r) || !reserves)
                return r;
        undo_write(log, segment_count, mark, size_bytes);
        return log_active(log)->torn ? r : write_queue(log, now_ms);
}

static void undo_commit(Log *log, int32_t segment_count, const SegmentMark *mark, int64_t size_bytes) {
        undo_write(log, segment_count, mark, size_bytes);
        producers_revert(&log->producers, 0);
        epochs_cut_end(&log->epochs, log->end_offset); /* no sync has seen them */
        log->next_offset = log->end_offset;
        log->next_epoch = epochs_latest(&log->epochs);
}

void log_note_age(Log *log, int64_t now_ms) {
        const Segment *active = log_active(log);
        log->is_ageing = active->size && active->first_timestamp >= 0 && now_ms - active->first_timestamp > log->config.segment_ms / 2;
}

static int commit(Log *log, int64_t now_ms) {
        Segment *active = log_active(log);
        int r = log->failure ? log->failure : segment_cut_tail(active);
        if (!r)
                r = segment_load_indexes(active, log->config.index_interval_bytes);
        segment_first_timestamp(active);
        int32_t segment_count = log->segment_count;
        int64_t size_bytes = log->size_bytes;
        SegmentMark mark = segment_mark(active);
        begin_epochs(log);
        if (!r)
                r = write_all(log, segment_count, &mark, size_bytes, now_ms);
        if (r) {
                undo_commit(log, segment_count, &mark, size_bytes);
        } else {
                log->end_offset = log->next_offset;
                log_end_segments(log, segment_count - 1);
                producers_keep(&log->producers);
                log_keep_transactions(log);
                log_note_age(log, now_ms);
        }
        empty_queue(log);
        return r;
}

int log_commit(Log *log, int64_t now_ms) {
        if (!log->queue_count)
                return 0;
        bool kept = file_keep_space(!log->spares_space);
        int r = commit(log, now_ms);
        file_keep_space(kept);
        return r;
}

void log_epoch_end(const Log *log, int32_t current_epoch, int32_t leader_epoch, int32_t *ret_epoch, int64_t *ret_end_offset) {
        int32_t latest = epochs_latest(&log->epochs);
        if (leader_epoch > latest && leader_epoch < current_epoch && latest >= 0)
                leader_epoch = latest;
        if (leader_epoch == current_epoch || (latest < 0 && leader_epoch != -1 && leader_epoch < current_epoch)) {
                *ret_epoch = leader_epoch;
                *ret_end_offset = log->end_offset;
                return;
        }
        epochs_end(&log->epochs, leader_epoch, log->end_offset, ret_epoch, ret_end_offset);
}

int32_t log_latest_epoch(const Log *log) {
        return epochs_latest(&log->epochs);
}

void log_each_producer(const Log *log, void (*each)(const LogProducer *producer, void *data), void *data) {
        HASHMAP_FOREACH(&log->producers.map, node) {
                const Producer *producer = container_of(node, Producer, node);
                const ProducerState *state = &producer->state;
                each(&(LogProducer){ .producer_id = producer->id,
                                     .producer_epoch = state->epoch,
                                     .last_sequence = producer_last_sequence(state),
                                     .last_timestamp_ms = state->last_timestamp_ms,
                                     .coordinator_epoch = state->coordinator_epoch,
                                     .txn_start_offset = state->txn_start_offset },
                     data);
        }
}

bool log_has_open_transaction(const Log *log, int64_t producer_id, int16_t producer_epoch) {
        const Producer *producer = producers_find(&log->producers, producer_id);
        return producer && producer->state.txn_start_offset >= 0 && producer->state.epoch == producer_epoch;
}

int16_t log_producer_epoch(const Log *log, int64_t producer_id) {
        const Producer *producer = producers_find(&log->producers, producer_id);
        return producer ? producer->state.epoch : -1;
}
