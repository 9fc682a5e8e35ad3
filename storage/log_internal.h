/* What the files of one log's implementation share; nobody else includes this. */
#pragma once

#include "storage/batch.h"
#include "storage/epochs.h"
#include "storage/log.h"
#include "storage/producers.h"
#include "storage/segment.h"

#define LOG_RECENT_COUNT 4
#define LOG_QUEUE_KEPT 8 /* room that an idle log keeps */
#define LOG_NAMES_FROM_BYTES (1 << 20) /* a log of that size is going to be rolled: small ones spare the disk the syncs */
#define LOG_SNAPSHOTS_BYTES_MAX (4 << 20) /* that wait; a disk that does not keep up with rolls gets the newest only */
#define LOG_INFLATE_BYTES_MAX (256 << 20) /* of one compressed batch */

typedef struct QueuedBatch {
        const uint8_t *data;
        BatchHeader header; /* offsets and epoch assigned */
        uint8_t *owned;     /* data, where the log made it; else NULL */
} QueuedBatch;

/* Where a commit began: consumers that keep up ask for just these offsets. */
typedef struct RecentWrite {
        int64_t offset, position;
        const Segment *segment; /* NULL: unused */
} RecentWrite;

/* The producers' states at the beginning of new segments, encoded. */
typedef struct SnapshotQueue {
        struct {
                int64_t offset;
                Buffer bytes;
        } *items;
        int32_t count, capacity;
        size_t size; /* of all */
} SnapshotQueue;

struct Log {
        char *path;
        LogConfig config;
        Segment **segments; /* by base offset; the last is active */
        int32_t segment_count, segment_capacity;
        int64_t start_offset;
        int64_t end_offset;  /* committed */
        int64_t next_offset; /* queued batches included */
        int64_t recovery_point;
        int64_t compacted_offset; /* as in LogOpen */
        int64_t size_bytes;
        int64_t snapshot_offset; /* of the newest producer snapshot, or -1 */
        SnapshotQueue snapshots; /* of rolls; the next sync writes them */
        int64_t recall_offset;   /* of the snapshot that the producers' state began with, or -1 */
        int32_t next_epoch;      /* newest, queued batches included */
        int failure;             /* the first failed sync; final */
        QueuedBatch *queue;
        uint32_t queue_count, queue_capacity;
        bool queue_owns;         /* some of the queued batches */
        Producers producers;
        int64_t unstable_offset; /* where the oldest open transaction began, queued batches left out; INT64_MAX */
        AbortedTxn *aborted;     /* by queued markers */
        uint32_t aborted_count, aborted_capacity;
        int64_t next_asked_offset; /* of the active segment for which a sync was asked to make the next one's file; or -1 */
        bool has_next;             /* it is there, see log_next_path() */
        bool is_ageing;            /* half of segment.ms is over for the active segment */
        bool is_seasoned;          /* retention met it with records whose segment's name is not on disk */
        bool description_unsynced; /* partition.metadata, leader-epoch-checkpoint, or the directory's name */
        bool epochs_unsaved;     /* leader-epoch-checkpoint is older than epochs: the next sync writes it */
        bool spares_space;       /* as in LogOpen */
        bool markers_walked; /* recovery met transactions' markers */
        Epochs epochs;
        Reaper *reaper;          /* NULL: files are unlinked at once */
        Compaction *compaction; /* under way; the caller's */
        RecentWrite recent[LOG_RECENT_COUNT];
        uint32_t recent_next;
};

static inline Segment *log_active(const Log *log) {
        return log->segments[log->segment_count - 1];
}

/* The index of the last segment whose base offset is <= offset (0 when none is). */
int32_t log_segment_index(const Log *log, int64_t offset);

/* Appends an opened segment to the array; 0 or -ENOMEM. */
int log_push_segment(Log *log, Segment *segment);

/* Frees what the log made of queued batches. */
void log_free_owned(Log *log);

/* The name of a file that becomes the next segment: any open would remove it. */
#define LOG_NEXT_NAME "next.log.deleted"

/* Whether the active segment is so full or so old that what can be done before the next roll should be. */
static inline bool log_is_near_roll(const Log *log) {
        return log_active(log)->size > log->config.segment_bytes / 2 || log->is_ageing;
}
/* To be asked for whenever time may have passed. */
void log_note_age(Log *log, int64_t now_ms);

static inline bool log_wants_next(const Log *log) {
        return !log->has_next && log->next_asked_offset != log_active(log)->base_offset && log_is_near_roll(log);
}

/* Starts a new active segment at base_offset; the one before is not sealed yet. 0 or -errno. */
int log_add_segment(Log *log, int64_t base_offset, int64_t now_ms);

/* Ends the segments from first up to the active one, and takes the producer snapshot of each roll; the next sync writes both. */
void log_end_segments(Log *log, int32_t first);

/* Whether the segment behind index goes on where that one ends; looks once, and traces what does not fit. 0, KAFKA_KAFKA_STORAGE_ERROR
 * when the two overlap (or with missing, when one is missing between them), -errno. */
int log_check_seam(Log *log, int32_t index, bool missing);

/* Drops the count oldest segments, files included. 0 or the first -errno. */
int log_drop_segments(Log *log, int32_t count);

/* Finds the segments and snapshots in the directory, recovers what needs it, and loads the derived state. 0; -EUCLEAN;
 * -errno. */
int log_load(Log *log, const LogOpen *how);

void snapshot_queue_deinit(SnapshotQueue *queue);

/* Writes the producers' state as of offset; queued batches are left out. 0 or -errno. */
int log_write_snapshot(Log *log, int64_t offset);

/* Where a recovery begins: a batch at or below the recovery point. */
typedef struct LogRecovery {
        int64_t recovery_point;
        int64_t offset; /* of the first record that is read */
        int64_t producers_offset; /* the producers' state holds all below it */
        int64_t position;
        int32_t segment_index;
} LogRecovery;

/* Looks for it; without known epochs it is the start of the log, so that they are found again. 0 or -errno. */
int log_recover_start(Log *log, int64_t recovery_point, bool epochs_known, LogRecovery *ret_recovery);
/* Checks the segments from there on, sets a torn tail aside. Sets end_offset. writes_again as in LogOpen. 0; -EUCLEAN; -errno. */
int log_recover(Log *log, const LogRecovery *recovery, bool writes_again);
/* Finds the end of a log that was closed properly. 0; -EUCLEAN; -errno. */
int log_find_end(Log *log, bool has_index);

/* Notes the transaction that the batch at data ends, if it aborts one; before producers_update(). 0 or -ENOMEM. */
int log_queue_aborted(Log *log, const BatchHeader *header, const uint8_t *data);
/* Brings what the log knows of transactions to the state of its end, after a commit. */
void log_keep_transactions(Log *log);

/* Brings producers, whose state is that at offset, to that at end_offset, where a batch begins. Each, unless NULL, gets the transactions that are
 * aborted on the way, and the segment that their marker is in. 0; -EUCLEAN; -errno. */
int log_replay_producers(Log *log, Producers *producers, int64_t offset, int64_t end_offset,
                         int (*each)(Segment *segment, const AbortedTxn *txn, void *data), void *data);
/* Once after a load from a snapshot: adds to the producers' state the batches before it, of the last five, that are still there. Whether
 * there may be new ones. */
bool log_recall_producers(Log *log);
/* Whether what lies before the segment first can be read as far as log_rebuild_txns() needs it. 0; -EUCLEAN; -errno. */
int log_check_txns(Log *log, int32_t first);
/* Builds the transaction indexes of the segments from first on from the log. 0 or -errno. */
int log_rebuild_txns(Log *log, int32_t first);
/* After a recovery from recovery_point on: the transaction indexes may be of any age. 0 or -errno. */
int log_recover_txns(Log *log, int64_t recovery_point);

/* As log_aborted_transactions(), with all that is known of each. */
int log_each_aborted(Log *log, int64_t from_offset, int64_t to_offset, TxnIndexEach *each, void *data);

/* Before a log is closed: a compaction under way will not be finished. */
void log_forget_compaction(Log *log);

/* Writes leader-epoch-checkpoint, which the next sync takes along. 0 or -errno. */
int log_write_epochs(Log *log);
/* The next sync is to do both. Until then the recovery point lies before what changed, and a recovery finds it. */
void log_note_epochs(Log *log);
