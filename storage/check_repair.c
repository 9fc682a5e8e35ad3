/* What a person asked for: the log is cut where it is good no longer, and nothing of what is cut gets lost. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/file.h"
#include "storage/check.h"
#include "storage/log_internal.h"

#define CHUNK_BYTES (256 << 10)
#define NAMES_MAX 1000

/* A name that nothing has: NNN.log.cut-POSITION, with a number behind it if need be. */
static int free_name(const char *path, int64_t base, int64_t position, char ret_name[static SEGMENT_PATH_MAX]) {
        for (int i = 0; i < NAMES_MAX; i++) {
                char suffix[64];
                int64_t size;
                int n = snprintf(suffix, sizeof(suffix), "log.cut-%" PRId64, position);
                if (i)
                        snprintf(suffix + n, sizeof(suffix) - (size_t)n, ".%d", i);
                segment_path(path, base, suffix, ret_name);
                if (file_stat(ret_name, &size, NULL) == -ENOENT)
                        return 0;
        }
        return -EEXIST;
}

static int copy(int from, int64_t position, int64_t size, int to) {
        uint8_t *chunk = malloc(CHUNK_BYTES);
        int r = chunk ? 0 : -ENOMEM;
        for (int64_t at = position; r == 0 && at < size;) {
                ssize_t got = file_read(from, chunk, CHUNK_BYTES, at);
                r = got <= 0 ? (got < 0 ? (int)got : -EIO) : file_write(to, chunk, (size_t)got, at - position);
                at += got;
        }
        free(chunk);
        return r ? r : file_sync(to);
}

static int unlink_beside(const char *path, int64_t base) {
        static const char *const suffixes[] = { "index", "timeindex", "txnindex" };
        int r = 0;
        for (size_t i = 0; r == 0 && i < sizeof(suffixes) / sizeof(*suffixes); i++) {
                char name[SEGMENT_PATH_MAX];
                segment_path(path, base, suffixes[i], name);
                r = file_unlink(name);
        }
        return r;
}

/* The part of a segment that is bad: first a durable copy, then the cut. */
static int cut_segment(const char *path, int64_t base, int64_t position, int64_t *bytes) {
        char log[SEGMENT_PATH_MAX], aside[SEGMENT_PATH_MAX];
        segment_path(path, base, "log", log);
        int from = file_open(log, O_RDWR), to = -1;
        int64_t size = from < 0 ? from : file_size(from);
        int r = size < 0 ? (int)size : 0;
        if (r == 0 && size > position) {
                r = free_name(path, base, position, aside);
                to = r ? r : file_open(aside, O_WRONLY | O_CREAT | O_EXCL);
                r = to < 0 ? to : copy(from, position, size, to);
                if (r == 0)
                        r = file_sync_directory(path);
                if (r == 0)
                        r = file_truncate(from, position);
                if (r == 0)
                        r = file_sync(from);
                *bytes += r ? 0 : size - position;
        }
        file_close(to);
        file_close(from);
        return r ? r : unlink_beside(path, base);
}

/* A whole segment only gets another name. */
static int cut_whole(const char *path, int64_t base, int64_t *bytes) {
        char log[SEGMENT_PATH_MAX], aside[SEGMENT_PATH_MAX];
        int64_t size;
        segment_path(path, base, "log", log);
        int r = file_stat(log, &size, NULL);
        if (r == 0)
                r = free_name(path, base, 0, aside);
        if (r == 0)
                r = file_rename(log, aside);
        if (r)
                return r;
        *bytes += size;
        return unlink_beside(path, base);
}

static int is_segment(const struct dirent *entry) {
        return strlen(entry->d_name) == 24 && strcmp(entry->d_name + 20, ".log") == 0 && strspn(entry->d_name, "0123456789") == 20;
}

int check_cut(const char *path, const CheckedLog *checked, int64_t *ret_bytes) {
        struct dirent **entries;
        int64_t bytes = 0;
        int count = scandir(path, &entries, is_segment, alphasort), r = count < 0 ? -errno : 0;
        for (int i = count; i-- > 0;) { /* from the end, so that a cut which is cut short leaves no hole */
                int64_t base = -1;
                (void)str_to_int64((Str){ entries[i]->d_name, 20 }, 0, INT64_MAX, &base);
                bool first = base == checked->good_base && (checked->good_position > 0 || i == 0);
                if (r == 0 && base >= checked->good_base)
                        r = first ? cut_segment(path, base, checked->good_position, &bytes) : cut_whole(path, base, &bytes);
                free(entries[i]);
        }
        if (count >= 0)
                free(entries);
        *ret_bytes = bytes;
        return r ? r : file_sync_directory(path);
}

static bool is_sound_snapshot(const char *name) {
        Producers producers = PRODUCERS_INIT;
        int r = producers_read_snapshot(&producers, name);
        producers_deinit(&producers);
        return r != -EUCLEAN;
}

/* Sound snapshots stay: they know of producers whose batches are gone. The open removes those that are ahead. */
static int remove_derived(const char *path) {
        DIR *dir = opendir(path);
        int r = dir ? 0 : -errno;
        for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
                char name[SEGMENT_PATH_MAX];
                const char *rest = entry->d_name + strspn(entry->d_name, "0123456789");
                bool snapshot = rest - entry->d_name == 20 && strcmp(rest, ".snapshot") == 0;
                bool derived = rest - entry->d_name == 20 && (strcmp(rest, ".index") == 0 || strcmp(rest, ".timeindex") == 0 ||
                                                               strcmp(rest, ".txnindex") == 0);
                if (!derived && !snapshot && strcmp(entry->d_name, "leader-epoch-checkpoint") != 0)
                        continue;
                r = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) < (int)sizeof(name) ? 0 : -ENAMETOOLONG;
                if (r == 0 && (!snapshot || !is_sound_snapshot(name)))
                        r = file_unlink(name);
        }
        if (dir)
                closedir(dir);
        return r;
}

/* Closing a segment writes only what changed, so all of them are loaded as if they had. */
static int rebuild_segments(Log *log) {
        int r = 0;
        for (int32_t i = 0; r == 0 && i < log->segment_count; i++) {
                Segment *segment = log->segments[i];
                r = segment_rebuild_indexes(segment, log->config.index_interval_bytes);
                if (r == 0)
                        r = i + 1 < log->segment_count ? segment_seal(segment) : segment_flush(segment);
                segment->unsynced = true;
        }
        return r;
}

int check_rebuild(const char *path, int64_t log_start_offset, int64_t now_ms) {
        LogOpen how = { .path = path, .config = LOG_CONFIG_INIT, .now_ms = now_ms, .log_start_offset = log_start_offset };
        Log *log;
        how.config.cleanup_compact = true; /* what was checked may have gaps */
        how.config.retention_ms = -1;
        int r = remove_derived(path);
        if (r == 0)
                r = log_open(&how, &log);
        if (r)
                return r;
        r = rebuild_segments(log);
        if (r == 0)
                r = log_rebuild_txns(log, 0);
        if (r) {
                log_abandon(log);
                return r;
        }
        return log_close(log, now_ms);
}
