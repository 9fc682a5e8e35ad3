/* The requests of the classic group protocol: join, sync, heartbeat, leave. */
#include <errno.h>
#include <stdlib.h>

#include "broker/state/groups/classic_members.h"
#include "broker/state/groups/classic_rebalance.h"
#include "broker/state/groups/consumer_heartbeat.h"
#include "broker/state/groups/consumer_journal.h"
#include "broker/state/groups/protocol_tally.h"
#include "broker/state/journal.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"
#include "storage/base/uuid.h"

#define NEW_MEMBER_JOIN_TIMEOUT_MS (5 * 60 * 1000)
#define MEMBER_PREFIX_BYTES_MAX 255

void join_wait_cancel(JoinWait *wait) {
        Member *member = wait->member;
        if (!member)
                return;
        wait->member = NULL;
        member->join = NULL;
        member_touch(member->group->state_owner, member);
}

void sync_wait_cancel(SyncWait *wait) {
        Member *member = wait->member;
        if (!member)
                return;
        wait->member = NULL;
        member->sync = NULL;
        member_touch(member->group->state_owner, member);
}

/* ---- JoinGroup */

static void refuse_join(JoinWait *wait, int16_t code, Str member_id) {
        wait->member = NULL;
        wait->done(wait, &(JoinResult){ .code = code, .member_id = member_id });
}

static bool supports_protocols(const Group *group, const JoinArgs *args) {
        if (group->state == GROUP_EMPTY)
                return args->protocol_type.len > 0 && args->protocol_count > 0;
        if (!group->protocol_type || !str_equal(str_of(group->protocol_type), args->protocol_type))
                return false;
        ProtocolTally tally = PROTOCOL_TALLY_INIT;
        int r = protocol_tally_reserve(&tally, args->protocol_count);
        for (int32_t i = 0; r == 0 && i < args->protocol_count; i++)
                r = protocol_tally_add(&tally, args->protocols[i].name);
        LIST_FOREACH(&group->members, node) {
                const Member *member = container_of(node, Member, node);
                protocol_tally_count(&tally, member->protocols, member->protocol_count);
        }
        bool found = r == 0 && protocol_tally_has_common(&tally);
        protocol_tally_deinit(&tally);
        return found;
}

static Member *make_member(Group *group, const JoinArgs *args, Str id) {
        return member_new(group, id, args->instance_id, args->client_id, args->client_host, args->session_timeout_ms,
                          args->rebalance_timeout_ms);
}

/* A member that may not know its id yet cannot send heartbeats, and a client that gave up comes back as somebody else: its first
 * wait has a limit of its own, as in Kafka. */
static void wait_for_join(State *state, Member *member, JoinWait *wait) {
        member_answer_join(member, &(JoinResult){ .code = KAFKA_REBALANCE_IN_PROGRESS, .member_id = str_of(member->id) });
        member->join = wait;
        wait->member = member;
        if (member->is_new && timer_set(state, &member->session, state->mono_ms + NEW_MEMBER_JOIN_TIMEOUT_MS) < 0)
                trace_error("out of memory");
}

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
        wait_for_join(state, member, wait);
        group->has_new_member = true;
        group_join_again(state, group);
}

static bool update_member(Member *member, const JoinArgs *args) {
        member->session_timeout_ms = args->session_timeout_ms;
        member->rebalance_timeout_ms = args->rebalance_timeout_ms;
        return member_set_protocols(member, args->protocols, args->protocol_count);
}

static void update_and_rebalance(State *state, Group *group, Member *member, const JoinArgs *args, JoinWait *wait) {
        if (!update_member(member, args)) {
                refuse_join(wait, KAFKA_COORDINATOR_NOT_AVAILABLE, STR(""));
                return;
        }
        wait_for_join(state, member, wait);
        group_join_again(state, group);
}

static Str make_member_id(const JoinArgs *args, char *buffer, size_t size) {
        Uuid uuid = uuid_random();
        Str prefix = str_is_null(args->instance_id) ? args->client_id : args->instance_id;
        char hex[37];
        const uint8_t *b = uuid.bytes;
        snprintf(hex, sizeof(hex), "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
                 b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
        if (prefix.len > MEMBER_PREFIX_BYTES_MAX) {
                prefix.len = MEMBER_PREFIX_BYTES_MAX;
                while (prefix.len > 0 && (prefix.data[prefix.len] & 0xc0) == 0x80)
                        prefix.len--; /* whole characters, or the client could not repeat it */
        }
        int n = snprintf(buffer, size, "%.*s-%s", STR_ARG(prefix), hex);
        return (Str){ .data = buffer, .len = (size_t)n };
}

static void join_unknown(State *state, Group *group, const JoinArgs *args, JoinWait *wait) {
        char buffer[320];
        Str id = make_member_id(args, buffer, sizeof(buffer));
        Member *known = member_find_instance(group, args->instance_id);
        if (known) {
                group_replace_static(state, group, known, args, id, wait);
                return;
        }
        if (!args->requires_known_member_id || !str_is_null(args->instance_id)) {
                add_and_rebalance(state, group, args, id, wait);
                return;
        }
        if (group->pending_count >= config_int(state->config, "odradek.group.max.pending.members")) {
                refuse_join(wait, KAFKA_GROUP_MAX_SIZE_REACHED, STR(""));
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
        if (!str_is_null(args->instance_id)) { /* its id was given to a dynamic member */
                refuse_join(wait, KAFKA_UNKNOWN_SERVER_ERROR, STR(""));
                return;
        }
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

static int16_t check_join(State *state, const JoinArgs *args) {
        if (args->group_id.len == 0 || memchr(args->group_id.data, 0, args->group_id.len))
                return KAFKA_INVALID_GROUP_ID;
        if (args->session_timeout_ms < config_int(state->config, "group.min.session.timeout.ms") ||
            args->session_timeout_ms > config_int(state->config, "group.max.session.timeout.ms"))
                return KAFKA_INVALID_SESSION_TIMEOUT;
        if (args->instance_id.len > 0 && memchr(args->instance_id.data, 0, args->instance_id.len))
                return KAFKA_INVALID_REQUEST;
        return groups_ensure_topic(state) ? KAFKA_COORDINATOR_NOT_AVAILABLE : 0;
}

/* Whether group.max.size leaves room. While members join, those count who came already: the last ones are left out. */
static bool has_room(State *state, const Group *group, const Member *member) {
        int64_t size_max = config_int(state->config, "group.max.size");
        bool is_member = member && !member->is_pending;
        if (group->state == GROUP_COMPLETING_REBALANCE || group->state == GROUP_STABLE)
                return is_member || group->member_count < size_max;
        if (group->state != GROUP_PREPARING_REBALANCE || (is_member && member->join))
                return true;
        int32_t waiting = 0;
        LIST_FOREACH(&group->members, node)
                waiting += container_of(node, Member, node)->join != NULL;
        return waiting < size_max;
}

/* The same of odradek.group.max.protocol.bytes; known is the member whose protocols are replaced, or NULL. */
static bool has_room_for_protocols(State *state, const Group *group, const Member *known, const JoinArgs *args) {
        int64_t others = group->protocol_bytes - (known ? known->protocol_bytes : 0);
        return others + join_protocol_bytes(args->protocols, args->protocol_count) <=
               config_int(state->config, "odradek.group.max.protocol.bytes");
}

/* The same of odradek.group.max.member.bytes: whoever is known has room. The id may be yet to be made, which makes no difference. */
static bool has_room_for_member(State *state, const Group *group, const Member *known, const JoinArgs *args) {
        int64_t bytes = join_member_bytes(args->member_id, args->instance_id, args->client_id, args->client_host);
        return known || group->member_bytes + bytes <= config_int(state->config, "odradek.group.max.member.bytes");
}

/* A group of the consumer protocol that has no members becomes a classic one. */
static void end_consumer_group(State *state, Group *group) {
        Journal journal;
        journal_begin(&journal, state->now_ms);
        consumer_journal_end(&journal, group->consumer);
        if (journal_append(state, &journal, str_of(group->id), NULL, NULL))
                trace_error("a group's state could not be written");
        consumer_detach(state, group);
}

static void join_group(State *state, Group *group, const JoinArgs *args, JoinWait *wait) {
        if (group->consumer)
                end_consumer_group(state, group);
        Member *member = member_find(group, args->member_id), *owner = member_find_instance(group, args->instance_id);
        const Member *known = member ? member : owner;
        if (!has_room(state, group, member) || !has_room_for_protocols(state, group, known, args) ||
            !has_room_for_member(state, group, known, args)) {
                if (member)
                        group_remove_member(state, group, member);
                refuse_join(wait, KAFKA_GROUP_MAX_SIZE_REACHED, STR(""));
        } else if (!supports_protocols(group, args)) {
                refuse_join(wait, KAFKA_INCONSISTENT_GROUP_PROTOCOL, args->member_id);
        } else if (args->member_id.len == 0) {
                join_unknown(state, group, args, wait);
        } else if (member && member->is_pending) {
                join_pending(state, group, member, args, wait);
        } else if (!str_is_null(args->instance_id) && owner != member) {
                refuse_join(wait, owner ? KAFKA_FENCED_INSTANCE_ID : KAFKA_UNKNOWN_MEMBER_ID, args->member_id);
        } else if (!member) {
                refuse_join(wait, KAFKA_UNKNOWN_MEMBER_ID, args->member_id);
        } else {
                join_known(state, group, member, args, wait);
        }
}

void group_join(State *state, const JoinArgs *args, JoinWait *wait) {
        int16_t code = check_join(state, args);
        Group *group = code ? NULL : group_find(state, args->group_id);
        wait->member = NULL;
        if (!code && !group && args->member_id.len)
                code = KAFKA_UNKNOWN_MEMBER_ID;
        if (!code && !group)
                code = groups_check_room(state);
        if (!code && !group) {
                group = group_get(state, args->group_id);
                if (group)
                        group_persist(state, group);
                else
                        code = KAFKA_COORDINATOR_NOT_AVAILABLE;
        }
        if (code)
                refuse_join(wait, code, args->member_id);
        else if (group->consumer && group->state != GROUP_EMPTY)
                consumer_join(state, args, wait);
        else
                join_group(state, group, args, wait);
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

static void answer_syncs(Group *group, int16_t code) {
        LIST_FOREACH(&group->members, node)
                member_answer_sync(container_of(node, Member, node), code);
}

/* The leader's assignment is in the log: everybody gets theirs. Without it nobody does, and all join again. */
static void on_assignment_written(JournalWrite *journal_write, State *state, int16_t code) {
        SyncWrite *write = container_of(journal_write, SyncWrite, write);
        Group *group = group_find(state, str_of(write->group_id));
        if (group && group->state == GROUP_COMPLETING_REBALANCE && group->generation == write->generation) {
                if (!code)
                        group_set_state(state, group, GROUP_STABLE);
                answer_syncs(group, code);
                if (code)
                        group_prepare_rebalance(state, group);
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
        int r = group->leader == member ? take_assignments(state, group, args) : 0;
        if (r) {
                answer_syncs(group, journal_code(r));
                group_prepare_rebalance(state, group);
        }
}

int16_t group_heartbeat(State *state, Str group_id, Str member_id, Str instance_id, int32_t generation) {
        Group *group = group_id.len ? group_find(state, group_id) : NULL;
        Member *member;
        if (group_id.len == 0)
                return KAFKA_INVALID_GROUP_ID;
        if (group && group->consumer)
                return consumer_classic_heartbeat(state, group, member_id, instance_id, generation);
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
        Member *member = member_id.len ? member_find(group, member_id) : member_find_instance(group, instance_id);
        int16_t code = member_id.len == 0 || (member && member->is_pending) ? 0 : identify(group, member_id, instance_id, &member);
        if (code || !member)
                return code ? code : KAFKA_UNKNOWN_MEMBER_ID;
        group_remove_member(state, group, member);
        return 0;
}
