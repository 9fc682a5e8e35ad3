/* The classic group protocol: join, sync, heartbeat, leave, and the timers between them. */
#include <errno.h>
#include <stdlib.h>

#include "broker/state/groups.h"
#include "broker/state/journal.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"
#include "storage/base/uuid.h"

static void prepare_rebalance(State *state, Group *group);
static void try_complete_join(State *state, Group *group);
static void complete_join(State *state, Group *group);
static void remove_member(State *state, Group *group, Member *member);

/* ---- members */

Member *member_find(const Group *group, Str id) {
        HashNode *node = hashmap_find(&group->by_id, id);
        return node ? container_of(node, Member, by_id) : NULL;
}

Member *member_find_instance(const Group *group, Str instance_id) {
        if (str_is_null(instance_id))
                return NULL;
        LIST_FOREACH(&group->members, node) {
                Member *member = container_of(node, Member, node);
                if (member->instance_id && str_equal(str_of(member->instance_id), instance_id))
                        return member;
        }
        return NULL;
}

const MemberProtocol *member_protocol(const Member *member, const char *name) {
        for (int32_t i = 0; i < member->protocol_count; i++)
                if (strcmp(member->protocols[i].name, name) == 0)
                        return &member->protocols[i];
        return NULL;
}

static void free_protocols(Member *member) {
        for (int32_t i = 0; i < member->protocol_count; i++) {
                free(member->protocols[i].name);
                free((char *)(uintptr_t)member->protocols[i].metadata.data);
        }
        free(member->protocols);
        member->protocols = NULL;
        member->protocol_count = 0;
}

static Str dup_bytes(Str s) {
        return (Str){ .data = str_dup(str_is_null(s) ? STR("") : s), .len = s.len };
}

static bool set_protocols(Member *member, const JoinProtocol *protocols, int32_t count) {
        free_protocols(member);
        member->protocols = calloc((size_t)count + 1, sizeof(*member->protocols));
        for (int32_t i = 0; member->protocols && i < count; i++) {
                member->protocols[i].name = str_dup(protocols[i].name);
                member->protocols[i].metadata = dup_bytes(protocols[i].metadata);
                member->protocol_count = i + 1;
                if (!member->protocols[i].name || !member->protocols[i].metadata.data)
                        return false;
        }
        return member->protocols != NULL;
}

static void set_assignment(Member *member, Str assignment) {
        free((char *)(uintptr_t)member->assignment.data);
        member->assignment = str_is_null(assignment) ? STR_NULL : dup_bytes(assignment);
}

static bool same_protocols(const Member *member, const JoinArgs *args) {
        if (member->protocol_count != args->protocol_count)
                return false;
        for (int32_t i = 0; i < args->protocol_count; i++)
                if (!str_equal(str_of(member->protocols[i].name), args->protocols[i].name) ||
                    !str_equal(member->protocols[i].metadata, args->protocols[i].metadata))
                        return false;
        return true;
}

static void free_member(State *state, Member *member) {
        timer_stop(state, &member->session);
        free_protocols(member);
        set_assignment(member, STR_NULL);
        free(member->id);
        free(member->instance_id);
        free(member->client_id);
        free(member->client_host);
        free(member);
}

static void on_session_end(Timer *timer, State *state) {
        Member *member = container_of(timer, Member, session);
        Group *group = member->group;
        if (member->join || member->sync) {
                member_touch(state, member); /* waiting for us is a sign of life */
                return;
        }
        remove_member(state, group, member);
}

void member_touch(State *state, Member *member) {
        if (timer_set(state, &member->session, state->mono_ms + member->session_timeout_ms) < 0)
                trace_error("out of memory");
}

static Member *new_member(Group *group, Str id, Str instance_id, Str client_id, Str client_host, int32_t session_timeout_ms,
                          int32_t rebalance_timeout_ms) {
        Member *member = calloc(1, sizeof(*member));
        if (!member)
                return NULL;
        member->group = group;
        member->session.fire = on_session_end;
        member->id = str_dup(id);
        member->instance_id = str_dup(instance_id);
        member->client_id = str_dup(str_is_null(client_id) ? STR("") : client_id);
        member->client_host = str_dup(client_host);
        member->session_timeout_ms = session_timeout_ms;
        member->rebalance_timeout_ms = rebalance_timeout_ms;
        bool ok = member->id && member->client_id && member->client_host && (str_is_null(instance_id) || member->instance_id);
        if (ok && hashmap_insert(&group->by_id, str_of(member->id), &member->by_id) == 0)
                return member;
        free_member(group->state_owner, member);
        return NULL;
}

static void enter_members(Group *group, Member *member) {
        list_append(&group->members, &member->node);
        group->member_count++;
}

Member *group_add_replayed(Group *group, Str id, Str instance_id, Str client_id, Str client_host, int32_t session_timeout_ms,
                           int32_t rebalance_timeout_ms, Str protocol, Str metadata, Str assignment) {
        Member *member = new_member(group, id, instance_id, client_id, client_host, session_timeout_ms, rebalance_timeout_ms);
        JoinProtocol only = { .name = str_is_null(protocol) ? STR("") : protocol, .metadata = metadata };
        if (!member)
                return NULL;
        enter_members(group, member);
        set_assignment(member, assignment);
        return set_protocols(member, &only, 1) ? member : NULL;
}

/* Takes the member out of all lists; the caller decides what that means for the group. */
static void detach_member(Group *group, Member *member) {
        hashmap_remove(&group->by_id, &member->by_id);
        if (member->is_pending) {
                group->pending_count--;
                return;
        }
        list_remove(&member->node);
        group->member_count--;
        if (group->leader == member)
                group->leader = NULL;
}

void group_clear_members(Group *group) {
        HASHMAP_FOREACH(&group->by_id, node) {
                Member *member = container_of(node, Member, by_id);
                detach_member(group, member);
                free_member(group->state_owner, member);
        }
        group->leader = NULL;
}

/* ---- answers */

static void answer_join(Member *member, const JoinResult *result) {
        JoinWait *wait = member->join;
        member->join = NULL;
        if (!wait)
                return;
        wait->member = NULL;
        wait->done(wait, result);
}

static void refuse_join(JoinWait *wait, int16_t code, Str member_id) {
        wait->member = NULL;
        wait->done(wait, &(JoinResult){ .code = code, .member_id = member_id });
}

static void answer_sync(Member *member, int16_t code) {
        SyncWait *wait = member->sync;
        member->sync = NULL;
        if (!wait)
                return;
        wait->member = NULL;
        wait->done(wait, code, code ? NULL : member);
}

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

/* The generation as it stands. */
static JoinResult current_join(Group *group, const Member *member) {
        return (JoinResult){
                .member_id = str_of(member->id),
                .group = group,
                .leader_id = group->leader ? str_of(group->leader->id) : STR(""),
                .is_leader = group->leader == member,
        };
}

/* ---- phases */

static void set_state(State *state, Group *group, GroupState next) {
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
        start_timer(state, &group->join, delay < whole ? delay : whole);
}

static void prepare_rebalance(State *state, Group *group) {
        bool was_empty = group->state == GROUP_EMPTY;
        timer_stop(state, &group->pending_sync);
        if (group->state == GROUP_COMPLETING_REBALANCE)
                LIST_FOREACH(&group->members, node) {
                        Member *member = container_of(node, Member, node);
                        set_assignment(member, STR_NULL);
                        answer_sync(member, KAFKA_REBALANCE_IN_PROGRESS);
                }
        set_state(state, group, GROUP_PREPARING_REBALANCE);
        if (was_empty) {
                start_initial_delay(state, group);
                if (config_int(state->config, "group.initial.rebalance.delay.ms") > 0)
                        return;
                group->is_initial_delay = false;
        }
        start_timer(state, &group->join, max_rebalance_timeout(group));
        try_complete_join(state, group);
}

static void try_complete_join(State *state, Group *group) {
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

/* Each member votes for the first of its protocols that all support; most votes win, the earlier one on a draw. */
static const char *select_protocol(const Group *group) {
        const Member *first = container_of(list_first(&group->members), Member, node);
        const char *best = NULL;
        int32_t best_votes = 0;
        for (int32_t i = 0; i < first->protocol_count; i++) {
                const char *candidate = first->protocols[i].name;
                int32_t votes = 0, supporters = 0;
                LIST_FOREACH(&group->members, node) {
                        const Member *member = container_of(node, Member, node);
                        supporters += member_protocol(member, candidate) != NULL;
                        for (int32_t k = 0; k < member->protocol_count; k++) {
                                bool by_all = true;
                                LIST_FOREACH(&group->members, other)
                                        by_all &= member_protocol(container_of(other, Member, node), member->protocols[k].name) != NULL;
                                if (!by_all)
                                        continue;
                                votes += strcmp(member->protocols[k].name, candidate) == 0;
                                break;
                        }
                }
                if (supporters == group->member_count && votes > best_votes) {
                        best = candidate;
                        best_votes = votes;
                }
        }
        return best ? best : first->protocols[0].name;
}

static void persist(State *state, Group *group) {
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
        set_state(state, group, GROUP_EMPTY);
        persist(state, group);
        offsets_watch(state);
}

/* Members who did not come back are out; static ones stay until their session ends (KIP-345). */
static void drop_absent(State *state, Group *group) {
        LIST_FOREACH(&group->members, node) {
                Member *member = container_of(node, Member, node);
                if (member->join || member->instance_id)
                        continue;
                detach_member(group, member);
                free_member(state, member);
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
                detach_member(group, member);
                answer_join(member, &(JoinResult){ .code = KAFKA_UNKNOWN_MEMBER_ID });
                free_member(state, member);
                changed = true;
        }
        if (changed && (group->state == GROUP_COMPLETING_REBALANCE || group->state == GROUP_STABLE))
                prepare_rebalance(state, group);
}

static void complete_join(State *state, Group *group) {
        timer_stop(state, &group->join);
        group->is_initial_delay = false;
        drop_absent(state, group);
        if (group->member_count == 0) {
                become_empty(state, group);
                return;
        }
        if (!elect_leader(group)) { /* only absent static members: go on waiting for them */
                start_timer(state, &group->join, max_rebalance_timeout(group));
                return;
        }
        group->generation++;
        group_set_text(&group->protocol, str_of(select_protocol(group)));
        set_state(state, group, GROUP_COMPLETING_REBALANCE);
        start_timer(state, &group->pending_sync, max_rebalance_timeout(group));
        LIST_FOREACH(&group->members, node) {
                Member *member = container_of(node, Member, node);
                member->is_new = false;
                member->has_synced = false;
                member_touch(state, member);
                JoinResult result = current_join(group, member);
                answer_join(member, &result);
        }
}

static void remove_member(State *state, Group *group, Member *member) {
        detach_member(group, member);
        answer_join(member, &(JoinResult){ .code = KAFKA_UNKNOWN_MEMBER_ID, .member_id = str_of(member->id) });
        answer_sync(member, KAFKA_UNKNOWN_MEMBER_ID);
        bool was_pending = member->is_pending;
        free_member(state, member);
        if (!was_pending && (group->state == GROUP_STABLE || group->state == GROUP_COMPLETING_REBALANCE))
                prepare_rebalance(state, group);
        else
                try_complete_join(state, group);
}

/* ---- JoinGroup */

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
        return new_member(group, id, args->instance_id, args->client_id, args->client_host, args->session_timeout_ms,
                          args->rebalance_timeout_ms);
}

static void wait_for_join(Member *member, JoinWait *wait) {
        answer_join(member, &(JoinResult){ .code = KAFKA_REBALANCE_IN_PROGRESS, .member_id = str_of(member->id) });
        member->join = wait;
        wait->member = member;
}

/* The member has no session of its own while it waits: joining is bounded by the rebalance timeout. */
static void add_and_rebalance(State *state, Group *group, const JoinArgs *args, Str id, JoinWait *wait) {
        Member *member = make_member(group, args, id);
        if (!member || !set_protocols(member, args->protocols, args->protocol_count)) {
                if (member) {
                        hashmap_remove(&group->by_id, &member->by_id);
                        free_member(state, member);
                }
                refuse_join(wait, KAFKA_COORDINATOR_NOT_AVAILABLE, STR(""));
                return;
        }
        if (group->member_count == 0)
                group_set_text(&group->protocol_type, args->protocol_type);
        member->is_new = true;
        enter_members(group, member);
        member_touch(state, member);
        wait_for_join(member, wait);
        group->has_new_member = true;
        if (group->state == GROUP_PREPARING_REBALANCE)
                try_complete_join(state, group);
        else
                prepare_rebalance(state, group);
}

static void update_and_rebalance(State *state, Group *group, Member *member, const JoinArgs *args, JoinWait *wait) {
        if (!set_protocols(member, args->protocols, args->protocol_count)) {
                refuse_join(wait, KAFKA_COORDINATOR_NOT_AVAILABLE, STR(""));
                return;
        }
        member->session_timeout_ms = args->session_timeout_ms;
        member->rebalance_timeout_ms = args->rebalance_timeout_ms;
        wait_for_join(member, wait);
        if (group->state == GROUP_PREPARING_REBALANCE)
                try_complete_join(state, group);
        else
                prepare_rebalance(state, group);
}

/* A static member that restarted takes the place of its former self (KIP-345), without a rebalance where nothing changed. */
static void replace_static(State *state, Group *group, Member *member, const JoinArgs *args, Str id, JoinWait *wait) {
        char *old_id = member->id, *fresh = str_dup(id);
        if (!fresh) {
                refuse_join(wait, KAFKA_COORDINATOR_NOT_AVAILABLE, STR(""));
                return;
        }
        answer_join(member, &(JoinResult){ .code = KAFKA_FENCED_INSTANCE_ID, .member_id = str_of(old_id) });
        answer_sync(member, KAFKA_FENCED_INSTANCE_ID);
        hashmap_remove(&group->by_id, &member->by_id);
        member->id = fresh;
        if (hashmap_insert(&group->by_id, str_of(fresh), &member->by_id) < 0)
                trace_error("out of memory");
        bool unchanged = group->state == GROUP_STABLE && same_protocols(member, args);
        member_touch(state, member);
        if (!unchanged) {
                free(old_id);
                update_and_rebalance(state, group, member, args, wait);
                return;
        }
        persist(state, group);
        JoinResult result = current_join(group, member);
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
        detach_member(group, member);
        free_member(state, member);
        add_and_rebalance(state, group, args, args->member_id, wait);
}

static void join_known(State *state, Group *group, Member *member, const JoinArgs *args, JoinWait *wait) {
        bool changed = !same_protocols(member, args);
        JoinResult result = current_join(group, member);
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
                        prepare_rebalance(state, group);
                } else {
                        set_state(state, group, GROUP_STABLE);
                        LIST_FOREACH(&group->members, node)
                                answer_sync(container_of(node, Member, node), 0);
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
                set_assignment(container_of(node, Member, node), STR(""));
        for (int32_t i = 0; i < args->assignment_count; i++) {
                Member *member = member_find(group, args->assignments[i].member_id);
                if (member)
                        set_assignment(member, args->assignments[i].assignment);
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
        answer_sync(member, KAFKA_REBALANCE_IN_PROGRESS); /* an older request of the same member */
        member->sync = wait;
        wait->member = member;
        if (group->leader == member && take_assignments(state, group, args))
                answer_sync(member, KAFKA_COORDINATOR_NOT_AVAILABLE);
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
        remove_member(state, group, member);
        return 0;
}

void group_init_timers(Group *group) {
        group->join.fire = on_join_timer;
        group->pending_sync.fire = on_sync_timer;
}
