/* DescribeGroups: v0-6
 * State, protocol and members of groups. v3 adds authorised operations; v4 static members; v5 is flexible; v6 answers an unknown group
 * with GROUP_ID_NOT_FOUND, where earlier versions call it Dead. */
#include "broker/api/api.h"
#include "broker/state/groups/groups.h"

#define GROUP_OPERATIONS 0xd48 /* READ, DELETE, DESCRIBE and those of configs: all, since nothing is authorised */

static bool describe_members(Call *call, const Group *group, DescribeGroupsResponseGroup *row) {
        row->members = call_array(call, DescribeGroupsResponseMember, group->member_count);
        if (!row->members)
                return false;
        LIST_FOREACH(&group->members, node) {
                const Member *member = container_of(node, Member, node);
                const MemberProtocol *protocol = group->state == GROUP_STABLE && group->protocol ? member_protocol(member, group->protocol) : NULL;
                DescribeGroupsResponseMember *out = &row->members[row->members_count++];
                out->member_id = str_of(member->id);
                out->group_instance_id = str_of(member->instance_id);
                out->client_id = str_of(member->client_id);
                out->client_host = str_of(member->client_host);
                out->member_metadata = protocol ? protocol->metadata : STR("");
                out->member_assignment = str_is_null(member->assignment) ? STR("") : member->assignment;
        }
        return true;
}

static bool describe(Call *call, Str id, DescribeGroupsResponseGroup *row) {
        const DescribeGroupsRequest *request = call->request;
        Group *group = group_find(call->state, id);
        row->group_id = id;
        row->error_message = STR_NULL;
        if (request->include_authorized_operations && (group || call_version(call) < 6))
                row->authorized_operations = GROUP_OPERATIONS;
        if (!group || group->consumer) {
                row->group_state = STR("Dead");
                if (call_version(call) < 6)
                        return true;
                row->error_code = KAFKA_GROUP_ID_NOT_FOUND;
                row->error_message = arena_printf(&call->arena, group ? "Group %.*s is not a classic group." : "Group %.*s not found.",
                                                  STR_ARG(id));
                return true;
        }
        row->group_state = str_of(group_state_name(group->state));
        row->protocol_type = group->protocol_type ? str_of(group->protocol_type) : STR("");
        row->protocol_data = group->state == GROUP_STABLE && group->protocol ? str_of(group->protocol) : STR("");
        return describe_members(call, group, row);
}

void api_describe_groups(Call *call) {
        const DescribeGroupsRequest *request = call->request;
        DescribeGroupsResponse response = DescribeGroupsResponse_INIT;
        response.groups = call_array(call, DescribeGroupsResponseGroup, request->groups_count);
        response.groups_count = request->groups_count;
        bool ok = response.groups != NULL;
        for (int32_t i = 0; ok && i < request->groups_count; i++)
                ok = describe(call, request->groups[i], &response.groups[i]);
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
