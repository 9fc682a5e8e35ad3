/* Partitions in order. */
#include "broker/api/partition_names.h"

#include <stdlib.h>

void partition_names_add(PartitionNames *names, Str topic, int32_t partition, const void *want) {
        PartitionName *name = arena_alloc(names->arena, sizeof(*name));
        if (!name) {
                names->failed = true;
                return;
        }
        *name = (PartitionName){ .topic = topic, .want = want, .partition = partition, .serial = names->count++, .before = names->last };
        names->last = name;
}

static int compare(const PartitionName *a, const PartitionName *b) {
        int order = str_compare(a->topic, b->topic);
        if (order)
                return order;
        return a->partition < b->partition ? -1 : a->partition > b->partition;
}

static int compare_rows(const void *left, const void *right) {
        const PartitionName *a = left, *b = right;
        int order = compare(a, b);
        return order ? order : a->serial - b->serial;
}

bool partition_names_sort(PartitionNames *names) {
        int32_t kept = 0;
        names->rows = arena_alloc_array(names->arena, (size_t)names->count, sizeof(PartitionName));
        if (!names->rows || names->failed)
                return false;
        for (PartitionName *name = names->last; name; name = name->before)
                names->rows[name->serial] = *name;
        qsort(names->rows, (size_t)names->count, sizeof(PartitionName), compare_rows);
        for (int32_t i = 0; i < names->count; i++) {
                bool is_repeated = kept && compare(&names->rows[kept - 1], &names->rows[i]) == 0;
                kept -= is_repeated;
                names->rows[kept] = names->rows[i];
                names->rows[kept++].is_repeated = is_repeated;
        }
        names->count = kept;
        return true;
}

int32_t partition_names_same_topic(const PartitionNames *names, int32_t first) {
        int32_t i = first;
        while (i < names->count && str_equal(names->rows[i].topic, names->rows[first].topic))
                i++;
        return i - first;
}

int32_t partition_names_topics(const PartitionNames *names) {
        int32_t topics = 0;
        for (int32_t i = 0; i < names->count; i += partition_names_same_topic(names, i))
                topics++;
        return topics;
}
