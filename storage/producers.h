/* What the log has seen of each producer: epoch, the last five batches, an open transaction.
 *
 * The state is a function of the log: a batch updates it the same way when it is appended and when the log is
 * replayed. Updates of batches that are queued, not yet written, can be taken back. The .snapshot file has
 * Kafka's format: int16 version 1, uint32 CRC-32C of the rest, int32 count, then a row of 46 bytes per producer. A new
 * version would be another reader; an unknown one is no snapshot and the log is replayed instead. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/base/buffer.h"
#include "storage/base/hashmap.h"
#include "storage/batch.h"
#include "storage/txn_index.h"

#define PRODUCER_BATCHES_MAX 5

typedef struct ProducerBatch {
        int64_t last_offset;
        int64_t timestamp_ms;
        int32_t last_sequence;
        int32_t offset_delta;
} ProducerBatch;

typedef struct ProducerState {
        int16_t epoch;
        uint8_t batch_count;
        bool absent; /* only in an undo: there was no such producer */
        int32_t coordinator_epoch;
        int64_t last_timestamp_ms;
        int64_t txn_start_offset; /* -1: no transaction open */
        ProducerBatch batches[PRODUCER_BATCHES_MAX]; /* oldest first */
} ProducerState;

typedef struct Producer Producer;
struct Producer {
        HashNode node;
        int64_t id;
        ProducerState state;
        Producer *previous, *next; /* in one of the two lists */
        bool is_open;              /* which */
};

typedef struct ProducerList {
        Producer *first, *last;
} ProducerList;

typedef struct ProducerUndo ProducerUndo;

typedef struct Producers {
        HashMap map;
        ProducerUndo *undo; /* newest last */
        uint32_t undo_count, undo_capacity;
        ProducerList open; /* by the first offset of their transactions */
        ProducerList idle; /* the others, whoever wrote last at the end */
        uint32_t count_max; /* 0: no limit. Beyond it the one that is idle for longest is forgotten; only open ones are kept */
} Producers;

#define PRODUCERS_INIT ((Producers){ .map = HASHMAP_INIT })

void producers_deinit(Producers *producers);
/* Forgets all; count_max stays. */
void producers_clear(Producers *producers);

/* NULL for one that is not known, or forgotten. */
Producer *producers_find(const Producers *producers, int64_t id);
/* -1 when no batch of it is known. */
static inline int32_t producer_last_sequence(const ProducerState *state) {
        return state->batch_count ? state->batches[state->batch_count - 1].last_sequence : -1;
}

/* Whether the batch is one of the last five; then where the original is, and its largest timestamp. */
bool producers_find_duplicate(const Producers *producers, const BatchHeader *header, int64_t *ret_base_offset,
                              int64_t *ret_last_offset, int64_t *ret_timestamp_ms);

/* Whether a client may append the batch: 0, INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_TXN_STATE; POLICY_VIOLATION of a
 * new producer, where all that count_max allows have transactions open. */
int producers_check(const Producers *producers, const BatchHeader *header);

/* The same for a batch of the broker, whose sequence is not looked at: INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE; of a
 * marker at data the epochs: INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED. With transactions v2 the marker's epoch has
 * to be a new one, unless it only repeats the marker that came last. */
int producers_check_broker(const Producers *producers, const BatchHeader *header, const uint8_t *data, bool transactions_v2);

/* Whether the control batch at data aborts a transaction that is open (before producers_update() saw the batch). */
bool producers_find_aborted(const Producers *producers, const BatchHeader *header, const uint8_t *data, AbortedTxn *ret_txn);

/* The first offset of the oldest open transaction, or INT64_MAX. */
static inline int64_t producers_first_open(const Producers *producers) {
        return producers->open.first ? producers->open.first->state.txn_start_offset : INT64_MAX;
}

/* Takes the batch at data (offsets assigned) into account; for a control batch its one record is read, so data must
 * hold it whole. With undo it can be taken back. 0 or -ENOMEM (nothing changed). */
int producers_update(Producers *producers, const BatchHeader *header, const uint8_t *data, bool undo);

/* Adds a batch older than the last one to the state of a producer that is there with the batch's epoch, if it is one of its last five. */
void producers_recall(Producers *producers, const BatchHeader *header);

/* Takes back the updates since count was producers->undo_count. */
void producers_revert(Producers *producers, uint32_t count);
/* Makes them final. */
void producers_keep(Producers *producers);

/* Forgets producers without an open transaction that wrote nothing since expiration_ms. */
void producers_expire(Producers *producers, int64_t now_ms, int64_t expiration_ms);

/* Writes the state as it was at end_offset, leaving out queued batches from there on. 0 or -errno. */
int producers_write_snapshot(Producers *producers, int64_t end_offset, const char *path);
/* The same in two steps, the second on any thread. Both judge by the buffer's failed. */
Buffer producers_encode_snapshot(Producers *producers, int64_t end_offset);
int producers_save_snapshot(const Buffer *snapshot, const char *path);
/* Replaces the state. 0; -EUCLEAN when it is no sound snapshot; -errno. The state is empty on error. */
int producers_read_snapshot(Producers *producers, const char *path);
