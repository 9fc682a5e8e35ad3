/* A partition that this broker leads: its log, who waits for it, and the turn's unwritten appends. */
#pragma once

#include <limits.h>

#include "broker/state/timer.h"
#include "storage/base/buffer.h"
#include "storage/base/list.h"
#include "storage/log.h"

typedef struct Config Config;
typedef struct Topic Topic;
typedef struct FlushItem FlushItem; /* flusher.c */

/* What is in the queue of the next round of syncs, and its place among all that ever was. */
typedef struct Flush {
        ListNode node;
        int64_t number;
} Flush;

typedef struct Partition {
        Topic *topic;
        int32_t index;
        int32_t leader_epoch;
        Log *log;          /* NULL when it could not be opened: answers KAFKA_STORAGE_ERROR */
        ListNode dirty;    /* in state->dirty_partitions while something is queued */
        List fetch_waits;  /* of PartitionWait */
        int commit_error;  /* of the last state_commit() that wrote here: 0 or -errno */
        ListNode grown;    /* in a state_commit()'s list of partitions whose waiting fetches are to be woken */
        bool is_deleted;   /* set before the last wake(): the partition goes away after it */
        int64_t high_watermark; /* where readers have to stop; below the log's start it counts as that */
        int64_t sync_offset;    /* what lies below is acknowledged only when it is on disk */
        Flush flush;
        ListNode roll, overdue; /* flusher.c: in the state's queues of what is to be synced */
        FlushItem *flushing;    /* a sync is under way */
        int64_t flush_due_ms;   /* while overdue is linked */
        ListNode retain;        /* in state->retention_queue */
        ListNode clean;         /* in one of the cleaner's lists */
        int64_t cleaner_offset; /* compacted up to here; -1: never */
        int64_t cleaner_seen_offset; /* of the active segment when the cleaner last heard of it */
        bool is_uncleanable;
        int64_t recovery_point, checkpoint_start_offset; /* as the checkpoint files said at start-up */
} Partition;

/* A batch that must stay until it is written; in state->kept_buffers. */
typedef struct KeptBuffer {
        ListNode node;
        Buffer bytes;
} KeptBuffer;

/* One hook of a waiting fetch on one of its partitions. wake() is called after an append became readable, and when the partition
 * goes away; it may unlink this hook and its siblings. */
typedef struct PartitionWait PartitionWait;
struct PartitionWait {
        ListNode node;
        void (*wake)(PartitionWait *wait, State *state);
};

/* Queues a client's or an internal batch; the bytes must stay until the turn's state_commit(), after which
 * partition->commit_error says whether they were written. Returns as log_append(); KAFKA_KAFKA_STORAGE_ERROR without a log. */
int partition_append(State *state, Partition *partition, uint8_t *records, size_t size, LogOrigin origin, LogAppend *ret_append);

/* The same for a client's batch that was checked (batch_checks.h), whatever came of that. */
int partition_append_checked(State *state, Partition *partition, LogCheck *check);

/* The same for a batch in a buffer, which is taken over (emptied here, also on error) and freed after the commit. */
int partition_append_owned(State *state, Partition *partition, Buffer *batch, LogOrigin origin, LogAppend *ret_append);

/* As log_read(), up to the high watermark, or with committed the last stable offset; errors as codes for the client. */
int partition_read(Partition *partition, int64_t offset, bool committed, int32_t size_max, bool min_one, FileSpan *ret_span);

/* Moves the start of the log forward (DeleteRecords); offset -1 means the high watermark. The new start goes to the checkpoint
 * with checkpoints_send_starts(). 0 or a code for the client. */
int partition_delete_records(State *state, Partition *partition, int64_t offset);

/* Wakes every waiting fetch once. */
void partition_wake(State *state, Partition *partition);

/* For state/ only: a partition without a log; one whose directory is made, or found again; the end. */
int partition_new(Topic *topic, int32_t index, int32_t leader_epoch, Partition **ret_partition);
int partition_create_log(State *state, Partition *partition, const LogConfig *config);
/* The same before there is a partition, on any thread; how->path is the callee's. 0 or -errno: then nothing is left. */
int partition_make_log(LogOpen *how, const Config *config, const char *topic, int32_t index, const Uuid *topic_id, Log **ret_log);
/* Damage is traced and leaves log NULL with result 0; -errno where no log could be opened at all. Several threads may open
 * different partitions while nothing else happens. */
int partition_open_log(State *state, Partition *partition, const LogConfig *config, bool clean_shutdown);
/* The same for the partitions of all topics. 0 or -errno (traced). */
int partition_open_all(State *state, bool clean_shutdown);
/* The directory's. 0 or -ENAMETOOLONG. */
int partition_path(const Config *config, const char *topic, int32_t index, char path[static PATH_MAX]);
/* Nobody appends or reads any more, and what may still be under way does not need the log; its offsets stay for the checkpoint files. */
void partition_close_log(State *state, Partition *partition);
/* The same, and removes the directory: of a partition that no metadata record names. */
void partition_delete_log(State *state, Partition *partition);
void partition_free(State *state, Partition *partition);

/* After the state_commit() of an append: whether it was written. */
bool partition_is_written(const Partition *partition, int64_t end_offset);

/* Whether what was written below end_offset may be acknowledged: it is on disk, or need not be, or the partition is gone. */
bool partition_is_settled(const Partition *partition, int64_t end_offset);

/* The end of what readers see: of the log, or where that must be on disk first, of what is. */
static inline int64_t partition_high_watermark(const Partition *partition) {
        int64_t start = partition->log ? log_start_offset(partition->log) : 0;
        return partition->log && partition->high_watermark > start ? partition->high_watermark : start;
}
static inline int64_t partition_last_stable_offset(const Partition *partition) {
        int64_t stable = partition->log ? log_last_stable_offset(partition->log) : 0, end = partition_high_watermark(partition);
        return stable < end ? stable : end;
}
static inline int64_t partition_start_offset(const Partition *partition) {
        return partition->log ? log_start_offset(partition->log) : 0;
}
static inline int64_t partition_size_bytes(const Partition *partition) {
        return partition->log ? log_size_bytes(partition->log) : 0;
}
/* Calls each for every producer that wrote with sequences; there must be a log. */
static inline void partition_each_producer(const Partition *partition, void (*each)(const LogProducer *producer, void *data), void *data) {
        log_each_producer(partition->log, each, data);
}
