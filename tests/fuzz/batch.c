/* Record batches as a producer sends them: header, CRC, decompression and the walk over records. A fuzzer doesn't
 * find CRCs, so a wrong one is put right after it has been checked. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/error.h"
#include "storage/batch.h"

#define INFLATE_BYTES_MAX (1 << 20)

/* Reads every byte, for a sanitizer to see. */
static void touch(Str s) {
        for (size_t i = 0; i < s.len; i++) {
                volatile char byte = s.data[i];
                (void)byte;
        }
}

/* What records there are to the end of the batch, or to the first wrong one. */
typedef struct Found {
        int r;
        int32_t count;
        int64_t max_timestamp_ms;
} Found;

/* As the check of what is produced does it. */
static Found walk_quickly(const uint8_t *data, const BatchHeader *header) {
        BatchReader reader;
        Record record;
        Found found = { .r = batch_reader_init(&reader, data, header, INFLATE_BYTES_MAX), .max_timestamp_ms = -1 };
        while (!found.r && !batch_reader_walk(&reader, false, &found.max_timestamp_ms) && (found.r = batch_reader_next(&reader, &record)) == 1) {
                if (record.timestamp_ms > found.max_timestamp_ms)
                        found.max_timestamp_ms = record.timestamp_ms;
                found.r = 0;
        }
        found.count = reader.index;
        batch_reader_deinit(&reader);
        return found;
}

static Found walk(const uint8_t *data, const BatchHeader *header) {
        BatchReader reader;
        int r = batch_reader_init(&reader, data, header, INFLATE_BYTES_MAX);
        Record record;
        RecordHeader field;
        int32_t count = 0;
        int64_t max_timestamp_ms = -1;
        while (r == 0 && (r = batch_reader_next(&reader, &record)) == 1) {
                touch(record.key);
                touch(record.value);
                for (const uint8_t *at = record.headers; at && record_next_header(&record, &at, &field);) {
                        touch(field.key);
                        touch(field.value);
                }
                FUZZ_CHECK(++count <= header->record_count);
                if (record.timestamp_ms > max_timestamp_ms)
                        max_timestamp_ms = record.timestamp_ms;
                r = 0;
        }
        FUZZ_CHECK(r == 0 || r > 1 || r == -ENOMEM);
        batch_reader_deinit(&reader);
        return (Found){ r, count, max_timestamp_ms };
}

static void compare_walks(const uint8_t *data, BatchHeader *header) {
        Found careful = walk(data, header);
        if ((int64_t)header->record_count - 1 != header->last_offset_delta || header->attributes & BATCH_TIMESTAMP_LOG_APPEND)
                return; /* not for the quick one */
        Found quick = walk_quickly(data, header);
        FUZZ_CHECK(quick.r == careful.r && quick.count == careful.count);
        bool is_far = header->base_timestamp < BATCH_WALK_DELTA_MAX || header->base_timestamp > INT64_MAX - BATCH_WALK_DELTA_MAX;
        FUZZ_CHECK(is_far || quick.max_timestamp_ms == careful.max_timestamp_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        BatchHeader header;
        uint8_t *copy = malloc(size ? size : 1); /* exactly that long: a sanitizer sees the first byte past it */
        FUZZ_CHECK(copy);
        if (size)
                memcpy(copy, data, size);
        if (batch_read_header(copy, size, &header) == 0) {
                FUZZ_CHECK(batch_size(&header) <= size);
                batch_check_crc(copy, &header);
                compare_walks(copy, &header);
                batch_set_base_offset(copy, 7);
                batch_set_leader_epoch(copy, 3);
                batch_set_max_timestamp(copy, 1700000000000);
                FUZZ_CHECK(batch_read_header(copy, size, &header) == 0 && batch_check_crc(copy, &header));
                FUZZ_CHECK(header.base_offset == 7 && header.partition_leader_epoch == 3);
                batch_set_log_append_time(copy, 1700000000001);
                FUZZ_CHECK(batch_read_header(copy, size, &header) == 0 && batch_check_crc(copy, &header));
        }
        free(copy);
        return 0;
}
