/* A snapshot, then segments by name, which is by offset. */
#include "broker/state/metadata/metadata_files.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "storage/base/file.h"
#include "storage/batch.h"

#define OFFSET_DIGITS 20

static bool begins_with_offset(const char *name) {
        return strspn(name, "0123456789") == OFFSET_DIGITS;
}

static int is_snapshot(const struct dirent *entry) {
        const char *name = entry->d_name;
        return strlen(name) == OFFSET_DIGITS + 22 && begins_with_offset(name) && strcmp(name + OFFSET_DIGITS + 11, ".checkpoint") == 0;
}

static int is_segment(const struct dirent *entry) {
        return strlen(entry->d_name) == OFFSET_DIGITS + 4 && begins_with_offset(entry->d_name) &&
               strcmp(entry->d_name + OFFSET_DIGITS, ".log") == 0;
}

static int64_t offset_of(const struct dirent *entry) {
        int64_t offset = INT64_MAX;
        (void)str_to_int64((Str){ entry->d_name, OFFSET_DIGITS }, 0, INT64_MAX, &offset);
        return offset;
}

static void free_entries(struct dirent **entries, int count) {
        for (int i = 0; i < count; i++)
                free(entries[i]);
        if (count >= 0)
                free(entries);
}

static int replay_snapshot(MetadataReplay *replay, const char *path, int64_t *offset) {
        struct dirent **entries;
        int count = scandir(path, &entries, is_snapshot, alphasort), r = count < 0 ? -errno : 0;
        char name[PATH_MAX];
        if (count > 0) {
                const struct dirent *newest = entries[count - 1];
                r = snprintf(name, sizeof(name), "%s/%s", path, newest->d_name) < (int)sizeof(name) ? metadata_replay_snapshot(replay, name)
                                                                                                   : -ENAMETOOLONG;
                *offset = offset_of(newest);
        }
        free_entries(entries, count);
        return r;
}

/* *ret_whole: it was sound to its end. */
static int replay_segment(MetadataReplay *replay, const char *name, int64_t *offset, bool *ret_whole) {
        FileMap file;
        int r = file_map(name, &file);
        if (r)
                return r;
        size_t at = 0;
        while (r == 0 && at < file.size) {
                BatchHeader header;
                if (batch_read_header(file.data + at, file.size - at, &header) || !batch_check_crc(file.data + at, &header))
                        break;
                int64_t next = batch_next_offset(&header);
                if (next > *offset)
                        r = metadata_replay_bytes(replay, file.data + at, batch_size(&header), *offset, &next);
                if (next > *offset)
                        *offset = next;
                at += batch_size(&header);
        }
        *ret_whole = at >= file.size;
        file_unmap(&file);
        return r;
}

int metadata_files_replay(MetadataReplay *replay, const char *path, int64_t *ret_end) {
        struct dirent **entries;
        int64_t offset = 0;
        int r = replay_snapshot(replay, path, &offset);
        int count = r ? -1 : scandir(path, &entries, is_segment, alphasort);
        bool whole = true;
        if (!r && count < 0)
                r = -errno;
        for (int i = 0; i < count && r == 0 && whole; i++) {
                char name[PATH_MAX];
                if (i + 1 < count && offset_of(entries[i + 1]) <= offset)
                        continue; /* all of it is in the snapshot */
                r = snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name) < (int)sizeof(name)
                            ? replay_segment(replay, name, &offset, &whole) : -ENAMETOOLONG;
        }
        if (count == 0 && offset == 0 && r == 0)
                r = -ENOENT;
        free_entries(entries, count);
        *ret_end = offset;
        return r;
}
