/* The APIs of groups: what they answer, and what deleting deletes. */
#include <criterion/criterion.h>

#include "tests/lib/ask.h"
#include "tests/lib/group_actor.h"
#include "tests/lib/state_fixture.h"

/* As a consumer sends it: version 0, subscribed to "t". */
#define SUBSCRIBED_TO_T STR("\0\0\0\0\0\1\0\1t\377\377\377\377")
#define MALFORMED "This most likely occurs because of a request being malformed by the client library or the message was sent to an " \
                  "incompatible broker. See the broker logs for more details."

static StateFixture fixture;
static Actor a, b;

static void setup(void) {
        state_fixture_start(&fixture);
        state_fixture_set(&fixture, "group.initial.rebalance.delay.ms", "0");
        a = actor_new(fixture.state, "a");
        b = actor_new(fixture.state, "b");
        cr_assert_eq(topic_create(fixture.state, STR("t"), 2, &CONFIG_MAP_INIT, NULL), 0);
        cr_assert_eq(topic_create(fixture.state, STR("u"), 2, &CONFIG_MAP_INIT, NULL), 0);
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(group_apis, .init = setup, .fini = teardown);

static void crash(void) {
        state_fixture_crash(&fixture);
        a.state = b.state = fixture.state;
}

/* Commits offset 5 for both partitions of "t" and "u", as a consumer that assigns itself or as a member. */
static void commit_all(const char *group, const Actor *member) {
        OffsetCommitRequestPartition rows[] = { { .partition_index = 0, .committed_offset = 5, .committed_metadata = STR("") },
                                                { .partition_index = 1, .committed_offset = 5, .committed_metadata = STR("") } };
        OffsetCommitRequestTopic topics[] = { { .name = STR("t"), .partitions = rows, .partitions_count = 2 },
                                              { .name = STR("u"), .partitions = rows, .partitions_count = 2 } };
        OffsetCommitResponse *answer = ASK(fixture.state, OffsetCommit, offset_commit, 8, .group_id = str_of(group),
                                           .member_id = member ? str_of(member->id) : STR(""),
                                           .generation_id_or_member_epoch = member ? member->generation : -1,
                                           .topics = topics, .topics_count = 2);
        cr_assert_eq(answer->topics[1].partitions[1].error_code, 0);
}

static bool has_offset(const char *group, const char *topic, int32_t partition) {
        Group *found = group_find(fixture.state, str_of(group));
        return found && offset_find(found, str_of(topic), partition);
}

/* OffsetDelete */

static OffsetDeleteResponse *delete_offsets(const char *group, const char *topic, int32_t first, int32_t second) {
        OffsetDeleteRequestPartition rows[] = { { first }, { second } };
        OffsetDeleteRequestTopic wanted = { .name = str_of(topic), .partitions = rows, .partitions_count = 2 };
        return ASK(fixture.state, OffsetDelete, offset_delete, 0, .group_id = str_of(group), .topics = &wanted, .topics_count = 1);
}

static void assert_deletes(const char *group, const char *topic, int16_t first, int16_t second) {
        OffsetDeleteResponse *answer = delete_offsets(group, topic, 0, 2);
        cr_assert(answer->error_code == 0 && answer->topics_count == 1 && answer->topics[0].partitions_count == 2);
        cr_assert_eq(answer->topics[0].partitions[0].error_code, first);
        cr_assert_eq(answer->topics[0].partitions[1].error_code, second);
}

Test(group_apis, offsets_are_deleted_one_by_one) {
        commit_all("g", NULL);
        assert_deletes("g", "t", 0, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        assert_deletes("g", "t", 0, KAFKA_UNKNOWN_TOPIC_OR_PARTITION); /* there is nothing any more, which is fine */
        assert_deletes("g", "none", KAFKA_UNKNOWN_TOPIC_OR_PARTITION, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        for (int i = 0; i < 2; i++) {
                cr_assert(!has_offset("g", "t", 0) && has_offset("g", "t", 1) && has_offset("g", "u", 0));
                crash();
        }
}

Test(group_apis, offsets_of_topics_that_are_read_cannot_be_deleted) {
        a.metadata = SUBSCRIBED_TO_T;
        actors_stabilise((Actor *[]){ &a }, 1);
        commit_all("g", &a);
        assert_deletes("g", "t", KAFKA_GROUP_SUBSCRIBED_TO_TOPIC, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        assert_deletes("g", "u", 0, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        cr_assert(has_offset("g", "t", 0) && !has_offset("g", "u", 0));
        crash(); /* the subscription is in the log */
        assert_deletes("g", "t", KAFKA_GROUP_SUBSCRIBED_TO_TOPIC, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        actor_leave(&a);
        assert_deletes("g", "t", 0, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

Test(group_apis, offsets_of_members_that_cannot_be_read_are_kept) {
        actors_stabilise((Actor *[]){ &a }, 1);
        commit_all("g", &a);
        assert_deletes("g", "u", KAFKA_GROUP_SUBSCRIBED_TO_TOPIC, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

Test(group_apis, offsets_of_members_of_another_kind_are_kept) {
        a.type = "connect";
        actors_stabilise((Actor *[]){ &a }, 1);
        commit_all("g", &a);
        OffsetDeleteResponse *answer = delete_offsets("g", "t", 0, 1);
        cr_assert(answer->error_code == KAFKA_NON_EMPTY_GROUP && answer->topics_count == 0);
        actor_leave(&a);
        cr_assert_eq(delete_offsets("g", "t", 0, 1)->error_code, 0);
}

Test(group_apis, offsets_are_deleted_in_groups_that_exist) {
        cr_assert_eq(delete_offsets("none", "t", 0, 1)->error_code, KAFKA_GROUP_ID_NOT_FOUND);
        cr_assert_eq(delete_offsets("", "t", 0, 1)->error_code, KAFKA_INVALID_GROUP_ID);
}

Test(group_apis, offsets_stay_when_their_deletion_cannot_be_written) {
        commit_all("g", NULL);
        state_fixture_fail_writes(true);
        OffsetDeleteResponse *answer = delete_offsets("g", "t", 0, 1);
        state_fixture_fail_writes(false);
        cr_assert(answer->error_code == KAFKA_COORDINATOR_NOT_AVAILABLE && answer->topics_count == 0);
        cr_assert(has_offset("g", "t", 0) && has_offset("g", "t", 1));
}

/* A commit of the same turn is written before, and does not bring back what was deleted after it. */
Test(group_apis, no_commit_overtakes_a_deletion) {
        commit_all("g", NULL);
        assert_deletes("g", "t", 0, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        OffsetCommitRequestPartition row = { .partition_index = 0, .committed_offset = 9, .committed_metadata = STR("") };
        OffsetCommitRequestTopic topic = { .name = STR("t"), .partitions = &row, .partitions_count = 1 };
        Asked *commit = ASK_START(fixture.state, OffsetCommit, offset_commit, 8, .group_id = STR("g"), .member_id = STR(""),
                                  .generation_id_or_member_epoch = -1, .topics = &topic, .topics_count = 1);
        assert_deletes("g", "t", 0, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        state_commit(fixture.state);
        cr_assert_eq(((OffsetCommitResponse *)asked_end(commit))->topics[0].partitions[0].error_code, 0);
        for (int i = 0; i < 2; i++) {
                cr_assert(!has_offset("g", "t", 0));
                crash();
        }
}

Test(group_apis, offsets_go_with_their_topic) {
        commit_all("g", NULL);
        commit_all("h", NULL);
        cr_assert_eq(topic_delete(fixture.state, topic_find(fixture.state, STR("t"))), 0);
        state_drain(fixture.state);
        for (int i = 0; i < 2; i++) {
                cr_assert(!has_offset("g", "t", 0) && !has_offset("g", "t", 1) && !has_offset("h", "t", 1));
                cr_assert(has_offset("g", "u", 0) && has_offset("h", "u", 1));
                crash();
        }
        cr_assert_eq(topic_create(fixture.state, STR("t"), 2, &CONFIG_MAP_INIT, NULL), 0);
        cr_assert(!has_offset("g", "t", 0));
}

/* DeleteGroups */

static DeleteGroupsResponse *delete_groups(const char *first, const char *second) {
        Str names[] = { str_of(first), str_of(second) };
        return ASK(fixture.state, DeleteGroups, delete_groups, 2, .groups_names = names, .groups_names_count = 2);
}

Test(group_apis, groups_without_members_can_be_deleted) {
        commit_all("g", NULL);
        actors_stabilise((Actor *[]){ &a }, 1);
        DeleteGroupsResponse *answer = delete_groups("g", "none");
        cr_assert_eq(answer->results[0].error_code, KAFKA_NON_EMPTY_GROUP);
        cr_assert_eq(answer->results[1].error_code, KAFKA_GROUP_ID_NOT_FOUND);
        actor_join(&b);
        cr_assert_eq(delete_groups("g", "none")->results[0].error_code, KAFKA_NON_EMPTY_GROUP);
        actor_leave(&a);
        cr_assert_eq(actor_leave(&b), 0);
        cr_assert_eq(delete_groups("g", "none")->results[0].error_code, 0);
        for (int i = 0; i < 2; i++) {
                cr_assert_null(group_find(fixture.state, STR("g")));
                crash();
        }
        commit_all("g", NULL);
        cr_assert_eq(actor_group(&a)->generation, 0);
}

Test(group_apis, a_group_is_deleted_once) {
        commit_all("g", NULL);
        DeleteGroupsResponse *answer = delete_groups("g", "g");
        cr_assert(answer->results_count == 1 && answer->results[0].error_code == 0);
        commit_all("", NULL);
        cr_assert_eq(delete_groups("", "none")->results[0].error_code, 0);
        cr_assert_eq(delete_groups("", "none")->results[0].error_code, KAFKA_GROUP_ID_NOT_FOUND);
}

/* The names of a request are not compared with each other. */
Test(group_apis, many_groups_are_deleted_at_once, .timeout = 120) {
        enum { NAMES = 300000 };
        static Str names[NAMES];
        static char texts[NAMES][16];
        for (int i = 0; i < NAMES; i++) {
                snprintf(texts[i], sizeof(texts[i]), "%06d", i == NAMES - 1 ? 0 : i);
                names[i] = str_of(texts[i]);
        }
        DeleteGroupsResponse *answer = ASK(fixture.state, DeleteGroups, delete_groups, 2, .groups_names = names, .groups_names_count = NAMES);
        cr_assert_eq(answer->results_count, NAMES - 1);
        cr_assert(str_equal(answer->results[NAMES - 2].group_id, names[NAMES - 2]));
        cr_assert_eq(answer->results[NAMES - 2].error_code, KAFKA_GROUP_ID_NOT_FOUND);
}

Test(group_apis, groups_stay_when_their_deletion_cannot_be_written) {
        commit_all("g", NULL);
        state_fixture_fail_writes(true);
        int16_t code = delete_groups("g", "none")->results[0].error_code;
        state_fixture_fail_writes(false);
        cr_assert_eq(code, KAFKA_COORDINATOR_NOT_AVAILABLE);
        cr_assert(has_offset("g", "t", 0));
        crash();
        cr_assert(has_offset("g", "t", 0));
}

Test(group_apis, no_commit_overtakes_the_deletion_of_its_group) {
        commit_all("g", NULL);
        assert_deletes("g", "t", 0, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        OffsetCommitRequestPartition row = { .partition_index = 0, .committed_offset = 9, .committed_metadata = STR("") };
        OffsetCommitRequestTopic topic = { .name = STR("t"), .partitions = &row, .partitions_count = 1 };
        Asked *commit = ASK_START(fixture.state, OffsetCommit, offset_commit, 8, .group_id = STR("g"), .member_id = STR(""),
                                  .generation_id_or_member_epoch = -1, .topics = &topic, .topics_count = 1);
        row.partition_index = 1;
        Asked *first = ASK_START(fixture.state, OffsetCommit, offset_commit, 8, .group_id = STR("new"), .member_id = STR(""),
                                 .generation_id_or_member_epoch = -1, .topics = &topic, .topics_count = 1);
        cr_assert_eq(delete_groups("g", "none")->results[0].error_code, 0);
        asked_end(commit);
        asked_end(first);
        for (int i = 0; i < 2; i++) {
                cr_assert(!group_find(fixture.state, STR("g")) && has_offset("new", "t", 1));
                crash();
        }
}

Test(group_apis, ids_that_were_given_go_with_their_group) {
        a.version = 4;
        actor_join_expect(&a, KAFKA_MEMBER_ID_REQUIRED);
        cr_assert_eq(delete_groups("g", "none")->results[0].error_code, 0);
        actor_join_expect(&a, KAFKA_UNKNOWN_MEMBER_ID);
        state_fixture_advance(&fixture, 20000); /* past its session */
}

/* DescribeGroups, ListGroups */

static DescribeGroupsResponseGroup *describe(int16_t version, const char *group, bool with_operations) {
        Str name = str_of(group);
        DescribeGroupsResponse *answer = ASK(fixture.state, DescribeGroups, describe_groups, version, .groups = &name, .groups_count = 1,
                                             .include_authorized_operations = with_operations);
        cr_assert(answer->groups_count == 1 && str_equal(answer->groups[0].group_id, name));
        return &answer->groups[0];
}

static void assert_described(const char *state, const char *metadata, const char *assignment) {
        DescribeGroupsResponseGroup *group = describe(6, "g", false);
        cr_assert(str_equal(group->group_state, str_of(state)), "%.*s", STR_ARG(group->group_state));
        cr_assert(str_equal(group->protocol_type, STR("consumer")));
        cr_assert(str_equal(group->protocol_data, strcmp(state, "Stable") == 0 ? STR("range") : STR("")));
        cr_assert_eq(group->members_count, metadata ? 1 : 0);
        if (!metadata)
                return;
        cr_assert(str_equal(group->members[0].member_id, str_of(a.id)) && str_equal(group->members[0].client_id, STR("a")));
        cr_assert(str_equal(group->members[0].client_host, STR("/127.0.0.1")) && str_is_null(group->members[0].group_instance_id));
        cr_assert(str_equal(group->members[0].member_metadata, str_of(metadata)));
        cr_assert(str_equal(group->members[0].member_assignment, str_of(assignment)));
}

Test(group_apis, groups_are_described_in_every_state) {
        actor_join(&a);
        assert_described("CompletingRebalance", "", "");
        actor_assign(&a, (Actor *[]){ &a }, 1);
        state_commit(fixture.state);
        assert_described("Stable", "m", "a");
        crash();
        assert_described("Stable", "m", "a");
        b.version = 4;
        actor_join_expect(&b, KAFKA_MEMBER_ID_REQUIRED);
        assert_described("Stable", "m", "a");
        actor_join(&a);
        assert_described("PreparingRebalance", "", "a"); /* b may still come */
        actor_leave(&b);
        assert_described("CompletingRebalance", "", "a");
        actor_join_expect(&b, KAFKA_UNKNOWN_MEMBER_ID);
        strcpy(b.id, "");
        actor_join_expect(&b, KAFKA_MEMBER_ID_REQUIRED);
        a.metadata = STR("changed");
        actor_join(&a);
        assert_described("PreparingRebalance", "", ""); /* what a generation did not assign is void */
        actor_leave(&b);
        actor_leave(&a);
        assert_described("Empty", NULL, NULL);
}

Test(group_apis, unknown_groups_are_dead) {
        for (int16_t version = 0; version <= 6; version++) {
                DescribeGroupsResponseGroup *group = describe(version, "none", version >= 3);
                cr_assert(str_equal(group->group_state, STR("Dead")));
                cr_assert_eq(group->error_code, version < 6 ? 0 : KAFKA_GROUP_ID_NOT_FOUND);
                if (version >= 3)
                        cr_assert_eq(group->authorized_operations, version < 6 ? 0xd48 : INT32_MIN);
        }
        cr_assert(str_equal(describe(6, "none", false)->error_message, STR("Group none not found.")));
        commit_all("g", NULL);
        cr_assert_eq(describe(6, "g", true)->authorized_operations, 0xd48);
        cr_assert_eq(describe(6, "g", false)->authorized_operations, INT32_MIN);
}

static int32_t count_listed(int16_t version, const char *state, const char *type, const char *only) {
        Str states = str_of(state), types = str_of(type);
        ListGroupsResponse *answer = ASK(fixture.state, ListGroups, list_groups, version, .states_filter = &states,
                                         .states_filter_count = state ? 1 : 0, .types_filter = &types, .types_filter_count = type ? 1 : 0);
        for (int32_t i = 0; i < answer->groups_count; i++)
                cr_assert(!only || str_equal(answer->groups[i].group_id, str_of(only)));
        return answer->groups_count;
}

Test(group_apis, groups_are_listed_by_state_and_type) {
        commit_all("simple", NULL);
        actors_stabilise((Actor *[]){ &a }, 1);
        for (int16_t version = 0; version <= 5; version++)
                cr_assert_eq(count_listed(version, NULL, NULL, NULL), 2);
        cr_assert_eq(count_listed(4, "Stable", NULL, "g"), 1);
        cr_assert_eq(count_listed(5, "sTABLE", "Classic", "g"), 1);
        cr_assert_eq(count_listed(5, "Empty", NULL, "simple"), 1);
        cr_assert_eq(count_listed(5, "none", NULL, NULL), 0);
        cr_assert_eq(count_listed(5, NULL, "consumer", NULL), 0);
        cr_assert_eq(count_listed(5, NULL, "none", NULL), 0);
        ListGroupsResponse *answer = ASK(fixture.state, ListGroups, list_groups, 5, .states_filter = &STR("Stable"), .states_filter_count = 1);
        cr_assert(str_equal(answer->groups[0].protocol_type, STR("consumer")) && str_equal(answer->groups[0].group_type, STR("classic")));
        cr_assert(str_equal(answer->groups[0].group_state, STR("Stable")));
}

Test(group_apis, many_states_may_be_asked_for, .timeout = 120) {
        enum { GROUPS = 20000, STATES = 1000000 };
        static Str states[STATES];
        char id[16];
        for (int i = 0; i < GROUPS; i++) {
                snprintf(id, sizeof(id), "g%d", i);
                cr_assert(group_get(fixture.state, str_of(id)));
        }
        for (int i = 0; i < STATES; i++)
                states[i] = STR("Emptz"); /* as long as the one that they have */
        ListGroupsResponse *answer = ASK(fixture.state, ListGroups, list_groups, 5, .states_filter = states, .states_filter_count = STATES);
        cr_assert_eq(answer->groups_count, 0);
        states[STATES - 1] = STR("Empty");
        answer = ASK(fixture.state, ListGroups, list_groups, 5, .states_filter = states, .states_filter_count = STATES);
        cr_assert_eq(answer->groups_count, GROUPS);
}

/* FindCoordinator */

Test(group_apis, this_broker_coordinates_every_group) {
        cr_assert_null(topic_find(fixture.state, STR(TOPIC_NAME_OFFSETS)));
        for (int16_t version = 0; version <= 3; version++) {
                FindCoordinatorResponse *answer = ASK(fixture.state, FindCoordinator, find_coordinator, version, .key = STR("g"));
                cr_assert(answer->error_code == 0 && answer->node_id == fixture.state->node_id && answer->port == 1234);
                cr_assert(str_equal(answer->host, STR("me")));
        }
        Str keys[] = { STR("g"), STR(""), STR("g") };
        FindCoordinatorResponse *answer = ASK(fixture.state, FindCoordinator, find_coordinator, 6, .coordinator_keys = keys,
                                              .coordinator_keys_count = 3);
        cr_assert_eq(answer->coordinators_count, 3);
        for (int i = 0; i < 3; i++) {
                cr_assert(answer->coordinators[i].error_code == 0 && answer->coordinators[i].port == 1234);
                cr_assert(str_equal(answer->coordinators[i].key, keys[i]) && str_equal(answer->coordinators[i].host, STR("me")));
        }
        cr_assert(topic_find(fixture.state, STR(TOPIC_NAME_OFFSETS)));
}

Test(group_apis, other_kinds_of_coordinators_are_refused_in_kafka_s_words) {
        FindCoordinatorResponse *answer = ASK(fixture.state, FindCoordinator, find_coordinator, 1, .key = STR("g"), .key_type = 2);
        cr_assert(answer->error_code == KAFKA_INVALID_REQUEST && str_equal(answer->error_message, STR(MALFORMED)));
        cr_assert(answer->node_id == -1 && answer->port == -1 && answer->host.len == 0);
        Str key = STR("g");
        for (int8_t type = -1; type <= 9; type += type == -1 ? 3 : 7) {
                answer = ASK(fixture.state, FindCoordinator, find_coordinator, 6, .key_type = type, .coordinator_keys = &key,
                             .coordinator_keys_count = 1);
                cr_assert(answer->coordinators[0].error_code == KAFKA_INVALID_REQUEST && answer->coordinators[0].node_id == -1);
                cr_assert(str_equal(answer->coordinators[0].error_message, type == 2 ? STR("") : STR(MALFORMED)), "%d", type);
        }
}

/* LeaveGroup */

Test(group_apis, members_leave_alone_or_together) {
        a.instance = "i";
        actors_stabilise((Actor *[]){ &a, &b }, 2);
        cr_assert_eq(ASK(fixture.state, LeaveGroup, leave_group, 2, .group_id = STR("g"), .member_id = STR("x"))->error_code,
                     KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(ASK(fixture.state, LeaveGroup, leave_group, 2, .group_id = STR(""), .member_id = STR("x"))->error_code,
                     KAFKA_INVALID_GROUP_ID);
        LeaveGroupRequestMember members[] = { { .member_id = STR("") , .group_instance_id = STR("i") },
                                              { .member_id = STR("x"), .group_instance_id = STR_NULL },
                                              { .member_id = str_of(b.id), .group_instance_id = STR_NULL } };
        LeaveGroupResponse *answer = ASK(fixture.state, LeaveGroup, leave_group, 5, .group_id = STR("g"), .members = members,
                                         .members_count = 3);
        cr_assert(answer->error_code == 0 && answer->members_count == 3);
        cr_assert(answer->members[0].error_code == 0 && str_equal(answer->members[0].group_instance_id, STR("i")));
        cr_assert(answer->members[1].error_code == KAFKA_UNKNOWN_MEMBER_ID && answer->members[2].error_code == 0);
        cr_assert_eq(actor_group(&a)->state, GROUP_EMPTY);
        cr_assert_eq(actor_group(&a)->generation, 3);
}

/* Connections that close while a request waits */

static Asked *start_join(int16_t version, Str member_id) {
        JoinGroupRequestProtocol protocol = { .name = STR("range"), .metadata = STR("m") };
        return ASK_START(fixture.state, JoinGroup, join_group, version, .group_id = STR("g"), .session_timeout_ms = 10000,
                         .rebalance_timeout_ms = 30000, .member_id = member_id, .protocol_type = STR("consumer"),
                         .protocols = &protocol, .protocols_count = 1);
}

static Asked *start_sync(int32_t generation, Str member_id) {
        return ASK_START(fixture.state, SyncGroup, sync_group, 3, .group_id = STR("g"), .generation_id = generation,
                         .member_id = member_id);
}

Test(group_apis, a_waiting_join_goes_with_its_connection) {
        actors_stabilise((Actor *[]){ &a }, 1);
        Asked *join = start_join(3, STR(""));
        cr_assert(!asked_is_done(join));
        asked_drop(join);
        actor_join(&a);
        cr_assert(a.is_joining);
        state_fixture_advance(&fixture, 10000); /* the session of whoever is gone */
        actor_assert_joined(&a, 2, &a);
        cr_assert_eq(a.member_count, 1);
}

Test(group_apis, a_waiting_join_can_be_repeated_on_another_connection) {
        actors_stabilise((Actor *[]){ &a }, 1);
        JoinGroupResponse *given = asked_end(start_join(4, STR("")));
        cr_assert_eq(given->error_code, KAFKA_MEMBER_ID_REQUIRED);
        Asked *first = start_join(4, given->member_id), *second = start_join(4, given->member_id);
        cr_assert_eq(((JoinGroupResponse *)asked_end(first))->error_code, KAFKA_REBALANCE_IN_PROGRESS);
        asked_drop(second);
        Asked *third = start_join(4, given->member_id);
        actor_join(&a);
        JoinGroupResponse *joined = asked_end(third);
        cr_assert(joined->error_code == 0 && joined->generation_id == 2 && str_equal(joined->leader, str_of(a.id)));
        cr_assert(str_equal(joined->protocol_name, STR("range")) && joined->members_count == 0);
}

Test(group_apis, a_waiting_sync_goes_with_its_connection) {
        actor_join(&a);
        actor_join(&b);
        actor_join(&a);
        Asked *follower = start_sync(2, str_of(b.id)), *leader = start_sync(2, str_of(a.id));
        cr_assert(!asked_is_done(follower) && !asked_is_done(leader));
        asked_drop(follower);
        asked_drop(leader); /* before its assignment is written */
        state_commit(fixture.state);
        cr_assert_eq(actor_group(&a)->state, GROUP_STABLE);
        cr_assert_eq(((SyncGroupResponse *)asked_end(start_sync(2, str_of(b.id))))->error_code, 0);
        asked_drop(start_join(3, str_of(a.id)));
        state_fixture_advance(&fixture, 60000);
        cr_assert_eq(actor_group(&a)->state, GROUP_EMPTY);
}

Test(group_apis, a_waiting_call_may_outlive_the_groups) {
        actors_stabilise((Actor *[]){ &a }, 1);
        Asked *join = start_join(3, STR(""));
        state_fixture_crash(&fixture);
        asked_drop(join);
}

Test(group_apis, a_sync_names_what_it_follows_from_v5_on) {
        actors_stabilise((Actor *[]){ &a }, 1);
        static const struct {
                Str type, name;
                int16_t code;
        } rows[] = { { STR("consumer"), STR("range"), 0 },
                     { STR_NULL, STR("range"), KAFKA_INCONSISTENT_GROUP_PROTOCOL },
                     { STR("consumer"), STR_NULL, KAFKA_INCONSISTENT_GROUP_PROTOCOL },
                     { STR("consumer"), STR("other"), KAFKA_INCONSISTENT_GROUP_PROTOCOL },
                     { STR("connect"), STR("range"), KAFKA_INCONSISTENT_GROUP_PROTOCOL } };
        for (int i = 0; i < 5; i++) {
                SyncGroupResponse *answer = ASK(fixture.state, SyncGroup, sync_group, 5, .group_id = STR("g"), .generation_id = 1,
                                                .member_id = str_of(a.id), .protocol_type = rows[i].type, .protocol_name = rows[i].name);
                cr_assert_eq(answer->error_code, rows[i].code, "%d", i);
                cr_assert(str_equal(answer->assignment, rows[i].code ? STR("") : STR("a")));
                cr_assert_eq(str_is_null(answer->protocol_name), rows[i].code != 0);
        }
}
