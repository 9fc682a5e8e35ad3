/* Replaying the records of groups of the consumer protocol.
 *
 * A compacted log shows a group's records in any order and with gaps: each is taken for what it says, and what is missing stays as
 * it is in a new member. */
#include <errno.h>
#include <stdlib.h>

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "broker/state/groups/consumer_journal.h"

static ConsumerGroup *find_group(State *state, Str id) {
        Group *group = group_find(state, id);
        return group ? group->consumer : NULL;
}

/* A classic group with members is in the way of nothing that Kafka would write. */
static int get_group(State *state, Str id, ConsumerGroup **ret_consumer) {
        Group *group = group_get(state, id);
        if (!group)
                return -ENOMEM;
        if (!group->consumer) {
                ConsumerGroup *consumer = consumer_new(group);
                if (!consumer)
                        return -ENOMEM;
                group_clear_members(group);
                consumer_attach(group, consumer);
        }
        *ret_consumer = group->consumer;
        return 0;
}

static int get_member(State *state, Str group_id, Str id, ConsumerMember **ret_member) {
        ConsumerGroup *consumer;
        int r = get_group(state, group_id, &consumer);
        if (r)
                return r;
        *ret_member = consumer_find(consumer, id);
        if (!*ret_member)
                *ret_member = consumer_add(consumer, id);
        return *ret_member ? 0 : -ENOMEM;
}

static ConsumerMember *find_member(State *state, Str group_id, Str id) {
        ConsumerGroup *consumer = find_group(state, group_id);
        return consumer ? consumer_find(consumer, id) : NULL;
}

static int replay_group(State *state, const void *key, const void *value) {
        const ConsumerGroupMetadataKey *k = key;
        const ConsumerGroupMetadataValue *v = value;
        ConsumerGroup *consumer = find_group(state, k->group_id);
        if (!v) {
                Group *group = consumer ? consumer->group : NULL;
                if (group)
                        consumer_detach(state, group);
                if (group && !group->offsets.count)
                        group_free(state, group);
                return 0;
        }
        int r = get_group(state, k->group_id, &consumer);
        if (r)
                return r;
        consumer->epoch = v->epoch;
        consumer->metadata_hash = (uint64_t)v->metadata_hash;
        return 0;
}

static int replay_partition_metadata(State *state, const void *key, const void *value) {
        const ConsumerGroupPartitionMetadataKey *k = key;
        ConsumerGroup *consumer = find_group(state, k->group_id);
        int r = value ? get_group(state, k->group_id, &consumer) : 0;
        if (!r && consumer)
                consumer->has_partition_metadata = value != NULL;
        return r;
}

static int take_classic(ConsumerMember *member, const ConsumerGroupMemberMetadataValueClassicMember *from, Arena *arena) {
        ClassicSide *classic = NULL;
        if (from) {
                JoinProtocol *protocols = arena_alloc_array(arena, (size_t)from->supported_protocols_count, sizeof(*protocols));
                for (int32_t i = 0; protocols && i < from->supported_protocols_count; i++)
                        protocols[i] = (JoinProtocol){ from->supported_protocols[i].name, from->supported_protocols[i].metadata };
                classic = protocols ? classic_side_new(from->session_timeout_ms, protocols, from->supported_protocols_count) : NULL;
                if (!classic)
                        return -ENOMEM;
        }
        consumer_set_classic(member, classic);
        return 0;
}

static int replay_member(State *state, const void *key, const void *value, Arena *arena) {
        const ConsumerGroupMemberMetadataKey *k = key;
        const ConsumerGroupMemberMetadataValue *v = value;
        ConsumerMember *member = find_member(state, k->group_id, k->member_id);
        NameSet topics;
        if (!v) {
                if (member)
                        consumer_remove(state, member);
                return 0;
        }
        int r = get_member(state, k->group_id, k->member_id, &member);
        if (r || !name_set_of(v->subscribed_topic_names, v->subscribed_topic_names_count, &topics))
                return r ? r : -ENOMEM;
        consumer_set_text(&member->instance_id, v->instance_id);
        consumer_set_text(&member->rack_id, v->rack_id);
        consumer_set_text(&member->client_id, v->client_id);
        consumer_set_text(&member->client_host, v->client_host);
        consumer_set_text(&member->assignor, v->server_assignor);
        consumer_set_topics(member, &topics);
        consumer_set_regex(member, str_is_null(v->subscribed_topic_regex) ? STR("") : v->subscribed_topic_regex);
        member->rebalance_timeout_ms = v->rebalance_timeout_ms;
        consumer_count_bytes(member);
        return take_classic(member, v->classic_member_metadata, arena);
}

static int replay_target_epoch(State *state, const void *key, const void *value) {
        const ConsumerGroupTargetAssignmentMetadataKey *k = key;
        const ConsumerGroupTargetAssignmentMetadataValue *v = value;
        ConsumerGroup *consumer = find_group(state, k->group_id);
        int r = v ? get_group(state, k->group_id, &consumer) : 0;
        if (r || !consumer)
                return r;
        consumer->target_epoch = v ? v->assignment_epoch : -1;
        consumer->target_ms = v ? v->assignment_timestamp : 0;
        return 0;
}

static int replay_target(State *state, const void *key, const void *value) {
        const ConsumerGroupTargetAssignmentMemberKey *k = key;
        const ConsumerGroupTargetAssignmentMemberValue *v = value;
        ConsumerMember *member = find_member(state, k->group_id, k->member_id);
        int r = v ? get_member(state, k->group_id, k->member_id, &member) : 0;
        if (r || !member)
                return r;
        partition_set_deinit(&member->target);
        member->has_target = v != NULL;
        for (int32_t i = 0; v && i < v->topic_partitions_count; i++)
                for (int32_t p = 0; p < v->topic_partitions[i].partitions_count; p++)
                        partition_set_add(&member->target, &v->topic_partitions[i].topic_id, v->topic_partitions[i].partitions[p], 0);
        return member->target.failed ? -ENOMEM : 0;
}

/* Older records lack the epochs: the member's own stands for them. */
static void take_partitions(PartitionSet *set, const Uuid *topic, const int32_t *partitions, int32_t count, const int32_t *epochs,
                            int32_t epoch_count, int32_t epoch) {
        for (int32_t i = 0; i < count; i++)
                if (partitions[i] >= 0 && partitions[i] < TOPIC_PARTITIONS_MAX)
                        partition_set_add(set, topic, partitions[i], epoch_count == count ? epochs[i] : epoch > 0 ? epoch : 0);
}

static int replay_current(State *state, const void *key, const void *value) {
        const ConsumerGroupCurrentMemberAssignmentKey *k = key;
        const ConsumerGroupCurrentMemberAssignmentValue *v = value;
        ConsumerMember *member = find_member(state, k->group_id, k->member_id);
        PartitionSet assigned = PARTITION_SET_INIT, revoking = PARTITION_SET_INIT;
        int r = v ? get_member(state, k->group_id, k->member_id, &member) : 0;
        if (r || !member)
                return r;
        for (int32_t i = 0; v && i < v->assigned_partitions_count; i++) {
                const ConsumerGroupCurrentMemberAssignmentValueTopicPartitions *row = &v->assigned_partitions[i];
                take_partitions(&assigned, &row->topic_id, row->partitions, row->partitions_count, row->assignment_epochs,
                                row->assignment_epochs_count, v->member_epoch);
        }
        for (int32_t i = 0; v && i < v->partitions_pending_revocation_count; i++) {
                const ConsumerGroupCurrentMemberAssignmentValuePendingPartitions *row = &v->partitions_pending_revocation[i];
                take_partitions(&revoking, &row->topic_id, row->partitions, row->partitions_count, row->assignment_epochs,
                                row->assignment_epochs_count, v->member_epoch);
        }
        r = assigned.failed || revoking.failed ? -ENOMEM : 0;
        member->epoch = v ? v->member_epoch : -1;
        member->previous_epoch = v ? v->previous_member_epoch : -1;
        member->state = !v ? MEMBER_STABLE : v->state >= 0 && v->state <= 2 ? (MemberState)v->state : MEMBER_UNKNOWN;
        consumer_set_current(member, &assigned, &revoking);
        return r;
}

static int replay_regex(State *state, const void *key, const void *value) {
        const ConsumerGroupRegularExpressionKey *k = key;
        const ConsumerGroupRegularExpressionValue *v = value;
        ConsumerGroup *consumer = find_group(state, k->group_id);
        NameSet topics;
        if (!v) {
                if (consumer)
                        consumer_unresolve(consumer, k->regular_expression);
                return 0;
        }
        int r = get_group(state, k->group_id, &consumer);
        if (r || !name_set_of(v->topics, v->topics_count, &topics))
                return r ? r : -ENOMEM;
        return consumer_resolve(consumer, k->regular_expression, &topics, v->version, v->timestamp);
}

typedef union AnyKey {
        ConsumerGroupMetadataKey group;
        ConsumerGroupMemberMetadataKey member;
        ConsumerGroupRegularExpressionKey regex;
} AnyKey;

typedef union AnyValue {
        ConsumerGroupMetadataValue group;
        ConsumerGroupPartitionMetadataValue partitions;
        ConsumerGroupMemberMetadataValue member;
        ConsumerGroupTargetAssignmentMetadataValue target_epoch;
        ConsumerGroupTargetAssignmentMemberValue target;
        ConsumerGroupCurrentMemberAssignmentValue current;
        ConsumerGroupRegularExpressionValue regex;
} AnyValue;

typedef struct Kind {
        const MessageSchema *key, *value;
        int (*replay)(State *state, const void *key, const void *value);
} Kind;

static const Kind kinds[] = {
        { &ConsumerGroupMetadataKey_message, &ConsumerGroupMetadataValue_message, replay_group },
        { &ConsumerGroupPartitionMetadataKey_message, &ConsumerGroupPartitionMetadataValue_message, replay_partition_metadata },
        { &ConsumerGroupMemberMetadataKey_message, &ConsumerGroupMemberMetadataValue_message, NULL },
        { &ConsumerGroupTargetAssignmentMetadataKey_message, &ConsumerGroupTargetAssignmentMetadataValue_message, replay_target_epoch },
        { &ConsumerGroupTargetAssignmentMemberKey_message, &ConsumerGroupTargetAssignmentMemberValue_message, replay_target },
        { &ConsumerGroupCurrentMemberAssignmentKey_message, &ConsumerGroupCurrentMemberAssignmentValue_message, replay_current },
        { &ConsumerGroupRegularExpressionKey_message, &ConsumerGroupRegularExpressionValue_message, replay_regex },
};

int consumer_replay(State *state, int16_t kind, Str key, Str value, Arena *arena) {
        AnyKey k;
        AnyValue v;
        const Kind *found = NULL;
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                if (kinds[i].key->key == kind)
                        found = &kinds[i];
        if (!found)
                return 0;
        int r = codec_decode(found->key, 0, (Str){ key.data + 2, key.len - 2 }, arena, &k, NULL);
        if (!r && !str_is_null(value))
                r = journal_decode(found->value, value, arena, &v);
        if (r)
                return r;
        const void *body = str_is_null(value) ? NULL : &v;
        return found->replay ? found->replay(state, &k, body) : replay_member(state, &k, body, arena);
}
