/* The states of a member, and the steps between them. */
#include "broker/state/groups/consumer_reconcile.h"

#include <errno.h>

#include "broker/state/groups/consumer_heartbeat.h"
#include "broker/state/groups/consumer_journal.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

typedef struct Step {
        State *state;
        ConsumerMember *member;
        const PartitionSet *owned;
        PartitionSet assigned, revoking; /* the next ones */
        int32_t epoch;
        MemberState next;
        bool failed;
} Step;

static bool still_owns(const PartitionSet *owned, const PartitionSet *revoking) {
        if (!owned)
                return true;
        for (int32_t i = 0; i < owned->count; i++)
                if (partition_set_find(revoking, &owned->items[i].topic, owned->items[i].index))
                        return true;
        return false;
}

/* Whether the member reads the topic, asked once for a run of partitions. */
typedef struct Reads {
        Uuid topic;
        bool is_known, answer;
} Reads;

static bool reads(const Step *step, Reads *last, const Uuid *id) {
        if (!last->is_known || !uuid_equal(&last->topic, id)) {
                const Topic *topic = topic_find_id(step->state, id);
                *last = (Reads){ *id, true, topic && consumer_reads(step->member, str_of(topic->name)) };
        }
        return last->answer;
}

/* The member may take a partition that nobody has, or that it has itself, on the way out. */
static bool is_free(const ConsumerMember *member, const Uuid *topic, int32_t partition) {
        return !consumer_holder(member->consumer, topic, partition) || partition_set_find(&member->revoking, topic, partition);
}

static void split_assigned(Step *step) {
        const ConsumerMember *member = step->member;
        Reads last = { .is_known = false };
        for (int32_t i = 0; i < member->assigned.count; i++) {
                const SetPartition *item = &member->assigned.items[i];
                bool stays = partition_set_find(&member->target, &item->topic, item->index) && reads(step, &last, &item->topic);
                partition_set_add(stays ? &step->assigned : &step->revoking, &item->topic, item->index, item->epoch);
        }
}

/* Adds what is free to the assigned ones. Returns whether something is not. */
static bool take_free(Step *step, int32_t target_epoch, bool *ret_took) {
        const ConsumerMember *member = step->member;
        Reads last = { .is_known = false };
        bool is_waiting = false;
        for (int32_t i = 0; i < member->target.count; i++) {
                const SetPartition *item = &member->target.items[i];
                if (partition_set_find(&member->assigned, &item->topic, item->index) || !reads(step, &last, &item->topic))
                        continue;
                if (!is_free(member, &item->topic, item->index)) {
                        is_waiting = true;
                        continue;
                }
                partition_set_add(&step->assigned, &item->topic, item->index, target_epoch);
                *ret_took = true;
        }
        return is_waiting;
}

static void next_assignment(Step *step) {
        int32_t target_epoch = step->member->consumer->target_epoch;
        bool took = false;
        split_assigned(step);
        if (step->revoking.count > 0 && still_owns(step->owned, &step->revoking)) {
                step->next = MEMBER_UNREVOKED_PARTITIONS;
                return;
        }
        partition_set_deinit(&step->revoking);
        step->next = take_free(step, target_epoch, &took) ? MEMBER_UNRELEASED_PARTITIONS : MEMBER_STABLE;
        step->epoch = target_epoch;
}

/* The target is not new, but the member no longer reads some of its topics. Returns whether that takes anything away. */
static bool drop_unread(Step *step) {
        const ConsumerMember *member = step->member;
        Reads last = { .is_known = false };
        partition_set_copy(&member->revoking, &step->revoking);
        for (int32_t i = 0; i < member->assigned.count; i++) {
                const SetPartition *item = &member->assigned.items[i];
                partition_set_add(reads(step, &last, &item->topic) ? &step->assigned : &step->revoking, &item->topic, item->index,
                                  item->epoch);
        }
        if (step->assigned.count == member->assigned.count)
                return false;
        if (still_owns(step->owned, &step->revoking)) {
                step->next = MEMBER_UNREVOKED_PARTITIONS;
        } else {
                partition_set_copy(&member->revoking, &step->revoking);
                step->next = member->state;
        }
        return true;
}

/* Fills the step; returns whether there is one. */
static bool plan(Step *step, bool subscription_changed) {
        const ConsumerMember *member = step->member;
        switch (member->state) {
        case MEMBER_STABLE:
                if (member->epoch == member->consumer->target_epoch)
                        return subscription_changed && drop_unread(step);
                break;
        case MEMBER_UNREVOKED_PARTITIONS:
                if (still_owns(step->owned, &member->revoking))
                        return subscription_changed && drop_unread(step);
                break;
        default:
                break;
        }
        next_assignment(step);
        return true;
}

static void watch_revocation(State *state, ConsumerMember *member) {
        if (member->classic)
                return; /* it has a join timer and a sync timer */
        timer_stop(state, &member->rebalance);
        if (member->state != MEMBER_UNREVOKED_PARTITIONS)
                return;
        member->rebalance_epoch = member->epoch;
        if (timer_set(state, &member->rebalance, state->mono_ms + member->rebalance_timeout_ms) < 0)
                trace_error("out of memory");
}

static void take(Step *step, Journal *journal, Reconciled *ret) {
        ConsumerMember *member = step->member;
        ret->is_assigned_changed = !partition_set_equal(&step->assigned, &member->assigned, true);
        /* each step moves the epochs on by one place, also where they stay the same: that is when a record tells of it */
        bool changed = ret->is_assigned_changed || !partition_set_equal(&step->revoking, &member->revoking, true) ||
                       step->next != member->state || step->epoch != member->epoch || member->epoch != member->previous_epoch;
        if (!changed)
                return;
        member->previous_epoch = member->epoch;
        member->epoch = step->epoch;
        member->state = step->next;
        consumer_set_current(member, &step->assigned, &step->revoking);
        consumer_journal_current(journal, member);
        watch_revocation(step->state, member);
        ret->is_changed = true;
}

int group_reconcile(State *state, ConsumerMember *member, bool subscription_changed, const PartitionSet *owned, Journal *journal,
                    Reconciled *ret) {
        Step step = { .state = state, .member = member, .owned = owned, .epoch = member->epoch };
        *ret = (Reconciled){ .is_changed = false };
        if (!subscription_changed && consumer_is_reconciled(member, member->consumer->target_epoch))
                return 0;
        if (member->state == MEMBER_UNKNOWN && (!owned || owned->count > 0))
                return KAFKA_FENCED_MEMBER_EPOCH;
        bool moves = plan(&step, subscription_changed), failed = step.assigned.failed || step.revoking.failed;
        if (moves && !failed)
                take(&step, journal, ret);
        partition_set_deinit(&step.assigned);
        partition_set_deinit(&step.revoking);
        return failed ? -ENOMEM : 0;
}

bool group_waits_for_others(const ConsumerMember *member) {
        if (member->state != MEMBER_UNRELEASED_PARTITIONS)
                return false;
        for (int32_t i = 0; i < member->target.count; i++) {
                const SetPartition *item = &member->target.items[i];
                if (!partition_set_find(&member->assigned, &item->topic, item->index) &&
                    consumer_holder(member->consumer, &item->topic, item->index))
                        return true;
        }
        return false;
}
