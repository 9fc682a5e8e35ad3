/* Binary searches over big-endian arrays, and the rules by which Kafka's own tools check such files. */
#include "storage/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "storage/base/endian.h"
#include "storage/base/file.h"

static const uint8_t *entry_at(const Index *index, uint32_t i) {
        return index->entries + (size_t)i * index->kind;
}

static uint32_t offset_at(const Index *index, uint32_t i) {
        return load_be32(entry_at(index, i) + (index->kind == INDEX_TIME ? 8 : 0));
}

static uint32_t position_at(const Index *index, uint32_t i) {
        return load_be32(entry_at(index, i) + 4);
}

static int64_t timestamp_at(const Index *index, uint32_t i) {
        return (int64_t)load_be64(entry_at(index, i));
}

static bool entry_is_sane(const Index *index, uint32_t i, int64_t log_size) {
        if (offset_at(index, i) > INT32_MAX)
                return false;
        if (index->kind == INDEX_OFFSET)
                return position_at(index, i) < log_size &&
                       (i == 0 || (offset_at(index, i) > offset_at(index, i - 1) &&
                                   position_at(index, i) > position_at(index, i - 1)));
        return timestamp_at(index, i) >= 0 && (i == 0 || (offset_at(index, i) >= offset_at(index, i - 1) &&
                                                          timestamp_at(index, i) > timestamp_at(index, i - 1)));
}

static int read_entries(Index *index, int fd, size_t size, bool map) {
        if (size == 0)
                return 0;
        if (map) {
                void *memory = file_map_shared(fd, size);
                index->mapped = memory != NULL;
                if (index->mapped)
                        index->entries = memory;
        }
        if (!index->mapped) {
                index->entries = malloc(size);
                if (!index->entries)
                        return -ENOMEM;
                index->capacity = (uint32_t)(size / index->kind);
                ssize_t got = file_read(fd, index->entries, size, 0);
                if (got != (ssize_t)size)
                        return got < 0 ? (int)got : -EUCLEAN;
        }
        index->count = (uint32_t)(size / index->kind);
        return 0;
}

int index_load(Index *index, const char *path, int64_t log_size, bool map) {
        int fd = file_open(path, O_RDONLY);
        if (fd < 0)
                return fd;
        int64_t size = file_size(fd);
        int r = size < 0 ? (int)size : size % index->kind || size > INT32_MAX ? -EUCLEAN : 0;
        if (!r)
                r = read_entries(index, fd, (size_t)size, map);
        file_close(fd);
        for (uint32_t i = 0; !r && i < index->count; i++)
                if (!entry_is_sane(index, i, log_size))
                        r = -EUCLEAN;
        if (r)
                index_deinit(index);
        index->changed = false;
        index->saved = index->count;
        return r;
}

int index_flush(Index *index, const char *path, uint32_t count) {
        if (!index->changed)
                return 0;
        if (count > index->count)
                count = index->count;
        bool anew = index->cut || index->saved == 0;
        uint32_t from = anew ? 0 : index->saved;
        if (count < from)
                return 0;
        int fd = file_open(path, O_WRONLY | O_CREAT | (anew ? O_TRUNC : 0));
        size_t start = (size_t)from * index->kind, size = (size_t)(count - from) * index->kind;
        int r = fd < 0 ? fd : size ? file_write(fd, index->entries + start, size, (int64_t)start) : 0;
        file_close(fd);
        index->cut = false;
        if (r) { /* half an index would be taken for a whole one */
                index->saved = 0;
                (void)file_unlink(path);
                return r;
        }
        index->saved = count;
        index->changed = count < index->count;
        return 0;
}

void index_truncate(Index *index, uint32_t count) {
        if (count < index->count) {
                index->count = count;
                index->changed = true;
                index->cut |= count < index->saved;
                if (index->saved > count)
                        index->saved = count;
        }
}

void index_deinit(Index *index) {
        if (index->mapped)
                munmap(index->entries, (size_t)index->count * index->kind);
        else
                free(index->entries);
        *index = INDEX_INIT(index->kind);
}

static uint8_t *add_entry(Index *index) {
        if (index->mapped)
                return NULL;
        if (index->count == index->capacity) {
                uint32_t capacity = index->capacity ? index->capacity * 2 : 8;
                uint8_t *entries = realloc(index->entries, (size_t)capacity * index->kind);
                if (!entries)
                        return NULL;
                index->entries = entries;
                index->capacity = capacity;
        }
        index->changed = true;
        return index->entries + (size_t)index->count++ * index->kind;
}

void index_add_position(Index *index, uint32_t relative_offset, uint32_t position) {
        uint8_t *entry = add_entry(index);
        if (!entry)
                return;
        store_be32(entry, relative_offset);
        store_be32(entry + 4, position);
}

void index_add_timestamp(Index *index, int64_t timestamp_ms, uint32_t relative_offset) {
        int64_t last = index->count ? timestamp_at(index, index->count - 1) : -1;
        uint8_t *entry = timestamp_ms > last ? add_entry(index) : NULL;
        if (!entry)
                return;
        store_be64(entry, (uint64_t)timestamp_ms);
        store_be32(entry + 8, relative_offset);
}

uint32_t index_position_of(const Index *index, uint32_t relative_offset) {
        uint32_t low = 0, high = index->count; /* entries below low are <= relative_offset */
        while (low < high) {
                uint32_t middle = low + (high - low) / 2;
                if (offset_at(index, middle) <= relative_offset)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low ? position_at(index, low - 1) : 0;
}

uint32_t index_position_before(const Index *index, uint32_t position) {
        uint32_t low = 0, high = index->count;
        while (low < high) {
                uint32_t middle = low + (high - low) / 2;
                if (position_at(index, middle) <= position)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low ? position_at(index, low - 1) : 0;
}

bool index_last_offset(const Index *index, uint32_t *ret_relative_offset) {
        if (index->count)
                *ret_relative_offset = offset_at(index, index->count - 1);
        return index->count > 0;
}

uint32_t index_last_position(const Index *index) {
        return index->count ? position_at(index, index->count - 1) : 0;
}

uint32_t index_offset_before(const Index *index, int64_t timestamp_ms) {
        uint32_t low = 0, high = index->count;
        while (low < high) {
                uint32_t middle = low + (high - low) / 2;
                if (timestamp_at(index, middle) < timestamp_ms)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low ? offset_at(index, low - 1) : 0;
}

bool index_last_timestamp(const Index *index, int64_t *ret_timestamp_ms, uint32_t *ret_relative_offset) {
        if (!index->count)
                return false;
        *ret_timestamp_ms = timestamp_at(index, index->count - 1);
        *ret_relative_offset = offset_at(index, index->count - 1);
        return true;
}

/* Reads the last entry of the file at path into bytes. */
static bool peek_entry(const char *path, IndexKind kind, uint8_t *bytes) {
        int fd = file_open(path, O_RDONLY);
        if (fd < 0)
                return false;
        int64_t size = file_size(fd);
        bool found = size >= kind && size % kind == 0 && file_read(fd, bytes, kind, size - kind) == (ssize_t)kind;
        file_close(fd);
        return found;
}

bool index_peek_timestamp(const char *path, int64_t *ret_timestamp_ms, uint32_t *ret_relative_offset) {
        uint8_t entry[INDEX_TIME];
        if (!peek_entry(path, INDEX_TIME, entry))
                return false;
        *ret_timestamp_ms = (int64_t)load_be64(entry);
        *ret_relative_offset = load_be32(entry + 8);
        return *ret_timestamp_ms >= 0 && *ret_relative_offset <= INT32_MAX;
}

bool index_peek_position(const char *path, uint32_t *ret_relative_offset, uint32_t *ret_position) {
        uint8_t entry[INDEX_OFFSET];
        if (!peek_entry(path, INDEX_OFFSET, entry))
                return false;
        *ret_relative_offset = load_be32(entry);
        *ret_position = load_be32(entry + 4);
        return *ret_relative_offset <= INT32_MAX;
}
