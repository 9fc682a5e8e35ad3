/* The part of a compaction that belongs to the log's thread: what is to be compacted, and the swap of the segments in
 * memory. */
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

/* Where the group's segments are in the log, or -1 when one is no longer there. */
static int32_t find_group(const Log *log, const Compaction *compaction, const CompactionGroup *group) {
        int32_t index = log_segment_index(log, group->base_offset);
        for (int32_t i = 0; i < group->count; i++)
                if (index + i >= log->segment_count ||
                    log->segments[index + i] != compaction->sources[group->first + i].segment)
                        return -1;
        return index;
}

static bool is_whole(const Log *log, const Compaction *compaction) {
        int32_t first = compaction->source_count ? log_segment_index(log, compaction->sources[0].base_offset) : 0;
        for (int32_t i = 0; i < compaction->source_count; i++)
                if (first + i >= log->segment_count || log->segments[first + i] != compaction->sources[i].segment)
                        return false;
        return true;
}

/* The new segments; groups that are out of place are dropped. NULL without memory. */
static Segment **make_segments(const Log *log, Compaction *compaction) {
        Segment **segments = calloc((size_t)compaction->group_count + 1, sizeof(*segments));
        for (int32_t i = 0; segments && i < compaction->group_count; i++) {
                CompactionGroup *group = &compaction->groups[i];
                int32_t index = find_group(log, compaction, group);
                if (index < 0) {
                        compaction_discard(compaction->dir, group->base_offset);
                        continue;
                }
                group->swapped = true;
                segments[i] = segment_new(log->path, group->base_offset, group->size);
                if (!segments[i]) {
                        while (i-- > 0)
                                segment_unref(segments[i]);
                        free(segments);
                        return NULL;
                }
                segments[i]->sealed = true;
                segments[i]->created_ms = log->segments[index]->created_ms;
                segments[i]->txns.loaded = false;
        }
        return segments;
}

/* The files were renamed; they go with the last reader, or, where nobody takes them, now. */
static void give_away(const Log *log, Segment *segment) {
        char path[SEGMENT_PATH_MAX];
        snprintf(path, sizeof(path), "%s/%020" PRId64, log->path, segment->base_offset);
        segment->retired = log->reaper ? strdup(path) : NULL;
        segment->reaper = log->reaper;
        if (!segment->retired)
                compaction_unlink(log->path, segment->base_offset);
        segment_unref(segment);
}

static void replace_group(Log *log, const Compaction *compaction, const CompactionGroup *group, Segment *segment,
                          LogCompacted *compacted) {
        int32_t index = find_group(log, compaction, group), removed = group->count - 1;
        for (int32_t i = 0; i < group->count; i++) {
                compacted->bytes_before += log->segments[index + i]->size;
                give_away(log, log->segments[index + i]);
        }
        compacted->bytes_after += segment->size;
        log->segments[index] = segment;
        log->segment_count -= removed;
        memmove(log->segments + index + 1, log->segments + index + 1 + removed,
                (size_t)(log->segment_count - index - 1) * sizeof(*log->segments));
}

static void discard_groups(const Compaction *compaction) {
        for (int32_t i = 0; i < compaction->group_count; i++)
                compaction_discard(compaction->dir, compaction->groups[i].base_offset);
}

/* What was written is on disk, so with all before it being so, too, the recovery point moves. */
static void advance_recovery_point(Log *log, const Compaction *compaction, const CompactionGroup *group) {
        int64_t end_offset = compaction->sources[group->first + group->count - 1].next_offset;
        bool joined = group->base_offset <= log->recovery_point || group->base_offset == log->segments[0]->base_offset;
        if (joined && end_offset > log->recovery_point)
                log->recovery_point = end_offset;
}

static void replace_groups(Log *log, const Compaction *compaction, Segment **segments, LogCompacted *ret_compacted) {
        LogCompacted compacted = { .cleaner_offset = compaction->end_offset };
        for (int32_t i = 0; i < compaction->group_count; i++) {
                const CompactionGroup *group = &compaction->groups[i];
                if (group->swapped) {
                        replace_group(log, compaction, group, segments[i], &compacted);
                        advance_recovery_point(log, compaction, group);
                } else {
                        compacted.cleaner_offset = compaction->first_dirty_offset; /* some of it may be there still */
                }
        }
        log->size_bytes += compacted.bytes_after - compacted.bytes_before;
        if (log->compacted_offset < compaction->end_offset)
                log->compacted_offset = compaction->end_offset;
        memset(log->recent, 0, sizeof(log->recent));
        *ret_compacted = compacted;
}

static int swap_segments(Log *log, Compaction *compaction, LogCompacted *ret_compacted) {
        Segment **segments = make_segments(log, compaction);
        if (!segments) {
                discard_groups(compaction);
                return -ENOMEM;
        }
        bool undone;
        int r = compaction_swap(compaction, &undone);
        if (!r)
                replace_groups(log, compaction, segments, ret_compacted);
        for (int32_t i = 0; r && i < compaction->group_count; i++)
                segment_unref(segments[i]);
        if (r && !undone)
                log->failure = r; /* names are half old, half new: the next open sorts them out */
        free(segments);
        return r;
}

int log_compaction_finish(Log *log, Compaction *compaction, LogCompacted *ret_compacted) {
        int r = compaction->result;
        if (compaction->log != log || compaction->cancelled)
                r = -ECANCELED;
        else if (r && !is_whole(log, compaction))
                r = -ECANCELED; /* the files that it could not read are gone for a reason */
        else if (!r)
                r = log->failure;
        if (!r)
                return swap_segments(log, compaction, ret_compacted);
        discard_groups(compaction);
        return r;
}
