/* The registry of groups. */
#include "broker/state/groups/groups.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/state/creation.h"
#include "broker/state/groups/classic_rebalance.h"
#include "broker/state/groups/consumer.h"
#include "broker/state/groups/consumer_heartbeat.h"
#include "broker/state/groups/offsets_pending.h"
#include "broker/state/journal.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

const char *group_state_name(GroupState state) {
        static const char *const names[] = { "Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead",
                                            "Assigning", "Reconciling" };
        return names[state];
}

void group_set_text(char **text, Str value) {
        char *copy = str_dup(value);
        free(*text);
        *text = copy;
}

Group *group_find(State *state, Str id) {
        HashNode *node = hashmap_find(&state->groups->by_id, id);
        return node ? container_of(node, Group, node) : NULL;
}

int16_t groups_check_room(const State *state) {
        return (int64_t)state->groups->by_id.count >= config_int(state->config, "odradek.max.groups") ? KAFKA_POLICY_VIOLATION : 0;
}

Group *group_get(State *state, Str id) {
        Group *group = group_find(state, id);
        if (group)
                return group;
        group = calloc(1, sizeof(*group));
        if (!group || !(group->id = str_dup(id))) {
                free(group);
                return NULL;
        }
        list_init(&group->members);
        group->state_owner = state;
        group->state = GROUP_EMPTY;
        group->state_since_ms = state->now_ms;
        group_init_timers(group);
        if (hashmap_insert(&state->groups->by_id, str_of(group->id), &group->node) < 0) {
                free(group->id);
                free(group);
                return NULL;
        }
        list_append(&state->groups->in_turn, &group->in_turn);
        offsets_watch(state);
        return group;
}

void group_free(State *state, Group *group) {
        list_remove(&group->unsettled);
        list_remove(&group->in_turn);
        consumer_free(state, group->consumer);
        group_clear_members(group);
        timer_stop(state, &group->join);
        timer_stop(state, &group->pending_sync);
        HASHMAP_FOREACH(&group->offsets, node)
                offset_free(container_of(node, CommittedOffset, node));
        hashmap_deinit(&group->offsets);
        hashmap_deinit(&group->by_id);
        hashmap_remove(&state->groups->by_id, &group->node);
        free(group->protocol_type);
        free(group->protocol);
        free(group->id);
        free(group);
}

static void set_config(ConfigMap *map, const char *key, Str value) {
        if (config_map_set(map, config_find_key(CONFIG_RESOURCE_TOPIC, str_of(key)), value, CONFIG_SOURCE_TOPIC) < 0)
                trace_error("out of memory");
}

static int32_t topic_partition_count(const State *state) {
        return (int32_t)config_int(state->config, "offsets.topic.num.partitions");
}

int groups_ensure_topic(State *state) {
        Topic *topic;
        ConfigMap map = CONFIG_MAP_INIT;
        if (topic_find(state, STR(TOPIC_NAME_OFFSETS)))
                return 0;
        set_config(&map, "cleanup.policy", STR("compact"));
        set_config(&map, "compression.type", STR("producer"));
        set_config(&map, "segment.bytes", config_str(state->config, "offsets.topic.segment.bytes"));
        int r = topic_create(state, STR(TOPIC_NAME_OFFSETS), topic_partition_count(state), &map, &topic);
        config_map_deinit(&map);
        return r == KAFKA_TOPIC_ALREADY_EXISTS ? 0 : r;
}

int groups_plan_topic(State *state, Creation **creation) {
        bool is_there = topic_find(state, STR(TOPIC_NAME_OFFSETS));
        return is_there ? 0 : creation_add(state, creation, STR(TOPIC_NAME_OFFSETS), topic_partition_count(state));
}

/* Everybody has a whole session from now on. group.max.size may have become smaller. */
static void start_sessions(State *state) {
        HASHMAP_FOREACH(&state->groups->by_id, node) {
                Group *group = container_of(node, Group, node);
                if (group->consumer)
                        group_consumer_loaded(state, group);
                LIST_FOREACH(&group->members, member)
                        member_touch(state, container_of(member, Member, node));
                if (group->member_count > config_int(state->config, "group.max.size"))
                        group_prepare_rebalance(state, group);
        }
}

int groups_open(State *state) {
        state->groups = calloc(1, sizeof(*state->groups));
        if (!state->groups)
                return -ENOMEM;
        list_init(&state->groups->unsettled);
        list_init(&state->groups->in_turn);
        int r = journal_replay(state);
        if (r < 0)
                return r;
        start_sessions(state);
        offsets_watch(state);
        return 0;
}

void groups_close(State *state) {
        if (!state->groups)
                return;
        timer_stop(state, &state->groups->expiry);
        list_remove(&state->groups->settle.node);
        HASHMAP_FOREACH(&state->groups->by_id, node)
                group_free(state, container_of(node, Group, node));
        hashmap_deinit(&state->groups->by_id);
        hashmap_deinit(&state->groups->offset_topics);
        free(state->groups);
        state->groups = NULL;
}

static void add_tombstone(State *state, Str group, Str topic, int32_t partition, void *data) {
        if (!offset_find(group_find(state, group), topic, partition))
                journal_add_offset_tombstone(data, group, topic, partition);
}

static void forget_pending(State *state, Str group, Str topic, int32_t partition, void *unused) {
        offsets_pending_forget(state, group, topic, partition);
}

int group_delete(State *state, Str id) {
        Group *group = group_find(state, id);
        Journal journal;
        if (!group)
                return KAFKA_GROUP_ID_NOT_FOUND;
        state_commit(state); /* so that no write about it is on its way */
        if (group->state != GROUP_EMPTY)
                return KAFKA_NON_EMPTY_GROUP;
        journal_begin(&journal, state->now_ms);
        HASHMAP_FOREACH(&group->offsets, node) {
                CommittedOffset *offset = container_of(node, CommittedOffset, node);
                journal_add_offset_tombstone(&journal, id, str_of(offset->topic), offset->partition);
        }
        offsets_pending_each(state, id, STR_NULL, add_tombstone, &journal);
        journal_add_group_end(&journal, group);
        int r = journal_write(state, &journal, id);
        if (r)
                return r;
        offsets_pending_each(state, id, STR_NULL, forget_pending, NULL);
        group_free(state, group);
        return 0;
}
