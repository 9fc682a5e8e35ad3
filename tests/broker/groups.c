/* The classic group protocol: joining and assigning, and what time does to it. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "storage/base/error.h"
#include "tests/lib/group_actor.h"
#include "tests/lib/state_fixture.h"

#define DELAY_MS 3000 /* group.initial.rebalance.delay.ms */

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

TestSuite(groups, .init = setup, .fini = teardown);

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

/* Joining */

Test(groups, first_generation_waits_for_the_initial_delay) {
        actor_join(&a);
        advance(DELAY_MS - 1);
        cr_assert(a.is_joining);
        advance(1);
        actor_assert_joined(&a, 1, &a);
        cr_assert_eq(a.member_count, 1);
        cr_assert_str_eq(a.protocol, "range");
        cr_assert_eq(state_of_group(), GROUP_COMPLETING_REBALANCE);
}

/* A request holds millions of names: with a look at all of a member's for each of another's the broker would be gone for hours. */
Test(groups, members_may_name_very_many_protocols, .timeout = 120) {
        enum { MANY = 200000 };
        static char names[2][MANY][24];
        static JoinProtocol protocols[MANY];
        Actor *actors[] = { &a, &b };
        for (int k = 0; k < 2; k++) {
                for (int i = 0; i < MANY; i++) {
                        snprintf(names[k][i], sizeof(names[k][i]), "%d-%d", i == MANY - 1 ? 0 : k, i);
                        protocols[i] = (JoinProtocol){ str_of(names[k][i]), STR("m") };
                }
                actor_join_with(actors[k], protocols, MANY);
        }
        advance(DELAY_MS);
        advance(DELAY_MS);
        actor_assert_joined(&a, 1, &a);
        actor_assert_joined(&b, 1, &a);
        cr_assert_str_eq(a.protocol, "0-199999");
}

Test(groups, initial_delay_starts_again_while_members_come) {
        actor_join(&a);
        advance(2000);
        actor_join(&b);
        advance(3999);
        cr_assert(a.is_joining && b.is_joining);
        advance(1);
        actor_assert_joined(&a, 1, &a);
        actor_assert_joined(&b, 1, &a);
        cr_assert_eq(a.member_count, 2);
}

Test(groups, initial_delays_last_no_longer_than_the_rebalance_timeout) {
        a.rebalance_ms = 5000;
        actor_join(&a);
        advance(1000);
        actor_join(&b);
        advance(3000);
        actor_join(&c);
        advance(999);
        cr_assert(a.is_joining && b.is_joining && c.is_joining);
        advance(1);
        actor_assert_joined(&c, 1, &a);
        cr_assert_eq(a.member_count, 3);
}

Test(groups, first_initial_delay_is_whole_even_with_a_shorter_rebalance_timeout) {
        a.rebalance_ms = 1000;
        actor_join(&a);
        advance(DELAY_MS - 1);
        cr_assert(a.is_joining);
        advance(1);
        actor_assert_joined(&a, 1, &a);
}

Test(groups, there_is_no_initial_delay_when_configured_so) {
        without_delay();
        actor_join(&a);
        actor_assert_joined(&a, 1, &a);
}

Test(groups, whoever_comes_later_starts_a_rebalance) {
        stabilise(1);
        actor_join(&b);
        cr_assert(b.is_joining);
        cr_assert_eq(state_of_group(), GROUP_PREPARING_REBALANCE);
        cr_assert_eq(actor_heartbeat(&a), KAFKA_REBALANCE_IN_PROGRESS);
        actor_join(&a);
        actor_assert_joined(&a, 2, &a);
        actor_assert_joined(&b, 2, &a);
        cr_assert_eq(a.member_count, 2);
}

Test(groups, rejoining_ends_at_the_rebalance_timeout_without_those_who_did_not) {
        stabilise(2);
        actor_join(&c);
        actor_join(&a);
        beat_for(29999, (Actor *[]){ &b }, 1);
        cr_assert(a.is_joining && c.is_joining);
        cr_assert_eq(actor_heartbeat(&b), KAFKA_REBALANCE_IN_PROGRESS);
        advance(1);
        actor_assert_joined(&a, 3, &a);
        actor_assert_joined(&c, 3, &a);
        cr_assert_eq(a.member_count, 2);
        cr_assert_eq(actor_heartbeat(&b), KAFKA_UNKNOWN_MEMBER_ID);
}

Test(groups, longest_rebalance_timeout_counts) {
        b.rebalance_ms = 60000;
        stabilise(2);
        actor_join(&c);
        actor_join(&a);
        beat_for(59999, (Actor *[]){ &b }, 1);
        cr_assert(a.is_joining);
        advance(1);
        actor_assert_joined(&a, 3, &a);
}

Test(groups, another_member_leads_when_the_leader_does_not_rejoin) {
        stabilise(2);
        actor_join(&c);
        actor_join(&b);
        beat_for(30000, (Actor *[]){ &a }, 1);
        actor_assert_joined(&b, 3, &b);
        actor_assert_joined(&c, 3, &b);
        cr_assert_eq(b.member_count, 2);
}

Test(groups, protocol_is_chosen_by_the_votes_among_the_common_ones) {
        without_delay();
        const char *const of_a[] = { "x", "y", "z" }, *const of_others[] = { "z", "y", "w" };
        memcpy(a.protocols, of_a, sizeof(of_a));
        memcpy(b.protocols, of_others, sizeof(of_others));
        memcpy(c.protocols, of_others, sizeof(of_others));
        actor_join(&a);
        cr_assert_str_eq(a.protocol, "x");
        actor_join(&b);
        actor_join(&c);
        actor_join(&a);
        actor_assert_joined(&a, 2, &a);
        cr_assert_str_eq(a.protocol, "z"); /* y is common, too, but a's only vote for it is outvoted */
        cr_assert_str_eq(c.protocol, "z");
}

Test(groups, members_must_share_a_protocol_and_its_type) {
        stabilise(1);
        b.protocols[0] = "other";
        actor_join_expect(&b, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
        b.protocols[0] = NULL;
        actor_join_expect(&b, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
        b.protocols[0] = "range";
        b.type = "connect";
        actor_join_expect(&b, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
        a.protocols[0] = "other"; /* all still means who is in the group, even he himself */
        actor_join_expect(&a, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
}

Test(groups, an_empty_group_takes_any_protocol_but_none) {
        stabilise(1);
        cr_assert_eq(actor_leave(&a), 0);
        b.protocols[0] = NULL;
        actor_join_expect(&b, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
        b.protocols[0] = "other";
        b.type = "";
        actor_join_expect(&b, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
        b.type = "connect";
        actor_join(&b);
        actor_assert_joined(&b, 3, &b);
}

Test(groups, a_group_that_nobody_is_left_in_keeps_its_type_while_it_prepares) {
        actor_join(&a);
        cr_assert_eq(group_leave(fixture.state, STR("g"), str_of(container_of(list_first(&actor_group(&a)->members), Member, node)->id),
                                 STR_NULL), 0);
        cr_assert_eq(a.join_code, KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(state_of_group(), GROUP_PREPARING_REBALANCE);
        b.type = "connect";
        actor_join_expect(&b, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
        advance(DELAY_MS);
        cr_assert_eq(state_of_group(), GROUP_EMPTY);
}

Test(groups, session_timeout_has_limits) {
        static const struct {
                int32_t ms;
                int16_t code;
        } rows[] = { { 5999, KAFKA_INVALID_SESSION_TIMEOUT }, { 1800001, KAFKA_INVALID_SESSION_TIMEOUT }, { 6000, 0 }, { 1800000, 0 } };
        without_delay();
        for (int i = 0; i < 4; i++) {
                Actor actor = actor_new(fixture.state, "a");
                actor.group = i < 2 ? "none" : i == 2 ? "g" : "h";
                actor.session_ms = rows[i].ms;
                actor_join_expect(&actor, rows[i].code);
        }
        cr_assert_null(group_find(fixture.state, STR("none")));
}

Test(groups, ids_of_groups_are_text) {
        a.group = "";
        actor_join_expect(&a, KAFKA_INVALID_GROUP_ID);
        JoinArgs args = { .group_id = { "g\0h", 3 }, .session_timeout_ms = 10000 };
        group_join(fixture.state, &args, &a.join);
        cr_assert_eq(a.join_code, KAFKA_INVALID_GROUP_ID);
        cr_assert_eq(fixture.state->groups->by_id.count, 0);
}

Test(groups, named_members_of_unknown_groups_are_unknown) {
        strcpy(a.id, "somebody");
        actor_join_expect(&a, KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_null(actor_group(&a));
        actor_sync_expect(&a, KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(actor_heartbeat(&a), KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(actor_leave(&a), KAFKA_UNKNOWN_MEMBER_ID);
}

Test(groups, size_is_limited) {
        state_fixture_set(&fixture, "group.max.size", "2");
        stabilise(2);
        actor_join_expect(&c, KAFKA_GROUP_MAX_SIZE_REACHED);
        c.version = 4;
        actor_join_expect(&c, KAFKA_GROUP_MAX_SIZE_REACHED);
        cr_assert_eq(actor_heartbeat(&b), 0);
        actor_join(&a);
        actor_join(&b); /* members may always come back */
        actor_assert_joined(&a, 3, &a);
        actor_assert_joined(&b, 3, &a);
}

Test(groups, there_are_no_more_than_allowed) {
        state_fixture_set(&fixture, "odradek.max.groups", "2");
        Actor d = actor_new(fixture.state, "d");
        a.version = b.version = d.version = 4;
        b.group = "h";
        d.group = "i";
        actor_join_expect(&a, KAFKA_MEMBER_ID_REQUIRED); /* as soon as it is remembered, it counts */
        actor_join_expect(&b, KAFKA_MEMBER_ID_REQUIRED);
        actor_join_expect(&d, KAFKA_POLICY_VIOLATION);
        cr_assert_eq(fixture.state->groups->by_id.count, 2);
        actor_join(&c); /* those that are there go on */
        cr_assert(c.is_joining);
        cr_assert_eq(actor_leave(&b), 0);
        cr_assert_eq(group_delete(fixture.state, STR("h")), 0);
        actor_join_expect(&d, KAFKA_MEMBER_ID_REQUIRED);
}

Test(groups, all_that_the_log_holds_are_read_back_when_the_limit_sank) {
        stabilise(1);
        b.group = "h";
        actor_join(&b);
        state_commit(fixture.state);
        state_fixture_set(&fixture, "odradek.max.groups", "1");
        state_fixture_crash(&fixture);
        cr_assert(group_find(fixture.state, STR("g")) && group_find(fixture.state, STR("h")));
}

/* What max.message.bytes lets into the log bounds what a leader can make the broker keep. */
Test(groups, an_assignment_that_is_too_big_is_not_kept) {
        static char big[2 << 20];
        state_fixture_set(&fixture, "group.initial.rebalance.delay.ms", "0");
        actor_join(&a);
        cr_assert_eq(a.joins, 1);
        actor_sync_with(&a, &(SyncAssignment){ str_of(a.id), { big, sizeof(big) } }, 1);
        state_commit(fixture.state);
        cr_assert(a.syncs == 1 && a.sync_code == KAFKA_UNKNOWN_SERVER_ERROR);
        cr_assert_null(member_find(actor_group(&a), str_of(a.id))->assignment.data);
}

/* Their ids, those that are only given out, too. */
Test(groups, the_memory_of_members_is_limited) {
        state_fixture_set(&fixture, "odradek.group.max.member.bytes", "1000");
        int count = 0;
        for (;; count++) {
                Actor each = actor_new(fixture.state, "each");
                each.version = 4;
                actor_join(&each);
                if (each.join_code != KAFKA_MEMBER_ID_REQUIRED) {
                        cr_assert_eq(each.join_code, KAFKA_GROUP_MAX_SIZE_REACHED);
                        break;
                }
        }
        cr_assert(count > 0 && count < 10);
        state_fixture_advance(&fixture, 60000);
        cr_assert_eq(actor_group(&a)->member_bytes, 0);
        stabilise(1);
}

Test(groups, what_members_say_of_their_protocols_is_limited) {
        state_fixture_set(&fixture, "odradek.group.max.protocol.bytes", "200"); /* two of 29 and 50 bytes, not three */
        Str small = { "01234567890123456789012345678901234567890123456789", 50 };
        a.metadata = b.metadata = c.metadata = small;
        stabilise(2);
        actor_join_expect(&c, KAFKA_GROUP_MAX_SIZE_REACHED);
        cr_assert_eq(actor_group(&a)->member_count, 2);
        a.metadata = (Str){ small.data, 40 }; /* takes the place of what it said before */
        actor_join(&a);
        actor_join(&b);
        actor_assert_joined(&a, 3, &a);
        cr_assert_eq(actor_leave(&b), 0);
        actor_join(&c);
        actor_join(&a);
        actor_assert_joined(&c, 4, &a);
        char big[300] = "";
        c.metadata = (Str){ big, sizeof(big) };
        actor_join_expect(&c, KAFKA_GROUP_MAX_SIZE_REACHED); /* and is out */
        cr_assert_eq(actor_group(&a)->member_count, 1);
        cr_assert_eq(actor_leave(&a), 0);
        cr_assert_eq(actor_group(&a)->protocol_bytes, 0);
}

Test(groups, last_to_rejoin_is_left_out_when_the_limit_sank) {
        stabilise(3);
        state_fixture_set(&fixture, "group.max.size", "2");
        state_fixture_crash(&fixture);
        a.state = b.state = c.state = fixture.state;
        cr_assert_eq(state_of_group(), GROUP_PREPARING_REBALANCE);
        actor_join(&c);
        actor_join(&a);
        actor_join_expect(&b, KAFKA_GROUP_MAX_SIZE_REACHED);
        actor_assert_joined(&c, 3, &a);
        actor_assert_joined(&a, 3, &a);
        cr_assert_eq(a.member_count, 2);
}

/* Joining again */

Test(groups, a_lost_answer_is_given_again) {
        without_delay();
        actor_join(&a);
        actor_join(&a);
        actor_assert_joined(&a, 1, &a);
        cr_assert_eq(a.member_count, 1);
        a.metadata = STR("changed");
        actor_join(&a);
        actor_assert_joined(&a, 2, &a);
}

Test(groups, only_the_leader_and_changes_start_a_rebalance_in_a_stable_group) {
        stabilise(2);
        actor_join(&b);
        actor_assert_joined(&b, 2, &a);
        cr_assert_eq(state_of_group(), GROUP_STABLE);
        b.metadata = STR("changed");
        actor_join(&b);
        cr_assert(b.is_joining);
        actor_join(&a);
        actor_assert_joined(&b, 3, &a);
        Actor *all[] = { &a, &b };
        actor_assign(&a, all, 2);
        state_commit(fixture.state);
        actor_join(&a);
        cr_assert(a.is_joining);
        cr_assert_eq(state_of_group(), GROUP_PREPARING_REBALANCE);
}

Test(groups, a_second_join_takes_the_place_of_the_first) {
        stabilise(2);
        actor_join(&a);
        Actor again = a;
        again.is_joining = false;
        actor_join(&again);
        cr_assert(again.is_joining && !a.is_joining);
        cr_assert_eq(a.join_code, KAFKA_REBALANCE_IN_PROGRESS);
        actor_join(&b);
        actor_assert_joined(&again, 3, &again);
}

Test(groups, a_join_whose_client_is_gone_holds_the_others_up_for_its_session) {
        stabilise(2);
        actor_join(&a);
        join_wait_cancel(&a.join);
        actor_join(&b);
        advance(9999);
        cr_assert(b.is_joining);
        advance(1);
        actor_assert_joined(&b, 3, &b);
        cr_assert(a.is_joining && a.joins == 2); /* nothing came after the cancellation */
        cr_assert_eq(b.member_count, 1);
}

Test(groups, a_join_whose_client_is_gone_can_be_repeated) {
        stabilise(2);
        actor_join(&a);
        join_wait_cancel(&a.join);
        actor_join(&b);
        a.is_joining = false;
        actor_join(&a);
        actor_assert_joined(&a, 3, &a);
        actor_assert_joined(&b, 3, &a);
}

/* Assigning */

Test(groups, assignments_are_given_once_they_are_written) {
        without_delay();
        actor_join(&a);
        actor_join(&b);
        actor_join(&a);
        actor_sync(&b);
        cr_assert(b.is_syncing);
        Actor *all[] = { &a, &b };
        actor_assign(&a, all, 2);
        cr_assert(a.is_syncing && b.is_syncing);
        cr_assert_eq(state_of_group(), GROUP_COMPLETING_REBALANCE);
        state_commit(fixture.state);
        actor_assert_assigned(&a);
        actor_assert_assigned(&b);
        cr_assert_eq(state_of_group(), GROUP_STABLE);
}

Test(groups, an_assignment_can_be_asked_for_again) {
        stabilise(2);
        strcpy(b.assignment, "");
        actor_sync_expect(&b, 0);
        actor_assert_assigned(&b);
}

Test(groups, whom_the_leader_forgot_gets_nothing) {
        without_delay();
        actor_join(&a);
        actor_join(&b);
        actor_join(&a);
        Actor *all[] = { &a, &c }; /* c is nobody */
        strcpy(c.id, "nobody");
        actor_assign(&a, all, 2);
        state_commit(fixture.state);
        actor_sync_expect(&b, 0);
        cr_assert_str_eq(b.assignment, "");
        actor_assert_assigned(&a);
}

Test(groups, a_leader_that_never_assigns_is_dropped_after_the_rebalance_timeout) {
        without_delay();
        actor_join(&a);
        actor_join(&b);
        actor_join(&a);
        actor_sync(&b);
        beat_for(29999, (Actor *[]){ &a }, 1);
        cr_assert(b.is_syncing);
        cr_assert_eq(actor_heartbeat(&a), 0);
        advance(1);
        cr_assert_eq(b.sync_code, KAFKA_REBALANCE_IN_PROGRESS);
        cr_assert_eq(actor_heartbeat(&a), KAFKA_UNKNOWN_MEMBER_ID);
        actor_join(&b);
        actor_assert_joined(&b, 3, &b);
}

Test(groups, a_follower_that_never_asks_for_its_part_is_dropped_after_the_rebalance_timeout) {
        without_delay();
        actor_join(&a);
        actor_join(&b);
        actor_join(&a);
        Actor *all[] = { &a, &b };
        actor_assign(&a, all, 2);
        state_commit(fixture.state);
        beat_for(29999, all, 2);
        cr_assert_eq(actor_heartbeat(&b), 0);
        advance(1);
        cr_assert_eq(actor_heartbeat(&b), KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(actor_heartbeat(&a), KAFKA_REBALANCE_IN_PROGRESS);
}

Test(groups, every_generation_has_to_be_asked_for_its_part) {
        Actor *all[] = { &a, &b };
        stabilise(2);
        actor_join(&a);
        actor_join(&b);
        actor_assign(&a, all, 2);
        state_commit(fixture.state);
        beat_for(30000, all, 2);
        cr_assert_eq(actor_heartbeat(&b), KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(actor_heartbeat(&a), KAFKA_REBALANCE_IN_PROGRESS);
}

Test(groups, who_waits_for_an_assignment_is_sent_back_by_a_rebalance) {
        without_delay();
        actor_join(&a);
        actor_join(&b);
        actor_join(&a);
        actor_sync(&b);
        actor_join(&c);
        cr_assert(!b.is_syncing && b.sync_code == KAFKA_REBALANCE_IN_PROGRESS);
        actor_sync_expect(&b, KAFKA_REBALANCE_IN_PROGRESS);
}

Test(groups, assignments_of_an_overtaken_generation_are_not_given) {
        without_delay();
        actor_join(&a);
        Actor *all[] = { &a };
        actor_assign(&a, all, 1);
        actor_join(&b); /* before the turn is committed */
        cr_assert_eq(a.sync_code, KAFKA_REBALANCE_IN_PROGRESS);
        state_commit(fixture.state);
        cr_assert_eq(state_of_group(), GROUP_PREPARING_REBALANCE);
        actor_join(&a);
        actor_assert_joined(&b, 2, &a);
        cr_assert_eq(a.syncs, 1);
        actor_assign(&a, all, 1);
        actor_join(&c);
        actor_join(&b);
        actor_join(&a); /* the next generation is there before the turn is committed */
        actor_assert_joined(&c, 3, &a);
        actor_sync(&c);
        state_commit(fixture.state);
        cr_assert(c.is_syncing);
        cr_assert_eq(state_of_group(), GROUP_COMPLETING_REBALANCE);
}

Test(groups, assignments_that_cannot_be_written_are_given_to_nobody) {
        without_delay();
        actor_join(&a);
        actor_join(&b);
        actor_join(&a);
        actor_sync(&b);
        Actor *all[] = { &a, &b };
        state_fixture_fail_writes(true);
        actor_assign(&a, all, 2);
        state_commit(fixture.state);
        state_fixture_fail_writes(false);
        cr_assert(a.sync_code == KAFKA_COORDINATOR_NOT_AVAILABLE && b.sync_code == KAFKA_COORDINATOR_NOT_AVAILABLE);
        cr_assert_eq(state_of_group(), GROUP_PREPARING_REBALANCE);
        actor_join(&a);
        actor_join(&b);
        actor_assert_joined(&a, 3, &a);
        actor_assign(&a, all, 2);
        state_commit(fixture.state);
        actor_assert_assigned(&a);
}

Test(groups, a_sync_whose_client_is_gone_is_forgotten) {
        without_delay();
        actor_join(&a);
        actor_join(&b);
        actor_join(&a);
        actor_sync(&b);
        sync_wait_cancel(&b.sync);
        Actor *all[] = { &a, &b };
        actor_assign(&a, all, 2);
        state_commit(fixture.state);
        actor_assert_assigned(&a);
        cr_assert(b.is_syncing && b.syncs == 0);
        b.is_syncing = false;
        actor_sync_expect(&b, 0);
        actor_assert_assigned(&b);
}

Test(groups, a_sync_must_name_the_group_s_protocol) {
        stabilise(1);
        a.type = "connect";
        actor_sync_expect(&a, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
}
