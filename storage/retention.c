/* What a log may forget: segments that are too old, too many, or below the start offset; and the directory of a
 * topic that was deleted. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/base/uuid.h"
#include "storage/log_internal.h"

/* The time that retention.ms counts from: the largest timestamp, or without any, when the file was last written. */
static int64_t segment_age_from(const Log *log, Segment *segment) {
        int64_t timestamp = segment_max_timestamp(segment, log->config.index_interval_bytes), size, mtime_ms;
        segment_used(segment);
        if (timestamp >= 0)
                return timestamp;
        char path[SEGMENT_PATH_MAX];
        segment_path(log->path, segment->base_offset, "log", path);
        return file_stat(path, &size, &mtime_ms) == 0 ? mtime_ms : INT64_MAX;
}

/* How many of the oldest segments may go; the active one counts only if it holds something. */
static int32_t count_expired(const Log *log, int64_t now_ms) {
        if (log->compaction)
                return 0; /* it has them; they go the next time */
        int64_t excess = log->config.retention_bytes < 0 ? -1 : log->size_bytes - log->config.retention_bytes;
        int32_t count = 0;
        for (; count < log->segment_count; count++) {
                Segment *segment = log->segments[count];
                bool last = count + 1 == log->segment_count;
                if ((last && !segment->size) || segment->busy)
                        break; /* the same is true of a sync */
                int64_t next_base = last ? INT64_MAX : log->segments[count + 1]->base_offset;
                bool below_start = next_base <= log->start_offset;
                bool too_many = log->config.cleanup_delete && excess >= segment->size;
                bool too_old = log->config.cleanup_delete && log->config.retention_ms >= 0 && !below_start &&
                               !too_many && now_ms - segment_age_from(log, segment) > log->config.retention_ms;
                if (!below_start && !too_many && !too_old)
                        break;
                excess -= segment->size;
        }
        return count;
}

static int roll(Log *log, int64_t now_ms) {
        Segment *active = log_active(log);
        int r = segment_load_indexes(active, log->config.index_interval_bytes);
        if (!r)
                r = log_add_segment(log, log->end_offset, now_ms);
        if (!r)
                log_end_segments(log, log->segment_count - 2);
        return r;
}

static bool should_roll(const Log *log, int64_t now_ms) {
        Segment *active = log_active(log);
        if (active->size == 0)
                return false;
        int64_t first = segment_first_timestamp(active);
        return now_ms - (first >= 0 ? first : active->created_ms) > log->config.segment_ms;
}

static void move_start(Log *log, int64_t offset) {
        if (offset > log->start_offset)
                log->start_offset = offset;
        if (epochs_cut_start(&log->epochs, log->start_offset))
                log_note_epochs(log); /* a load does the same again */
}

int log_retain(Log *log, int64_t now_ms) {
        int r = log_commit(log, now_ms);
        producers_expire(&log->producers, now_ms, log->config.producer_id_expiration_ms);
        log->is_seasoned |= log_active(log)->entry_unsynced && log_active(log)->size;
        int32_t count = r ? 0 : count_expired(log, now_ms);
        if (!r && (count == log->segment_count || should_roll(log, now_ms)))
                r = roll(log, now_ms);
        log_note_age(log, now_ms);
        if (!r && count) {
                move_start(log, log->segments[count]->base_offset);
                r = log_drop_segments(log, count);
        }
        return r ? r : count;
}

int log_advance_start(Log *log, int64_t offset, int64_t now_ms) {
        if (offset < 0 || offset > log->end_offset)
                return KAFKA_OFFSET_OUT_OF_RANGE;
        if (offset <= log->start_offset)
                return 0;
        int32_t count = 0;
        while (count + 1 < log->segment_count && log->segments[count + 1]->base_offset <= offset && !log->segments[count]->busy &&
               !log->compaction)
                count++; /* what is in other hands goes with log_retain() */
        move_start(log, offset);
        return count ? log_drop_segments(log, count) : 0;
}

typedef struct Removal {
        const char *path;
        int error; /* the first */
} Removal;

static int unlink_entry(const struct dirent *entry, void *data) {
        Removal *removal = data;
        char file[SEGMENT_PATH_MAX];
        int n = snprintf(file, sizeof(file), "%s/%s", removal->path, entry->d_name);
        int r = n < (int)sizeof(file) ? file_unlink(file) : -ENAMETOOLONG;
        removal->error = removal->error ? removal->error : r;
        return 0;
}

static int unlink_all(const char *path) {
        Removal removal = { .path = path };
        int r = file_each_entry(path, unlink_entry, &removal);
        return r ? r : removal.error;
}

int log_doom_directory(const char *path, char **ret_doomed) {
        Uuid id = uuid_random();
        char doomed[SEGMENT_PATH_MAX];
        int n = snprintf(doomed, sizeof(doomed), "%s.", path);
        if (n < 0 || (size_t)n + 2 * sizeof(id.bytes) + sizeof("-delete") > sizeof(doomed))
                return -ENAMETOOLONG;
        for (size_t i = 0; i < sizeof(id.bytes); i++)
                n += snprintf(doomed + n, sizeof(doomed) - (size_t)n, "%02x", id.bytes[i]);
        snprintf(doomed + n, sizeof(doomed) - (size_t)n, "-delete");
        char *copy = strdup(doomed);
        int r = copy ? file_rename(path, doomed) : -ENOMEM;
        if (r) {
                free(copy);
                return r;
        }
        *ret_doomed = copy;
        return 0;
}

static int remove_directory(const char *doomed) {
        int r = unlink_all(doomed);
        return r ? r : file_remove_directory(doomed);
}

int log_remove_directory(const char *doomed) {
        int r = file_sync_parent(doomed);
        int r2 = remove_directory(doomed);
        return r ? r : r2;
}

static int doom_and_remove(const char *path, int (*remove)(const char *doomed)) {
        char *doomed;
        int r = log_doom_directory(path, &doomed);
        if (r)
                return r;
        r = remove(doomed);
        free(doomed);
        return r;
}

int log_delete_directory(const char *path) {
        return doom_and_remove(path, log_remove_directory);
}

int log_discard_directory(const char *path) {
        return doom_and_remove(path, remove_directory);
}
