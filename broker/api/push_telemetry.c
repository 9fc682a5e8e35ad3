/* PushTelemetry: v0
 * A client's metrics (KIP-714), which are checked and dropped: nobody is there to receive them. */
#include "broker/api/api.h"

/* Ids that Kafka keeps for itself. */
static bool is_reserved(const Uuid *id) {
        return uuid_is_zero(id) || uuid_equal(id, &(Uuid){ { [15] = 1 } });
}

void api_push_telemetry(Call *call) {
        const PushTelemetryRequest *request = call->request;
        PushTelemetryResponse response = PushTelemetryResponse_INIT;
        TelemetryClient client = call_telemetry_client(call, request->client_instance_id);
        TelemetryPush push = { .subscription_id = request->subscription_id, .terminating = request->terminating,
                               .compression_type = request->compression_type, .metrics = request->metrics };
        response.error_code = is_reserved(&client.instance_id) ? KAFKA_INVALID_REQUEST
                                                               : call_code(call, telemetry_push(call->state, &client, &push));
        call_reply(call, &response);
}
