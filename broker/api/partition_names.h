/* The partitions that a request names, once each and in order: where Kafka makes a map of them. */
#pragma once

#include "broker/api/call.h"

typedef struct PartitionName {
        Str topic;
        int32_t partition;
        const void *want;  /* what the request says of it */
        int32_t serial;    /* its place in the request */
        bool is_repeated;  /* the request names it more than once */
} PartitionName;

typedef struct PartitionNames {
        PartitionName *rows; /* in the call's arena */
        int32_t count, capacity;
} PartitionNames;

/* Room for so many; false without memory. */
bool partition_names_init(PartitionNames *names, Call *call, int64_t capacity);
void partition_names_add(PartitionNames *names, Str topic, int32_t partition, const void *want);
/* Orders them by topic and partition; of those named twice the last one stays. */
void partition_names_sort(PartitionNames *names);
/* How many from row first on are of its topic. */
int32_t partition_names_same_topic(const PartitionNames *names, int32_t first);
/* How many topics there are, after the sort. */
int32_t partition_names_topics(const PartitionNames *names);
