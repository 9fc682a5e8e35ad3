/* The timer heap against a plain search for the minimum. */
#include "storage/base/heap.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define COUNT 300

static HeapNode nodes[COUNT];

static int64_t smallest(void) {
        int64_t least = INT64_MAX;
        for (int i = 0; i < COUNT; i++)
                if (nodes[i].place && nodes[i].key < least)
                        least = nodes[i].key;
        return least;
}

static void check(const Heap *heap) {
        size_t count = 0;
        for (int i = 0; i < COUNT; i++)
                count += nodes[i].place != 0;
        cr_assert_eq(heap->count, count);
        cr_assert_eq(heap_first(heap) ? heap_first(heap)->key : INT64_MAX, smallest());
        for (size_t i = 0; i < heap->count; i++)
                cr_assert_eq(heap->nodes[i]->place, i + 1);
}

Test(heap, first_is_the_smallest_whatever_is_set_moved_or_removed) {
        Heap heap = HEAP_INIT;
        unsigned seed = 7;
        for (int step = 0; step < 20000; step++) {
                HeapNode *node = &nodes[rand_r(&seed) % COUNT];
                if (rand_r(&seed) % 3)
                        cr_assert_eq(heap_set(&heap, node, rand_r(&seed) % 100 - 50), 0);
                else
                        heap_remove(&heap, node);
                check(&heap);
        }
        heap_deinit(&heap);
}

Test(heap, drains_in_order) {
        Heap heap = HEAP_INIT;
        for (int i = 0; i < COUNT; i++)
                heap_set(&heap, &nodes[i], i * 7919 % 1009);
        int64_t last = INT64_MIN;
        for (HeapNode *node; (node = heap_first(&heap)); heap_remove(&heap, node)) {
                cr_assert_geq(node->key, last);
                last = node->key;
        }
        heap_deinit(&heap);
}

Test(heap, removing_what_is_in_no_heap_is_harmless) {
        Heap heap = HEAP_INIT;
        HeapNode node = { .key = 1 };
        heap_remove(&heap, &node);
        cr_assert_null(heap_first(&heap));
        heap_deinit(&heap);
}
