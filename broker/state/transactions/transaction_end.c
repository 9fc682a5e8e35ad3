/* How a transaction ends: the decision, the markers, the completion. */
#include "broker/state/transactions/transactions.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/state/groups/offsets_pending.h"
#include "broker/state/producer_ids.h"
#include "broker/state/transactions/transaction_log.h"
#include "storage/base/endian.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"
#include "storage/batch.h"

#define RETRY_MS 1000 /* after a decision, a marker or a completion could not be written */

static void retry_later(State *state, Transaction *txn) {
        if (timer_set(state, &txn->timer, state->mono_ms + RETRY_MS) < 0)
                trace_error("no memory to carry out a transaction: a restart will");
}

/* ---- markers */

int transaction_mark(State *state, Partition *partition, int64_t producer_id, int16_t producer_epoch, int32_t coordinator_epoch,
                     int16_t version, bool commit, int64_t *ret_end_offset) {
        uint8_t key[4], value[6];
        BatchBuilder batch;
        LogAppend result;
        store_be16(key, 0);
        store_be16(key + 2, commit);
        store_be16(value, 0);
        store_be32(value + 2, (uint32_t)coordinator_epoch);
        batch_builder_init(&batch, BATCH_CONTROL | BATCH_TRANSACTIONAL, producer_id, producer_epoch, -1);
        batch_builder_add(&batch, state->now_ms, (Str){ (char *)key, sizeof(key) }, (Str){ (char *)value, sizeof(value) }, NULL, 0);
        int r = batch_builder_finish(&batch, 0);
        if (!r)
                r = partition_append_owned(state, partition, &batch.out, version >= 2 ? LOG_ORIGIN_TRANSACTIONS_V2 : LOG_ORIGIN_BROKER,
                                           &result);
        batch_builder_deinit(&batch);
        *ret_end_offset = r ? -1 : result.last_offset + 1;
        return r;
}

static bool is_commit(const Transaction *txn) {
        return txn->facts.status == TRANSACTION_PREPARE_COMMIT;
}

static void on_completed(State *state, Transaction *txn, const TransactionFacts *facts, TransactionWait *wait, int16_t code) {
        txn->is_changing = false;
        if (code) {
                retry_later(state, txn);
                return;
        }
        txn->previous_producer_id = txn->facts.producer_id;
        txn->facts = *facts;
        timer_stop(state, &txn->timer);
}

/* All markers are written. With an epoch that ran out goes the producer id. */
static void complete(State *state, Transaction *txn) {
        TransactionFacts facts = txn->facts;
        facts.status = is_commit(txn) ? TRANSACTION_COMPLETE_COMMIT : TRANSACTION_COMPLETE_ABORT;
        facts.update_ms = state->now_ms;
        if (facts.client_version >= 2 && facts.next_producer_id >= 0) {
                facts.producer_id = facts.next_producer_id;
                facts.producer_epoch = 0;
        }
        facts.next_producer_id = -1;
        if (transaction_log_write(state, txn, &facts, NULL, on_completed))
                retry_later(state, txn);
        else
                txn->is_changing = true;
}

static void on_settled(CommitWait *wait, State *state) {
        Transaction *txn = container_of(wait, Transaction, markers);
        bool is_waiting = false;
        HASHMAP_FOREACH(&txn->partitions, node) {
                TransactionPartition *marked = container_of(node, TransactionPartition, node);
                Partition *partition = partition_find(state, marked->topic, marked->partition);
                if (marked->marker_end < 0)
                        continue;
                if (!partition || partition_is_settled(partition, marked->marker_end))
                        transaction_drop_partition(txn, marked);
                else
                        is_waiting = true;
        }
        if (is_waiting)
                state_wait_sync(state, wait, on_settled);
        else if (txn->partitions.count)
                retry_later(state, txn);
        else
                complete(state, txn);
}

static void on_written(CommitWait *wait, State *state) {
        Transaction *txn = container_of(wait, Transaction, markers);
        HASHMAP_FOREACH(&txn->partitions, node) {
                TransactionPartition *marked = container_of(node, TransactionPartition, node);
                Partition *partition = partition_find(state, marked->topic, marked->partition);
                if (partition && !partition_is_written(partition, marked->marker_end))
                        marked->marker_end = -1; /* another attempt will be made */
                else if (marked->marker_end >= 0 && str_equal(marked->topic, STR(TOPIC_NAME_OFFSETS)))
                        offsets_pending_end(state, marked->partition, txn->facts.producer_id, is_commit(txn));
        }
        on_settled(wait, state);
}

/* A partition that is gone, or knows a newer owner of the producer id, needs no marker. */
static void mark_one(State *state, Transaction *txn, TransactionPartition *target) {
        Partition *partition = partition_find(state, target->topic, target->partition);
        int r = partition && partition->log
                        ? transaction_mark(state, partition, txn->facts.producer_id, txn->facts.producer_epoch, 0, txn->facts.client_version,
                                           is_commit(txn), &target->marker_end)
                        : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        if (r > 0 && r != KAFKA_KAFKA_STORAGE_ERROR)
                transaction_drop_partition(txn, target);
}

void transaction_carry_out(State *state, Transaction *txn) {
        HASHMAP_FOREACH(&txn->partitions, node)
                mark_one(state, txn, container_of(node, TransactionPartition, node));
        state_wait_commit(state, &txn->markers, on_written);
}

/* ---- the decision */

static void on_decided(State *state, Transaction *txn, const TransactionFacts *facts, TransactionWait *wait, int16_t code) {
        txn->is_changing = false;
        if (code) {
                transaction_set_timer(state, txn, RETRY_MS);
                transaction_refuse(state, wait, code);
                return;
        }
        txn->previous_producer_id = txn->facts.producer_id;
        txn->facts = *facts;
        timer_stop(state, &txn->timer);
        transaction_answer(state, wait, 0, facts->producer_id, facts->producer_epoch);
        transaction_carry_out(state, txn);
}

static void on_fenced(State *state, Transaction *txn, const TransactionFacts *facts, TransactionWait *wait, int16_t code) {
        transaction_refuse(state, wait, code ? code : KAFKA_CONCURRENT_TRANSACTIONS);
        on_decided(state, txn, facts, NULL, code);
}

/* The facts of the decision. With transactions v2 each end takes an epoch, and the last one takes a new producer id along. */
static TransactionFacts decide(const State *state, const Transaction *txn, bool commit, int16_t client_version) {
        TransactionFacts facts = txn->facts;
        facts.status = commit ? TRANSACTION_PREPARE_COMMIT : TRANSACTION_PREPARE_ABORT;
        facts.update_ms = state->now_ms;
        facts.client_version = client_version;
        if (txn->facts.status != TRANSACTION_ONGOING)
                facts.start_ms = state->now_ms; /* an abort of nothing has to have begun at some time */
        if (client_version >= 2) {
                facts.last_producer_epoch = facts.producer_epoch;
                if (facts.producer_epoch < INT16_MAX)
                        facts.producer_epoch++;
        }
        return facts;
}

void transaction_fence(State *state, Transaction *txn, TransactionWait *wait) {
        TransactionFacts facts = decide(state, txn, false, TRANSACTION_VERSION);
        facts.client_version = state->feature_levels[FEATURE_TRANSACTION]; /* decides where no client does */
        if (facts.client_version < TRANSACTION_VERSION)
                facts.last_producer_epoch = -1; /* else the producer that was fenced may come back with its epoch */
        if (transaction_log_write(state, txn, &facts, wait, on_fenced)) {
                transaction_set_timer(state, txn, RETRY_MS);
                transaction_refuse(state, wait, KAFKA_COORDINATOR_NOT_AVAILABLE);
        } else {
                txn->is_changing = true;
        }
}

typedef struct EndArgs {
        int64_t producer_id;
        int16_t producer_epoch;
        bool commit;
        bool is_retry; /* of an end that is done: its answer got lost (transactions v2) */
} EndArgs;

/* What an end asks of a transaction that is not ongoing: 0 to go on and abort nothing, NOTHING_TO_DO, or a code. */
enum { NOTHING_TO_DO = -2 };

static int check_idle_v1(const Transaction *txn, const EndArgs *args) {
        switch (txn->facts.status) {
        case TRANSACTION_COMPLETE_COMMIT:
                return args->commit ? NOTHING_TO_DO : KAFKA_INVALID_TXN_STATE;
        case TRANSACTION_COMPLETE_ABORT:
                return args->commit ? KAFKA_INVALID_TXN_STATE : NOTHING_TO_DO;
        case TRANSACTION_PREPARE_COMMIT:
                return args->commit ? KAFKA_CONCURRENT_TRANSACTIONS : KAFKA_INVALID_TXN_STATE;
        case TRANSACTION_PREPARE_ABORT:
                return args->commit ? KAFKA_INVALID_TXN_STATE : KAFKA_CONCURRENT_TRANSACTIONS;
        default:
                return KAFKA_INVALID_TXN_STATE;
        }
}

static int check_idle_v2(const Transaction *txn, const EndArgs *args) {
        switch (txn->facts.status) {
        case TRANSACTION_COMPLETE_COMMIT:
                return args->commit == args->is_retry ? args->commit ? NOTHING_TO_DO : 0 : KAFKA_INVALID_TXN_STATE;
        case TRANSACTION_COMPLETE_ABORT:
                return args->commit ? KAFKA_INVALID_TXN_STATE : args->is_retry ? NOTHING_TO_DO : 0;
        case TRANSACTION_EMPTY:
                return args->commit ? KAFKA_INVALID_TXN_STATE : 0;
        default:
                return check_idle_v1(txn, args);
        }
}

static bool is_epoch_right_v2(const Transaction *txn, const EndArgs *args) {
        bool is_current = args->producer_epoch == txn->facts.producer_epoch;
        switch (txn->facts.status) {
        case TRANSACTION_PREPARE_COMMIT:
        case TRANSACTION_PREPARE_ABORT:
                return args->is_retry;
        case TRANSACTION_COMPLETE_COMMIT:
        case TRANSACTION_COMPLETE_ABORT:
                return args->is_retry || is_current;
        default:
                return is_current;
        }
}

static int check_v1(const Transaction *txn, const EndArgs *args) {
        if (txn->facts.producer_id != args->producer_id)
                return KAFKA_INVALID_PRODUCER_ID_MAPPING;
        if (txn->facts.producer_epoch != args->producer_epoch)
                return KAFKA_PRODUCER_FENCED;
        if (txn->is_changing)
                return KAFKA_CONCURRENT_TRANSACTIONS;
        return txn->facts.status == TRANSACTION_ONGOING ? 0 : check_idle_v1(txn, args);
}

static int check_v2(const Transaction *txn, EndArgs *args) {
        bool overflowed = txn->previous_producer_id == args->producer_id && args->producer_epoch == INT16_MAX - 1 &&
                          txn->facts.producer_epoch == 0;
        args->is_retry = overflowed || txn->facts.producer_epoch == args->producer_epoch + 1;
        if (txn->facts.producer_id != args->producer_id && !overflowed)
                return KAFKA_INVALID_PRODUCER_ID_MAPPING;
        if (txn->is_changing)
                return KAFKA_CONCURRENT_TRANSACTIONS;
        if (!is_epoch_right_v2(txn, args))
                return KAFKA_PRODUCER_FENCED;
        return txn->facts.status == TRANSACTION_ONGOING ? 0 : check_idle_v2(txn, args);
}

static int begin_end(State *state, Transaction *txn, bool commit, int16_t client_version, TransactionWait *wait) {
        TransactionFacts facts = decide(state, txn, commit, client_version);
        int r = 0;
        if (client_version >= 2 && txn->facts.producer_epoch >= INT16_MAX - 1)
                r = producer_ids_take(state, &facts.next_producer_id);
        if (!r)
                r = transaction_log_write(state, txn, &facts, wait, on_decided);
        if (!r)
                txn->is_changing = true;
        return r ? KAFKA_COORDINATOR_NOT_AVAILABLE : 0;
}

void transaction_end(State *state, Str id, int64_t producer_id, int16_t producer_epoch, bool commit, int16_t client_version,
                     TransactionWait *wait) {
        Transaction *txn = transaction_find(state, id);
        EndArgs args = { .producer_id = producer_id, .producer_epoch = producer_epoch, .commit = commit };
        int r = id.len == 0          ? KAFKA_INVALID_REQUEST
                : !txn               ? transaction_missing_code(state, id)
                : client_version < 2 ? check_v1(txn, &args)
                                     : check_v2(txn, &args);
        if (r == 0)
                r = begin_end(state, txn, commit, client_version, wait);
        if (r == NOTHING_TO_DO)
                transaction_answer(state, wait, 0, txn->facts.producer_id, txn->facts.producer_epoch);
        else if (r)
                transaction_refuse(state, wait, (int16_t)r);
}
