/* OffsetForLeaderEpoch: v0-4
 * Where the records of a leader epoch end (KIP-101, KIP-320): how a client notices that a log was cut.
 * v1 answers the epoch too; v2 checks the current epoch; v3 adds replica_id, ignored; v4 is flexible. */
#include "broker/api/api.h"

static int16_t answer_partition(Partition *partition, const OffsetForLeaderEpochRequestPartition *want,
                                OffsetForLeaderEpochResponsePartition *row) {
        if (!partition)
                return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        if (!partition->log)
                return KAFKA_KAFKA_STORAGE_ERROR;
        if (want->current_leader_epoch != -1 && want->current_leader_epoch != partition->leader_epoch)
                return want->current_leader_epoch < partition->leader_epoch ? KAFKA_FENCED_LEADER_EPOCH
                                                                            : KAFKA_UNKNOWN_LEADER_EPOCH;
        if (want->leader_epoch == partition->leader_epoch) {
                row->leader_epoch = partition->leader_epoch;
                row->end_offset = partition_high_watermark(partition);
                return 0;
        }
        log_epoch_end(partition->log, partition->leader_epoch, want->leader_epoch, &row->leader_epoch, &row->end_offset);
        return 0;
}

static bool answer_topic(Call *call, const OffsetForLeaderEpochRequestTopic *want, OffsetForLeaderEpochResponseTopic *answer) {
        answer->topic = want->topic;
        answer->partitions = call_array(call, OffsetForLeaderEpochResponsePartition, want->partitions_count);
        if (!answer->partitions)
                return false;
        answer->partitions_count = want->partitions_count;
        for (int32_t i = 0; i < want->partitions_count; i++) {
                OffsetForLeaderEpochResponsePartition *row = &answer->partitions[i];
                Partition *partition = partition_find(call->state, want->topic, want->partitions[i].partition);
                row->partition = want->partitions[i].partition;
                row->error_code = answer_partition(partition, &want->partitions[i], row);
        }
        return true;
}

void api_offset_for_leader_epoch(Call *call) {
        const OffsetForLeaderEpochRequest *request = call->request;
        OffsetForLeaderEpochResponse response = OffsetForLeaderEpochResponse_INIT;
        response.topics = call_array(call, OffsetForLeaderEpochResponseTopic, request->topics_count);
        response.topics_count = request->topics_count;
        bool ok = response.topics != NULL;
        for (int32_t i = 0; ok && i < request->topics_count; i++)
                ok = answer_topic(call, &request->topics[i], &response.topics[i]);
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
