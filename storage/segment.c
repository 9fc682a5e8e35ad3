/* A segment knows its file and its indexes, and nothing of offsets to come: log.c decides what is written where. */
#include "storage/segment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "storage/base/file.h"
#include "storage/base/trace.h"

#define RESERVE_FROM_BYTES (64 << 10) /* small logs take what they need */
#define RESERVE_STEP_MIN (1 << 20)
#define RESERVE_STEP_MAX (32 << 20)
#define INDEX_INTERVAL_BYTES 4096 /* of an index that is made anew while it is read; Kafka's default */
#define INDEX_BLOCK_ENTRIES 512 /* of an active segment, saved at a sync */

void segment_path(const char *dir, int64_t base_offset, const char *suffix, char ret_path[static SEGMENT_PATH_MAX]) {
        snprintf(ret_path, SEGMENT_PATH_MAX, "%s/%020" PRId64 ".%s", dir, base_offset, suffix);
}

Segment *segment_new(const char *dir, int64_t base_offset, int64_t size) {
        Segment *segment = calloc(1, sizeof(*segment));
        if (!segment)
                return NULL;
        *segment = (Segment){
                .dir = dir,
                .refs = 1,
                .fd = -1,
                .base_offset = base_offset,
                .size = size,
                .first_timestamp = SEGMENT_TIMESTAMP_UNKNOWN,
                .max_timestamp = SEGMENT_TIMESTAMP_UNKNOWN,
                .max_timestamp_offset = base_offset,
                .offsets = INDEX_INIT(INDEX_OFFSET),
                .times = INDEX_INIT(INDEX_TIME),
        };
        if (size == 0) {
                segment->max_timestamp = -1;
                segment->indexes_loaded = segment->txns.loaded = true;
        }
        return segment;
}

/* To rename a file takes a tenth of the time that making one takes. */
static int create_file(const char *path, const char *prepared) {
        int64_t size;
        int r = prepared && file_stat(path, &size, NULL) == -ENOENT ? file_rename(prepared, path) : -ENOENT;
        if (r)
                return file_open(path, O_RDWR | O_CREAT | O_EXCL);
        int fd = file_open(path, O_RDWR);
        if (fd < 0)
                (void)file_unlink(path);
        return fd;
}

int segment_create(const char *dir, int64_t base_offset, int64_t now_ms, const char *prepared, Segment **ret_segment) {
        char path[SEGMENT_PATH_MAX];
        segment_path(dir, base_offset, "log", path);
        Segment *segment = segment_new(dir, base_offset, 0);
        if (!segment)
                return -ENOMEM;
        segment->created_ms = now_ms;
        int fd = create_file(path, prepared);
        if (fd < 0) {
                segment_unref(segment);
                return fd;
        }
        segment->fd = fd;
        segment->unsynced = segment->entry_unsynced = true;
        segment->offsets.changed = segment->times.changed = true; /* Kafka takes a missing index for a damaged one */
        *ret_segment = segment;
        return 0;
}

static const char *const suffixes[] = { "log", "index", "timeindex", "txnindex", "snapshot" };

void segment_remains_dispose(SegmentRemains *remains) {
        if (remains->map)
                munmap(remains->map, remains->map_size);
        file_close(remains->fd);
        for (size_t i = 0; remains->path && i < sizeof(suffixes) / sizeof(*suffixes); i++) {
                char path[SEGMENT_PATH_MAX];
                int n = snprintf(path, sizeof(path), "%s.%s.deleted", remains->path, suffixes[i]);
                int r = n < (int)sizeof(path) ? file_unlink(path) : -ENAMETOOLONG;
                if (r)
                        trace_warn("cannot remove '%s': %s", path, strerror(-r));
        }
        free(remains->path);
}

Segment *segment_ref(Segment *segment) {
        segment->refs++;
        return segment;
}

void segment_unref(void *owner) {
        Segment *segment = owner;
        if (!segment || --segment->refs)
                return;
        SegmentRemains remains = segment_take_files(segment);
        remains.path = segment->retired;
        index_deinit(&segment->offsets);
        index_deinit(&segment->times);
        txn_index_deinit(&segment->txns);
        if (segment->reaper)
                segment->reaper->take(segment->reaper, remains);
        else
                segment_remains_dispose(&remains);
        free(segment);
}

static int delete_files(Segment *segment, bool unlink) {
        int first = 0;
        for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
                char path[SEGMENT_PATH_MAX], deleted[SEGMENT_PATH_MAX + 8];
                segment_path(segment->dir, segment->base_offset, suffixes[i], path);
                snprintf(deleted, sizeof(deleted), "%s.deleted", path);
                int r = file_rename(path, deleted);
                if (!r && unlink)
                        r = file_unlink(deleted);
                if (r && r != -ENOENT && !first)
                        first = r;
        }
        return first;
}

int segment_delete(Segment *segment) {
        return delete_files(segment, true);
}

int segment_retire(Segment *segment, Reaper *reaper) {
        char path[SEGMENT_PATH_MAX];
        snprintf(path, sizeof(path), "%s/%020" PRId64, segment->dir, segment->base_offset);
        segment->retired = strdup(path);
        segment->reaper = reaper;
        return delete_files(segment, !segment->retired);
}

SegmentMark segment_mark(const Segment *segment) {
        return (SegmentMark){
                .size = segment->size,
                .first_timestamp = segment->first_timestamp,
                .max_timestamp = segment->max_timestamp,
                .max_timestamp_offset = segment->max_timestamp_offset,
                .indexed_position = segment->indexed_position,
                .offset_count = segment->offsets.count,
                .time_count = segment->times.count,
        };
}

void segment_reset(Segment *segment, const SegmentMark *mark) {
        segment->size = mark->size;
        segment->first_timestamp = mark->first_timestamp;
        segment->max_timestamp = mark->max_timestamp;
        segment->max_timestamp_offset = mark->max_timestamp_offset;
        segment->indexed_position = mark->indexed_position;
        index_truncate(&segment->offsets, mark->offset_count);
        index_truncate(&segment->times, mark->time_count);
        int fd = segment_open(segment);
        segment->torn = fd < 0 || file_truncate(fd, mark->size) < 0;
        if (!segment->torn)
                segment->reserved_end = mark->size;
}

static void reserve(Segment *segment, int64_t position, int64_t end, int64_t bytes_expected) {
        if (end <= segment->reserved_end || end < RESERVE_FROM_BYTES)
                return;
        int64_t step = position;
        step = step < RESERVE_STEP_MIN ? RESERVE_STEP_MIN : step > RESERVE_STEP_MAX ? RESERVE_STEP_MAX : step;
        int64_t until = end + step;
        if (until > bytes_expected)
                until = bytes_expected > end ? bytes_expected : end;
        if (file_reserve(segment->fd, position, until - position))
                segment->reserved_end = until; /* a failure is not tried again at once */
}

int segment_write(Segment *segment, struct iovec *parts, int count, int64_t position, int64_t bytes,
                  int64_t bytes_expected) {
        int fd = segment_open(segment);
        if (fd < 0)
                return fd;
        reserve(segment, position, position + bytes, bytes_expected);
        segment->unsynced = true;
        return file_write_parts(fd, parts, count, position);
}

void segment_note(Segment *segment, const BatchHeader *header, int64_t index_interval_bytes) {
        int64_t last_offset = batch_last_offset(header);
        if (segment->size == 0)
                segment->first_timestamp = header->max_timestamp;
        if (header->max_timestamp > segment->max_timestamp) {
                segment->max_timestamp = header->max_timestamp;
                segment->max_timestamp_offset = last_offset;
        }
        if (segment->size - segment->indexed_position > index_interval_bytes) {
                index_add_position(&segment->offsets, (uint32_t)(last_offset - segment->base_offset),
                                   (uint32_t)segment->size);
                index_add_timestamp(&segment->times, segment->max_timestamp,
                                    (uint32_t)(segment->max_timestamp_offset - segment->base_offset));
                segment->indexed_position = segment->size;
        }
        segment->size += (int64_t)batch_size(header);
}

bool segment_is_full(const Segment *segment, const BatchHeader *header, int64_t segment_bytes, int64_t segment_ms,
                     int64_t index_bytes, int64_t now_ms) {
        if (segment->size == 0)
                return false;
        int64_t first = segment->first_timestamp;
        int64_t waited_ms = first >= 0 ? header->max_timestamp - first : now_ms - segment->created_ms;
        return segment->size + (int64_t)batch_size(header) > segment_bytes || waited_ms > segment_ms ||
               batch_last_offset(header) - segment->base_offset > INT32_MAX ||
               segment->offsets.count >= index_bytes / INDEX_OFFSET ||
               segment->times.count + 1 >= index_bytes / INDEX_TIME;
}

static int trim(Segment *segment) {
        int fd = segment_open(segment);
        int r = fd < 0 ? fd : file_truncate(fd, segment->size);
        if (!r) {
                segment->reserved_end = segment->size;
                segment->torn = false;
        }
        return r;
}

int segment_cut_tail(Segment *segment) {
        return segment->torn ? trim(segment) : 0;
}

int segment_flush(Segment *segment) {
        int trimmed = segment->reserved_end > segment->size || segment->torn ? trim(segment) : 0;
        if (trimmed && segment->torn)
                return trimmed;
        if (!segment->indexes_loaded || segment->size == 0)
                return 0; /* not written since it was opened */
        index_add_timestamp(&segment->times, segment->max_timestamp,
                            (uint32_t)(segment->max_timestamp_offset - segment->base_offset));
        char path[SEGMENT_PATH_MAX];
        segment_path(segment->dir, segment->base_offset, "index", path);
        int r = index_flush(&segment->offsets, path, UINT32_MAX);
        segment_path(segment->dir, segment->base_offset, "timeindex", path);
        int r2 = index_flush(&segment->times, path, UINT32_MAX);
        return r ? r : r2;
}

void segment_end(Segment *segment) {
        index_add_timestamp(&segment->times, segment->max_timestamp,
                            (uint32_t)(segment->max_timestamp_offset - segment->base_offset));
        segment->sealed = segment->unsaved = true;
}

SegmentEnd segment_end_begin(Segment *segment) {
        segment->unsaved = false;
        segment->busy = true;
        return (SegmentEnd){ .offsets = segment->offsets, .times = segment->times, .size = segment->size,
                             .trims = segment->reserved_end > segment->size || segment->torn };
}

/* What fails costs space until the segment goes. */
static void trim_file(const SegmentEnd *end, const char *path, int fd) {
        int own = fd < 0 ? file_open(path, O_RDWR) : -1;
        if (fd >= 0 || own >= 0)
                (void)file_truncate(fd < 0 ? own : fd, end->size);
        file_close(own);
}

void segment_end_run(SegmentEnd *end, const char *dir, int64_t base_offset, int fd) {
        char path[SEGMENT_PATH_MAX];
        segment_path(dir, base_offset, "log", path);
        if (end->trims)
                trim_file(end, path, fd);
        bool kept = file_keep_space(true);
        segment_path(dir, base_offset, "index", path);
        int r = index_flush(&end->offsets, path, UINT32_MAX);
        segment_path(dir, base_offset, "timeindex", path);
        int r2 = index_flush(&end->times, path, UINT32_MAX);
        file_keep_space(kept);
        end->result = r ? r : r2;
}

void segment_end_finish(Segment *segment, const SegmentEnd *end) {
        segment->busy = false;
        segment->offsets = end->offsets;
        segment->times = end->times;
        if (end->result)
                return;
        segment->reserved_end = segment->size;
        index_deinit(&segment->offsets);
        index_deinit(&segment->times);
        segment->indexes_loaded = false;
}

int segment_seal(Segment *segment) {
        int r = segment_flush(segment);
        segment->sealed = true;
        if (!r && segment->size) { /* from now on the files serve */
                index_deinit(&segment->offsets);
                index_deinit(&segment->times);
                segment->indexes_loaded = false;
        }
        return r;
}

uint32_t segment_save_times(Segment *segment) {
        if (segment->sealed || index_unsaved(&segment->offsets) < INDEX_BLOCK_ENTRIES)
                return 0;
        char path[SEGMENT_PATH_MAX];
        segment_path(segment->dir, segment->base_offset, "timeindex", path);
        bool kept = file_keep_space(true);
        int r = index_flush(&segment->times, path, UINT32_MAX);
        file_keep_space(kept);
        return r == 0 ? segment->offsets.count : 0;
}

void segment_save_offsets(Segment *segment, uint32_t count) {
        char path[SEGMENT_PATH_MAX];
        segment_path(segment->dir, segment->base_offset, "index", path);
        bool kept = file_keep_space(true);
        if (!segment->sealed && count <= segment->offsets.count)
                (void)index_flush(&segment->offsets, path, count);
        file_keep_space(kept);
}

/* Drops the entries of batches that do not end below offset from a pair of indexes. */
static void cut_indexes(Segment *segment, int64_t offset) {
        uint32_t relative;
        int64_t limit = offset - segment->base_offset;
        while (index_last_offset(&segment->offsets, &relative) && relative >= limit)
                index_truncate(&segment->offsets, segment->offsets.count - 1);
        int64_t last = index_last_offset(&segment->offsets, &relative) ? (int64_t)relative : -1;
        while (index_last_offset(&segment->times, &relative) && relative > last)
                index_truncate(&segment->times, segment->times.count - 1);
}

int64_t segment_resume_indexes(Segment *segment, int64_t offset) {
        char path[SEGMENT_PATH_MAX];
        uint32_t relative;
        BatchHeader header;
        index_deinit(&segment->offsets);
        index_deinit(&segment->times);
        segment->indexed_position = 0;
        segment->max_timestamp = -1;
        segment->max_timestamp_offset = segment->base_offset;
        segment->indexes_loaded = true;
        segment_path(segment->dir, segment->base_offset, "index", path);
        int r = offset > segment->base_offset ? index_load(&segment->offsets, path, segment->size, false) : -ENOENT;
        segment_path(segment->dir, segment->base_offset, "timeindex", path);
        if (!r)
                r = index_load(&segment->times, path, segment->size, false);
        if (!r)
                cut_indexes(segment, offset);
        int64_t position = r ? 0 : index_last_position(&segment->offsets);
        if (position && index_last_offset(&segment->offsets, &relative) &&
            segment_read_header(segment, position, &header) == 0 &&
            batch_last_offset(&header) == segment->base_offset + relative) {
                segment->indexed_position = position;
                if (index_last_timestamp(&segment->times, &segment->max_timestamp, &relative))
                        segment->max_timestamp_offset = segment->base_offset + relative;
                return position;
        }
        index_deinit(&segment->offsets);
        index_deinit(&segment->times);
        segment->offsets.changed = segment->times.changed = true;
        return 0;
}

int segment_rebuild_indexes(Segment *segment, int64_t index_interval_bytes) {
        int64_t end = segment->size;
        index_deinit(&segment->offsets);
        index_deinit(&segment->times);
        segment->offsets.changed = segment->times.changed = true;
        segment->size = segment->indexed_position = 0;
        segment->max_timestamp = -1;
        segment->max_timestamp_offset = segment->base_offset;
        int r = 0;
        while (!r && segment->size < end) {
                BatchHeader header;
                int64_t at = segment->size;
                segment->size = end;
                r = segment_read_header(segment, at, &header);
                segment->size = at;
                if (!r)
                        segment_note(segment, &header, index_interval_bytes);
        }
        segment->size = end;
        segment->indexes_loaded = r == 0;
        if (r) { /* the next try begins with empty ones */
                index_deinit(&segment->offsets);
                index_deinit(&segment->times);
        }
        return r;
}

/* The last entry of a sealed time index is the segment's maximum; in an active one the batches after the last
 * indexed position may hold a larger timestamp. */
static int scan_max_timestamp(Segment *segment) {
        uint32_t relative = 0;
        segment->max_timestamp = -1;
        segment->max_timestamp_offset = segment->base_offset;
        if (index_last_timestamp(&segment->times, &segment->max_timestamp, &relative))
                segment->max_timestamp_offset = segment->base_offset + relative;
        int64_t position = index_last_position(&segment->offsets);
        segment->indexed_position = position;
        while (!segment->sealed && position < segment->size) {
                BatchHeader header;
                int r = segment_read_header(segment, position, &header);
                if (r)
                        return r;
                if (header.max_timestamp > segment->max_timestamp) {
                        segment->max_timestamp = header.max_timestamp;
                        segment->max_timestamp_offset = batch_last_offset(&header);
                }
                position += (int64_t)batch_size(&header);
        }
        return 0;
}

static int load_index(const Segment *segment, Index *index, const char *suffix, const char *swap_suffix) {
        char path[SEGMENT_PATH_MAX];
        segment_path(segment->dir, segment->base_offset, swap_suffix, path);
        int r = segment->swapping ? index_load(index, path, segment->size, segment->sealed) : -ENOENT;
        segment_path(segment->dir, segment->base_offset, suffix, path);
        return r == -ENOENT ? index_load(index, path, segment->size, segment->sealed) : r;
}

int segment_load_indexes(Segment *segment, int64_t index_interval_bytes) {
        if (segment->indexes_loaded)
                return 0;
        int r = load_index(segment, &segment->offsets, "index", "index" SEGMENT_SWAP_SUFFIX);
        if (!r)
                r = load_index(segment, &segment->times, "timeindex", "timeindex" SEGMENT_SWAP_SUFFIX);
        if (!r)
                r = scan_max_timestamp(segment);
        if (!r) {
                segment->indexes_loaded = true;
                return 0;
        }
        r = segment_rebuild_indexes(segment, index_interval_bytes);
        return r ? r : segment->sealed && !segment->busy ? (segment_flush(segment), 0) : 0;
}

int segment_read_header(Segment *segment, int64_t position, BatchHeader *ret_header) {
        uint8_t bytes[BATCH_HEADER_BYTES];
        const uint8_t *at = bytes;
        if (position + BATCH_HEADER_BYTES > segment->size)
                return -EUCLEAN;
        if ((uint64_t)position + BATCH_HEADER_BYTES <= segment->map_size) {
                at = segment->map + position;
        } else {
                int fd = segment_open(segment);
                ssize_t got = fd < 0 ? fd : file_read(fd, bytes, sizeof(bytes), position);
                if (got != sizeof(bytes))
                        return got < 0 ? (int)got : -EUCLEAN;
        }
        int r = batch_read_header(at, BATCH_HEADER_BYTES, ret_header);
        if ((r && r != -EAGAIN) || (int64_t)batch_size(ret_header) > segment->size - position || !segment_admits(segment, ret_header))
                return -EUCLEAN;
        return 0;
}

/* Whether a scan for offset may begin at position. */
static bool begins_at_or_below(Segment *segment, int64_t position, int64_t offset) {
        BatchHeader header;
        return position == 0 || (segment_read_header(segment, position, &header) == 0 && header.base_offset <= offset);
}

int segment_find(Segment *segment, int64_t offset, int64_t *ret_position) {
        assert(segment->indexes_loaded);
        int64_t relative = offset - segment->base_offset, position = 0;
        if (relative > 0)
                position = index_position_of(&segment->offsets, relative > INT32_MAX ? INT32_MAX : (uint32_t)relative);
        if (!begins_at_or_below(segment, position, offset)) { /* of another log, or of this one as it will never be */
                int r = segment->busy ? -EUCLEAN : segment_rebuild_indexes(segment, INDEX_INTERVAL_BYTES);
                if (r)
                        return r;
                position = index_position_of(&segment->offsets, relative > INT32_MAX ? INT32_MAX : (uint32_t)relative);
        }
        while (position < segment->size) {
                BatchHeader header;
                int r = segment_read_header(segment, position, &header);
                if (r)
                        return r;
                if (batch_last_offset(&header) >= offset)
                        break;
                position += (int64_t)batch_size(&header);
        }
        *ret_position = position;
        return 0;
}

int segment_find_boundary(Segment *segment, int64_t from, int64_t limit, int64_t *ret_position) {
        assert(segment->indexes_loaded);
        if (limit >= segment->size) {
                *ret_position = segment->size;
                return 0;
        }
        int64_t position = index_position_before(&segment->offsets, (uint32_t)limit);
        if (position < from)
                position = from;
        for (;;) {
                BatchHeader header;
                int r = segment_read_header(segment, position, &header);
                if (r)
                        return r;
                if (position + (int64_t)batch_size(&header) > limit)
                        break;
                position += (int64_t)batch_size(&header);
        }
        *ret_position = position;
        return 0;
}

int64_t segment_max_timestamp(Segment *segment, int64_t index_interval_bytes) {
        if (segment->max_timestamp != SEGMENT_TIMESTAMP_UNKNOWN)
                return segment->max_timestamp;
        char path[SEGMENT_PATH_MAX];
        uint32_t relative;
        segment_path(segment->dir, segment->base_offset, "timeindex", path);
        if (segment->sealed && !segment->swapping && index_peek_timestamp(path, &segment->max_timestamp, &relative)) {
                segment->max_timestamp_offset = segment->base_offset + relative;
                return segment->max_timestamp;
        }
        return segment_load_indexes(segment, index_interval_bytes) == 0 ? segment->max_timestamp : -1;
}

int64_t segment_first_timestamp(Segment *segment) {
        BatchHeader header;
        if (segment->first_timestamp == SEGMENT_TIMESTAMP_UNKNOWN && segment->size &&
            segment_read_header(segment, 0, &header) == 0)
                segment->first_timestamp = header.max_timestamp;
        return segment->first_timestamp >= 0 ? segment->first_timestamp : -1;
}
