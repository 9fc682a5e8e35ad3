/* Partitions, once each and by topic: those that a request names, where Kafka makes a map of them. */
#pragma once

#include "broker/api/call.h"

typedef struct PartitionName PartitionName;

struct PartitionName {
        Str topic;
        const void *want;  /* what the request says of it */
        int32_t partition;
        int32_t serial;    /* its place in the request */
        bool is_repeated;  /* the request names it more than once */
        PartitionName *before; /* the one added before it */
};

typedef struct PartitionNames {
        Arena *arena;        /* the call's */
        PartitionName *last; /* as added */
        PartitionName *rows; /* as sorted */
        int32_t count;
        bool failed; /* one could not be added */
} PartitionNames;

#define PARTITION_NAMES_INIT(call) ((PartitionNames){ .arena = &(call)->arena })

/* Without memory the sort fails. */
void partition_names_add(PartitionNames *names, Str topic, int32_t partition, const void *want);
/* Orders them by topic and partition, into rows; of those named twice the last one stays. False without memory. */
bool partition_names_sort(PartitionNames *names);
/* How many from row first on are of its topic. */
int32_t partition_names_same_topic(const PartitionNames *names, int32_t first);
/* How many topics there are, after the sort. */
int32_t partition_names_topics(const PartitionNames *names);
