/* Committed offsets: who may commit, what comes back, and when they are forgotten. */
#include <criterion/criterion.h>

#include "tests/lib/ask.h"
#include "tests/lib/group_actor.h"
#include "tests/lib/state_fixture.h"

#define MINUTE_MS ((int64_t)60000)
/* As a consumer sends it: version 0, subscribed to "t". */
#define SUBSCRIBED_TO_T STR("\0\0\0\0\0\1\0\1t\377\377\377\377")

static StateFixture fixture;
static Actor a;

static void setup(void) {
        state_fixture_start(&fixture);
        state_fixture_set(&fixture, "group.initial.rebalance.delay.ms", "0");
        a = actor_new(fixture.state, "a");
        cr_assert_eq(topic_create(fixture.state, STR("t"), 3, &CONFIG_MAP_INIT, NULL), 0);
        cr_assert_eq(topic_create(fixture.state, STR("u"), 1, &CONFIG_MAP_INIT, NULL), 0);
        cr_assert_eq(groups_ensure_topic(fixture.state), 0); /* so that commits wait for their records only */
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(offsets, .init = setup, .fini = teardown);

static void crash(void) {
        state_fixture_crash(&fixture);
        a.state = fixture.state;
}

static OffsetCommitRequestPartition row_of(int32_t partition, int64_t offset, Str metadata) {
        return (OffsetCommitRequestPartition){ .partition_index = partition, .committed_offset = offset, .committed_metadata = metadata,
                                               .committed_leader_epoch = -1 };
}

/* v8, of a consumer that assigns itself; the request waits for the end of the turn. */
static Asked *start_commit(Str group, Str topic, int32_t partition, int64_t offset) {
        OffsetCommitRequestPartition row = row_of(partition, offset, STR("note"));
        OffsetCommitRequestTopic rows = { .name = topic, .partitions = &row, .partitions_count = 1 };
        return ASK_START(fixture.state, OffsetCommit, offset_commit, 8, .group_id = group, .generation_id_or_member_epoch = -1,
                         .member_id = STR(""), .topics = &rows, .topics_count = 1);
}

static int16_t code_of(const OffsetCommitResponse *answer) {
        cr_assert(answer->topics_count == 1 && answer->topics[0].partitions_count == 1);
        return answer->topics[0].partitions[0].error_code;
}

static void commit_to(const char *group, const char *topic, int32_t partition, int64_t offset) {
        Asked *asked = start_commit(str_of(group), str_of(topic), partition, offset);
        state_commit(fixture.state);
        cr_assert_eq(code_of(asked_end(asked)), 0);
}

static int16_t commit_as(int16_t version, Str member, int32_t generation, Str topic, int32_t partition, Str metadata) {
        OffsetCommitRequestPartition row = row_of(partition, 7, metadata);
        Topic *known = topic_find(fixture.state, topic);
        OffsetCommitRequestTopic rows = { .name = topic, .topic_id = known ? known->id : uuid_random(), .partitions = &row,
                                          .partitions_count = 1 };
        return code_of(ASK(fixture.state, OffsetCommit, offset_commit, version, .group_id = STR("g"), .member_id = member,
                           .generation_id_or_member_epoch = generation, .retention_time_ms = -1, .topics = &rows, .topics_count = 1));
}

static OffsetFetchResponsePartition fetch(const char *group, const char *topic, int32_t partition) {
        OffsetFetchRequestTopic rows = { .name = str_of(topic), .partition_indexes = &partition, .partition_indexes_count = 1 };
        OffsetFetchResponse *answer = ASK(fixture.state, OffsetFetch, offset_fetch, 7, .group_id = str_of(group), .topics = &rows,
                                          .topics_count = 1);
        cr_assert(answer->error_code == 0 && answer->topics_count == 1 && answer->topics[0].partitions_count == 1);
        return answer->topics[0].partitions[0];
}

static void assert_offset(const char *group, const char *topic, int32_t partition, int64_t offset) {
        OffsetFetchResponsePartition row = fetch(group, topic, partition);
        cr_assert_eq(row.committed_offset, offset, "%s %s-%d: %lld", group, topic, partition, (long long)row.committed_offset);
        cr_assert(row.error_code == 0 && row.committed_leader_epoch == -1);
        cr_assert(str_equal(row.metadata, offset < 0 ? STR("") : STR("note")));
}

/* Committing */

Test(offsets, are_known_once_they_are_written) {
        Asked *asked = start_commit(STR("g"), STR("t"), 0, 5);
        cr_assert(!asked_is_done(asked));
        assert_offset("g", "t", 0, -1);
        state_commit(fixture.state);
        assert_offset("g", "t", 0, 5);
        cr_assert_eq(code_of(asked_end(asked)), 0);
        assert_offset("g", "t", 1, -1);
        assert_offset("other", "t", 0, -1);
}

Test(offsets, that_cannot_be_written_are_not_remembered) {
        commit_to("g", "t", 0, 5);
        state_fixture_fail_writes(true);
        Asked *asked = start_commit(STR("g"), STR("t"), 0, 6), *of_new_group = start_commit(STR("new"), STR("t"), 0, 6);
        state_commit(fixture.state);
        state_fixture_fail_writes(false);
        cr_assert_eq(code_of(asked_end(asked)), KAFKA_COORDINATOR_NOT_AVAILABLE);
        cr_assert_eq(code_of(asked_end(of_new_group)), KAFKA_COORDINATOR_NOT_AVAILABLE);
        assert_offset("g", "t", 0, 5);
        cr_assert_null(group_find(fixture.state, STR("new")));
        crash();
        assert_offset("g", "t", 0, 5);
        cr_assert_null(group_find(fixture.state, STR("new")));
}

Test(offsets, are_kept_of_no_more_groups_than_allowed) {
        state_fixture_set(&fixture, "odradek.max.groups", "1");
        commit_to("g", "t", 0, 5);
        cr_assert_eq(code_of(asked_end(start_commit(STR("h"), STR("t"), 0, 5))), KAFKA_POLICY_VIOLATION);
        cr_assert_null(group_find(fixture.state, STR("h")));
        cr_assert_eq(group_check_transactional_commit(fixture.state, NULL, STR(""), STR_NULL, -1), KAFKA_POLICY_VIOLATION);
        commit_to("g", "t", 1, 5);
}

Test(offsets, take_effect_though_the_client_is_gone) {
        asked_drop(start_commit(STR("g"), STR("t"), 0, 5));
        state_commit(fixture.state);
        assert_offset("g", "t", 0, 5);
        state_fixture_fail_writes(true);
        asked_drop(start_commit(STR("g"), STR("t"), 0, 6));
        state_commit(fixture.state);
        state_fixture_fail_writes(false);
        assert_offset("g", "t", 0, 5);
}

Test(offsets, of_a_turn_count_in_their_order_whoever_is_gone) {
        Asked *first = start_commit(STR("g"), STR("t"), 0, 1), *second = start_commit(STR("g"), STR("t"), 0, 2);
        asked_drop(first);
        state_commit(fixture.state);
        asked_end(second);
        assert_offset("g", "t", 0, 2);
        first = start_commit(STR("g"), STR("t"), 0, 3);
        second = start_commit(STR("g"), STR("t"), 0, 4);
        asked_drop(second);
        state_commit(fixture.state);
        asked_end(first);
        assert_offset("g", "t", 0, 4);
        crash();
        assert_offset("g", "t", 0, 4);
}

Test(offsets, without_a_member_make_a_group_that_has_none) {
        commit_to("g", "t", 0, 5);
        commit_to("", "t", 0, 6);
        Group *group = group_find(fixture.state, STR("g"));
        cr_assert(group->state == GROUP_EMPTY && !group->protocol_type);
        assert_offset("", "t", 0, 6);
        cr_assert_eq(code_of(({
                             Asked *asked = start_commit((Str){ "g\0h", 3 }, STR("t"), 0, 5);
                             asked_end(asked);
                     })), KAFKA_INVALID_GROUP_ID);
}

Test(offsets, of_a_generation_need_a_group) {
        for (int16_t version = 2; version <= 10; version++)
                cr_assert_eq(commit_as(version, STR("m"), 1, STR("t"), 0, STR("")),
                             version < 9 ? KAFKA_ILLEGAL_GENERATION : KAFKA_GROUP_ID_NOT_FOUND, "v%d", version);
        cr_assert_null(group_find(fixture.state, STR("g")));
}

Test(offsets, of_members_are_theirs_alone) {
        actors_stabilise((Actor *[]){ &a }, 1);
        cr_assert_eq(commit_as(8, str_of(a.id), 1, STR("t"), 0, STR("")), 0);
        cr_assert_eq(commit_as(8, str_of(a.id), 0, STR("t"), 0, STR("")), KAFKA_ILLEGAL_GENERATION);
        cr_assert_eq(commit_as(8, str_of(a.id), -1, STR("t"), 0, STR("")), KAFKA_ILLEGAL_GENERATION);
        cr_assert_eq(commit_as(8, STR("other"), 1, STR("t"), 0, STR("")), KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(commit_as(8, STR(""), -1, STR("t"), 0, STR("")), KAFKA_UNKNOWN_MEMBER_ID);
        actor_leave(&a);
        cr_assert_eq(commit_as(8, str_of(a.id), 2, STR("t"), 0, STR("")), KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(commit_as(8, STR(""), -1, STR("t"), 0, STR("")), 0);
}

Test(offsets, that_members_commit_keep_their_session) {
        actors_stabilise((Actor *[]){ &a }, 1);
        state_fixture_advance(&fixture, 9999);
        cr_assert_eq(commit_as(8, str_of(a.id), 1, STR("t"), 0, STR("")), 0);
        state_fixture_advance(&fixture, 9999);
        cr_assert_eq(actor_heartbeat(&a), 0);
        actor_join(&a); /* until the assignment they do not */
        state_fixture_advance(&fixture, 9999);
        cr_assert_eq(commit_as(8, str_of(a.id), 2, STR("t"), 0, STR("")), KAFKA_REBALANCE_IN_PROGRESS);
        state_fixture_advance(&fixture, 1);
        cr_assert_eq(actor_heartbeat(&a), KAFKA_UNKNOWN_MEMBER_ID);
}

Test(offsets, need_a_partition) {
        cr_assert_eq(commit_as(8, STR(""), -1, STR("none"), 0, STR("")), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        cr_assert_eq(commit_as(10, STR(""), -1, STR("none"), 0, STR("")), KAFKA_UNKNOWN_TOPIC_ID);
        cr_assert_eq(commit_as(8, STR(""), -1, STR("t"), 3, STR("")), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        cr_assert_eq(commit_as(10, STR(""), -1, STR("t"), -1, STR("")), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        cr_assert_eq(commit_as(8, STR("m"), 3, STR("none"), 0, STR("")), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

Test(offsets, metadata_is_limited_in_units_of_java) {
        state_fixture_set(&fixture, "offset.metadata.max.bytes", "4");
        cr_assert_eq(commit_as(8, STR(""), -1, STR("t"), 0, STR("abcd")), 0);
        cr_assert_eq(commit_as(8, STR(""), -1, STR("t"), 0, STR("abcde")), KAFKA_OFFSET_METADATA_TOO_LARGE);
        cr_assert_eq(commit_as(8, STR(""), -1, STR("t"), 0, STR("äöü€")), 0);
        cr_assert_eq(commit_as(8, STR(""), -1, STR("t"), 0, STR("😀😀")), 0);
        cr_assert_eq(commit_as(8, STR(""), -1, STR("t"), 0, STR("😀😀.")), KAFKA_OFFSET_METADATA_TOO_LARGE);
        cr_assert_eq(commit_as(8, STR("m"), 3, STR("t"), 0, STR("abcde")), KAFKA_UNKNOWN_MEMBER_ID); /* comes first */
}

Test(offsets, one_bad_partition_does_not_hold_the_others_up) {
        OffsetCommitRequestPartition rows[] = { row_of(0, 1, STR("note")), row_of(9, 2, STR("note")), row_of(1, 3, STR("note")),
                                                row_of(1, 4, STR("note")) };
        OffsetCommitRequestTopic topics[] = { { .name = STR("t"), .partitions = rows, .partitions_count = 4 },
                                              { .name = STR("none"), .partitions = rows, .partitions_count = 1 } };
        OffsetCommitResponse *answer = ASK(fixture.state, OffsetCommit, offset_commit, 8, .group_id = STR("g"),
                                           .generation_id_or_member_epoch = -1, .member_id = STR(""), .topics = topics,
                                           .topics_count = 2);
        static const int32_t partitions[] = { 9, 0, 1, 1 }; /* what there is not comes first */
        for (int i = 0; i < 4; i++) {
                cr_assert_eq(answer->topics[0].partitions[i].partition_index, partitions[i]);
                cr_assert_eq(answer->topics[0].partitions[i].error_code, i ? 0 : KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        }
        cr_assert_eq(answer->topics[1].partitions[0].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        assert_offset("g", "t", 0, 1);
        assert_offset("g", "t", 1, 4);
}

/* Fetching */

Test(offsets, come_back_as_they_went) {
        OffsetCommitRequestPartition rows[] = { row_of(0, 5, (Str){ "a\0\xe2\x82\xac", 5 }), row_of(1, 6, STR_NULL) };
        rows[0].committed_leader_epoch = 3;
        OffsetCommitRequestTopic topic = { .name = STR("t"), .partitions = rows, .partitions_count = 2 };
        cr_assert_eq(ASK(fixture.state, OffsetCommit, offset_commit, 8, .group_id = STR("g"), .generation_id_or_member_epoch = -1,
                         .member_id = STR(""), .topics = &topic, .topics_count = 1)->topics[0].partitions[1].error_code, 0);
        for (int i = 0; i < 2; i++) {
                OffsetFetchResponsePartition first = fetch("g", "t", 0), second = fetch("g", "t", 1);
                cr_assert(first.committed_offset == 5 && first.committed_leader_epoch == 3);
                cr_assert(str_equal(first.metadata, rows[0].committed_metadata));
                cr_assert(second.committed_offset == 6 && second.committed_leader_epoch == -1);
                cr_assert(str_equal(second.metadata, STR("")) && !str_is_null(second.metadata));
                crash();
        }
}

Test(offsets, of_several_groups_come_in_one_answer) {
        commit_to("g", "t", 0, 1);
        commit_to("h", "t", 0, 2);
        int32_t index = 0;
        OffsetFetchRequestGroupTopic topic = { .name = STR("t"), .topic_id = topic_find(fixture.state, STR("t"))->id,
                                               .partition_indexes = &index, .partition_indexes_count = 1 };
        OffsetFetchRequestGroup groups[] = { { .group_id = STR("g"), .topics = &topic, .topics_count = 1 },
                                             { .group_id = STR("none"), .topics = &topic, .topics_count = 1 },
                                             { .group_id = STR("h"), .topics_count = -1 },
                                             { .group_id = STR("none"), .topics_count = -1 } };
        for (int16_t version = 8; version <= 10; version++) {
                OffsetFetchResponse *answer = ASK(fixture.state, OffsetFetch, offset_fetch, version, .groups = groups, .groups_count = 4);
                cr_assert_eq(answer->groups_count, 4);
                static const int64_t offsets[] = { 1, -1, 2 };
                for (int i = 0; i < 3; i++)
                        cr_assert_eq(answer->groups[i].topics[0].partitions[0].committed_offset, offsets[i]);
                cr_assert(answer->groups[3].topics_count == 0 && answer->groups[3].error_code == 0);
        }
}

Test(offsets, by_topic_id_need_the_topic) {
        commit_to("g", "t", 0, 1);
        int32_t index = 0;
        OffsetFetchRequestGroupTopic topic = { .topic_id = uuid_random(), .partition_indexes = &index, .partition_indexes_count = 1 };
        OffsetFetchRequestGroup group = { .group_id = STR("g"), .topics = &topic, .topics_count = 1 };
        OffsetFetchResponse *answer = ASK(fixture.state, OffsetFetch, offset_fetch, 10, .groups = &group, .groups_count = 1);
        cr_assert_eq(answer->groups[0].topics[0].partitions[0].error_code, KAFKA_UNKNOWN_TOPIC_ID);
        cr_assert_eq(answer->groups[0].topics[0].partitions[0].committed_offset, -1);
}

Test(offsets, of_many_topics_come_all_together) {
        char name[32];
        for (int i = 0; i < 300; i++) {
                snprintf(name, sizeof(name), "many-%03d", i);
                Group *group = group_get(fixture.state, STR("g"));
                for (int32_t k = 40; k > 0; k--)
                        cr_assert_eq(offset_store(group, str_of(name), k - 1, i, -1, STR(""), FIXTURE_NOW, -1), 0);
        }
        OffsetFetchRequestGroup group = { .group_id = STR("g"), .topics_count = -1 };
        Asked *of_old = ASK_START(fixture.state, OffsetFetch, offset_fetch, 7, .group_id = STR("g"), .topics_count = -1);
        Asked *of_new = ASK_START(fixture.state, OffsetFetch, offset_fetch, 8, .groups = &group, .groups_count = 1);
        cr_assert_lt(asked_arena_bytes(of_old), 300 * 40 * 100); /* in proportion to the answer */
        cr_assert_lt(asked_arena_bytes(of_new), 300 * 40 * 100);
        OffsetFetchResponse *old = asked_end(of_old), *new = asked_end(of_new);
        cr_assert(old->topics_count == 300 && new->groups[0].topics_count == 300);
        for (int i = 0; i < 300; i++) {
                snprintf(name, sizeof(name), "many-%03d", i);
                cr_assert(str_equal(old->topics[i].name, str_of(name)) && str_equal(new->groups[0].topics[i].name, str_of(name)));
                cr_assert(old->topics[i].partitions_count == 40 && new->groups[0].topics[i].partitions_count == 40);
                for (int32_t k = 0; k < 40; k++) {
                        cr_assert(old->topics[i].partitions[k].partition_index == k && old->topics[i].partitions[k].committed_offset == i);
                        cr_assert(new->groups[0].topics[i].partitions[k].partition_index == k);
                }
        }
}

/* Expiry (KIP-211) */

static void set_retention(const char *minutes) {
        state_fixture_set(&fixture, "offsets.retention.minutes", minutes);
        state_fixture_set(&fixture, "offsets.retention.check.interval.ms", "60000");
}

/* To the first look-out after so many minutes. */
static void advance_minutes(int64_t minutes) {
        state_fixture_advance(&fixture, minutes * MINUTE_MS);
}

Test(offsets, of_a_group_without_members_expire_after_their_commit) {
        set_retention("60");
        commit_to("g", "t", 0, 1);
        advance_minutes(30);
        commit_to("g", "t", 1, 2);
        advance_minutes(29);
        assert_offset("g", "t", 0, 1);
        advance_minutes(1);
        assert_offset("g", "t", 0, -1);
        assert_offset("g", "t", 1, 2);
        advance_minutes(30);
        cr_assert_null(group_find(fixture.state, STR("g")));
        crash();
        cr_assert_null(group_find(fixture.state, STR("g")));
}

Test(offsets, of_a_group_that_lost_its_members_expire_after_that) {
        set_retention("60");
        actors_stabilise((Actor *[]){ &a }, 1);
        cr_assert_eq(commit_as(8, str_of(a.id), 1, STR("t"), 0, STR("note")), 0);
        actors_beat_for(&fixture, 50 * MINUTE_MS, (Actor *[]){ &a }, 1);
        actor_leave(&a);
        advance_minutes(10);
        crash(); /* the time of leaving is in the log */
        commit_to("g", "t", 1, 2);
        advance_minutes(49);
        assert_offset("g", "t", 0, 7);
        advance_minutes(1);
        assert_offset("g", "t", 0, -1);
        assert_offset("g", "t", 1, -1); /* however late it was committed */
        cr_assert_null(group_find(fixture.state, STR("g")));
}

Test(offsets, of_consumers_expire_when_they_read_something_else) {
        set_retention("60");
        a.metadata = SUBSCRIBED_TO_T;
        actors_stabilise((Actor *[]){ &a }, 1);
        cr_assert_eq(commit_as(8, str_of(a.id), 1, STR("t"), 0, STR("note")), 0);
        cr_assert_eq(commit_as(8, str_of(a.id), 1, STR("u"), 0, STR("note")), 0);
        actors_beat_for(&fixture, 59 * MINUTE_MS, (Actor *[]){ &a }, 1);
        assert_offset("g", "u", 0, 7);
        actors_beat_for(&fixture, MINUTE_MS, (Actor *[]){ &a }, 1);
        assert_offset("g", "u", 0, -1);
        actors_beat_for(&fixture, 200 * MINUTE_MS, (Actor *[]){ &a }, 1);
        assert_offset("g", "t", 0, 7);
}

Test(offsets, of_members_with_an_unreadable_subscription_stay) {
        set_retention("60");
        actors_stabilise((Actor *[]){ &a }, 1); /* "m" is no subscription */
        cr_assert_eq(commit_as(8, str_of(a.id), 1, STR("u"), 0, STR("note")), 0);
        actors_beat_for(&fixture, 100 * MINUTE_MS, (Actor *[]){ &a }, 1);
        assert_offset("g", "u", 0, 7);
}

Test(offsets, of_members_of_another_kind_stay) {
        set_retention("60");
        a.type = "connect";
        a.metadata = SUBSCRIBED_TO_T;
        actors_stabilise((Actor *[]){ &a }, 1);
        cr_assert_eq(commit_as(8, str_of(a.id), 1, STR("u"), 0, STR("note")), 0);
        actors_beat_for(&fixture, 100 * MINUTE_MS, (Actor *[]){ &a }, 1);
        assert_offset("g", "u", 0, 7);
}

Test(offsets, stay_while_a_group_rebalances) {
        set_retention("1");
        a.metadata = SUBSCRIBED_TO_T;
        a.rebalance_ms = 1000000;
        actors_stabilise((Actor *[]){ &a }, 1);
        cr_assert_eq(commit_as(8, str_of(a.id), 1, STR("u"), 0, STR("note")), 0);
        Actor b = actor_new(fixture.state, "b");
        actor_join(&b);
        actors_beat_for(&fixture, 3 * MINUTE_MS, (Actor *[]){ &a }, 1);
        assert_offset("g", "u", 0, 7);
}

Test(offsets, of_old_clients_have_a_time_of_their_own) {
        set_retention("60");
        OffsetCommitRequestPartition row = row_of(0, 5, STR("note"));
        OffsetCommitRequestTopic rows = { .name = STR("t"), .partitions = &row, .partitions_count = 1 };
        for (int16_t version = 2; version <= 4; version++) {
                row.partition_index = version - 2;
                cr_assert_eq(code_of(ASK(fixture.state, OffsetCommit, offset_commit, version, .group_id = STR("g"), .member_id = STR(""),
                                         .generation_id_or_member_epoch = -1, .retention_time_ms = version * 2 * MINUTE_MS,
                                         .topics = &rows, .topics_count = 1)), 0);
        }
        crash();
        for (int16_t version = 2; version <= 4; version++) {
                advance_minutes(version == 2 ? 3 : 1);
                assert_offset("g", "t", version - 2, 5);
                advance_minutes(1);
                assert_offset("g", "t", version - 2, -1);
        }
}

Test(offsets, whose_tombstones_cannot_be_written_stay) {
        set_retention("60");
        commit_to("g", "t", 0, 1);
        advance_minutes(59);
        state_fixture_fail_writes(true);
        advance_minutes(1);
        state_fixture_fail_writes(false);
        assert_offset("g", "t", 0, 1);
        advance_minutes(1);
        cr_assert_null(group_find(fixture.state, STR("g")));
}

/* A turn looks at some, so that others have theirs. */
Test(offsets, of_many_groups_expire_over_several_turns) {
        set_retention("60");
        for (int i = 0; i < 200; i++) {
                char id[16];
                snprintf(id, sizeof(id), "g%d", i);
                commit_to(id, "t", 0, 1);
        }
        state_fixture_advance(&fixture, 60 * MINUTE_MS - 1);
        cr_assert_eq(fixture.state->groups->by_id.count, 200);
        size_t before = 200;
        for (int turn = 0; turn < 100 && before; turn++) {
                fixture.state->mono_ms++;
                fixture.state->now_ms++;
                state_run_timers(fixture.state);
                size_t left = fixture.state->groups->by_id.count;
                cr_assert(left < before && left + 100 > before);
                before = left;
        }
        cr_assert_eq(before, 0);
}

Test(offsets, groups_without_any_are_forgotten) {
        set_retention("60");
        actors_stabilise((Actor *[]){ &a }, 1);
        advance_minutes(2);
        cr_assert_null(group_find(fixture.state, STR("g"))); /* its session ended, and it was looked at */
        a = actor_new(fixture.state, "a");
        a.version = 4;
        a.session_ms = 150000;
        actor_join_expect(&a, KAFKA_MEMBER_ID_REQUIRED);
        advance_minutes(2);
        cr_assert(group_find(fixture.state, STR("g")));
        advance_minutes(2);
        cr_assert_null(group_find(fixture.state, STR("g")));
        crash();
        cr_assert_null(group_find(fixture.state, STR("g")));
}
