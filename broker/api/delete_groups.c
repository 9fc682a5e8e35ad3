/* DeleteGroups: v0-2
 * Removes groups without members, and the offsets they committed. A group that is named twice is answered once. v2 is flexible. */
#include "broker/api/api.h"
#include "broker/api/names.h"
#include "broker/state/groups/groups.h"

void api_delete_groups(Call *call) {
        const DeleteGroupsRequest *request = call->request;
        DeleteGroupsResponse response = DeleteGroupsResponse_INIT;
        Names names;
        names_init(&names, call);
        response.results = call_array(call, DeleteGroupsResponseResult, request->groups_names_count);
        bool ok = response.results != NULL;
        for (int32_t i = 0; ok && i < request->groups_names_count; i++)
                ok = names_add(&names, request->groups_names[i]);
        for (int32_t i = 0; ok && i < request->groups_names_count; i++) {
                if (!names_take(&names, request->groups_names[i]))
                        continue;
                DeleteGroupsResponseResult *row = &response.results[response.results_count++];
                row->group_id = request->groups_names[i];
                row->error_code = call_code(call, group_delete(call->state, row->group_id));
        }
        names_deinit(&names);
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
