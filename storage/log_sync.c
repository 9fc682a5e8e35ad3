/* Syncing a log while it goes on: what is to be synced is noted on the log's thread, the waiting is done on any. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/log_internal.h"

typedef struct SyncItem {
        Segment *segment; /* a reference */
        int fd;           /* its, or -1: opened for the sync */
        int64_t base_offset;
        bool sealed, ends; /* ends: it was not when last synced */
        SegmentEnd end;
        TxnIndex txns; /* a copy, where there are rows to save */
        uint32_t index_count; /* entries to be saved once the times are on disk; 0: none */
} SyncItem;

struct LogSync {
        int64_t end_offset;
        char *path;        /* of the log, which may be closed meanwhile */
        bool with_entries; /* a segment's name is not known to be on disk */
        bool with_description; /* nor what the log's directory is */
        int64_t named_offset;  /* of the first segment, where only its name is to be synced; or -1 */
        bool with_next;        /* the next segment's file is to be made */
        bool has_next;         /* it is there */
        bool spares_space;     /* the last of the disk serves also for what can be made again */
        SnapshotQueue snapshots;   /* to be saved */
        Buffer epochs;             /* leader-epoch-checkpoint, where it is to be written */
        int snapshot_result, epochs_result;
        bool derived_saved; /* of what was rolled; log_sync_run() may be tried again */
        int32_t count;
        SyncItem items[];
};

static bool has_work(const Segment *segment) {
        return segment->unsynced || segment->unsaved;
}

/* How many segments before end hold what is not synced; of those below the recovery point, only the last may have just ended. */
static int32_t count_unsynced(const Log *log, int32_t end) {
        int32_t count = 0;
        for (int32_t i = end; i-- > 0;) {
                count += has_work(log->segments[i]);
                if (log->segments[i]->base_offset < log->recovery_point)
                        break;
        }
        return count;
}

static int add_item(LogSync *sync, Segment *segment) {
        SyncItem *item = &sync->items[sync->count];
        int r = txn_index_is_dirty(&segment->txns) ? txn_index_copy(&segment->txns, &item->txns) : 0;
        if (r)
                return r;
        sync->count++;
        item->segment = segment_keep(segment, &item->fd);
        item->base_offset = segment->base_offset;
        item->sealed = segment->sealed;
        item->index_count = segment_save_times(segment);
        sync->with_entries |= segment->entry_unsynced;
        return 0;
}

static void free_sync(LogSync *sync) {
        for (int32_t i = 0; i < sync->count; i++) {
                segment_let_go(sync->items[i].segment, sync->items[i].fd);
                txn_index_deinit(&sync->items[i].txns);
        }
        snapshot_queue_deinit(&sync->snapshots);
        buffer_deinit(&sync->epochs);
        free(sync->path);
        free(sync);
}

int log_sync_begin(Log *log, bool sealed_only, LogSync **ret_sync) {
        *ret_sync = NULL;
        if (log->failure)
                return log->failure;
        int32_t end = sealed_only ? log->segment_count - 1 : log->segment_count, count = count_unsynced(log, end);
        int64_t end_offset = sealed_only ? log_active(log)->base_offset : log->end_offset;
        bool with_next = sealed_only && log_wants_next(log), with_names = sealed_only && log_wants_names(log);
        if (!count && !log->description_unsynced && !log->snapshots.count && end_offset <= log->recovery_point && !with_next && !with_names)
                return 0;
        LogSync *sync = calloc(1, sizeof(*sync) + (size_t)count * sizeof(SyncItem));
        if (!sync || !(sync->path = strdup(log->path))) {
                free(sync);
                return -ENOMEM;
        }
        sync->epochs = log->epochs_unsaved ? epochs_encode(&log->epochs) : BUFFER_INIT;
        if (sync->epochs.failed) {
                free_sync(sync);
                return -ENOMEM;
        }
        sync->end_offset = end_offset;
        sync->spares_space = log->spares_space;
        sync->with_next = with_next;
        sync->with_entries = with_names;
        sync->named_offset = with_names ? log->segments[0]->base_offset : -1;
        for (int32_t i = end; sync->count < count && i-- > 0;) {
                int r = has_work(log->segments[i]) ? add_item(sync, log->segments[i]) : 0;
                if (r) {
                        free_sync(sync);
                        return r;
                }
        }
        for (int32_t i = 0; i < sync->count; i++) { /* what is written from here on is the next sync's */
                SyncItem *item = &sync->items[i];
                item->segment->unsynced = false;
                item->ends = item->segment->unsaved;
                if (item->ends)
                        item->end = segment_end_begin(item->segment);
        }
        sync->snapshots = log->snapshots;
        log->snapshots = (SnapshotQueue){ 0 };
        if (with_next)
                log->next_asked_offset = log_active(log)->base_offset;
        sync->with_description = log->description_unsynced;
        log->description_unsynced = log->epochs_unsaved = false;
        *ret_sync = sync;
        return 0;
}

bool log_wants_names(const Log *log) {
        const Segment *active = log_active(log);
        bool is_due = active->size >= LOG_NAMES_FROM_BYTES || log_is_near_roll(log) || log->is_seasoned;
        return !log->failure && log->segment_count == 1 && active->entry_unsynced && is_due;
}

bool log_wants_sync(const Log *log) {
        int32_t last = log->segment_count - 1;
        bool rolled = log->recovery_point < log->segments[last]->base_offset || (last > 0 && log->segments[last - 1]->unsaved);
        return !log->failure && (rolled || log->snapshots.count || log_wants_names(log) || log_wants_next(log));
}

void log_sync_write_back(const LogSync *sync) {
        for (int32_t i = 0; i < sync->count; i++)
                if (sync->items[i].fd >= 0)
                        file_start_write_back(sync->items[i].fd);
}

/* A segment that is missing was dropped or compacted meanwhile; an index may never have been written, either. */
static int sync_file(const LogSync *sync, const SyncItem *item, const char *suffix) {
        char path[SEGMENT_PATH_MAX];
        segment_path(sync->path, item->base_offset, suffix, path);
        return file_sync_named(path);
}

/* The files that say what the directory is, and its own name. */
static int sync_description(const LogSync *sync) {
        static const char *const names[] = { "partition.metadata", "leader-epoch-checkpoint" };
        int r = 0;
        for (size_t i = 0; !r && i < sizeof(names) / sizeof(names[0]); i++) {
                char path[SEGMENT_PATH_MAX];
                int n = snprintf(path, sizeof(path), "%s/%s", sync->path, names[i]);
                r = n < (int)sizeof(path) ? file_sync_named(path) : -ENAMETOOLONG;
        }
        return r ? r : file_sync_parent(sync->path);
}

static int save_txns(const LogSync *sync, SyncItem *item) {
        char path[SEGMENT_PATH_MAX];
        segment_path(sync->path, item->base_offset, "txnindex", path);
        return item->txns.rows ? txn_index_save(&item->txns, path) : 0;
}

/* What fails here is derived data: it is built again from the log when needed. */
static void save_derived(LogSync *sync) {
        for (int32_t i = 0; i < sync->count; i++) {
                SyncItem *item = &sync->items[i];
                if (item->ends)
                        segment_end_run(&item->end, sync->path, item->base_offset, item->fd);
        }
        char path[SEGMENT_PATH_MAX];
        for (int32_t i = 0; !sync->snapshot_result && i < sync->snapshots.count; i++) {
                segment_path(sync->path, sync->snapshots.items[i].offset, "snapshot", path);
                sync->snapshot_result = producers_save_snapshot(&sync->snapshots.items[i].bytes, path);
        }
        if (sync->epochs.size && (sync->epochs_result = epochs_save(&sync->epochs, sync->path)))
                (void)epochs_remove(sync->path);
        sync->derived_saved = true;
}

static void make_next(LogSync *sync) {
        char path[SEGMENT_PATH_MAX];
        snprintf(path, sizeof(path), "%s/" LOG_NEXT_NAME, sync->path);
        int fd = file_open(path, O_RDWR | O_CREAT | O_TRUNC);
        sync->has_next = fd >= 0; /* otherwise the roll makes it */
        file_close(fd);
}

static bool is_gone(const LogSync *sync) {
        int64_t size;
        return file_stat(sync->path, &size, NULL) == -ENOENT;
}

int log_sync_run(LogSync *sync) {
        bool kept = file_keep_space(!sync->spares_space);
        if (!sync->derived_saved)
                save_derived(sync);
        if (sync->with_next)
                make_next(sync);
        file_keep_space(kept);
        int r = sync->with_description ? sync_description(sync) : 0;
        if (!r && (sync->with_entries || sync->with_description))
                r = file_sync_directory(sync->path);
        for (int32_t i = sync->count; !r && i-- > 0;) {
                SyncItem *item = &sync->items[i];
                r = item->fd >= 0 ? file_sync_data(item->fd) : sync_file(sync, item, "log");
                if (!r && item->sealed)
                        r = sync_file(sync, item, "index");
                if (!r && (item->sealed || item->index_count))
                        r = sync_file(sync, item, "timeindex");
                if (!r)
                        r = save_txns(sync, item);
        }
        return r == -ENOENT && is_gone(sync) ? 0 : r;
}

/* Also when the log is gone, since segments may be left. */
static void finish_derived(Log *log, LogSync *sync) {
        int failed = sync->snapshot_result;
        for (int32_t i = 0; i < sync->count; i++) {
                SyncItem *item = &sync->items[i];
                if (!item->ends)
                        continue;
                item->end.result = sync->derived_saved ? item->end.result : -ECANCELED;
                segment_end_finish(item->segment, &item->end);
                item->segment->unsaved = !sync->derived_saved;
                failed = failed ? failed : item->end.result;
        }
        if (log && sync->derived_saved && !sync->snapshot_result && sync->snapshots.count)
                log->snapshot_offset = sync->snapshots.items[sync->snapshots.count - 1].offset;
        if (log && sync->epochs.size && (!sync->derived_saved || sync->epochs_result))
                log_note_epochs(log);
        if (log && sync->derived_saved && failed)
                trace_warn("%s: indexes of segments before offset %" PRId64 " were not saved: %s", log->path, log_active(log)->base_offset,
                           strerror(-failed));
}

static void note_names(Log *log, const LogSync *sync) {
        for (int32_t i = 0; i < sync->count; i++)
                sync->items[i].segment->entry_unsynced = false;
        if (log->segments[0]->base_offset == sync->named_offset)
                log->segments[0]->entry_unsynced = false;
}

void log_sync_finish(Log *log, LogSync *sync, int result) {
        if (log && result && !log->failure)
                log->failure = result;
        if (log && !result && sync->end_offset > log->recovery_point)
                log->recovery_point = sync->end_offset;
        if (log && !result)
                note_names(log, sync);
        if (log)
                log->has_next |= sync->has_next;
        for (int32_t i = 0; log && !result && i < sync->count; i++)
                if (sync->items[i].txns.rows)
                        txn_index_note_saved(&sync->items[i].segment->txns, &sync->items[i].txns);
        finish_derived(log, sync);
        for (int32_t i = 0; log && i < sync->count; i++) {
                if (sync->items[i].index_count && !log->failure)
                        segment_save_offsets(sync->items[i].segment, sync->items[i].index_count);
                segment_used(sync->items[i].segment);
        }
        free_sync(sync);
}

int log_sync(Log *log) {
        LogSync *sync;
        int r = log_sync_begin(log, false, &sync);
        if (r || !sync)
                return r;
        sync->spares_space = true;
        r = log_sync_run(sync);
        log_sync_finish(log, sync, r);
        return r;
}
