/* What the two halves of a compaction share: log_compact.c on the log's thread, compaction.c on any other. log.h tells the
 * story. */
#pragma once

#include <stdatomic.h>

#include "storage/base/hashmap.h"
#include "storage/log.h"
#include "storage/offset_map.h"
#include "storage/segment.h"

/* A segment to be compacted, as it was at the beginning; sealed ones don't change. */
typedef struct CompactionSource {
        Segment *segment; /* a reference, for the log's thread alone */
        int64_t base_offset, size;
        int64_t next_offset; /* base of the segment that follows */
        int64_t mtime_ms;
} CompactionSource;

/* Neighbouring sources that become one segment. */
typedef struct CompactionGroup {
        int32_t first, count; /* sources */
        int64_t base_offset;
        int64_t size;      /* of what was written */
        TxnIndex txns;     /* likewise */
        Segment *segment;  /* that serves it, in the log; only once the swap has begun */
} CompactionGroup;

/* Where a producer stands: the batch that says so must stay. */
typedef struct CompactionProducer {
        int64_t id;
        int64_t last_offset; /* of its last batch with data; -1 */
        int16_t epoch;
} CompactionProducer;

struct Compaction {
        Log *log; /* for the log's thread; NULL when it was closed */
        char *dir;
        LogConfig config;
        int64_t now_ms;
        int64_t first_dirty_offset, first_uncleanable_offset;
        size_t map_bytes_max;
        CompactionSource *sources;
        int32_t source_count;
        CompactionProducer *producers; /* by id */
        int32_t producer_count;
        AbortedTxn *aborted; /* by first offset */
        int32_t aborted_count;
        _Atomic bool cancelled;
        /* results */
        int result;
        int64_t end_offset; /* compacted below this */
        CompactionGroup *groups;
        int32_t group_count;
        bool is_stuck; /* names are half old, half new: the next open sorts them out */
        LogCompacted compacted;
};

#define CLEANED_SUFFIX ".cleaned"
#define SWAP_SUFFIX SEGMENT_SWAP_SUFFIX
#define DELETED_SUFFIX ".deleted"

/* The files of a segment that compaction writes: the log comes first when names change. */
extern const char *const compaction_suffixes[4];
#define COMPACTION_TXN_SUFFIX 3 /* its index in there: written only where transactions were aborted */

/* dir/NNN.suffix and what follows it. */
void compaction_path(const char *dir, int64_t base_offset, const char *suffix, const char *extra,
                     char ret_path[static SEGMENT_PATH_MAX]);

/* ---- which transactions a walk over the log is in (compaction_txn.c) ---- */

typedef struct TxnWalk {
        const AbortedTxn *aborted; /* by first offset */
        int32_t aborted_count, aborted_next;
        int64_t from_offset; /* where the walk begins: what was over before is none of its */
        HashMap ongoing;
        TxnIndex *kept; /* gets the aborted transactions of which something stays; may be NULL */
} TxnWalk;

void txn_walk_deinit(TxnWalk *walk);
/* A batch with data: 1 when its transaction was aborted, 0, -ENOMEM. */
int txn_walk_batch(TxnWalk *walk, const BatchHeader *header);
/* A control batch: 1 when nothing is left of the transaction it ended, 0, -ENOMEM, -EUCLEAN. */
int txn_walk_control(TxnWalk *walk, const BatchHeader *header, const uint8_t *data);

/* ---- what is kept of a batch (compaction_filter.c) ---- */

typedef struct BatchFilter {
        const Compaction *compaction;
        const OffsetMap *map;
        int64_t map_end_offset; /* the map knows what is below */
        TxnWalk txns;
        Record *records; /* room */
        int32_t record_capacity;
} BatchFilter;

void batch_filter_deinit(BatchFilter *filter);
/* Appends to out what stays of the batch at data, if anything. 0; -EUCLEAN; -errno. */
int batch_filter_apply(BatchFilter *filter, const BatchHeader *header, const uint8_t *data, Buffer *out);

/* ---- the names of the new files (compaction_swap.c) ---- */

/* Removes a group's new files that were never announced. 0 or the first -errno. */
int compaction_discard(const char *dir, int64_t base_offset);
/* Names the groups so that, whatever happens, they take the place of their sources at the next open. 0 or -errno: then all is as before,
 * unless the compaction is stuck. */
int compaction_announce(Compaction *compaction);
/* Takes that back, and the files away. 0 or -errno, likewise. */
int compaction_withdraw(Compaction *compaction);
/* Unlinks what a replaced segment has left. */
void compaction_unlink(const char *dir, int64_t base_offset);
/* Ends swaps that were cut short, before a log is opened. 0; -EUCLEAN when a new segment is damaged; -errno. */
int compaction_recover(const char *dir);
