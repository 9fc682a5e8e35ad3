/* OffsetFetch: v0-10
 * Committed offsets. v2 lists all with null topics; v5 adds leader epochs; v6 is flexible; v7 asks for stable offsets, those that no open
 * transaction may change (KIP-447); v8 takes several groups (KIP-709); v9 a member's id and epoch, for the new protocol; v10 topic ids. */
#include <stdlib.h>

#include "broker/api/api.h"
#include "broker/state/groups/consumer_heartbeat.h"
#include "broker/state/groups/groups.h"
#include "broker/state/groups/offsets_pending.h"
#include "broker/state/journal.h"

/* What both forms of the answer say of a partition. */
typedef struct Found {
        int64_t offset;
        int32_t leader_epoch;
        Str metadata;
        int16_t code;
} Found;

/* Of a group whose part of the log is damaged nobody knows what it committed. */
static bool is_known(const Call *call, Str group_id) {
        return journal_is_readable(call->state, STR(TOPIC_NAME_OFFSETS), group_id);
}

static Found find(const Call *call, Str group_id, Str topic, int32_t partition) {
        const OffsetFetchRequest *request = call->request;
        const Group *group = group_find(call->state, group_id);
        const CommittedOffset *offset = group ? offset_find(group, topic, partition) : NULL;
        if (!is_known(call, group_id))
                return (Found){ -1, -1, STR(""), KAFKA_NOT_COORDINATOR };
        if (request->require_stable && offsets_pending_has(call->state, group_id, topic, partition))
                return (Found){ -1, -1, STR(""), KAFKA_UNSTABLE_OFFSET_COMMIT };
        return offset ? (Found){ offset->offset, offset->leader_epoch, offset->metadata, 0 } : (Found){ -1, -1, STR(""), 0 };
}

#define FILL(row, found)                                          \
        do {                                                      \
                (row)->committed_offset = (found).offset;         \
                (row)->committed_leader_epoch = (found).leader_epoch; \
                (row)->metadata = (found).metadata;               \
                (row)->error_code = (found).code;                 \
        } while (0)

typedef OffsetFetchResponseTopic OldTopic;
typedef OffsetFetchResponseGroupTopic NewTopic;

static bool old_topic(Call *call, const OffsetFetchRequestTopic *want, OldTopic *answer) {
        answer->name = want->name;
        answer->partitions = call_array(call, OffsetFetchResponsePartition, want->partition_indexes_count);
        if (!answer->partitions)
                return false;
        answer->partitions_count = want->partition_indexes_count;
        for (int32_t i = 0; i < want->partition_indexes_count; i++) {
                OffsetFetchResponsePartition *row = &answer->partitions[i];
                row->partition_index = want->partition_indexes[i];
                Found found = find(call, ((const OffsetFetchRequest *)call->request)->group_id, want->name, row->partition_index);
                FILL(row, found);
        }
        return true;
}

static int compare_offsets(const void *left, const void *right) {
        const CommittedOffset *a = *(const CommittedOffset *const *)left, *b = *(const CommittedOffset *const *)right;
        int r = strcmp(a->topic, b->topic);
        return r ? r : a->partition < b->partition ? -1 : a->partition > b->partition;
}

/* All of a group's offsets by topic and partition, so that a topic's lie together. NULL without memory. */
static const CommittedOffset **sort_all(Call *call, const Group *group, size_t *ret_count) {
        const CommittedOffset **all = arena_alloc_array(&call->arena, group->offsets.count, sizeof(CommittedOffset *));
        size_t count = 0;
        if (!all)
                return NULL;
        HASHMAP_FOREACH(&group->offsets, node) {
                const CommittedOffset *offset = container_of(node, CommittedOffset, node);
                if (call_version(call) < 10 || topic_find(call->state, str_of(offset->topic)))
                        all[count++] = offset;
        }
        qsort(all, count, sizeof(*all), compare_offsets);
        *ret_count = count;
        return all;
}

static size_t count_topics(const CommittedOffset **all, size_t count) {
        size_t topics = 0;
        for (size_t i = 0; i < count; i++)
                topics += i == 0 || strcmp(all[i]->topic, all[i - 1]->topic) != 0;
        return topics;
}

/* How many at the beginning are of the same topic. */
static size_t count_same(const CommittedOffset **all, size_t count) {
        size_t same = 0;
        while (same < count && strcmp(all[same]->topic, all[0]->topic) == 0)
                same++;
        return same;
}

static bool old_all(Call *call, const Group *group, OffsetFetchResponse *response) {
        size_t count = 0, same;
        const CommittedOffset **all = sort_all(call, group, &count);
        response->topics = all ? call_array(call, OffsetFetchResponseTopic, count_topics(all, count)) : NULL;
        if (!response->topics)
                return false;
        for (; count > 0; all += same, count -= same) {
                OldTopic *topic = &response->topics[response->topics_count++];
                same = count_same(all, count);
                topic->name = str_of(all[0]->topic);
                topic->partitions = call_array(call, OffsetFetchResponsePartition, same);
                if (!topic->partitions)
                        return false;
                topic->partitions_count = (int32_t)same;
                for (size_t i = 0; i < same; i++) {
                        OffsetFetchResponsePartition *row = &topic->partitions[i];
                        row->partition_index = all[i]->partition;
                        Found found = find(call, str_of(group->id), str_of(all[i]->topic), all[i]->partition);
                        FILL(row, found);
                }
        }
        return true;
}

static bool answer_old(Call *call, OffsetFetchResponse *response) {
        const OffsetFetchRequest *request = call->request;
        const Group *group = group_find(call->state, request->group_id);
        if (call_version(call) >= 2 && !is_known(call, request->group_id)) {
                response->error_code = KAFKA_NOT_COORDINATOR;
                return true;
        }
        if (request->topics_count < 0)
                return group ? old_all(call, group, response) : true;
        response->topics = call_array(call, OffsetFetchResponseTopic, request->topics_count);
        bool ok = response->topics != NULL;
        for (int32_t i = 0; ok && i < request->topics_count; i++)
                ok = old_topic(call, &request->topics[i], &response->topics[response->topics_count++]);
        return ok;
}

static bool new_topic(Call *call, Str group_id, const OffsetFetchRequestGroupTopic *want, NewTopic *answer) {
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
                Found found = find(call, group_id, name, row->partition_index);
                if (by_id && !topic)
                        found = (Found){ -1, -1, STR(""), KAFKA_UNKNOWN_TOPIC_ID };
                FILL(row, found);
        }
        return true;
}

static bool new_all(Call *call, const Group *group, OffsetFetchResponseGroup *response) {
        size_t count = 0, same;
        const CommittedOffset **all = sort_all(call, group, &count);
        response->topics = all ? call_array(call, OffsetFetchResponseGroupTopic, count_topics(all, count)) : NULL;
        if (!response->topics)
                return false;
        for (; count > 0; all += same, count -= same) {
                NewTopic *topic = &response->topics[response->topics_count++];
                const Topic *known = topic_find(call->state, str_of(all[0]->topic));
                same = count_same(all, count);
                topic->name = str_of(all[0]->topic);
                topic->topic_id = known ? known->id : UUID_ZERO;
                topic->partitions = call_array(call, OffsetFetchResponseTopicPartition, same);
                if (!topic->partitions)
                        return false;
                topic->partitions_count = (int32_t)same;
                for (size_t i = 0; i < same; i++) {
                        OffsetFetchResponseTopicPartition *row = &topic->partitions[i];
                        row->partition_index = all[i]->partition;
                        Found found = find(call, str_of(group->id), str_of(all[i]->topic), all[i]->partition);
                        FILL(row, found);
                }
        }
        return true;
}

static bool answer_group(Call *call, const OffsetFetchRequestGroup *want, OffsetFetchResponseGroup *answer) {
        const Group *group = group_find(call->state, want->group_id);
        answer->group_id = want->group_id;
        if (!is_known(call, want->group_id)) {
                answer->error_code = KAFKA_NOT_COORDINATOR;
                return true;
        }
        answer->error_code = group && group->consumer ? consumer_check_fetch(group->consumer, want->member_id, want->member_epoch) : 0;
        if (answer->error_code)
                return true;
        if (want->topics_count < 0)
                return group ? new_all(call, group, answer) : true;
        answer->topics = call_array(call, OffsetFetchResponseGroupTopic, want->topics_count);
        bool ok = answer->topics != NULL;
        for (int32_t i = 0; ok && i < want->topics_count; i++)
                ok = new_topic(call, want->group_id, &want->topics[i], &answer->topics[answer->topics_count++]);
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
