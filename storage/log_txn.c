/* Transactions in a log: how far readers of committed records may go, and which records they have to skip. All of it
 * follows from the log; the indexes only save reading it again. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/log_internal.h"

int64_t log_last_stable_offset(const Log *log) {
        int64_t offset = log->unstable_offset < log->end_offset ? log->unstable_offset : log->end_offset;
        return offset > log->start_offset ? offset : log->start_offset;
}

int log_queue_aborted(Log *log, const BatchHeader *header, const uint8_t *data) {
        AbortedTxn txn;
        if (!producers_find_aborted(&log->producers, header, data, &txn))
                return 0;
        if (log->aborted_count == log->aborted_capacity) {
                uint32_t capacity = log->aborted_capacity ? log->aborted_capacity * 2 : 4;
                AbortedTxn *aborted = realloc(log->aborted, capacity * sizeof(*aborted));
                if (!aborted)
                        return -ENOMEM;
                log->aborted = aborted;
                log->aborted_capacity = capacity;
        }
        log->aborted[log->aborted_count++] = txn;
        return 0;
}

/* Brings the files of the segments from first on up to date. */
static int save_txns(Log *log, int32_t first) {
        for (int32_t i = first; i < log->segment_count; i++) {
                Segment *segment = log->segments[i];
                char path[SEGMENT_PATH_MAX];
                segment_path(log->path, segment->base_offset, "txnindex", path);
                int r = txn_index_save(&segment->txns, path);
                if (r)
                        return r;
        }
        return 0;
}

/* An index file that is damaged is built again. */
static int load_txns(Log *log, int32_t index) {
        Segment *segment = log->segments[index];
        if (segment->txns.loaded)
                return 0;
        char path[SEGMENT_PATH_MAX];
        segment_path(log->path, segment->base_offset, "txnindex", path);
        int r = txn_index_load(&segment->txns, path, segment->base_offset);
        if (r != -EUCLEAN)
                return r;
        trace_warn("%s is damaged; it is built again from the log", path);
        r = log_rebuild_txns(log, index);
        return r ? r : save_txns(log, index);
}

void log_keep_transactions(Log *log) {
        log->unstable_offset = producers_first_open(&log->producers);
        for (uint32_t i = 0; i < log->aborted_count; i++) {
                int32_t index = log_segment_index(log, log->aborted[i].last_offset);
                Segment *segment = log->segments[index];
                int r = load_txns(log, index);
                if (!r)
                        r = txn_index_append(&segment->txns, &log->aborted[i]);
                if (r == -EINVAL)
                        continue; /* the index was just built from the log, which holds the marker by now */
                if (r && !log->failure) { /* the marker is in the log: only a recovery finds it again */
                        trace_error("%s: an aborted transaction could not be noted", log->path);
                        log->failure = r;
                }
        }
        free(log->aborted);
        log->aborted = NULL;
        log->aborted_count = log->aborted_capacity = 0;
}

typedef struct Collector {
        void (*each)(int64_t producer_id, int64_t first_offset, void *data);
        void *data;
} Collector;

static void collect(const AbortedTxn *txn, void *data) {
        const Collector *collector = data;
        collector->each(txn->producer_id, txn->first_offset, collector->data);
}

int log_aborted_transactions(Log *log, int64_t from_offset, int64_t to_offset,
                             void (*each)(int64_t producer_id, int64_t first_offset, void *data), void *data) {
        Collector collector = { .each = each, .data = data };
        return log_each_aborted(log, from_offset, to_offset, collect, &collector);
}

int log_each_aborted(Log *log, int64_t from_offset, int64_t to_offset, TxnIndexEach *each, void *data) {
        for (int32_t i = log_segment_index(log, from_offset); i < log->segment_count; i++) {
                int r = load_txns(log, i);
                if (r)
                        return r;
                if (txn_index_collect(&log->segments[i]->txns, from_offset, to_offset, each, data))
                        break;
        }
        return 0;
}

typedef struct Replay {
        Producers *producers;
        int (*each)(Segment *segment, const AbortedTxn *txn, void *data);
        void *data;
} Replay;

static int replay_marker(Replay *replay, Segment *segment, const BatchHeader *header, const uint8_t *data) {
        AbortedTxn txn;
        int r = 0;
        if (replay->each && producers_find_aborted(replay->producers, header, data, &txn))
                r = replay->each(segment, &txn, replay->data);
        return r ? r : producers_update(replay->producers, header, data, false);
}

static int replay_batch(Replay *replay, Segment *segment, int64_t position, const BatchHeader *header) {
        if (header->producer_id < 0)
                return 0;
        if (!(header->attributes & BATCH_CONTROL))
                return producers_update(replay->producers, header, NULL, false);
        uint8_t *data = malloc(batch_size(header));
        int fd = data ? segment_open(segment) : -ENOMEM;
        ssize_t got = fd < 0 ? fd : file_read(fd, data, batch_size(header), position);
        int r = got < 0 ? (int)got : (size_t)got < batch_size(header) ? -EUCLEAN : 0;
        if (!r)
                r = replay_marker(replay, segment, header, data);
        free(data);
        return r;
}

int log_replay_producers(Log *log, Producers *producers, int64_t offset, int64_t end_offset,
                         int (*each)(Segment *segment, const AbortedTxn *txn, void *data), void *data) {
        Replay replay = { .producers = producers, .each = each, .data = data };
        int r = 0;
        for (int32_t i = log_segment_index(log, offset); !r && i < log->segment_count; i++) {
                Segment *segment = log->segments[i];
                int64_t position = 0;
                if (segment->base_offset >= end_offset)
                        break;
                if (segment->size && offset > segment->base_offset) {
                        r = segment_load_indexes(segment, log->config.index_interval_bytes);
                        if (!r)
                                r = segment_find(segment, offset, &position);
                }
                while (!r && position < segment->size) {
                        BatchHeader header;
                        r = segment_read_header(segment, position, &header);
                        if (!r && header.base_offset >= end_offset)
                                break;
                        if (!r)
                                r = replay_batch(&replay, segment, position, &header);
                        position += r ? 0 : (int64_t)batch_size(&header);
                }
        }
        return r;
}

/* Rows of the segments before the first to be rebuilt are in their files. */
static int add_row(Segment *segment, const AbortedTxn *txn, void *data) {
        const int64_t *base_offset = data;
        return segment->base_offset < *base_offset ? 0 : txn_index_append(&segment->txns, txn);
}

/* The last state that is known at the start of the segment first or of one before it; returns its offset. */
static int64_t read_state(const Log *log, int32_t first, Producers *producers) {
        for (int32_t i = first; i > 0; i--) {
                char path[SEGMENT_PATH_MAX];
                segment_path(log->path, log->segments[i]->base_offset, "snapshot", path);
                if (producers_read_snapshot(producers, path) == 0)
                        return log->segments[i]->base_offset;
        }
        return log->segments[0]->base_offset;
}

int log_check_txns(Log *log, int32_t first) {
        Producers producers = PRODUCERS_INIT;
        int64_t base_offset = log->segments[first]->base_offset, from = read_state(log, first, &producers);
        int32_t segment_count = log->segment_count;
        log->segment_count = first; /* all of them, also where one reaches into the next */
        int r = from < base_offset ? log_replay_producers(log, &producers, from, INT64_MAX, NULL, NULL) : 0;
        log->segment_count = segment_count;
        producers_deinit(&producers);
        return r;
}

int log_rebuild_txns(Log *log, int32_t first) {
        Producers producers = PRODUCERS_INIT;
        int64_t base_offset = log->segments[first]->base_offset, from = read_state(log, first, &producers);
        for (int32_t i = first; i < log->segment_count; i++)
                txn_index_reset(&log->segments[i]->txns);
        int r = log_replay_producers(log, &producers, from, INT64_MAX, add_row, &base_offset);
        producers_deinit(&producers);
        for (int32_t i = first; r && i < log->segment_count; i++)
                txn_index_deinit(&log->segments[i]->txns);
        return r;
}

int log_recover_txns(Log *log, int64_t recovery_point) {
        int32_t first = log_segment_index(log, recovery_point);
        if (log->markers_walked) {
                int r = log_rebuild_txns(log, first);
                return r ? r : save_txns(log, first);
        }
        for (int32_t i = first; i < log->segment_count; i++) {
                char path[SEGMENT_PATH_MAX];
                segment_path(log->path, log->segments[i]->base_offset, "txnindex", path);
                int r = file_unlink(path); /* of markers that were lost with a torn tail */
                if (r)
                        return r;
                log->segments[i]->txns.loaded = true;
        }
        return 0;
}
