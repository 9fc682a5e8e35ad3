/* Sets of partitions, by topic id: what a member of a consumer group has, gives up, or shall have.
 *
 * An array in order of topic and partition, so that a set operation is one walk. Each partition carries the epoch at which it was
 * assigned, which comparisons of sets leave out unless they say otherwise. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/base/uuid.h"

typedef struct SetPartition {
        Uuid topic;
        int32_t index;
        int32_t epoch;
} SetPartition;

typedef struct PartitionSet {
        SetPartition *items; /* owned */
        int32_t count, capacity;
        bool failed; /* an allocation failed: something is missing */
} PartitionSet;

#define PARTITION_SET_INIT ((PartitionSet){ .items = NULL, .count = 0, .capacity = 0, .failed = false })

/* Adds in any order; a partition that is there already gets the new epoch. Adding in order costs O(1). */
void partition_set_add(PartitionSet *set, const Uuid *topic, int32_t index, int32_t epoch);
void partition_set_add_all(PartitionSet *set, const PartitionSet *other);
/* The element, or NULL. */
const SetPartition *partition_set_find(const PartitionSet *set, const Uuid *topic, int32_t index);
/* Whether the sets hold the same partitions; with epochs: at the same epochs. */
bool partition_set_equal(const PartitionSet *a, const PartitionSet *b, bool with_epochs);
/* Replaces ret_copy, which must be initialised; failed is copied too. */
void partition_set_copy(const PartitionSet *from, PartitionSet *ret_copy);
void partition_set_deinit(PartitionSet *set);

/* How many elements from position at on are of the same topic. */
int32_t partition_set_run(const PartitionSet *set, int32_t at);
/* How many topics there are. */
int32_t partition_set_topics(const PartitionSet *set);
