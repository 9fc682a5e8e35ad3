/* UnregisterBroker: v0
 * Forgets a broker that is gone for good (KIP-631). The only one there is answers this request: where Kafka would leave the cluster without
 * any broker until its next start, it refuses. */
#include "broker/api/api.h"

void api_unregister_broker(Call *call) {
        const UnregisterBrokerRequest *request = call->request;
        UnregisterBrokerResponse response = UnregisterBrokerResponse_INIT;
        if (request->broker_id == call->state->node_id) {
                response.error_code = KAFKA_INVALID_REQUEST;
                response.error_message = arena_printf(&call->arena, "Broker ID %d is the only broker and cannot be unregistered",
                                                      request->broker_id);
        } else {
                response.error_code = KAFKA_BROKER_ID_NOT_REGISTERED;
                response.error_message = arena_printf(&call->arena, "Broker ID %d is not currently registered", request->broker_id);
        }
        call_reply(call, &response);
}
