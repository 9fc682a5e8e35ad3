/* Members of a group: their memory, and the lists that they are in. */
#include "broker/state/groups/classic_members.h"

#include <stdlib.h>

#include "broker/state/groups/classic_rebalance.h"
#include "storage/base/trace.h"

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
        member->group->protocol_bytes -= member->protocol_bytes;
        member->protocols = NULL;
        member->protocol_count = 0;
        member->protocol_bytes = 0;
}

int64_t join_protocol_bytes(const JoinProtocol *protocols, int32_t count) {
        int64_t bytes = 0;
        for (int32_t i = 0; i < count; i++)
                bytes += (int64_t)(sizeof(MemberProtocol) + protocols[i].name.len + protocols[i].metadata.len);
        return bytes;
}

int64_t join_member_bytes(Str id, Str instance_id, Str client_id, Str client_host) {
        return (int64_t)(sizeof(Member) + id.len + instance_id.len + client_id.len + client_host.len);
}

static Str dup_bytes(Str s) {
        return (Str){ .data = str_dup(str_is_null(s) ? STR("") : s), .len = s.len };
}

bool member_set_protocols(Member *member, const JoinProtocol *protocols, int32_t count) {
        free_protocols(member);
        member->protocol_bytes = join_protocol_bytes(protocols, count);
        member->group->protocol_bytes += member->protocol_bytes;
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

void member_set_assignment(Member *member, Str assignment) {
        free((char *)(uintptr_t)member->assignment.data);
        member->assignment = str_is_null(assignment) ? STR_NULL : dup_bytes(assignment);
}

bool member_same_protocols(const Member *member, const JoinArgs *args) {
        if (member->protocol_count != args->protocol_count)
                return false;
        for (int32_t i = 0; i < args->protocol_count; i++)
                if (!str_equal(str_of(member->protocols[i].name), args->protocols[i].name) ||
                    !str_equal(member->protocols[i].metadata, args->protocols[i].metadata))
                        return false;
        return true;
}

void member_free(State *state, Member *member) {
        if (member->join)
                member->join->member = NULL;
        if (member->sync)
                member->sync->member = NULL;
        timer_stop(state, &member->session);
        free_protocols(member);
        member_set_assignment(member, STR_NULL);
        free(member->id);
        free(member->instance_id);
        free(member->client_id);
        free(member->client_host);
        member->group->member_bytes -= member->bytes;
        free(member);
}

void member_touch(State *state, Member *member) {
        if (timer_set(state, &member->session, state->mono_ms + member->session_timeout_ms) < 0)
                trace_error("out of memory");
}

Member *member_new(Group *group, Str id, Str instance_id, Str client_id, Str client_host, int32_t session_timeout_ms,
                          int32_t rebalance_timeout_ms) {
        Member *member = calloc(1, sizeof(*member));
        if (!member)
                return NULL;
        member->group = group;
        member->session.fire = member_session_end;
        member->id = str_dup(id);
        member->instance_id = str_dup(instance_id);
        member->client_id = str_dup(str_is_null(client_id) ? STR("") : client_id);
        member->client_host = str_dup(client_host);
        member->session_timeout_ms = session_timeout_ms;
        member->rebalance_timeout_ms = rebalance_timeout_ms;
        member->bytes = join_member_bytes(id, instance_id, client_id, client_host);
        group->member_bytes += member->bytes;
        bool ok = member->id && member->client_id && member->client_host && (str_is_null(instance_id) || member->instance_id);
        if (ok && hashmap_insert(&group->by_id, str_of(member->id), &member->by_id) == 0)
                return member;
        member_free(group->state_owner, member);
        return NULL;
}

void member_enter(Group *group, Member *member) {
        list_append(&group->members, &member->node);
        group->member_count++;
}

Member *group_add_replayed(Group *group, Str id, Str instance_id, Str client_id, Str client_host, int32_t session_timeout_ms,
                           int32_t rebalance_timeout_ms, Str protocol, Str metadata, Str assignment) {
        Member *member = member_new(group, id, instance_id, client_id, client_host, session_timeout_ms, rebalance_timeout_ms);
        JoinProtocol only = { .name = str_is_null(protocol) ? STR("") : protocol, .metadata = metadata };
        if (!member)
                return NULL;
        member_enter(group, member);
        member_set_assignment(member, assignment);
        return member_set_protocols(member, &only, 1) ? member : NULL;
}

/* Takes the member out of all lists; the caller decides what that means for the group. */
void member_detach(Group *group, Member *member) {
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
                member_detach(group, member);
                member_free(group->state_owner, member);
        }
        group->leader = NULL;
}
