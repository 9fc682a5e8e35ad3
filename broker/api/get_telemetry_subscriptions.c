/* GetTelemetrySubscriptions: v0
 * Which metrics a client is asked to push (KIP-714), from the client-metrics configs. */
#include "broker/api/api.h"

void api_get_telemetry_subscriptions(Call *call) {
        static int8_t compression_types[] = { 4, 3, 1, 2 }; /* what we like best first: zstd, lz4, gzip, snappy */
        const GetTelemetrySubscriptionsRequest *request = call->request;
        GetTelemetrySubscriptionsResponse response = GetTelemetrySubscriptionsResponse_INIT;
        TelemetryClient client = call_telemetry_client(call, request->client_instance_id);
        if (uuid_is_zero(&client.instance_id))
                client.instance_id = uuid_random();
        TelemetrySubscription subscription;
        response.error_code = call_code(call, telemetry_subscribe(call->state, &client, &call->arena, &subscription));
        if (response.error_code == 0) {
                response.client_instance_id = client.instance_id;
                response.subscription_id = subscription.id;
                response.accepted_compression_types = compression_types;
                response.accepted_compression_types_count = sizeof(compression_types);
                response.push_interval_ms = subscription.push_interval_ms;
                response.telemetry_max_bytes = (int32_t)config_int(call->state->config, "telemetry.max.bytes");
                response.delta_temporality = true;
                response.requested_metrics = subscription.metrics;
                response.requested_metrics_count = subscription.metric_count;
        }
        call_reply(call, &response);
}
