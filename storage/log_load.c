/* From a directory to a log: which files count, where the log ends, and the state derived from it. */
#include <dirent.h>
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
        bool compacting; /* files of a compaction that was cut short */
} Listing;

static void listing_deinit(Listing *listing) {
        free(listing->logs.values);
        free(listing->snapshots.values);
        free(listing->indexes.values);
        *listing = (Listing){ 0 };
}

static bool ends_with(const char *name, const char *end) {
        size_t len = strlen(name), end_len = strlen(end);
        return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

static int list_file(const Log *log, const char *name, Listing *listing) {
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
        DIR *dir = opendir(log->path);
        if (!dir)
                return -errno;
        int r = 0;
        for (struct dirent *entry; !r && (entry = readdir(dir));)
                r = list_file(log, entry->d_name, listing);
        closedir(dir);
        offsets_sort(&listing->logs);
        offsets_sort(&listing->snapshots);
        offsets_sort(&listing->indexes);
        return r;
}

static int open_segments(Log *log, const Offsets *logs, int64_t now_ms) {
        for (int32_t i = 0; i < logs->count; i++) {
                char path[SEGMENT_PATH_MAX];
                int64_t size;
                segment_path(log->path, logs->values[i], "log", path);
                int r = file_stat(path, &size, NULL);
                if (r)
                        return r;
                Segment *segment = segment_new(log->path, logs->values[i], size);
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

static int load_epochs(Log *log) {
        int r = epochs_read(&log->epochs, log->path);
        return r == -ENOENT || r == -EUCLEAN ? 0 : r; /* as far as batches were walked they are found again */
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
        return changed ? epochs_write(&log->epochs, log->path) : 0;
}

static int load_producers(Log *log, const Listing *listing, int64_t now_ms) {
        int64_t from = log->start_offset;
        for (int32_t i = listing->snapshots.count; i-- > 0;) {
                int64_t offset = listing->snapshots.values[i];
                char path[SEGMENT_PATH_MAX];
                segment_path(log->path, offset, "snapshot", path);
                bool past = offset > log->end_offset || offset < log->start_offset;
                if (!past && log->snapshot_offset < 0 && producers_read_snapshot(&log->producers, path) == 0)
                        log->snapshot_offset = from = offset;
                else if (past || log->segments[log_segment_index(log, offset)]->base_offset != offset)
                        file_unlink(path); /* ahead of the log, unreadable, or of an earlier close */
        }
        int r = from < log->end_offset ? log_replay_producers(log, &log->producers, from, NULL, NULL) : 0;
        producers_expire(&log->producers, now_ms, log->config.producer_id_expiration_ms);
        return r;
}

static int load_listed(Log *log, const LogOpen *how, const Listing *listing) {
        int r = 0;
        remove_orphans(log, listing);
        if (listing->logs.count)
                r = open_segments(log, &listing->logs, how->now_ms);
        else
                r = log_add_segment(log, how->log_start_offset, how->now_ms);
        if (!r)
                r = load_epochs(log);
        if (r)
                return r;
        bool trusted = how->clean_shutdown || !listing->logs.count;
        int64_t recovery_point = listing->logs.count ? how->recovery_point : 0;
        int32_t epoch_count = log->epochs.count;
        r = trusted ? log_find_end(log) : log_recover(log, recovery_point);
        if (!r && trusted && log->end_offset < recovery_point) {
                trace_error("%s: ends at offset %" PRId64 ", but was on disk up to %" PRId64 "; nothing was changed", log->path,
                            log->end_offset, recovery_point);
                r = -EUCLEAN;
        }
        if (!r && log->epochs.count != epoch_count)
                r = epochs_write(&log->epochs, log->path);
        if (!r)
                r = settle_start(log, how);
        if (!r)
                r = load_producers(log, listing, how->now_ms);
        if (!r && !trusted)
                r = log_recover_txns(log, recovery_point);
        log->unstable_offset = producers_first_open(&log->producers);
        for (int32_t i = 0; i < log->segment_count; i++)
                log->size_bytes += log->segments[i]->size;
        log->next_offset = log->recovery_point = log->end_offset;
        log->next_epoch = epochs_latest(&log->epochs);
        return r;
}

int log_load(Log *log, const LogOpen *how) {
        int r = file_make_directory(log->path);
        if (r && r != -EEXIST)
                return r;
        Listing listing = { 0 };
        r = list_directory(log, &listing);
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
