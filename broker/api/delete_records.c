/* DeleteRecords: v0-2
 * Moves the start of partitions' logs forward; offset -1 is the high watermark. v2 is flexible. */
#include "broker/api/api.h"

static void delete_one(Call *call, Str topic, const DeleteRecordsRequestPartition *want, DeleteRecordsResponsePartition *row) {
        Partition *partition = partition_find(call->state, topic, want->partition_index);
        int r = partition ? partition_delete_records(call->state, partition, want->offset) : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        row->partition_index = want->partition_index;
        row->error_code = call_code(call, r);
        row->low_watermark = r == 0 ? partition_start_offset(partition) : -1;
}

/* The new starts must outlast a crash before anybody is told of them. */
static void checkpoint(Call *call, DeleteRecordsResponse *response) {
        int16_t code = call_code(call, state_checkpoint_starts(call->state));
        for (int32_t i = 0; code && i < response->topics_count; i++)
                for (int32_t j = 0; j < response->topics[i].partitions_count; j++)
                        if (response->topics[i].partitions[j].error_code == 0) {
                                response->topics[i].partitions[j].error_code = code;
                                response->topics[i].partitions[j].low_watermark = -1;
                        }
}

void api_delete_records(Call *call) {
        const DeleteRecordsRequest *request = call->request;
        DeleteRecordsResponse response = DeleteRecordsResponse_INIT;
        bool any = false;
        response.topics = call_array(call, DeleteRecordsResponseTopic, request->topics_count);
        for (int32_t i = 0; response.topics && i < request->topics_count; i++) {
                const DeleteRecordsRequestTopic *want = &request->topics[i];
                DeleteRecordsResponseTopic *row = &response.topics[response.topics_count++];
                row->name = want->name;
                row->partitions = call_array(call, DeleteRecordsResponsePartition, want->partitions_count);
                if (!row->partitions) {
                        call_close(call);
                        return;
                }
                row->partitions_count = want->partitions_count;
                for (int32_t j = 0; j < want->partitions_count; j++) {
                        delete_one(call, want->name, &want->partitions[j], &row->partitions[j]);
                        any = any || row->partitions[j].error_code == 0;
                }
        }
        if (!response.topics) {
                call_close(call);
                return;
        }
        if (any)
                checkpoint(call, &response);
        call_reply(call, &response);
}
