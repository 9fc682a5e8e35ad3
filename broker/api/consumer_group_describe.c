/* ConsumerGroupDescribe: v0-1
 * Groups of the consumer protocol with their members, what they have and what they shall have (KIP-848). v1 tells members that speak
 * the classic protocol (KIP-1099). */
#include "broker/api/api.h"
#include "broker/state/groups/consumer_heartbeat.h"

#define GROUP_OPERATIONS_ALL 0xd48 /* READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS: since nothing is authorised */

typedef ConsumerGroupDescribeResponseGroup GroupRow;
typedef ConsumerGroupDescribeResponseMember MemberRow;
typedef ConsumerGroupDescribeResponseTopicPartitions TopicRow;

/* Topics that are gone are left out. False without memory. */
static bool fill(Call *call, const PartitionSet *set, TopicRow **ret_rows, int32_t *ret_count) {
        TopicRow *rows = call_array(call, ConsumerGroupDescribeResponseTopicPartitions, partition_set_topics(set));
        int32_t count = 0;
        for (int32_t at = 0, run; rows && at < set->count; at += run) {
                const Topic *topic = topic_find_id(call->state, &set->items[at].topic);
                run = partition_set_run(set, at);
                if (!topic)
                        continue;
                TopicRow *row = &rows[count++];
                row->topic_id = topic->id;
                row->topic_name = arena_str(&call->arena, str_of(topic->name));
                row->partitions = arena_alloc_array(&call->arena, (size_t)run, sizeof(int32_t));
                if (!row->partitions)
                        return false;
                row->partitions_count = run;
                for (int32_t i = 0; i < run; i++)
                        row->partitions[i] = set->items[at + i].index;
        }
        *ret_rows = rows;
        *ret_count = count;
        return rows;
}

/* What it has yet to give up counts as its own. */
static bool fill_assigned(Call *call, const ConsumerMember *member, MemberRow *row) {
        PartitionSet all = PARTITION_SET_INIT;
        partition_set_copy(&member->assigned, &all);
        partition_set_add_all(&all, &member->revoking);
        bool ok = !all.failed && fill(call, &all, &row->assignment.topic_partitions, &row->assignment.topic_partitions_count);
        partition_set_deinit(&all);
        return ok;
}

static bool fill_target(Call *call, const ConsumerMember *member, MemberRow *row) {
        TopicRow *rows;
        int32_t count;
        if (!fill(call, &member->target, &rows, &count))
                return false;
        row->target_assignment.topic_partitions = call_array(call, ConsumerGroupDescribeResponseTargetPartitions, count);
        row->target_assignment.topic_partitions_count = count;
        for (int32_t i = 0; row->target_assignment.topic_partitions && i < count; i++)
                row->target_assignment.topic_partitions[i] = (ConsumerGroupDescribeResponseTargetPartitions){
                        .topic_id = rows[i].topic_id,
                        .topic_name = rows[i].topic_name,
                        .partitions = rows[i].partitions,
                        .partitions_count = rows[i].partitions_count,
                };
        return row->target_assignment.topic_partitions;
}

static bool fill_member(Call *call, const ConsumerMember *member, MemberRow *row) {
        row->member_id = str_of(member->id);
        row->instance_id = str_of(member->instance_id);
        row->rack_id = str_of(member->rack_id);
        row->member_epoch = member->epoch;
        row->client_id = str_of(member->client_id);
        row->client_host = str_of(member->client_host);
        row->subscribed_topic_names = arena_alloc_array(&call->arena, (size_t)member->topics.count, sizeof(Str));
        if (!row->subscribed_topic_names)
                return false;
        for (int32_t i = 0; i < member->topics.count; i++)
                row->subscribed_topic_names[i] = str_of(member->topics.names[i]);
        row->subscribed_topic_names_count = member->topics.count;
        row->subscribed_topic_regex = str_of(member->regex);
        row->member_type = member->classic ? 0 : 1;
        return fill_assigned(call, member, row) && fill_target(call, member, row);
}

static bool describe(Call *call, Str id, GroupRow *row) {
        const ConsumerGroupDescribeRequest *request = call->request;
        const Group *group = id.len ? group_find(call->state, id) : NULL;
        row->group_id = id;
        if (id.len == 0) {
                row->error_code = KAFKA_INVALID_GROUP_ID;
                return true;
        }
        if (!group || !group->consumer) {
                row->error_code = KAFKA_GROUP_ID_NOT_FOUND;
                row->error_message = arena_printf(&call->arena, group ? "Group %.*s is not a consumer group." : "Group %.*s not found.",
                                                  STR_ARG(id));
                return true;
        }
        if (request->include_authorized_operations)
                row->authorized_operations = GROUP_OPERATIONS_ALL;
        row->group_state = str_of(group_state_name(group->state));
        row->group_epoch = group->consumer->epoch;
        row->assignment_epoch = group->consumer->target_epoch;
        row->assignor_name = consumer_preferred_assignor(call->state, group->consumer);
        row->members = call_array(call, ConsumerGroupDescribeResponseMember, group->consumer->member_count);
        bool ok = row->members;
        LIST_FOREACH(&group->consumer->members, node)
                ok = ok && fill_member(call, container_of(node, ConsumerMember, node), &row->members[row->members_count++]);
        return ok;
}

void api_consumer_group_describe(Call *call) {
        const ConsumerGroupDescribeRequest *request = call->request;
        ConsumerGroupDescribeResponse response = ConsumerGroupDescribeResponse_INIT;
        response.groups = call_array(call, ConsumerGroupDescribeResponseGroup, request->group_ids_count);
        bool ok = response.groups;
        for (int32_t i = 0; ok && i < request->group_ids_count; i++)
                ok = describe(call, request->group_ids[i], &response.groups[response.groups_count++]);
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
