/* All that the broker knows, owned by one loop: no locks. It is what the logs say when they are replayed. */
#pragma once

#include "broker/config.h"
#include "broker/state/metadata/features.h"
#include "broker/state/partition.h"
#include "broker/state/timer.h"
#include "broker/state/topics.h"
#include "broker/state/worker.h"
#include "storage/base/hashmap.h"
#include "storage/base/heap.h"
#include "storage/base/list.h"
#include "storage/base/uuid.h"

typedef struct FetchSessions FetchSessions; /* state/fetch_sessions.h */
typedef struct Groups Groups;     /* state/groups/groups.h */
typedef struct PendingOffsets PendingOffsets; /* state/groups/offsets_pending.h */
typedef struct Transactions Transactions;     /* state/transactions/transactions.h */
typedef struct Telemetry Telemetry; /* state/telemetry.h */
typedef struct Metadata Metadata; /* state/metadata/metadata.h: writer and replayer of __cluster_metadata-0 */

/* The checkpoint files have two writers, the loop and its worker. */
typedef struct CheckpointGate {
        pthread_mutex_t lock;
        int64_t written; /* generation of the files on disk */
} CheckpointGate;

/* Rounds of syncs (state/flusher.h), one of each kind at a time, on different threads. */
typedef enum RoundKind {
        ROUND_FLUSH, /* somebody waits for it */
        ROUND_NAMES, /* of young logs, before their first roll */
        ROUND_ROLLS, /* what was rolled */
        ROUND_KINDS,
} RoundKind;

/* What cleaner.c knows. */
typedef struct Cleaner {
        Worker worker;
        Timer timer;
        List queue, pass;  /* Partition.clean: to be looked at, and the rest of those that are being looked at */
        Partition *best;   /* the dirtiest of the pass so far */
        double best_ratio;
        Partition *busy;   /* being compacted */
        Compaction *compaction;
        bool is_stopped;
} Cleaner;

struct State {
        Config *config;     /* not owned */
        int64_t now_ms;     /* wall clock, set by the loop each turn */
        int64_t mono_ms;    /* monotonic clock, likewise */
        char cluster_id[64];
        Uuid directory_id;
        int32_t node_id;
        const char *logger_level;  /* as a client named it last, who also knows FATAL and TRACE; NULL: nobody did */
        size_t request_memory_max; /* config odradek.request.max.memory.bytes */
        int64_t partition_total;   /* of all topics */
        HashMap topics, topics_by_id, topics_by_collision;
        Heap timers;
        bool is_running_timers;
        Worker flusher;        /* syncs that somebody waits for */
        Worker checker;        /* batches whose check takes long */
        Worker maker;          /* directories of new partitions, and their names on the disk */
        Worker worker;         /* everything else that blocks, but for the cleaner */
        Cleaner cleaner;
        Reaper reaper;         /* of dropped segments: to the worker */
        List dirty_partitions; /* Partition.dirty */
        List commit_waits;     /* CommitWait.node, in the order of their appends */
        List flush_queue;      /* Flush.node, by number */
        List roll_queue, names_queue; /* Partition.roll */
        List flush_deadlines;  /* Partition.overdue */
        List sync_waits;       /* CommitWait.node of those whose writes are not on disk yet */
        int64_t flushes_wanted, flushes_done; /* the last number that was given in the queue, and up to which all are dealt with */
        Flush metadata_flush;  /* of the metadata log: the number of what was written last, or is queued now */
        bool round_is_running[ROUND_KINDS];
        bool checkpoint_is_running, checkpoint_is_wanted;
        Timer flush_timer;
        int64_t checked_ms;    /* state/batch_checks.h: when the loop checked last, by mono_ms, and how much then */
        size_t checked_work;
        bool compresses;       /* some topic has, or had, a codec of its own, whatever its producers send */
        List kept_buffers;     /* batches of internal topics until they are written */
        Metadata *metadata;
        int64_t topics_created_version; /* metadata_end_offset() after the last topic was made, or at the start */
        Groups *groups;
        FetchSessions *fetch_sessions;
        PendingOffsets *pending_offsets;
        Transactions *transactions;
        Telemetry *telemetry;
        HashMap group_configs, client_metrics; /* state/metadata/resource_configs.h */
        int64_t client_metrics_version;        /* counts their changes */
        int lock_fd;           /* .lock in the data directory */
        int16_t feature_levels[FEATURE_COUNT]; /* as the metadata log says; api/features.h says which of them count */
        int64_t broker_epoch;  /* of the Kafka that ran here last, or -1 */
        int64_t metadata_recovery_point; /* as the checkpoint file said at start-up */
        int64_t next_producer_id, producer_ids_end; /* on disk in the metadata log */
        int64_t producer_ids_reserved, producer_ids_mark; /* the end as written last, and when that is on disk */
        Creation *creation; /* under way; or NULL */
        HashMap deletions, replayed_deletions; /* state/deletion.h */
        CheckpointGate checkpoint_gate, start_gate;
        int64_t checkpoint_generation; /* of the newest content that was made for the files */
        int64_t deletion_number, checkpointed_deletion; /* of topics, and how many of them the files have followed */
        int64_t checkpointing_deletion; /* the same of the files that are being written */
        Timer checkpoint_timer; /* runs while the checkpoint files are older than the logs */
        Timer retention_timer;
        List retention_queue;  /* Partition.retain: the rest of the pass under way */
        bool failed;           /* a sync failed, or the directory is gone: no further acknowledgement; the broker exits 1 */
        bool writes_again;     /* one failed in an earlier run: as in LogOpen */
};

/* Opens or creates the data directory and replays it. 0; -EEXIST/-EBUSY... the exit codes are main's business:
 * STATE_OPEN_LOCKED and STATE_OPEN_FOREIGN (traced, with the remedy) or -errno (traced). */
enum { STATE_OPEN_LOCKED = 1, STATE_OPEN_FOREIGN = 2 };
int state_open(Config *config, int64_t now_ms, int64_t mono_ms, State **ret_state);

/* What the directory says of itself, for those who work on it offline: ids, topics with their configs, and what the checkpoint files
 * say of the partitions. Nothing is changed and no log is opened; ends with state_abandon(). 0; STATE_OPEN_FOREIGN (traced); -errno
 * (traced); *ret_damaged: the metadata log ends in something that is no record, or could not be read at all. */
int state_inspect(Config *config, int64_t now_ms, State **ret_state, bool *ret_clean_shutdown, bool *ret_damaged);

/* A clean stop: everything written and synced, the marker last. NULL is fine. 0 or -errno. */
int state_close(State *state);

/* As a crash would leave it: frees everything, writes nothing, and says so to whoever waits. For tests, and for a broker that failed. */
void state_abandon(State *state);

/* Something that waits for the end of the turn's writes. done() is called by state_commit() once, after unlinking. */
typedef struct CommitWait CommitWait;
struct CommitWait {
        ListNode node; /* list_remove() cancels */
        void (*done)(CommitWait *wait, State *state);
};
void state_wait_commit(State *state, CommitWait *wait, void (*done)(CommitWait *wait, State *state));

/* For a wait that was done(), but whose writes have to be on disk as well: called again each time more is, in order, and when a
 * partition goes away. Asks partition_is_settled() and waits again until it says so. */
void state_wait_sync(State *state, CommitWait *wait, void (*done)(CommitWait *wait, State *state));

/* The end of a turn: one pwritev per dirty partition, then the commit waits in order, then the fetches waiting on partitions that
 * grew. Runs until nothing is dirty, and sends what has to be synced on its way. */
void state_commit(State *state);

/* For answers that rest on what was written to internal topics: 0 when all of that is on disk, or need not be; otherwise a mark for
 * state_sync_is_past(). */
int64_t state_sync_mark(const State *state);
/* Whether what was written before the mark is on disk. */
static inline bool state_sync_is_past(const State *state, int64_t mark) {
        return state->flushes_done >= mark;
}

/* For answers that rest on what was written to the metadata log: 0 when that is on disk, otherwise such a mark. */
static inline int64_t state_metadata_mark(const State *state) {
        return state_sync_is_past(state, state->metadata_flush.number) ? 0 : state->metadata_flush.number;
}

/* wake(data) is called on another thread when state_collect() has something to do. Without (NULL) nothing runs on other threads that
 * was not started yet: see state_drain(). */
void state_set_wake(State *state, void (*wake)(void *data), void *data);
/* What other threads have finished takes effect; to be followed by a state_commit(). */
void state_collect(State *state);
/* Waits until nothing is left to commit, to sync, or to be done by other threads. */
void state_drain(State *state);

/* Fires timers that are due at state->mono_ms. */
void state_run_timers(State *state);
/* When the next timer is due (monotonic ms), or -1. */
int64_t state_next_timer_ms(const State *state);

/* Replaces the broker's dynamic configs (CONFIG_SOURCE_DYNAMIC_BROKER, or with cluster_default
 * CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER) by those in config, whose entries' own sources don't matter; the map stays the
 * caller's. Written to the metadata log, applied to all logs. 0 or -errno. */
int state_set_broker_config(State *state, bool cluster_default, const ConfigMap *config);

/* Jobs for the worker: remove a directory that log_doom_directory() renamed, or a file that was (the path is taken over), and warn when they
 * cannot. */
void state_remove_directory(State *state, char *path);
void state_remove_file(State *state, char *path);

/* What groups.c does for us: the replay of __consumer_offsets at start-up (after all topics are open; 0 or -errno),
 * and its end. */
int groups_open(State *state);
void groups_close(State *state);
