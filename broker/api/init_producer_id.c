/* InitProducerId: v0-5
 * A producer id for idempotence (KIP-98). v2 is flexible; v3 lets a producer name its id and epoch, which without a transactional id
 * gets a new id all the same (KIP-360). Transactional ids are refused until there are transactions. */
#include "broker/api/api.h"

void api_init_producer_id(Call *call) {
        const InitProducerIdRequest *request = call->request;
        InitProducerIdResponse response = InitProducerIdResponse_INIT;
        response.producer_id = -1;
        response.producer_epoch = -1;
        if (!str_is_null(request->transactional_id)) {
                response.error_code = request->transactional_id.len ? KAFKA_UNSUPPORTED_VERSION : KAFKA_INVALID_REQUEST;
                call_reply(call, &response);
                return;
        }
        int r = state_new_producer_id(call->state, &response.producer_id);
        response.error_code = call_code(call, r);
        response.producer_epoch = r ? -1 : 0;
        call_reply(call, &response);
}
