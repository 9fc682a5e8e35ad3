/* The sparse indexes beside a segment, in Kafka's file formats.
 *
 * .index: entries of int32 relative offset (of a batch's last record), int32 position (of that batch); both rise
 * strictly. .timeindex: int64 timestamp, int32 relative offset: the largest timestamp so far and the last
 * offset of its batch; timestamps rise strictly. All big-endian. An index is derived from its log: one that is
 * missing, cut or unordered is built again, never repaired.
 *
 * Entries stay in the file's form in memory: an array that grows for a segment that is written, a read-only
 * mapping for one that is not. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum IndexKind { INDEX_OFFSET = 8, INDEX_TIME = 12 } IndexKind; /* the value is an entry's size */

typedef struct Index {
        uint8_t *entries;
        uint32_t count, capacity;
        IndexKind kind;
        bool mapped;
        bool changed;   /* since it was loaded or flushed */
        uint32_t saved; /* so many entries are in the file; it may hold more when the index was cut */
        bool cut;
} Index;

#define INDEX_INIT(kind_) ((Index){ .kind = (kind_) })

/* Reads the file, or maps it when it will not be written. 0; -EUCLEAN when it is no index of a log of log_size
 * bytes; -ENOENT; -errno. The index must be empty. */
int index_load(Index *index, const char *path, int64_t log_size, bool map);

/* Makes the file hold the first count entries (UINT32_MAX: all) if anything changed: appends what is new, or writes it
 * anew. 0 or -errno: then there is no file. */
int index_flush(Index *index, const char *path, uint32_t count);

/* How many entries an index_flush() would write. */
static inline uint32_t index_unsaved(const Index *index) {
        return index->count - index->saved;
}

/* Drops all entries from count on. */
void index_truncate(Index *index, uint32_t count);
void index_deinit(Index *index);

/* Adds an entry; without memory nothing happens: the index is only sparser. */
void index_add_position(Index *index, uint32_t relative_offset, uint32_t position);
/* Ignored unless timestamp_ms is above the last entry's (above -1 for the first). */
void index_add_timestamp(Index *index, int64_t timestamp_ms, uint32_t relative_offset);

/* Where to start scanning for relative_offset: the position of the last entry at or below it, or 0. */
uint32_t index_position_of(const Index *index, uint32_t relative_offset);
/* The largest indexed position at or below position, or 0. */
uint32_t index_position_before(const Index *index, uint32_t position);
/* The relative offset of the last entry; false when there is none. */
bool index_last_offset(const Index *index, uint32_t *ret_relative_offset);
/* The last position in the index, or 0. */
uint32_t index_last_position(const Index *index);

/* The relative offset of the last entry whose timestamp is below timestamp_ms, or 0. */
uint32_t index_offset_before(const Index *index, int64_t timestamp_ms);
/* The last entry of a time index: false when there is none. */
bool index_last_timestamp(const Index *index, int64_t *ret_timestamp_ms, uint32_t *ret_relative_offset);

/* The same read from the end of a file, without loading it. False also when the file is missing or odd. */
bool index_peek_timestamp(const char *path, int64_t *ret_timestamp_ms, uint32_t *ret_relative_offset);
/* The last entry of an .index file. */
bool index_peek_position(const char *path, uint32_t *ret_relative_offset, uint32_t *ret_position);
