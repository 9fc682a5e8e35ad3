/* Groups of the consumer protocol, with a clock that moves only when told to. */
#include "broker/state/groups/consumer_heartbeat.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "broker/state/metadata/resource_configs.h"
#include "storage/base/error.h"
#include "tests/lib/consumer_actor.h"
#include "tests/lib/group_actor.h"

static StateFixture fixture;
static ConsumerActor a, b;

static void setup(void) {
        state_fixture_start(&fixture);
        a = consumer_actor_new(&fixture, "a");
        b = consumer_actor_new(&fixture, "b");
        consumer_actor_read(&a, "t");
        consumer_actor_read(&b, "t");
        cr_assert_eq(topic_create(fixture.state, STR("t"), 4, NULL, NULL), 0);
}

static void teardown(void) {
        consumer_actor_free(&a);
        consumer_actor_free(&b);
        state_fixture_end(&fixture);
}

TestSuite(group_consumer, .init = setup, .fini = teardown);

static GroupState state_of_group(void) {
        Group *group = group_find(fixture.state, STR("g"));
        return group ? group->state : GROUP_DEAD;
}

static void go_on(ConsumerActor *actor) {
        consumer_actor_beat_ok(actor);
        consumer_actor_reconcile(actor);
}

/* A stable group of both. */
static void share(void) {
        go_on(&a);
        go_on(&b);
        state_fixture_advance(&fixture, 1000);
        for (int i = 0; i < 3; i++) {
                go_on(&a);
                go_on(&b);
        }
        cr_assert_eq(state_of_group(), GROUP_STABLE);
        cr_assert(a.owned.count == 2 && b.owned.count == 2);
}

/* In a turn that is committed later. */
static int beat_uncommitted(const char *member, int32_t epoch, JournalWrite *write,
                            void (*done)(JournalWrite *write, State *state, int16_t code)) {
        static const Str topics[] = { { "t", 1 } };
        Arena arena = ARENA_INIT(0);
        PartitionSet none = PARTITION_SET_INIT;
        ConsumerHeartbeatResult result;
        ConsumerHeartbeat args = { .group_id = STR("g"), .member_id = str_of(member), .instance_id = STR_NULL, .rack_id = STR_NULL,
                                   .client_id = STR("client"), .client_host = STR("/127.0.0.1"), .regex = STR_NULL, .assignor = STR_NULL,
                                   .epoch = epoch, .rebalance_timeout_ms = epoch ? -1 : 30000, .topics = topics,
                                   .topic_count = epoch ? -1 : 1, .owned = epoch ? NULL : &none };
        int r = group_consumer_heartbeat(fixture.state, &args, &arena, write, done, &result);
        cr_assert(r || result.is_pending);
        arena_deinit(&arena);
        return r;
}

static int told[2];

static void tell(JournalWrite *write, State *state, int16_t code) {
        told[code ? 1 : 0]++;
}

Test(group_consumer, failed_write_leaves_the_group_as_the_log_has_it) {
        JournalWrite writes[2] = { 0 };
        share();
        int32_t epoch = consumer_actor_group(&a)->epoch;
        state_fixture_fail_writes(true);
        cr_assert_eq(beat_uncommitted("c", 0, &writes[0], tell), 0);
        cr_assert_eq(beat_uncommitted("a", a.epoch, &writes[1], tell), 0, "waits for what it would tell of the new member");
        state_commit(fixture.state);
        cr_assert(told[0] == 0 && told[1] == 2);
        cr_assert_eq(consumer_actor_group(&a)->epoch, epoch);
        cr_assert(consumer_actor_group(&a)->member_count == 2 && state_of_group() == GROUP_STABLE);
        ConsumerActor stranger = consumer_actor_new(&fixture, "stranger");
        stranger.group = "h";
        consumer_actor_read(&stranger, "t");
        cr_assert_eq(consumer_actor_beat(&stranger), KAFKA_COORDINATOR_NOT_AVAILABLE);
        cr_assert_null(group_find(fixture.state, STR("h")));
        state_fixture_advance(&fixture, 46000); /* sessions end, which cannot be written */
        cr_assert_eq(consumer_actor_group(&a)->member_count, 2);
        state_fixture_fail_writes(false);
        go_on(&a);
        go_on(&b);
        cr_assert(a.owned.count == 2 && b.owned.count == 2 && consumer_actor_group(&a)->epoch == epoch);
        state_fixture_advance(&fixture, 46000);
        cr_assert_eq(state_of_group(), GROUP_EMPTY);
        consumer_actor_free(&stranger);
}

Test(group_consumer, first_member_has_all) {
        go_on(&a);
        cr_assert_eq(a.epoch, CONSUMER_GROUP_FIRST_EPOCH + 1);
        cr_assert_eq(a.owned.count, 4);
        cr_assert_eq(state_of_group(), GROUP_STABLE);
}

Test(group_consumer, target_is_computed_once_an_interval) {
        go_on(&a);
        go_on(&b);
        cr_assert_eq(state_of_group(), GROUP_ASSIGNING);
        cr_assert(b.epoch == 2 && b.owned.count == 0);
        state_fixture_advance(&fixture, 999);
        go_on(&b);
        cr_assert_eq(state_of_group(), GROUP_ASSIGNING);
        state_fixture_advance(&fixture, 1);
        go_on(&b);
        cr_assert_eq(state_of_group(), GROUP_RECONCILING);
        cr_assert_eq(b.epoch, 3);
        share();
}

Test(group_consumer, clock_that_goes_back_holds_up_no_target) {
        go_on(&a);
        fixture.state->now_ms -= 86400000;
        share();
}

Test(group_consumer, silent_member_is_fenced_after_its_session) {
        share();
        state_fixture_advance(&fixture, 44000);
        go_on(&b);
        state_fixture_advance(&fixture, 1001);
        cr_assert(!consumer_actor_member(&a) && consumer_actor_member(&b));
        go_on(&b);
        cr_assert_eq(b.owned.count, 4);
        cr_assert_eq(consumer_actor_beat(&a), KAFKA_UNKNOWN_MEMBER_ID);
}

Test(group_consumer, session_is_as_long_as_the_groups_config_says) {
        ConfigMap map = CONFIG_MAP_INIT;
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_GROUP, STR("consumer.session.timeout.ms"));
        cr_assert_eq(config_map_set(&map, key, STR("60000"), CONFIG_SOURCE_GROUP), 0);
        cr_assert_eq(resource_config_set(fixture.state, CONFIG_RESOURCE_GROUP, STR("g"), &map), 0);
        go_on(&a);
        state_fixture_advance(&fixture, 59999);
        cr_assert(consumer_actor_member(&a));
        state_fixture_advance(&fixture, 1);
        cr_assert(!consumer_actor_member(&a));
}

Test(group_consumer, member_may_join_again_at_any_time) {
        share();
        consumer_actor_lose(&a); /* as one that was fenced, or has started anew */
        go_on(&a);
        cr_assert(a.epoch == consumer_actor_group(&a)->epoch && a.owned.count == 2);
        cr_assert_eq(state_of_group(), GROUP_STABLE);
}

Test(group_consumer, member_that_does_not_give_up_is_fenced) {
        go_on(&a);
        go_on(&b);
        state_fixture_advance(&fixture, 1000);
        consumer_actor_beat_ok(&b);
        consumer_actor_beat_ok(&a);
        cr_assert_eq(consumer_actor_member(&a)->state, MEMBER_UNREVOKED_PARTITIONS);
        for (int i = 0; i < 6; i++) {
                cr_assert(consumer_actor_member(&a));
                state_fixture_advance(&fixture, 5000);
                consumer_actor_beat(&a);
                go_on(&b);
        }
        cr_assert(!consumer_actor_member(&a));
        state_fixture_advance(&fixture, 1000);
        go_on(&b);
        go_on(&b);
        cr_assert_eq(b.owned.count, 4);
}

Test(group_consumer, static_member_that_is_back_in_time_keeps_its_partitions) {
        a.instance = "i";
        share();
        cr_assert_eq(consumer_actor_leave(&a, MEMBER_EPOCH_LEFT_FOR_A_WHILE), 0);
        go_on(&b);
        cr_assert_eq(b.owned.count, 2);
        snprintf(a.id, sizeof(a.id), "a-2");
        go_on(&a);
        cr_assert_eq(a.owned.count, 2);
        cr_assert_eq(state_of_group(), GROUP_STABLE);
}

Test(group_consumer, static_member_that_stays_away_loses_them) {
        a.instance = "i";
        share();
        cr_assert_eq(consumer_actor_leave(&a, MEMBER_EPOCH_LEFT_FOR_A_WHILE), 0);
        for (int i = 0; i < 5; i++) {
                state_fixture_advance(&fixture, 10000);
                go_on(&b);
        }
        cr_assert_eq(b.owned.count, 4);
}

Test(group_consumer, group_has_room_for_so_many) {
        state_fixture_set(&fixture, "group.consumer.max.size", "1");
        go_on(&a);
        cr_assert_eq(consumer_actor_beat(&b), KAFKA_GROUP_MAX_SIZE_REACHED);
        cr_assert_str_eq(b.message, "The consumer group has reached its maximum capacity of 1 members.");
        go_on(&a);
}

Test(group_consumer, there_are_no_more_groups_than_allowed) {
        state_fixture_set(&fixture, "odradek.max.groups", "1");
        b.group = "h";
        go_on(&a);
        cr_assert_eq(consumer_actor_beat(&b), KAFKA_POLICY_VIOLATION);
        cr_assert_str_eq(b.message, "There are as many groups as odradek.max.groups allows.");
        cr_assert_null(group_find(fixture.state, STR("h")));
        go_on(&a);
}

Test(group_consumer, failed_write_is_told_and_made_good) {
        state_fixture_fail_writes(true);
        cr_assert_eq(consumer_actor_beat(&a), KAFKA_COORDINATOR_NOT_AVAILABLE);
        state_fixture_fail_writes(false);
        share();
}

/* ---- topics */

Test(group_consumer, topics_that_come_grow_and_go_are_noticed) {
        consumer_actor_read(&a, "later");
        go_on(&a);
        state_fixture_advance(&fixture, 1000);
        cr_assert_eq(topic_create(fixture.state, STR("later"), 2, NULL, NULL), 0);
        go_on(&a);
        cr_assert_eq(a.owned.count, 6);
        state_fixture_advance(&fixture, 1000);
        cr_assert_eq(topic_add_partitions(fixture.state, topic_find(fixture.state, STR("t")), 7), 0);
        go_on(&a);
        cr_assert_eq(a.owned.count, 9);
        state_fixture_advance(&fixture, 1000);
        cr_assert_eq(topic_delete(fixture.state, topic_find(fixture.state, STR("later"))), 0);
        go_on(&a);
        go_on(&a);
        cr_assert_eq(a.owned.count, 7);
}

Test(group_consumer, other_topics_change_nothing) {
        go_on(&a);
        int32_t epoch = consumer_actor_group(&a)->epoch;
        cr_assert_eq(topic_create(fixture.state, STR("other"), 2, NULL, NULL), 0);
        go_on(&a);
        cr_assert_eq(consumer_actor_group(&a)->epoch, epoch);
}

static void use_pattern(ConsumerActor *actor, const char *pattern) {
        actor->topic_count = 0;
        actor->pattern = pattern;
        actor->says_all = true;
}

Test(group_consumer, pattern_is_resolved_between_heartbeats) {
        use_pattern(&a, "t.?");
        go_on(&a);
        cr_assert_eq(a.owned.count, 0);
        state_fixture_advance(&fixture, 10);
        go_on(&a);
        cr_assert_eq(a.owned.count, 4);
        cr_assert(group_subscribes(group_find(fixture.state, STR("g")), STR("t")));
}

Test(group_consumer, pattern_finds_new_topics_ten_seconds_after_it_was_resolved) {
        use_pattern(&a, "t.?");
        go_on(&a);
        state_fixture_advance(&fixture, 10);
        go_on(&a);
        cr_assert_eq(topic_create(fixture.state, STR("t2"), 3, NULL, NULL), 0);
        state_fixture_advance(&fixture, 9000);
        go_on(&a);
        state_fixture_advance(&fixture, 10);
        go_on(&a);
        cr_assert_eq(a.owned.count, 4);
        state_fixture_advance(&fixture, 1001);
        go_on(&a);
        state_fixture_advance(&fixture, 10);
        go_on(&a);
        cr_assert_eq(a.owned.count, 7);
}

Test(group_consumer, clock_that_goes_back_hides_no_new_topics) {
        use_pattern(&a, "t.?");
        go_on(&a);
        state_fixture_advance(&fixture, 10);
        go_on(&a);
        fixture.state->now_ms -= 86400000;
        cr_assert_eq(topic_create(fixture.state, STR("t2"), 3, NULL, NULL), 0);
        for (int i = 0; i < 2; i++) {
                state_fixture_advance(&fixture, 11000);
                go_on(&a);
        }
        cr_assert_eq(a.owned.count, 7);
}

Test(group_consumer, patterns_outlive_a_restart_and_end_with_their_last_member) {
        use_pattern(&a, "t.?");
        go_on(&a);
        state_fixture_advance(&fixture, 10);
        go_on(&a);
        state_fixture_crash(&fixture);
        cr_assert(consumer_regex(consumer_actor_group(&a), STR("t.?"))->is_resolved);
        go_on(&a);
        cr_assert_eq(a.owned.count, 4);
        cr_assert_eq(consumer_actor_leave(&a, CONSUMER_EPOCH_LEAVE), 0);
        cr_assert(!consumer_regex(consumer_actor_group(&a), STR("t.?")));
        state_fixture_reopen(&fixture);
        cr_assert(!consumer_regex(consumer_actor_group(&a), STR("t.?")));
        cr_assert_eq(state_of_group(), GROUP_EMPTY);
}

Test(group_consumer, group_may_go_while_its_patterns_are_resolved) {
        use_pattern(&a, "t.?");
        consumer_actor_beat_ok(&a);
        cr_assert_eq(consumer_actor_leave(&a, CONSUMER_EPOCH_LEAVE), 0);
        cr_assert_eq(group_delete(fixture.state, STR("g")), 0);
        state_fixture_advance(&fixture, 100);
        cr_assert_null(group_find(fixture.state, STR("g")));
}

/* ---- the hash that Kafka's records carry; the numbers are its library's */

Test(group_consumer, metadata_hash_is_kafkas) {
        Uuid alpha, beta;
        for (int i = 0; i < 16; i++) {
                alpha.bytes[i] = (uint8_t)(i + 1);
                beta.bytes[i] = (uint8_t)(i + 0x11);
        }
        cr_assert_eq(topic_replay(fixture.state, STR("alpha"), &alpha), 0);
        cr_assert_eq(topic_replay(fixture.state, STR("beta-2"), &beta), 0);
        for (int32_t i = 0; i < 3; i++)
                cr_assert_eq(topic_replay_partition(fixture.state, &alpha, i, 0), 0);
        cr_assert_eq(topic_replay_partition(fixture.state, &beta, 0, 0), 0);
        a.topic_count = 0;
        consumer_actor_read(&a, "beta-2");
        consumer_actor_read(&a, "not-there");
        consumer_actor_read(&a, "alpha");
        consumer_actor_beat_ok(&a);
        cr_assert_eq(consumer_actor_group(&a)->metadata_hash, 0xee8f47855981d090);
        topic_replay_remove(fixture.state, &beta);
        state_fixture_set(&fixture, "broker.rack", "r1");
        cr_assert_eq(consumer_metadata_hash(fixture.state, consumer_actor_group(&a)), 0x0f12c6aa47fe461e);
        topic_replay_remove(fixture.state, &alpha);
}

/* ---- the two protocols */

Test(group_consumer, empty_group_takes_either_protocol) {
        Actor old = actor_new(fixture.state, "old");
        state_fixture_set(&fixture, "group.initial.rebalance.delay.ms", "0");
        go_on(&a);
        cr_assert_eq(consumer_actor_leave(&a, CONSUMER_EPOCH_LEAVE), 0);
        actor_join(&old);
        cr_assert_null(group_find(fixture.state, STR("g"))->consumer);
        cr_assert_eq(actor_leave(&old), 0);
        state_commit(fixture.state);
        go_on(&b);
        cr_assert(consumer_actor_member(&b));
        state_fixture_crash(&fixture);
        cr_assert(consumer_actor_member(&b));
}

/* Whoever is told that it left is gone for good. */
Test(group_consumer, classic_member_stays_where_leaving_is_not_written) {
        Actor old = actor_new(fixture.state, "old");
        old.metadata = STR("\0\0\0\0\0\1\0\1t\377\377\377\377");
        go_on(&a);
        actor_join(&old);
        LeavingMember leaving[] = { { .member_id = str_of(old.id), .instance_id = STR_NULL },
                                    { .member_id = STR("nobody"), .instance_id = STR_NULL } };
        for (int fails = 1; fails >= 0; fails--) {
                state_fixture_fail_writes(fails);
                consumer_leave(fixture.state, STR("g"), leaving, 2);
                cr_assert_eq(leaving[0].code, fails ? KAFKA_COORDINATOR_NOT_AVAILABLE : 0);
                cr_assert_eq(leaving[1].code, KAFKA_UNKNOWN_MEMBER_ID);
                cr_assert_eq(consumer_actor_group(&a)->member_count, 1 + fails);
                state_fixture_crash(&fixture);
                cr_assert_eq(consumer_actor_group(&a)->member_count, 1 + fails);
        }
}

/* The group is read again from the log in the middle of the turn. */
Test(group_consumer, classic_member_joins_behind_a_write_that_fails) {
        JournalWrite write = { 0 };
        Actor old = actor_new(fixture.state, "old");
        old.metadata = STR("\0\0\0\0\0\1\0\1t\377\377\377\377");
        go_on(&a);
        state_fixture_fail_writes(true);
        beat_uncommitted("late", 0, &write, tell);
        actor_join(&old);
        cr_assert_eq(old.join_code, KAFKA_COORDINATOR_NOT_AVAILABLE);
        state_fixture_fail_writes(false);
        actor_join(&old);
        cr_assert_eq(old.join_code, 0);
        cr_assert_eq(consumer_actor_group(&a)->member_count, 2);
}

Test(group_consumer, classic_group_stays_where_the_policy_says_so) {
        Actor old = actor_new(fixture.state, "old");
        state_fixture_set(&fixture, "group.initial.rebalance.delay.ms", "0");
        state_fixture_set(&fixture, "group.consumer.migration.policy", "disabled");
        actor_join(&old);
        cr_assert_eq(consumer_actor_beat(&a), KAFKA_GROUP_ID_NOT_FOUND);
        cr_assert_str_eq(a.message, "Cannot upgrade classic group g to consumer group because online upgrade is disabled.");
        actor_sync(&old);
        state_commit(fixture.state);
        cr_assert_eq(old.syncs, 1);
}

/* Whoever says no more than before goes on. */
Test(group_consumer, what_members_subscribe_to_is_limited) {
        static const char name[3000] = "";
        state_fixture_set(&fixture, "odradek.group.max.member.bytes", "2000");
        go_on(&a);
        consumer_actor_read(&b, "u");
        b.topics[1] = (Str){ name, sizeof(name) };
        cr_assert_eq(consumer_actor_beat(&b), KAFKA_GROUP_MAX_SIZE_REACHED);
        cr_assert_str_eq(b.message, "The members of the group take as much memory as odradek.group.max.member.bytes allows.");
        ConsumerGroup *consumer = consumer_actor_group(&a);
        int64_t one = consumer->member_bytes;
        cr_assert(consumer->member_count == 1 && one > 0 && one < 1000);
        go_on(&a);
        b.topic_count = 1;
        go_on(&b);
        cr_assert_eq(consumer->member_bytes, 2 * one);
        state_fixture_crash(&fixture);
        consumer = consumer_actor_group(&a);
        cr_assert(consumer->member_count == 2 && consumer->member_bytes == 2 * one);
        cr_assert_eq(consumer_actor_leave(&b, -1), 0);
        cr_assert_eq(consumer->member_bytes, one);
}

Test(group_consumer, so_many_patterns_may_be_subscribed_to) {
        state_fixture_set(&fixture, "odradek.group.max.patterns", "1");
        a.pattern = "t.*";
        b.pattern = "u.*";
        go_on(&a);
        cr_assert_eq(consumer_actor_beat(&b), KAFKA_GROUP_MAX_SIZE_REACHED);
        cr_assert_str_eq(b.message, "The group has as many patterns as odradek.group.max.patterns allows.");
        b.pattern = "t.*"; /* is known */
        go_on(&b);
        cr_assert_eq(consumer_actor_leave(&a, -1), 0);
        cr_assert_eq(consumer_actor_leave(&b, -1), 0);
        b.pattern = "u.*";
        go_on(&b);
}

/* 42 bytes each: "range", a subscription to "t", and what holds them. */
Test(group_consumer, what_classic_members_say_of_their_protocols_is_limited) {
        Actor old[3];
        state_fixture_set(&fixture, "odradek.group.max.protocol.bytes", "100");
        go_on(&a);
        for (int i = 0; i < 3; i++) {
                old[i] = actor_new(fixture.state, "old");
                old[i].metadata = STR("\0\0\0\0\0\1\0\1t\377\377\377\377");
                actor_join(&old[i]);
                state_commit(fixture.state);
                cr_assert_eq(old[i].join_code, i < 2 ? 0 : KAFKA_GROUP_MAX_SIZE_REACHED);
        }
        ConsumerGroup *consumer = consumer_actor_group(&a);
        cr_assert(consumer->member_count == 3 && consumer->protocol_bytes == 84);
        LeavingMember leaving = { .member_id = str_of(old[0].id), .instance_id = STR_NULL };
        consumer_leave(fixture.state, STR("g"), &leaving, 1);
        state_commit(fixture.state);
        cr_assert(leaving.code == 0 && consumer->protocol_bytes == 42);
        actor_join(&old[2]);
        state_commit(fixture.state);
        cr_assert_eq(old[2].join_code, 0);
}

/* ---- many of them */

Test(group_consumer, many_groups_rebalance) {
        enum { GROUPS = 100, MEMBERS = 10 };
        static ConsumerActor all[GROUPS][MEMBERS];
        static char names[GROUPS][32];
        for (int g = 0; g < GROUPS; g++)
                for (int m = 0; m < MEMBERS; m++) {
                        char id[32];
                        snprintf(names[g], sizeof(names[g]), "group-%d", g);
                        snprintf(id, sizeof(id), "member-%d", m);
                        all[g][m] = consumer_actor_new(&fixture, id);
                        all[g][m].group = names[g];
                        consumer_actor_read(&all[g][m], "t");
                        go_on(&all[g][m]);
                }
        for (int round = 0; round < 4; round++) {
                state_fixture_advance(&fixture, 1000);
                for (int g = 0; g < GROUPS; g++)
                        for (int m = 0; m < MEMBERS; m++)
                                go_on(&all[g][m]);
        }
        for (int g = 0; g < GROUPS; g++) {
                int owned = 0;
                for (int m = 0; m < MEMBERS; m++) {
                        owned += all[g][m].owned.count;
                        consumer_actor_free(&all[g][m]);
                }
                cr_assert_eq(owned, 4);
                cr_assert_eq(group_find(fixture.state, str_of(names[g]))->state, GROUP_STABLE);
        }
}
