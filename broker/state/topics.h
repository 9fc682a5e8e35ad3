/* Topics: what a replay of __cluster_metadata-0 gives, and the changes to them.
 *
 * Every change is written to the metadata log and synced before the function returns, so that a reply sent
 * after it is true (CreateTopics and DeleteTopics are synchronous). */
#pragma once

#include "broker/config.h"
#include "broker/state/partition.h"
#include "storage/base/hashmap.h"
#include "storage/base/uuid.h"

struct Topic {
        HashNode by_name; /* in state->topics */
        HashNode by_id;   /* in state->topics_by_id */
        char *name;       /* owned */
        Uuid id;
        Partition **partitions; /* owned; index = partition */
        int32_t partition_count;
        ConfigMap config;       /* given values */
        int32_t min_insync_replicas; /* of config, with its defaults */
        bool is_internal;       /* __consumer_offsets, __transaction_state */
};

#define TOPIC_NAME_OFFSETS "__consumer_offsets"
#define TOPIC_NAME_METADATA "__cluster_metadata"

Topic *topic_find(const State *state, Str name);
Topic *topic_find_id(const State *state, const Uuid *id);
/* NULL when either does not exist. */
Partition *partition_find(const State *state, Str topic, int32_t index);
static inline Partition *topic_partition(const Topic *topic, int32_t index) {
        return index >= 0 && index < topic->partition_count ? topic->partitions[index] : NULL;
}

/* 0, or KAFKA_INVALID_TOPIC_EXCEPTION with a message in Kafka's words (static or in ret_message). */
int topic_validate_name(const State *state, Str name, char *ret_message, size_t message_size);

/* Creates a topic whose name, count and configs were validated. 0; KAFKA_TOPIC_ALREADY_EXISTS; -errno (nothing is left behind). */
int topic_create(State *state, Str name, int32_t partition_count, const ConfigMap *config, Topic **ret_topic);
/* Removes the topic, its logs, and (through offsets) its committed offsets; wakes waiting fetches. 0 or -errno. */
int topic_delete(State *state, Topic *topic);
/* Grows the topic to partition_count. 0 or -errno. */
int topic_add_partitions(State *state, Topic *topic, int32_t partition_count);
/* Replaces the topic's configs by a validated map (taken over on success) and applies them to the logs. 0 or -errno. */
int topic_set_config(State *state, Topic *topic, ConfigMap *config);
/* Creates on first use, as auto.create.topics.enable allows: with num.partitions. 0, KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
 * KAFKA_INVALID_TOPIC_EXCEPTION, -errno. */
int topic_auto_create(State *state, Str name, Topic **ret_topic);
