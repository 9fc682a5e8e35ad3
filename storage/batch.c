/* Reading and writing record batches. What clients send is parsed here once, before it is stored for good, so
 * every length is checked against the bytes that are there. */
#include "storage/batch.h"

#include <errno.h>

#include "storage/base/crc32c.h"
#include "storage/base/endian.h"
#include "storage/base/error.h"
#include "storage/base/varint.h"
#include "storage/compress.h"

enum { /* where the fields are */
        AT_BASE_OFFSET = 0,
        AT_BATCH_LENGTH = 8,
        AT_LEADER_EPOCH = 12,
        AT_MAGIC = 16,
        AT_CRC = 17,
        AT_ATTRIBUTES = 21,
        AT_LAST_OFFSET_DELTA = 23,
        AT_BASE_TIMESTAMP = 27,
        AT_MAX_TIMESTAMP = 35,
        AT_PRODUCER_ID = 43,
        AT_PRODUCER_EPOCH = 51,
        AT_BASE_SEQUENCE = 53,
        AT_RECORD_COUNT = 57,
};

int batch_read_header(const uint8_t *data, size_t size, BatchHeader *ret_header) {
        if (size < AT_CRC)
                return -EAGAIN;
        *ret_header = (BatchHeader){
                .base_offset = (int64_t)load_be64(data + AT_BASE_OFFSET),
                .batch_length = (int32_t)load_be32(data + AT_BATCH_LENGTH),
                .partition_leader_epoch = (int32_t)load_be32(data + AT_LEADER_EPOCH),
                .magic = (int8_t)data[AT_MAGIC],
        };
        if (ret_header->magic != BATCH_MAGIC)
                return KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT;
        if (ret_header->batch_length < BATCH_HEADER_BYTES - BATCH_LENGTH_OVERHEAD)
                return KAFKA_CORRUPT_MESSAGE;
        if (size < BATCH_HEADER_BYTES)
                return -EAGAIN;
        ret_header->crc = load_be32(data + AT_CRC);
        ret_header->attributes = (int16_t)load_be16(data + AT_ATTRIBUTES);
        ret_header->last_offset_delta = (int32_t)load_be32(data + AT_LAST_OFFSET_DELTA);
        ret_header->base_timestamp = (int64_t)load_be64(data + AT_BASE_TIMESTAMP);
        ret_header->max_timestamp = (int64_t)load_be64(data + AT_MAX_TIMESTAMP);
        ret_header->producer_id = (int64_t)load_be64(data + AT_PRODUCER_ID);
        ret_header->producer_epoch = (int16_t)load_be16(data + AT_PRODUCER_EPOCH);
        ret_header->base_sequence = (int32_t)load_be32(data + AT_BASE_SEQUENCE);
        ret_header->record_count = (int32_t)load_be32(data + AT_RECORD_COUNT);
        return size < batch_size(ret_header) ? -EAGAIN : 0;
}

static uint32_t compute_crc(const uint8_t *data, size_t size) {
        return crc32c(0, data + AT_ATTRIBUTES, size - AT_ATTRIBUTES);
}

bool batch_check_crc(const uint8_t *data, const BatchHeader *header) {
        return compute_crc(data, batch_size(header)) == header->crc;
}

void batch_set_base_offset(uint8_t *data, int64_t base_offset) {
        store_be64(data + AT_BASE_OFFSET, (uint64_t)base_offset);
}

void batch_set_leader_epoch(uint8_t *data, int32_t leader_epoch) {
        store_be32(data + AT_LEADER_EPOCH, (uint32_t)leader_epoch);
}

static void set_timestamp(uint8_t *data, bool log_append, int64_t timestamp_ms) {
        uint16_t attributes = load_be16(data + AT_ATTRIBUTES) & (uint16_t)~BATCH_TIMESTAMP_LOG_APPEND;
        store_be16(data + AT_ATTRIBUTES, log_append ? attributes | BATCH_TIMESTAMP_LOG_APPEND : attributes);
        store_be64(data + AT_MAX_TIMESTAMP, (uint64_t)timestamp_ms);
        size_t size = (size_t)load_be32(data + AT_BATCH_LENGTH) + BATCH_LENGTH_OVERHEAD;
        store_be32(data + AT_CRC, compute_crc(data, size));
}

void batch_set_log_append_time(uint8_t *data, int64_t timestamp_ms) {
        set_timestamp(data, true, timestamp_ms);
}

void batch_set_max_timestamp(uint8_t *data, int64_t timestamp_ms) {
        set_timestamp(data, false, timestamp_ms);
}

int batch_reader_init(BatchReader *reader, const uint8_t *data, const BatchHeader *header, size_t inflate_bytes_max) {
        const uint8_t *payload = data + BATCH_HEADER_BYTES, *end = data + batch_size(header);
        *reader = (BatchReader){ .header = *header, .inflated = BUFFER_INIT, .at = payload, .end = end };
        if (batch_compression(header) == CODEC_NONE)
                return 0;
        int r = codec_decompress(batch_compression(header), payload, (size_t)(end - payload), inflate_bytes_max,
                                 &reader->inflated);
        if (r)
                return r;
        reader->at = reader->inflated.data ? reader->inflated.data : end; /* an empty payload leaves no buffer */
        reader->end = reader->at + reader->inflated.size;
        return 0;
}

void batch_reader_deinit(BatchReader *reader) {
        buffer_deinit(&reader->inflated);
}

/* The unsigned number at from if it is one or two bytes long, as nearly all are; returns how many, or 0. */
static inline size_t read_short(const uint8_t *from, const uint8_t *end, uint32_t *ret_value) {
        if (end - from >= 1 && from[0] < 0x80) {
                *ret_value = from[0];
                return 1;
        }
        if (end - from >= 2 && from[1] < 0x80) {
                *ret_value = (from[0] & 0x7fu) | (uint32_t)from[1] << 7;
                return 2;
        }
        return 0;
}

/* Signed numbers. false when cut off or too long. */
static inline bool read_int64(const uint8_t **at, const uint8_t *end, int64_t *ret_value) {
        uint32_t small;
        uint64_t value;
        size_t size = read_short(*at, end, &small);
        if (size)
                value = small;
        else
                size = varuint64_read(*at, end, &value);
        *at += size;
        *ret_value = zigzag_decode(value);
        return size != 0;
}

static inline bool read_int32(const uint8_t **at, const uint8_t *end, int32_t *ret_value) {
        uint32_t value;
        size_t size = read_short(*at, end, &value);
        if (!size)
                size = varuint32_read(*at, end, &value);
        *at += size;
        *ret_value = (int32_t)(value >> 1) ^ -(int32_t)(value & 1);
        return size != 0;
}

/* A length and as many bytes; -1 is null. */
static inline bool read_bytes(const uint8_t **at, const uint8_t *end, Str *ret_bytes) {
        int32_t length;
        if (!read_int32(at, end, &length) || length < -1 || length > end - *at)
                return false;
        *ret_bytes = length < 0 ? STR_NULL : (Str){ .data = (const char *)*at, .len = (size_t)length };
        *at += length < 0 ? 0 : length;
        return true;
}

static inline bool read_header(const uint8_t **at, const uint8_t *end, RecordHeader *ret_header) {
        return read_bytes(at, end, &ret_header->key) && ret_header->key.data &&
               read_bytes(at, end, &ret_header->value);
}

bool record_next_header(const Record *record, const uint8_t **at, RecordHeader *ret_header) {
        return *at < record->end && read_header(at, record->end, ret_header);
}

static int32_t record_sequence(const BatchHeader *batch, int32_t delta) {
        return batch->base_sequence < 0 ? -1 : (int32_t)(((uint32_t)batch->base_sequence + (uint32_t)delta) & INT32_MAX);
}

int batch_reader_next(BatchReader *reader, Record *ret_record) {
        const BatchHeader *batch = &reader->header;
        const int32_t index = reader->index;
        if (index >= batch->record_count)
                return reader->at == reader->end ? 0 : KAFKA_INVALID_RECORD;
        const uint8_t *at = reader->at;
        int32_t length, offset_delta, header_count;
        int64_t timestamp_delta;
        Str key, value;
        if (!read_int32(&at, reader->end, &length) || length < 1 || length > reader->end - at)
                return KAFKA_INVALID_RECORD;
        const uint8_t *end = at + length;
        at++; /* attributes: none are defined */
        if (!read_int64(&at, end, &timestamp_delta) || !read_int32(&at, end, &offset_delta) || !read_bytes(&at, end, &key) ||
            !read_bytes(&at, end, &value) || !read_int32(&at, end, &header_count) || header_count < 0)
                return KAFKA_INVALID_RECORD;
        const uint8_t *headers = at;
        for (int32_t i = 0; i < header_count; i++) {
                RecordHeader header;
                if (!read_header(&at, end, &header))
                        return KAFKA_INVALID_RECORD;
        }
        /* compaction leaves gaps in a batch; a full batch counts up from 0 */
        bool full = batch->record_count - 1 == batch->last_offset_delta;
        if (at != end || offset_delta < index || offset_delta > batch->last_offset_delta || (full && offset_delta != index))
                return KAFKA_INVALID_RECORD;
        ret_record->offset = batch->base_offset + offset_delta;
        ret_record->timestamp_ms = batch->attributes & BATCH_TIMESTAMP_LOG_APPEND
                                           ? batch->max_timestamp
                                           : (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)timestamp_delta);
        ret_record->sequence = record_sequence(batch, offset_delta);
        ret_record->key = key;
        ret_record->value = value;
        ret_record->header_count = header_count;
        ret_record->headers = headers;
        ret_record->end = end;
        reader->at = end;
        reader->index = index + 1;
        return 1;
}

void batch_builder_init(BatchBuilder *builder, int16_t attributes, int64_t producer_id, int16_t producer_epoch,
                        int32_t base_sequence) {
        *builder = (BatchBuilder){
                .out = BUFFER_INIT,
                .header = { .partition_leader_epoch = -1, .magic = BATCH_MAGIC, .attributes = attributes,
                            .last_offset_delta = -1, .base_timestamp = -1, .max_timestamp = -1,
                            .producer_id = producer_id, .producer_epoch = producer_epoch,
                            .base_sequence = base_sequence },
        };
        buffer_extend(&builder->out, BATCH_HEADER_BYTES);
}

static void put_int(Buffer *out, int64_t value) {
        uint8_t bytes[VARINT_BYTES_MAX];
        buffer_append(out, bytes, varuint_write(bytes, zigzag_encode(value)));
}

static void put_bytes(Buffer *out, Str bytes) {
        put_int(out, bytes.data ? (int64_t)bytes.len : -1);
        buffer_append_str(out, bytes);
}

static size_t int_size(int64_t value) {
        return varuint_size(zigzag_encode(value));
}

static size_t bytes_size(Str bytes) {
        return bytes.data ? int_size((int64_t)bytes.len) + bytes.len : 1;
}

void batch_builder_add(BatchBuilder *builder, int64_t timestamp_ms, Str key, Str value, const RecordHeader *headers,
                       int32_t header_count) {
        BatchHeader *batch = &builder->header;
        Buffer *out = &builder->out;
        if (batch->record_count == 0)
                batch->base_timestamp = batch->max_timestamp = timestamp_ms;
        else if (timestamp_ms > batch->max_timestamp)
                batch->max_timestamp = timestamp_ms;
        int64_t timestamp_delta = timestamp_ms - batch->base_timestamp;
        int32_t offset_delta = batch->record_count;
        size_t size = 1 + int_size(timestamp_delta) + int_size(offset_delta) + bytes_size(key) + bytes_size(value) +
                      int_size(header_count);
        for (int32_t i = 0; i < header_count; i++)
                size += bytes_size(headers[i].key) + bytes_size(headers[i].value);
        put_int(out, (int64_t)size);
        buffer_append(out, "", 1);
        put_int(out, timestamp_delta);
        put_int(out, offset_delta);
        put_bytes(out, key);
        put_bytes(out, value);
        put_int(out, header_count);
        for (int32_t i = 0; i < header_count; i++) {
                put_bytes(out, headers[i].key);
                put_bytes(out, headers[i].value);
        }
        batch->last_offset_delta = batch->record_count++;
}

static void write_header(uint8_t *data, const BatchHeader *header) {
        store_be64(data + AT_BASE_OFFSET, (uint64_t)header->base_offset);
        store_be32(data + AT_BATCH_LENGTH, (uint32_t)header->batch_length);
        store_be32(data + AT_LEADER_EPOCH, (uint32_t)header->partition_leader_epoch);
        data[AT_MAGIC] = (uint8_t)header->magic;
        store_be16(data + AT_ATTRIBUTES, (uint16_t)header->attributes);
        store_be32(data + AT_LAST_OFFSET_DELTA, (uint32_t)header->last_offset_delta);
        store_be64(data + AT_BASE_TIMESTAMP, (uint64_t)header->base_timestamp);
        store_be64(data + AT_MAX_TIMESTAMP, (uint64_t)header->max_timestamp);
        store_be64(data + AT_PRODUCER_ID, (uint64_t)header->producer_id);
        store_be16(data + AT_PRODUCER_EPOCH, (uint16_t)header->producer_epoch);
        store_be32(data + AT_BASE_SEQUENCE, (uint32_t)header->base_sequence);
        store_be32(data + AT_RECORD_COUNT, (uint32_t)header->record_count);
}

int batch_builder_finish_level(BatchBuilder *builder, int codec, int32_t level) {
        BatchHeader *header = &builder->header;
        if (builder->out.failed)
                return -ENOMEM;
        if (header->record_count == 0)
                return -EINVAL;
        if (codec != CODEC_NONE) {
                Buffer packed = BUFFER_INIT;
                buffer_extend(&packed, BATCH_HEADER_BYTES);
                int r = codec_compress(codec, level, builder->out.data + BATCH_HEADER_BYTES,
                                       builder->out.size - BATCH_HEADER_BYTES, &packed);
                if (r || packed.failed) {
                        buffer_deinit(&packed);
                        return r ? r : -ENOMEM;
                }
                buffer_deinit(&builder->out);
                builder->out = packed;
                header->attributes |= (int16_t)codec;
        }
        if (builder->out.size > INT32_MAX)
                return -EMSGSIZE;
        header->batch_length = (int32_t)(builder->out.size - BATCH_LENGTH_OVERHEAD);
        write_header(builder->out.data, header);
        header->crc = compute_crc(builder->out.data, builder->out.size);
        store_be32(builder->out.data + AT_CRC, header->crc);
        return 0;
}

int batch_builder_finish(BatchBuilder *builder, int codec) {
        return batch_builder_finish_level(builder, codec, CODEC_LEVEL_DEFAULT);
}

void batch_builder_init_copy(BatchBuilder *builder, const BatchHeader *original, int64_t delete_horizon_ms) {
        int16_t kept = BATCH_TIMESTAMP_LOG_APPEND | BATCH_TRANSACTIONAL | BATCH_CONTROL;
        *builder = (BatchBuilder){ .out = BUFFER_INIT, .header = *original };
        builder->header.attributes &= kept;
        builder->header.record_count = 0;
        if (delete_horizon_ms >= 0) {
                builder->header.attributes |= BATCH_DELETE_HORIZON;
                builder->header.base_timestamp = delete_horizon_ms;
        }
        buffer_extend(&builder->out, BATCH_HEADER_BYTES);
}

void batch_builder_copy(BatchBuilder *builder, const Record *record) {
        BatchHeader *batch = &builder->header;
        bool first = batch->record_count++ == 0, log_append = batch->attributes & BATCH_TIMESTAMP_LOG_APPEND;
        if (first && !(batch->attributes & BATCH_DELETE_HORIZON))
                batch->base_timestamp = record->timestamp_ms;
        if (!log_append && (first || record->timestamp_ms > batch->max_timestamp))
                batch->max_timestamp = record->timestamp_ms;
        int64_t timestamp_delta = (int64_t)((uint64_t)record->timestamp_ms - (uint64_t)batch->base_timestamp);
        int64_t offset_delta = record->offset - batch->base_offset;
        size_t headers_size = (size_t)(record->end - record->headers);
        size_t size = 1 + int_size(timestamp_delta) + int_size(offset_delta) + bytes_size(record->key) +
                      bytes_size(record->value) + int_size(record->header_count) + headers_size;
        put_int(&builder->out, (int64_t)size);
        buffer_append(&builder->out, "", 1);
        put_int(&builder->out, timestamp_delta);
        put_int(&builder->out, offset_delta);
        put_bytes(&builder->out, record->key);
        put_bytes(&builder->out, record->value);
        put_int(&builder->out, record->header_count);
        buffer_append(&builder->out, record->headers, headers_size);
}

void batch_write_empty(uint8_t data[static BATCH_HEADER_BYTES], const BatchHeader *original) {
        BatchHeader header = *original;
        header.attributes &= BATCH_TIMESTAMP_LOG_APPEND | BATCH_TRANSACTIONAL | BATCH_CONTROL;
        header.batch_length = BATCH_HEADER_BYTES - BATCH_LENGTH_OVERHEAD;
        header.base_timestamp = -1;
        header.record_count = 0;
        write_header(data, &header);
        store_be32(data + AT_CRC, compute_crc(data, BATCH_HEADER_BYTES));
}

void batch_builder_deinit(BatchBuilder *builder) {
        buffer_deinit(&builder->out);
}
