/* EndTxn: v0-5
 * Commits or aborts a transaction: when the answer is out, that is decided. v2 knows PRODUCER_FENCED; v3 is flexible; v5 is of
 * transactions v2 and answers with the epoch to go on with (KIP-890). */
#include "broker/api/api.h"
#include "broker/state/transactions/transactions.h"

typedef struct End {
        TransactionWait wait;
        Call *call;
} End;

static void on_result(TransactionWait *wait, State *state, const TransactionResult *result) {
        Call *call = container_of(wait, End, wait)->call;
        EndTxnResponse response = EndTxnResponse_INIT;
        bool is_old = call_version(call) < 2 && result->code == KAFKA_PRODUCER_FENCED;
        response.error_code = is_old ? KAFKA_INVALID_PRODUCER_EPOCH : result->code;
        response.producer_id = result->producer_id;
        response.producer_epoch = result->producer_epoch;
        call_reply(call, &response);
}

static void cancel(Call *call) {
        transaction_wait_cancel(&((End *)call->park)->wait);
}

void api_end_txn(Call *call) {
        const EndTxnRequest *request = call->request;
        End *end = arena_alloc(&call->arena, sizeof(*end));
        if (!end) {
                call_close(call);
                return;
        }
        *end = (End){ .wait = { .done = on_result }, .call = call };
        call->park = end;
        call->cancel = cancel;
        transaction_end(call->state, request->transactional_id, request->producer_id, request->producer_epoch, request->committed,
                        call_version(call) >= 5 ? 2 : 0, &end->wait);
}
