/* The walk over the records of a batch, in line for the one loop that takes it for every record that is produced; everybody else calls
 * batch_reader_next(). Every length is checked against the bytes that are there. */
#pragma once

#include "storage/base/error.h"
#include "storage/base/varint.h"
#include "storage/batch.h"

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

static inline int32_t record_sequence(const BatchHeader *batch, int32_t delta) {
        return batch->base_sequence < 0 ? -1 : (int32_t)(((uint32_t)batch->base_sequence + (uint32_t)delta) & INT32_MAX);
}

/* What batch_reader_next() does. */
static inline int batch_reader_step(BatchReader *reader, Record *ret_record) {
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
