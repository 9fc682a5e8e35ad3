/* A client of the classic group protocol, as the state sees it: it asks, and keeps the answer. */
#pragma once

#include "broker/state/groups/groups.h"
#include "tests/lib/state_fixture.h"

typedef struct Actor {
        JoinWait join;
        SyncWait sync;
        State *state;
        const char *group, *client, *instance /* NULL: dynamic */, *type;
        const char *protocols[4]; /* NULL after the last */
        Str metadata;
        int32_t session_ms, rebalance_ms;
        int16_t version; /* of JoinGroup */
        char id[320];    /* what the last answer gave; empty: none */

        bool is_joining, is_syncing; /* parked */
        int joins, syncs;            /* answers so far */
        int16_t join_code, sync_code;
        int32_t generation, member_count;
        int32_t synced_generation; /* the group's when it gave the assignment */
        bool is_leader, skips_assignment;
        char leader[320], protocol[32], assignment[64];
} Actor;

/* Consumer of group "g": session 10 s, rebalance 30 s, protocol "range", no member id asked for (JoinGroup v3). */
Actor actor_new(State *state, const char *client);

/* Sends JoinGroup; afterwards is_joining, or the answer is there. An error other than MEMBER_ID_REQUIRED keeps the id. */
void actor_join(Actor *actor);
/* The same with these protocols. */
void actor_join_with(Actor *actor, const JoinProtocol *protocols, int32_t count);
/* The same, and fails the test unless the answer comes at once with that code. */
void actor_join_expect(Actor *actor, int16_t code);

/* SyncGroup without assignments; with one for each of the actors (text: their client); with any; or with an error expected at
 * once. */
void actor_sync(Actor *actor);
void actor_assign(Actor *leader, Actor *const *actors, int count);
void actor_sync_with(Actor *actor, const SyncAssignment *assignments, int32_t count);
void actor_sync_expect(Actor *actor, int16_t code);

/* Fails the test unless the actor was let into that generation, under that leader. */
void actor_assert_joined(const Actor *actor, int32_t generation, const Actor *leader);
/* Fails the test unless the actor was given what actor_assign() means for it. */
void actor_assert_assigned(const Actor *actor);

/* Makes the actors a stable group led by the first; needs a configuration without the initial delay. */
void actors_stabilise(Actor *const *actors, int count);
/* Lets time pass in which these keep their sessions alive. */
void actors_beat_for(StateFixture *fixture, int64_t ms, Actor *const *actors, int count);

int16_t actor_heartbeat(Actor *actor);
int16_t actor_leave(Actor *actor);

Group *actor_group(const Actor *actor);
