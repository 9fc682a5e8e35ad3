/* Members of a group: their memory, and the lists that they are in. What a change means for the group is classic_rebalance.h's. */
#pragma once

#include "broker/state/groups/groups.h"

/* A member in group->by_id, and in no other list yet; its session timer is not running. NULL without memory. */
Member *member_new(Group *group, Str id, Str instance_id, Str client_id, Str client_host, int32_t session_timeout_ms,
                   int32_t rebalance_timeout_ms);
/* Makes a new member a full one, last in the order of joining. */
void member_enter(Group *group, Member *member);
/* Takes a member, pending or full, out of all lists. */
void member_detach(Group *group, Member *member);
/* Frees a member that is in no list. Requests that still wait for it are forgotten. */
void member_free(State *state, Member *member);

/* The memory that a member takes, its protocols apart. */
int64_t join_member_bytes(Str id, Str instance_id, Str client_id, Str client_host);
/* The memory that a member takes for these protocols. */
int64_t join_protocol_bytes(const JoinProtocol *protocols, int32_t count);
/* Replaces the protocols by copies; false without memory. */
bool member_set_protocols(Member *member, const JoinProtocol *protocols, int32_t count);
/* Replaces the assignment by a copy; null for none. */
void member_set_assignment(Member *member, Str assignment);
/* Whether the request names the protocols that the member has, in the same order and with the same metadata. */
bool member_same_protocols(const Member *member, const JoinArgs *args);
