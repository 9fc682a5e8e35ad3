/* Heartbeats change a group in memory before its records are written. Where that fails the group is read again from the log, so that
 * nobody is told what a restart would forget. That costs a walk over a partition of __consumer_offsets; it happens on a failing disk. */
#include <errno.h>
#include <stdlib.h>

#include "broker/state/groups/classic_rebalance.h"
#include "broker/state/groups/consumer_heartbeat.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

/* What requests that are parked there wait for is gone. */
static void forget_members(State *state, Group *group) {
        LIST_FOREACH(&group->members, node) {
                Member *member = container_of(node, Member, node);
                member_answer_join(member, &(JoinResult){ .code = KAFKA_COORDINATOR_NOT_AVAILABLE, .member_id = str_of(member->id) });
                member_answer_sync(member, KAFKA_COORDINATOR_NOT_AVAILABLE);
        }
        timer_stop(state, &group->join);
        timer_stop(state, &group->pending_sync);
        group_clear_members(group);
        consumer_detach(state, group);
        group_set_text(&group->protocol, STR_NULL);
}

static void start_sessions(State *state, Group *group) {
        if (group->consumer)
                group_consumer_loaded(state, group);
        LIST_FOREACH(&group->members, node)
                member_touch(state, container_of(node, Member, node));
}

static void reload(State *state, Group *group) {
        char *id = str_dup(str_of(group->id));
        forget_members(state, group);
        int r = id ? journal_replay_group(state, str_of(id)) : -ENOMEM;
        if (r)
                trace_error("a group could not be read again: %s", strerror(-r));
        group = id ? group_find(state, str_of(id)) : NULL;
        if (group)
                start_sessions(state, group);
        if (group && !group->consumer && !group->protocol_type && !group->offsets.count)
                group_free(state, group); /* the log knows nothing of it */
        offsets_watch(state);
        free(id);
}

static bool is_written(const State *state, const Group *group) {
        const Partition *partition = journal_partition(state, str_of(group->id));
        return partition && !partition->commit_error;
}

static void on_settle(CommitWait *wait, State *state) {
        for (ListNode *node; (node = list_pop(&state->groups->unsettled));) {
                Group *group = container_of(node, Group, unsettled);
                bool is_behind = group->is_ahead || !is_written(state, group);
                group->is_ahead = false;
                if (is_behind)
                        reload(state, group);
        }
}

int group_consumer_append(State *state, Group *group, Journal *journal, JournalWrite *write,
                          void (*done)(JournalWrite *write, State *state, int16_t code)) {
        if (!group_is_unsettled(group))
                list_append(&state->groups->unsettled, &group->unsettled);
        if (!list_node_is_linked(&state->groups->settle.node))
                state_wait_commit(state, &state->groups->settle, on_settle);
        int r = journal_append(state, journal, str_of(group->id), write, done);
        group->is_ahead |= r != 0;
        return r;
}

typedef struct Commit {
        JournalWrite write;
        int16_t code;
} Commit;

static void on_commit(JournalWrite *write, State *state, int16_t code) {
        container_of(write, Commit, write)->code = code;
}

int group_consumer_commit(State *state, Group *group, Journal *journal) {
        Commit commit = { .code = 0 };
        int r = group_consumer_append(state, group, journal, &commit.write, on_commit);
        state_commit(state);
        return r ? r : commit.code;
}
