/* The swap of old segments for new ones, so that a crash at any point, with names lost in any order that the directory's syncs
 * allow, leaves each group of segments either old or new:
 *   1. NNN.log.cleaned and its indexes are written and synced, names too   crash: they are removed
 *   2. all are renamed to .swap; the directory is synced                   crash: while one is still .cleaned, removed
 *   3. the replaced files become .deleted; synced                          crash: the swap is done again from here
 *   4. .swap is renamed to the plain name, over what is there
 * Apache Kafka uses the same names and ends such a swap the same way. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/compaction.h"

#define NAME_DIGITS 20
#define SUFFIX_COUNT (sizeof(compaction_suffixes) / sizeof(*compaction_suffixes))
#define RETIRED_COUNT (sizeof(retired_suffixes) / sizeof(*retired_suffixes))

static const char *const retired_suffixes[] = { "log", "index", "timeindex", "txnindex", "snapshot" };

int compaction_discard(const char *dir, int64_t base_offset) {
        int first = 0;
        for (size_t i = 0; i < SUFFIX_COUNT; i++) {
                char path[SEGMENT_PATH_MAX];
                compaction_path(dir, base_offset, compaction_suffixes[i], CLEANED_SUFFIX, path);
                int r = file_unlink(path);
                first = first ? first : r;
        }
        return first;
}

/* Renames the files of a group that are there. */
static int rename_suffixed(const char *dir, int64_t base_offset, const char *from_extra, const char *to_extra) {
        for (size_t i = 0; i < SUFFIX_COUNT; i++) {
                char from[SEGMENT_PATH_MAX], to[SEGMENT_PATH_MAX];
                compaction_path(dir, base_offset, compaction_suffixes[i], from_extra, from);
                compaction_path(dir, base_offset, compaction_suffixes[i], to_extra, to);
                int r = file_rename(from, to);
                if (r && !(r == -ENOENT && i == COMPACTION_TXN_SUFFIX))
                        return r;
        }
        return 0;
}

/* The names that a source loses to its group. Of the first one only the log's, since a file that is replaced by rename is freed in the
 * middle of things; its indexes are small. */
static int retire_source(const Compaction *compaction, int64_t base_offset, bool first) {
        for (size_t i = 0; i < (first ? 1 : RETIRED_COUNT); i++) {
                char from[SEGMENT_PATH_MAX], to[SEGMENT_PATH_MAX];
                compaction_path(compaction->dir, base_offset, retired_suffixes[i], "", from);
                compaction_path(compaction->dir, base_offset, retired_suffixes[i], DELETED_SUFFIX, to);
                int r = file_rename(from, to);
                if (r && r != -ENOENT)
                        return r;
        }
        return 0;
}

static int retire_sources(const Compaction *compaction, const CompactionGroup *group) {
        for (int32_t i = 0; i < group->count; i++) {
                int r = retire_source(compaction, compaction->sources[group->first + i].base_offset, i == 0);
                if (r)
                        return r;
        }
        return 0;
}

void compaction_unlink(const char *dir, int64_t base_offset) {
        for (size_t i = 0; i < RETIRED_COUNT; i++) {
                char path[SEGMENT_PATH_MAX];
                compaction_path(dir, base_offset, retired_suffixes[i], DELETED_SUFFIX, path);
                file_unlink(path); /* what fails is tried again at the next open */
        }
}

static int announce(const Compaction *compaction) {
        for (int32_t i = 0; i < compaction->group_count; i++) {
                int r = rename_suffixed(compaction->dir, compaction->groups[i].base_offset, CLEANED_SUFFIX, SWAP_SUFFIX);
                if (r)
                        return r;
        }
        return 0;
}

/* Takes back what was announced: first the logs, so that the indexes beside them don't count. */
static int withdraw(const Compaction *compaction) {
        for (size_t k = 0; k < SUFFIX_COUNT; k++) {
                for (int32_t i = compaction->group_count; i-- > 0;) {
                        char from[SEGMENT_PATH_MAX], to[SEGMENT_PATH_MAX];
                        int64_t base_offset = compaction->groups[i].base_offset;
                        compaction_path(compaction->dir, base_offset, compaction_suffixes[k], SWAP_SUFFIX, from);
                        compaction_path(compaction->dir, base_offset, compaction_suffixes[k], CLEANED_SUFFIX, to);
                        int r = k ? file_unlink(from) : file_rename(from, to);
                        if (r && r != -ENOENT)
                                return r;
                }
                int r = k == 0 || k == SUFFIX_COUNT - 1 ? file_sync_directory(compaction->dir) : 0;
                if (r)
                        return r;
        }
        int first = 0;
        for (int32_t i = 0; i < compaction->group_count; i++) {
                int r = compaction_discard(compaction->dir, compaction->groups[i].base_offset);
                first = first ? first : r;
        }
        return first;
}

int compaction_withdraw(Compaction *compaction) {
        int r = withdraw(compaction);
        compaction->is_stuck |= r != 0;
        return r;
}

int compaction_announce(Compaction *compaction) {
        int r = announce(compaction);
        if (r) {
                (void)compaction_withdraw(compaction);
                return r;
        }
        r = file_sync_directory(compaction->dir);
        compaction->is_stuck = r != 0;
        return r;
}

int compaction_settle(Compaction *compaction) {
        int r = 0;
        for (int32_t i = 0; !r && i < compaction->group_count; i++)
                r = retire_sources(compaction, &compaction->groups[i]);
        if (!r)
                r = file_sync_directory(compaction->dir);
        for (int32_t i = 0; !r && i < compaction->group_count; i++)
                r = rename_suffixed(compaction->dir, compaction->groups[i].base_offset, SWAP_SUFFIX, "");
        compaction->is_stuck = r != 0;
        return compaction->result = r;
}

/* ---- after a crash ---- */

typedef struct Leftovers {
        int64_t *swaps; /* base offsets of .log.swap */
        int32_t swap_count, swap_capacity;
        int64_t cleaned_min;
        bool any; /* .swap or .cleaned of any kind */
} Leftovers;

/* NNN.suffix with one of our extra suffixes, or without one (extra ""). */
static bool parse_name(const char *name, int64_t *ret_base_offset, Str *ret_suffix, const char **ret_extra) {
        if (strlen(name) <= NAME_DIGITS || name[NAME_DIGITS] != '.' ||
            !str_to_int64((Str){ name, NAME_DIGITS }, 0, INT64_MAX, ret_base_offset))
                return false;
        const char *suffix = name + NAME_DIGITS + 1, *extra = strchr(suffix, '.');
        *ret_extra = extra ? extra : "";
        *ret_suffix = (Str){ suffix, extra ? (size_t)(extra - suffix) : strlen(suffix) };
        return true;
}

typedef int EachFile(const char *dir, const char *name, int64_t base_offset, Str suffix, const char *extra, void *data);

typedef struct Walk {
        const char *dir;
        EachFile *each;
        void *data;
} Walk;

static int walk_entry(const struct dirent *entry, void *data) {
        const Walk *walk = data;
        int64_t base_offset;
        Str suffix;
        const char *extra;
        return parse_name(entry->d_name, &base_offset, &suffix, &extra)
                       ? walk->each(walk->dir, entry->d_name, base_offset, suffix, extra, walk->data)
                       : 0;
}

static int each_file(const char *dir, EachFile *each, void *data) {
        return file_each_entry(dir, walk_entry, &(Walk){ dir, each, data });
}

static int find_leftover(const char *dir, const char *name, int64_t base_offset, Str suffix, const char *extra, void *data) {
        Leftovers *found = data;
        bool swap = strcmp(extra, SWAP_SUFFIX) == 0, cleaned = strcmp(extra, CLEANED_SUFFIX) == 0;
        found->any |= swap || cleaned;
        if (cleaned && base_offset < found->cleaned_min)
                found->cleaned_min = base_offset;
        if (!swap || !str_equal(suffix, STR("log")))
                return 0;
        if (found->swap_count == found->swap_capacity) {
                int32_t capacity = found->swap_capacity ? found->swap_capacity * 2 : 8;
                int64_t *swaps = realloc(found->swaps, (size_t)capacity * sizeof(*swaps));
                if (!swaps)
                        return -ENOMEM;
                found->swaps = swaps;
                found->swap_capacity = capacity;
        }
        found->swaps[found->swap_count++] = base_offset;
        return 0;
}

/* Files of a swap that was not announced as a whole. */
static int discard_incomplete(const char *dir, const char *name, int64_t base_offset, Str suffix, const char *extra,
                              void *data) {
        const Leftovers *found = data;
        char path[SEGMENT_PATH_MAX];
        if (strcmp(extra, SWAP_SUFFIX) != 0 || base_offset < found->cleaned_min)
                return 0;
        return snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) ? file_unlink(path) : -ENAMETOOLONG;
}

static int discard_cleaned(const char *dir, const char *name, int64_t base_offset, Str suffix, const char *extra,
                           void *data) {
        char path[SEGMENT_PATH_MAX];
        if (strcmp(extra, CLEANED_SUFFIX) != 0)
                return 0;
        return snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) ? file_unlink(path) : -ENAMETOOLONG;
}

/* Where the batches of a new segment end. */
static int read_swap_end(const char *dir, int64_t base_offset, int64_t *ret_next_offset) {
        char path[SEGMENT_PATH_MAX];
        compaction_path(dir, base_offset, "log", SWAP_SUFFIX, path);
        int fd = file_open(path, O_RDONLY);
        if (fd < 0)
                return fd;
        int64_t size = file_size(fd), next_offset = base_offset;
        int r = size < 0 ? (int)size : 0;
        for (int64_t at = 0; !r && at < size;) {
                uint8_t bytes[BATCH_HEADER_BYTES];
                BatchHeader header;
                ssize_t got = file_read(fd, bytes, sizeof(bytes), at);
                r = got < 0 ? (int)got : batch_read_header(bytes, (size_t)got, &header);
                bool sound = got == sizeof(bytes) && (!r || r == -EAGAIN) && (int64_t)batch_size(&header) <= size - at &&
                             header.base_offset >= next_offset && header.last_offset_delta >= 0;
                if (got >= 0)
                        r = sound ? 0 : -EUCLEAN;
                if (!r) {
                        next_offset = batch_next_offset(&header);
                        at += (int64_t)batch_size(&header);
                }
        }
        file_close(fd);
        if (r == -EUCLEAN)
                trace_error("%s: damaged; nothing was changed", path);
        *ret_next_offset = next_offset;
        return r;
}

typedef struct Range {
        int64_t after, before; /* base offsets between these, both excluded */
} Range;

static int remove_replaced(const char *dir, const char *name, int64_t base_offset, Str suffix, const char *extra,
                           void *data) {
        const Range *range = data;
        char path[SEGMENT_PATH_MAX];
        if (*extra || base_offset <= range->after || base_offset >= range->before)
                return 0;
        return snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) ? file_unlink(path) : -ENAMETOOLONG;
}

static int finish_rename(const char *dir, const char *name, int64_t base_offset, Str suffix, const char *extra, void *data) {
        bool log = str_equal(suffix, STR("log")), log_wanted = *(const bool *)data;
        char from[SEGMENT_PATH_MAX], to[SEGMENT_PATH_MAX];
        if (strcmp(extra, SWAP_SUFFIX) != 0 || log != log_wanted)
                return 0;
        if (snprintf(from, sizeof(from), "%s/%s", dir, name) >= (int)sizeof(from))
                return -ENAMETOOLONG;
        memcpy(to, from, sizeof(to));
        to[strlen(to) - strlen(SWAP_SUFFIX)] = 0;
        return file_rename(from, to);
}

static int finish_swaps(const char *dir, const Leftovers *found) {
        int r = 0;
        for (int32_t i = 0; !r && i < found->swap_count; i++) {
                Range range = { .after = found->swaps[i] };
                r = range.after < found->cleaned_min ? read_swap_end(dir, range.after, &range.before) : 0;
                if (!r && range.after < found->cleaned_min)
                        r = each_file(dir, remove_replaced, &range);
        }
        if (!r)
                r = file_sync_directory(dir);
        if (!r)
                r = each_file(dir, finish_rename, &(bool){ true });
        return r ? r : each_file(dir, finish_rename, &(bool){ false });
}

int compaction_recover(const char *dir) {
        Leftovers found = { .cleaned_min = INT64_MAX };
        int r = each_file(dir, find_leftover, &found);
        if (!r && found.any) {
                trace_info("%s: a compaction was cut short; %s", dir,
                           found.cleaned_min == INT64_MAX ? "it is completed" : "what is not complete is dropped");
                r = each_file(dir, discard_incomplete, &found);
                if (!r)
                        r = file_sync_directory(dir);
                if (!r)
                        r = each_file(dir, discard_cleaned, &found);
                if (!r)
                        r = finish_swaps(dir, &found);
                if (!r)
                        r = file_sync_directory(dir);
        }
        free(found.swaps);
        return r;
}
