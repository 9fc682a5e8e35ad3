/* LeaveGroup: v0-5
 * Takes members out of a group. v3 takes several, also by instance id (KIP-345); v4 is flexible; v5 adds a reason, ignored. */
#include "broker/api/api.h"
#include "broker/state/groups/consumer_heartbeat.h"

/* All at once, so that the group changes once. */
static void leave_consumer_group(Call *call) {
        const LeaveGroupRequest *request = call->request;
        LeaveGroupResponse response = LeaveGroupResponse_INIT;
        bool is_single = call_version(call) < 3;
        int32_t count = is_single ? 1 : request->members_count;
        LeavingMember *leaving = arena_alloc_array(&call->arena, (size_t)count, sizeof(*leaving));
        response.members = call_array(call, LeaveGroupResponseMember, count);
        if (!leaving || !response.members) {
                call_close(call);
                return;
        }
        for (int32_t i = 0; i < count; i++) {
                leaving[i].member_id = is_single ? request->member_id : request->members[i].member_id;
                leaving[i].instance_id = is_single ? STR_NULL : request->members[i].group_instance_id;
        }
        consumer_leave(call->state, request->group_id, leaving, count);
        for (int32_t i = 0; !is_single && i < count; i++) {
                LeaveGroupResponseMember *row = &response.members[response.members_count++];
                row->member_id = leaving[i].member_id;
                row->group_instance_id = leaving[i].instance_id;
                row->error_code = leaving[i].code;
        }
        response.error_code = is_single ? leaving[0].code : 0;
        call_reply(call, &response);
}

void api_leave_group(Call *call) {
        const LeaveGroupRequest *request = call->request;
        LeaveGroupResponse response = LeaveGroupResponse_INIT;
        Group *group = request->group_id.len ? group_find(call->state, request->group_id) : NULL;
        if (group && group->consumer) {
                leave_consumer_group(call);
                return;
        }
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
