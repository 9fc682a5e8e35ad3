/* What may enter a log. A batch that was let in is served to every consumer for years: each record is walked once,
 * here, so nobody has to doubt it later. */
#include <errno.h>
#include <stdlib.h>

#include "storage/base/error.h"
#include "storage/compress.h"
#include "storage/log_internal.h"

static int check_record(const LogConfig *config, const Record *record, LogOrigin origin, int64_t now_ms) {
        if (origin != LOG_ORIGIN_CLIENT)
                return 0;
        if (config->cleanup_compact && str_is_null(record->key))
                return KAFKA_INVALID_RECORD;
        if (config->message_timestamp_log_append || record->timestamp_ms == -1)
                return 0;
        uint64_t behind_ms = (uint64_t)now_ms - (uint64_t)record->timestamp_ms; /* as Java: a time without end wraps around */
        if ((int64_t)behind_ms > config->message_timestamp_before_max_ms || (int64_t)-behind_ms > config->message_timestamp_after_max_ms)
                return KAFKA_INVALID_TIMESTAMP;
        return 0;
}

/* One wrong timestamp decides on the error of the batch, as in Kafka. */
static int refuse_record(LogAppend *append, const Record *record, int32_t batch_index, int error, int error_before) {
        if (append->refusal_count < LOG_REFUSALS_MAX)
                append->refusals[append->refusal_count] =
                        (LogRefusal){ .batch_index = batch_index, .error = error, .timestamp_ms = record->timestamp_ms };
        append->refusal_count++;
        return error_before == KAFKA_INVALID_TIMESTAMP ? error_before : error;
}

/* Walks the records; the largest timestamp among them goes to *ret_max. */
static int check_records(const Log *log, const uint8_t *data, const BatchHeader *header, LogOrigin origin,
                         int64_t now_ms, LogAppend *append, int64_t *ret_max) {
        BatchReader reader;
        Record record;
        int64_t max = -1;
        int refused = 0, step = 0;
        int r = batch_reader_init(&reader, data, header, LOG_INFLATE_BYTES_MAX);
        if (r > 0)
                r = -EBADMSG;
        while (!r && (step = batch_reader_next(&reader, &record)) == 1) {
                int error = check_record(&log->config, &record, origin, now_ms);
                if (error)
                        refused = refuse_record(append, &record, reader.index - 1, error, refused);
                if (record.timestamp_ms > max)
                        max = record.timestamp_ms;
        }
        batch_reader_deinit(&reader);
        *ret_max = max;
        if (!r && step) {
                append->refusal_count = 0; /* the batch as a whole is wrong */
                r = step;
        }
        return r ? r : refused;
}

static int check_header(const Log *log, const uint8_t *data, const BatchHeader *header, LogOrigin origin) {
        bool client = origin == LOG_ORIGIN_CLIENT;
        if (client && header->base_offset != 0)
                return KAFKA_INVALID_RECORD;
        if (client && (int64_t)batch_size(header) > log->config.max_message_bytes)
                return KAFKA_MESSAGE_TOO_LARGE;
        if (!batch_check_crc(data, header))
                return KAFKA_CORRUPT_MESSAGE;
        if (header->record_count <= 0 || header->last_offset_delta < 0 ||
            header->record_count - 1 != header->last_offset_delta)
                return KAFKA_INVALID_RECORD;
        if (batch_compression(header) >= CODEC_COUNT)
                return -EBADMSG;
        if (client && header->attributes & BATCH_CONTROL)
                return KAFKA_INVALID_RECORD;
        if (client && header->producer_id >= 0 && header->base_sequence < 0)
                return KAFKA_INVALID_RECORD;
        return 0;
}

/* A magic of the future is corruption, one of the past has only become invalid: Kafka's codes. */
static int read_batch(const uint8_t *data, size_t size, BatchHeader *ret_header) {
        int r = batch_read_header(data, size, ret_header);
        if (r == KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT)
                return ret_header->magic == 0 || ret_header->magic == 1 ? KAFKA_INVALID_RECORD : KAFKA_CORRUPT_MESSAGE;
        return r == -EAGAIN ? KAFKA_INVALID_RECORD : r;
}

/* A client sends exactly one batch; *size becomes its size. */
static int check_frame(const uint8_t *records, size_t *size, LogOrigin origin) {
        BatchHeader header;
        int r = read_batch(records, *size, &header);
        if (r || origin != LOG_ORIGIN_CLIENT || batch_size(&header) == *size)
                return r;
        size_t first = batch_size(&header);
        if (batch_read_header(records + first, *size - first, &header) != -EAGAIN)
                return KAFKA_INVALID_RECORD;
        *size = first;
        return 0;
}

/* Patches the timestamp where the topic says so, or the producer got it wrong. */
static void stamp(const Log *log, uint8_t *data, BatchHeader *header, int64_t max, int64_t now_ms) {
        bool log_append = log->config.message_timestamp_log_append;
        if (log_append)
                batch_set_log_append_time(data, now_ms);
        else if (header->max_timestamp != max || header->attributes & BATCH_TIMESTAMP_LOG_APPEND)
                batch_set_max_timestamp(data, max);
        else
                return;
        batch_read_header(data, batch_size(header), header);
}

/* The batch in the log's codec, as a copy of all its records; limits hold for what is stored. */
static int recompress(const Log *log, const uint8_t *data, const BatchHeader *header, Buffer *ret_batch) {
        BatchReader reader;
        BatchBuilder builder;
        Record record;
        batch_builder_init_copy(&builder, header, -1);
        int r = batch_reader_init(&reader, data, header, LOG_INFLATE_BYTES_MAX), step = 0;
        while (!r && (step = batch_reader_next(&reader, &record)) == 1)
                batch_builder_copy(&builder, &record);
        batch_reader_deinit(&reader);
        if (!r && step)
                r = step;
        if (!r)
                r = batch_builder_finish_level(&builder, log->config.compression, log->config.compression_level);
        if (r == -EMSGSIZE || (!r && (int64_t)builder.out.size > log->config.max_message_bytes))
                r = KAFKA_MESSAGE_TOO_LARGE;
        if (r) {
                batch_builder_deinit(&builder);
                return r;
        }
        *ret_batch = builder.out;
        return 0;
}

/* Changes what has to be changed in a client's one batch: its codec, its timestamps. */
static int adapt_batch(const Log *log, uint8_t *data, BatchHeader *header, int64_t max, int64_t now_ms, Buffer *ret_batch) {
        int codec = log->config.compression;
        if (codec != LOG_COMPRESSION_PRODUCER && codec != batch_compression(header)) {
                int r = recompress(log, data, header, ret_batch);
                if (r)
                        return r;
                data = ret_batch->data;
                batch_read_header(data, ret_batch->size, header);
        }
        stamp(log, data, header, max, now_ms);
        return (int64_t)batch_size(header) > log->config.segment_bytes ? KAFKA_RECORD_LIST_TOO_LARGE : 0;
}

static int check_batches(const Log *log, uint8_t *records, size_t size, LogOrigin origin, int64_t now_ms,
                         LogAppend *append, Buffer *ret_batch) {
        for (size_t at = 0; at < size;) {
                BatchHeader header;
                int64_t max;
                int r = read_batch(records + at, size - at, &header);
                if (!r)
                        r = check_header(log, records + at, &header, origin);
                if (!r)
                        r = check_records(log, records + at, &header, origin, now_ms, append, &max);
                size_t batch_bytes = r ? 0 : batch_size(&header);
                if (!r && origin == LOG_ORIGIN_CLIENT)
                        r = adapt_batch(log, records + at, &header, max, now_ms, ret_batch);
                else if (!r)
                        stamp(log, records + at, &header, max, now_ms);
                if (r)
                        return r;
                at += batch_bytes;
        }
        return 0;
}

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

int log_append(Log *log, uint8_t *records, size_t size, LogOrigin origin, int32_t leader_epoch, int64_t now_ms,
               LogAppend *ret_append) {
        bool log_append_time = log->config.message_timestamp_log_append;
        *ret_append = (LogAppend){ .base_offset = -1, .last_offset = -1,
                                   .log_append_time_ms = log_append_time ? now_ms : -1 };
        if (log->failure)
                return log->failure;
        if (leader_epoch < log->next_epoch)
                return KAFKA_FENCED_LEADER_EPOCH;
        int r = check_frame(records, &size, origin);
        if (r) {
                ret_append->unframed = true;
                return r;
        }
        Buffer recompressed = BUFFER_INIT;
        r = check_batches(log, records, size, origin, now_ms, ret_append, &recompressed);
        if (recompressed.data) {
                records = recompressed.data;
                size = recompressed.size;
        }
        if (!r && origin == LOG_ORIGIN_CLIENT)
                r = check_producer(log, records, size, ret_append);
        int64_t base_offset = log->next_offset;
        if (!r && !ret_append->duplicate)
                r = queue_batches(log, records, size, origin, leader_epoch);
        if (r || ret_append->duplicate) {
                buffer_deinit(&recompressed);
                return r;
        }
        if (recompressed.data) {
                log->queue[log->queue_count - 1].owned = recompressed.data;
                log->queue_owns = true;
        }
        log->next_epoch = leader_epoch;
        ret_append->base_offset = base_offset;
        ret_append->last_offset = log->next_offset - 1;
        return 0;
}
