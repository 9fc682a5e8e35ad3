/* ListOffsets: v0-11
 * Offsets by time, and by the special times -1 latest, -2 earliest, -3 of the largest timestamp (v7), -4 earliest local (v8), -5 latest
 * tiered (v9), -6 earliest pending upload (v11). v0 answers a list of offsets; v2 adds the isolation level; v4 leader epochs; v6 is
 * flexible; v10 a timeout, which nothing here needs. Nothing is tiered, so -4 is -2, and -5 and -6 find nothing. */
#include "broker/api/api.h"
#include "storage/base/hashmap.h"

enum {
        TIME_LATEST = -1,
        TIME_EARLIEST = -2,
        TIME_MAX_TIMESTAMP = -3,
        TIME_EARLIEST_LOCAL = -4,
        TIME_LATEST_TIERED = -5,
        TIME_EARLIEST_PENDING_UPLOAD = -6,
};

static int16_t version_of_time(int64_t time) {
        switch (time) {
        case TIME_MAX_TIMESTAMP:
                return 7;
        case TIME_EARLIEST_LOCAL:
                return 8;
        case TIME_LATEST_TIERED:
                return 9;
        case TIME_EARLIEST_PENDING_UPLOAD:
                return 11;
        default:
                return time < TIME_EARLIEST_PENDING_UPLOAD ? INT16_MAX : 0;
        }
}

static int find_position(const Call *call, Partition *partition, int64_t time, LogPosition *ret_position) {
        const ListOffsetsRequest *request = call->request;
        *ret_position = (LogPosition){ .offset = -1, .timestamp_ms = -1, .leader_epoch = -1 };
        switch (time) {
        case TIME_LATEST:
                ret_position->offset = request->isolation_level == 1 ? partition_last_stable_offset(partition)
                                                                     : partition_high_watermark(partition);
                ret_position->leader_epoch = partition->leader_epoch;
                return 0;
        case TIME_EARLIEST:
        case TIME_EARLIEST_LOCAL:
                ret_position->offset = partition_start_offset(partition);
                ret_position->leader_epoch = partition->leader_epoch;
                return 0;
        case TIME_LATEST_TIERED:
        case TIME_EARLIEST_PENDING_UPLOAD:
                return 0;
        case TIME_MAX_TIMESTAMP:
                return log_find_max_timestamp(partition->log, ret_position);
        default:
                return log_find_timestamp(partition->log, time, ret_position);
        }
}

/* v0: offsets not after the time, newest first. The segments between are of no use to anyone today. */
static void answer_old_style(Call *call, Partition *partition, const ListOffsetsRequestPartition *want, int64_t offset,
                             ListOffsetsResponsePartition *row) {
        int64_t start = partition_start_offset(partition);
        row->old_style_offsets = arena_alloc_array(&call->arena, 2, sizeof(int64_t));
        if (!row->old_style_offsets || want->max_num_offsets <= 0)
                return;
        row->old_style_offsets[row->old_style_offsets_count++] = offset < 0 ? start : offset;
        if (want->max_num_offsets > 1 && offset > start)
                row->old_style_offsets[row->old_style_offsets_count++] = start;
}

static int16_t answer_partition(Call *call, Partition *partition, const ListOffsetsRequestPartition *want,
                                ListOffsetsResponsePartition *row) {
        LogPosition position;
        const ListOffsetsRequest *request = call->request;
        if (request->isolation_level != 0 && request->isolation_level != 1)
                return KAFKA_UNKNOWN_SERVER_ERROR;
        if (call_version(call) < version_of_time(want->timestamp))
                return KAFKA_UNSUPPORTED_VERSION;
        if (!partition)
                return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        if (!partition->log)
                return KAFKA_KAFKA_STORAGE_ERROR;
        if (want->current_leader_epoch != -1 && want->current_leader_epoch != partition->leader_epoch)
                return want->current_leader_epoch < partition->leader_epoch ? KAFKA_FENCED_LEADER_EPOCH
                                                                            : KAFKA_UNKNOWN_LEADER_EPOCH;
        int r = find_position(call, partition, want->timestamp, &position);
        if (r)
                return call_code(call, r);
        if (call_version(call) == 0) {
                answer_old_style(call, partition, want, position.offset, row);
                return 0;
        }
        row->offset = position.offset;
        row->timestamp = position.timestamp_ms;
        row->leader_epoch = position.leader_epoch;
        return 0;
}

/* The partitions of the request: one named twice is refused, in a single row. */
typedef struct Seen {
        HashNode node;
        int32_t times;
        bool is_answered;
} Seen;

static Str seen_key(Call *call, Str topic, int32_t partition) {
        return arena_printf(&call->arena, "%d:%.*s", partition, STR_ARG(topic));
}

static bool count_partitions(Call *call, HashMap *map, const ListOffsetsRequestTopic *topic) {
        for (int32_t i = 0; i < topic->partitions_count; i++) {
                Str key = seen_key(call, topic->name, topic->partitions[i].partition_index);
                if (str_is_null(key))
                        return false;
                HashNode *node = hashmap_find(map, key);
                if (node) {
                        container_of(node, Seen, node)->times++;
                        continue;
                }
                Seen *seen = arena_alloc(&call->arena, sizeof(*seen));
                if (!seen || hashmap_insert(map, key, &seen->node) < 0)
                        return false;
                seen->times = 1;
        }
        return true;
}

static Seen *find_seen(Call *call, const HashMap *map, Str topic, int32_t partition) {
        HashNode *node = hashmap_find(map, seen_key(call, topic, partition));
        return node ? container_of(node, Seen, node) : NULL;
}

static bool answer_topic(Call *call, const HashMap *seen, const ListOffsetsRequestTopic *want,
                         ListOffsetsResponseTopic *answer) {
        answer->name = want->name;
        answer->partitions = call_array(call, ListOffsetsResponsePartition, want->partitions_count);
        if (!answer->partitions)
                return false;
        for (int32_t i = 0; i < want->partitions_count; i++) {
                const ListOffsetsRequestPartition *p = &want->partitions[i];
                Seen *it = find_seen(call, seen, want->name, p->partition_index);
                if (!it)
                        return false;
                if (it->is_answered)
                        continue;
                it->is_answered = true;
                ListOffsetsResponsePartition *row = &answer->partitions[answer->partitions_count++];
                Partition *partition = partition_find(call->state, want->name, p->partition_index);
                row->partition_index = p->partition_index;
                row->error_code = it->times > 1 ? KAFKA_INVALID_REQUEST : answer_partition(call, partition, p, row);
        }
        return true;
}

void api_list_offsets(Call *call) {
        const ListOffsetsRequest *request = call->request;
        ListOffsetsResponse response = ListOffsetsResponse_INIT;
        HashMap seen = HASHMAP_INIT;
        response.topics = call_array(call, ListOffsetsResponseTopic, request->topics_count);
        response.topics_count = request->topics_count;
        bool ok = response.topics != NULL;
        for (int32_t i = 0; ok && i < request->topics_count; i++)
                ok = count_partitions(call, &seen, &request->topics[i]);
        for (int32_t i = 0; ok && i < request->topics_count; i++)
                ok = answer_topic(call, &seen, &request->topics[i], &response.topics[i]);
        hashmap_deinit(&seen);
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
