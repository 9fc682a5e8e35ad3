/* Record batches v2 (KIP-98): header view, validation, and a walk over the records.
 *
 * A batch is 61 bytes of header followed by records, compressed as a whole or not at all. The CRC covers all from
 * `attributes` on, so baseOffset and partitionLeaderEpoch are assigned in place without touching it.
 * The layout is Kafka's and never changes; a new magic would be a new reader beside this one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/buffer.h"
#include "storage/base/str.h"

#define BATCH_HEADER_BYTES 61
#define BATCH_LENGTH_OVERHEAD 12 /* baseOffset and batchLength themselves, not counted by batchLength */
#define BATCH_MAGIC 2

enum {
        BATCH_COMPRESSION_MASK = 0x07,
        BATCH_TIMESTAMP_LOG_APPEND = 0x08,
        BATCH_TRANSACTIONAL = 0x10,
        BATCH_CONTROL = 0x20,
        BATCH_DELETE_HORIZON = 0x40,
};

typedef struct BatchHeader {
        int64_t base_offset;
        int32_t batch_length;
        int32_t partition_leader_epoch;
        int8_t magic;
        uint32_t crc;
        int16_t attributes;
        int32_t last_offset_delta;
        int64_t base_timestamp;
        int64_t max_timestamp;
        int64_t producer_id;    /* -1: none */
        int16_t producer_epoch; /* -1: none */
        int32_t base_sequence;  /* -1: none */
        int32_t record_count;
} BatchHeader;

static inline size_t batch_size(const BatchHeader *header) {
        return (size_t)header->batch_length + BATCH_LENGTH_OVERHEAD;
}

static inline int64_t batch_last_offset(const BatchHeader *header) {
        return header->base_offset + header->last_offset_delta;
}

static inline int64_t batch_next_offset(const BatchHeader *header) {
        return batch_last_offset(header) + 1;
}

static inline int batch_compression(const BatchHeader *header) {
        return header->attributes & BATCH_COMPRESSION_MASK;
}

/* Reads the header at data. 0; -EAGAIN when size does not hold the whole batch (header fields up to magic are
 * set if size >= 17); KAFKA_CORRUPT_MESSAGE when the length cannot be right; KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT
 * for another magic. The CRC is not checked. */
int batch_read_header(const uint8_t *data, size_t size, BatchHeader *ret_header);

/* The codec of a batch of which nothing was checked yet; 0 also for what is too short to be one. */
static inline int batch_peek_compression(const uint8_t *data, size_t size) {
        return size < BATCH_HEADER_BYTES ? 0 : data[22] & BATCH_COMPRESSION_MASK;
}

/* Whether the CRC of the whole batch at data is right. */
bool batch_check_crc(const uint8_t *data, const BatchHeader *header);

/* Offsets and epochs lie outside the CRC. */
void batch_set_base_offset(uint8_t *data, int64_t base_offset);
void batch_set_leader_epoch(uint8_t *data, int32_t leader_epoch);

/* Sets LogAppendTime and the max timestamp, and computes the CRC anew. */
void batch_set_log_append_time(uint8_t *data, int64_t timestamp_ms);

/* The same with CreateTime. */
void batch_set_max_timestamp(uint8_t *data, int64_t timestamp_ms);

typedef struct RecordHeader {
        Str key, value; /* value may be null */
} RecordHeader;

typedef struct Record {
        int64_t offset;
        int64_t timestamp_ms;
        int32_t sequence; /* -1: none */
        Str key, value;   /* may be null */
        int32_t header_count;
        const uint8_t *headers; /* encoded; read with record_next_header() */
        const uint8_t *end;
} Record;

/* A walk over the records of one batch. Decompresses into memory of its own, at most inflate_bytes_max. */
typedef struct BatchReader {
        BatchHeader header;
        Buffer inflated;
        const uint8_t *at, *end;
        int32_t index; /* of the next record */
} BatchReader;

/* Prepares a walk over the whole batch at data, which must outlive it. 0; KAFKA_CORRUPT_MESSAGE when the payload
 * does not decompress; KAFKA_MESSAGE_TOO_LARGE past inflate_bytes_max; -ENOMEM. Always deinit afterwards. */
int batch_reader_init(BatchReader *reader, const uint8_t *data, const BatchHeader *header, size_t inflate_bytes_max);

/* The next record: 1 and *ret_record; 0 at the proper end; KAFKA_INVALID_RECORD (positive, never 1) for a
 * record that does not parse, a wrong offset delta, or bytes left over. */
int batch_reader_next(BatchReader *reader, Record *ret_record);

#define BATCH_WALK_DELTA_MAX 8192

/* batch_walk.c: passes over records of a full batch while they are as nearly all are: without numbers of more than two bytes, with
 * timestamps no further from the batch's than BATCH_WALK_DELTA_MAX, with a key where needs_key. Raises *max_timestamp_ms to theirs. True when
 * it came to the proper end; otherwise it is for batch_reader_next() to say what comes next. */
bool batch_reader_walk(BatchReader *reader, bool needs_key, int64_t *max_timestamp_ms);
void batch_reader_deinit(BatchReader *reader);

/* Reads the header at *at and moves on; false at record->end or when malformed. */
bool record_next_header(const Record *record, const uint8_t **at, RecordHeader *ret_header);

/* Builds a batch: the internal topics and tests write with this. */
typedef struct BatchBuilder {
        Buffer out;
        BatchHeader header;
} BatchBuilder;

/* Starts a batch (uncompressed); attributes may hold BATCH_CONTROL, BATCH_TRANSACTIONAL. */
void batch_builder_init(BatchBuilder *builder, int16_t attributes, int64_t producer_id, int16_t producer_epoch,
                        int32_t base_sequence);

/* Adds a record; key and value may be null; headers may be NULL when header_count is 0. */
void batch_builder_add(BatchBuilder *builder, int64_t timestamp_ms, Str key, Str value, const RecordHeader *headers,
                       int32_t header_count);

/* Compresses with codec (0-4) and seals the batch. 0 or -errno; the bytes are builder->out until deinit. */
int batch_builder_finish(BatchBuilder *builder, int codec);
/* The same with a level of the codec. */
int batch_builder_finish_level(BatchBuilder *builder, int codec, int32_t level);
void batch_builder_deinit(BatchBuilder *builder);

/* Starts a batch of some of the records of another: it keeps the offsets, the producer's fields, epoch and kind of that one. With
 * delete_horizon_ms >= 0 it says when its tombstones may go. Seal it with the codec of the original. */
void batch_builder_init_copy(BatchBuilder *builder, const BatchHeader *original, int64_t delete_horizon_ms);
/* Adds a record of the original, in order. */
void batch_builder_copy(BatchBuilder *builder, const Record *record);

/* The batch without any record: what is left to remember the producer's sequence and the offsets. */
void batch_write_empty(uint8_t data[static BATCH_HEADER_BYTES], const BatchHeader *original);

/* When tombstones and the markers of emptied transactions in the batch may go, or -1 when it does not say. */
static inline int64_t batch_delete_horizon(const BatchHeader *header) {
        return header->attributes & BATCH_DELETE_HORIZON ? header->base_timestamp : -1;
}

/* The one record of a control batch that ends a transaction. */
typedef struct BatchMarker {
        bool commit; /* or abort */
        int32_t coordinator_epoch;
        int64_t timestamp_ms;
} BatchMarker;

/* 1 and *ret_marker; 0 when the control batch holds no marker (compaction emptied it, or it is of another kind); -EUCLEAN;
 * -ENOMEM. */
int batch_read_marker(const uint8_t *data, const BatchHeader *header, BatchMarker *ret_marker);
/* Builds a sealed control batch; for the result and the bytes see batch_builder_finish(). */
int batch_build_marker(BatchBuilder *builder, int64_t producer_id, int16_t producer_epoch, const BatchMarker *marker);
