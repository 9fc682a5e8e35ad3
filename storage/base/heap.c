/* Binary heap of node pointers; each node knows its place. */
#include "storage/base/heap.h"

#include <errno.h>
#include <stdlib.h>

static void put(Heap *heap, size_t i, HeapNode *node) {
        heap->nodes[i] = node;
        node->place = i + 1;
}

static void sift(Heap *heap, size_t i) {
        HeapNode *node = heap->nodes[i];
        for (size_t up; i > 0 && heap->nodes[up = (i - 1) / 2]->key > node->key; i = up)
                put(heap, i, heap->nodes[up]);
        for (size_t down; (down = 2 * i + 1) < heap->count; i = down) {
                if (down + 1 < heap->count && heap->nodes[down + 1]->key < heap->nodes[down]->key)
                        down++;
                if (heap->nodes[down]->key >= node->key)
                        break;
                put(heap, i, heap->nodes[down]);
        }
        put(heap, i, node);
}

int heap_set(Heap *heap, HeapNode *node, int64_t key) {
        if (!node->place) {
                if (heap->count == heap->capacity) {
                        size_t capacity = heap->capacity ? heap->capacity * 2 : 16;
                        HeapNode **nodes = realloc(heap->nodes, capacity * sizeof(HeapNode *));
                        if (!nodes)
                                return -ENOMEM;
                        heap->nodes = nodes;
                        heap->capacity = capacity;
                }
                put(heap, heap->count++, node);
        }
        node->key = key;
        sift(heap, node->place - 1);
        return 0;
}

void heap_remove(Heap *heap, HeapNode *node) {
        if (!node->place)
                return;
        size_t i = node->place - 1;
        node->place = 0;
        HeapNode *last = heap->nodes[--heap->count];
        if (last == node)
                return;
        put(heap, i, last);
        sift(heap, i);
}

void heap_deinit(Heap *heap) {
        free(heap->nodes);
        *heap = HEAP_INIT;
}
