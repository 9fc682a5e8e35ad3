/* ListOffsets: v0-11
 * Offsets by time, and by the special times -1 latest, -2 earliest, -3 of the largest timestamp (v7), -4 earliest local (v8), -5 latest
 * tiered (v9), -6 earliest pending upload (v11). v0 answers a list of offsets; v2 adds the isolation level; v4 leader epochs; v6 is
 * flexible; v10 a timeout, which nothing here needs. Nothing is tiered, so -4 is -2, and -5 and -6 find nothing.
 * A partition named twice is refused, in a single row. */
#include "broker/api/api.h"
#include "broker/api/partition_names.h"

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

static bool collect(Call *call, PartitionNames *ret_names) {
        const ListOffsetsRequest *request = call->request;
        *ret_names = PARTITION_NAMES_INIT(call);
        for (int32_t i = 0; i < request->topics_count; i++) {
                const ListOffsetsRequestTopic *topic = &request->topics[i];
                for (int32_t j = 0; j < topic->partitions_count; j++)
                        partition_names_add(ret_names, topic->name, topic->partitions[j].partition_index, &topic->partitions[j]);
        }
        return partition_names_sort(ret_names);
}

static bool answer(Call *call, const PartitionNames *names, ListOffsetsResponse *response) {
        response->topics = call_array(call, ListOffsetsResponseTopic, partition_names_topics(names));
        for (int32_t i = 0; response->topics && i < names->count;) {
                int32_t count = partition_names_same_topic(names, i);
                ListOffsetsResponseTopic *topic = &response->topics[response->topics_count++];
                topic->name = names->rows[i].topic;
                topic->partitions = call_array(call, ListOffsetsResponsePartition, count);
                if (!topic->partitions)
                        return false;
                topic->partitions_count = count;
                for (int32_t j = 0; j < count; j++, i++) {
                        const PartitionName *name = &names->rows[i];
                        ListOffsetsResponsePartition *row = &topic->partitions[j];
                        row->partition_index = name->partition;
                        Partition *partition = partition_find(call->state, name->topic, name->partition);
                        row->error_code = name->is_repeated ? KAFKA_INVALID_REQUEST : answer_partition(call, partition, name->want, row);
                }
        }
        return response->topics != NULL;
}

void api_list_offsets(Call *call) {
        ListOffsetsResponse response = ListOffsetsResponse_INIT;
        PartitionNames names;
        if (collect(call, &names) && answer(call, &names, &response))
                call_reply(call, &response);
        else
                call_close(call);
}
