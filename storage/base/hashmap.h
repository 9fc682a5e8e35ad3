/* Intrusive hash maps with byte-string keys: a HashNode is embedded in each member.
 *
 * The key is owned by the member and must not change while it is in the map. Chained buckets that double:
 * insert, find and remove are O(1). Iteration order is arbitrary. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/str.h"

typedef struct HashNode HashNode;
struct HashNode {
        HashNode *next;
        uint64_t hash;
        Str key;
};

typedef struct HashMap {
        HashNode **buckets;
        size_t bucket_count; /* 0 or a power of two */
        size_t count;        /* members */
} HashMap;

#define HASHMAP_INIT ((HashMap){ .buckets = NULL, .bucket_count = 0, .count = 0 })

/* Adds node under key, which must not be in the map yet. 0 or -ENOMEM (the map is unchanged). */
int hashmap_insert(HashMap *map, Str key, HashNode *node);

/* The member with that key, or NULL. */
HashNode *hashmap_find(const HashMap *map, Str key);

/* Removes a member, which must be in the map. */
void hashmap_remove(HashMap *map, HashNode *node);

/* The member after node in some order (NULL: the first), or NULL at the end. Nothing but node may be removed
 * between two calls, and that only after the next one is known. */
HashNode *hashmap_next(const HashMap *map, const HashNode *node);

/* Frees the buckets; members are the caller's. */
void hashmap_deinit(HashMap *map);

/* The body may remove and free the current node. */
#define HASHMAP_FOREACH(map, node)                                                         \
        for (HashNode *node = hashmap_next((map), NULL), *node##_next = NULL;              \
             node && (node##_next = hashmap_next((map), node), true); node = node##_next)
