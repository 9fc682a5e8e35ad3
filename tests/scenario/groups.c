/* Groups over sockets: connections that close while their request waits. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "storage/base/error.h"
#include "tests/lib/broker_fixture.h"

static BrokerFixture fixture;
static TestClient a, b;

static void setup(void) {
        static const char *const arguments[] = { "--override", "group.initial.rebalance.delay.ms=0", "--override",
                                                 "group.min.session.timeout.ms=100", NULL };
        fixture = BROKER_FIXTURE_INIT;
        fixture_start(&fixture, arguments);
        a = client_connect(&fixture);
        b = client_connect(&fixture);
}

static void teardown(void) {
        client_close(&a);
        fixture_remove(&fixture);
}

TestSuite(groups, .init = setup, .fini = teardown, .timeout = 60);

static void send_join(TestClient *client, Str member_id) {
        JoinGroupRequestProtocol protocol = { .name = STR("range"), .metadata = STR("m") };
        JoinGroupRequest request = { .group_id = STR("g"), .session_timeout_ms = client == &a ? 60000 : 200, .rebalance_timeout_ms = 60000,
                                     .member_id = member_id, .protocol_type = STR("consumer"), .protocols = &protocol,
                                     .protocols_count = 1 };
        client_send(client, &JoinGroupRequest_message, 3, &request);
}

static JoinGroupResponse receive_join(TestClient *client) {
        JoinGroupResponse answer;
        client_receive(client, &JoinGroupResponse_message, 3, client->correlation_id, &answer);
        return answer;
}

static int16_t heartbeat(Str member_id, int32_t generation) {
        HeartbeatRequest request = { .group_id = STR("g"), .member_id = member_id, .generation_id = generation };
        HeartbeatResponse answer;
        CLIENT_CALL(&a, Heartbeat, 3, &request, &answer);
        return answer.error_code;
}

static void wait_for_rebalance(Str member_id, int32_t generation) {
        int16_t code;
        while ((code = heartbeat(member_id, generation)) == 0)
                ;
        cr_assert_eq(code, KAFKA_REBALANCE_IN_PROGRESS);
}

Test(groups, go_on_without_a_member_whose_connection_closed_while_it_joined) {
        send_join(&a, STR(""));
        JoinGroupResponse first = receive_join(&a);
        cr_assert(first.error_code == 0 && first.generation_id == 1);
        send_join(&b, STR(""));
        wait_for_rebalance(first.member_id, 1);
        client_close(&b);
        send_join(&a, first.member_id);
        JoinGroupResponse second = receive_join(&a);
        if (second.members_count == 2) { /* came before the broker saw b's end */
                wait_for_rebalance(first.member_id, second.generation_id);
                send_join(&a, first.member_id);
                second = receive_join(&a);
        }
        cr_assert(second.error_code == 0 && second.members_count == 1);
        cr_assert_eq(heartbeat(first.member_id, second.generation_id), 0);
}

Test(groups, go_on_without_a_member_whose_connection_closed_while_it_synced) {
        send_join(&a, STR(""));
        JoinGroupResponse leader = receive_join(&a);
        send_join(&b, STR(""));
        wait_for_rebalance(leader.member_id, 1);
        send_join(&a, leader.member_id);
        leader = receive_join(&a);
        JoinGroupResponse follower = receive_join(&b);
        cr_assert(leader.members_count == 2 && follower.generation_id == 2);
        Str of_b = arena_str(&a.arena, follower.member_id); /* outlives b */
        SyncGroupRequest sync = { .group_id = STR("g"), .generation_id = 2, .member_id = of_b };
        client_send(&b, &SyncGroupRequest_message, 3, &sync);
        cr_assert(client_is_silent(&b, 20));
        client_close(&b);
        SyncGroupRequestAssignment parts[] = { { leader.member_id, STR("x") }, { of_b, STR("y") } };
        SyncGroupResponse answer;
        sync = (SyncGroupRequest){ .group_id = STR("g"), .generation_id = 2, .member_id = leader.member_id, .assignments = parts,
                                   .assignments_count = 2 };
        CLIENT_CALL(&a, SyncGroup, 3, &sync, &answer);
        cr_assert(answer.error_code == 0 && str_equal(answer.assignment, STR("x")));
        wait_for_rebalance(leader.member_id, 2);
}

Test(groups, a_broker_stops_while_members_wait) {
        send_join(&a, STR(""));
        JoinGroupResponse first = receive_join(&a);
        send_join(&b, STR(""));
        wait_for_rebalance(first.member_id, 1);
        cr_assert_eq(fixture_stop(&fixture), BROKER_EXIT_CLEAN);
        cr_assert(client_is_closed(&b));
        client_close(&b);
}
