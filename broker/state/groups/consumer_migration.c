/* From the classic protocol to the consumer protocol and back. */
#include "broker/state/groups/consumer_migration.h"

#include <errno.h>
#include <strings.h>

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "broker/state/groups/classic_members.h"
#include "broker/state/groups/classic_rebalance.h"
#include "broker/state/groups/consumer_heartbeat.h"
#include "broker/state/groups/consumer_journal.h"
#include "broker/state/groups/member_protocol.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

static bool policy_is(const State *state, const char *name) {
        Str policy = config_str(state->config, "group.consumer.migration.policy");
        return policy.len == strlen(name) && strncasecmp(policy.data, name, policy.len) == 0;
}

bool group_is_migration_disabled(const State *state) {
        return policy_is(state, "disabled");
}

/* ---- to the consumer protocol */

static int16_t refuse(Arena *arena, const Group *group, const char *why, Str *ret_message) {
        *ret_message = arena_printf(arena, "Cannot upgrade classic group %s to consumer group because %s", group->id, why);
        return KAFKA_GROUP_ID_NOT_FOUND;
}

static int16_t check_upgrade(const State *state, const Group *group, Arena *arena, Str *ret_message) {
        if (!policy_is(state, "bidirectional") && !policy_is(state, "upgrade"))
                return refuse(arena, group, "online upgrade is disabled.", ret_message);
        if (!group->protocol_type || strcmp(group->protocol_type, "consumer") != 0)
                return refuse(arena, group, "the group does not use the consumer embedded protocol.", ret_message);
        if (group->member_count > config_int(state->config, "group.consumer.max.size"))
                return refuse(arena, group, "the group size exceeds the consumer group maximum size.", ret_message);
        return group->protocol ? 0 : KAFKA_UNKNOWN_SERVER_ERROR; /* nobody has chosen one yet */
}

static const char malformed[] = "the embedded consumer protocol is malformed.";
static const char custom[] = "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default "
                             "assignor before re-attempting the upgrade.";

/* What the leader gave the member: its target, and what it has. NULL, or why not. */
static const char *take_assignment(const State *state, const Member *from, Arena *arena, ConsumerMember *to) {
        ConsumerProtocolAssignment assignment;
        PartitionSet assigned = PARTITION_SET_INIT, none = PARTITION_SET_INIT;
        if (from->assignment.len == 0)
                return NULL;
        if (member_protocol_assignment(from->assignment, arena, &assignment))
                return malformed;
        if (assignment.user_data.len > 0)
                return custom;
        for (int32_t i = 0; i < assignment.assigned_partitions_count; i++) {
                const ConsumerProtocolAssignmentAssignedPartition *row = &assignment.assigned_partitions[i];
                const Topic *topic = topic_find(state, row->topic);
                for (int32_t p = 0; topic && p < row->partitions_count; p++)
                        if (row->partitions[p] >= 0 && row->partitions[p] < TOPIC_PARTITIONS_MAX)
                                partition_set_add(&assigned, &topic->id, row->partitions[p], to->epoch);
        }
        partition_set_copy(&assigned, &to->target);
        consumer_set_current(to, &assigned, &none);
        return NULL;
}

static const char *take_subscription(const Group *group, const Member *from, Arena *arena, ConsumerMember *to) {
        const MemberProtocol *protocol = member_protocol(from, group->protocol);
        ConsumerProtocolSubscription subscription;
        NameSet topics;
        if (!protocol || member_protocol_subscription(protocol->metadata, arena, &subscription))
                return malformed;
        if (!name_set_of(subscription.topics, subscription.topics_count, &topics))
                return "there is not enough memory.";
        consumer_set_topics(to, &topics);
        consumer_set_text(&to->rack_id, subscription.rack_id.len ? subscription.rack_id : STR_NULL);
        consumer_count_bytes(to);
        return NULL;
}

static ClassicSide *copy_protocols(const Member *from, Arena *arena) {
        JoinProtocol *protocols = arena_alloc_array(arena, (size_t)from->protocol_count, sizeof(*protocols));
        for (int32_t i = 0; protocols && i < from->protocol_count; i++)
                protocols[i] = (JoinProtocol){ str_of(from->protocols[i].name), from->protocols[i].metadata };
        return protocols ? classic_side_new(from->session_timeout_ms, protocols, from->protocol_count) : NULL;
}

static const char *take_member(const State *state, const Group *group, const Member *from, Arena *arena, ConsumerGroup *consumer) {
        ConsumerMember *to = consumer_add(consumer, str_of(from->id));
        ClassicSide *classic = to ? copy_protocols(from, arena) : NULL;
        if (!classic)
                return "there is not enough memory.";
        consumer_set_classic(to, classic);
        consumer_set_text(&to->instance_id, str_of(from->instance_id));
        consumer_set_text(&to->client_id, str_of(from->client_id));
        consumer_set_text(&to->client_host, str_of(from->client_host));
        to->rebalance_timeout_ms = from->rebalance_timeout_ms;
        to->epoch = to->previous_epoch = group->generation;
        to->has_target = true;
        const char *why = take_subscription(group, from, arena, to);
        return why ? why : take_assignment(state, from, arena, to);
}

int group_upgrade_prepare(State *state, Group *group, Arena *arena, ConsumerGroup **ret_consumer, Str *ret_message) {
        int16_t code = check_upgrade(state, group, arena, ret_message);
        ConsumerGroup *consumer = code ? NULL : consumer_new(group);
        if (code)
                return code;
        if (!consumer)
                return -ENOMEM;
        consumer->epoch = consumer->target_epoch = group->generation;
        LIST_FOREACH(&group->members, node) {
                const char *why = take_member(state, group, container_of(node, Member, node), arena, consumer);
                if (!why)
                        continue;
                consumer_free(state, consumer);
                return refuse(arena, group, why, ret_message);
        }
        consumer->metadata_hash = consumer_metadata_hash(state, consumer);
        *ret_consumer = consumer;
        return 0;
}

void group_upgrade(State *state, Group *group, ConsumerGroup *consumer, Journal *journal) {
        LIST_FOREACH(&group->members, node) {
                Member *member = container_of(node, Member, node);
                member_answer_join(member, &(JoinResult){ .code = KAFKA_REBALANCE_IN_PROGRESS, .member_id = str_of(member->id) });
                member_answer_sync(member, KAFKA_REBALANCE_IN_PROGRESS);
        }
        timer_stop(state, &group->join);
        timer_stop(state, &group->pending_sync);
        group_clear_members(group);
        journal_add_group_tombstone(journal, str_of(group->id));
        consumer_attach(group, consumer);
        consumer_journal_all(journal, consumer);
        LIST_FOREACH(&consumer->members, node)
                group_consumer_touch(state, container_of(node, ConsumerMember, node));
        trace_info("a group went over to the consumer protocol");
}

/* ---- to the classic protocol */

static bool is_downgrade_allowed(const State *state, int32_t member_count) {
        return (policy_is(state, "bidirectional") || policy_is(state, "downgrade")) &&
               member_count <= config_int(state->config, "group.max.size");
}

bool group_may_downgrade(const State *state, const ConsumerGroup *consumer, ConsumerMember *const *leaving, int32_t count) {
        int32_t left = consumer->member_count - count, classic = consumer_classic_count(consumer);
        for (int32_t i = 0; i < count; i++)
                classic -= leaving[i]->classic != NULL;
        return left > 0 && classic == left && is_downgrade_allowed(state, left);
}

bool group_may_downgrade_for(const State *state, const ConsumerGroup *consumer, const ConsumerMember *replaced) {
        return !replaced->classic && consumer_classic_count(consumer) == consumer->member_count - 1 &&
               is_downgrade_allowed(state, consumer->member_count);
}

/* A member as it will be: made before the consumer group is gone, entered after. */
static Member *make_classic(State *state, Group *group, const ConsumerMember *from) {
        const ClassicSide *classic = from->classic;
        Arena arena = ARENA_INIT(0);
        JoinProtocol *protocols = arena_alloc_array(&arena, (size_t)classic->protocol_count, sizeof(*protocols));
        for (int32_t i = 0; protocols && i < classic->protocol_count; i++)
                protocols[i] = (JoinProtocol){ str_of(classic->protocols[i].name), classic->protocols[i].metadata };
        Member *member = protocols ? member_new(group, str_of(from->id), str_of(from->instance_id), str_of(from->client_id),
                                                str_of(from->client_host), classic->session_timeout_ms, from->rebalance_timeout_ms)
                                   : NULL;
        if (member && !member_set_protocols(member, protocols, classic->protocol_count)) {
                hashmap_remove(&group->by_id, &member->by_id);
                member_free(state, member);
                member = NULL;
        }
        arena_deinit(&arena);
        return member;
}

/* Its target, in the form that the classic protocol has for it. */
static bool write_assignment(State *state, const Group *group, const ConsumerMember *from, Member *to) {
        Reply out = REPLY_INIT;
        const MemberProtocol *protocol = member_protocol(to, group->protocol);
        bool ok = member_protocol_write(state, &from->target, protocol ? protocol->metadata : STR(""), &out);
        if (ok)
                member_set_assignment(to, (Str){ (const char *)out.bytes.data, out.bytes.size });
        reply_deinit(&out);
        return ok;
}

void group_downgrade(State *state, ConsumerGroup *consumer, bool rebalance, Journal *journal) {
        Group *group = consumer->group;
        bool ok = true;
        int32_t generation = consumer->epoch;
        LIST_FOREACH(&consumer->members, node) {
                Member *member = make_classic(state, group, container_of(node, ConsumerMember, node));
                if (member)
                        member_enter(group, member);
                ok = ok && member;
        }
        group_set_text(&group->protocol, group->member_count ? str_of(group_select_protocol(group)) : STR_NULL);
        LIST_FOREACH(&group->members, node) {
                Member *member = container_of(node, Member, node);
                ok = write_assignment(state, group, consumer_find(consumer, str_of(member->id)), member) && ok;
        }
        consumer_free(state, consumer);
        group->consumer = NULL;
        group->generation = generation;
        group_set_text(&group->protocol_type, STR("consumer"));
        group_set_state(state, group, group->member_count ? GROUP_STABLE : GROUP_EMPTY);
        journal_add_group(journal, group);
        LIST_FOREACH(&group->members, node)
                member_touch(state, container_of(node, Member, node));
        if (!ok)
                trace_error("out of memory");
        if (rebalance && group->member_count)
                group_prepare_rebalance(state, group);
        trace_info("a group went over to the classic protocol");
}
