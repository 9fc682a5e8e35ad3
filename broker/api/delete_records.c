/* DeleteRecords: v0-2
 * Moves the start of partitions' logs forward; offset -1 is the high watermark. v2 is flexible. */
#include "broker/api/api.h"
#include "broker/api/partition_names.h"
#include "broker/state/checkpoints.h"

static void delete_one(Call *call, const PartitionName *name, DeleteRecordsResponsePartition *row) {
        const DeleteRecordsRequestPartition *want = name->want;
        Partition *partition = partition_find(call->state, name->topic, name->partition);
        int r = partition ? partition_delete_records(call->state, partition, want->offset) : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        row->partition_index = want->partition_index;
        row->error_code = call_code(call, r);
        row->low_watermark = r == 0 ? partition_start_offset(partition) : -1;
}

/* The new starts must outlast a crash before anybody is told of them. */
static void checkpoint(Call *call, DeleteRecordsResponse *response) {
        int16_t code = call_code(call, checkpoints_write_starts(call->state));
        for (int32_t i = 0; code && i < response->topics_count; i++)
                for (int32_t j = 0; j < response->topics[i].partitions_count; j++)
                        if (response->topics[i].partitions[j].error_code == 0) {
                                response->topics[i].partitions[j].error_code = code;
                                response->topics[i].partitions[j].low_watermark = -1;
                        }
}

static bool collect(Call *call, PartitionNames *ret_names) {
        const DeleteRecordsRequest *request = call->request;
        *ret_names = PARTITION_NAMES_INIT(call);
        for (int32_t i = 0; i < request->topics_count; i++) {
                const DeleteRecordsRequestTopic *topic = &request->topics[i];
                for (int32_t j = 0; j < topic->partitions_count; j++)
                        partition_names_add(ret_names, topic->name, topic->partitions[j].partition_index, &topic->partitions[j]);
        }
        return partition_names_sort(ret_names);
}

static bool answer(Call *call, const PartitionNames *names, DeleteRecordsResponse *response) {
        bool any = false;
        response->topics = call_array(call, DeleteRecordsResponseTopic, partition_names_topics(names));
        for (int32_t i = 0; response->topics && i < names->count;) {
                int32_t count = partition_names_same_topic(names, i);
                DeleteRecordsResponseTopic *topic = &response->topics[response->topics_count++];
                topic->name = names->rows[i].topic;
                topic->partitions = call_array(call, DeleteRecordsResponsePartition, count);
                if (!topic->partitions)
                        return false;
                topic->partitions_count = count;
                for (int32_t j = 0; j < count; j++, i++) {
                        delete_one(call, &names->rows[i], &topic->partitions[j]);
                        any |= topic->partitions[j].error_code == 0;
                }
        }
        if (any)
                checkpoint(call, response);
        return response->topics != NULL;
}

void api_delete_records(Call *call) {
        DeleteRecordsResponse response = DeleteRecordsResponse_INIT;
        PartitionNames names;
        if (collect(call, &names) && answer(call, &names, &response))
                call_reply(call, &response);
        else
                call_close(call);
}
