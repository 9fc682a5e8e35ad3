/* Java's hash tables: hash codes, bucket counts, and the order of buckets. */
#include "broker/state/groups/java_order.h"

#include <stdlib.h>

#include "storage/base/endian.h"

uint32_t java_hash_string(Str text) {
        uint32_t hash = 0;
        for (size_t i = 0; i < text.len;) {
                const uint8_t *p = (const uint8_t *)text.data + i;
                size_t left = text.len - i, size = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
                if (size > left)
                        size = 1;
                uint32_t rune = size == 1 ? *p : size == 2 ? *p & 0x1fu : size == 3 ? *p & 0x0fu : *p & 0x07u;
                for (size_t k = 1; k < size; k++)
                        rune = rune << 6 | (p[k] & 0x3f);
                if (rune >= 0x10000) {
                        hash = hash * 31 + (0xd800 + ((rune - 0x10000) >> 10));
                        rune = 0xdc00 + ((rune - 0x10000) & 0x3ff);
                }
                hash = hash * 31 + rune;
                i += size;
        }
        return hash;
}

uint32_t java_hash_uuid(const Uuid *uuid) {
        uint64_t both = load_be64(uuid->bytes) ^ load_be64(uuid->bytes + 8);
        return (uint32_t)(both >> 32) ^ (uint32_t)both;
}

uint32_t java_buckets_grown(int32_t count) {
        uint32_t buckets = 16;
        while ((uint32_t)count > buckets / 4 * 3)
                buckets *= 2;
        return buckets;
}

uint32_t java_buckets_copied(int32_t count) {
        uint32_t wanted = (uint32_t)((float)count / .75f) + 1, buckets = 16;
        while (buckets < wanted)
                buckets *= 2;
        return buckets;
}

typedef struct Placed {
        uint32_t bucket;
        int32_t position;
} Placed;

static int compare_placed(const void *left, const void *right) {
        const Placed *a = left, *b = right;
        if (a->bucket != b->bucket)
                return a->bucket < b->bucket ? -1 : 1;
        return a->position < b->position ? -1 : a->position > b->position;
}

void java_order(const uint32_t *hashes, int32_t count, uint32_t buckets, int32_t *ret_order) {
        Placed *placed = calloc((size_t)count + 1, sizeof(*placed));
        for (int32_t i = 0; i < count; i++) {
                ret_order[i] = i;
                if (placed)
                        placed[i] = (Placed){ (hashes[i] ^ hashes[i] >> 16) & (buckets - 1), i };
        }
        if (!placed)
                return; /* any order is right, only not the same */
        qsort(placed, (size_t)count, sizeof(*placed), compare_placed);
        for (int32_t i = 0; i < count; i++)
                ret_order[i] = placed[i].position;
        free(placed);
}
