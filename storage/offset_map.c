/* Open addressing over one block, at most nine tenths full. */
#include "storage/offset_map.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "storage/base/memory.h"

struct OffsetMapSlot {
        XXH128_hash_t hash;
        int64_t next_offset; /* 0: the slot is free */
};

_Static_assert(sizeof(OffsetMapSlot) == OFFSET_MAP_SLOT_BYTES, "what the limit counts with");

static uint64_t hash_seed;

__attribute__((constructor)) static void seed_hash(void) {
        if (getrandom(&hash_seed, sizeof(hash_seed), GRND_NONBLOCK) != sizeof(hash_seed))
                hash_seed = (uint64_t)(uintptr_t)&hash_seed;
}

int offset_map_init(OffsetMap *map, uint64_t key_count, size_t bytes_max) {
        size_t slots_max = bytes_max / OFFSET_MAP_SLOT_BYTES;
        slots_max = slots_max < 2 ? 2 : slots_max;
        size_t wanted = key_count < slots_max / 2 ? (size_t)key_count * 2 + 2 : slots_max; /* half full is fast */
        *map = OFFSET_MAP_INIT;
        map->slots = calloc(wanted, sizeof(*map->slots));
        if (!map->slots)
                return -ENOMEM;
        map->slot_count = wanted;
        map->count_max = wanted / 10 * 9 + wanted % 10 * 9 / 10;
        return 0;
}

void offset_map_deinit(OffsetMap *map) {
        memory_free(map->slots, map->slot_count * sizeof(*map->slots));
        *map = OFFSET_MAP_INIT;
}

/* The key's slot, or the free one where it belongs. */
static OffsetMapSlot *find_slot(const OffsetMap *map, Str key, XXH128_hash_t *ret_hash) {
        XXH128_hash_t hash = XXH3_128bits_withSeed(key.data ? key.data : "", key.len, hash_seed);
        size_t i = (size_t)(((unsigned __int128)hash.high64 * map->slot_count) >> 64);
        while (map->slots[i].next_offset && !XXH128_isEqual(map->slots[i].hash, hash))
                i = i + 1 == map->slot_count ? 0 : i + 1;
        *ret_hash = hash;
        return &map->slots[i];
}

int offset_map_put(OffsetMap *map, Str key, int64_t offset) {
        XXH128_hash_t hash;
        if (map->count >= map->count_max)
                return -ENOSPC;
        OffsetMapSlot *slot = find_slot(map, key, &hash);
        if (!slot->next_offset)
                map->count++;
        *slot = (OffsetMapSlot){ .hash = hash, .next_offset = offset + 1 };
        return 0;
}

int64_t offset_map_find(const OffsetMap *map, Str key) {
        XXH128_hash_t hash;
        return find_slot(map, key, &hash)->next_offset - 1;
}
