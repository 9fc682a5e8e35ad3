/* Chained hash maps on XXH3, seeded per process so that clients cannot aim at one bucket. */
#include "storage/base/hashmap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t hash_seed;

__attribute__((constructor)) static void seed_hash(void) {
        if (getrandom(&hash_seed, sizeof(hash_seed), GRND_NONBLOCK) != sizeof(hash_seed))
                hash_seed = (uint64_t)(uintptr_t)&hash_seed;
}

static uint64_t hash_key(Str key) {
        return XXH3_64bits_withSeed(key.data ? key.data : "", key.len, hash_seed);
}

static int grow(HashMap *map) {
        size_t count = map->bucket_count ? map->bucket_count * 2 : 8;
        HashNode **buckets = calloc(count, sizeof(*buckets));
        if (!buckets)
                return map->bucket_count ? 0 : -ENOMEM;
        for (size_t i = 0; i < map->bucket_count; i++)
                for (HashNode *node = map->buckets[i], *next; node; node = next) {
                        next = node->next;
                        node->next = buckets[node->hash & (count - 1)];
                        buckets[node->hash & (count - 1)] = node;
                }
        free(map->buckets);
        map->buckets = buckets;
        map->bucket_count = count;
        return 0;
}

int hashmap_insert(HashMap *map, Str key, HashNode *node) {
        if (map->count >= map->bucket_count) {
                int r = grow(map);
                if (r < 0)
                        return r;
        }
        node->key = key;
        node->hash = hash_key(key);
        HashNode **bucket = &map->buckets[node->hash & (map->bucket_count - 1)];
        node->next = *bucket;
        *bucket = node;
        map->count++;
        return 0;
}

HashNode *hashmap_find(const HashMap *map, Str key) {
        if (!map->bucket_count)
                return NULL;
        uint64_t hash = hash_key(key);
        HashNode *node = map->buckets[hash & (map->bucket_count - 1)];
        while (node && (node->hash != hash || !str_equal(node->key, key)))
                node = node->next;
        return node;
}

void hashmap_remove(HashMap *map, HashNode *node) {
        HashNode **link = &map->buckets[node->hash & (map->bucket_count - 1)];
        while (*link != node)
                link = &(*link)->next;
        *link = node->next;
        node->next = NULL;
        map->count--;
}

HashNode *hashmap_next(const HashMap *map, const HashNode *node) {
        if (node && node->next)
                return node->next;
        size_t i = node ? (node->hash & (map->bucket_count - 1)) + 1 : 0;
        for (; i < map->bucket_count; i++)
                if (map->buckets[i])
                        return map->buckets[i];
        return NULL;
}

void hashmap_deinit(HashMap *map) {
        free(map->buckets);
        *map = HASHMAP_INIT;
}
