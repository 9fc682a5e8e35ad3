/* Committed offsets: memory, validation of commits, expiry (KIP-211). */
#include <errno.h>
#include <stdlib.h>

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "broker/state/groups/consumer.h"
#include "broker/state/groups/groups.h"
#include "broker/state/groups/offsets_pending.h"
#include "broker/state/journal.h"
#include "storage/base/endian.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

#define KEY_BYTES_MAX 300
#define OFFSETS_PER_TURN 2000 /* that are looked at for their expiry */
#define OFFSETS_A_WRITE 50    /* as many take as long as to write a group's tombstones */

/* Topic and partition in one key; the topic's characters never include '/'. */
static Str key_of(Str topic, int32_t partition, char buffer[static KEY_BYTES_MAX]) {
        int n = snprintf(buffer, KEY_BYTES_MAX, "%.*s/%d", STR_ARG(topic), partition);
        return (Str){ .data = buffer, .len = n < KEY_BYTES_MAX ? (size_t)n : KEY_BYTES_MAX - 1 };
}

static CommittedOffset *find(const Group *group, Str topic, int32_t partition) {
        char buffer[KEY_BYTES_MAX];
        HashNode *node = hashmap_find(&group->offsets, key_of(topic, partition, buffer));
        return node ? container_of(node, CommittedOffset, node) : NULL;
}

const CommittedOffset *offset_find(const Group *group, Str topic, int32_t partition) {
        return find(group, topic, partition);
}

static OffsetTopic *offset_topic_get(Groups *groups, Str name) {
        HashNode *node = hashmap_find(&groups->offset_topics, name);
        if (node)
                return container_of(node, OffsetTopic, node);
        OffsetTopic *of = calloc(1, sizeof(*of));
        char *owned_name = of ? str_dup(name) : NULL;
        if (!owned_name || hashmap_insert(&groups->offset_topics, (Str){ owned_name, name.len }, &of->node) < 0) {
                free(owned_name);
                free(of);
                return NULL;
        }
        list_init(&of->offsets);
        return of;
}

static void offset_topic_drop_if_empty(Groups *groups, OffsetTopic *of) {
        if (!list_is_empty(&of->offsets))
                return;
        hashmap_remove(&groups->offset_topics, &of->node);
        free((char *)(uintptr_t)of->node.key.data);
        free(of);
}

void offset_free(CommittedOffset *offset) {
        list_remove(&offset->by_topic);
        offset_topic_drop_if_empty(offset->group->state_owner->groups, offset->of);
        free((char *)(uintptr_t)offset->metadata.data);
        free((char *)(uintptr_t)offset->node.key.data);
        free(offset);
}

void offset_forget(Group *group, Str topic, int32_t partition) {
        CommittedOffset *offset = find(group, topic, partition);
        if (!offset)
                return;
        hashmap_remove(&group->offsets, &offset->node);
        offset_free(offset);
}

static CommittedOffset *add(Group *group, Str topic, int32_t partition) {
        char buffer[KEY_BYTES_MAX];
        Str key = key_of(topic, partition, buffer);
        Groups *groups = group->state_owner->groups;
        OffsetTopic *of = offset_topic_get(groups, topic);
        CommittedOffset *offset = of ? calloc(1, sizeof(*offset)) : NULL;
        char *owned_key = offset ? str_dup(key) : NULL;
        if (!owned_key || hashmap_insert(&group->offsets, (Str){ owned_key, key.len }, &offset->node) < 0) {
                if (of)
                        offset_topic_drop_if_empty(groups, of);
                free(owned_key);
                free(offset);
                return NULL;
        }
        offset->group = group;
        offset->of = of;
        offset->topic = (char *)(uintptr_t)of->node.key.data;
        offset->partition = partition;
        list_append(&of->offsets, &offset->by_topic);
        return offset;
}

int offset_store(Group *group, Str topic, int32_t partition, int64_t offset, int32_t leader_epoch, Str metadata,
                 int64_t commit_timestamp_ms, int64_t expire_timestamp_ms) {
        CommittedOffset *entry = find(group, topic, partition);
        char *text = str_dup(str_is_null(metadata) ? STR("") : metadata);
        if (!text || (!entry && !(entry = add(group, topic, partition)))) {
                free(text);
                return -ENOMEM;
        }
        free((char *)(uintptr_t)entry->metadata.data);
        entry->offset = offset;
        entry->leader_epoch = leader_epoch;
        entry->metadata = (Str){ text, metadata.len };
        entry->commit_timestamp_ms = commit_timestamp_ms;
        entry->expire_timestamp_ms = expire_timestamp_ms;
        return 0;
}

static int16_t check_member(State *state, Group *group, Str member_id, Str instance_id, int32_t generation) {
        Member *member = member_find(group, member_id);
        if (!str_is_null(instance_id)) {
                Member *owner = member_find_instance(group, instance_id);
                if (!owner)
                        return KAFKA_UNKNOWN_MEMBER_ID;
                if (owner != member)
                        return KAFKA_FENCED_INSTANCE_ID;
        }
        if (!member || member->is_pending)
                return KAFKA_UNKNOWN_MEMBER_ID;
        if (generation != group->generation)
                return KAFKA_ILLEGAL_GENERATION;
        return 0;
}

int16_t group_check_commit(State *state, Group *group, Str member_id, Str instance_id, int32_t generation) {
        if (!group)
                return generation < 0 ? groups_check_room(state) : KAFKA_ILLEGAL_GENERATION;
        if (generation < 0 && group->state == GROUP_EMPTY)
                return 0;
        if (generation < 0 && member_id.len == 0 && str_is_null(instance_id))
                return KAFKA_UNKNOWN_MEMBER_ID;
        int16_t code = check_member(state, group, member_id, instance_id, generation);
        if (!code && group->state == GROUP_COMPLETING_REBALANCE)
                return KAFKA_REBALANCE_IN_PROGRESS;
        if (!code)
                member_touch(state, member_find(group, member_id));
        return code;
}

int16_t group_check_transactional_commit(State *state, Group *group, Str member_id, Str instance_id, int32_t generation) {
        if (!group)
                return generation < 0 ? groups_check_room(state) : KAFKA_ILLEGAL_GENERATION;
        if (generation < 0 && (group->state == GROUP_EMPTY || (member_id.len == 0 && str_is_null(instance_id))))
                return 0;
        return check_member(state, group, member_id, instance_id, generation);
}

/* Whether a subscription (int16 version, then an array of topics) names the topic. What cannot be read counts as every topic. */
static bool subscription_names(Str metadata, Str topic) {
        ConsumerProtocolSubscription subscription;
        Arena arena = ARENA_INIT(1 << 20);
        bool found = metadata.len < 2 || codec_decode(&ConsumerProtocolSubscription_message, 0,
                                                      (Str){ metadata.data + 2, metadata.len - 2 }, &arena, &subscription, NULL);
        for (int32_t i = 0; !found && i < subscription.topics_count; i++)
                found = str_equal(subscription.topics[i], topic);
        arena_deinit(&arena);
        return found;
}

bool group_subscribes(const Group *group, Str topic) {
        if (group->consumer)
                return hashmap_find(&group->consumer->topics, topic) != NULL;
        LIST_FOREACH(&group->members, node) {
                const Member *member = container_of(node, Member, node);
                for (int32_t i = 0; i < member->protocol_count; i++)
                        if ((!group->protocol || strcmp(member->protocols[i].name, group->protocol) == 0) &&
                            subscription_names(member->protocols[i].metadata, topic))
                                return true;
        }
        return false;
}

/* From when on the retention counts: in a group without members since it lost them, otherwise since the commit, unless the members
 * still read the topic. -1: for ever. */
static int64_t retained_since(const Group *group, const CommittedOffset *offset) {
        if (!group->protocol_type)
                return offset->commit_timestamp_ms;
        if (group->consumer)
                return group_subscribes(group, str_of(offset->topic)) ? -1 : offset->commit_timestamp_ms;
        if (group->state == GROUP_EMPTY)
                return group->state_since_ms >= 0 ? group->state_since_ms : offset->commit_timestamp_ms;
        bool reads = group->state != GROUP_STABLE || strcmp(group->protocol_type, "consumer") != 0 ||
                     group_subscribes(group, str_of(offset->topic));
        return reads ? -1 : offset->commit_timestamp_ms;
}

static void count_one(State *state, Str group, Str topic, int32_t partition, void *data) {
        ++*(size_t *)data;
}

/* A transaction that is still open brings its offsets, and the group, back when it commits. */
static bool is_dead(State *state, const Group *group, size_t expired_count) {
        size_t pending = 0;
        if (group->state != GROUP_EMPTY || group->offsets.count != expired_count || group->by_id.count)
                return false;
        offsets_pending_each(state, str_of(group->id), STR_NULL, count_one, &pending);
        return pending == 0;
}

static bool is_expired(const State *state, const Group *group, const CommittedOffset *offset, int64_t retention_ms) {
        int64_t since = retained_since(group, offset);
        if (since < 0 || offsets_pending_has(state, str_of(group->id), str_of(offset->topic), offset->partition))
                return false;
        return offset->expire_timestamp_ms != -1 ? offset->expire_timestamp_ms <= state->now_ms
                                                 : state->now_ms - since >= retention_ms;
}

/* An offset stays until its tombstone is written; a group without any, and without members, goes, too. Whether there was anything to
 * write. */
static bool expire_group(State *state, Group *group, int64_t retention_ms) {
        Journal journal;
        size_t count = 0;
        journal_begin(&journal, state->now_ms);
        HASHMAP_FOREACH(&group->offsets, node) {
                const CommittedOffset *offset = container_of(node, CommittedOffset, node);
                if (!is_expired(state, group, offset, retention_ms))
                        continue;
                count++;
                journal_add_offset_tombstone(&journal, str_of(group->id), str_of(offset->topic), offset->partition);
        }
        bool goes = is_dead(state, group, count);
        if (goes)
                journal_add_group_end(&journal, group);
        if (!count && !goes) {
                batch_builder_deinit(&journal.batch);
                return false;
        }
        if (journal_write(state, &journal, str_of(group->id))) {
                trace_error("expired offsets could not be dropped");
                return true;
        }
        HASHMAP_FOREACH(&group->offsets, node)
                if (is_expired(state, group, container_of(node, CommittedOffset, node), retention_ms)) {
                        hashmap_remove(&group->offsets, node);
                        offset_free(container_of(node, CommittedOffset, node));
                }
        if (goes)
                group_free(state, group);
        return true;
}

/* A few groups a turn. */
static void on_expiry(Timer *timer, State *state) {
        Groups *groups = state->groups;
        int64_t retention_ms = config_int(state->config, "offsets.retention.minutes") * 60000;
        size_t cost = 0;
        state_commit(state);
        if (!groups->to_expire)
                groups->to_expire = groups->by_id.count;
        for (ListNode *node; groups->to_expire && cost < OFFSETS_PER_TURN && (node = list_pop(&groups->in_turn)); groups->to_expire--) {
                Group *group = container_of(node, Group, in_turn);
                list_append(&groups->in_turn, node);
                cost += 1 + group->offsets.count;
                cost += expire_group(state, group, retention_ms) ? OFFSETS_A_WRITE : 0;
        }
        if (list_is_empty(&groups->in_turn))
                groups->to_expire = 0;
        if (!groups->to_expire)
                offsets_watch(state);
        else if (timer_set(state, timer, state->mono_ms) < 0)
                trace_error("out of memory");
}

void offsets_watch(State *state) {
        Timer *timer = &state->groups->expiry;
        if (timer_is_set(timer) || !state->groups->by_id.count)
                return;
        timer->fire = on_expiry;
        if (timer_set(state, timer, state->mono_ms + config_int(state->config, "offsets.retention.check.interval.ms")) < 0)
                trace_error("out of memory");
}
