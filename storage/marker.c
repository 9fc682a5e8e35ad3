/* Control records of transactions: key int16 version, int16 type (0 abort, 1 commit); value int16 version, int32 epoch of
 * the coordinator. */
#include <errno.h>

#include "storage/base/endian.h"
#include "storage/batch.h"
#include "storage/compress.h"

#define KEY_BYTES 4
#define VALUE_BYTES 6
#define INFLATE_BYTES_MAX 4096

int batch_read_marker(const uint8_t *data, const BatchHeader *header, BatchMarker *ret_marker) {
        BatchReader reader;
        Record record;
        int r = batch_reader_init(&reader, data, header, INFLATE_BYTES_MAX);
        int got = r ? r : batch_reader_next(&reader, &record);
        if (got == 1 && record.key.len >= KEY_BYTES && record.value.len >= VALUE_BYTES &&
            load_be16(record.key.data + 2) <= 1)
                *ret_marker = (BatchMarker){ .commit = load_be16(record.key.data + 2) == 1,
                                             .coordinator_epoch = (int32_t)load_be32(record.value.data + 2),
                                             .timestamp_ms = record.timestamp_ms };
        else
                got = got == 1 ? 0 : got;
        batch_reader_deinit(&reader);
        return got > 1 ? -EUCLEAN : got;
}

int batch_build_marker(BatchBuilder *builder, int64_t producer_id, int16_t producer_epoch, const BatchMarker *marker) {
        uint8_t key[KEY_BYTES], value[VALUE_BYTES];
        store_be16(key, 0);
        store_be16(key + 2, marker->commit);
        store_be16(value, 0);
        store_be32(value + 2, (uint32_t)marker->coordinator_epoch);
        batch_builder_init(builder, BATCH_CONTROL | BATCH_TRANSACTIONAL, producer_id, producer_epoch, -1);
        batch_builder_add(builder, marker->timestamp_ms, (Str){ (const char *)key, sizeof(key) },
                          (Str){ (const char *)value, sizeof(value) }, NULL, 0);
        return batch_builder_finish(builder, CODEC_NONE);
}
