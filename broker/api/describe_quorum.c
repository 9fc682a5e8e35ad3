/* DescribeQuorum: v0-2
 * Who keeps the metadata log (KIP-595): this node alone. v1 adds times (KIP-836); v2 directory ids, addresses and messages (KIP-853). */
#include "broker/api/api.h"
#include "broker/api/cluster.h"
#include "broker/state/metadata/metadata.h"

/* Nothing but the metadata log may be asked for, once. */
static bool is_sound(const DescribeQuorumRequest *request) {
        return request->topics_count == 1 && str_equal(request->topics[0].topic_name, STR(TOPIC_NAME_METADATA)) &&
               request->topics[0].partitions_count == 1 && request->topics[0].partitions[0].partition_index == 0;
}

static bool refuse(Call *call, DescribeQuorumResponse *response) {
        const DescribeQuorumRequest *request = call->request;
        response->topics = call_array(call, DescribeQuorumResponseTopic, request->topics_count);
        for (int32_t i = 0; response->topics && i < request->topics_count; i++) {
                const DescribeQuorumRequestTopic *want = &request->topics[i];
                DescribeQuorumResponseTopic *topic = &response->topics[response->topics_count++];
                topic->topic_name = want->topic_name;
                topic->partitions = call_array(call, DescribeQuorumResponsePartition, want->partitions_count);
                if (!topic->partitions)
                        return false;
                topic->partitions_count = want->partitions_count;
                for (int32_t j = 0; j < want->partitions_count; j++) {
                        topic->partitions[j].partition_index = want->partitions[j].partition_index;
                        topic->partitions[j].error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
                        topic->partitions[j].error_message = STR("This server does not host this topic-partition.");
                }
        }
        return response->topics != NULL;
}

static void describe(Call *call, DescribeQuorumResponse *response) {
        const State *state = call->state;
        int64_t end = metadata_end_offset(state);
        DescribeQuorumResponseVoter voter = { .replica_id = state->node_id, .log_end_offset = end,
                                              .last_fetch_timestamp = state->now_ms, .last_caught_up_timestamp = state->now_ms };
        DescribeQuorumResponsePartition partition = DescribeQuorumResponsePartition_INIT;
        partition.leader_id = state->node_id;
        partition.leader_epoch = metadata_leader_epoch(state);
        partition.high_watermark = end;
        partition.current_voters = &voter;
        partition.current_voters_count = 1;
        DescribeQuorumResponseTopic topic = { .topic_name = STR(TOPIC_NAME_METADATA), .partitions = &partition,
                                              .partitions_count = 1 };
        DescribeQuorumResponseListener listener = { .name = STR("PLAINTEXT"), .host = cluster_host(call),
                                                    .port = (uint16_t)cluster_port(call) };
        DescribeQuorumResponseNode node = { .node_id = state->node_id, .listeners = &listener, .listeners_count = 1 };
        response->topics = &topic;
        response->topics_count = 1;
        response->nodes = &node;
        response->nodes_count = 1;
        call_reply(call, response);
}

void api_describe_quorum(Call *call) {
        DescribeQuorumResponse response = DescribeQuorumResponse_INIT;
        if (is_sound(call->request))
                describe(call, &response);
        else if (refuse(call, &response))
                call_reply(call, &response);
        else
                call_close(call);
}
