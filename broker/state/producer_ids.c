/* Reserving and taking. */
#include "broker/state/producer_ids.h"

#include <errno.h>

#include "broker/protocol/messages.h"
#include "broker/state/metadata/metadata.h"

static int reserve_block(State *state) {
        int64_t end = state->producer_ids_reserved + METADATA_PRODUCER_ID_BLOCK;
        MetadataBatch batch;
        metadata_batch_init(&batch, state);
        metadata_batch_add(&batch, &ProducerIdsRecord_message, 0,
                           &(ProducerIdsRecord){ .broker_id = state->node_id, .broker_epoch = -1, .next_producer_id = end });
        int r = metadata_batch_write(state, &batch);
        if (r)
                return r;
        state->producer_ids_reserved = end;
        state->producer_ids_mark = state_metadata_mark(state);
        return 0;
}

int producer_ids_reserve(State *state) {
        if (state_sync_is_past(state, state->producer_ids_mark))
                state->producer_ids_end = state->producer_ids_reserved;
        if (state->next_producer_id < state->producer_ids_end)
                return 0;
        int r = state->producer_ids_end == state->producer_ids_reserved ? reserve_block(state) : 0;
        return r ? r : -EAGAIN;
}

int producer_ids_take(State *state, int64_t *ret_producer_id) {
        int r = producer_ids_reserve(state);
        if (r == 0)
                *ret_producer_id = state->next_producer_id++;
        return r;
}

void producer_ids_replay(State *state, int64_t next_producer_id) {
        state->next_producer_id = state->producer_ids_end = state->producer_ids_reserved = next_producer_id;
}
