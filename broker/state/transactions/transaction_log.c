/* Writing and replaying __transaction_state. */
#include "broker/state/transactions/transaction_log.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "broker/state/journal.h"
#include "broker/state/replay.h"
#include "storage/base/endian.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

#define KEY_VERSION 0

/* Flexible values came with transaction.version 1. */
static int16_t value_version(const State *state) {
        return state->feature_levels[FEATURE_TRANSACTION] >= 1 ? 1 : 0;
}

struct TransactionWrite {
        CommitWait commit;
        int64_t end_offset;
        Partition *partition;
        Transaction *txn;
        TransactionFacts facts;
        bool is_tombstone;
        TransactionWait *wait;
        TransactionWritten *written;
};

/* The partitions, gathered by topic. */
static int gather_partitions(const Transaction *txn, Arena *arena, TransactionLogValue *value) {
        value->transaction_partitions = message_array(arena, TransactionLogValuePartitions, txn->partitions.count);
        if (!value->transaction_partitions)
                return -ENOMEM;
        HASHMAP_FOREACH(&txn->partitions, node) {
                const TransactionPartition *partition = container_of(node, TransactionPartition, node);
                TransactionLogValuePartitions *row = value->transaction_partitions, *end = row + value->transaction_partitions_count;
                while (row < end && !str_equal(row->topic, partition->topic))
                        row++;
                if (row == end) {
                        value->transaction_partitions_count++;
                        row->topic = partition->topic;
                        row->partition_ids = arena_alloc_array(arena, txn->partitions.count, sizeof(int32_t));
                        if (!row->partition_ids)
                                return -ENOMEM;
                }
                row->partition_ids[row->partition_ids_count++] = partition->partition;
        }
        return 0;
}

static bool has_partitions(TransactionStatus status) {
        return status == TRANSACTION_ONGOING || status == TRANSACTION_PREPARE_COMMIT || status == TRANSACTION_PREPARE_ABORT;
}

static int encode_value(int16_t value_version, const Transaction *txn, const TransactionFacts *facts, Reply *out) {
        Arena arena = ARENA_INIT(0);
        TransactionLogValue value = TransactionLogValue_INIT;
        value.producer_id = facts->producer_id;
        value.previous_producer_id = txn->facts.producer_id;
        value.next_producer_id = facts->next_producer_id;
        value.producer_epoch = facts->producer_epoch;
        value.transaction_timeout_ms = facts->timeout_ms;
        value.transaction_status = (int8_t)facts->status;
        value.transaction_last_update_timestamp_ms = facts->update_ms;
        value.transaction_start_timestamp_ms = facts->start_ms;
        value.client_transaction_version = facts->client_version;
        value.transaction_partitions_count = facts->status == TRANSACTION_EMPTY ? -1 : 0; /* null, as Kafka writes it */
        int r = has_partitions(facts->status) ? gather_partitions(txn, &arena, &value) : 0;
        uint8_t *version = buffer_extend(&out->bytes, 2);
        if (version)
                store_be16(version, (uint16_t)value_version);
        if (!r)
                r = codec_encode(&TransactionLogValue_message, value_version, &value, out);
        arena_deinit(&arena);
        return r;
}

static int encode_key(const Transaction *txn, Reply *out) {
        TransactionLogKey key = { .transactional_id = str_of(txn->id) };
        uint8_t *version = buffer_extend(&out->bytes, 2);
        if (version)
                store_be16(version, KEY_VERSION);
        return codec_encode(&TransactionLogKey_message, KEY_VERSION, &key, out);
}

static Str bytes_of(const Reply *reply) {
        return (Str){ .data = (const char *)reply->bytes.data, .len = reply->bytes.size };
}

/* A batch of the one record; facts NULL: a tombstone. */
static int build_batch(const State *state, const Transaction *txn, const TransactionFacts *facts, BatchBuilder *batch) {
        Reply key = REPLY_INIT, value = REPLY_INIT;
        int r = encode_key(txn, &key);
        if (!r && facts)
                r = encode_value(value_version(state), txn, facts, &value);
        if (!r && (key.bytes.failed || value.bytes.failed))
                r = -ENOMEM;
        if (!r) {
                batch_builder_add(batch, state->now_ms, bytes_of(&key), facts ? bytes_of(&value) : STR_NULL, NULL, 0);
                r = batch_builder_finish(batch, 0);
        }
        reply_deinit(&key);
        reply_deinit(&value);
        return r;
}

static void finish(State *state, TransactionWrite *write, int16_t code) {
        TransactionWait *wait = write->wait;
        if (wait)
                wait->write = NULL;
        write->txn->unwritten_count--;
        write->written(state, write->txn, write->is_tombstone ? NULL : &write->facts, wait, code);
        free(write);
}

/* Where it has to be, a step is on disk before the next one is taken: markers must not outlive the decision that they carry out. */
static void on_sync(CommitWait *commit, State *state) {
        TransactionWrite *write = container_of(commit, TransactionWrite, commit);
        if (partition_is_settled(write->partition, write->end_offset))
                finish(state, write, write->partition->is_deleted ? KAFKA_COORDINATOR_NOT_AVAILABLE : 0);
        else
                state_wait_sync(state, commit, on_sync);
}

static void on_commit(CommitWait *commit, State *state) {
        TransactionWrite *write = container_of(commit, TransactionWrite, commit);
        if (partition_is_written(write->partition, write->end_offset))
                on_sync(commit, state);
        else
                finish(state, write, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

static int append(State *state, TransactionWrite *write, BatchBuilder *batch) {
        LogAppend result;
        int r = transactions_ensure_topic(state);
        Topic *topic = topic_find(state, STR(TOPIC_NAME_TRANSACTIONS));
        if (r || !topic)
                return r ? r : KAFKA_COORDINATOR_NOT_AVAILABLE;
        write->partition = topic->partitions[journal_partition_index(str_of(write->txn->id), topic->partition_count)];
        r = partition_append_owned(state, write->partition, &batch->out, LOG_ORIGIN_BROKER, &result);
        write->end_offset = result.last_offset + 1;
        return r;
}

static int write_record(State *state, Transaction *txn, const TransactionFacts *facts, TransactionWait *wait,
                        TransactionWritten *written) {
        TransactionWrite *write = calloc(1, sizeof(*write));
        if (!write)
                return -ENOMEM;
        *write = (TransactionWrite){ .txn = txn, .is_tombstone = !facts, .wait = wait, .written = written };
        if (facts)
                write->facts = *facts;
        BatchBuilder batch;
        batch_builder_init(&batch, 0, -1, -1, -1);
        int r = build_batch(state, txn, facts, &batch);
        if (!r)
                r = append(state, write, &batch);
        batch_builder_deinit(&batch);
        if (r) {
                free(write);
                return r;
        }
        txn->unwritten_count++;
        if (wait)
                wait->write = write;
        state_wait_commit(state, &write->commit, on_commit);
        return 0;
}

int transaction_log_write(State *state, Transaction *txn, const TransactionFacts *facts, TransactionWait *wait,
                          TransactionWritten *written) {
        return write_record(state, txn, facts, wait, written);
}

int transaction_log_forget(State *state, Transaction *txn, TransactionWritten *written) {
        return write_record(state, txn, NULL, NULL, written);
}

void transaction_wait_cancel(TransactionWait *wait) {
        if (wait->write)
                wait->write->wait = NULL;
        wait->write = NULL;
}

/* ---- replay */

static int replay_value(Transaction *txn, const TransactionLogValue *value) {
        txn->previous_producer_id = value->previous_producer_id;
        txn->facts = (TransactionFacts){
                .status = (TransactionStatus)value->transaction_status,
                .producer_id = value->producer_id,
                .next_producer_id = value->next_producer_id,
                .producer_epoch = value->producer_epoch,
                .last_producer_epoch = -1,
                .timeout_ms = value->transaction_timeout_ms,
                .start_ms = value->transaction_start_timestamp_ms,
                .update_ms = value->transaction_last_update_timestamp_ms,
                .client_version = value->client_transaction_version,
        };
        transaction_clear_partitions(txn);
        for (int32_t i = 0; i < value->transaction_partitions_count; i++)
                for (int32_t j = 0; j < value->transaction_partitions[i].partition_ids_count; j++) {
                        int r = transaction_add_partition(txn, value->transaction_partitions[i].topic,
                                                          value->transaction_partitions[i].partition_ids[j]);
                        if (r)
                                return r;
                }
        return 0;
}

static int decode(const MessageSchema *message, Str bytes, Arena *arena, void *ret_value) {
        int16_t version = bytes.len >= 2 ? (int16_t)load_be16(bytes.data) : -1;
        if (version < message->version_min || version > message->version_max)
                return KAFKA_UNSUPPORTED_VERSION;
        return codec_decode(message, version, (Str){ bytes.data + 2, bytes.len - 2 }, arena, ret_value, NULL);
}

static int replay_decoded(State *state, const Record *record, Arena *arena) {
        TransactionLogKey key;
        TransactionLogValue value;
        int r = decode(&TransactionLogKey_message, record->key, arena, &key);
        if (r)
                return r;
        Transaction *txn = transaction_find(state, key.transactional_id);
        if (str_is_null(record->value)) {
                if (txn)
                        transaction_free(state, txn);
                return 0;
        }
        r = decode(&TransactionLogValue_message, record->value, arena, &value);
        if (r)
                return r;
        if (value.transaction_status < 0 || value.transaction_status >= TRANSACTION_STATUS_COUNT)
                return KAFKA_INVALID_RECORD;
        if (!txn && !(txn = transaction_new(state, key.transactional_id)))
                return -ENOMEM;
        return replay_value(txn, &value);
}

static int replay_record(State *state, const ReplayedRecord *replayed, void *data) {
        Arena arena = ARENA_INIT(0);
        int r = replayed->record ? replay_decoded(state, replayed->record, &arena) : 0;
        arena_deinit(&arena);
        if (r > 0)
                trace_warn("%s-%d: the record at offset %lld is not understood and was skipped", TOPIC_NAME_TRANSACTIONS,
                           replayed->partition->index, (long long)replayed->record->offset);
        return r < 0 ? r : 0;
}

int transaction_log_replay(State *state) {
        Topic *topic = topic_find(state, STR(TOPIC_NAME_TRANSACTIONS));
        return topic ? replay_topic(state, topic, replay_record, NULL) : 0;
}
