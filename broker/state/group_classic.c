/* The requests of the classic group protocol: join, sync, heartbeat, leave. */
#include <errno.h>
#include <stdlib.h>

#include "broker/state/group_members.h"
#include "broker/state/group_rebalance.h"
#include "broker/state/journal.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"
#include "storage/base/uuid.h"

void join_wait_cancel(JoinWait *wait) {
        if (wait->member)
                wait->member->join = NULL;
        wait->member = NULL;
}

void sync_wait_cancel(SyncWait *wait) {
        if (wait->member)
                wait->member->sync = NULL;
        wait->member = NULL;
}

/* ---- JoinGroup */

static void refuse_join(JoinWait *wait, int16_t code, Str member_id) {
        wait->member = NULL;
        wait->done(wait, &(JoinResult){ .code = code, .member_id = member_id });
}

static bool supports_protocols(const Group *group, const JoinArgs *args) {
        if (group->member_count == 0)
                return args->protocol_type.len > 0 && args->protocol_count > 0;
        if (!group->protocol_type || !str_equal(str_of(group->protocol_type), args->protocol_type))
                return false;
        for (int32_t i = 0; i < args->protocol_count; i++) {
                bool by_all = true;
                LIST_FOREACH(&group->members, node) {
                        const Member *member = container_of(node, Member, node);
                        bool has = false;
                        for (int32_t k = 0; k < member->protocol_count; k++)
                                has |= str_equal(str_of(member->protocols[k].name), args->protocols[i].name);
                        by_all &= has;
                }
                if (by_all)
                        return true;
        }
        return false;
}

static Member *make_member(Group *group, const JoinArgs *args, Str id) {
        return member_new(group, id, args->instance_id, args->client_id, args->client_host, args->session_timeout_ms,
                          args->rebalance_timeout_ms);
}

static void wait_for_join(Member *member, JoinWait *wait) {
        member_answer_join(member, &(JoinResult){ .code = KAFKA_REBALANCE_IN_PROGRESS, .member_id = str_of(member->id) });
        member->join = wait;
        wait->member = member;
}

/* The member has no session of its own while it waits: joining is bounded by the rebalance timeout. */
static void add_and_rebalance(State *state, Group *group, const JoinArgs *args, Str id, JoinWait *wait) {
        Member *member = make_member(group, args, id);
        if (!member || !member_set_protocols(member, args->protocols, args->protocol_count)) {
                if (member) {
                        hashmap_remove(&group->by_id, &member->by_id);
                        member_free(state, member);
                }
                refuse_join(wait, KAFKA_COORDINATOR_NOT_AVAILABLE, STR(""));
                return;
        }
        if (group->member_count == 0)
                group_set_text(&group->protocol_type, args->protocol_type);
        member->is_new = true;
        member_enter(group, member);
        member_touch(state, member);
        wait_for_join(member, wait);
        group->has_new_member = true;
        if (group->state == GROUP_PREPARING_REBALANCE)
                group_try_complete_join(state, group);
        else
                group_prepare_rebalance(state, group);
}

static void update_and_rebalance(State *state, Group *group, Member *member, const JoinArgs *args, JoinWait *wait) {
        if (!member_set_protocols(member, args->protocols, args->protocol_count)) {
                refuse_join(wait, KAFKA_COORDINATOR_NOT_AVAILABLE, STR(""));
                return;
        }
        member->session_timeout_ms = args->session_timeout_ms;
        member->rebalance_timeout_ms = args->rebalance_timeout_ms;
        wait_for_join(member, wait);
        if (group->state == GROUP_PREPARING_REBALANCE)
                group_try_complete_join(state, group);
        else
                group_prepare_rebalance(state, group);
}

/* A static member that restarted takes the place of its former self (KIP-345), without a rebalance where nothing changed. */
static void replace_static(State *state, Group *group, Member *member, const JoinArgs *args, Str id, JoinWait *wait) {
        char *old_id = member->id, *fresh = str_dup(id);
        if (!fresh) {
                refuse_join(wait, KAFKA_COORDINATOR_NOT_AVAILABLE, STR(""));
                return;
        }
        member_answer_join(member, &(JoinResult){ .code = KAFKA_FENCED_INSTANCE_ID, .member_id = str_of(old_id) });
        member_answer_sync(member, KAFKA_FENCED_INSTANCE_ID);
        hashmap_remove(&group->by_id, &member->by_id);
        member->id = fresh;
        if (hashmap_insert(&group->by_id, str_of(fresh), &member->by_id) < 0)
                trace_error("out of memory");
        bool unchanged = group->state == GROUP_STABLE && member_same_protocols(member, args);
        member_touch(state, member);
        if (!unchanged) {
                free(old_id);
                update_and_rebalance(state, group, member, args, wait);
                return;
        }
        group_persist(state, group);
        JoinResult result = group_current_join(group, member);
        if (group->leader == member && !args->can_skip_assignment) {
                result.is_leader = false; /* must not assign anew: it is told that its former self leads */
                result.leader_id = str_of(old_id);
        }
        result.skip_assignment = result.is_leader;
        wait->member = NULL;
        wait->done(wait, &result);
        free(old_id);
}

static Str make_member_id(const JoinArgs *args, char *buffer, size_t size) {
        Uuid uuid = uuid_random();
        Str prefix = str_is_null(args->instance_id) ? args->client_id : args->instance_id;
        char hex[37];
        const uint8_t *b = uuid.bytes;
        snprintf(hex, sizeof(hex), "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
                 b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
        int n = snprintf(buffer, size, "%.*s-%s", (int)(prefix.len > 255 ? 255 : prefix.len), prefix.data ? prefix.data : "", hex);
        return (Str){ .data = buffer, .len = (size_t)n };
}

static void join_unknown(State *state, Group *group, const JoinArgs *args, JoinWait *wait) {
        char buffer[320];
        Str id = make_member_id(args, buffer, sizeof(buffer));
        Member *known = member_find_instance(group, args->instance_id);
        if (known) {
                replace_static(state, group, known, args, id, wait);
                return;
        }
        if (!args->requires_known_member_id || !str_is_null(args->instance_id)) {
                add_and_rebalance(state, group, args, id, wait);
                return;
        }
        Member *member = make_member(group, args, id);
        if (!member) {
                refuse_join(wait, KAFKA_COORDINATOR_NOT_AVAILABLE, STR(""));
                return;
        }
        member->is_pending = true;
        group->pending_count++;
        member_touch(state, member);
        refuse_join(wait, KAFKA_MEMBER_ID_REQUIRED, id);
}

static void join_pending(State *state, Group *group, Member *member, const JoinArgs *args, JoinWait *wait) {
        member_detach(group, member);
        member_free(state, member);
        add_and_rebalance(state, group, args, args->member_id, wait);
}

static void join_known(State *state, Group *group, Member *member, const JoinArgs *args, JoinWait *wait) {
        bool changed = !member_same_protocols(member, args);
        JoinResult result = group_current_join(group, member);
        switch (group->state) {
        case GROUP_COMPLETING_REBALANCE:
                if (changed)
                        break;
                member_touch(state, member); /* the answer was lost: give it again */
                wait->done(wait, &result);
                return;
        case GROUP_STABLE:
                if (changed || group->leader == member)
                        break;
                member_touch(state, member);
                wait->done(wait, &result);
                return;
        case GROUP_PREPARING_REBALANCE:
                break;
        default:
                refuse_join(wait, KAFKA_UNKNOWN_MEMBER_ID, args->member_id);
                return;
        }
        update_and_rebalance(state, group, member, args, wait);
}

static int16_t check_join(State *state, Group *group, const JoinArgs *args) {
        if (args->group_id.len == 0)
                return KAFKA_INVALID_GROUP_ID;
        if (args->session_timeout_ms < config_int(state->config, "group.min.session.timeout.ms") ||
            args->session_timeout_ms > config_int(state->config, "group.max.session.timeout.ms"))
                return KAFKA_INVALID_SESSION_TIMEOUT;
        if (!group)
                return args->member_id.len ? KAFKA_UNKNOWN_MEMBER_ID : 0;
        bool joined = member_find(group, args->member_id) && !member_find(group, args->member_id)->is_pending;
        if (!joined && !member_find_instance(group, args->instance_id) &&
            group->member_count >= config_int(state->config, "group.max.size"))
                return KAFKA_GROUP_MAX_SIZE_REACHED;
        return 0;
}

void group_join(State *state, const JoinArgs *args, JoinWait *wait) {
        Group *group = args->group_id.len ? group_find(state, args->group_id) : NULL;
        int16_t code = check_join(state, group, args);
        wait->member = NULL;
        if (!code && groups_ensure_topic(state))
                code = KAFKA_COORDINATOR_NOT_AVAILABLE;
        if (!code && !group && !(group = group_get(state, args->group_id)))
                code = KAFKA_COORDINATOR_NOT_AVAILABLE;
        if (!code && !supports_protocols(group, args))
                code = KAFKA_INCONSISTENT_GROUP_PROTOCOL;
        if (code) {
                refuse_join(wait, code, args->member_id);
                return;
        }
        if (args->member_id.len == 0) {
                join_unknown(state, group, args, wait);
                return;
        }
        Member *member = member_find(group, args->member_id), *owner = member_find_instance(group, args->instance_id);
        if (member && member->is_pending)
                join_pending(state, group, member, args, wait);
        else if (!str_is_null(args->instance_id) && owner != member)
                refuse_join(wait, owner ? KAFKA_FENCED_INSTANCE_ID : KAFKA_UNKNOWN_MEMBER_ID, args->member_id);
        else if (!member)
                refuse_join(wait, KAFKA_UNKNOWN_MEMBER_ID, args->member_id);
        else
                join_known(state, group, member, args, wait);
}

/* ---- SyncGroup, Heartbeat, LeaveGroup */

/* Who speaks: the member, or the code for somebody who is not in the group. */
static int16_t identify(const Group *group, Str member_id, Str instance_id, Member **ret_member) {
        Member *member = group ? member_find(group, member_id) : NULL;
        Member *owner = group ? member_find_instance(group, instance_id) : NULL;
        if (!str_is_null(instance_id) && owner && owner != member)
                return KAFKA_FENCED_INSTANCE_ID;
        if (!member || member->is_pending || (!str_is_null(instance_id) && !owner))
                return KAFKA_UNKNOWN_MEMBER_ID;
        *ret_member = member;
        return 0;
}

typedef struct SyncWrite {
        JournalWrite write;
        char *group_id;
        int32_t generation;
} SyncWrite;

/* The leader's assignment is in the log: everybody gets theirs. */
static void on_assignment_written(JournalWrite *journal_write, State *state, int16_t code) {
        SyncWrite *write = container_of(journal_write, SyncWrite, write);
        Group *group = group_find(state, str_of(write->group_id));
        if (group && group->state == GROUP_COMPLETING_REBALANCE && group->generation == write->generation) {
                if (code) {
                        group_prepare_rebalance(state, group);
                } else {
                        group_set_state(state, group, GROUP_STABLE);
                        LIST_FOREACH(&group->members, node)
                                member_answer_sync(container_of(node, Member, node), 0);
                }
        }
        free(write->group_id);
        free(write);
}

static int take_assignments(State *state, Group *group, const SyncArgs *args) {
        SyncWrite *write = calloc(1, sizeof(*write));
        Journal journal;
        if (!write || !(write->group_id = str_dup(str_of(group->id)))) {
                free(write);
                return -ENOMEM;
        }
        write->generation = group->generation;
        LIST_FOREACH(&group->members, node)
                member_set_assignment(container_of(node, Member, node), STR(""));
        for (int32_t i = 0; i < args->assignment_count; i++) {
                Member *member = member_find(group, args->assignments[i].member_id);
                if (member)
                        member_set_assignment(member, args->assignments[i].assignment);
        }
        journal_begin(&journal, state->now_ms);
        journal_add_group(&journal, group);
        int r = journal_append(state, &journal, str_of(group->id), &write->write, on_assignment_written);
        if (r) {
                free(write->group_id);
                free(write);
        }
        return r;
}

static int16_t check_sync(const Group *group, const SyncArgs *args, Member **ret_member) {
        int16_t code = identify(group, args->member_id, args->instance_id, ret_member);
        if (code)
                return code;
        if (args->generation != group->generation)
                return KAFKA_ILLEGAL_GENERATION;
        if (!str_is_null(args->protocol_type) && group->protocol_type &&
            !str_equal(args->protocol_type, str_of(group->protocol_type)))
                return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
        if (!str_is_null(args->protocol) && group->protocol && !str_equal(args->protocol, str_of(group->protocol)))
                return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
        if (group->state == GROUP_PREPARING_REBALANCE)
                return KAFKA_REBALANCE_IN_PROGRESS;
        return group->state == GROUP_EMPTY || group->state == GROUP_DEAD ? KAFKA_UNKNOWN_MEMBER_ID : 0;
}

void group_sync(State *state, const SyncArgs *args, SyncWait *wait) {
        Group *group = args->group_id.len ? group_find(state, args->group_id) : NULL;
        Member *member = NULL;
        int16_t code = args->group_id.len ? check_sync(group, args, &member) : KAFKA_INVALID_GROUP_ID;
        wait->member = NULL;
        if (code) {
                wait->done(wait, code, NULL);
                return;
        }
        member->has_synced = true;
        member_touch(state, member);
        if (group->state == GROUP_STABLE) {
                wait->done(wait, 0, member);
                return;
        }
        member_answer_sync(member, KAFKA_REBALANCE_IN_PROGRESS); /* an older request of the same member */
        member->sync = wait;
        wait->member = member;
        if (group->leader == member && take_assignments(state, group, args))
                member_answer_sync(member, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

int16_t group_heartbeat(State *state, Str group_id, Str member_id, Str instance_id, int32_t generation) {
        Group *group = group_id.len ? group_find(state, group_id) : NULL;
        Member *member;
        if (group_id.len == 0)
                return KAFKA_INVALID_GROUP_ID;
        int16_t code = identify(group, member_id, instance_id, &member);
        if (code)
                return code;
        if (generation != group->generation)
                return KAFKA_ILLEGAL_GENERATION;
        member_touch(state, member);
        return group->state == GROUP_PREPARING_REBALANCE ? KAFKA_REBALANCE_IN_PROGRESS : 0;
}

int16_t group_leave(State *state, Str group_id, Str member_id, Str instance_id) {
        Group *group = group_id.len ? group_find(state, group_id) : NULL;
        if (group_id.len == 0)
                return KAFKA_INVALID_GROUP_ID;
        if (!group)
                return KAFKA_UNKNOWN_MEMBER_ID;
        Member *member = member_find(group, member_id), *owner = member_find_instance(group, instance_id);
        if (!str_is_null(instance_id)) {
                if (!owner)
                        return KAFKA_UNKNOWN_MEMBER_ID;
                if (member_id.len && owner != member)
                        return KAFKA_FENCED_INSTANCE_ID;
                member = owner;
        }
        if (!member)
                return KAFKA_UNKNOWN_MEMBER_ID;
        group_remove_member(state, group, member);
        return 0;
}
