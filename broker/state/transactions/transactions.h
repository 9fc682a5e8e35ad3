/* The transaction coordinator: what a replay of __transaction_state gives, and how a transaction goes on.
 *
 * KIP-98, KIP-360 (a producer recovers by itself), KIP-890 (transactions v2: each end bumps the epoch, partitions are added by the
 * broker that gets the records). A transition is written to the log first; when it is written, it is in force. The end of
 * a transaction is written as a decision (PrepareCommit, PrepareAbort), then markers go to all its partitions, then it is
 * complete; after a crash the decision is carried out. */
#pragma once

#include "broker/state/state.h"
#include "storage/batch.h"

typedef enum TransactionStatus {
        TRANSACTION_EMPTY,
        TRANSACTION_ONGOING,
        TRANSACTION_PREPARE_COMMIT,
        TRANSACTION_PREPARE_ABORT,
        TRANSACTION_COMPLETE_COMMIT,
        TRANSACTION_COMPLETE_ABORT,
        TRANSACTION_DEAD,
        TRANSACTION_PREPARE_EPOCH_FENCE, /* never written */
        TRANSACTION_STATUS_COUNT,
} TransactionStatus;

/* "Empty", "Ongoing" ... as Kafka names them. */
const char *transaction_status_name(TransactionStatus status);

#define TRANSACTION_VERSION 2 /* of clients that let the broker add partitions, and whose ends bump the epoch */

/* What is written of a transaction, but for its partitions. */
typedef struct TransactionFacts {
        TransactionStatus status;
        int64_t producer_id, next_producer_id; /* -1: none */
        int16_t producer_epoch, last_producer_epoch; /* -1: none yet */
        int32_t timeout_ms;
        int64_t start_ms, update_ms; /* -1: not begun */
        int16_t client_version;      /* 0, or 2: epochs are bumped at the end */
} TransactionFacts;

typedef struct TransactionPartition {
        HashNode node;
        int32_t partition;
        int64_t marker_end; /* the offset behind its marker, which waits to be written; -1: there is none */
        Str topic;      /* in key */
        char key[];
} TransactionPartition;

typedef struct Transaction {
        HashNode node;
        char *id;
        int64_t previous_producer_id;
        TransactionFacts facts;
        HashMap partitions; /* of TransactionPartition */
        bool is_changing;   /* a transition is being written: others have to wait */
        int unwritten_count; /* records on their way into the log; it stays until they are there */
        Timer timer;           /* the timeout while ongoing; another attempt at markers while ending */
        CommitWait markers;
        State *state_owner;
} Transaction;

typedef struct Transactions {
        HashMap by_id;
        Timer expiry;
} Transactions;

/* Replays __transaction_state if it is there, and carries out what was decided. 0 or -errno. */
int transactions_open(State *state);
void transactions_close(State *state);

/* Creates __transaction_state on first use. 0, a positive code, or -errno. */
int transactions_ensure_topic(State *state);
/* As creation_add(), for what that would create. */
int transactions_plan_topic(State *state, Creation **creation);

/* NULL when there is none. */
Transaction *transaction_find(const State *state, Str id);
/* What a client is told when there is none: INVALID_PRODUCER_ID_MAPPING, or, where the log is damaged, COORDINATOR_NOT_AVAILABLE. */
int16_t transaction_missing_code(const State *state, Str id);
bool transaction_has(const Transaction *txn, Str topic, int32_t partition);

typedef struct TransactionResult {
        int16_t code;
        int64_t producer_id;    /* -1 with an error */
        int16_t producer_epoch;
} TransactionResult;

/* Who waits for a transition. done() is called exactly once, perhaps before the function returns, unless it is cancelled. */
typedef struct TransactionWrite TransactionWrite;
typedef struct TransactionWait TransactionWait;
struct TransactionWait {
        void (*done)(TransactionWait *wait, State *state, const TransactionResult *result);
        TransactionWrite *write;
};
/* done() will not be called; the transition goes on. Harmless for one that does not wait. */
void transaction_wait_cancel(TransactionWait *wait);

/* InitProducerId: an id and epoch of one's own; who had the transactional id before is fenced. producer_id -1, or what the
 * producer believes to have (KIP-360). */
void transaction_init(State *state, Str id, int32_t timeout_ms, int64_t producer_id, int16_t producer_epoch, TransactionWait *wait);

typedef struct TransactionTarget {
        Str topic;
        int32_t partition;
} TransactionTarget;

/* Adds partitions to a transaction, which begins with the first. */
void transaction_add(State *state, Str id, int64_t producer_id, int16_t producer_epoch, const TransactionTarget *targets,
                     int32_t count, int16_t client_version, TransactionWait *wait);

/* Whether the partition is in the producer's transaction: 0 or the code that AddPartitionsToTxn would give;
 * TRANSACTION_ABORTABLE when it is not. */
int16_t transaction_verify(const State *state, Str id, int64_t producer_id, int16_t producer_epoch, Str topic, int32_t partition);

/* What a batch in a Produce needs before it may be appended. */
typedef struct TransactionAdmission {
        int16_t code;    /* refused: of a client before transactions v2, which has to add partitions itself */
        bool has_to_add; /* transaction_add() comes first */
        bool is_added;   /* has_to_add is only for the order behind other additions */
        bool is_first_v2; /* of the producer's in that partition and transaction, whose client knows transactions v2 */
        int64_t producer_id;
        int16_t producer_epoch;
        int32_t base_sequence;
} TransactionAdmission;
/* Produce's version decides whether the client knows transactions v2 (12, KIP-890). All zero for a batch that is part of none. */
TransactionAdmission transaction_admit(const State *state, Str id, int16_t produce_version, const Partition *partition, Str records);

/* Whether the batch belongs to a transaction. */
bool transaction_is_part(Str records);
/* The same, with the batch's header. */
bool transaction_read_batch(Str records, BatchHeader *ret_header);

/* EndTxn. With client_version 2 the result holds the epoch to go on with. */
void transaction_end(State *state, Str id, int64_t producer_id, int16_t producer_epoch, bool commit, int16_t client_version,
                     TransactionWait *wait);

/* Queues an end marker for one partition, and tells the offset behind it; version as in TransactionFacts. 0, a positive code
 * (INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED ...), -errno. */
int transaction_mark(State *state, Partition *partition, int64_t producer_id, int16_t producer_epoch, int32_t coordinator_epoch,
                     int16_t version, bool commit, int64_t *ret_end_offset);

/* ---- inside the layer */
Transaction *transaction_new(State *state, Str id);
void transaction_free(State *state, Transaction *txn);
/* 0 or -ENOMEM. */
int transaction_add_partition(Transaction *txn, Str topic, int32_t partition);
void transaction_drop_partition(Transaction *txn, TransactionPartition *partition);
void transaction_clear_partitions(Transaction *txn);
/* Carries out the decision of a transaction in a PREPARE state: markers, then completion. */
void transaction_carry_out(State *state, Transaction *txn);
/* Sets the timer that a transaction in its status needs: its timeout, but not before at_least_ms. */
void transaction_set_timer(State *state, Transaction *txn, int64_t at_least_ms);
/* Fences the producer and aborts; as when it timed out. */
void transaction_fence(State *state, Transaction *txn, TransactionWait *wait);

static inline void transaction_answer(State *state, TransactionWait *wait, int16_t code, int64_t producer_id, int16_t producer_epoch) {
        if (wait)
                wait->done(wait, state, &(TransactionResult){ code, producer_id, producer_epoch });
}
static inline void transaction_refuse(State *state, TransactionWait *wait, int16_t code) {
        transaction_answer(state, wait, code, -1, -1);
}
