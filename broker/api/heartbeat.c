/* Heartbeat: v0-4
 * Keeps a member's session alive, and tells it of a rebalance. v3 adds static members; v4 is flexible. */
#include "broker/api/api.h"
#include "broker/state/groups/groups.h"

void api_heartbeat(Call *call) {
        const HeartbeatRequest *request = call->request;
        HeartbeatResponse response = HeartbeatResponse_INIT;
        response.error_code = group_heartbeat(call->state, request->group_id, request->member_id, request->group_instance_id,
                                              request->generation_id);
        call_reply(call, &response);
}
