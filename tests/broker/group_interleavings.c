/* Members' requests, lost clients, time, failing disks and crashes in random order; the same seeds in every run. After each step the
 * group must be in order, and in the end nobody may be left waiting. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "storage/base/error.h"
#include "tests/lib/group_actor.h"
#include "tests/lib/state_fixture.h"

#define ACTORS 6
#define STEPS 150
#define SEEDS 60

static StateFixture fixture;
static Actor actors[ACTORS];
static uint64_t seed;
static bool is_failing;
static Group *seen_group;
static int32_t seen_generation;

static void setup(void) {
        state_fixture_start(&fixture);
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(group_interleavings, .init = setup, .fini = teardown, .timeout = 120);

static uint32_t random_below(uint32_t limit) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (uint32_t)(seed >> 32) % limit;
}

/* ---- the order that must hold */

static bool is_dirty(void) {
        return !list_is_empty(&fixture.state->commit_waits);
}

static void check_member(const Group *group, const Member *member) {
        cr_assert(member->group == group && member_find(group, str_of(member->id)) == member);
        cr_assert(!member->is_pending && !(member->join && member->sync));
        cr_assert(!member->join || member->join->member == member);
        cr_assert(!member->sync || member->sync->member == member);
        cr_assert(!member->instance_id || member_find_instance(group, str_of(member->instance_id)) == member);
        cr_assert(timer_is_set(&member->session));
        cr_assert(!member->sync || group->state == GROUP_COMPLETING_REBALANCE);
        if (member->join) /* in a stable group only until a static member's new id is written */
                cr_assert(group->state == GROUP_PREPARING_REBALANCE || (group->state == GROUP_STABLE && is_dirty()));
        if (group->state == GROUP_STABLE && member->assignment.len) {
                char generation[16];
                snprintf(generation, sizeof(generation), "%d", group->generation);
                cr_assert(str_equal(member->assignment, str_of(generation)));
        }
}

static void check_counts(const Group *group) {
        int32_t members = 0, pending = 0, joining = 0, syncing = 0, parked = 0;
        bool leader_found = false;
        LIST_FOREACH(&group->members, node) {
                const Member *member = container_of(node, Member, node);
                check_member(group, member);
                members++;
                joining += member->join != NULL;
                syncing += member->sync != NULL;
                leader_found |= member == group->leader;
        }
        HASHMAP_FOREACH(&group->by_id, node)
                pending += container_of(node, Member, by_id)->is_pending;
        for (int i = 0; i < ACTORS; i++)
                parked += actors[i].is_joining + actors[i].is_syncing;
        cr_assert(members == group->member_count && pending == group->pending_count);
        cr_assert_eq((int32_t)group->by_id.count, members + pending);
        cr_assert_eq(parked, joining + syncing);
        cr_assert(!group->leader || leader_found);
        bool is_complete = group->state == GROUP_COMPLETING_REBALANCE || group->state == GROUP_STABLE;
        cr_assert(!is_complete || (group->leader && group->protocol));
        cr_assert((group->state != GROUP_EMPTY && !is_complete) || (members == 0) == (group->state == GROUP_EMPTY));
        if (group->state == GROUP_PREPARING_REBALANCE) {
                cr_assert(timer_is_set(&group->join));
                cr_assert(group->is_initial_delay || pending || joining < members, "nobody is missing");
        } else {
                cr_assert(!timer_is_set(&group->join));
        }
        cr_assert(group->state != GROUP_COMPLETING_REBALANCE || timer_is_set(&group->pending_sync));
}

static void check(void) {
        Group *group = group_find(fixture.state, STR("g"));
        if (!group) {
                for (int i = 0; i < ACTORS; i++)
                        cr_assert(!actors[i].is_joining && !actors[i].is_syncing);
                seen_group = NULL;
                return;
        }
        check_counts(group);
        cr_assert(group != seen_group || group->generation >= seen_generation, "the generation went back");
        seen_group = group;
        seen_generation = group->generation;
}

/* ---- steps */

static void sync_one(Actor *actor) {
        char generation[16];
        SyncAssignment assignments[ACTORS];
        int32_t count = 0;
        snprintf(generation, sizeof(generation), "%d", actor->generation);
        for (int i = 0; actor->is_leader && i < ACTORS; i++)
                if (*actors[i].id)
                        assignments[count++] = (SyncAssignment){ str_of(actors[i].id), str_of(generation) };
        actor_sync_with(actor, assignments, count);
}

static void lose(Actor *actor) {
        if (actor->is_joining)
                join_wait_cancel(&actor->join);
        if (actor->is_syncing)
                sync_wait_cancel(&actor->sync);
        actor->is_joining = actor->is_syncing = false;
}

static void start_again(void) {
        if (random_below(2) && !is_failing)
                state_fixture_reopen(&fixture);
        else
                state_fixture_crash(&fixture);
        is_failing = false;
        for (int i = 0; i < ACTORS; i++) {
                actors[i].state = fixture.state;
                lose(&actors[i]);
        }
        seen_group = NULL;
}

/* What a client does whose request was refused. */
static void forget_old_id(Actor *actor) {
        if (actor->join_code == KAFKA_UNKNOWN_MEMBER_ID || actor->join_code == KAFKA_FENCED_INSTANCE_ID)
                strcpy(actor->id, "");
        actor->join_code = 0;
}

static void check_sync(const Actor *actor) {
        if (!actor->is_syncing && *actor->assignment)
                cr_assert_eq(atoi(actor->assignment), actor->synced_generation, "an assignment of another generation");
}

static void step_of(Actor *actor, uint32_t what) {
        static const Str metadata[] = { { "m", 1 }, { "n", 1 } };
        if (what < 35 && !actor->is_joining) {
                forget_old_id(actor);
                actor->metadata = metadata[random_below(8) == 0];
                actor_join(actor);
        } else if (what < 60 && !actor->is_syncing) {
                sync_one(actor);
        } else if (what < 80) {
                if (actor_heartbeat(actor) == KAFKA_UNKNOWN_MEMBER_ID && !actor->is_joining)
                        strcpy(actor->id, "");
        } else if (what < 85) {
                actor_leave(actor);
        } else if (what < 92) {
                lose(actor);
        } else if (!actor->is_joining && !actor->is_syncing) {
                strcpy(actor->id, ""); /* a new process */
        }
}

static void step(void) {
        uint32_t what = random_below(130);
        if (what < 100)
                step_of(&actors[random_below(ACTORS)], what);
        else if (what < 110)
                state_commit(fixture.state);
        else if (what < 124)
                state_fixture_advance(&fixture, random_below(random_below(4) ? 3000 : 40000));
        else if (what < 126)
                state_fixture_fail_writes(is_failing = !is_failing);
        else if (what < 128)
                group_delete(fixture.state, STR("g"));
        else if (what < 129)
                start_again();
}

static void start_actors(void) {
        static const char *const names[ACTORS] = { "a", "b", "c", "d", "e", "f" };
        for (int i = 0; i < ACTORS; i++) {
                actors[i] = actor_new(fixture.state, names[i]);
                actors[i].version = i % 2 ? 9 : 3;
                actors[i].instance = i < 2 ? names[i] : NULL;
                actors[i].session_ms = 6000 + 4000 * i;
                actors[i].rebalance_ms = 5000 + 10000 * (i % 3);
                actors[i].protocols[i % 2] = "sticky";
                actors[i].protocols[!(i % 2)] = "range";
        }
}

static void run(uint64_t first_seed, const char *delay_ms, const char *size_max) {
        state_fixture_set(&fixture, "group.initial.rebalance.delay.ms", delay_ms);
        state_fixture_set(&fixture, "group.max.size", size_max);
        start_actors();
        for (uint64_t i = 0; i < SEEDS; i++) {
                seed = (first_seed + i) * 0x9e3779b97f4a7c15u + 1;
                for (int k = 0; k < STEPS; k++) {
                        step();
                        check();
                        for (int n = 0; n < ACTORS; n++)
                                check_sync(&actors[n]);
                }
                state_fixture_fail_writes(is_failing = false);
                state_fixture_advance(&fixture, 600000);
                check();
                for (int n = 0; n < ACTORS; n++)
                        cr_assert(!actors[n].is_joining && !actors[n].is_syncing, "seed %d: %s waits for ever", (int)(first_seed + i),
                                  actors[n].client);
        }
}

Test(group_interleavings, without_a_delay) {
        run(1000, "0", "100");
}

Test(group_interleavings, with_a_delay) {
        run(2000, "3000", "100");
}

Test(group_interleavings, with_little_room) {
        run(3000, "500", "3");
}

Test(group_interleavings, with_every_write_on_disk_first) {
        fixture.config.durable = true;
        run(4000, "0", "100");
}
