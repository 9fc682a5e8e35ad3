/* ElectLeaders: v0-2
 * Elects preferred, or any (KIP-460), replicas as leaders: on one node every partition has its leader. v1 adds the kind of election and an
 * error of the whole; v2 is flexible. */
#include "broker/api/api.h"

enum { ELECTION_PREFERRED = 0, ELECTION_UNCLEAN = 1 };

typedef ElectLeadersResponsePartition Row;

static void elect(Call *call, Str topic, int32_t partition, Row *row) {
        const ElectLeadersRequest *request = call->request;
        row->partition_id = partition;
        if (request->timeout_ms <= 0) {
                row->error_code = KAFKA_REQUEST_TIMED_OUT;
                row->error_message = STR_NULL;
                return;
        }
        if (request->election_type != ELECTION_PREFERRED && request->election_type != ELECTION_UNCLEAN) {
                row->error_code = KAFKA_INVALID_REQUEST;
                row->error_message = arena_printf(&call->arena, "Unknown election type %d", request->election_type);
        } else if (!topic_find(call->state, topic)) {
                row->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
                row->error_message = arena_printf(&call->arena, "No such topic as %.*s", STR_ARG(topic));
        } else if (!partition_find(call->state, topic, partition)) {
                row->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
                row->error_message = arena_printf(&call->arena, "No such partition as %.*s-%d", STR_ARG(topic), partition);
        } else {
                row->error_code = KAFKA_ELECTION_NOT_NEEDED;
                row->error_message = STR("Leader election not needed for topic partition.");
        }
}

static bool elect_named(Call *call, ElectLeadersResponse *response) {
        const ElectLeadersRequest *request = call->request;
        response->replica_election_results = call_array(call, ElectLeadersResponseResult, request->topic_partitions_count);
        for (int32_t i = 0; response->replica_election_results && i < request->topic_partitions_count; i++) {
                const ElectLeadersRequestTopic *want = &request->topic_partitions[i];
                ElectLeadersResponseResult *topic = &response->replica_election_results[response->replica_election_results_count++];
                topic->topic = want->topic;
                topic->partition_result = call_array(call, ElectLeadersResponsePartition, want->partitions_count);
                if (!topic->partition_result)
                        return false;
                topic->partition_result_count = want->partitions_count;
                for (int32_t j = 0; j < want->partitions_count; j++)
                        elect(call, want->topic, want->partitions[j], &topic->partition_result[j]);
        }
        return response->replica_election_results != NULL;
}

/* All topics: named, but without the partitions that need no election. */
static bool elect_all(Call *call, ElectLeadersResponse *response) {
        response->replica_election_results = call_array(call, ElectLeadersResponseResult, call->state->topics.count);
        if (!response->replica_election_results)
                return false;
        HASHMAP_FOREACH(&call->state->topics, node)
                response->replica_election_results[response->replica_election_results_count++].topic = node->key;
        return true;
}

void api_elect_leaders(Call *call) {
        const ElectLeadersRequest *request = call->request;
        ElectLeadersResponse response = ElectLeadersResponse_INIT;
        bool is_known = request->election_type == ELECTION_PREFERRED || request->election_type == ELECTION_UNCLEAN;
        if (request->topic_partitions_count == 0)
                response.error_code = 0;
        else if (request->timeout_ms <= 0) /* Kafka's controller takes it for one that came too late */
                response.error_code = KAFKA_REQUEST_TIMED_OUT;
        else
                response.error_code = is_known ? 0 : KAFKA_INVALID_REQUEST;
        bool all = request->topic_partitions_count < 0;
        if (all && is_known && request->timeout_ms > 0 ? elect_all(call, &response) : all || elect_named(call, &response))
                call_reply(call, &response);
        else
                call_close(call);
}
