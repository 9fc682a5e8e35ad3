/* JoinGroup: v0-9
 * Enters a group; the answer waits for the generation. v1 adds the rebalance timeout; v4 demands a member id that we gave (KIP-394); v5 static
 * members (KIP-345); v6 is flexible; v7 names the protocol type; v8 a reason, traced; v9 lets a returning leader skip the assignment. */
#include "broker/api/api.h"
#include "broker/api/internal_topics.h"
#include "broker/state/groups/groups.h"

typedef struct Join {
        JoinWait wait;
        Call *call;
        bool is_answered;
} Join;

static bool list_members(Call *call, const Group *group, JoinGroupResponse *response) {
        response->members = call_array(call, JoinGroupResponseMember, group->member_count);
        if (!response->members)
                return false;
        LIST_FOREACH(&group->members, node) {
                const Member *member = container_of(node, Member, node);
                const MemberProtocol *protocol = group->protocol ? member_protocol(member, group->protocol) : NULL;
                JoinGroupResponseMember *row = &response->members[response->members_count++];
                row->member_id = str_of(member->id);
                row->group_instance_id = str_of(member->instance_id);
                row->metadata = protocol ? protocol->metadata : STR("");
        }
        return true;
}

static void on_done(JoinWait *wait, const JoinResult *result) {
        Join *join = container_of(wait, Join, wait);
        Call *call = join->call;
        JoinGroupResponse response = JoinGroupResponse_INIT;
        join->is_answered = true;
        response.error_code = result->code;
        response.member_id = result->member_id;
        response.generation_id = -1;
        response.protocol_name = call_version(call) >= 7 ? STR_NULL : STR("");
        response.protocol_type = STR_NULL;
        response.leader = STR("");
        if (!result->code) {
                response.generation_id = result->generation;
                response.protocol_type = result->protocol_type;
                response.protocol_name = result->protocol;
                response.leader = result->leader_id;
                response.skip_assignment = result->skip_assignment;
                if (result->is_leader && !list_members(call, result->group, &response)) {
                        call_close(call);
                        return;
                }
        }
        call_reply(call, &response);
}

static void cancel(Call *call) {
        join_wait_cancel(&((Join *)call->park)->wait);
}

void api_join_group(Call *call) {
        const JoinGroupRequest *request = call->request;
        if (internal_topics_await_offsets(call))
                return;
        Join *join = arena_alloc(&call->arena, sizeof(*join));
        JoinProtocol *protocols = arena_alloc_array(&call->arena, (size_t)request->protocols_count, sizeof(*protocols));
        if (!join || !protocols) {
                call_close(call);
                return;
        }
        for (int32_t i = 0; i < request->protocols_count; i++)
                protocols[i] = (JoinProtocol){ request->protocols[i].name, request->protocols[i].metadata };
        JoinArgs args = {
                .group_id = request->group_id,
                .member_id = request->member_id,
                .instance_id = request->group_instance_id,
                .client_id = call->header.client_id,
                .client_host = str_of(call->client_host),
                .protocol_type = request->protocol_type,
                .session_timeout_ms = request->session_timeout_ms,
                .rebalance_timeout_ms = call_version(call) >= 1 ? request->rebalance_timeout_ms : request->session_timeout_ms,
                .protocols = protocols,
                .protocol_count = request->protocols_count,
                .requires_known_member_id = call_version(call) >= 4,
                .can_skip_assignment = call_version(call) >= 9,
        };
        *join = (Join){ .wait = { .done = on_done }, .call = call };
        group_join(call->state, &args, &join->wait);
        if (join->is_answered)
                return;
        call->park = join;
        call->cancel = cancel;
}
