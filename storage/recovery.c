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
#include "storage/recovery_walk.h"

#define CHUNK_BYTES (256 << 10)
#define ASIDE_NAMES_MAX 1000

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
        walk_deinit(&walk);
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
