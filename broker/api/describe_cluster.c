/* DescribeCluster: v0-2
 * Which brokers there are (one), and which controller (the same). v1 adds endpoint_type: controllers are asked on listeners that
 * don't exist here; v2 fenced brokers, of which there are none. */
#include "broker/api/api.h"
#include "broker/api/cluster.h"

enum { ENDPOINT_BROKER = 1, ENDPOINT_CONTROLLER = 2 };

static bool refuse_endpoint(Call *call, DescribeClusterResponse *response) {
        const DescribeClusterRequest *request = call->request;
        if (request->endpoint_type == ENDPOINT_BROKER)
                return false;
        if (request->endpoint_type == ENDPOINT_CONTROLLER) {
                response->error_code = KAFKA_MISMATCHED_ENDPOINT_TYPE;
                response->error_message = STR("The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER");
        } else {
                response->error_code = KAFKA_UNSUPPORTED_ENDPOINT_TYPE;
                response->error_message = arena_printf(&call->arena, "Unsupported endpoint type %d", request->endpoint_type);
        }
        return true;
}

void api_describe_cluster(Call *call) {
        const DescribeClusterRequest *request = call->request;
        State *state = call->state;
        DescribeClusterResponse response = DescribeClusterResponse_INIT;
        if (refuse_endpoint(call, &response)) {
                call_reply(call, &response);
                return;
        }
        DescribeClusterResponseBroker broker = { .broker_id = state->node_id, .host = cluster_host(call),
                                                 .port = cluster_port(call) };
        response.cluster_id = str_of(state->cluster_id);
        response.controller_id = state->node_id;
        response.brokers = &broker;
        response.brokers_count = 1;
        if (request->include_cluster_authorized_operations)
                response.cluster_authorized_operations = AUTHORIZED_OPERATIONS_CLUSTER;
        call_reply(call, &response);
}
