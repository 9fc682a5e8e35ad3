/* The table of assignors, and what they share. */
#include "broker/state/groups/assignor.h"

#include <errno.h>

static const Assignor assignors[] = {
        { "uniform", assign_uniform },
        { "range", assign_range },
};

const Assignor *assignor_find(Str name) {
        for (size_t i = 0; i < sizeof(assignors) / sizeof(assignors[0]); i++)
                if (str_equal(str_of(assignors[i].name), name))
                        return &assignors[i];
        return NULL;
}

int32_t assignor_topic(const AssignorSpec *spec, const Uuid *id) {
        int32_t low = 0, high = spec->topic_count;
        while (low < high) {
                int32_t middle = low + (high - low) / 2;
                if (memcmp(spec->topics[middle].id.bytes, id->bytes, sizeof(id->bytes)) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < spec->topic_count && uuid_equal(&spec->topics[low].id, id) ? low : -1;
}

bool assignor_is_subscribed(const AssignorMember *member, int32_t topic) {
        int32_t low = 0, high = member->topic_count;
        while (low < high) {
                int32_t middle = low + (high - low) / 2;
                if (member->topics[middle] < topic)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < member->topic_count && member->topics[low] == topic;
}

int32_t **assignor_owners(const AssignorSpec *spec, Arena *arena) {
        int32_t **owners = arena_alloc_array(arena, (size_t)spec->topic_count, sizeof(*owners));
        for (int32_t t = 0; owners && t < spec->topic_count; t++) {
                owners[t] = arena_alloc_array(arena, (size_t)spec->topics[t].partition_count, sizeof(**owners));
                if (!owners[t])
                        return NULL;
                for (int32_t p = 0; p < spec->topics[t].partition_count; p++)
                        owners[t][p] = -1;
        }
        return owners;
}

int assignor_take_owners(AssignorSpec *spec, int32_t *const *owners) {
        bool failed = false;
        for (int32_t t = 0; t < spec->topic_count; t++)
                for (int32_t p = 0; p < spec->topics[t].partition_count; p++) {
                        PartitionSet *target = owners[t][p] < 0 ? NULL : &spec->members[owners[t][p]].target;
                        if (target)
                                partition_set_add(target, &spec->topics[t].id, p, 0);
                        failed |= target && target->failed;
                }
        return failed ? -ENOMEM : 0;
}
