/* One partition's log: record batches in segments, read by offset.
 *
 * Everything that odradek keeps is a log of this kind: the topics' partitions, __consumer_offsets and
 * __cluster_metadata. The directory is a Kafka partition directory: NNN.log, .index, .timeindex, .snapshot,
 * leader-epoch-checkpoint. The rules that keep bytes safe: a batch is acknowledged only after its write
 * succeeded; offsets never go back; what was read back passed its CRC at open or at append.
 *
 * Not thread-safe: all calls for one log come from one thread. Time is a parameter. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/buffer.h"
#include "storage/base/list.h"
#include "storage/base/span.h"
#include "storage/base/str.h"
#include "storage/base/uuid.h"

typedef struct Log Log;

#define LOG_COMPRESSION_PRODUCER (-1)

/* What a topic's configs set; the names are Kafka's topic configs. May be changed on an open log. */
typedef struct LogConfig {
        int64_t segment_bytes;         /* 14 .. INT32_MAX */
        int64_t segment_ms;            /* roll by time of the first batch */
        int64_t segment_index_bytes;   /* 4 .. : entries * 8 (offset), * 12 (time) at most */
        int64_t index_interval_bytes;  /* between two index entries */
        int64_t retention_ms;          /* -1: for ever */
        int64_t retention_bytes;       /* -1: any size */
        int64_t max_message_bytes;     /* of one batch */
        int64_t message_timestamp_before_max_ms;
        int64_t message_timestamp_after_max_ms;
        int64_t producer_id_expiration_ms;
        uint32_t producers_max;        /* 0: no limit; beyond it those that are idle for longest are forgotten */
        double min_cleanable_dirty_ratio;
        int64_t min_compaction_lag_ms, max_compaction_lag_ms;
        int64_t delete_retention_ms;
        bool message_timestamp_log_append; /* message.timestamp.type=LogAppendTime */
        bool cleanup_delete;               /* cleanup.policy holds "delete" */
        bool cleanup_compact;              /* cleanup.policy holds "compact": records need keys */
        int compression;                   /* what clients' batches are stored in; LOG_COMPRESSION_PRODUCER: as they come */
        int32_t compression_level;         /* of that codec */
} LogConfig;

#define LOG_CONFIG_INIT                                                                                          \
        ((LogConfig){ .segment_bytes = 1 << 30, .segment_ms = 604800000, .segment_index_bytes = 10485760,        \
                      .index_interval_bytes = 4096, .retention_ms = 604800000, .retention_bytes = -1,            \
                      .max_message_bytes = 1048588, .message_timestamp_before_max_ms = INT64_MAX,                \
                      .message_timestamp_after_max_ms = 3600000, .producer_id_expiration_ms = 86400000,          \
                      .min_cleanable_dirty_ratio = 0.5, .max_compaction_lag_ms = INT64_MAX,                      \
                      .delete_retention_ms = 86400000, .cleanup_delete = true, .compression = LOG_COMPRESSION_PRODUCER })

/* What is left of a segment when nobody has it any more. To let go of a big file takes as long as a write of its size. */
typedef struct SegmentRemains {
        int fd;     /* or -1 */
        void *map;  /* or NULL */
        size_t map_size;
        char *path; /* dir/NNN of files that were renamed to names that an open removes (NNN.log.deleted); or NULL */
} SegmentRemains;

/* Closes, unmaps, unlinks. On any thread. */
void segment_remains_dispose(SegmentRemains *remains);

/* Sees to that where it keeps nobody waiting. */
typedef struct Reaper Reaper;
struct Reaper {
        void (*take)(Reaper *reaper, SegmentRemains remains);
};

typedef struct LogOpen {
        const char *path;          /* the partition directory; created when missing, its name is synced with the first sync */
        LogConfig config;
        bool clean_shutdown;       /* the directory was closed properly: nothing needs recovery */
        int64_t recovery_point;    /* all below this offset is known to be on disk; 0 when unknown */
        bool writes_again;         /* a sync failed: recovery writes again, in place, what the disk may lack though reading it finds it */
        int64_t log_start_offset;  /* from the checkpoint; 0 when unknown */
        int64_t compacted_offset;  /* compaction, now or when the topic was still compacted, may have taken records below; 0: none */
        int64_t now_ms;
        bool spares_space;         /* written to also with the last of the disk: file_spare_space(); else nothing that a commit writes asks for it */
        Reaper *reaper;            /* of dropped segments; must outlive the log and its spans. NULL: they are unlinked at once */
} LogOpen;

/* Opens or creates a log, recovering what a crash left: a torn tail is moved to a set-aside file in the directory
 * and traced. 0; -EUCLEAN when the log is damaged below the recovery point (files stay untouched); -errno. */
int log_open(const LogOpen *how, Log **ret_log);

/* Writes and syncs all that is buffered, writes the producer snapshot, trims, closes. NULL is fine.
 * 0, or the first -errno (the log is closed all the same). */
int log_close(Log *log, int64_t now_ms);

/* Closes without writing anything, for directories about to be deleted. */
void log_abandon(Log *log);

/* The config is copied; it holds from the next append, roll, retention and compaction on. */
void log_set_config(Log *log, const LogConfig *config);
/* Both as long as the log is open. */
const LogConfig *log_config(const Log *log);
const char *log_path(const Log *log);

/* Writes partition.metadata into the log's directory; the next sync takes it along. 0 or -errno. */
int log_write_partition_metadata(Log *log, const Uuid *topic_id);

/* First offset that can be read, and the offset the next record gets (committed appends only). */
int64_t log_start_offset(const Log *log);
int64_t log_end_offset(const Log *log);
/* Bytes of all segments. */
int64_t log_size_bytes(const Log *log);
/* All below this offset has been synced. */
int64_t log_recovery_point(const Log *log);
/* The first offset of the segment that is written; the segments before it are sealed. */
int64_t log_active_offset(const Log *log);

typedef enum LogOrigin {
        LOG_ORIGIN_CLIENT, /* offsets are assigned; sequences checked; keys demanded where compacted */
        LOG_ORIGIN_BROKER, /* internal topics and markers: offsets are assigned; of a producer only the epochs are checked */
        LOG_ORIGIN_TRANSACTIONS_V2, /* the same; a marker's epoch must be above that of the transaction it ends */
} LogOrigin;

#define LOG_REFUSALS_MAX 16

/* Why a client's record is not let in. */
typedef struct LogRefusal {
        int32_t batch_index;  /* of the record in its batch */
        int error;            /* INVALID_RECORD: no key, where compaction needs one; INVALID_TIMESTAMP */
        int64_t timestamp_ms; /* of the record */
} LogRefusal;

typedef struct LogAppend {
        int64_t base_offset;        /* of the first record; for a duplicate, of the original */
        int64_t last_offset;
        int64_t log_append_time_ms; /* -1 with CreateTime; for a duplicate, the largest timestamp of the original */
        bool duplicate;             /* nothing was queued: the batch is in the log already */
        bool unframed;              /* with a positive error: the bytes are not one whole batch v2, the log was not looked at */
        int32_t refusal_count;      /* of the batch's records; the first of them follow */
        LogRefusal refusals[LOG_REFUSALS_MAX];
} LogAppend;

/* As before anything was found out; the refusals are left as they are. */
static inline void log_append_init(LogAppend *append) {
        append->base_offset = append->last_offset = append->log_append_time_ms = -1;
        append->duplicate = append->unframed = false;
        append->refusal_count = 0;
}

/* Queues whole batches (records..records+size), of a client exactly one, to be written by the next log_commit(); what is
 * left of a client's bytes after its batch, and is no whole one, is ignored as Kafka does. Checks magic, CRC, lengths, record
 * structure, timestamps, producer epoch and sequence, then patches offsets and epoch *in place*; a batch in another codec than the
 * log's is stored as a copy in that one. The bytes must stay untouched until log_commit(); the result is final only when that
 * succeeded. Nothing is queued on error: a positive KafkaError (CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_RECORD,
 * INVALID_TIMESTAMP, OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED,
 * FENCED_LEADER_EPOCH ...) or -errno; -EBADMSG when the records don't decompress. */
int log_append(Log *log, uint8_t *records, size_t size, LogOrigin origin, int32_t leader_epoch, int64_t now_ms,
               LogAppend *ret_append);

/* Whether a client's bytes begin with one whole batch v2, and no other follows: 0 or the error of log_append(). */
int log_check_frame(const uint8_t *records, size_t size);

/* The same in two steps, the first of which needs no log and may take long: it inflates what is compressed. */
typedef struct LogCheck {
        const LogConfig *config; /* the log's, or a copy for another thread */
        LogOrigin origin;
        uint8_t *data;           /* to be appended; the check may change it, and put other bytes in its place */
        size_t size;
        int64_t now_ms;
        size_t work_max;         /* give up with -E2BIG, nothing changed, where work would become more; 0: no limit */
        LogAppend *append;       /* filled in by both steps */
        int result;              /* of the first step */
        size_t work;             /* bytes walked, out of their compression; one of gzip, or compressed anew, counts for several */
        Buffer owned;            /* data, where it belongs to the check: the log takes it over when it is queued */
} LogCheck;

/* The first step: what of log_append() is a matter of the bytes and the config. Returns the result. */
int log_check(LogCheck *check);
/* The second; also after a check that failed, whose result it returns. */
int log_append_checked(Log *log, LogCheck *check, int32_t leader_epoch);
/* Gives the check bytes of its own to work on. */
void log_check_own(LogCheck *check, Buffer bytes);
void log_check_deinit(LogCheck *check);

/* Whether log_append() queued something that log_commit() has not written. */
bool log_is_dirty(const Log *log);

/* Writes all that is queued with one pwritev and advances the end offset; rolls segments. On -errno the file is cut back
 * to the last good end, everything queued is forgotten (producers' sequences too), and the log goes on. */
int log_commit(Log *log, int64_t now_ms);

/* fdatasync of what is not on disk yet, advancing the recovery point, as before a clean stop: asks for the last of the disk where it has to
 * (file_spare_space()). 0 or -errno. */
int log_sync(Log *log);

/* The same in steps, of which only begin and finish belong to the log's thread; between them the log goes on as usual (but for
 * log_close()), and one sync at a time is under way. */
typedef struct LogSync LogSync;
/* Notes what is not on disk: all of it, or what lies before the active segment. *ret_sync is NULL when there is nothing. 0 or -errno;
 * nothing has happened then, it may be tried again, unless an earlier sync failed. */
int log_sync_begin(Log *log, bool sealed_only, LogSync **ret_sync);
/* Any thread: has the disk begin with it, without waiting. */
void log_sync_write_back(const LogSync *sync);
/* Any thread: syncs. 0 or -errno. */
int log_sync_run(LogSync *sync);
/* Whether a log_sync_begin() of what lies before the active segment has something to do: files of segments that are no longer written,
 * or what would otherwise take the next roll long. */
bool log_wants_sync(const Log *log);
/* Likewise, but only names are to be synced, those of a log's first segment and its directory: quickly done, and its first roll would wait
 * for it. */
bool log_wants_names(const Log *log);
/* Frees. With result 0 the recovery point advances, otherwise the log takes no more. log is NULL when it was closed meanwhile. */
void log_sync_finish(Log *log, LogSync *sync, int result);

/* Batches from the one that holds offset on, whole ones only, at most size_max bytes; at least one when
 * min_one. Never beyond end_offset_max (exclusive). An offset equal to the end gives an empty span. One segment at a time.
 * 0; KAFKA_OFFSET_OUT_OF_RANGE; -errno. The span must be released; it stays readable when the segment is deleted. */
int log_read(Log *log, int64_t offset, int64_t end_offset_max, int32_t size_max, bool min_one, FileSpan *ret_span);

typedef struct LogPosition {
        int64_t offset;       /* -1: no such record */
        int64_t timestamp_ms; /* -1 likewise */
        int32_t leader_epoch;
} LogPosition;

/* Where the oldest transaction that is still open began, or the end: readers of committed records stop here. */
int64_t log_last_stable_offset(const Log *log);

/* Whether records of a transaction that the producer opened with this epoch are in the log, without its end. */
bool log_has_open_transaction(const Log *log, int64_t producer_id, int16_t producer_epoch);

/* The latest epoch of the producer, of its batches or markers; -1: nothing is known of it. */
int16_t log_producer_epoch(const Log *log, int64_t producer_id);

/* Calls each for the aborted transactions of which records may lie in [from_offset, to_offset), in the order of their
 * markers. 0 or -errno. */
int log_aborted_transactions(Log *log, int64_t from_offset, int64_t to_offset,
                             void (*each)(int64_t producer_id, int64_t first_offset, void *data), void *data);

/* The first record whose timestamp is >= timestamp_ms. */
int log_find_timestamp(Log *log, int64_t timestamp_ms, LogPosition *ret_position);
/* The first record with the largest timestamp (ListOffsets -3). */
int log_find_max_timestamp(Log *log, LogPosition *ret_position);

/* The end offset of the largest epoch <= leader_epoch (OffsetForLeaderEpoch): an epoch before all that are known ends where those
 * begin; epoch and offset -1 for one after them. The current epoch is known before it has records. */
void log_epoch_end(const Log *log, int32_t current_epoch, int32_t leader_epoch, int32_t *ret_epoch, int64_t *ret_end_offset);
/* The newest leader epoch in the log, or -1. */
int32_t log_latest_epoch(const Log *log);

/* Moves the log start offset forward and drops segments wholly below it (DeleteRecords). 0,
 * KAFKA_OFFSET_OUT_OF_RANGE past the end, or -errno. */
int log_advance_start(Log *log, int64_t offset, int64_t now_ms);

/* Applies retention.ms and retention.bytes, and rolls by segment.ms; returns segments deleted or -errno. */
int log_retain(Log *log, int64_t now_ms);

/* ---- Compaction: of each key the last record is kept ----
 *
 * log_compaction_begin() picks the segments and takes what is needed of the log's state; compaction_run() may then be on
 * another thread while the log goes on; log_compaction_swap() has the new segments serve; compaction_settle(), on another thread again,
 * gives their files the names of the old ones; log_compaction_finish() lets those go. Until then the log drops no segments. A crash at
 * any point leaves the segments before or those after. */
typedef struct Compaction Compaction;

/* How much there is to compact. The cleaner offset is where compaction ended the last time (-1: never), as
 * Kafka's cleaner-offset-checkpoint says; the caller keeps it. */
typedef struct LogDirt {
        int64_t first_dirty_offset;
        int64_t first_uncleanable_offset; /* of a segment */
        int64_t clean_bytes, dirty_bytes;
        bool overdue; /* max.compaction.lag.ms has passed for some record */
        bool due;     /* overdue, or dirtier than min.cleanable.dirty.ratio */
} LogDirt;

/* What is dirty at that time. */
void log_dirt(Log *log, int64_t cleaner_offset, int64_t now_ms, LogDirt *ret_dirt);
/* The share of dirty bytes: who is to be compacted first. */
static inline double log_dirt_ratio(const LogDirt *dirt) {
        int64_t bytes = dirt->clean_bytes + dirt->dirty_bytes;
        return bytes ? (double)dirt->dirty_bytes / (double)bytes : 0;
}

/* Starts a compaction of all that is dirty and synced, due or not; map_bytes_max bounds the memory for keys. NULL when nothing
 * is. 0; -EBUSY when one is under way; -errno. */
int log_compaction_begin(Log *log, int64_t cleaner_offset, size_t map_bytes_max, int64_t now_ms,
                         Compaction **ret_compaction);

/* Writes the new segments beside the old ones, synced, so that the next open would take them. On any thread; touches nothing of the log
 * but its files. 0; -EUCLEAN when a segment is damaged; -ECANCELED; -errno. Nothing is left behind on error. */
int compaction_run(Compaction *compaction);
/* Makes compaction_run() return soon. From any thread. */
void compaction_cancel(Compaction *compaction);

typedef struct LogCompacted {
        int64_t cleaner_offset; /* compacted up to here; below the first uncleanable offset when the keys did not fit: go on */
        int64_t bytes_before, bytes_after; /* of the segments that were replaced */
} LogCompacted;

/* On the log's thread, after compaction_run(): puts the new segments in the place of the old ones; compaction_settle() has to follow. 0;
 * what compaction_run() returned; -ECANCELED when the log was closed; -errno. */
int log_compaction_swap(Log *log, Compaction *compaction);
/* Gives the files of the new segments their names. On any thread. 0 or -errno. */
int compaction_settle(Compaction *compaction);
/* On the log's thread, after that: lets the old segments go. 0; -ECANCELED when the log was closed; -errno: then the log takes no more.
 * The recovery point has moved when it succeeds: its checkpoint should be written before cleanup.policy may change. */
int log_compaction_finish(Log *log, Compaction *compaction, LogCompacted *ret_compacted);

/* On the log's thread, also after the log was closed, while no other works on it. NULL is fine. */
void compaction_free(Compaction *compaction);

/* An active producer, for DescribeProducers. */
typedef struct LogProducer {
        int64_t producer_id;
        int16_t producer_epoch;
        int32_t last_sequence;
        int64_t last_timestamp_ms;
        int32_t coordinator_epoch;
        int64_t txn_start_offset; /* -1: none open */
} LogProducer;

/* Calls each for every producer that has not expired. */
void log_each_producer(const Log *log, void (*each)(const LogProducer *producer, void *data), void *data);

/* Removes the directory of a closed log in two steps: it gets a name that belongs to nobody (NAME.ID-delete, to be freed), which is
 * all that has to be done at once; and, on any thread, the new name is made durable and the files are unlinked. 0 or -errno. */
int log_doom_directory(const char *path, char **ret_doomed);
int log_remove_directory(const char *doomed);
/* Both. */
int log_delete_directory(const char *path);
/* The same with the directory of a log that never counted: what a power cut leaves of it does no harm. */
int log_discard_directory(const char *path);
