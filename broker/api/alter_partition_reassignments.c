/* AlterPartitionReassignments: v0-1
 * Gives partitions other replicas (KIP-455): only this node can hold one, so there is nothing to change. v1 may forbid another number of
 * replicas. */
#include "broker/api/api.h"
#include "broker/api/cluster.h"

typedef AlterPartitionReassignmentsRequestPartition Want;

static int16_t reassign(Call *call, Str topic, const Want *want, Str *ret_message) {
        if (!topic_find(call->state, topic)) {
                *ret_message = arena_printf(&call->arena, "Unable to find a topic named %.*s.", STR_ARG(topic));
                return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        }
        if (!partition_find(call->state, topic, want->partition_index)) {
                *ret_message = arena_printf(&call->arena, "Unable to find partition %.*s:%d.", STR_ARG(topic), want->partition_index);
                return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        }
        if (want->replicas_count < 0)
                return KAFKA_NO_REASSIGNMENT_IN_PROGRESS;
        return cluster_check_replicas(call, want->replicas, want->replicas_count, ret_message);
}

void api_alter_partition_reassignments(Call *call) {
        const AlterPartitionReassignmentsRequest *request = call->request;
        AlterPartitionReassignmentsResponse response = AlterPartitionReassignmentsResponse_INIT;
        response.allow_replication_factor_change = request->allow_replication_factor_change || !request->topics_count;
        bool is_late = request->timeout_ms <= 0 && request->topics_count; /* which Kafka's controller takes for one that came too late */
        response.error_code = is_late ? KAFKA_REQUEST_TIMED_OUT : 0;
        response.error_message = request->topics_count ? STR_NULL : STR("");
        response.responses = call_array(call, AlterPartitionReassignmentsResponseResponse, request->topics_count);
        bool ok = response.responses != NULL;
        for (int32_t i = 0; ok && i < request->topics_count; i++) {
                const AlterPartitionReassignmentsRequestTopic *want = &request->topics[i];
                AlterPartitionReassignmentsResponseResponse *topic = &response.responses[response.responses_count++];
                topic->name = want->name;
                topic->partitions = call_array(call, AlterPartitionReassignmentsResponsePartition, want->partitions_count);
                ok = topic->partitions != NULL;
                for (int32_t j = 0; ok && j < want->partitions_count; j++) {
                        AlterPartitionReassignmentsResponsePartition *row = &topic->partitions[topic->partitions_count++];
                        row->partition_index = want->partitions[j].partition_index;
                        row->error_message = STR_NULL;
                        row->error_code = is_late ? KAFKA_REQUEST_TIMED_OUT
                                                  : reassign(call, want->name, &want->partitions[j], &row->error_message);
                }
        }
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
