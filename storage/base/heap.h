/* An intrusive binary heap ordered by time: the timers of a loop.
 *
 * insert, remove and change are O(log n); the earliest is O(1). */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct HeapNode {
        int64_t key;  /* smallest first */
        size_t place; /* 1-based; 0 = in no heap */
} HeapNode;

typedef struct Heap {
        HeapNode **nodes;
        size_t count;
        size_t capacity;
} Heap;

#define HEAP_INIT ((Heap){ .nodes = NULL, .count = 0, .capacity = 0 })

/* Adds node under key, or moves it there if it is in the heap already. 0 or -ENOMEM. */
int heap_set(Heap *heap, HeapNode *node, int64_t key);

/* Takes node out; harmless when it is in no heap. */
void heap_remove(Heap *heap, HeapNode *node);

/* The node with the smallest key, or NULL. */
static inline HeapNode *heap_first(const Heap *heap) {
        return heap->count ? heap->nodes[0] : NULL;
}

/* Frees the array; nodes are the caller's. */
void heap_deinit(Heap *heap);
