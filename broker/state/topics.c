/* Topics: lookup, names, and every change to them. */
#include "broker/state/topics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/protocol/messages.h"
#include "broker/state/cleaner.h"
#include "broker/state/creation.h"
#include "broker/state/deletion.h"
#include "broker/state/flusher.h"
#include "broker/state/metadata/metadata.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

Topic *topic_find(const State *state, Str name) {
        HashNode *node = hashmap_find(&state->topics, name);
        return node ? container_of(node, Topic, by_name) : NULL;
}

Topic *topic_find_id(const State *state, const Uuid *id) {
        HashNode *node = hashmap_find(&state->topics_by_id, uuid_key(id));
        return node ? container_of(node, Topic, by_id) : NULL;
}

Partition *partition_find(const State *state, Str topic, int32_t index) {
        Topic *found = topic_find(state, topic);
        return found ? topic_partition(found, index) : NULL;
}

bool topic_name_is_internal(Str name) {
        return str_equal(name, STR(TOPIC_NAME_OFFSETS)) || str_equal(name, STR(TOPIC_NAME_TRANSACTIONS)) ||
               str_equal(name, STR("__share_group_state"));
}

static bool has_legal_characters(Str name) {
        for (size_t i = 0; i < name.len; i++) {
                char c = name.data[i];
                if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                      c == '-'))
                        return false;
        }
        return true;
}

bool topic_name_is_valid(Str name) {
        return name.len > 0 && name.len <= TOPIC_NAME_LENGTH_MAX && !str_equal(name, STR(".")) &&
               !str_equal(name, STR("..")) && has_legal_characters(name);
}

/* Two topics whose names differ only in '.' and '_' would share metric names. Writes the common form; false when the name
 * holds neither. The name is valid. */
static bool collision_key(Str name, char ret_key[static TOPIC_NAME_LENGTH_MAX + 1]) {
        bool found = false;
        for (size_t i = 0; i < name.len; i++) {
                found = found || name.data[i] == '.' || name.data[i] == '_';
                ret_key[i] = name.data[i] == '.' ? '_' : name.data[i];
        }
        ret_key[name.len] = '\0';
        return found;
}

int topic_validate_name(const State *state, Str name, char *ret_message, size_t message_size) {
        char key[TOPIC_NAME_LENGTH_MAX + 1];
        if (topic_name_is_valid(name)) {
                HashNode *node = collision_key(name, key) ? hashmap_find(&state->topics_by_collision, str_of(key)) : NULL;
                Topic *other = node ? container_of(node, Topic, by_collision) : NULL;
                if (!other || str_equal(str_of(other->name), name))
                        return 0;
                snprintf(ret_message, message_size, "Topic '%.*s' collides with existing topic: %s", STR_ARG(name), other->name);
        } else if (name.len == 0) {
                snprintf(ret_message, message_size, "Topic name is invalid: the empty string is not allowed");
        } else if (str_equal(name, STR(".")) || str_equal(name, STR(".."))) {
                snprintf(ret_message, message_size, "Topic name is invalid: '%.*s' is not allowed", STR_ARG(name));
        } else if (name.len > TOPIC_NAME_LENGTH_MAX) {
                snprintf(ret_message, message_size,
                         "Topic name is invalid: the length of '%.*s' is longer than the max allowed length %d", STR_ARG(name),
                         TOPIC_NAME_LENGTH_MAX);
        } else {
                snprintf(ret_message, message_size,
                         "Topic name is invalid: '%.*s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
                         STR_ARG(name));
        }
        return KAFKA_INVALID_TOPIC_EXCEPTION;
}

static int topic_new(Str name, const Uuid *id, const ConfigMap *config, Topic **ret_topic) {
        Topic *topic = calloc(1, sizeof(*topic));
        if (!topic)
                return -ENOMEM;
        topic->id = *id;
        topic->config = CONFIG_MAP_INIT;
        topic->is_internal = topic_name_is_internal(name);
        topic->flush_messages = topic->flush_ms = INT64_MAX;
        topic->name = str_dup(name);
        int r = topic->name ? 0 : -ENOMEM;
        char key[TOPIC_NAME_LENGTH_MAX + 1];
        if (r == 0 && collision_key(name, key)) {
                topic->collision_key = str_dup(str_of(key));
                r = topic->collision_key ? 0 : -ENOMEM;
        }
        if (r == 0 && config)
                r = config_map_copy(config, &topic->config);
        if (r) {
                free(topic->collision_key);
                free(topic->name);
                free(topic);
                return r;
        }
        *ret_topic = topic;
        return 0;
}

/* Into all maps, or none. The collision map keeps the first of topics that collide (in a log that Kafka left). */
static int insert_topic(State *state, Topic *topic) {
        int r = hashmap_insert(&state->topics, str_of(topic->name), &topic->by_name);
        if (r)
                return r;
        r = hashmap_insert(&state->topics_by_id, uuid_key(&topic->id), &topic->by_id);
        if (r == 0 && topic->collision_key) {
                if (hashmap_find(&state->topics_by_collision, str_of(topic->collision_key))) {
                        free(topic->collision_key);
                        topic->collision_key = NULL;
                        state->partition_total += topic->partition_count;
                        return 0;
                }
                r = hashmap_insert(&state->topics_by_collision, str_of(topic->collision_key), &topic->by_collision);
                if (r)
                        hashmap_remove(&state->topics_by_id, &topic->by_id);
        }
        if (r)
                hashmap_remove(&state->topics, &topic->by_name);
        else
                state->partition_total += topic->partition_count;
        return r;
}

static void take_out_topic(State *state, Topic *topic) {
        state->partition_total -= topic->partition_count;
        hashmap_remove(&state->topics, &topic->by_name);
        hashmap_remove(&state->topics_by_id, &topic->by_id);
        if (topic->collision_key)
                hashmap_remove(&state->topics_by_collision, &topic->by_collision);
}

void topic_destroy(State *state, Topic *topic) {
        for (int32_t i = 0; i < topic->partition_count; i++)
                partition_free(state, topic->partitions[i]);
        free(topic->partitions);
        config_map_deinit(&topic->config);
        free(topic->collision_key);
        free(topic->name);
        free(topic);
}

void topic_free(State *state, Topic *topic) {
        if (!topic)
                return;
        take_out_topic(state, topic);
        topic_destroy(state, topic);
}

/* Adds partitions without logs up to count. On error some may have been added. */
static int grow_topic(Topic *topic, int32_t count) {
        if (count <= topic->partition_count)
                return 0;
        Partition **partitions = realloc(topic->partitions, (size_t)count * sizeof(Partition *));
        if (!partitions)
                return -ENOMEM;
        topic->partitions = partitions;
        int r = 0;
        while (r == 0 && topic->partition_count < count) {
                r = partition_new(topic, topic->partition_count, 0, &partitions[topic->partition_count]);
                if (r == 0)
                        topic->partition_count++;
        }
        return r;
}

/* Takes the partitions from count on away again, with their directories. */
static void shrink_topic(State *state, Topic *topic, int32_t count) {
        while (topic->partition_count > count) {
                Partition *partition = topic->partitions[--topic->partition_count];
                partition_delete_log(state, partition);
                partition_free(state, partition);
        }
}

/* Grows the topic on disk, before the metadata log says so; on error it is as it was. */
static int grow_on_disk(State *state, Topic *topic, int32_t count) {
        int32_t before = topic->partition_count;
        LogConfig config = LOG_CONFIG_INIT;
        config_topic_log(state->config, &topic->config, &config);
        int r = grow_topic(topic, count);
        for (int32_t i = before; r == 0 && i < count; i++) {
                Partition *partition = topic->partitions[i];
                partition->log = creation_take_log(state, partition);
                if (partition->log)
                        log_set_config(partition->log, &config);
                else
                        r = partition_create_log(state, partition, &config);
        }
        if (r)
                shrink_topic(state, topic, before);
        return r;
}

static void add_partition_records(MetadataBatch *batch, State *state, const Topic *topic, int32_t from) {
        PartitionRecord record = PartitionRecord_INIT;
        record.topic_id = topic->id;
        record.replicas = record.isr = &state->node_id;
        record.replicas_count = record.isr_count = 1;
        record.leader = state->node_id;
        record.leader_epoch = record.partition_epoch = 0;
        record.directories = &state->directory_id;
        record.directories_count = 1;
        for (int32_t i = from; i < topic->partition_count; i++) {
                record.partition_id = i;
                metadata_batch_add(batch, &PartitionRecord_message, METADATA_PARTITION_RECORD_VERSION, &record);
        }
}

static int write_topic(State *state, const Topic *topic) {
        MetadataBatch batch;
        metadata_batch_init(&batch, state);
        metadata_batch_add(&batch, &TopicRecord_message, 0,
                           &(TopicRecord){ .name = str_of(topic->name), .topic_id = topic->id });
        metadata_batch_add_configs(&batch, CONFIG_RESOURCE_TOPIC, str_of(topic->name), CONFIG_SOURCE_TOPIC,
                                   &CONFIG_MAP_INIT, &topic->config);
        add_partition_records(&batch, state, topic, 0);
        return metadata_batch_write(state, &batch);
}

int topics_check_room(const State *state, int64_t partition_count) {
        return state->partition_total + partition_count > config_int(state->config, "odradek.max.partitions") ? KAFKA_POLICY_VIOLATION : 0;
}

int topic_create(State *state, Str name, int32_t partition_count, const ConfigMap *config, Topic **ret_topic) {
        if (topic_find(state, name))
                return KAFKA_TOPIC_ALREADY_EXISTS;
        if (state->failed)
                return KAFKA_KAFKA_STORAGE_ERROR;
        Topic *topic;
        Uuid id = { .bytes = { 0 } };
        int r = deletion_check_name(state, name);
        if (r == 0)
                r = creation_check(state, name, 0, &id);
        if (r == 0 && uuid_is_zero(&id))
                id = uuid_random();
        if (r == 0)
                r = topic_new(name, &id, config, &topic);
        if (r)
                return r;
        r = grow_on_disk(state, topic, partition_count);
        if (r == 0)
                r = insert_topic(state, topic);
        if (r == 0) {
                r = write_topic(state, topic);
                if (r)
                        take_out_topic(state, topic);
        }
        if (r) {
                shrink_topic(state, topic, 0);
                topic_destroy(state, topic);
                return r;
        }
        state->topics_created_version = metadata_end_offset(state);
        topic_apply_config(state, topic);
        trace_debug("created topic %s with %d partition(s)", topic->name, topic->partition_count);
        if (ret_topic)
                *ret_topic = topic;
        return 0;
}

int topic_delete(State *state, Topic *topic) {
        Deletion *deletion;
        MetadataBatch batch;
        state_commit(state); /* whoever waits for a write to this topic learns its end first */
        int r = deletion_new(state, topic, &deletion);
        if (r)
                return r;
        metadata_batch_init(&batch, state);
        metadata_batch_add(&batch, &RemoveTopicRecord_message, 0, &(RemoveTopicRecord){ .topic_id = topic->id });
        r = metadata_batch_write(state, &batch);
        if (r) {
                deletion_cancel(state, deletion);
                return r;
        }
        take_out_topic(state, topic);
        for (int32_t i = 0; i < topic->partition_count; i++)
                topic->partitions[i]->is_deleted = true;
        for (int32_t i = 0; i < topic->partition_count; i++)
                partition_wake(state, topic->partitions[i]);
        trace_debug("deleted topic %s", topic->name);
        deletion_start(state, deletion);
        flusher_release(state); /* their writes need not reach the disk any more */
        return 0;
}

int topic_add_partitions(State *state, Topic *topic, int32_t partition_count) {
        if (state->failed)
                return KAFKA_KAFKA_STORAGE_ERROR;
        int32_t before = topic->partition_count;
        int r = creation_check(state, str_of(topic->name), before, &topic->id);
        if (r == 0)
                r = grow_on_disk(state, topic, partition_count);
        if (r)
                return r;
        MetadataBatch batch;
        metadata_batch_init(&batch, state);
        add_partition_records(&batch, state, topic, before);
        r = metadata_batch_write(state, &batch);
        if (r)
                shrink_topic(state, topic, before);
        state->partition_total += topic->partition_count - before;
        return r;
}

void topic_apply_config(State *state, Topic *topic) {
        ConfigSource source;
        Str flush = config_topic_str(state->config, &topic->config, "flush.messages", &source);
        if (!str_to_int64(flush, 1, INT64_MAX, &topic->flush_messages))
                topic->flush_messages = INT64_MAX;
        flush = config_topic_str(state->config, &topic->config, "flush.ms", &source);
        if (!str_to_int64(flush, 0, INT64_MAX, &topic->flush_ms))
                topic->flush_ms = INT64_MAX;
        LogConfig config = LOG_CONFIG_INIT;
        config_topic_log(state->config, &topic->config, &config);
        state->compresses = state->compresses || config.compression > 0;
        for (int32_t i = 0; i < topic->partition_count; i++) {
                Partition *partition = topic->partitions[i];
                if (!partition->log)
                        continue;
                log_set_config(partition->log, &config);
                cleaner_settle(state, partition);
                if (flusher_settle(state, partition))
                        partition_wake(state, partition);
        }
        flusher_start(state);
}

int topic_set_config(State *state, Topic *topic, ConfigMap *config) {
        MetadataBatch batch;
        metadata_batch_init(&batch, state);
        metadata_batch_add_configs(&batch, CONFIG_RESOURCE_TOPIC, str_of(topic->name), CONFIG_SOURCE_TOPIC, &topic->config,
                                   config);
        int r = metadata_batch_write(state, &batch);
        if (r)
                return r;
        config_map_deinit(&topic->config);
        topic->config = *config;
        *config = CONFIG_MAP_INIT;
        topic_apply_config(state, topic);
        return 0;
}

/* What Kafka's group coordinator sets on its topic. */
static int offsets_topic_config(ConfigMap *ret_config) {
        static const struct {
                const char *key;
                Str value;
        } rows[] = { { "cleanup.policy", { "compact", 7 } },
                     { "compression.type", { "producer", 8 } },
                     { "segment.bytes", { "104857600", 9 } } };
        *ret_config = CONFIG_MAP_INIT;
        int r = 0;
        for (size_t i = 0; r == 0 && i < sizeof(rows) / sizeof(rows[0]); i++) {
                const ConfigKey *key = config_find_key(CONFIG_RESOURCE_TOPIC, str_of(rows[i].key));
                if (key)
                        r = config_map_set(ret_config, key, rows[i].value, CONFIG_SOURCE_TOPIC);
        }
        return r;
}

/* 0, or the code why it is not made. */
static int check_auto_create(const State *state, Str name, int32_t *ret_count) {
        int r = topic_validate_name(state, name, NULL, 0);
        if (r)
                return r;
        if (!config_bool(state->config, "auto.create.topics.enable") || str_equal(name, STR(TOPIC_NAME_METADATA)))
                return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        bool offsets = str_equal(name, STR(TOPIC_NAME_OFFSETS));
        if (topic_name_is_internal(name) && !offsets)
                return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        *ret_count = (int32_t)config_int(state->config, offsets ? "offsets.topic.num.partitions" : "num.partitions");
        return offsets ? 0 : topics_check_room(state, *ret_count);
}

int topic_auto_create(State *state, Str name, Topic **ret_topic) {
        int32_t count;
        int r = check_auto_create(state, name, &count);
        if (r)
                return r;
        ConfigMap config = CONFIG_MAP_INIT;
        if (str_equal(name, STR(TOPIC_NAME_OFFSETS)))
                r = offsets_topic_config(&config);
        if (r == 0)
                r = topic_create(state, name, count, &config, ret_topic);
        config_map_deinit(&config);
        return r;
}

int topic_plan_auto_create(State *state, Str name, Creation **creation) {
        int32_t count;
        return topic_find(state, name) || check_auto_create(state, name, &count) ? 0 : creation_add(state, creation, name, count);
}

int topic_replay(State *state, Str name, const Uuid *id) {
        if (!topic_name_is_valid(name) || topic_find(state, name) || topic_find_id(state, id))
                return -EUCLEAN;
        Topic *topic;
        int r = topic_new(name, id, NULL, &topic);
        if (r)
                return r;
        r = insert_topic(state, topic);
        if (r)
                topic_destroy(state, topic);
        return r;
}

int topic_replay_partition(State *state, const Uuid *id, int32_t index, int32_t leader_epoch) {
        Topic *topic = topic_find_id(state, id);
        if (!topic || index < 0 || index >= TOPIC_PARTITIONS_MAX)
                return -EUCLEAN;
        int32_t before = topic->partition_count;
        int r = grow_topic(topic, index + 1);
        state->partition_total += topic->partition_count - before;
        if (r)
                return r;
        topic->partitions[index]->leader_epoch = leader_epoch;
        return 0;
}

int topic_replay_config(State *state, Str name, Str config_name, Str value) {
        Topic *topic = topic_find(state, name);
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_TOPIC, config_name);
        return topic && key ? config_map_set(&topic->config, key, value, CONFIG_SOURCE_TOPIC) : 0;
}

void topic_replay_remove(State *state, const Uuid *id) {
        deletion_replayed(state, id);
        topic_free(state, topic_find_id(state, id));
}
