/* Static members (KIP-345): who restarts takes the place of the former self. */
#include <criterion/criterion.h>

#include "storage/base/error.h"
#include "tests/lib/group_actor.h"
#include "tests/lib/state_fixture.h"

static StateFixture fixture;
static Actor a, b, former;

static void setup(void) {
        state_fixture_start(&fixture);
        state_fixture_set(&fixture, "group.initial.rebalance.delay.ms", "0");
        a = actor_new(fixture.state, "a");
        b = actor_new(fixture.state, "b");
        a.instance = "i-a";
        b.instance = "i-b";
        a.version = b.version = 9;
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(group_static, .init = setup, .fini = teardown);

static void stabilise(int count) {
        actors_stabilise((Actor *[]){ &a, &b }, count);
}

static GroupState state_of_group(void) {
        return actor_group(&a)->state;
}

/* The client forgets what it was told and joins anew; former stands for the process that was. */
static void restart(Actor *actor) {
        former = *actor;
        actor->is_joining = actor->is_syncing = false;
        strcpy(actor->id, "");
        strcpy(actor->assignment, "");
        actor_join(actor);
}

static void restart_and_commit(Actor *actor) {
        restart(actor);
        state_commit(fixture.state);
        cr_assert(!actor->is_joining);
}

static void assert_fenced(Actor *actor) {
        cr_assert_eq(actor_heartbeat(actor), KAFKA_FENCED_INSTANCE_ID);
        actor_sync_expect(actor, KAFKA_FENCED_INSTANCE_ID);
        actor_join_expect(actor, KAFKA_FENCED_INSTANCE_ID);
        cr_assert_eq(actor_leave(actor), KAFKA_FENCED_INSTANCE_ID);
        cr_assert_eq(group_check_commit(fixture.state, actor_group(actor), str_of(actor->id), str_of(actor->instance), actor->generation),
                     KAFKA_FENCED_INSTANCE_ID);
}

Test(group_static, no_id_is_demanded_of_them) {
        actor_join(&a);
        actor_assert_joined(&a, 1, &a);
        cr_assert_eq(strncmp(a.id, "i-a-", 4), 0);
}

Test(group_static, a_follower_restarts_without_a_rebalance) {
        stabilise(2);
        restart(&b);
        cr_assert(b.is_joining, "an answer before the new id is in the log");
        state_commit(fixture.state);
        actor_assert_joined(&b, 2, &a);
        cr_assert_str_neq(b.id, former.id);
        cr_assert(!b.skips_assignment);
        cr_assert_eq(state_of_group(), GROUP_STABLE);
        cr_assert_eq(actor_heartbeat(&a), 0);
        actor_sync_expect(&b, 0);
        actor_assert_assigned(&b);
}

Test(group_static, a_leader_restarts_without_assigning_anew) {
        stabilise(2);
        restart_and_commit(&a);
        actor_assert_joined(&a, 2, &a);
        cr_assert(a.skips_assignment);
        cr_assert_eq(a.member_count, 2);
        actor_sync_expect(&a, 0);
        actor_assert_assigned(&a);
}

Test(group_static, an_older_leader_is_told_that_its_former_self_leads) {
        a.version = 8;
        stabilise(2);
        restart_and_commit(&a);
        cr_assert(!a.join_code && !a.is_leader && !a.skips_assignment);
        cr_assert_str_eq(a.leader, former.id);
        cr_assert_eq(a.generation, 2);
        cr_assert_str_eq(actor_group(&a)->leader->id, a.id);
}

Test(group_static, the_former_self_is_fenced) {
        stabilise(2);
        restart_and_commit(&b);
        assert_fenced(&former);
        cr_assert_eq(actor_heartbeat(&b), 0);
}

Test(group_static, a_waiting_join_is_fenced_by_a_restart) {
        stabilise(2);
        actor_join(&a);
        Actor successor = a;
        successor.is_joining = false;
        strcpy(successor.id, "");
        actor_join(&successor);
        cr_assert(!a.is_joining && a.join_code == KAFKA_FENCED_INSTANCE_ID);
        actor_join(&b);
        actor_assert_joined(&successor, 3, &successor);
        cr_assert_eq(successor.member_count, 2);
}

Test(group_static, a_waiting_sync_is_fenced_by_a_restart_which_starts_a_rebalance) {
        stabilise(2);
        actor_join(&a);
        actor_join(&b);
        actor_sync(&b);
        Actor successor = b;
        successor.is_syncing = false;
        strcpy(successor.id, "");
        actor_join(&successor);
        cr_assert(!b.is_syncing && b.sync_code == KAFKA_FENCED_INSTANCE_ID);
        cr_assert(successor.is_joining && state_of_group() == GROUP_PREPARING_REBALANCE);
        actor_join(&a);
        actor_assert_joined(&successor, 4, &a);
}

Test(group_static, changed_metadata_alone_starts_no_rebalance) {
        stabilise(2);
        b.metadata = STR("changed");
        restart_and_commit(&b);
        actor_assert_joined(&b, 2, &a);
        cr_assert_eq(state_of_group(), GROUP_STABLE);
        const Member *member = member_find(actor_group(&b), str_of(b.id));
        cr_assert(str_equal(member_protocol(member, "range")->metadata, STR("changed")));
}

Test(group_static, another_choice_of_protocol_starts_a_rebalance) {
        const char *const both[] = { "range", "sticky" };
        memcpy(a.protocols, both, sizeof(both));
        memcpy(b.protocols, both, sizeof(both));
        stabilise(2);
        b.protocols[0] = "sticky";
        b.protocols[1] = NULL;
        restart(&b);
        cr_assert(b.is_joining && state_of_group() == GROUP_PREPARING_REBALANCE);
        actor_join(&a);
        actor_assert_joined(&b, 3, &a);
        cr_assert_str_eq(b.protocol, "sticky");
}

Test(group_static, a_restart_counts_as_rejoining) {
        stabilise(2);
        actor_join(&a);
        restart(&b);
        actor_assert_joined(&a, 3, &a);
        actor_assert_joined(&b, 3, &a);
}

Test(group_static, a_restart_while_joining_for_the_first_time_goes_on_waiting) {
        a.rebalance_ms = 600000;
        stabilise(1);
        actor_join(&b);
        Actor successor = b;
        successor.is_joining = false;
        actor_join(&successor);
        cr_assert_eq(b.join_code, KAFKA_FENCED_INSTANCE_ID);
        actors_beat_for(&fixture, 400000, (Actor *[]){ &a }, 1);
        cr_assert(successor.is_joining);
        actor_join(&a);
        actor_assert_joined(&successor, 2, &a);
        cr_assert_eq(a.member_count, 2);
}

Test(group_static, the_new_id_survives_a_crash) {
        stabilise(2);
        restart_and_commit(&b);
        state_fixture_crash(&fixture);
        a.state = b.state = former.state = fixture.state;
        cr_assert_eq(actor_heartbeat(&a), 0);
        cr_assert_eq(actor_heartbeat(&b), 0);
        cr_assert_eq(actor_heartbeat(&former), KAFKA_FENCED_INSTANCE_ID);
        actor_sync_expect(&b, 0);
        actor_assert_assigned(&b);
}

Test(group_static, a_restart_that_cannot_be_written_is_refused) {
        stabilise(2);
        state_fixture_fail_writes(true);
        restart_and_commit(&b);
        state_fixture_fail_writes(false);
        cr_assert_eq(b.join_code, KAFKA_COORDINATOR_NOT_AVAILABLE);
        restart_and_commit(&b);
        actor_assert_joined(&b, 2, &a);
}

Test(group_static, a_rebalance_overtakes_a_restart) {
        stabilise(2);
        restart(&b);
        a.metadata = STR("changed");
        actor_join(&a); /* in the same turn: b waits already, so this completes */
        actor_assert_joined(&a, 3, &a);
        actor_assert_joined(&b, 3, &a);
        state_commit(fixture.state);
        cr_assert_eq(b.joins, 2);
}

Test(group_static, a_rebalance_that_began_meanwhile_answers_a_restart) {
        Actor c = actor_new(fixture.state, "c");
        stabilise(2);
        for (int i = 0; i < 2; i++) {
                restart(&b);
                actor_join(&c);
                state_fixture_fail_writes(i == 1);
                state_commit(fixture.state);
                state_fixture_fail_writes(false);
                cr_assert(b.is_joining && c.is_joining);
                actor_join(&a);
                actor_assert_joined(&b, 3 + i, &a);
                Actor *all[] = { &a, &b, &c };
                actor_assign(&a, all, 3);
                state_commit(fixture.state);
                cr_assert_eq(state_of_group(), GROUP_STABLE);
                c.metadata = STR("changed");
        }
}

Test(group_static, two_restarts_in_a_turn_leave_one) {
        stabilise(2);
        restart(&b);
        Actor again = b;
        again.is_joining = false;
        strcpy(again.id, "");
        actor_join(&again);
        cr_assert_eq(b.join_code, KAFKA_FENCED_INSTANCE_ID);
        state_commit(fixture.state);
        actor_assert_joined(&again, 2, &a);
        cr_assert_eq(actor_group(&a)->member_count, 2);
}

Test(group_static, absent_ones_stay_over_a_rebalance) {
        stabilise(2);
        actor_join(&a);
        actors_beat_for(&fixture, 30000, (Actor *[]){ &b }, 1);
        actor_assert_joined(&a, 3, &a);
        cr_assert_eq(a.member_count, 2);
        Actor *all[] = { &a, &b };
        actor_assign(&a, all, 2);
        state_commit(fixture.state);
        cr_assert_eq(actor_heartbeat(&b), KAFKA_ILLEGAL_GENERATION);
        restart_and_commit(&b);
        actor_assert_joined(&b, 3, &a);
        actor_sync_expect(&b, 0);
        actor_assert_assigned(&b);
}

Test(group_static, absent_ones_do_not_lead) {
        stabilise(2);
        b.metadata = STR("changed");
        actor_join(&b);
        actors_beat_for(&fixture, 30000, (Actor *[]){ &a }, 1);
        actor_assert_joined(&b, 3, &b);
        cr_assert_eq(b.member_count, 2);
}

Test(group_static, a_joining_phase_to_which_nobody_comes_goes_on) {
        a.session_ms = b.session_ms = 100000;
        stabilise(2);
        cr_assert_eq(group_leave(fixture.state, STR("g"), STR(""), STR("i-a")), 0);
        state_fixture_advance(&fixture, 60000);
        cr_assert_eq(state_of_group(), GROUP_PREPARING_REBALANCE);
        cr_assert_eq(actor_group(&a)->generation, 2);
        actor_join(&b);
        actor_assert_joined(&b, 3, &b);
        cr_assert_eq(b.member_count, 1);
}

/* A client says how long others may take, and may say: no time at all. */
Test(group_static, such_a_phase_does_not_spin) {
        a.rebalance_ms = b.rebalance_ms = 0;
        stabilise(2);
        cr_assert_eq(group_leave(fixture.state, STR("g"), STR(""), STR("i-a")), 0);
        state_fixture_advance(&fixture, 5000);
        cr_assert_eq(state_of_group(), GROUP_PREPARING_REBALANCE);
        state_fixture_advance(&fixture, 5000);
        cr_assert_eq(state_of_group(), GROUP_EMPTY);
}

Test(group_static, they_go_when_their_session_ends) {
        stabilise(2);
        actors_beat_for(&fixture, 10000, (Actor *[]){ &a }, 1);
        cr_assert_eq(actor_heartbeat(&a), KAFKA_REBALANCE_IN_PROGRESS);
        cr_assert_eq(actor_heartbeat(&b), KAFKA_UNKNOWN_MEMBER_ID);
        restart(&b);
        cr_assert(b.is_joining);
        actor_join(&a);
        actor_assert_joined(&b, 3, &a);
}

Test(group_static, anybody_can_make_an_instance_leave) {
        stabilise(2);
        cr_assert_eq(group_leave(fixture.state, STR("g"), STR(""), STR("i-c")), KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(group_leave(fixture.state, STR("g"), STR(""), STR_NULL), KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(group_leave(fixture.state, STR("g"), str_of(a.id), STR("i-b")), KAFKA_FENCED_INSTANCE_ID);
        cr_assert_eq(actor_heartbeat(&b), 0);
        cr_assert_eq(group_leave(fixture.state, STR("g"), STR(""), STR("i-b")), 0);
        cr_assert_eq(actor_heartbeat(&b), KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(actor_heartbeat(&a), KAFKA_REBALANCE_IN_PROGRESS);
}

Test(group_static, instances_that_are_not_members_are_unknown) {
        stabilise(1);
        Actor other = a;
        other.instance = "i-x";
        cr_assert_eq(actor_heartbeat(&other), KAFKA_UNKNOWN_MEMBER_ID);
        actor_sync_expect(&other, KAFKA_UNKNOWN_MEMBER_ID);
        actor_join_expect(&other, KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(group_check_commit(fixture.state, actor_group(&a), str_of(a.id), STR("i-x"), a.generation), KAFKA_UNKNOWN_MEMBER_ID);
        other.instance = NULL;
        cr_assert_eq(actor_heartbeat(&other), 0); /* the member id says enough */
}

Test(group_static, an_id_that_was_given_to_a_dynamic_member_makes_no_static_one) {
        stabilise(1);
        b.instance = NULL;
        actor_join_expect(&b, KAFKA_MEMBER_ID_REQUIRED);
        b.instance = "i-a";
        actor_join_expect(&b, KAFKA_UNKNOWN_SERVER_ERROR);
        cr_assert_eq(actor_group(&a)->member_count, 1);
        cr_assert_eq(actor_heartbeat(&a), 0);
        cr_assert_eq(actor_leave(&b), 0); /* still only an id that was given */
}

Test(group_static, a_full_group_refuses_restarts_as_kafka_does) {
        state_fixture_set(&fixture, "group.max.size", "2");
        stabilise(2);
        restart(&b);
        cr_assert(!b.is_joining && b.join_code == KAFKA_GROUP_MAX_SIZE_REACHED);
        cr_assert_eq(actor_heartbeat(&former), 0);
}

Test(group_static, instance_ids_are_text) {
        actor_join(&a);
        JoinArgs args = { .group_id = STR("g"), .instance_id = { "i\0a", 3 }, .session_timeout_ms = 10000 };
        group_join(fixture.state, &args, &a.join);
        cr_assert_eq(a.join_code, KAFKA_INVALID_REQUEST);
}
