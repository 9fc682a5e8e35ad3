/* The phases of a rebalance: everybody joins, the leader assigns, all get their part. */
#pragma once

#include "broker/state/groups/groups.h"

/* Answers the request that the member waits with, if there is one. */
void member_answer_join(Member *member, const JoinResult *result);
void member_answer_sync(Member *member, int16_t code);

/* The group's generation as it stands, for this member. */
JoinResult group_current_join(Group *group, const Member *member);

void group_set_state(State *state, Group *group, GroupState next);

/* Starts the joining phase, or ends it if it runs and nobody is missing: after a JoinGroup that has to wait. */
void group_join_again(State *state, Group *group);

/* Starts the joining phase; members that wait for an assignment are told to join again. */
void group_prepare_rebalance(State *state, Group *group);
/* Ends the joining phase if it runs and nobody is missing. */
void group_try_complete_join(State *state, Group *group);

/* Takes a member out for good, frees it, and rebalances where the others are affected. */
void group_remove_member(State *state, Group *group, Member *member);

/* The protocol of the next generation: each member votes for the first of its protocols that all support; most votes win, the
 * earlier one on a draw. The group has members. */
const char *group_select_protocol(const Group *group);

/* A member that is known by its instance id joins without a member id; id is its new one. */
void group_replace_static(State *state, Group *group, Member *member, const JoinArgs *args, Str id, JoinWait *wait);

/* Queues the group's record; a failure is traced. */
void group_persist(State *state, Group *group);

/* What a member's session timer does. */
void member_session_end(Timer *timer, State *state);
