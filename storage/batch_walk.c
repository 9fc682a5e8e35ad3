/* The walk over records that are as nearly all are: every record that is produced passes here. It knows no error: it stops before a
 * record that it cannot vouch for, and batch_reader_next() says what that one is. */
#include "storage/base/varint.h"
#include "storage/batch.h"

#define LONG 0x4000u      /* a number of more than two bytes is read as this or more */
#define BEGINNING_BYTES 9 /* of a record, up to its key, at most */

/* The unsigned number at *at, if it is one or two bytes long. */
static inline uint32_t read_number(const uint8_t **at) {
        const uint8_t *from = *at;
        if (from[0] < 0x80) {
                *at = from + 1;
                return from[0];
        }
        *at = from + 2;
        return (from[0] & 0x7fu) | (uint32_t)from[1] << 7;
}

/* Whether a number stands for a length, and not for -1, which is null. */
static inline bool is_length(uint32_t number) {
        return !(number & 1) && number < LONG;
}

/* A length and as many bytes, of which at least one more follows. */
static inline bool skip_bytes(const uint8_t **at, const uint8_t *end, bool may_be_null) {
        if (end - *at < 2)
                return false;
        uint32_t number = read_number(at);
        *at += number / 2;
        return is_length(number) || (may_be_null && number == 1);
}

/* The record at *from, which has to be its batch's index-th. False, and nothing else, when it is not as nearly all are. */
static inline bool skip_record(const uint8_t **from, const uint8_t *end, int32_t index, bool needs_key, int32_t *ret_timestamp_delta) {
        const uint8_t *at = *from;
        if (end - at < BEGINNING_BYTES)
                return false;
        uint32_t length = read_number(&at);
        if (!is_length(length) || length / 2 > end - at)
                return false;
        end = at + length / 2;
        at++; /* attributes: none are defined */
        uint32_t timestamp_delta = read_number(&at), offset_delta = read_number(&at);
        if ((timestamp_delta | offset_delta) >= LONG || offset_delta != 2 * (uint32_t)index || !skip_bytes(&at, end, !needs_key) ||
            !skip_bytes(&at, end, true) || at >= end)
                return false;
        uint32_t headers = *at++;
        if (headers & 0x81) /* more than 63, or less than none */
                return false;
        for (; headers; headers -= 2)
                if (!skip_bytes(&at, end, false) || !skip_bytes(&at, end, true))
                        return false;
        if (at != end)
                return false;
        *from = end;
        *ret_timestamp_delta = (int32_t)zigzag_decode(timestamp_delta);
        return true;
}

bool batch_reader_walk(BatchReader *reader, bool needs_key, int64_t *max_timestamp_ms) {
        const uint8_t *at = reader->at, *end = reader->end;
        int32_t index = reader->index, count = reader->header.record_count, max = -BATCH_WALK_DELTA_MAX, delta;
        while (index < count && skip_record(&at, end, index, needs_key, &delta)) {
                max = delta > max ? delta : max;
                index++;
        }
        if (index > reader->index && reader->header.base_timestamp + max > *max_timestamp_ms)
                *max_timestamp_ms = reader->header.base_timestamp + max;
        reader->at = at;
        reader->index = index;
        return index == count && at == end;
}
