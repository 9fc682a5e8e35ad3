/* AddOffsetsToTxn: v0-4
 * Takes the partition of __consumer_offsets that holds the group into the transaction. v2 knows PRODUCER_FENCED; v3 is flexible; v4
 * knows TRANSACTION_ABORTABLE. */
#include "broker/api/api.h"
#include "broker/api/internal_topics.h"
#include "broker/state/groups/groups.h"
#include "broker/state/journal.h"
#include "broker/state/transactions/transactions.h"

typedef struct Add {
        TransactionWait wait;
        Call *call;
} Add;

static void reply(Call *call, int16_t code) {
        AddOffsetsToTxnResponse response = AddOffsetsToTxnResponse_INIT;
        bool is_old = call_version(call) < 2 && code == KAFKA_PRODUCER_FENCED;
        response.error_code = is_old ? KAFKA_INVALID_PRODUCER_EPOCH : code;
        call_reply(call, &response);
}

static void on_result(TransactionWait *wait, State *state, const TransactionResult *result) {
        reply(container_of(wait, Add, wait)->call, result->code);
}

static void cancel(Call *call) {
        transaction_wait_cancel(&((Add *)call->park)->wait);
}

void api_add_offsets_to_txn(Call *call) {
        const AddOffsetsToTxnRequest *request = call->request;
        if (internal_topics_await_offsets(call))
                return;
        if (groups_ensure_topic(call->state)) {
                reply(call, KAFKA_COORDINATOR_NOT_AVAILABLE);
                return;
        }
        Add *add = arena_alloc(&call->arena, sizeof(*add));
        if (!add) {
                call_close(call);
                return;
        }
        *add = (Add){ .wait = { .done = on_result }, .call = call };
        call->park = add;
        call->cancel = cancel;
        const Topic *topic = topic_find(call->state, STR(TOPIC_NAME_OFFSETS));
        TransactionTarget target = { STR(TOPIC_NAME_OFFSETS), journal_partition_index(request->group_id, topic->partition_count) };
        transaction_add(call->state, request->transactional_id, request->producer_id, request->producer_epoch, &target, 1, 0,
                        &add->wait);
}
