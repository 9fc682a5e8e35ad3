/* Server-side assignors of consumer groups (KIP-848): who shall have which partitions.
 *
 * Their results are those of Apache Kafka's assignors of the same names, also where those depend on the order in which Java walks
 * its hash tables: a group that changes brokers keeps its partitions. */
#pragma once

#include "broker/state/groups/partition_set.h"
#include "storage/base/arena.h"
#include "storage/base/str.h"

typedef struct AssignorTopic {
        Uuid id;
        int32_t partition_count;
} AssignorTopic;

typedef struct AssignorMember {
        Str id, instance_id;         /* instance_id: null for dynamic members */
        const int32_t *topics;       /* positions in the specification's topics, rising */
        int32_t topic_count;
        int32_t name_count;          /* how many topics it names, also those that don't exist */
        const PartitionSet *current; /* the target so far; partitions that don't exist are not in it */
        PartitionSet target;         /* the result; the caller's to free */
} AssignorMember;

typedef struct AssignorSpec {
        const AssignorTopic *topics; /* in order of their ids */
        int32_t topic_count;
        AssignorMember *members;
        int32_t member_count;
        bool is_homogeneous;         /* all members name the same topics */
} AssignorSpec;

typedef struct Assignor {
        const char *name;
        /* Fills every member's target, which must be empty. The arena is for what is needed meanwhile. 0 or -ENOMEM. */
        int (*assign)(AssignorSpec *spec, Arena *arena);
} Assignor;

/* By its name ("uniform", "range"), or NULL. */
const Assignor *assignor_find(Str name);

/* ---- for the assignors */

/* The position of a topic, or -1. */
int32_t assignor_topic(const AssignorSpec *spec, const Uuid *id);
bool assignor_is_subscribed(const AssignorMember *member, int32_t topic);
/* Of each partition of each topic the position of its member, -1 at first. NULL without memory. */
int32_t **assignor_owners(const AssignorSpec *spec, Arena *arena);
/* Makes the members' targets of the owners. 0 or -ENOMEM. */
int assignor_take_owners(AssignorSpec *spec, int32_t *const *owners);

/* What Assignor.assign() does: "range"; "uniform", where all read the same topics; and where they do not. */
int assign_range(AssignorSpec *spec, Arena *arena);
int assign_uniform(AssignorSpec *spec, Arena *arena);
int assign_heterogeneous(AssignorSpec *spec, Arena *arena);
