/* DeleteGroups: v0-2
 * Removes groups without members, and the offsets they committed. A group that is named twice is answered once. v2 is flexible. */
#include "broker/api/api.h"
#include "broker/state/groups/groups.h"

static bool is_answered(const DeleteGroupsResponse *response, Str group_id) {
        for (int32_t i = 0; i < response->results_count; i++)
                if (str_equal(response->results[i].group_id, group_id))
                        return true;
        return false;
}

void api_delete_groups(Call *call) {
        const DeleteGroupsRequest *request = call->request;
        DeleteGroupsResponse response = DeleteGroupsResponse_INIT;
        response.results = call_array(call, DeleteGroupsResponseResult, request->groups_names_count);
        if (!response.results) {
                call_close(call);
                return;
        }
        for (int32_t i = 0; i < request->groups_names_count; i++) {
                if (is_answered(&response, request->groups_names[i]))
                        continue;
                DeleteGroupsResponseResult *row = &response.results[response.results_count++];
                row->group_id = request->groups_names[i];
                row->error_code = call_code(call, group_delete(call->state, row->group_id));
        }
        call_reply(call, &response);
}
