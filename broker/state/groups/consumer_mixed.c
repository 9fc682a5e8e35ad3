/* Members of a group of the consumer protocol that speak the classic one: their requests are steps of the same kind. A JoinGroup is
 * a heartbeat that says what the member owns, and asks for what is next; Heartbeat says whether it should ask. */
#include <errno.h>

#include "broker/state/groups/classic_members.h"
#include "broker/state/groups/consumer_heartbeat.h"
#include "broker/state/groups/consumer_journal.h"
#include "broker/state/groups/consumer_migration.h"
#include "broker/state/groups/consumer_reconcile.h"
#include "broker/state/groups/consumer_regex.h"
#include "broker/state/groups/member_protocol.h"
#include "broker/state/groups/protocol_tally.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"
#include "storage/base/uuid.h"

typedef struct MixedJoin {
        State *state;
        Group *group;
        ConsumerGroup *consumer;
        const JoinArgs *args;
        Arena arena;
        Journal journal;
        Str member_id;
        ConsumerMember *member;   /* NULL: to be made */
        ConsumerMember *replaced; /* a static member whose place is taken */
        ConsumerProtocolSubscription subscription;
        PartitionSet owned;
        bool is_downgrade, topics_changed;
} MixedJoin;

/* Those who speak the consumer protocol support whatever the others do. */
static int16_t check_protocols(const MixedJoin *j) {
        const JoinArgs *args = j->args;
        if (!str_equal(args->protocol_type, STR("consumer")))
                return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
        ProtocolTally tally = PROTOCOL_TALLY_INIT;
        int r = protocol_tally_reserve(&tally, args->protocol_count);
        for (int32_t i = 0; r == 0 && i < args->protocol_count; i++)
                r = protocol_tally_add(&tally, args->protocols[i].name);
        LIST_FOREACH(&j->consumer->members, node) {
                const ClassicSide *classic = container_of(node, ConsumerMember, node)->classic;
                if (classic)
                        protocol_tally_count(&tally, classic->protocols, classic->protocol_count);
        }
        bool found = r == 0 && protocol_tally_has_common(&tally);
        protocol_tally_deinit(&tally);
        return found ? 0 : KAFKA_INCONSISTENT_GROUP_PROTOCOL;
}

static int16_t find_static(MixedJoin *j) {
        ConsumerMember *owner = consumer_find_instance(j->consumer, j->args->instance_id);
        if (j->args->member_id.len == 0) {
                j->replaced = owner;
                return 0;
        }
        if (!owner)
                return KAFKA_UNKNOWN_MEMBER_ID;
        if (!str_equal(str_of(owner->id), j->args->member_id))
                return KAFKA_FENCED_INSTANCE_ID;
        j->member = owner;
        return 0;
}

static bool has_room_for_protocols(const MixedJoin *j) {
        const ConsumerMember *known = j->replaced ? j->replaced : j->member;
        int64_t others = j->consumer->protocol_bytes - (known && known->classic ? known->classic->protocol_bytes : 0);
        return others + join_protocol_bytes(j->args->protocols, j->args->protocol_count) <=
               config_int(j->state->config, "odradek.group.max.protocol.bytes");
}

/* What the subscription adds counts, as it does for members of the consumer protocol. */
static bool has_room_for_member(const MixedJoin *j) {
        const ConsumerMember *known = j->replaced ? j->replaced : j->member;
        const JoinArgs *args = j->args;
        const Str texts[] = { j->member_id, args->instance_id, args->client_id, args->client_host, j->subscription.rack_id };
        int64_t topics = consumer_topic_bytes(j->subscription.topics, j->subscription.topics_count);
        return consumer_has_room(j->state, j->consumer, known, consumer_member_bytes(texts, sizeof(texts) / sizeof(texts[0]), topics));
}

/* Finds and checks; nothing changes. */
static int16_t check_join(MixedJoin *j) {
        const JoinArgs *args = j->args;
        char buffer[UUID_TEXT_SIZE];
        if (group_is_migration_disabled(j->state))
                return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
        j->member_id = args->member_id;
        if (args->member_id.len == 0) {
                Uuid uuid = uuid_random();
                j->member_id = arena_str(&j->arena, str_of(uuid_to_text(&uuid, buffer)));
        }
        if (j->consumer->member_count >= config_int(j->state->config, "group.consumer.max.size") &&
            !consumer_find(j->consumer, j->member_id))
                return KAFKA_GROUP_MAX_SIZE_REACHED;
        int16_t code = check_protocols(j);
        if (code)
                return code;
        if (args->requires_known_member_id && args->member_id.len == 0 && str_is_null(args->instance_id))
                return KAFKA_MEMBER_ID_REQUIRED;
        if (!str_is_null(args->instance_id))
                code = find_static(j);
        else
                j->member = consumer_find(j->consumer, j->member_id);
        if (code)
                return code;
        if (!has_room_for_protocols(j))
                return KAFKA_GROUP_MAX_SIZE_REACHED;
        if (member_protocol_subscription(args->protocols[0].metadata, &j->arena, &j->subscription))
                return KAFKA_UNKNOWN_SERVER_ERROR;
        return has_room_for_member(j) ? 0 : KAFKA_GROUP_MAX_SIZE_REACHED;
}

/* By topic id, as the consumer protocol has it. */
static void take_owned(MixedJoin *j) {
        for (int32_t i = 0; i < j->subscription.owned_partitions_count; i++) {
                const ConsumerProtocolSubscriptionOwnedPartition *row = &j->subscription.owned_partitions[i];
                const Topic *topic = topic_find(j->state, row->topic);
                for (int32_t p = 0; topic && p < row->partitions_count; p++)
                        partition_set_add(&j->owned, &topic->id, row->partitions[p], 0);
        }
}

static bool enter(MixedJoin *j) {
        if (j->replaced) {
                ConsumerMember *member = j->member = j->replaced;
                j->is_downgrade = group_may_downgrade_for(j->state, j->consumer, member);
                consumer_journal_member_end(&j->journal, member);
                consumer_stop_timers(j->state, member);
                if (!consumer_rename(member, j->member_id))
                        return false;
                member->epoch = member->previous_epoch = 0;
                member->has_target = true;
                consumer_journal_member(&j->journal, member);
                consumer_journal_target(&j->journal, member);
                consumer_journal_current(&j->journal, member);
                return true;
        }
        if (!j->member)
                j->member = consumer_add(j->consumer, j->member_id);
        return j->member;
}

static bool update(MixedJoin *j) {
        const JoinArgs *args = j->args;
        ConsumerMember *member = j->member;
        NameSet topics;
        ClassicSide *classic = classic_side_new(args->session_timeout_ms, args->protocols, args->protocol_count);
        if (!classic || !name_set_of(j->subscription.topics, j->subscription.topics_count, &topics)) {
                classic_side_free(classic);
                return false;
        }
        j->topics_changed = consumer_set_topics(member, &topics);
        bool changed = consumer_set_classic(member, classic) | j->topics_changed;
        if (!str_is_null(args->instance_id))
                changed |= consumer_set_text(&member->instance_id, args->instance_id);
        if (j->subscription.rack_id.len)
                changed |= consumer_set_text(&member->rack_id, j->subscription.rack_id);
        changed |= consumer_set_text(&member->client_id, str_is_null(args->client_id) ? STR("") : args->client_id);
        changed |= consumer_set_text(&member->client_host, args->client_host);
        if (args->rebalance_timeout_ms != -1 && args->rebalance_timeout_ms != member->rebalance_timeout_ms) {
                member->rebalance_timeout_ms = args->rebalance_timeout_ms;
                changed = true;
        }
        RegexChange regex = regex_update(j->state, member, STR(""), &j->journal);
        j->topics_changed |= regex != REGEX_NO_CHANGE;
        if (changed || regex != REGEX_NO_CHANGE) {
                consumer_count_bytes(member);
                consumer_journal_member(&j->journal, member);
        }
        return true;
}

static void answer(MixedJoin *j, JoinWait *wait, int16_t code) {
        JoinResult result = { .code = code, .member_id = code == KAFKA_MEMBER_ID_REQUIRED ? j->member_id : STR("") };
        if (!code) {
                result.group = j->group;
                result.member_id = j->member_id;
                result.generation = j->member->epoch;
                result.protocol_type = STR("consumer");
                result.protocol = j->args->protocols[0].name;
                result.leader_id = STR("");
        }
        wait->done(wait, &result);
}

/* The last member of the consumer protocol came back with the classic one. */
static void downgrade(MixedJoin *j, JoinWait *wait) {
        Reconciled done;
        int32_t epoch = j->member->epoch;
        bool rebalance = j->consumer->target_epoch < j->consumer->epoch;
        if (!rebalance && group_reconcile(j->state, j->member, j->topics_changed, &j->owned, &j->journal, &done) == 0)
                epoch = j->member->epoch;
        consumer_journal_end(&j->journal, j->consumer);
        group_downgrade(j->state, j->consumer, rebalance, &j->journal);
        int r = group_consumer_commit(j->state, j->group, &j->journal);
        j->member = NULL;
        wait->done(wait, &(JoinResult){ .code = r ? KAFKA_COORDINATOR_NOT_AVAILABLE : 0, .member_id = j->member_id, .group = j->group,
                                        .generation = epoch, .protocol_type = STR("consumer"),
                                        .protocol = j->args->protocols[0].name, .leader_id = STR("") });
}

static int step(MixedJoin *j) {
        Reconciled done;
        int r = group_consumer_update_target(j->state, j->consumer, &j->journal);
        if (!r)
                r = group_reconcile(j->state, j->member, j->topics_changed, &j->owned, &j->journal, &done);
        consumer_update_state(j->consumer);
        return r;
}

static void apply(MixedJoin *j, JoinWait *wait) {
        take_owned(j);
        journal_begin(&j->journal, j->state->now_ms);
        bool ok = enter(j) && update(j);
        if (ok)
                group_consumer_check_metadata(j->state, j->consumer, j->topics_changed, &j->journal);
        if (ok && j->is_downgrade) {
                downgrade(j, wait);
                return;
        }
        int r = ok ? step(j) : -ENOMEM;
        int written = 0;
        if (journal_count(&j->journal))
                written = group_consumer_commit(j->state, j->group, &j->journal);
        else
                batch_builder_deinit(&j->journal.batch);
        if (!r && !written) {
                timer_stop(j->state, &j->member->join);
                group_consumer_touch(j->state, j->member);
                if (timer_set(j->state, &j->member->sync, j->state->mono_ms + j->args->rebalance_timeout_ms) < 0)
                        trace_error("out of memory");
        }
        answer(j, wait, r > 0 ? (int16_t)r : r || written ? KAFKA_COORDINATOR_NOT_AVAILABLE : 0);
}

/* Writes what is on its way, after which the group may be another: NULL where it is not of the consumer protocol any more. */
static Group *commit_before(State *state, Str group_id) {
        state_commit(state);
        Group *group = group_find(state, group_id);
        return group && group->consumer ? group : NULL;
}

void consumer_join(State *state, const JoinArgs *args, JoinWait *wait) {
        Group *group = commit_before(state, args->group_id); /* the group is not to change while this is written */
        if (!group) {
                wait->done(wait, &(JoinResult){ .code = KAFKA_COORDINATOR_NOT_AVAILABLE, .member_id = STR("") });
                return;
        }
        MixedJoin j = { .state = state, .group = group, .consumer = group->consumer, .args = args, .arena = ARENA_INIT(0) };
        int16_t code = check_join(&j);
        if (code)
                answer(&j, wait, code);
        else
                apply(&j, wait);
        partition_set_deinit(&j.owned);
        arena_deinit(&j.arena);
}

/* ---- SyncGroup, Heartbeat, LeaveGroup */

/* The member that speaks, which speaks the classic protocol. */
static int16_t identify(const ConsumerGroup *consumer, Str member_id, Str instance_id, ConsumerMember **ret_member) {
        ConsumerMember *member = str_is_null(instance_id) ? consumer_find(consumer, member_id) : consumer_find_instance(consumer, instance_id);
        if (!member)
                return KAFKA_UNKNOWN_MEMBER_ID;
        if (!str_equal(str_of(member->id), member_id))
                return KAFKA_FENCED_INSTANCE_ID;
        if (!member->classic)
                return KAFKA_UNKNOWN_MEMBER_ID;
        *ret_member = member;
        return 0;
}

static void await_join(State *state, ConsumerMember *member) {
        if (!timer_is_set(&member->join) && timer_set(state, &member->join, state->mono_ms + member->rebalance_timeout_ms) < 0)
                trace_error("out of memory");
}

static int16_t check_sync(State *state, const ConsumerGroup *consumer, const SyncArgs *args, ConsumerMember **ret_member) {
        int16_t code = identify(consumer, args->member_id, args->instance_id, ret_member);
        if (code)
                return code;
        ConsumerMember *member = *ret_member;
        if (args->generation != member->epoch)
                return KAFKA_ILLEGAL_GENERATION;
        if (!str_is_null(args->protocol_type) && !str_equal(args->protocol_type, STR("consumer")))
                return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
        if (!str_is_null(args->protocol) && !str_equal(args->protocol, str_of(member->classic->protocols[0].name)))
                return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
        if (consumer->target_epoch <= member->epoch || member->state == MEMBER_UNREVOKED_PARTITIONS)
                return 0;
        await_join(state, member);
        return KAFKA_REBALANCE_IN_PROGRESS;
}

int16_t consumer_sync(State *state, Group *group, const SyncArgs *args, Reply *ret_assignment) {
        ConsumerMember *member = NULL;
        int16_t code = check_sync(state, group->consumer, args, &member);
        if (!code && !member_protocol_write(state, &member->assigned, member->classic->protocols[0].metadata, ret_assignment))
                code = KAFKA_UNKNOWN_SERVER_ERROR;
        if (code)
                return code;
        timer_stop(state, &member->sync);
        group_consumer_touch(state, member);
        return 0;
}

int16_t consumer_classic_heartbeat(State *state, Group *group, Str member_id, Str instance_id, int32_t generation) {
        ConsumerMember *member;
        int16_t code = identify(group->consumer, member_id, instance_id, &member);
        if (code)
                return code;
        if (generation != member->epoch)
                return KAFKA_ILLEGAL_GENERATION;
        group_consumer_touch(state, member);
        bool can_go_on = member->state == MEMBER_UNRELEASED_PARTITIONS && !group_waits_for_others(member);
        if (member->epoch >= group->consumer->target_epoch && member->state != MEMBER_UNREVOKED_PARTITIONS && !can_go_on)
                return 0;
        await_join(state, member);
        return KAFKA_REBALANCE_IN_PROGRESS;
}

static int16_t find_leaving(const ConsumerGroup *consumer, const LeavingMember *leaving, ConsumerMember **ret_member) {
        ConsumerMember *member = str_is_null(leaving->instance_id) ? consumer_find(consumer, leaving->member_id)
                                                                   : consumer_find_instance(consumer, leaving->instance_id);
        if (!member)
                return KAFKA_UNKNOWN_MEMBER_ID;
        if (!str_is_null(leaving->instance_id) && leaving->member_id.len && !str_equal(str_of(member->id), leaving->member_id))
                return KAFKA_FENCED_INSTANCE_ID;
        *ret_member = member;
        return 0;
}

static void fail_leaving(LeavingMember *members, int32_t count, int16_t code) {
        for (int32_t i = 0; i < count; i++)
                if (!members[i].code)
                        members[i].code = code;
}

void consumer_leave(State *state, Str group_id, LeavingMember *members, int32_t count) {
        Arena arena = ARENA_INIT(0);
        Journal journal;
        ConsumerMember **found = arena_alloc_array(&arena, (size_t)count, sizeof(ConsumerMember *));
        Group *group = commit_before(state, group_id);
        int32_t found_count = 0;
        for (int32_t i = 0; i < count; i++) {
                ConsumerMember *member = NULL;
                members[i].code = found && group ? find_leaving(group->consumer, &members[i], &member) : KAFKA_COORDINATOR_NOT_AVAILABLE;
                bool is_twice = false;
                for (int32_t k = 0; member && k < found_count; k++)
                        is_twice |= found[k] == member;
                if (member && !is_twice)
                        found[found_count++] = member;
        }
        if (found_count) {
                journal_begin(&journal, state->now_ms);
                group_consumer_fence(state, group->consumer, found, found_count, &journal);
                if (group_consumer_commit(state, group, &journal))
                        fail_leaving(members, count, KAFKA_COORDINATOR_NOT_AVAILABLE);
        }
        arena_deinit(&arena);
}
