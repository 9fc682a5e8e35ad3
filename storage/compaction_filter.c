/* What compaction keeps of a batch, by Kafka's rules:
 * - of each key the last record, where the map knows; past the map's end all;
 * - a record without a value (tombstone) until its batch's delete horizon, which the first compaction that
 *   meets the tombstone writes into the batch (KIP-534): readers get delete.retention.ms to see it;
 * - nothing of aborted transactions; the marker of a transaction that is gone is given a horizon like a tombstone;
 * - the batch of a producer's last sequence, and the last batch of all, if need be empty.
 * A batch that loses nothing is copied as it is. */
#include <errno.h>
#include <stdlib.h>

#include "storage/compaction.h"
#include "storage/log_internal.h"

typedef enum Retention {
        DELETE_WHEN_EMPTY,
        KEEP_WHEN_EMPTY,
} Retention;

typedef struct Verdict {
        bool without_records;    /* they all go */
        bool marker_of_nothing;  /* its transaction is gone */
        Retention retention;
} Verdict;

void batch_filter_deinit(BatchFilter *filter) {
        txn_walk_deinit(&filter->txns);
        free(filter->records);
        filter->records = NULL;
}

static int compare_ids(const void *a, const void *b) {
        int64_t x = *(const int64_t *)a, y = ((const CompactionProducer *)b)->id;
        return x < y ? -1 : x > y;
}

/* Whether the batch holds what is last known of its producer: sequence, or else epoch. */
static bool is_last_of_producer(const Compaction *compaction, const BatchHeader *header) {
        if (header->producer_id < 0 || !compaction->producer_count)
                return false;
        const CompactionProducer *producer = bsearch(&header->producer_id, compaction->producers,
                                                     (size_t)compaction->producer_count,
                                                     sizeof(*compaction->producers), compare_ids);
        if (!producer)
                return false;
        if (producer->last_offset >= 0)
                return batch_last_offset(header) == producer->last_offset;
        return header->attributes & BATCH_CONTROL && header->producer_epoch == producer->epoch;
}

static int judge(BatchFilter *filter, const BatchHeader *header, const uint8_t *data, Verdict *ret_verdict) {
        const Compaction *compaction = filter->compaction;
        bool control = header->attributes & BATCH_CONTROL;
        int r = control ? txn_walk_control(&filter->txns, header, data) : txn_walk_batch(&filter->txns, header);
        if (r < 0)
                return r;
        int64_t horizon = batch_delete_horizon(header);
        bool keep = is_last_of_producer(compaction, header) ||
                    batch_next_offset(header) == compaction->first_uncleanable_offset;
        *ret_verdict = (Verdict){
                .without_records = control ? r && horizon >= 0 && horizon <= compaction->now_ms : r,
                .marker_of_nothing = control && r,
                .retention = keep ? KEEP_WHEN_EMPTY : DELETE_WHEN_EMPTY,
        };
        return 0;
}

static bool keeps_record(const BatchFilter *filter, const BatchHeader *header, const Record *record) {
        if (header->attributes & BATCH_CONTROL || record->offset >= filter->map_end_offset)
                return true;
        if (str_is_null(record->key) || record->offset < offset_map_find(filter->map, record->key))
                return false;
        int64_t horizon = batch_delete_horizon(header);
        return !str_is_null(record->value) || horizon < 0 || filter->compaction->now_ms < horizon;
}

static int add_record(BatchFilter *filter, int32_t count, const Record *record) {
        if (count == filter->record_capacity) {
                int32_t capacity = count ? count * 2 : 64;
                Record *records = realloc(filter->records, (size_t)capacity * sizeof(*records));
                if (!records)
                        return -ENOMEM;
                filter->records = records;
                filter->record_capacity = capacity;
        }
        filter->records[count] = *record;
        return 0;
}

/* Collects the records that stay; they point into the reader. */
static int collect_records(BatchFilter *filter, BatchReader *reader, int32_t *ret_count, bool *ret_tombstones) {
        Record record;
        int r = 0;
        *ret_count = 0;
        *ret_tombstones = false;
        while (!r && (r = batch_reader_next(reader, &record)) == 1) {
                r = 0;
                if (!keeps_record(filter, &reader->header, &record))
                        continue;
                r = add_record(filter, *ret_count, &record);
                if (r)
                        return r;
                (*ret_count)++;
                *ret_tombstones |= str_is_null(record.value);
        }
        return r > 0 ? -EUCLEAN : r;
}

static int rebuild(const BatchFilter *filter, const BatchHeader *header, int32_t count, int64_t horizon, Buffer *out) {
        BatchBuilder builder;
        batch_builder_init_copy(&builder, header, horizon);
        for (int32_t i = 0; i < count; i++)
                batch_builder_copy(&builder, &filter->records[i]);
        int r = batch_builder_finish(&builder, batch_compression(header));
        if (!r)
                buffer_append(out, builder.out.data, builder.out.size);
        batch_builder_deinit(&builder);
        return r;
}

static int64_t new_horizon(const Compaction *compaction) {
        int64_t horizon;
        return __builtin_add_overflow(compaction->now_ms, compaction->config.delete_retention_ms, &horizon) ? INT64_MAX : horizon;
}

/* Writes the records that stay, unchanged where that will do. */
static int write_kept(BatchFilter *filter, const BatchHeader *header, const uint8_t *data, const Verdict *verdict,
                      Buffer *out, int32_t *ret_count) {
        BatchReader reader;
        bool tombstones = false;
        int r = batch_reader_init(&reader, data, header, LOG_INFLATE_BYTES_MAX);
        if (!r)
                r = collect_records(filter, &reader, ret_count, &tombstones);
        int64_t horizon = batch_delete_horizon(header);
        bool sets_horizon = horizon < 0 && (tombstones || verdict->marker_of_nothing);
        if (!r && *ret_count == header->record_count && !sets_horizon)
                buffer_append(out, data, batch_size(header));
        else if (!r && *ret_count)
                r = rebuild(filter, header, *ret_count, sets_horizon ? new_horizon(filter->compaction) : horizon, out);
        batch_reader_deinit(&reader);
        return r > 0 ? -EUCLEAN : r;
}

int batch_filter_apply(BatchFilter *filter, const BatchHeader *header, const uint8_t *data, Buffer *out) {
        Verdict verdict;
        if (!batch_check_crc(data, header)) /* a new CRC would hide the damage */
                return -EUCLEAN;
        int r = judge(filter, header, data, &verdict);
        if (r)
                return r;
        int32_t count = 0;
        if (!verdict.without_records && header->record_count)
                r = write_kept(filter, header, data, &verdict, out, &count);
        if (!r && !count && verdict.retention == KEEP_WHEN_EMPTY)
                batch_write_empty(buffer_extend(out, BATCH_HEADER_BYTES), header);
        return r ? r : out->failed ? -ENOMEM : 0;
}
