/* DeleteGroups: v0-2
 * Removes groups without members, and the offsets they committed. v2 is flexible. */
#include "broker/api/api.h"
#include "broker/state/groups.h"

void api_delete_groups(Call *call) {
        const DeleteGroupsRequest *request = call->request;
        DeleteGroupsResponse response = DeleteGroupsResponse_INIT;
        response.results = call_array(call, DeleteGroupsResponseResult, request->groups_names_count);
        if (!response.results) {
                call_close(call);
                return;
        }
        for (int32_t i = 0; i < request->groups_names_count; i++) {
                DeleteGroupsResponseResult *row = &response.results[response.results_count++];
                row->group_id = request->groups_names[i];
                row->error_code = call_code(call, group_delete(call->state, row->group_id));
        }
        state_commit(call->state);
        call_reply(call, &response);
}
