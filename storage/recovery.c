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
        int64_t producers_offset; /* up to which the producers are known */
        int32_t epoch;           /* of the last batch */
        uint8_t *chunk;          /* file content from chunk_position on */
        size_t chunk_size, chunk_capacity;
        int64_t chunk_position;
        bool writes_again;       /* as in LogOpen */
        int64_t again_position;  /* the next byte that is to be */
} Walk;

static int grow_chunk(Walk *walk, size_t capacity) {
        if (capacity <= walk->chunk_capacity)
                return 0;
        uint8_t *chunk = realloc(walk->chunk, capacity);
        if (!chunk)
                return -ENOMEM;
        walk->chunk = chunk;
        walk->chunk_capacity = capacity;
        return 0;
}

/* Writes what the chunk holds below position, which is sound, where it was read: a sync that failed left pages that pass for clean, and these
 * are what the next one takes along. */
static int write_again(Walk *walk, Segment *segment, int64_t position) {
        if (!walk->writes_again || position <= walk->again_position)
                return 0;
        int fd = segment_open(segment);
        int r = fd < 0 ? fd : file_write(fd, walk->chunk + (walk->again_position - walk->chunk_position),
                                         (size_t)(position - walk->again_position), walk->again_position);
        walk->again_position = position;
        return r;
}

/* Moves the chunk to position and fills it with size bytes at least; what is there already is not read again. */
static int fill_chunk(Walk *walk, Segment *segment, int64_t position, size_t size) {
        int64_t skip = position - walk->chunk_position, left = segment->size - position;
        size_t kept = skip >= 0 && (uint64_t)skip < walk->chunk_size ? walk->chunk_size - (size_t)skip : 0;
        size_t want = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        if ((int64_t)want > left)
                want = (size_t)left; /* a small log needs little */
        int r = want < size ? -EUCLEAN : grow_chunk(walk, want);
        if (!r)
                r = write_again(walk, segment, position);
        int fd = r ? r : segment_open(segment);
        if (fd < 0)
                return fd;
        if (kept)
                memmove(walk->chunk, walk->chunk + skip, kept);
        walk->chunk_position = position;
        walk->chunk_size = kept;
        ssize_t got = file_read(fd, walk->chunk + kept, want - kept, position + (int64_t)kept);
        if (got < 0)
                return (int)got;
        walk->chunk_size += (size_t)got;
        return walk->chunk_size < size ? -EUCLEAN : 0;
}

/* Has size bytes at position of the segment in the chunk; *ret_data is the first and *ret_left how many there are in all. 0 or -errno. */
static int walk_bytes(Walk *walk, Segment *segment, int64_t position, size_t size, const uint8_t **ret_data, size_t *ret_left) {
        uint64_t skip = (uint64_t)(position - walk->chunk_position);
        if (skip > walk->chunk_size || walk->chunk_size - skip < size) {
                int r = fill_chunk(walk, segment, position, size);
                if (r)
                        return r;
                skip = 0;
        }
        *ret_data = walk->chunk + skip;
        *ret_left = walk->chunk_size - skip;
        return 0;
}

/* Whether the batch fits what came before it; the CRC does not cover offsets and epoch. */
static bool fits(const Walk *walk, const Segment *segment, const BatchHeader *header) {
        bool gaps = walk->log->config.cleanup_compact || header->base_offset < walk->recovery_point;
        int32_t count = header->record_count, range = header->last_offset_delta;
        return segment_admits(segment, header) && count >= 0 && count - 1 <= range && (gaps || count - 1 == range) &&
               (gaps ? header->base_offset >= walk->expected_offset : header->base_offset == walk->expected_offset) &&
               header->partition_leader_epoch >= walk->epoch;
}

/* Reads the batch at position; with everything checked when it lies above the recovery point. *ret_data is its bytes, or
 * only its header's. 0, -EUCLEAN, -errno. */
static int walk_batch(Walk *walk, Segment *segment, int64_t position, BatchHeader *ret_header, const uint8_t **ret_data) {
        size_t left;
        int r = walk_bytes(walk, segment, position, BATCH_HEADER_BYTES, ret_data, &left);
        if (r)
                return r;
        r = batch_read_header(*ret_data, left, ret_header);
        if ((r && r != -EAGAIN) || (int64_t)batch_size(ret_header) > segment->size - position ||
            !fits(walk, segment, ret_header))
                return -EUCLEAN;
        bool known = batch_next_offset(ret_header) <= walk->recovery_point;
        if (r && (!known || ret_header->attributes & BATCH_CONTROL)) { /* it reaches beyond the chunk */
                r = walk_bytes(walk, segment, position, batch_size(ret_header), ret_data, &left);
                if (r)
                        return r;
        }
        return known || batch_check_crc(*ret_data, ret_header) ? 0 : -EUCLEAN;
}

static int note_batch(Walk *walk, Segment *segment, const BatchHeader *header, const uint8_t *data) {
        Log *log = walk->log;
        bool numbered = header->producer_id >= 0 && header->base_offset >= walk->producers_offset;
        int r = numbered ? producers_update(&log->producers, header, data, false) : 0;
        if (r)
                return r;
        segment_note(segment, header, log->config.index_interval_bytes);
        walk->expected_offset = batch_next_offset(header);
        if (header->partition_leader_epoch > walk->epoch) {
                walk->epoch = header->partition_leader_epoch;
                epochs_begin(&log->epochs, walk->epoch, header->base_offset);
        }
        log->markers_walked |= header->attributes & BATCH_CONTROL && header->producer_id >= 0;
        return 0;
}

/* Walks the segment from position on, continuing its indexes in memory; *ret_good is where the last good batch ends. */
static int walk_segment(Walk *walk, Segment *segment, int64_t position, int64_t *ret_good) {
        int64_t end = segment->size;
        int r = 0;
        walk->chunk_size = 0;
        walk->again_position = position;
        while (!r && position < end) {
                BatchHeader header;
                const uint8_t *data = NULL;
                r = walk_batch(walk, segment, position, &header, &data);
                if (r)
                        break;
                segment->size = position;
                r = note_batch(walk, segment, &header, data);
                position = segment->size;
                segment->size = end;
                if (walk->expected_offset <= walk->recovery_point)
                        walk->again_position = position;
        }
        *ret_good = position;
        int written = write_again(walk, segment, position);
        return written ? written : r;
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
        int r = chunk ? 0 : -ENOMEM;
        for (int64_t at = position; r >= 0 && at < segment->size;) {
                int fd = segment_open(segment);
                ssize_t got = fd < 0 ? fd : file_read(fd, chunk, CHUNK_BYTES, at);
                r = got <= 0 ? (got < 0 ? (int)got : -EIO) : file_write(to, chunk, (size_t)got, at - position);
                at += got;
        }
        free(chunk);
        return r < 0 ? r : file_sync(to);
}

/* The next time that the indexes are saved. */
static void write_anew(Segment *segment) {
        segment->offsets.saved = segment->times.saved = 0;
        segment->offsets.changed = segment->times.changed = true;
}

/* Entries of batches that are cut off now could fit batches to come. */
static int drop_indexes(Segment *segment) {
        char path[SEGMENT_PATH_MAX];
        segment_path(segment->dir, segment->base_offset, "index", path);
        int r = file_unlink(path);
        segment_path(segment->dir, segment->base_offset, "timeindex", path);
        if (!r)
                r = file_unlink(path);
        write_anew(segment);
        return r ? r : file_sync_directory(segment->dir);
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
        r = drop_indexes(segment);
        int fd = r ? r : segment_open(segment);
        r = fd < 0 ? fd : file_truncate(fd, position);
        if (!r)
                segment->size = position;
        return r ? r : file_sync(fd);
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

/* Begins a segment: its indexes are made anew, and a snapshot belongs to its start. */
static void enter_segment(Walk *walk, Segment *segment) {
        segment_resume_indexes(segment, segment->base_offset);
        walk->expected_offset = segment->base_offset;
        int r = log_write_snapshot(walk->log, segment->base_offset);
        if (r)
                trace_warn("%s: the producer snapshot at %" PRId64 " was not saved: %s", walk->log->path,
                           segment->base_offset, strerror(-r));
}

static int walk_segments(Walk *walk, int32_t first, int64_t position) {
        Log *log = walk->log;
        for (int32_t i = first; i < log->segment_count; i++) {
                Segment *segment = log->segments[i];
                int64_t good = 0;
                bool sound = i == first || follows(walk, i);
                if (sound && i > first)
                        enter_segment(walk, segment);
                int r = sound ? walk_segment(walk, segment, i == first ? position : 0, &good) : -EUCLEAN;
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

/* The indexes on disk may be of any age. Nothing is synced: the recovery point says so, and the next sync comes. */
static int save_indexes(Log *log, int32_t first, int64_t recovery_point, bool writes_again) {
        for (int32_t i = first; i < log->segment_count; i++) {
                Segment *segment = log->segments[i];
                segment->unsynced = true;
                segment->entry_unsynced = segment->base_offset >= recovery_point;
                segment->sealed = i < log->segment_count - 1;
                if (writes_again)
                        write_anew(segment);
                int r = segment->sealed ? segment_seal(segment) : 0;
                if (r)
                        return r;
        }
        return 0;
}

int log_recover_start(Log *log, int64_t recovery_point, bool epochs_known, LogRecovery *ret_recovery) {
        LogRecovery recovery = { .recovery_point = recovery_point };
        recovery.segment_index = epochs_known ? log_segment_index(log, recovery_point) : 0;
        Segment *segment = log->segments[recovery.segment_index];
        recovery.position = segment_resume_indexes(segment, epochs_known ? recovery_point : 0);
        recovery.offset = segment->base_offset;
        if (recovery.position) {
                BatchHeader header;
                int r = segment_read_header(segment, recovery.position, &header);
                if (r)
                        return r;
                recovery.offset = header.base_offset;
        }
        *ret_recovery = recovery;
        return 0;
}

int log_recover(Log *log, const LogRecovery *recovery, bool writes_again) {
        Walk walk = { .log = log, .recovery_point = recovery->recovery_point, .epoch = -1, .writes_again = writes_again,
                      .expected_offset = recovery->offset, .producers_offset = recovery->producers_offset };
        int r = walk_segments(&walk, recovery->segment_index, recovery->position);
        free(walk.chunk);
        if (!r)
                r = save_indexes(log, recovery->segment_index, recovery->recovery_point, writes_again);
        if (r)
                return r;
        log->end_offset = walk.expected_offset;
        return 0;
}

/* Trusts the last index entry if the batch there bears it out; then walks the headers to the end. */
int log_find_end(Log *log, bool has_index) {
        Segment *active = log_active(log);
        char path[SEGMENT_PATH_MAX];
        uint32_t relative, position = 0;
        BatchHeader header;
        segment_path(log->path, active->base_offset, "index", path);
        if (!has_index || !index_peek_position(path, &relative, &position) ||
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
