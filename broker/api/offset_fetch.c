/* OffsetFetch: v0-10
 * Committed offsets. v2 lists all with null topics; v5 adds leader epochs; v6 is flexible; v7 asks for stable offsets, which all are as long
 * as there are no transactions; v8 takes several groups (KIP-709); v9 a member's id and epoch, for the new protocol; v10 topic ids. */
#include "broker/api/api.h"
#include "broker/state/groups.h"

static void fill(const CommittedOffset *offset, int64_t *ret_offset, int32_t *ret_epoch, Str *ret_metadata) {
        *ret_offset = offset ? offset->offset : -1;
        *ret_epoch = offset ? offset->leader_epoch : -1;
        *ret_metadata = offset ? str_of(offset->metadata) : STR("");
}

static const CommittedOffset *lookup(const Group *group, Str topic, int32_t partition) {
        return group ? offset_find(group, topic, partition) : NULL;
}

typedef OffsetFetchResponseTopic OldTopic;
typedef OffsetFetchResponseGroupTopic NewTopic;

static bool old_topic(Call *call, const Group *group, const OffsetFetchRequestTopic *want, OldTopic *answer) {
        answer->name = want->name;
        answer->partitions = call_array(call, OffsetFetchResponsePartition, want->partition_indexes_count);
        if (!answer->partitions)
                return false;
        answer->partitions_count = want->partition_indexes_count;
        for (int32_t i = 0; i < want->partition_indexes_count; i++) {
                OffsetFetchResponsePartition *row = &answer->partitions[i];
                row->partition_index = want->partition_indexes[i];
                fill(lookup(group, want->name, row->partition_index), &row->committed_offset, &row->committed_leader_epoch, &row->metadata);
        }
        return true;
}

/* Every committed offset, one topic entry a partition run: partitions of a topic are gathered by a scan of what was added. */
static bool old_all(Call *call, const Group *group, OffsetFetchResponse *response) {
        size_t count = group ? group->offsets.count : 0;
        response->topics = call_array(call, OffsetFetchResponseTopic, count);
        if (!response->topics)
                return false;
        HASHMAP_FOREACH(&group->offsets, node) {
                const CommittedOffset *offset = container_of(node, CommittedOffset, node);
                OldTopic *topic = response->topics, *end = topic + response->topics_count;
                while (topic < end && !str_equal(topic->name, str_of(offset->topic)))
                        topic++;
                if (topic == end) {
                        response->topics_count++;
                        topic->name = str_of(offset->topic);
                        topic->partitions = call_array(call, OffsetFetchResponsePartition, count);
                        if (!topic->partitions)
                                return false;
                }
                OffsetFetchResponsePartition *row = &topic->partitions[topic->partitions_count++];
                row->partition_index = offset->partition;
                fill(offset, &row->committed_offset, &row->committed_leader_epoch, &row->metadata);
        }
        return true;
}

static bool answer_old(Call *call, OffsetFetchResponse *response) {
        const OffsetFetchRequest *request = call->request;
        const Group *group = group_find(call->state, request->group_id);
        if (request->topics_count < 0)
                return group ? old_all(call, group, response) : true;
        response->topics = call_array(call, OffsetFetchResponseTopic, request->topics_count);
        bool ok = response->topics != NULL;
        for (int32_t i = 0; ok && i < request->topics_count; i++)
                ok = old_topic(call, group, &request->topics[i], &response->topics[response->topics_count++]);
        return ok;
}

static bool new_topic(Call *call, const Group *group, const OffsetFetchRequestGroupTopic *want, NewTopic *answer) {
        bool by_id = call_version(call) >= 10;
        Topic *topic = by_id ? topic_find_id(call->state, &want->topic_id) : NULL;
        Str name = by_id ? topic ? str_of(topic->name) : STR("") : want->name;
        answer->name = want->name;
        answer->topic_id = want->topic_id;
        answer->partitions = call_array(call, OffsetFetchResponseTopicPartition, want->partition_indexes_count);
        if (!answer->partitions)
                return false;
        answer->partitions_count = want->partition_indexes_count;
        for (int32_t i = 0; i < want->partition_indexes_count; i++) {
                OffsetFetchResponseTopicPartition *row = &answer->partitions[i];
                row->partition_index = want->partition_indexes[i];
                row->error_code = by_id && !topic ? KAFKA_UNKNOWN_TOPIC_ID : 0;
                fill(lookup(group, name, row->partition_index), &row->committed_offset, &row->committed_leader_epoch, &row->metadata);
        }
        return true;
}

static bool new_all(Call *call, const Group *group, OffsetFetchResponseGroup *response) {
        size_t count = group->offsets.count;
        response->topics = call_array(call, OffsetFetchResponseGroupTopic, count);
        if (!response->topics)
                return false;
        HASHMAP_FOREACH(&group->offsets, node) {
                const CommittedOffset *offset = container_of(node, CommittedOffset, node);
                Topic *known = topic_find(call->state, str_of(offset->topic));
                NewTopic *topic = response->topics, *end = topic + response->topics_count;
                while (topic < end && !str_equal(topic->name, str_of(offset->topic)))
                        topic++;
                if (topic == end) {
                        if (call_version(call) >= 10 && !known)
                                continue;
                        response->topics_count++;
                        topic->name = str_of(offset->topic);
                        topic->topic_id = known ? known->id : UUID_ZERO;
                        topic->partitions = call_array(call, OffsetFetchResponseTopicPartition, count);
                        if (!topic->partitions)
                                return false;
                }
                OffsetFetchResponseTopicPartition *row = &topic->partitions[topic->partitions_count++];
                row->partition_index = offset->partition;
                fill(offset, &row->committed_offset, &row->committed_leader_epoch, &row->metadata);
        }
        return true;
}

static bool answer_group(Call *call, const OffsetFetchRequestGroup *want, OffsetFetchResponseGroup *answer) {
        const Group *group = group_find(call->state, want->group_id);
        answer->group_id = want->group_id;
        if (want->topics_count < 0)
                return group ? new_all(call, group, answer) : true;
        answer->topics = call_array(call, OffsetFetchResponseGroupTopic, want->topics_count);
        bool ok = answer->topics != NULL;
        for (int32_t i = 0; ok && i < want->topics_count; i++)
                ok = new_topic(call, group, &want->topics[i], &answer->topics[answer->topics_count++]);
        return ok;
}

void api_offset_fetch(Call *call) {
        const OffsetFetchRequest *request = call->request;
        OffsetFetchResponse response = OffsetFetchResponse_INIT;
        bool ok = true;
        if (call_version(call) < 8) {
                ok = answer_old(call, &response);
        } else {
                response.groups = call_array(call, OffsetFetchResponseGroup, request->groups_count);
                ok = response.groups != NULL;
                for (int32_t i = 0; ok && i < request->groups_count; i++)
                        ok = answer_group(call, &request->groups[i], &response.groups[response.groups_count++]);
        }
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
