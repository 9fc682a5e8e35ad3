/* ListGroups: v0-5
 * All groups. v3 is flexible; v4 filters by state (KIP-518); v5 by type (KIP-848): classic or consumer. */
#include <strings.h>

#include "broker/api/api.h"
#include "broker/state/groups/groups.h"

/* Asked once for each value, not for each group: a client may name many. */
static bool is_wanted(const Str *filter, int32_t count, const char *value) {
        for (int32_t i = 0; i < count; i++)
                if (filter[i].len == strlen(value) && strncasecmp(filter[i].data, value, filter[i].len) == 0)
                        return true;
        return count <= 0;
}

void api_list_groups(Call *call) {
        const ListGroupsRequest *request = call->request;
        ListGroupsResponse response = ListGroupsResponse_INIT;
        HashMap *groups = &call->state->groups->by_id;
        response.groups = call_array(call, ListGroupsResponseGroup, groups->count);
        if (!response.groups) {
                call_close(call);
                return;
        }
        static const char *const types[] = { "classic", "consumer" };
        bool wants_state[GROUP_STATE_COUNT], wants_type[2];
        for (GroupState i = 0; i < GROUP_STATE_COUNT; i++)
                wants_state[i] = is_wanted(request->states_filter, request->states_filter_count, group_state_name(i));
        for (int i = 0; i < 2; i++)
                wants_type[i] = is_wanted(request->types_filter, request->types_filter_count, types[i]);
        HASHMAP_FOREACH(groups, node) {
                const Group *group = container_of(node, Group, node);
                int type = group->consumer != NULL;
                if (!wants_state[group->state] || !wants_type[type])
                        continue;
                ListGroupsResponseGroup *row = &response.groups[response.groups_count++];
                row->group_id = str_of(group->id);
                row->protocol_type = group->protocol_type ? str_of(group->protocol_type) : STR("");
                row->group_state = str_of(group_state_name(group->state));
                row->group_type = str_of(types[type]);
        }
        call_reply(call, &response);
}
