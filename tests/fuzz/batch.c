/* Record batches as a producer sends them: header, CRC, decompression and the walk over records. A fuzzer doesn't
 * find CRCs, so a wrong one is put right after it has been checked. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
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

static void walk(const uint8_t *data, const BatchHeader *header) {
        BatchReader reader;
        int r = batch_reader_init(&reader, data, header, INFLATE_BYTES_MAX);
        Record record;
        RecordHeader field;
        int32_t count = 0;
        while (r == 0 && (r = batch_reader_next(&reader, &record)) == 1) {
                touch(record.key);
                touch(record.value);
                for (const uint8_t *at = record.headers; at && record_next_header(&record, &at, &field);) {
                        touch(field.key);
                        touch(field.value);
                }
                FUZZ_CHECK(++count <= header->record_count);
                r = 0;
        }
        FUZZ_CHECK(r == 0 || r > 1 || r == -ENOMEM);
        batch_reader_deinit(&reader);
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
                walk(copy, &header);
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
