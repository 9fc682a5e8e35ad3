/* The aborted transactions whose markers lie in one segment, and the file beside it, in Kafka's format.
 *
 * .txnindex: rows of 34 bytes, big-endian: int16 version 0, int64 producer id, int64 first offset, int64 last offset
 * (the marker's), int64 last stable offset when it was aborted; last offsets rise. There is no file while there are no rows,
 * so a lost one cannot be told from one that never was: rows are saved and synced before the recovery point passes
 * them, and those above it are found again in the log. Another version would be another reader. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct AbortedTxn {
        int64_t producer_id;
        int64_t first_offset;
        int64_t last_offset; /* of the marker */
        int64_t last_stable_offset;
} AbortedTxn;

typedef struct TxnIndex {
        AbortedTxn *rows;
        uint32_t count, capacity;
        uint32_t saved_count; /* rows that are in the file */
        bool loaded;          /* rows hold all there is */
        bool rewrite;         /* the file holds something else */
} TxnIndex;

#define TXN_INDEX_INIT ((TxnIndex){ .rows = NULL })

void txn_index_deinit(TxnIndex *index);

/* Reads the file, if there is one, of the segment at base_offset, once. 0; -EUCLEAN when it is no sound index; -errno. */
int txn_index_load(TxnIndex *index, const char *path, int64_t base_offset);

/* Forgets all rows, to be filled anew; the file will be replaced. */
void txn_index_reset(TxnIndex *index);

/* Adds a row; its last offset must be above those there. 0; -EINVAL; -ENOMEM. */
int txn_index_append(TxnIndex *index, const AbortedTxn *txn);

/* Drops the transactions that end at offset or later. */
void txn_index_truncate(TxnIndex *index, int64_t offset);

/* Whether txn_index_save() has something to do. */
bool txn_index_is_dirty(const TxnIndex *index);

/* Brings the file up to date and syncs it, its name too. 0 or -errno. */
int txn_index_save(TxnIndex *index, const char *path);

/* For a save on another thread: a copy, which is saved there, and afterwards what that means for the index, which may have got more
 * rows meanwhile. 0 or -ENOMEM. */
int txn_index_copy(const TxnIndex *index, TxnIndex *ret_copy);
void txn_index_note_saved(TxnIndex *index, const TxnIndex *copy);

typedef void TxnIndexEach(const AbortedTxn *txn, void *data);

/* Calls each for the transactions that overlap [from_offset, to_offset). True when no later segment can hold another. */
bool txn_index_collect(const TxnIndex *index, int64_t from_offset, int64_t to_offset, TxnIndexEach *each, void *data);
