/* The part of a compaction that belongs to the log's thread: what is to be compacted, and the swap of the segments in
 * memory. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/file.h"
#include "storage/base/list.h"
#include "storage/compaction.h"
#include "storage/log_internal.h"

/* ---- what there is to compact ---- */

/* The first dirty segment with records that are too young. */
static int64_t first_young_offset(Log *log, int32_t first, int64_t now_ms) {
        int64_t lag_ms = log->config.min_compaction_lag_ms;
        for (int32_t i = first; lag_ms > 0 && i < log->segment_count - 1; i++) {
                Segment *segment = log->segments[i];
                if (segment_max_timestamp(segment, log->config.index_interval_bytes) > now_ms - lag_ms)
                        return segment->base_offset;
        }
        return INT64_MAX;
}

/* Only what is on disk is compacted, so that no sync is at work on files that are replaced. */
static int64_t first_unsynced_offset(const Log *log, int32_t first) {
        for (int32_t i = first; i < log->segment_count - 1; i++) {
                const Segment *segment = log->segments[i];
                if (segment->unsynced || segment->unsaved || segment->busy)
                        return segment->base_offset;
        }
        return INT64_MAX;
}

static bool has_waited(Log *log, int32_t first, int64_t now_ms) {
        int64_t lag_ms = log->config.max_compaction_lag_ms > 0 ? log->config.max_compaction_lag_ms : 0;
        for (int32_t i = first; i < log->segment_count - 1; i++) {
                int64_t timestamp = segment_first_timestamp(log->segments[i]);
                if (timestamp > 0 && (__int128)now_ms - timestamp > lag_ms)
                        return true;
        }
        return false;
}

static int64_t min_offset(int64_t a, int64_t b) {
        return a < b ? a : b;
}

void log_dirt(Log *log, int64_t cleaner_offset, int64_t now_ms, LogDirt *ret_dirt) {
        /* an offset from another life of the log says nothing */
        int64_t first_dirty = cleaner_offset < log->start_offset || cleaner_offset > log->end_offset ? log->start_offset
                                                                                                     : cleaner_offset;
        int32_t dirty_index = log_segment_index(log, first_dirty);
        int64_t uncleanable = min_offset(log_last_stable_offset(log), log_active(log)->base_offset);
        uncleanable = min_offset(uncleanable, first_young_offset(log, dirty_index, now_ms));
        uncleanable = min_offset(uncleanable, first_unsynced_offset(log, 0));
        if (uncleanable < first_dirty)
                uncleanable = first_dirty;
        int32_t uncleanable_index = log_segment_index(log, uncleanable);
        LogDirt dirt = { .first_dirty_offset = first_dirty,
                         .first_uncleanable_offset = log->segments[uncleanable_index]->base_offset };
        for (int32_t i = 0; i < log->segment_count && log->segments[i]->base_offset < first_dirty; i++)
                dirt.clean_bytes += log->segments[i]->size;
        for (int32_t i = dirty_index; i < uncleanable_index; i++)
                dirt.dirty_bytes += log->segments[i]->size;
        dirt.overdue = dirt.dirty_bytes && has_waited(log, dirty_index, now_ms);
        dirt.due = dirt.overdue || log_dirt_ratio(&dirt) > log->config.min_cleanable_dirty_ratio;
        *ret_dirt = dirt;
}

/* ---- a copy of what the worker needs ---- */

static int copy_sources(Log *log, Compaction *compaction) {
        int32_t count = log_segment_index(log, compaction->first_uncleanable_offset);
        compaction->sources = calloc((size_t)count, sizeof(*compaction->sources));
        if (!compaction->sources)
                return -ENOMEM;
        for (int32_t i = 0; i < count; i++) {
                Segment *segment = log->segments[i];
                CompactionSource *source = &compaction->sources[i];
                char path[SEGMENT_PATH_MAX];
                int64_t size;
                segment_path(log->path, segment->base_offset, "log", path);
                int r = file_stat(path, &size, &source->mtime_ms);
                if (r)
                        return r;
                source->base_offset = segment->base_offset;
                source->size = segment->size;
                source->next_offset = log->segments[i + 1]->base_offset;
                source->segment = segment_ref(segment);
                compaction->source_count++;
        }
        return 0;
}

static int compare_producers(const void *a, const void *b) {
        const CompactionProducer *x = a, *y = b;
        return x->id < y->id ? -1 : x->id > y->id;
}

static int copy_producers(const Log *log, Compaction *compaction) {
        if (!log->producers.map.count)
                return 0;
        compaction->producers = calloc(log->producers.map.count, sizeof(*compaction->producers));
        if (!compaction->producers)
                return -ENOMEM;
        HASHMAP_FOREACH(&log->producers.map, node) {
                const Producer *producer = container_of(node, Producer, node);
                const ProducerState *state = &producer->state;
                compaction->producers[compaction->producer_count++] = (CompactionProducer){
                        .id = producer->id,
                        .last_offset = state->batch_count ? state->batches[state->batch_count - 1].last_offset : -1,
                        .epoch = state->epoch,
                };
        }
        qsort(compaction->producers, (size_t)compaction->producer_count, sizeof(*compaction->producers), compare_producers);
        return 0;
}

static void copy_aborted(const AbortedTxn *txn, void *data) {
        Compaction *compaction = data;
        int32_t count = compaction->aborted_count;
        if (compaction->result)
                return;
        if ((count & (count - 1)) == 0) { /* full at each power of two */
                AbortedTxn *aborted = realloc(compaction->aborted, (count ? (size_t)count * 2 : 1) * sizeof(*aborted));
                if (!aborted) {
                        compaction->result = -ENOMEM;
                        return;
                }
                compaction->aborted = aborted;
        }
        compaction->aborted[compaction->aborted_count++] = *txn;
}

static int compare_aborted(const void *a, const void *b) {
        const AbortedTxn *x = a, *y = b;
        return x->first_offset < y->first_offset ? -1 : x->first_offset > y->first_offset;
}

static int copy_log(Log *log, Compaction *compaction) {
        compaction->dir = strdup(log->path);
        int r = compaction->dir ? copy_sources(log, compaction) : -ENOMEM;
        if (!r)
                r = copy_producers(log, compaction);
        if (!r)
                r = log_each_aborted(log, 0, compaction->first_uncleanable_offset, copy_aborted, compaction);
        if (!r)
                r = compaction->result;
        if (!r && compaction->aborted_count)
                qsort(compaction->aborted, (size_t)compaction->aborted_count, sizeof(*compaction->aborted), compare_aborted);
        return r;
}

int log_compaction_begin(Log *log, int64_t cleaner_offset, size_t map_bytes_max, int64_t now_ms,
                         Compaction **ret_compaction) {
        *ret_compaction = NULL;
        if (log->compaction)
                return -EBUSY;
        int r = log_commit(log, now_ms); /* what producers' state says must be in the log */
        if (!r)
                r = log->failure;
        if (r)
                return r;
        LogDirt dirt;
        log_dirt(log, cleaner_offset, now_ms, &dirt);
        if (dirt.first_uncleanable_offset <= dirt.first_dirty_offset)
                return 0;
        Compaction *compaction = calloc(1, sizeof(*compaction));
        if (!compaction)
                return -ENOMEM;
        compaction->config = log->config;
        compaction->now_ms = now_ms;
        compaction->first_dirty_offset = dirt.first_dirty_offset;
        compaction->first_uncleanable_offset = dirt.first_uncleanable_offset;
        compaction->map_bytes_max = map_bytes_max;
        r = copy_log(log, compaction);
        if (r) {
                compaction_free(compaction);
                return r;
        }
        compaction->log = log;
        log->compaction = *ret_compaction = compaction;
        return 0;
}

void compaction_free(Compaction *compaction) {
        if (!compaction)
                return;
        if (compaction->log)
                compaction->log->compaction = NULL;
        for (int32_t i = 0; i < compaction->source_count; i++)
                segment_unref(compaction->sources[i].segment);
        free(compaction->sources);
        free(compaction->producers);
        free(compaction->aborted);
        for (int32_t i = 0; i < compaction->group_count; i++)
                txn_index_deinit(&compaction->groups[i].txns);
        free(compaction->groups);
        free(compaction->dir);
        free(compaction);
}

void log_forget_compaction(Log *log) {
        if (!log->compaction)
                return;
        compaction_cancel(log->compaction);
        log->compaction->log = NULL;
        log->compaction = NULL;
}

/* ---- the swap ---- */

/* The new segments of all groups. 0 or -ENOMEM: then none. */
static int make_segments(const Log *log, Compaction *compaction) {
        for (int32_t i = 0; i < compaction->group_count; i++) {
                CompactionGroup *group = &compaction->groups[i];
                Segment *segment = group->segment = segment_new(log->path, group->base_offset, group->size);
                if (!segment) {
                        while (i-- > 0) {
                                segment_unref(compaction->groups[i].segment);
                                compaction->groups[i].segment = NULL;
                        }
                        return -ENOMEM;
                }
                segment->sealed = segment->busy = segment->swapping = true;
                segment->created_ms = compaction->sources[group->first].segment->created_ms;
        }
        return 0;
}

static void replace_group(Log *log, Compaction *compaction, CompactionGroup *group) {
        int32_t index = log_segment_index(log, group->base_offset), removed = group->count - 1;
        assert(log->segments[index] == compaction->sources[group->first].segment);
        for (int32_t i = 0; i < group->count; i++) {
                compaction->compacted.bytes_before += log->segments[index + i]->size;
                segment_unref(log->segments[index + i]); /* the compaction has them still */
        }
        compaction->compacted.bytes_after += group->size;
        group->segment->txns = group->txns;
        group->txns = TXN_INDEX_INIT;
        log->segments[index] = group->segment;
        log->segment_count -= removed;
        memmove(log->segments + index + 1, log->segments + index + 1 + removed,
                (size_t)(log->segment_count - index - 1) * sizeof(*log->segments));
}

/* What was written is on disk, so with all before it being so, too, the recovery point moves. */
static void advance_recovery_point(Log *log, const Compaction *compaction, const CompactionGroup *group) {
        int64_t end_offset = compaction->sources[group->first + group->count - 1].next_offset;
        bool joined = group->base_offset <= log->recovery_point || group->base_offset == log->segments[0]->base_offset;
        if (joined && end_offset > log->recovery_point)
                log->recovery_point = end_offset;
}

static void swap_segments(Log *log, Compaction *compaction) {
        LogCompacted *compacted = &compaction->compacted;
        for (int32_t i = 0; i < compaction->group_count; i++) {
                replace_group(log, compaction, &compaction->groups[i]);
                advance_recovery_point(log, compaction, &compaction->groups[i]);
        }
        compacted->cleaner_offset = compaction->end_offset;
        log->size_bytes += compacted->bytes_after - compacted->bytes_before;
        if (log->compacted_offset < compaction->end_offset)
                log->compacted_offset = compaction->end_offset;
        memset(log->recent, 0, sizeof(log->recent));
}

int log_compaction_swap(Log *log, Compaction *compaction) {
        if (compaction->log != log)
                return -ECANCELED; /* closed: what is announced is swapped at the next open */
        int r = compaction->result;
        if (!r)
                r = log->failure;
        if (!r && (r = make_segments(log, compaction)))
                (void)compaction_withdraw(compaction);
        if (!r)
                swap_segments(log, compaction);
        if (compaction->is_stuck)
                log->failure = r;
        return r;
}

/* Replaced files go with their last reader, or, where nobody takes them, now. */
static void give_away(const Log *log, Segment *segment) {
        char path[SEGMENT_PATH_MAX];
        snprintf(path, sizeof(path), "%s/%020" PRId64, log->path, segment->base_offset);
        segment->retired = log->reaper ? strdup(path) : NULL;
        segment->reaper = log->reaper;
        if (!segment->retired)
                compaction_unlink(log->path, segment->base_offset);
}

int log_compaction_finish(Log *log, Compaction *compaction, LogCompacted *ret_compacted) {
        if (compaction->log != log)
                return -ECANCELED;
        int r = compaction->result;
        if (r) {
                log->failure = r;
                return r;
        }
        for (int32_t i = 0; i < compaction->group_count; i++) {
                const CompactionGroup *group = &compaction->groups[i];
                group->segment->busy = group->segment->swapping = false;
                for (int32_t k = 0; k < group->count; k++)
                        give_away(log, compaction->sources[group->first + k].segment);
        }
        *ret_compacted = compaction->compacted;
        return 0;
}
