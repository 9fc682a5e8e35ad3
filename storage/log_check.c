/* What may enter a log. A batch that was let in is served to every consumer for years: each record is walked once,
 * here, so nobody has to doubt it later. No log is touched: a check may run on any thread. */
#include <errno.h>

#include "storage/base/error.h"
#include "storage/compress.h"
#include "storage/log_internal.h"

/* How long a byte takes at the worst, in bytes of another codec's: one of gzip that hardly compresses, and one that is compressed anew. */
#define GZIP_WORK 2
#define RECOMPRESS_WORK (64 * GZIP_WORK)

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

static bool has_to_recompress(const LogCheck *check, const BatchHeader *header) {
        int codec = check->config->compression;
        return check->origin == LOG_ORIGIN_CLIENT && codec != LOG_COMPRESSION_PRODUCER && codec != batch_compression(header);
}

static size_t work_of_byte(const LogCheck *check, const BatchHeader *header) {
        if (has_to_recompress(check, header))
                return RECOMPRESS_WORK;
        return batch_compression(header) == CODEC_GZIP ? GZIP_WORK : 1;
}

/* Records may inflate to that. */
static size_t inflate_bytes_max(const LogCheck *check, const BatchHeader *header) {
        return check->work_max ? check->work_max / work_of_byte(check, header) : LOG_INFLATE_BYTES_MAX;
}

/* It was tried up to there. */
static int give_up(LogCheck *check) {
        check->work = check->work_max;
        return -E2BIG;
}

/* Whether no time that is near the batch's can be refused. */
static bool has_usual_times(const LogCheck *check, const BatchHeader *header) {
        const LogConfig *config = check->config;
        int64_t base_ms = header->base_timestamp, latest_ms = INT64_MAX / 2;
        if (header->attributes & BATCH_TIMESTAMP_LOG_APPEND || base_ms < BATCH_WALK_DELTA_MAX || base_ms > latest_ms || check->now_ms > latest_ms)
                return false;
        return check->now_ms - base_ms <= config->message_timestamp_before_max_ms - BATCH_WALK_DELTA_MAX &&
               base_ms - check->now_ms <= config->message_timestamp_after_max_ms - BATCH_WALK_DELTA_MAX;
}

/* Walks the records; the largest timestamp among them goes to *ret_max. */
static int check_records(LogCheck *check, const uint8_t *data, const BatchHeader *header, int64_t *ret_max) {
        BatchReader reader;
        Record record;
        int64_t max = -1;
        int refused = 0, step = 0;
        bool walks = check->origin == LOG_ORIGIN_CLIENT && has_usual_times(check, header);
        int r = batch_reader_init(&reader, data, header, inflate_bytes_max(check, header));
        if (r > 0)
                r = r == KAFKA_MESSAGE_TOO_LARGE && check->work_max ? give_up(check) : -EBADMSG;
        else if (!r)
                check->work += (size_t)(reader.end - reader.at) * work_of_byte(check, header);
        while (!r && !(walks && batch_reader_walk(&reader, check->config->cleanup_compact, &max))) {
                step = batch_reader_next(&reader, &record);
                if (step != 1)
                        break;
                step = 0;
                int error = check_record(check->config, &record, check->origin, check->now_ms);
                if (error)
                        refused = refuse_record(check->append, &record, reader.index - 1, error, refused);
                if (record.timestamp_ms > max)
                        max = record.timestamp_ms;
        }
        batch_reader_deinit(&reader);
        *ret_max = max;
        if (!r && step) {
                check->append->refusal_count = 0; /* the batch as a whole is wrong */
                r = step;
        }
        return r ? r : refused;
}

static int check_header(const LogCheck *check, const uint8_t *data, const BatchHeader *header) {
        bool client = check->origin == LOG_ORIGIN_CLIENT;
        if (client && header->base_offset != 0)
                return KAFKA_INVALID_RECORD;
        if (client && (int64_t)batch_size(header) > check->config->max_message_bytes)
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

/* A client sends exactly one batch; *size becomes its size. *ret_header is the first one's. */
static int check_frame(const uint8_t *records, size_t *size, LogOrigin origin, BatchHeader *ret_header) {
        BatchHeader next;
        int r = read_batch(records, *size, ret_header);
        if (r || origin != LOG_ORIGIN_CLIENT || batch_size(ret_header) == *size)
                return r;
        size_t first = batch_size(ret_header);
        if (batch_read_header(records + first, *size - first, &next) != -EAGAIN)
                return KAFKA_INVALID_RECORD;
        *size = first;
        return 0;
}

int log_check_frame(const uint8_t *records, size_t size) {
        BatchHeader header;
        return check_frame(records, &size, LOG_ORIGIN_CLIENT, &header);
}

/* Patches the timestamp where the topic says so, or the producer got it wrong. */
static void stamp(const LogCheck *check, uint8_t *data, BatchHeader *header, int64_t max) {
        if (check->config->message_timestamp_log_append)
                batch_set_log_append_time(data, check->now_ms);
        else if (header->max_timestamp != max || header->attributes & BATCH_TIMESTAMP_LOG_APPEND)
                batch_set_max_timestamp(data, max);
        else
                return;
        batch_read_header(data, batch_size(header), header);
}

/* The batch in the log's codec, as a copy of all its records; limits hold for what is stored. */
static int recompress(LogCheck *check, const BatchHeader *header) {
        BatchReader reader;
        BatchBuilder builder;
        Record record;
        batch_builder_init_copy(&builder, header, -1);
        int r = batch_reader_init(&reader, check->data, header, LOG_INFLATE_BYTES_MAX), step = 0;
        while (!r && (step = batch_reader_next(&reader, &record)) == 1)
                batch_builder_copy(&builder, &record);
        batch_reader_deinit(&reader);
        if (!r && step)
                r = step;
        if (!r)
                r = batch_builder_finish_level(&builder, check->config->compression, check->config->compression_level);
        if (r == -EMSGSIZE || (!r && (int64_t)builder.out.size > check->config->max_message_bytes))
                r = KAFKA_MESSAGE_TOO_LARGE;
        if (r) {
                batch_builder_deinit(&builder);
                return r;
        }
        log_check_own(check, builder.out);
        return 0;
}

/* A client's one batch. Changes what has to be changed in it: its codec, its timestamps. */
static int check_client_batch(LogCheck *check, BatchHeader *header) {
        int64_t max;
        int r = check_header(check, check->data, header);
        bool recompresses = !r && has_to_recompress(check, header);
        if (recompresses && check->work_max && check->size > check->work_max / RECOMPRESS_WORK)
                r = -E2BIG;
        if (!r)
                r = check_records(check, check->data, header, &max);
        if (!r && recompresses)
                r = recompress(check, header);
        if (r)
                return r;
        if (recompresses)
                batch_read_header(check->data, check->size, header);
        stamp(check, check->data, header, max);
        return (int64_t)batch_size(header) > check->config->segment_bytes ? KAFKA_RECORD_LIST_TOO_LARGE : 0;
}

static int check_broker_batches(LogCheck *check) {
        int r = 0;
        for (size_t at = 0; !r && at < check->size;) {
                uint8_t *data = check->data + at;
                BatchHeader header;
                int64_t max;
                r = read_batch(data, check->size - at, &header);
                if (!r)
                        r = check_header(check, data, &header);
                if (!r)
                        r = check_records(check, data, &header, &max);
                if (!r)
                        stamp(check, data, &header, max);
                at += r ? 0 : batch_size(&header);
        }
        return r;
}

void log_check_own(LogCheck *check, Buffer bytes) {
        buffer_deinit(&check->owned);
        check->owned = bytes;
        check->data = bytes.data;
        check->size = bytes.size;
}

void log_check_deinit(LogCheck *check) {
        buffer_deinit(&check->owned);
}

int log_check(LogCheck *check) {
        LogAppend *append = check->append;
        BatchHeader first;
        log_append_init(append);
        if (check->config->message_timestamp_log_append)
                append->log_append_time_ms = check->now_ms;
        check->result = check_frame(check->data, &check->size, check->origin, &first);
        append->unframed = check->result != 0;
        if (!check->result)
                check->result = check->origin == LOG_ORIGIN_CLIENT ? check_client_batch(check, &first) : check_broker_batches(check);
        return check->result;
}
