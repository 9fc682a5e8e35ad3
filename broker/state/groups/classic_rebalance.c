/* The phases of a rebalance and the timers between them. */
#include "broker/state/groups/classic_rebalance.h"

#include "broker/state/groups/classic_members.h"
#include "broker/state/groups/protocol_tally.h"
#include "broker/state/journal.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

#define JOIN_AGAIN_MS_MIN 1000

static void complete_join(State *state, Group *group);

/* ---- answers */

void member_answer_join(Member *member, const JoinResult *result) {
        JoinWait *wait = member->join;
        member->join = NULL;
        if (!wait)
                return;
        wait->member = NULL;
        wait->done(wait, result);
}

void member_answer_sync(Member *member, int16_t code) {
        SyncWait *wait = member->sync;
        member->sync = NULL;
        if (!wait)
                return;
        member_touch(member->group->state_owner, member); /* its session stood still while it waited */
        wait->member = NULL;
        wait->done(wait, code, code ? NULL : member);
}

/* The generation as it stands. */
JoinResult group_current_join(Group *group, const Member *member) {
        return (JoinResult){
                .member_id = str_of(member->id),
                .group = group,
                .generation = group->generation,
                .protocol_type = str_of(group->protocol_type),
                .protocol = str_of(group->protocol),
                .leader_id = group->leader ? str_of(group->leader->id) : STR(""),
                .is_leader = group->leader == member,
        };
}

/* ---- phases */

void group_set_state(State *state, Group *group, GroupState next) {
        group->state = next;
        group->state_since_ms = state->now_ms;
}

static int32_t max_rebalance_timeout(const Group *group) {
        int32_t max = 0;
        LIST_FOREACH(&group->members, node) {
                const Member *member = container_of(node, Member, node);
                if (member->rebalance_timeout_ms > max)
                        max = member->rebalance_timeout_ms;
        }
        return max;
}

static void start_timer(State *state, Timer *timer, int32_t delay_ms) {
        if (timer_set(state, timer, state->mono_ms + delay_ms) < 0)
                trace_error("out of memory");
}

static void start_initial_delay(State *state, Group *group) {
        int32_t delay = (int32_t)config_int(state->config, "group.initial.rebalance.delay.ms");
        int32_t whole = max_rebalance_timeout(group);
        group->is_initial_delay = true;
        group->has_new_member = false;
        group->initial_left_ms = whole > delay ? whole - delay : 0;
        start_timer(state, &group->join, delay);
}

void group_prepare_rebalance(State *state, Group *group) {
        bool was_empty = group->state == GROUP_EMPTY;
        timer_stop(state, &group->pending_sync);
        if (group->state == GROUP_COMPLETING_REBALANCE)
                LIST_FOREACH(&group->members, node) {
                        Member *member = container_of(node, Member, node);
                        member_set_assignment(member, STR_NULL);
                        member_answer_sync(member, KAFKA_REBALANCE_IN_PROGRESS);
                }
        group_set_state(state, group, GROUP_PREPARING_REBALANCE);
        if (was_empty) {
                start_initial_delay(state, group);
                if (config_int(state->config, "group.initial.rebalance.delay.ms") > 0)
                        return;
                group->is_initial_delay = false;
        }
        start_timer(state, &group->join, max_rebalance_timeout(group));
        group_try_complete_join(state, group);
}

void group_join_again(State *state, Group *group) {
        if (group->state == GROUP_PREPARING_REBALANCE)
                group_try_complete_join(state, group);
        else
                group_prepare_rebalance(state, group);
}

void group_try_complete_join(State *state, Group *group) {
        if (group->state != GROUP_PREPARING_REBALANCE || group->is_initial_delay || group->pending_count)
                return;
        LIST_FOREACH(&group->members, node)
                if (!container_of(node, Member, node)->join)
                        return;
        complete_join(state, group);
}

static void on_join_timer(Timer *timer, State *state) {
        Group *group = container_of(timer, Group, join);
        int32_t delay = (int32_t)config_int(state->config, "group.initial.rebalance.delay.ms");
        if (group->is_initial_delay && group->has_new_member && group->initial_left_ms > 0) {
                int32_t next = delay < group->initial_left_ms ? delay : group->initial_left_ms;
                group->initial_left_ms -= next;
                group->has_new_member = false;
                start_timer(state, timer, next);
                return;
        }
        complete_join(state, group);
}

/* The members say which of the protocols that all have they like best. 0 or -ENOMEM. */
static int take_votes(const Group *group, ProtocolTally *tally) {
        const Member *first = container_of(list_first(&group->members), Member, node);
        int r = protocol_tally_reserve(tally, first->protocol_count);
        for (int32_t i = 0; r == 0 && i < first->protocol_count; i++)
                r = protocol_tally_add(tally, str_of(first->protocols[i].name));
        if (r)
                return r;
        LIST_FOREACH(&group->members, node) {
                const Member *member = container_of(node, Member, node);
                protocol_tally_count(tally, member->protocols, member->protocol_count);
        }
        LIST_FOREACH(&group->members, node) {
                const Member *member = container_of(node, Member, node);
                TalliedProtocol *choice = NULL;
                for (int32_t i = 0; !choice && i < member->protocol_count; i++)
                        choice = protocol_tally_find(tally, str_of(member->protocols[i].name));
                if (choice)
                        choice->votes++;
        }
        return 0;
}

const char *group_select_protocol(const Group *group) {
        const Member *first = container_of(list_first(&group->members), Member, node);
        const char *best = first->protocols[0].name;
        int32_t best_votes = 0;
        ProtocolTally tally = PROTOCOL_TALLY_INIT;
        int r = take_votes(group, &tally);
        for (int32_t i = 0; r == 0 && i < first->protocol_count; i++) {
                const TalliedProtocol *row = protocol_tally_find(&tally, str_of(first->protocols[i].name));
                if (!row || row->votes <= best_votes)
                        continue;
                best = first->protocols[i].name;
                best_votes = row->votes;
        }
        protocol_tally_deinit(&tally);
        return best;
}

void group_persist(State *state, Group *group) {
        Journal journal;
        journal_begin(&journal, state->now_ms);
        journal_add_group(&journal, group);
        if (journal_append(state, &journal, str_of(group->id), NULL, NULL))
                trace_error("a group's state could not be written");
}

static void become_empty(State *state, Group *group) {
        group->generation++;
        group_set_text(&group->protocol, STR_NULL);
        group->leader = NULL;
        group_set_state(state, group, GROUP_EMPTY);
        group_persist(state, group);
        offsets_watch(state);
}

/* Members who did not come back are out; static ones stay until their session ends (KIP-345). */
static void drop_absent(State *state, Group *group) {
        LIST_FOREACH(&group->members, node) {
                Member *member = container_of(node, Member, node);
                if (member->join || member->instance_id)
                        continue;
                member_detach(group, member);
                member_free(state, member);
        }
}

static bool elect_leader(Group *group) {
        if (group->leader && group->leader->join)
                return true;
        LIST_FOREACH(&group->members, node) {
                Member *member = container_of(node, Member, node);
                if (!member->join)
                        continue;
                group->leader = member;
                return true;
        }
        return false;
}

static void on_sync_timer(Timer *timer, State *state) {
        Group *group = container_of(timer, Group, pending_sync);
        bool changed = false;
        LIST_FOREACH(&group->members, node) {
                Member *member = container_of(node, Member, node);
                if (member->has_synced)
                        continue;
                member_detach(group, member);
                member_answer_join(member, &(JoinResult){ .code = KAFKA_UNKNOWN_MEMBER_ID });
                member_free(state, member);
                changed = true;
        }
        if (changed && (group->state == GROUP_COMPLETING_REBALANCE || group->state == GROUP_STABLE))
                group_prepare_rebalance(state, group);
}

static void complete_join(State *state, Group *group) {
        timer_stop(state, &group->join);
        group->is_initial_delay = false;
        drop_absent(state, group);
        if (group->member_count == 0) {
                become_empty(state, group);
                return;
        }
        if (!elect_leader(group)) { /* only absent static members: go on waiting for them, but not in a spin */
                int32_t wait_ms = max_rebalance_timeout(group);
                start_timer(state, &group->join, wait_ms > JOIN_AGAIN_MS_MIN ? wait_ms : JOIN_AGAIN_MS_MIN);
                return;
        }
        group->generation++;
        group_set_text(&group->protocol, str_of(group_select_protocol(group)));
        group_set_state(state, group, GROUP_COMPLETING_REBALANCE);
        start_timer(state, &group->pending_sync, max_rebalance_timeout(group));
        LIST_FOREACH(&group->members, node) {
                Member *member = container_of(node, Member, node);
                member->is_new = false;
                member->has_synced = false;
                member_touch(state, member);
                JoinResult result = group_current_join(group, member);
                member_answer_join(member, &result);
        }
}

void group_remove_member(State *state, Group *group, Member *member) {
        member_detach(group, member);
        member_answer_join(member, &(JoinResult){ .code = KAFKA_UNKNOWN_MEMBER_ID, .member_id = STR("") });
        member_answer_sync(member, KAFKA_UNKNOWN_MEMBER_ID);
        bool was_pending = member->is_pending;
        member_free(state, member);
        if (!was_pending && (group->state == GROUP_STABLE || group->state == GROUP_COMPLETING_REBALANCE))
                group_prepare_rebalance(state, group);
        else
                group_try_complete_join(state, group);
}

void member_session_end(Timer *timer, State *state) {
        Member *member = container_of(timer, Member, session);
        Group *group = member->group;
        if ((member->join && !member->is_new) || member->sync) {
                member_touch(state, member); /* waiting for us is a sign of life */
                return;
        }
        group_remove_member(state, group, member);
}

void group_init_timers(Group *group) {
        group->join.fire = on_join_timer;
        group->pending_sync.fire = on_sync_timer;
}
