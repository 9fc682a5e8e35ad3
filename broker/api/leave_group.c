/* LeaveGroup: v0-5
 * Takes members out of a group. v3 takes several, also by instance id (KIP-345); v4 is flexible; v5 adds a reason, ignored. */
#include "broker/api/api.h"
#include "broker/state/groups.h"

void api_leave_group(Call *call) {
        const LeaveGroupRequest *request = call->request;
        LeaveGroupResponse response = LeaveGroupResponse_INIT;
        if (call_version(call) < 3) {
                response.error_code = group_leave(call->state, request->group_id, request->member_id, STR_NULL);
                call_reply(call, &response);
                return;
        }
        if (request->group_id.len == 0) {
                response.error_code = KAFKA_INVALID_GROUP_ID;
                call_reply(call, &response);
                return;
        }
        response.members = call_array(call, LeaveGroupResponseMember, request->members_count);
        if (!response.members) {
                call_close(call);
                return;
        }
        for (int32_t i = 0; i < request->members_count; i++) {
                LeaveGroupResponseMember *row = &response.members[response.members_count++];
                row->member_id = request->members[i].member_id;
                row->group_instance_id = request->members[i].group_instance_id;
                row->error_code = group_leave(call->state, request->group_id, row->member_id, row->group_instance_id);
        }
        call_reply(call, &response);
}
