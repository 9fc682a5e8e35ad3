/* Topics: what a replay of __cluster_metadata-0 gives, and the changes to them.
 *
 * Every change is written to the metadata log before the function returns; a reply about it waits until state_metadata_mark() is past,
 * so that it is true for good (CreateTopics and DeleteTopics are synchronous). */
#pragma once

#include "broker/config.h"
#include "broker/state/partition.h"
#include "storage/base/hashmap.h"
#include "storage/base/uuid.h"

typedef struct Creation Creation; /* state/creation.h */

struct Topic {
        HashNode by_name; /* in state->topics */
        HashNode by_id;   /* in state->topics_by_id */
        char *name;       /* owned */
        Uuid id;
        Partition **partitions; /* owned; index = partition */
        int32_t partition_count;
        ConfigMap config;       /* given values */
        bool is_internal;       /* __consumer_offsets, __transaction_state */
        int64_t flush_messages; /* config flush.messages: sync once so many are not on disk */
        int64_t flush_ms;       /* config flush.ms: sync once that old; INT64_MAX: never */
        HashNode by_collision;  /* in state->topics_by_collision, when collision_key is set */
        char *collision_key;    /* owned: the name with '.' written as '_', where it holds either; else NULL */
};

#define TOPIC_NAME_OFFSETS "__consumer_offsets"
#define TOPIC_NAME_TRANSACTIONS "__transaction_state"
#define TOPIC_NAME_METADATA "__cluster_metadata"
#define TOPIC_NAME_LENGTH_MAX 249
#define TOPIC_PARTITIONS_MAX 1000000 /* of one topic in the metadata log: a bound on what a replay believes */

/* NULL when there is none. */
Topic *topic_find(const State *state, Str name);
Topic *topic_find_id(const State *state, const Uuid *id);
/* NULL when either does not exist. */
Partition *partition_find(const State *state, Str topic, int32_t index);
static inline Partition *topic_partition(const Topic *topic, int32_t index) {
        return index >= 0 && index < topic->partition_count ? topic->partitions[index] : NULL;
}

/* Whether Kafka keeps state of its own in a topic of that name. */
bool topic_name_is_internal(Str name);
/* Whether the name may be part of a path: length and characters. */
bool topic_name_is_valid(Str name);

/* 0, or KAFKA_INVALID_TOPIC_EXCEPTION with a message in Kafka's words (static or in ret_message). */
int topic_validate_name(const State *state, Str name, char *ret_message, size_t message_size);

/* Whether odradek.max.partitions leaves room for that many more: 0 or KAFKA_POLICY_VIOLATION. */
int topics_check_room(const State *state, int64_t partition_count);
/* Creates a topic whose name, count and configs were validated; directories that state/creation.h has not made are made here and now. 0;
 * KAFKA_TOPIC_ALREADY_EXISTS; -errno (nothing is left behind); -EBUSY: see deletion_holds_name(). */
int topic_create(State *state, Str name, int32_t partition_count, const ConfigMap *config, Topic **ret_topic);
/* Removes the topic, and, as state/deletion.h says, its logs and its committed offsets; wakes waiting fetches. 0 or -errno. */
int topic_delete(State *state, Topic *topic);
/* Grows the topic to partition_count; likewise. 0 or -errno. */
int topic_add_partitions(State *state, Topic *topic, int32_t partition_count);
/* Replaces the topic's configs by a validated map (taken over on success) and applies them to the logs. 0 or -errno. */
int topic_set_config(State *state, Topic *topic, ConfigMap *config);
/* Creates on first use, as auto.create.topics.enable allows: with num.partitions. 0, KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
 * KAFKA_INVALID_TOPIC_EXCEPTION, KAFKA_POLICY_VIOLATION where there is no room, -errno. */
int topic_auto_create(State *state, Str name, Topic **ret_topic);
/* As creation_add(), for what that would create. */
int topic_plan_auto_create(State *state, Str name, Creation **creation);

/* Derives the settings of the topic's logs from its configs, and the broker's, anew. */
void topic_apply_config(State *state, Topic *topic);

/* For the replay of the metadata log: what its records say. 0, -EUCLEAN where they contradict, -ENOMEM. */
int topic_replay(State *state, Str name, const Uuid *id);
int topic_replay_partition(State *state, const Uuid *id, int32_t index, int32_t leader_epoch);
int topic_replay_config(State *state, Str topic, Str name, Str value);
void topic_replay_remove(State *state, const Uuid *id);

/* Takes the topic out of all maps and frees it, with what is left open of its logs. NULL is fine. */
void topic_free(State *state, Topic *topic);
/* Frees one that is in no map. */
void topic_destroy(State *state, Topic *topic);
