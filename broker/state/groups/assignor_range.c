/* Range: of every topic each subscriber gets a run of partitions, static members first. Topics with as many partitions and the
 * same subscribers are cut at the same places. */
#include <errno.h>
#include <stdlib.h>

#include "broker/state/groups/assignor.h"

static int compare_members(const void *left, const void *right) {
        const AssignorMember *a = *(AssignorMember *const *)left, *b = *(AssignorMember *const *)right;
        bool a_static = !str_is_null(a->instance_id), b_static = !str_is_null(b->instance_id);
        if (a_static && b_static)
                return str_compare(a->instance_id, b->instance_id);
        return a_static != b_static ? (a_static ? -1 : 1) : str_compare(a->id, b->id);
}

typedef struct Range {
        int32_t quota, extra, next;
} Range;

static void add_range(AssignorMember *member, const AssignorTopic *topic, Range *range) {
        int32_t end = range->next + range->quota + (range->extra-- > 0);
        for (; range->next < end; range->next++)
                partition_set_add(&member->target, &topic->id, range->next, 0);
}

int assign_range(AssignorSpec *spec, Arena *arena) {
        AssignorMember **sorted = arena_alloc_array(arena, (size_t)spec->member_count, sizeof(*sorted));
        Range *ranges = arena_alloc_array(arena, (size_t)spec->topic_count, sizeof(*ranges));
        int32_t *subscribers = arena_alloc_array(arena, (size_t)spec->topic_count, sizeof(*subscribers));
        if (!sorted || !ranges || !subscribers)
                return -ENOMEM;
        for (int32_t m = 0; m < spec->member_count; m++) {
                sorted[m] = &spec->members[m];
                for (int32_t i = 0; i < sorted[m]->topic_count; i++)
                        subscribers[sorted[m]->topics[i]]++;
        }
        for (int32_t t = 0; t < spec->topic_count; t++)
                if (subscribers[t])
                        ranges[t] = (Range){ .quota = spec->topics[t].partition_count / subscribers[t],
                                             .extra = spec->topics[t].partition_count % subscribers[t] };
        qsort(sorted, (size_t)spec->member_count, sizeof(*sorted), compare_members);
        bool failed = false;
        for (int32_t m = 0; m < spec->member_count; m++) {
                for (int32_t i = 0; i < sorted[m]->topic_count; i++)
                        add_range(sorted[m], &spec->topics[sorted[m]->topics[i]], &ranges[sorted[m]->topics[i]]);
                failed |= sorted[m]->target.failed;
        }
        return failed ? -ENOMEM : 0;
}
