/* Hash maps: what goes in is found until it is taken out, also while iterating. */
#include "storage/base/hashmap.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define COUNT 5000

typedef struct Item {
        HashNode node; /* first: a node is its item */
        char key[8];
        int seen;
} Item;

static Item items[COUNT];

static Str item_key(int i) {
        snprintf(items[i].key, sizeof(items[i].key), "%d", i);
        return str_of(items[i].key);
}

static void fill(HashMap *map) {
        for (int i = 0; i < COUNT; i++)
                cr_assert_eq(hashmap_insert(map, item_key(i), &items[i].node), 0);
}

Test(hashmap, every_member_is_found_under_its_key_only) {
        HashMap map = HASHMAP_INIT;
        cr_assert_null(hashmap_find(&map, STR("0")));
        fill(&map);
        cr_assert_eq(map.count, COUNT);
        for (int i = 0; i < COUNT; i++)
                cr_assert_eq(hashmap_find(&map, item_key(i)), &items[i].node);
        cr_assert_null(hashmap_find(&map, STR("5000")));
        cr_assert_null(hashmap_find(&map, STR("")));
        hashmap_deinit(&map);
}

Test(hashmap, removed_members_are_gone_and_others_stay) {
        HashMap map = HASHMAP_INIT;
        fill(&map);
        for (int i = 0; i < COUNT; i += 2)
                hashmap_remove(&map, &items[i].node);
        cr_assert_eq(map.count, COUNT / 2);
        for (int i = 0; i < COUNT; i++)
                cr_assert_eq(hashmap_find(&map, item_key(i)), i % 2 ? &items[i].node : NULL);
        hashmap_deinit(&map);
}

Test(hashmap, iteration_meets_each_member_once_while_they_are_removed) {
        HashMap map = HASHMAP_INIT;
        int met = 0;
        fill(&map);
        HASHMAP_FOREACH(&map, node) {
                cr_assert_eq(((Item *)(void *)node)->seen++, 0);
                hashmap_remove(&map, node);
                met++;
        }
        cr_assert_eq(met, COUNT);
        cr_assert_eq(map.count, 0);
        hashmap_deinit(&map);
}

Test(hashmap, keys_may_hold_any_bytes) {
        HashMap map = HASHMAP_INIT;
        Str a = { .data = "k\0a", .len = 3 }, b = { .data = "k\0b", .len = 3 };
        cr_assert_eq(hashmap_insert(&map, a, &items[0].node), 0);
        cr_assert_null(hashmap_find(&map, b));
        cr_assert_eq(hashmap_insert(&map, b, &items[1].node), 0);
        cr_assert_eq(hashmap_find(&map, a), &items[0].node);
        hashmap_deinit(&map);
}
