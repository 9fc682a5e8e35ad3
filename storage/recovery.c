/* Reading back what a crash left. Above the recovery point nothing was promised to be on disk, so a bad batch there
 * is a torn tail: it is moved aside and the log goes on. Below it a bad batch is damage, which only a person may
 * decide about: nothing is touched. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/log_internal.h"

#define CHUNK_BYTES (256 << 10)
#define ASIDE_NAMES_MAX 1000

typedef struct Walk {
        Log *log;
        int64_t recovery_point;
        int64_t expected_offset; /* of the next batch */
        int32_t epoch;           /* of the last batch */
        Buffer chunk;            /* file content from chunk_position on */
        int64_t chunk_position;
} Walk;

/* size bytes at position of a segment of end bytes, through the chunk. NULL: *ret_error is -errno. */
static const uint8_t *walk_bytes(Walk *walk, Segment *segment, int64_t position, size_t size, int *ret_error) {
        int64_t skip = position - walk->chunk_position;
        if (skip >= 0 && (uint64_t)skip + size <= walk->chunk.size)
                return walk->chunk.data + skip;
        int fd = segment_open(segment);
        size_t want = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        buffer_clear(&walk->chunk);
        uint8_t *to = fd < 0 ? NULL : buffer_extend(&walk->chunk, want);
        ssize_t got = fd < 0 ? fd : !to ? -ENOMEM : file_read(fd, to, want, position);
        walk->chunk.size = got < 0 ? 0 : (size_t)got;
        walk->chunk_position = position;
        *ret_error = got < 0 ? (int)got : -EUCLEAN;
        return got < (ssize_t)size ? NULL : walk->chunk.data;
}

/* Whether the batch fits what came before it; the CRC does not cover offsets and epoch. */
static bool fits(const Walk *walk, const Segment *segment, const BatchHeader *header) {
        bool gaps = walk->log->config.cleanup_compact || header->base_offset < walk->recovery_point;
        int32_t count = header->record_count, range = header->last_offset_delta;
        return range >= 0 && count >= 0 && count - 1 <= range && (gaps || count - 1 == range) &&
               (gaps ? header->base_offset >= walk->expected_offset : header->base_offset == walk->expected_offset) &&
               batch_last_offset(header) - segment->base_offset <= INT32_MAX &&
               header->partition_leader_epoch >= walk->epoch;
}

/* Reads the batch at position; with everything checked when it lies above the recovery point. 0, -EUCLEAN, -errno. */
static int walk_batch(Walk *walk, Segment *segment, int64_t position, BatchHeader *ret_header) {
        int r = segment_read_header(segment, position, ret_header);
        if (r)
                return r;
        if (!fits(walk, segment, ret_header))
                return -EUCLEAN;
        if (batch_next_offset(ret_header) <= walk->recovery_point)
                return 0;
        const uint8_t *data = walk_bytes(walk, segment, position, batch_size(ret_header), &r);
        return !data ? r : batch_check_crc(data, ret_header) ? 0 : -EUCLEAN;
}

/* Walks the whole segment, rebuilding its indexes in memory; *ret_good is where the last good batch ends. */
static int walk_segment(Walk *walk, Segment *segment, int64_t *ret_good) {
        int64_t end = segment->size, position = 0;
        int r = 0;
        walk->chunk.size = 0;
        index_deinit(&segment->offsets);
        index_deinit(&segment->times);
        segment->offsets.changed = segment->times.changed = segment->indexes_loaded = true;
        segment->indexed_position = 0;
        segment->max_timestamp = -1;
        segment->max_timestamp_offset = segment->base_offset;
        while (position < end) {
                BatchHeader header;
                segment->size = end;
                r = walk_batch(walk, segment, position, &header);
                if (r)
                        break;
                segment->size = position;
                segment_note(segment, &header, walk->log->config.index_interval_bytes);
                position = segment->size;
                walk->expected_offset = batch_next_offset(&header);
                if (header.partition_leader_epoch > walk->epoch)
                        walk->epoch = header.partition_leader_epoch;
                epochs_begin(&walk->log->epochs, header.partition_leader_epoch, header.base_offset);
                walk->log->markers_walked |= header.attributes & BATCH_CONTROL && header.producer_id >= 0;
        }
        segment->size = end;
        *ret_good = position;
        return r;
}

/* Creates NNN.log.torn-POSITION, with a number behind it if need be. */
static int create_aside(const Log *log, const Segment *segment, int64_t position, char path[static SEGMENT_PATH_MAX]) {
        int fd = -EEXIST;
        for (int i = 0; i < ASIDE_NAMES_MAX && fd == -EEXIST; i++) {
                char suffix[48];
                int n = snprintf(suffix, sizeof(suffix), "log.torn-%" PRId64, position);
                if (i)
                        snprintf(suffix + n, sizeof(suffix) - (size_t)n, ".%d", i);
                segment_path(log->path, segment->base_offset, suffix, path);
                fd = file_open(path, O_WRONLY | O_CREAT | O_EXCL);
        }
        return fd;
}

static int copy_tail(Segment *segment, int64_t position, int to) {
        uint8_t *chunk = malloc(CHUNK_BYTES);
        int r = chunk ? segment_open(segment) : -ENOMEM;
        for (int64_t at = position; r >= 0 && at < segment->size;) {
                ssize_t got = file_read(segment->fd, chunk, CHUNK_BYTES, at);
                r = got <= 0 ? (got < 0 ? (int)got : -EIO) : file_write(to, chunk, (size_t)got, at - position);
                at += got;
        }
        free(chunk);
        return r < 0 ? r : file_sync(to);
}

/* Moves what follows position to a file of its own, durably, before the log is cut. */
static int set_aside(Log *log, Segment *segment, int64_t position) {
        char path[SEGMENT_PATH_MAX];
        int to = create_aside(log, segment, position, path);
        if (to < 0)
                return to;
        int r = copy_tail(segment, position, to);
        file_close(to);
        if (!r)
                r = file_sync_directory(log->path);
        if (r) {
                file_unlink(path);
                return r;
        }
        trace_warn("%s: %" PRId64 " bytes that do not form whole batches moved to %s", log->path,
                   segment->size - position, strrchr(path, '/') + 1);
        r = file_truncate(segment->fd, position);
        if (!r)
                segment->size = position;
        return r ? r : file_sync(segment->fd);
}

/* Sets aside all segments after index. */
static int set_aside_following(Log *log, int32_t index) {
        while (log->segment_count > index + 1) {
                Segment *segment = log->segments[log->segment_count - 1];
                int r = segment->size ? set_aside(log, segment, 0) : 0;
                if (!r)
                        r = segment_delete(segment);
                if (r)
                        return r;
                log->segment_count--;
                segment_unref(segment);
        }
        return 0;
}

static int damaged(const Log *log, int64_t base_offset, int64_t position) {
        trace_error("%s: damaged in segment %" PRId64 " at byte %" PRId64 ", below what was known to be on disk; "
                    "nothing was changed", log->path, base_offset, position);
        return -EUCLEAN;
}

/* Whether segment can follow what was walked. */
static bool follows(const Walk *walk, int32_t index) {
        const Segment *segment = walk->log->segments[index];
        bool gaps = walk->log->config.cleanup_compact || segment->base_offset <= walk->recovery_point;
        return segment->base_offset == walk->expected_offset || (gaps && segment->base_offset > walk->expected_offset);
}

static int walk_segments(Walk *walk, int32_t first) {
        Log *log = walk->log;
        for (int32_t i = first; i < log->segment_count; i++) {
                Segment *segment = log->segments[i];
                int64_t good = 0;
                bool sound = i == first || follows(walk, i);
                if (sound)
                        walk->expected_offset = segment->base_offset;
                int r = sound ? walk_segment(walk, segment, &good) : -EUCLEAN;
                if (r && r != -EUCLEAN)
                        return r;
                if (!r)
                        continue;
                if (walk->expected_offset < walk->recovery_point)
                        return damaged(log, segment->base_offset, good);
                r = set_aside_following(log, sound ? i : i - 1);
                if (!r && sound)
                        r = set_aside(log, segment, good);
                return r;
        }
        return walk->expected_offset < walk->recovery_point
                       ? damaged(log, log_active(log)->base_offset, log_active(log)->size)
                       : 0;
}

/* The indexes on disk may be of any age. */
static int save_indexes(Log *log, int32_t first) {
        for (int32_t i = first; i < log->segment_count; i++) {
                Segment *segment = log->segments[i];
                bool active = i == log->segment_count - 1;
                segment->unsynced = true;
                segment->sealed = !active;
                int r = active ? 0 : segment_seal(segment);
                if (!r)
                        r = segment_sync(segment);
                if (r)
                        return r;
        }
        return 0;
}

int log_recover(Log *log, int64_t recovery_point) {
        int32_t first = log_segment_index(log, recovery_point);
        Walk walk = { .log = log, .recovery_point = recovery_point, .epoch = -1,
                      .expected_offset = log->segments[first]->base_offset };
        int r = walk_segments(&walk, first);
        buffer_deinit(&walk.chunk);
        if (!r)
                r = save_indexes(log, first);
        if (r)
                return r;
        log->end_offset = walk.expected_offset;
        return 0;
}

/* Trusts the last index entry if the batch there bears it out; then walks the headers to the end. */
int log_find_end(Log *log) {
        Segment *active = log_active(log);
        char path[SEGMENT_PATH_MAX];
        uint32_t relative, position = 0;
        BatchHeader header;
        segment_path(log->path, active->base_offset, "index", path);
        if (!index_peek_position(path, &relative, &position) ||
            segment_read_header(active, position, &header) != 0 ||
            batch_last_offset(&header) != active->base_offset + relative)
                position = 0;
        log->end_offset = active->base_offset;
        for (int64_t at = position; at < active->size; at += (int64_t)batch_size(&header)) {
                int r = segment_read_header(active, at, &header);
                if (r == -EUCLEAN || (!r && header.base_offset < log->end_offset))
                        return damaged(log, active->base_offset, at);
                if (r)
                        return r;
                log->end_offset = batch_next_offset(&header);
        }
        return 0;
}
