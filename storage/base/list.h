/* Intrusive doubly linked lists: a List is the anchor, a ListNode is embedded in each member.
 *
 * A node that is in no list has next == NULL, so list_remove() is always safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct ListNode ListNode;
struct ListNode {
        ListNode *next, *prev;
};

typedef struct List {
        ListNode head;
} List;

#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

/* A List must be initialised in place, since its anchor points to itself. */
static inline void list_init(List *list) {
        list->head.next = list->head.prev = &list->head;
}

static inline bool list_is_empty(const List *list) {
        return list->head.next == &list->head;
}

static inline bool list_node_is_linked(const ListNode *node) {
        return node->next != NULL;
}

static inline void list_insert_before(ListNode *place, ListNode *node) {
        node->next = place;
        node->prev = place->prev;
        place->prev->next = node;
        place->prev = node;
}

static inline void list_append(List *list, ListNode *node) {
        list_insert_before(&list->head, node);
}

static inline void list_prepend(List *list, ListNode *node) {
        list_insert_before(list->head.next, node);
}

static inline void list_remove(ListNode *node) {
        if (!node->next)
                return;
        node->next->prev = node->prev;
        node->prev->next = node->next;
        node->next = node->prev = NULL;
}

static inline ListNode *list_first(const List *list) {
        return list_is_empty(list) ? NULL : list->head.next;
}

static inline ListNode *list_last(const List *list) {
        return list_is_empty(list) ? NULL : list->head.prev;
}

/* Removes and returns the first node, or NULL. Drain with this where members may change the list. */
static inline ListNode *list_pop(List *list) {
        ListNode *node = list_first(list);
        if (node)
                list_remove(node);
        return node;
}

/* The body may remove the current node. */
#define LIST_FOREACH(list, node)                                                               \
        for (ListNode *node = (list)->head.next, *node##_next = node->next; node != &(list)->head; \
             node = node##_next, node##_next = node->next)
