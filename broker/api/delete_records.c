/* DeleteRecords: v0-2
 * Moves the start of partitions' logs forward; offset -1 is the high watermark. v2 is flexible. */
#include "broker/api/api.h"
#include "broker/api/partition_names.h"
#include "broker/state/checkpoints.h"

/* Parked while the file of starts is written. */
typedef struct DeleteRecords {
        StartsWait wait;
        Call *call;
        DeleteRecordsResponse response;
        bool any; /* start has moved */
} DeleteRecords;

static void delete_one(Call *call, const PartitionName *name, DeleteRecordsResponsePartition *row) {
        const DeleteRecordsRequestPartition *want = name->want;
        Partition *partition = partition_find(call->state, name->topic, name->partition);
        int r = partition ? partition_delete_records(call->state, partition, want->offset) : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        row->partition_index = want->partition_index;
        row->error_code = call_code(call, r);
        row->low_watermark = r == 0 ? partition_start_offset(partition) : -1;
}

static void reply(DeleteRecords *d, int r) {
        DeleteRecordsResponse *response = &d->response;
        int16_t code = call_code(d->call, r);
        for (int32_t i = 0; code && i < response->topics_count; i++)
                for (int32_t j = 0; j < response->topics[i].partitions_count; j++)
                        if (response->topics[i].partitions[j].error_code == 0) {
                                response->topics[i].partitions[j].error_code = code;
                                response->topics[i].partitions[j].low_watermark = -1;
                        }
        call_reply(d->call, response);
}

static void on_written(StartsWait *wait, State *state, int result) {
        reply(container_of(wait, DeleteRecords, wait), result);
}

static void cancel(Call *call) {
        starts_wait_cancel(&((DeleteRecords *)call->park)->wait);
}

/* The new starts must outlast a crash before anybody is told of them. */
static void checkpoint(DeleteRecords *d) {
        int r = checkpoints_send_starts(d->call->state, &d->wait);
        if (r) {
                reply(d, r);
                return;
        }
        d->call->park = d;
        d->call->cancel = cancel;
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

static bool answer(DeleteRecords *d, const PartitionNames *names) {
        Call *call = d->call;
        DeleteRecordsResponse *response = &d->response;
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
                        d->any |= topic->partitions[j].error_code == 0;
                }
        }
        return response->topics != NULL;
}

void api_delete_records(Call *call) {
        DeleteRecords *d = arena_alloc(&call->arena, sizeof(*d));
        PartitionNames names;
        if (d)
                *d = (DeleteRecords){ .wait = { .done = on_written }, .call = call, .response = DeleteRecordsResponse_INIT };
        if (!d || !collect(call, &names) || !answer(d, &names))
                call_close(call);
        else if (d->any)
                checkpoint(d);
        else
                reply(d, 0);
}
