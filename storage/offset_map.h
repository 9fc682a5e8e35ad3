/* The last offset of each key in a stretch of log, in bounded memory: a key is known by its 128-bit hash, 24 bytes in all.
 *
 * Two keys of one hash would be taken for the same; the hash is seeded per process, so nobody can make such keys. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "storage/base/str.h"

#define OFFSET_MAP_SLOT_BYTES 24

typedef struct OffsetMapSlot OffsetMapSlot;

typedef struct OffsetMap {
        OffsetMapSlot *slots;
        size_t slot_count, count, count_max;
} OffsetMap;

#define OFFSET_MAP_INIT ((OffsetMap){ .slots = NULL })

/* For at most key_count keys, in at most bytes_max bytes (room for one key at least). 0 or -ENOMEM. */
int offset_map_init(OffsetMap *map, uint64_t key_count, size_t bytes_max);
void offset_map_deinit(OffsetMap *map);

/* Notes key at offset, which is above all before. 0, or -ENOSPC when the map is full (also for a key that is in it). */
int offset_map_put(OffsetMap *map, Str key, int64_t offset);
/* The offset last noted, or -1. */
int64_t offset_map_find(const OffsetMap *map, Str key);
