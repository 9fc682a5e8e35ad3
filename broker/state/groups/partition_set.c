/* Sets of partitions as sorted arrays. */
#include "broker/state/groups/partition_set.h"

#include <stdlib.h>
#include <string.h>

static int compare(const SetPartition *item, const Uuid *topic, int32_t index) {
        int r = memcmp(item->topic.bytes, topic->bytes, sizeof(topic->bytes));
        return r ? r : item->index < index ? -1 : item->index > index;
}

/* The position of the first element that is not smaller. */
static int32_t lower_bound(const PartitionSet *set, const Uuid *topic, int32_t index) {
        int32_t low = 0, high = set->count;
        if (high > 0 && compare(&set->items[high - 1], topic, index) < 0)
                return high;
        while (low < high) {
                int32_t middle = low + (high - low) / 2;
                if (compare(&set->items[middle], topic, index) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static bool reserve(PartitionSet *set, int32_t count) {
        if (count <= set->capacity)
                return true;
        int32_t capacity = set->capacity ? set->capacity : 4;
        while (capacity < count)
                capacity *= 2;
        SetPartition *items = realloc(set->items, (size_t)capacity * sizeof(*items));
        if (!items) {
                set->failed = true;
                return false;
        }
        set->items = items;
        set->capacity = capacity;
        return true;
}

void partition_set_add(PartitionSet *set, const Uuid *topic, int32_t index, int32_t epoch) {
        int32_t at = lower_bound(set, topic, index);
        if (at < set->count && compare(&set->items[at], topic, index) == 0) {
                set->items[at].epoch = epoch;
                return;
        }
        if (!reserve(set, set->count + 1))
                return;
        memmove(&set->items[at + 1], &set->items[at], (size_t)(set->count - at) * sizeof(*set->items));
        set->items[at] = (SetPartition){ .topic = *topic, .index = index, .epoch = epoch };
        set->count++;
}

void partition_set_add_all(PartitionSet *set, const PartitionSet *other) {
        for (int32_t i = 0; i < other->count; i++)
                partition_set_add(set, &other->items[i].topic, other->items[i].index, other->items[i].epoch);
}

const SetPartition *partition_set_find(const PartitionSet *set, const Uuid *topic, int32_t index) {
        int32_t at = lower_bound(set, topic, index);
        return at < set->count && compare(&set->items[at], topic, index) == 0 ? &set->items[at] : NULL;
}

bool partition_set_equal(const PartitionSet *a, const PartitionSet *b, bool with_epochs) {
        if (a->count != b->count)
                return false;
        for (int32_t i = 0; i < a->count; i++)
                if (compare(&a->items[i], &b->items[i].topic, b->items[i].index) != 0 ||
                    (with_epochs && a->items[i].epoch != b->items[i].epoch))
                        return false;
        return true;
}

void partition_set_copy(const PartitionSet *from, PartitionSet *ret_copy) {
        ret_copy->failed = from->failed;
        ret_copy->count = 0;
        if (!reserve(ret_copy, from->count) || from->count == 0)
                return;
        memcpy(ret_copy->items, from->items, (size_t)from->count * sizeof(*from->items));
        ret_copy->count = from->count;
}

void partition_set_deinit(PartitionSet *set) {
        free(set->items);
        *set = PARTITION_SET_INIT;
}

int32_t partition_set_run(const PartitionSet *set, int32_t at) {
        int32_t end = at;
        while (end < set->count && uuid_equal(&set->items[end].topic, &set->items[at].topic))
                end++;
        return end - at;
}

int32_t partition_set_topics(const PartitionSet *set) {
        int32_t topics = 0;
        for (int32_t at = 0; at < set->count; at += partition_set_run(set, at))
                topics++;
        return topics;
}
