/* Requests of an actor, and what becomes of them. */
#include "tests/lib/group_actor.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "storage/base/error.h"

static void copy(char *to, size_t size, Str text) {
        snprintf(to, size, "%.*s", STR_ARG(text));
}

Actor actor_new(State *state, const char *client) {
        return (Actor){ .state = state, .group = "g", .client = client, .type = "consumer", .protocols = { "range" },
                        .metadata = STR("m"), .session_ms = 10000, .rebalance_ms = 30000, .version = 3 };
}

static void on_joined(JoinWait *wait, const JoinResult *result) {
        Actor *actor = container_of(wait, Actor, join);
        actor->joins++;
        actor->is_joining = false;
        actor->join_code = result->code;
        actor->is_leader = result->is_leader;
        actor->skips_assignment = result->skip_assignment;
        if (!result->code || result->code == KAFKA_MEMBER_ID_REQUIRED)
                copy(actor->id, sizeof(actor->id), result->member_id);
        if (result->code)
                return;
        actor->generation = result->group->generation;
        actor->member_count = result->is_leader ? result->group->member_count : 0;
        copy(actor->leader, sizeof(actor->leader), result->leader_id);
        copy(actor->protocol, sizeof(actor->protocol), str_of(result->group->protocol));
}

void actor_join(Actor *actor) {
        JoinProtocol protocols[4];
        int32_t count = 0;
        for (; actor->protocols[count]; count++)
                protocols[count] = (JoinProtocol){ str_of(actor->protocols[count]), actor->metadata };
        actor_join_with(actor, protocols, count);
}

void actor_join_with(Actor *actor, const JoinProtocol *protocols, int32_t count) {
        cr_assert(!actor->is_joining);
        JoinArgs args = {
                .group_id = str_of(actor->group),
                .member_id = str_of(actor->id),
                .instance_id = str_of(actor->instance),
                .client_id = str_of(actor->client),
                .client_host = STR("/127.0.0.1"),
                .protocol_type = str_of(actor->type),
                .session_timeout_ms = actor->session_ms,
                .rebalance_timeout_ms = actor->rebalance_ms,
                .protocols = protocols,
                .protocol_count = count,
                .requires_known_member_id = actor->version >= 4,
                .can_skip_assignment = actor->version >= 9,
        };
        actor->is_joining = true;
        actor->join = (JoinWait){ .done = on_joined };
        group_join(actor->state, &args, &actor->join);
}

void actor_join_expect(Actor *actor, int16_t code) {
        actor_join(actor);
        cr_assert(!actor->is_joining, "%s waits", actor->client);
        cr_assert_eq(actor->join_code, code, "%s got %d", actor->client, actor->join_code);
}

static void on_synced(SyncWait *wait, int16_t code, const Member *member) {
        Actor *actor = container_of(wait, Actor, sync);
        actor->syncs++;
        actor->is_syncing = false;
        actor->sync_code = code;
        copy(actor->assignment, sizeof(actor->assignment), member ? member->assignment : STR(""));
        actor->synced_generation = member ? member->group->generation : -1;
        cr_assert_eq(member == NULL, code != 0);
}

void actor_sync_with(Actor *actor, const SyncAssignment *assignments, int32_t count) {
        cr_assert(!actor->is_syncing);
        SyncArgs args = {
                .group_id = str_of(actor->group),
                .member_id = str_of(actor->id),
                .instance_id = str_of(actor->instance),
                .protocol_type = str_of(actor->type),
                .generation = actor->generation,
                .assignments = assignments,
                .assignment_count = count,
        };
        actor->is_syncing = true;
        actor->sync = (SyncWait){ .done = on_synced };
        group_sync(actor->state, &args, &actor->sync);
}

void actor_sync(Actor *actor) {
        actor_sync_with(actor, NULL, 0);
}

void actor_assign(Actor *leader, Actor *const *actors, int count) {
        SyncAssignment *assignments = calloc((size_t)count, sizeof(*assignments));
        for (int i = 0; i < count; i++)
                assignments[i] = (SyncAssignment){ str_of(actors[i]->id), str_of(actors[i]->client) };
        actor_sync_with(leader, assignments, count);
        free(assignments);
}

void actor_sync_expect(Actor *actor, int16_t code) {
        actor_sync(actor);
        cr_assert(!actor->is_syncing, "%s waits", actor->client);
        cr_assert_eq(actor->sync_code, code, "%s got %d", actor->client, actor->sync_code);
}

int16_t actor_heartbeat(Actor *actor) {
        return group_heartbeat(actor->state, str_of(actor->group), str_of(actor->id), str_of(actor->instance), actor->generation);
}

int16_t actor_leave(Actor *actor) {
        return group_leave(actor->state, str_of(actor->group), str_of(actor->id), str_of(actor->instance));
}

void actor_assert_joined(const Actor *actor, int32_t generation, const Actor *leader) {
        cr_assert(!actor->is_joining && actor->join_code == 0, "%s: %d", actor->client, actor->join_code);
        cr_assert_eq(actor->generation, generation, "%s: %d", actor->client, actor->generation);
        cr_assert_str_eq(actor->leader, leader->id);
        cr_assert_eq(actor->is_leader, actor == leader);
}

void actor_assert_assigned(const Actor *actor) {
        cr_assert(!actor->is_syncing && actor->sync_code == 0, "%s: %d", actor->client, actor->sync_code);
        cr_assert_str_eq(actor->assignment, actor->client);
}

void actors_stabilise(Actor *const *actors, int count) {
        for (int i = 0; i < count; i++)
                actor_join(actors[i]);
        if (count > 1)
                actor_join(actors[0]);
        for (int i = 0; i < count; i++) {
                actor_assert_joined(actors[i], count > 1 ? 2 : 1, actors[0]);
                if (i > 0)
                        actor_sync(actors[i]);
        }
        actor_assign(actors[0], actors, count);
        state_commit(actors[0]->state);
        for (int i = 0; i < count; i++)
                actor_assert_assigned(actors[i]);
        cr_assert_eq(actor_group(actors[0])->state, GROUP_STABLE);
}

void actors_beat_for(StateFixture *fixture, int64_t ms, Actor *const *actors, int count) {
        for (int64_t left_ms = ms; left_ms > 0; left_ms -= 5000) {
                state_fixture_advance(fixture, left_ms < 5000 ? left_ms : 5000);
                for (int i = 0; i < count; i++)
                        actor_heartbeat(actors[i]);
        }
}

Group *actor_group(const Actor *actor) {
        return group_find(actor->state, str_of(actor->group));
}
