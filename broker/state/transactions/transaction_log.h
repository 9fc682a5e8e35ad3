/* __transaction_state: its one writer and its one replayer. A key is int16 version and the transactional id, a value int16 version and
 * the facts; both are Kafka's own records. */
#pragma once

#include "broker/state/transactions/transactions.h"

/* Writes facts (and, unless they say that it is over, the partitions) of a transaction. When that is on its way into the log, written() is
 * called with 0 after the commit, or KAFKA_COORDINATOR_NOT_AVAILABLE where it failed; the wait only travels along (NULL when nobody
 * waits or nobody does any more). 0; a positive code or -errno, and then written() is not called. */
typedef void TransactionWritten(State *state, Transaction *txn, const TransactionFacts *facts, TransactionWait *wait, int16_t code);
int transaction_log_write(State *state, Transaction *txn, const TransactionFacts *facts, TransactionWait *wait,
                          TransactionWritten *written);

/* Forgets the transactional id; written() as above, with NULL for the facts. */
int transaction_log_forget(State *state, Transaction *txn, TransactionWritten *written);

/* Puts every record of __transaction_state into memory. 0 or -errno. */
int transaction_log_replay(State *state);
