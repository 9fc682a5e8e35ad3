/* Epochs, sessions, and the end of members of the consumer protocol. */
#include "broker/state/groups/consumer_heartbeat.h"
#include "broker/state/groups/consumer_journal.h"
#include "broker/state/groups/consumer_migration.h"
#include "broker/state/metadata/metadata.h"
#include "broker/state/metadata/resource_configs.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

int32_t group_consumer_setting(const State *state, const Group *group, const char *key) {
        return (int32_t)config_group_int(state->config, resource_config_find(state, CONFIG_RESOURCE_GROUP, str_of(group->id)), key);
}

void group_consumer_bump(State *state, ConsumerGroup *consumer, Journal *journal) {
        consumer->epoch++;
        consumer->metadata_hash = consumer_metadata_hash(state, consumer);
        consumer->metadata_version = metadata_end_offset(state);
        consumer_journal_group(journal, consumer);
}

void group_consumer_check_metadata(State *state, ConsumerGroup *consumer, bool bump, Journal *journal) {
        int64_t version = metadata_end_offset(state);
        if (!bump && consumer->metadata_version == version)
                return;
        if (bump || consumer_metadata_hash(state, consumer) != consumer->metadata_hash)
                group_consumer_bump(state, consumer, journal);
        consumer->metadata_version = version;
        if (consumer->has_partition_metadata)
                consumer_journal_no_partition_metadata(journal, consumer);
        consumer->has_partition_metadata = false;
}

void group_consumer_write(State *state, Group *group, Journal *journal) {
        if (journal_count(journal) == 0)
                batch_builder_deinit(&journal->batch);
        else if (group_consumer_append(state, group, journal, NULL, NULL))
                trace_error("a group's state could not be written");
}

/* ---- fencing */

/* Patterns that only these members read by go with them. */
static void end_regexes(ConsumerGroup *consumer, ConsumerMember *const *members, int32_t count, Journal *journal) {
        for (int32_t i = 0; i < count; i++) {
                Str pattern = str_of(members[i]->regex);
                GroupRegex *regex = pattern.len ? consumer_regex(consumer, pattern) : NULL;
                int32_t leaving = 0;
                for (int32_t k = 0; k < count; k++)
                        leaving += str_equal(str_of(members[k]->regex), pattern);
                if (!regex || leaving != regex->member_count || !regex->is_resolved)
                        continue;
                consumer_journal_regex_end(journal, consumer, pattern);
                consumer_unresolve(consumer, pattern);
        }
}

void group_consumer_fence(State *state, ConsumerGroup *consumer, ConsumerMember *const *members, int32_t count, Journal *journal) {
        bool is_downgrade = group_may_downgrade(state, consumer, members, count);
        if (count == 0)
                return;
        if (is_downgrade) {
                consumer_journal_end(journal, consumer);
        } else {
                for (int32_t i = 0; i < count; i++)
                        consumer_journal_member_end(journal, members[i]);
                end_regexes(consumer, members, count, journal);
        }
        for (int32_t i = 0; i < count; i++)
                consumer_remove(state, members[i]);
        if (is_downgrade) {
                group_downgrade(state, consumer, true, journal);
                return;
        }
        group_consumer_bump(state, consumer, journal);
        consumer_update_state(consumer);
        offsets_watch(state);
}

static void fence_one(State *state, ConsumerMember *member) {
        Journal journal;
        Group *group = member->consumer->group;
        journal_begin(&journal, state->now_ms);
        group_consumer_fence(state, member->consumer, &member, 1, &journal);
        group_consumer_write(state, group, &journal);
}

/* ---- timers */

static void on_session_end(Timer *timer, State *state) {
        fence_one(state, container_of(timer, ConsumerMember, session));
}

/* It did not give up in time what others shall have. */
static void on_rebalance_end(Timer *timer, State *state) {
        ConsumerMember *member = container_of(timer, ConsumerMember, rebalance);
        if (member->epoch == member->rebalance_epoch)
                fence_one(state, member);
}

static void on_join_end(Timer *timer, State *state) {
        fence_one(state, container_of(timer, ConsumerMember, join));
}

static void on_sync_end(Timer *timer, State *state) {
        fence_one(state, container_of(timer, ConsumerMember, sync));
}

void group_consumer_init_timers(ConsumerMember *member) {
        member->session.fire = on_session_end;
        member->rebalance.fire = on_rebalance_end;
        member->join.fire = on_join_end;
        member->sync.fire = on_sync_end;
}

void group_consumer_touch(State *state, ConsumerMember *member) {
        int64_t timeout_ms = member->classic ? member->classic->session_timeout_ms
                                             : group_consumer_setting(state, member->consumer->group, "consumer.session.timeout.ms");
        if (timer_set(state, &member->session, state->mono_ms + timeout_ms) < 0)
                trace_error("out of memory");
}

void group_consumer_loaded(State *state, Group *group) {
        int64_t session_ms = group_consumer_setting(state, group, "consumer.session.timeout.ms");
        LIST_FOREACH(&group->consumer->members, node) {
                ConsumerMember *member = container_of(node, ConsumerMember, node);
                bool ok = timer_set(state, &member->session, state->mono_ms + session_ms) == 0;
                member->rebalance_epoch = member->epoch;
                if (ok && member->state == MEMBER_UNREVOKED_PARTITIONS)
                        ok = timer_set(state, &member->rebalance, state->mono_ms + member->rebalance_timeout_ms) == 0;
                if (!ok)
                        trace_error("out of memory");
        }
        consumer_update_state(group->consumer);
}

/* ---- commits */

int16_t consumer_check_commit(const ConsumerGroup *consumer, Str member_id, int32_t epoch, bool has_epochs,
                              const ConsumerMember **ret_late) {
        *ret_late = NULL;
        if (epoch < 0 && consumer->member_count == 0)
                return 0;
        const ConsumerMember *member = consumer_find(consumer, member_id);
        if (!member)
                return KAFKA_UNKNOWN_MEMBER_ID;
        if (!member->classic && !has_epochs)
                return KAFKA_UNSUPPORTED_VERSION;
        if (epoch > member->epoch)
                return member->classic ? KAFKA_ILLEGAL_GENERATION : KAFKA_STALE_MEMBER_EPOCH;
        if (epoch < member->epoch)
                *ret_late = member;
        return 0;
}

int16_t consumer_check_late_commit(const ConsumerMember *member, int32_t epoch, const Uuid *topic, int32_t partition) {
        const SetPartition *item = partition_set_find(&member->assigned, topic, partition);
        if (!item)
                item = partition_set_find(&member->revoking, topic, partition);
        if (item && epoch >= item->epoch)
                return 0;
        return member->classic ? KAFKA_ILLEGAL_GENERATION : KAFKA_STALE_MEMBER_EPOCH;
}

int16_t consumer_check_fetch(const ConsumerGroup *consumer, Str member_id, int32_t epoch) {
        if (str_is_null(member_id) && epoch < 0)
                return 0;
        const ConsumerMember *member = consumer_find(consumer, member_id);
        if (!member)
                return KAFKA_UNKNOWN_MEMBER_ID;
        if (epoch == member->epoch)
                return 0;
        return member->classic ? KAFKA_ILLEGAL_GENERATION : KAFKA_STALE_MEMBER_EPOCH;
}
