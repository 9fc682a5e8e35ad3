/* A static member that restarted takes the place of its former self (KIP-345). */
#include <stdlib.h>

#include "broker/state/groups/classic_members.h"
#include "broker/state/groups/classic_rebalance.h"
#include "broker/state/journal.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

/* Remembers by ids, not pointers: much may happen before the end of the turn. */
typedef struct StaticWrite {
        JournalWrite write;
        char *group_id, *member_id, *leader_id /* before the replacement */;
        bool can_skip_assignment;
} StaticWrite;

static void static_write_free(StaticWrite *write) {
        if (!write)
                return;
        free(write->group_id);
        free(write->member_id);
        free(write->leader_id);
        free(write);
}

static StaticWrite *static_write_new(const Group *group, Str member_id, bool can_skip_assignment) {
        StaticWrite *write = calloc(1, sizeof(*write));
        if (!write)
                return NULL;
        write->group_id = str_dup(str_of(group->id));
        write->member_id = str_dup(member_id);
        write->leader_id = str_dup(group->leader ? str_of(group->leader->id) : STR(""));
        write->can_skip_assignment = can_skip_assignment;
        if (write->group_id && write->member_id && write->leader_id)
                return write;
        static_write_free(write);
        return NULL;
}

/* The generation goes on with the new id. A leader must not assign anew: old clients are told that the former self leads. */
static void answer(Group *group, Member *member, const StaticWrite *write) {
        JoinResult result = group_current_join(group, member);
        if (!write->can_skip_assignment) {
                result.is_leader = false;
                result.leader_id = str_of(write->leader_id);
        }
        result.skip_assignment = result.is_leader;
        member_answer_join(member, &result);
}

/* A rebalance that began meanwhile answers the member itself. */
static void on_written(JournalWrite *journal_write, State *state, int16_t code) {
        StaticWrite *write = container_of(journal_write, StaticWrite, write);
        Group *group = group_find(state, str_of(write->group_id));
        Member *member = group ? member_find(group, str_of(write->member_id)) : NULL;
        if (member && group->state == GROUP_STABLE && code)
                member_answer_join(member, &(JoinResult){ .code = code, .member_id = STR("") });
        else if (member && group->state == GROUP_STABLE)
                answer(group, member, write);
        static_write_free(write);
}

static void fence(Member *member) {
        member_answer_join(member, &(JoinResult){ .code = KAFKA_FENCED_INSTANCE_ID, .member_id = str_of(member->id) });
        member_answer_sync(member, KAFKA_FENCED_INSTANCE_ID);
}

static void rename_member(Group *group, Member *member, char *id) {
        hashmap_remove(&group->by_id, &member->by_id);
        free(member->id);
        member->id = id;
        if (hashmap_insert(&group->by_id, str_of(id), &member->by_id) < 0)
                trace_error("out of memory");
}

void group_replace_static(State *state, Group *group, Member *member, const JoinArgs *args, Str id, JoinWait *wait) {
        char *fresh = str_dup(id);
        StaticWrite *write = static_write_new(group, id, args->can_skip_assignment);
        if (!fresh || !write || !member_set_protocols(member, args->protocols, args->protocol_count)) {
                free(fresh);
                static_write_free(write);
                wait->done(wait, &(JoinResult){ .code = KAFKA_COORDINATOR_NOT_AVAILABLE, .member_id = STR("") });
                return;
        }
        fence(member);
        rename_member(group, member, fresh);
        member->session_timeout_ms = args->session_timeout_ms;
        member->rebalance_timeout_ms = args->rebalance_timeout_ms;
        member->is_new = false;
        member_touch(state, member);
        member->join = wait;
        wait->member = member;
        if (group->state != GROUP_STABLE || !group->protocol || strcmp(group_select_protocol(group), group->protocol) != 0) {
                static_write_free(write);
                group_join_again(state, group);
                return;
        }
        Journal journal;
        journal_begin(&journal, state->now_ms);
        journal_add_group(&journal, group);
        if (!journal_append(state, &journal, str_of(group->id), &write->write, on_written))
                return;
        member_answer_join(member, &(JoinResult){ .code = KAFKA_COORDINATOR_NOT_AVAILABLE, .member_id = STR("") });
        static_write_free(write);
}
