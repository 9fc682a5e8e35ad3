/* From a directory to a log: which files count, where the log ends, and the state derived from it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/compaction.h"
#include "storage/log_internal.h"

#define NAME_DIGITS 20

typedef struct Offsets {
        int64_t *values;
        int32_t count, capacity;
} Offsets;

static int offsets_add(Offsets *offsets, int64_t value) {
        if (offsets->count == offsets->capacity) {
                int32_t capacity = offsets->capacity ? offsets->capacity * 2 : 8;
                int64_t *values = realloc(offsets->values, (size_t)capacity * sizeof(*values));
                if (!values)
                        return -ENOMEM;
                offsets->values = values;
                offsets->capacity = capacity;
        }
        offsets->values[offsets->count++] = value;
        return 0;
}

static int compare_offsets(const void *a, const void *b) {
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
        return x < y ? -1 : x > y;
}

static void offsets_sort(Offsets *offsets) {
        if (offsets->count)
                qsort(offsets->values, (size_t)offsets->count, sizeof(*offsets->values), compare_offsets);
}

static bool offsets_contain(const Offsets *offsets, int64_t value) {
        return offsets->count && bsearch(&value, offsets->values, (size_t)offsets->count, sizeof(*offsets->values),
                                         compare_offsets);
}

/* What the directory holds. */
typedef struct Listing {
        Offsets logs, snapshots, indexes;
        Offsets unsound; /* snapshots that say nothing: they go */
        bool compacting; /* files of a compaction that was cut short */
} Listing;

static void listing_deinit(Listing *listing) {
        free(listing->logs.values);
        free(listing->snapshots.values);
        free(listing->indexes.values);
        free(listing->unsound.values);
        *listing = (Listing){ 0 };
}

static bool ends_with(const char *name, const char *end) {
        size_t len = strlen(name), end_len = strlen(end);
        return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

typedef struct Lister {
        const Log *log;
        Listing *listing;
} Lister;

static int list_file(const struct dirent *entry, void *data) {
        const Log *log = ((Lister *)data)->log;
        Listing *listing = ((Lister *)data)->listing;
        const char *name = entry->d_name;
        int64_t base_offset;
        if (ends_with(name, ".deleted") || ends_with(name, ".tmp")) { /* a deletion or replacement cut short */
                char path[SEGMENT_PATH_MAX];
                if (snprintf(path, sizeof(path), "%s/%s", log->path, name) >= (int)sizeof(path))
                        return -ENAMETOOLONG;
                return file_unlink(path);
        }
        listing->compacting |= ends_with(name, CLEANED_SUFFIX) || ends_with(name, SWAP_SUFFIX);
        if (strlen(name) <= NAME_DIGITS || name[NAME_DIGITS] != '.' ||
            !str_to_int64((Str){ name, NAME_DIGITS }, 0, INT64_MAX, &base_offset))
                return 0;
        const char *suffix = name + NAME_DIGITS + 1;
        if (strcmp(suffix, "log") == 0)
                return offsets_add(&listing->logs, base_offset);
        if (strcmp(suffix, "snapshot") == 0)
                return offsets_add(&listing->snapshots, base_offset);
        if (strcmp(suffix, "index") == 0 || strcmp(suffix, "timeindex") == 0)
                return offsets_add(&listing->indexes, base_offset);
        return 0;
}

static int list_directory(const Log *log, Listing *listing) {
        int r = file_each_entry(log->path, list_file, &(Lister){ log, listing });
        offsets_sort(&listing->logs);
        offsets_sort(&listing->snapshots);
        offsets_sort(&listing->indexes);
        return r;
}

static int open_segments(Log *log, const Offsets *logs, int64_t now_ms) {
        for (int32_t i = 0; i < logs->count; i++) {
                char path[SEGMENT_PATH_MAX];
                struct stat st;
                segment_path(log->path, logs->values[i], "log", path);
                int r = file_lstat(path, &st);
                if (r)
                        return r;
                if (file_alien(st.st_mode, S_IFREG)) {
                        trace_error("'%s' is %s; put the file itself there", path, file_alien(st.st_mode, S_IFREG));
                        return -EUCLEAN;
                }
                Segment *segment = segment_new(log->path, logs->values[i], st.st_size);
                r = segment ? log_push_segment(log, segment) : -ENOMEM;
                if (r) {
                        segment_unref(segment);
                        return r;
                }
                segment->created_ms = now_ms;
                segment->sealed = i + 1 < logs->count;
        }
        return 0;
}

/* Index files without a log would be taken for those of a later segment of that name. */
static void remove_orphans(const Log *log, const Listing *listing) {
        static const char *const suffixes[] = { "index", "timeindex", "txnindex" };
        for (int32_t i = 0; i < listing->indexes.count; i++) {
                if (offsets_contain(&listing->logs, listing->indexes.values[i]))
                        continue;
                for (size_t k = 0; k < sizeof(suffixes) / sizeof(*suffixes); k++) {
                        char path[SEGMENT_PATH_MAX];
                        segment_path(log->path, listing->indexes.values[i], suffixes[k], path);
                        file_unlink(path);
                }
        }
}

/* *ret_known: whether the file tells all there is to know; otherwise the epochs are found again in the batches. */
static int load_epochs(Log *log, bool *ret_known) {
        int r = epochs_read(&log->epochs, log->path);
        *ret_known = r == 0;
        return r == -ENOENT || r == -EUCLEAN ? 0 : r;
}

/* Records below the start were deleted on purpose; if the log ends before it, it starts anew there. */
static int settle_start(Log *log, const LogOpen *how) {
        int64_t first = log->segments[0]->base_offset;
        log->start_offset = how->log_start_offset > first ? how->log_start_offset : first;
        bool changed = epochs_cut_end(&log->epochs, log->end_offset);
        if (log->start_offset > log->end_offset) {
                trace_warn("%s: ends at %" PRId64 ", below its start %" PRId64 "; it goes on there", log->path,
                           log->end_offset, log->start_offset);
                int r = log_add_segment(log, log->start_offset, how->now_ms);
                if (!r)
                        r = log_drop_segments(log, log->segment_count - 1);
                if (r)
                        return r;
                log->end_offset = log->start_offset;
                changed |= epochs_cut_end(&log->epochs, 0);
        }
        changed |= epochs_cut_start(&log->epochs, log->start_offset);
        return changed ? log_write_epochs(log) : 0;
}

/* The producers as they were at offset or later, up to offset_max: from the newest sound snapshot, and the batches from there
 * on. *ret_offset is where they stand. */
static int load_producers(Log *log, Listing *listing, int64_t offset, int64_t offset_max, int64_t *ret_offset) {
        int64_t from = log->segments[0]->base_offset;
        if (offset_max < from)
                offset_max = from; /* what lay before is gone */
        for (int32_t i = listing->snapshots.count; i-- > 0 && log->snapshot_offset < 0;) {
                int64_t at = listing->snapshots.values[i];
                if (at < from || at > offset_max)
                        continue;
                char path[SEGMENT_PATH_MAX];
                segment_path(log->path, at, "snapshot", path);
                int r = producers_read_snapshot(&log->producers, path);
                if (r == 0)
                        log->snapshot_offset = log->recall_offset = from = at;
                else if (r == -EUCLEAN && (r = offsets_add(&listing->unsound, at)))
                        return r;
        }
        offsets_sort(&listing->unsound);
        *ret_offset = from > offset ? from : offset;
        return from < offset ? log_replay_producers(log, &log->producers, from, offset, NULL, NULL) : 0;
}

/* Snapshots outside the log, unsound ones, and those of earlier closes: only the newest, and one at the start of each segment, are kept. */
static void remove_snapshots(const Log *log, const Listing *listing) {
        for (int32_t i = 0; i < listing->snapshots.count; i++) {
                int64_t offset = listing->snapshots.values[i];
                bool inside = offset >= log->segments[0]->base_offset && offset <= log->end_offset;
                if (inside && !offsets_contain(&listing->unsound, offset) && (offset == log->snapshot_offset ||
                               log->segments[log_segment_index(log, offset)]->base_offset == offset))
                        continue;
                char path[SEGMENT_PATH_MAX];
                segment_path(log->path, offset, "snapshot", path);
                file_unlink(path);
        }
}

/* Whether markers may lie before where the walk began. */
static bool has_txns(const Segment *segment) {
        char path[SEGMENT_PATH_MAX];
        int64_t size;
        segment_path(segment->dir, segment->base_offset, "txnindex", path);
        return file_stat(path, &size, NULL) == 0 && size > 0;
}

static int recover(Log *log, const LogOpen *how, Listing *listing, bool epochs_known) {
        LogRecovery recovery;
        int r = log_recover_start(log, how->recovery_point, epochs_known, &recovery);
        if (!r)
                r = load_producers(log, listing, recovery.offset, how->recovery_point, &recovery.producers_offset);
        if (!r) /* a torn tail is not cut from a log that cannot be served in the end */
                r = log_check_txns(log, recovery.segment_index);
        if (!r)
                r = log_recover(log, &recovery, how->writes_again);
        if (r)
                return r;
        log->description_unsynced |= how->recovery_point == 0 || how->recovery_point < log->end_offset;
        log->markers_walked |= recovery.position > 0 && has_txns(log->segments[recovery.segment_index]);
        log->recovery_point = how->recovery_point < log->end_offset ? how->recovery_point : log->end_offset;
        return 0;
}

static int trust(Log *log, Listing *listing) {
        int r = log_find_end(log, offsets_contain(&listing->indexes, log_active(log)->base_offset));
        int64_t end_offset = log->end_offset;
        if (!r)
                r = load_producers(log, listing, end_offset, end_offset, &end_offset);
        log->recovery_point = log->end_offset;
        return r;
}

static void settle_counts(Log *log) {
        for (int32_t i = 0; i < log->segment_count; i++) {
                log->size_bytes += log->segments[i]->size;
                segment_close_files(log->segments[i]); /* most logs are idle */
        }
        if (log->recovery_point < log->start_offset)
                log->recovery_point = log->start_offset;
        log->next_offset = log->end_offset;
        log->next_epoch = epochs_latest(&log->epochs);
}

/* A log always has a segment: without one this is half a copy, say. To begin anew would give offsets away a second time. */
static bool lacks_segments(const Log *log, const LogOpen *how, const Listing *listing) {
        if (listing->logs.count || (!listing->indexes.count && how->recovery_point <= how->log_start_offset))
                return false;
        trace_error("%s: holds no segment, though records up to offset %" PRId64 " were on disk; nothing was changed", log->path,
                    how->recovery_point);
        return true;
}

static int load_listed(Log *log, const LogOpen *how, Listing *listing) {
        int r = 0;
        bool epochs_known = true;
        if (lacks_segments(log, how, listing))
                return -EUCLEAN;
        remove_orphans(log, listing);
        if (listing->logs.count)
                r = open_segments(log, &listing->logs, how->now_ms);
        else
                r = log_add_segment(log, how->log_start_offset, how->now_ms);
        if (!r)
                r = load_epochs(log, &epochs_known);
        if (r)
                return r;
        int32_t epoch_count = log->epochs.count;
        bool is_empty = log->segment_count == 1 && log->segments[0]->size == 0; /* has no epochs, and no file of them */
        bool trusted = (how->clean_shutdown && (epochs_known || is_empty)) || !listing->logs.count;
        r = trusted ? trust(log, listing) : recover(log, how, listing, epochs_known);
        if (!r && trusted && listing->logs.count && log->end_offset < how->recovery_point) {
                trace_error("%s: ends at offset %" PRId64 ", but was on disk up to %" PRId64 "; nothing was changed", log->path,
                            log->end_offset, how->recovery_point);
                r = -EUCLEAN;
        }
        if (!r && (log->epochs.count != epoch_count || how->writes_again))
                r = log_write_epochs(log);
        if (!r)
                r = settle_start(log, how);
        if (r)
                return r;
        remove_snapshots(log, listing);
        producers_expire(&log->producers, how->now_ms, log->config.producer_id_expiration_ms);
        if (!trusted)
                r = log_recover_txns(log, how->recovery_point);
        log->unstable_offset = producers_first_open(&log->producers);
        settle_counts(log);
        return r;
}

int log_load(Log *log, const LogOpen *how) {
        Listing listing = { 0 };
        int r = list_directory(log, &listing);
        if (r == -ENOENT) {
                r = file_make_directory(log->path);
                log->description_unsynced = true;
        }
        if (!r && listing.compacting) {
                r = compaction_recover(log->path);
                listing_deinit(&listing);
                if (!r)
                        r = list_directory(log, &listing);
        }
        if (!r)
                r = load_listed(log, how, &listing);
        listing_deinit(&listing);
        return r;
}
