/* Batches that were checked take their place in the log: offsets, epochs, what is known of their producers. */
#include <errno.h>
#include <stdlib.h>

#include "storage/base/error.h"
#include "storage/log_internal.h"

static int queue_batch(Log *log, uint8_t *data, BatchHeader *header, LogOrigin origin, int32_t leader_epoch) {
        if (log->queue_count == log->queue_capacity) {
                uint32_t capacity = log->queue_capacity ? log->queue_capacity * 2 : LOG_QUEUE_KEPT;
                QueuedBatch *queue = realloc(log->queue, capacity * sizeof(*queue));
                if (!queue)
                        return -ENOMEM;
                log->queue = queue;
                log->queue_capacity = capacity;
        }
        header->base_offset = log->next_offset;
        header->partition_leader_epoch = leader_epoch;
        int r = 0;
        if (origin != LOG_ORIGIN_CLIENT && header->producer_id >= 0)
                r = producers_check_broker(&log->producers, header, data, origin == LOG_ORIGIN_TRANSACTIONS_V2);
        if (!r && header->attributes & BATCH_CONTROL)
                r = log_queue_aborted(log, header, data);
        if (!r)
                r = producers_update(&log->producers, header, data, true);
        if (r)
                return r;
        batch_set_base_offset(data, header->base_offset);
        batch_set_leader_epoch(data, leader_epoch);
        log->queue[log->queue_count++] = (QueuedBatch){ .data = data, .header = *header };
        log->next_offset = batch_next_offset(header);
        return 0;
}

static int queue_batches(Log *log, uint8_t *records, size_t size, LogOrigin origin, int32_t leader_epoch) {
        uint32_t queued = log->queue_count, undo = log->producers.undo_count, aborted = log->aborted_count;
        int64_t next_offset = log->next_offset;
        int r = 0;
        for (size_t at = 0; !r && at < size;) {
                BatchHeader header;
                batch_read_header(records + at, size - at, &header);
                r = queue_batch(log, records + at, &header, origin, leader_epoch);
                at += batch_size(&header);
        }
        if (r) {
                log->queue_count = queued;
                log->aborted_count = aborted;
                log->next_offset = next_offset;
                producers_revert(&log->producers, undo);
        }
        return r;
}

/* Producer epoch and sequence of a client's one batch. *ret_append is the original's when it is a duplicate. */
static int check_producer(Log *log, const uint8_t *records, size_t size, LogAppend *append) {
        BatchHeader header;
        batch_read_header(records, size, &header);
        if (header.producer_id < 0)
                return 0;
        int r;
        do {
                append->duplicate = producers_find_duplicate(&log->producers, &header, &append->base_offset,
                                                             &append->last_offset, &append->log_append_time_ms);
                r = append->duplicate ? 0 : producers_check(&log->producers, &header);
        } while (r == KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER && log->recall_offset >= 0 && log_recall_producers(log));
        return r;
}

/* Whether the log takes anything at all. */
static int refuse_all(const Log *log, int32_t leader_epoch) {
        return log->failure ? log->failure : leader_epoch < log->next_epoch ? KAFKA_FENCED_LEADER_EPOCH : 0;
}

/* The log frees them after the commit. */
static void give_owned(Log *log, LogCheck *check) {
        if (!check->owned.data)
                return;
        log->queue[log->queue_count - 1].owned = check->owned.data;
        log->queue_owns = true;
        check->owned = BUFFER_INIT;
}

int log_append_checked(Log *log, LogCheck *check, int32_t leader_epoch) {
        LogAppend *append = check->append;
        int r = refuse_all(log, leader_epoch);
        if (!r)
                r = check->result;
        if (!r && check->origin == LOG_ORIGIN_CLIENT)
                r = check_producer(log, check->data, check->size, append);
        if (r || append->duplicate)
                return r;
        int64_t base_offset = log->next_offset;
        r = queue_batches(log, check->data, check->size, check->origin, leader_epoch);
        if (r)
                return r;
        give_owned(log, check);
        log->next_epoch = leader_epoch;
        append->base_offset = base_offset;
        append->last_offset = log->next_offset - 1;
        return 0;
}

int log_append(Log *log, uint8_t *records, size_t size, LogOrigin origin, int32_t leader_epoch, int64_t now_ms,
               LogAppend *ret_append) {
        int r = refuse_all(log, leader_epoch);
        if (r) {
                log_append_init(ret_append);
                return r;
        }
        LogCheck check = { .config = &log->config, .origin = origin, .data = records, .size = size, .now_ms = now_ms,
                           .append = ret_append };
        log_check(&check);
        r = log_append_checked(log, &check, leader_epoch);
        log_check_deinit(&check);
        return r;
}
