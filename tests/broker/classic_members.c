/* Members of a group: their sessions, their ids, their leaving, and what each state answers to whom. */
#include <criterion/criterion.h>

#include "storage/base/error.h"
#include "tests/lib/group_actor.h"
#include "tests/lib/state_fixture.h"

static StateFixture fixture;
static Actor a, b, c;

static void setup(void) {
        state_fixture_start(&fixture);
        a = actor_new(fixture.state, "a");
        b = actor_new(fixture.state, "b");
        c = actor_new(fixture.state, "c");
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(group_members, .init = setup, .fini = teardown);

static void advance(int64_t ms) {
        state_fixture_advance(&fixture, ms);
}

static void without_delay(void) {
        state_fixture_set(&fixture, "group.initial.rebalance.delay.ms", "0");
}

static GroupState state_of_group(void) {
        return actor_group(&a)->state;
}

/* A stable group of a (leader), b and so on, without the initial delay. */
static void stabilise(int count) {
        without_delay();
        actors_stabilise((Actor *[]){ &a, &b, &c }, count);
}

static void beat_for(int64_t ms, Actor *const *actors, int count) {
        actors_beat_for(&fixture, ms, actors, count);
}

/* Sessions */

Test(group_members, silent_members_are_dropped_after_their_session) {
        stabilise(2);
        advance(5000);
        cr_assert_eq(actor_heartbeat(&a), 0);
        advance(4999);
        cr_assert_eq(actor_heartbeat(&a), 0);
        advance(1);
        cr_assert_eq(actor_heartbeat(&b), KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(actor_heartbeat(&a), KAFKA_REBALANCE_IN_PROGRESS);
        actor_join(&a);
        actor_assert_joined(&a, 3, &a);
}

Test(group_members, a_group_becomes_empty_with_its_last_session) {
        stabilise(1);
        advance(9999);
        cr_assert_eq(state_of_group(), GROUP_STABLE);
        advance(1);
        cr_assert_eq(state_of_group(), GROUP_EMPTY);
        cr_assert_eq(actor_group(&a)->generation, 2);
        actor_join_expect(&a, KAFKA_UNKNOWN_MEMBER_ID);
}

Test(group_members, waiting_to_join_is_a_sign_of_life) {
        stabilise(2);
        b.metadata = STR("changed");
        actor_join(&b);
        beat_for(25000, (Actor *[]){ &a }, 1);
        cr_assert(b.is_joining);
        actor_join(&a);
        actor_assert_joined(&b, 3, &a);
        advance(9999);
        cr_assert_eq(actor_heartbeat(&b), 0);
}

Test(group_members, session_begins_anew_with_the_assignment) {
        without_delay();
        actor_join(&a);
        actor_join(&b);
        actor_join(&a);
        actor_sync(&b);
        beat_for(19000, (Actor *[]){ &a }, 1); /* b's session is over once, and would be again a second later */
        Actor *all[] = { &a, &b };
        actor_assign(&a, all, 2);
        state_commit(fixture.state);
        actor_assert_assigned(&b);
        beat_for(9999, (Actor *[]){ &a }, 1);
        cr_assert_eq(actor_heartbeat(&b), 0);
}

Test(group_members, new_members_wait_for_a_generation_for_five_minutes) {
        a.rebalance_ms = 600000;
        stabilise(1);
        b.rebalance_ms = 600000;
        actor_join(&b);
        beat_for(299999, (Actor *[]){ &a }, 1);
        cr_assert(b.is_joining);
        advance(1);
        cr_assert(!b.is_joining && b.join_code == KAFKA_UNKNOWN_MEMBER_ID);
        actor_join(&a);
        actor_assert_joined(&a, 2, &a);
        cr_assert_eq(a.member_count, 1);
}

/* The five minutes are for new ones alone. */
Test(group_members, known_members_wait_for_as_long_as_it_takes) {
        a.rebalance_ms = 600000;
        stabilise(2);
        b.metadata = STR("changed");
        actor_join(&b);
        const Member *member = member_find(actor_group(&b), str_of(b.id));
        cr_assert_leq(member->session.node.key, fixture.state->mono_ms + b.session_ms);
        beat_for(400000, (Actor *[]){ &a }, 1);
        cr_assert(b.is_joining);
}

/* Member ids (KIP-394) */

Test(group_members, newer_clients_join_with_an_id_that_they_were_given) {
        without_delay();
        a.version = 4;
        actor_join_expect(&a, KAFKA_MEMBER_ID_REQUIRED);
        cr_assert(strncmp(a.id, "a-", 2) == 0 && strlen(a.id) == 38, "%s", a.id);
        cr_assert_eq(actor_group(&a)->member_count, 0);
        cr_assert_eq(state_of_group(), GROUP_EMPTY);
        char id[320];
        strcpy(id, a.id);
        actor_join(&a);
        actor_assert_joined(&a, 1, &a);
        cr_assert_str_eq(a.id, id);
}

Test(group_members, a_joining_phase_waits_for_whoever_was_given_an_id) {
        stabilise(1);
        b.version = 4;
        actor_join_expect(&b, KAFKA_MEMBER_ID_REQUIRED);
        cr_assert_eq(actor_heartbeat(&a), 0);
        actor_join(&a);
        cr_assert(a.is_joining);
        actor_join(&b);
        actor_assert_joined(&a, 2, &a);
        actor_assert_joined(&b, 2, &a);
}

Test(group_members, an_id_is_good_for_one_session) {
        stabilise(1);
        b.version = 4;
        b.session_ms = 6000;
        actor_join_expect(&b, KAFKA_MEMBER_ID_REQUIRED);
        actor_join(&a);
        advance(5999);
        cr_assert(a.is_joining);
        advance(1);
        actor_assert_joined(&a, 2, &a);
        actor_join_expect(&b, KAFKA_UNKNOWN_MEMBER_ID);
}

Test(group_members, whoever_was_given_an_id_is_not_a_member_yet) {
        stabilise(1);
        b.version = 4;
        actor_join_expect(&b, KAFKA_MEMBER_ID_REQUIRED);
        b.generation = 1;
        cr_assert_eq(actor_heartbeat(&b), KAFKA_UNKNOWN_MEMBER_ID);
        actor_sync_expect(&b, KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(group_check_commit(fixture.state, actor_group(&b), str_of(b.id), STR_NULL, 1), KAFKA_UNKNOWN_MEMBER_ID);
        Actor other = actor_new(fixture.state, "other");
        other.version = 4;
        actor_join_expect(&other, KAFKA_MEMBER_ID_REQUIRED);
        cr_assert_eq(actor_leave(&other), 0);
        cr_assert_eq(actor_heartbeat(&a), 0); /* nobody is missing */
        actor_join(&a);
        cr_assert(a.is_joining);
        cr_assert_eq(actor_leave(&b), 0);
        actor_assert_joined(&a, 2, &a); /* nobody else to wait for */
        cr_assert_eq(actor_leave(&b), KAFKA_UNKNOWN_MEMBER_ID);
}

Test(group_members, so_many_may_be_given_an_id) {
        state_fixture_set(&fixture, "odradek.group.max.pending.members", "2");
        stabilise(1);
        Actor d = actor_new(fixture.state, "d");
        b.version = c.version = d.version = 4;
        actor_join_expect(&b, KAFKA_MEMBER_ID_REQUIRED);
        actor_join_expect(&c, KAFKA_MEMBER_ID_REQUIRED);
        actor_join_expect(&d, KAFKA_GROUP_MAX_SIZE_REACHED);
        cr_assert_eq(actor_group(&a)->pending_count, 2);
        actor_join(&b); /* no longer one of them */
        actor_join_expect(&d, KAFKA_MEMBER_ID_REQUIRED);
}

Test(group_members, ids_of_long_clients_are_cut_between_characters) {
        char client[401];
        for (int i = 0; i < 400; i += 2)
                memcpy(client + i, "\xc3\xa4", 2);
        client[400] = '\0';
        a.client = client;
        a.version = 4;
        actor_join_expect(&a, KAFKA_MEMBER_ID_REQUIRED);
        cr_assert_eq(strlen(a.id), 254 + 37);
        cr_assert_eq(strncmp(a.id, client, 254), 0);
}

/* Leaving */

Test(group_members, leaving_starts_a_rebalance_at_once) {
        stabilise(2);
        cr_assert_eq(actor_leave(&a), 0);
        cr_assert_eq(actor_heartbeat(&a), KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(actor_leave(&a), KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(actor_heartbeat(&b), KAFKA_REBALANCE_IN_PROGRESS);
        actor_join(&b);
        actor_assert_joined(&b, 3, &b);
}

Test(group_members, the_last_who_leaves_empties_the_group) {
        stabilise(2);
        cr_assert_eq(actor_leave(&a), 0);
        cr_assert_eq(actor_leave(&b), 0);
        cr_assert_eq(state_of_group(), GROUP_EMPTY);
        cr_assert_eq(actor_group(&a)->generation, 3);
        cr_assert_null(actor_group(&a)->protocol);
        cr_assert_str_eq(actor_group(&a)->protocol_type, "consumer");
}

Test(group_members, who_leaves_while_waiting_is_told) {
        stabilise(2);
        actor_join(&b);
        b.metadata = STR("changed");
        actor_join(&b);
        cr_assert_eq(actor_leave(&b), 0);
        cr_assert_eq(b.join_code, KAFKA_UNKNOWN_MEMBER_ID);
        actor_join(&a);
        actor_assert_joined(&a, 3, &a);
        actor_join(&c);
        actor_join(&a);
        actor_sync(&c);
        cr_assert_eq(actor_leave(&c), 0);
        cr_assert_eq(c.sync_code, KAFKA_UNKNOWN_MEMBER_ID);
}

Test(group_members, the_rest_goes_on_when_the_one_they_wait_for_leaves) {
        stabilise(3);
        b.metadata = STR("changed");
        actor_join(&b);
        actor_join(&c);
        cr_assert_eq(actor_leave(&a), 0);
        actor_assert_joined(&b, 3, &b);
        actor_assert_joined(&c, 3, &b);
}

/* What each state answers to whom */

static void assert_codes(int16_t unknown, int16_t older, int16_t sync, int16_t heartbeat, int16_t commit) {
        Actor other = a, old = a;
        State *state = fixture.state;
        strcpy(other.id, "other");
        old.generation--;
        actor_sync_expect(&other, unknown);
        cr_assert_eq(actor_heartbeat(&other), unknown);
        cr_assert_eq(actor_leave(&other), unknown);
        cr_assert_eq(group_check_commit(state, actor_group(&a), STR("other"), STR_NULL, a.generation), unknown);
        actor_sync_expect(&old, older);
        cr_assert_eq(actor_heartbeat(&old), older);
        cr_assert_eq(group_check_commit(state, actor_group(&a), str_of(a.id), STR_NULL, old.generation), older);
        cr_assert_eq(actor_heartbeat(&a), heartbeat);
        cr_assert_eq(group_check_commit(state, actor_group(&a), str_of(a.id), STR_NULL, a.generation), commit);
        if (sync >= 0)
                actor_sync_expect(&a, sync);
}

Test(group_members, codes_of_a_stable_group) {
        stabilise(2);
        assert_codes(KAFKA_UNKNOWN_MEMBER_ID, KAFKA_ILLEGAL_GENERATION, 0, 0, 0);
        cr_assert_eq(group_check_commit(fixture.state, actor_group(&a), STR(""), STR_NULL, -1), KAFKA_UNKNOWN_MEMBER_ID);
}

Test(group_members, codes_of_a_group_that_prepares) {
        stabilise(2);
        actor_join(&c);
        assert_codes(KAFKA_UNKNOWN_MEMBER_ID, KAFKA_ILLEGAL_GENERATION, KAFKA_REBALANCE_IN_PROGRESS, KAFKA_REBALANCE_IN_PROGRESS, 0);
}

Test(group_members, codes_of_a_group_that_waits_for_its_assignment) {
        stabilise(2);
        actor_join(&a);
        actor_join(&b);
        assert_codes(KAFKA_UNKNOWN_MEMBER_ID, KAFKA_ILLEGAL_GENERATION, -1, 0, KAFKA_REBALANCE_IN_PROGRESS);
}

Test(group_members, codes_of_an_empty_group) {
        stabilise(1);
        cr_assert_eq(actor_leave(&a), 0);
        a.generation++;
        assert_codes(KAFKA_UNKNOWN_MEMBER_ID, KAFKA_UNKNOWN_MEMBER_ID, KAFKA_UNKNOWN_MEMBER_ID, KAFKA_UNKNOWN_MEMBER_ID,
                     KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(group_check_commit(fixture.state, actor_group(&a), STR(""), STR_NULL, -1), 0);
}
