/* Intrusive lists. */
#include "storage/base/list.h"

#include <criterion/criterion.h>

typedef struct Item {
        int number;
        ListNode node;
} Item;

static void assert_numbers(const List *list, const int *numbers, size_t count) {
        size_t i = 0;
        LIST_FOREACH(list, node) {
                cr_assert_lt(i, count);
                cr_assert_eq(container_of(node, Item, node)->number, numbers[i++]);
        }
        cr_assert_eq(i, count);
}

Test(list, keeps_the_order_of_append_and_prepend) {
        List list;
        list_init(&list);
        cr_assert(list_is_empty(&list));
        Item a = { .number = 1 }, b = { .number = 2 }, c = { .number = 3 };
        list_append(&list, &a.node);
        list_append(&list, &b.node);
        list_prepend(&list, &c.node);
        assert_numbers(&list, (int[]){ 3, 1, 2 }, 3);
        list_remove(&a.node);
        assert_numbers(&list, (int[]){ 3, 2 }, 2);
}

Test(list, removing_twice_is_harmless) {
        List list;
        list_init(&list);
        Item a = { .number = 1 };
        list_remove(&a.node);
        list_append(&list, &a.node);
        cr_assert(list_node_is_linked(&a.node));
        list_remove(&a.node);
        list_remove(&a.node);
        cr_assert_not(list_node_is_linked(&a.node));
        cr_assert(list_is_empty(&list));
}

Test(list, the_current_node_may_be_removed_and_pop_drains) {
        List list;
        Item items[6] = { { .number = 0 } };
        list_init(&list);
        for (int i = 0; i < 6; i++) {
                items[i].number = i;
                list_append(&list, &items[i].node);
        }
        LIST_FOREACH(&list, node)
                if (container_of(node, Item, node)->number % 2)
                        list_remove(node);
        assert_numbers(&list, (int[]){ 0, 2, 4 }, 3);
        for (int i = 0; i < 6; i += 2)
                cr_assert_eq(list_pop(&list), &items[i].node);
        cr_assert_null(list_pop(&list));
}
