/* InitProducerId: v0-5
 * A producer id for idempotence, or the one of a transactional id with a new epoch (KIP-98). v2 is flexible; v3 lets a producer name
 * what it believes to have (KIP-360); v4 knows PRODUCER_FENCED; v5 is v4 for clients of transactions v2. */
#include <errno.h>

#include "broker/api/api.h"
#include "broker/api/internal_topics.h"
#include "broker/state/producer_ids.h"
#include "broker/state/transactions/transactions.h"

typedef struct Init {
        TransactionWait wait;
        Call *call;
} Init;

static void reply(Call *call, int16_t code, int64_t producer_id, int16_t producer_epoch) {
        InitProducerIdResponse response = InitProducerIdResponse_INIT;
        if (code == KAFKA_PRODUCER_FENCED && call_version(call) < 4)
                code = KAFKA_INVALID_PRODUCER_EPOCH;
        response.error_code = code;
        response.producer_id = producer_id;
        response.producer_epoch = producer_epoch;
        call_reply(call, &response);
}

static void on_result(TransactionWait *wait, State *state, const TransactionResult *result) {
        reply(container_of(wait, Init, wait)->call, result->code, result->producer_id, result->producer_epoch);
}

static void cancel(Call *call) {
        transaction_wait_cancel(&((Init *)call->park)->wait);
}

static void init_transactional(Call *call) {
        const InitProducerIdRequest *request = call->request;
        Init *init = arena_alloc(&call->arena, sizeof(*init));
        if (!init) {
                call_close(call);
                return;
        }
        *init = (Init){ .wait = { .done = on_result }, .call = call };
        call->park = init;
        call->cancel = cancel;
        transaction_init(call->state, request->transactional_id, request->transaction_timeout_ms, request->producer_id,
                         request->producer_epoch, &init->wait);
}

void api_init_producer_id(Call *call) {
        const InitProducerIdRequest *request = call->request;
        int64_t producer_id = -1;
        if (producer_ids_reserve(call->state) == -EAGAIN) {
                call_handle_later(call);
                return;
        }
        if (!str_is_null(request->transactional_id) && internal_topics_await_transactions(call))
                return;
        if ((request->producer_id == -1) != (request->producer_epoch == -1)) {
                reply(call, KAFKA_INVALID_REQUEST, -1, -1);
        } else if (!str_is_null(request->transactional_id)) {
                init_transactional(call);
        } else {
                int16_t code = call_code(call, producer_ids_take(call->state, &producer_id));
                reply(call, code, producer_id, code ? -1 : 0);
        }
}
