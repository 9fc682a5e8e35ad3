/* A log full of random batches, and a model that says what compaction has to leave of it. */
#pragma once

#include "tests/storage/support.h"

#include "storage/compaction.h"
#include "storage/log_internal.h"

#define KEY_COUNT 24
#define MODEL_RECORDS_MAX 4000
#define IDEMPOTENT_COUNT 3 /* producers that are only idempotent; then come those with transactions */
#define MODEL_PRODUCERS 6
#define MAP_BYTES (1 << 20)

typedef struct ModelRecord {
        int64_t batch; /* base offset of its batch; -1: a marker is here */
        int64_t timestamp_ms;
        int64_t horizon_ms; /* of its batch; -1 */
        int key;
        int producer; /* in a transaction; -1 */
        bool tombstone, open, aborted, gone;
} ModelRecord;

typedef struct Model {
        ModelRecord records[MODEL_RECORDS_MAX]; /* by offset */
        int64_t end_offset, cleaner_offset, now_ms;
        int32_t sequence[MODEL_PRODUCERS];
        int64_t txn_start[MODEL_PRODUCERS]; /* -1: none open */
        int64_t batch_of[MODEL_PRODUCERS][2]; /* last batch: base and last offset */
        bool transactions;
} Model;

__attribute__((unused)) static Model *model_new(bool transactions) {
        Model *model = calloc(1, sizeof(*model));
        model->now_ms = NOW;
        model->transactions = transactions;
        memset(model->txn_start, 0xff, sizeof(model->txn_start));
        return model;
}

static void model_add_record(Model *model, BatchBuilder *builder, int64_t batch, int producer) {
        int64_t offset = model->end_offset++;
        cr_assert_lt(offset, MODEL_RECORDS_MAX);
        ModelRecord *record = &model->records[offset];
        *record = (ModelRecord){ .batch = batch, .timestamp_ms = model->now_ms - rand() % 5000, .horizon_ms = -1,
                                 .key = rand() % KEY_COUNT, .producer = producer, .tombstone = rand() % 5 == 0,
                                 .open = producer >= 0 };
        char key[16], value[64];
        int key_size = snprintf(key, sizeof(key), "key-%d", record->key);
        int value_size = snprintf(value, sizeof(value), "%d-%.*s", (int)offset, rand() % 40, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
        RecordHeader header = { STR("h"), (Str){ value, 2 } };
        batch_builder_add(builder, record->timestamp_ms, (Str){ key, (size_t)key_size },
                          record->tombstone ? STR_NULL : (Str){ value, (size_t)value_size }, &header, rand() % 2);
}

static void model_append_bytes(Log *log, BatchBuilder *builder, LogOrigin origin, Model *model) {
        LogAppend result;
        assert_ok(log_append(log, builder->out.data, builder->out.size, origin, 0, model->now_ms, &result));
        cr_assert_not(result.duplicate);
        assert_ok(log_commit(log, model->now_ms));
        batch_builder_deinit(builder);
        cr_assert_eq(log_end_offset(log), model->end_offset);
}

static void model_append(Model *model, Log *log) {
        int count = 1 + rand() % 5, producer = rand() % (model->transactions ? MODEL_PRODUCERS + 2 : IDEMPOTENT_COUNT + 2);
        bool idempotent = producer < MODEL_PRODUCERS && (model->transactions || producer < IDEMPOTENT_COUNT);
        bool transactional = idempotent && producer >= IDEMPOTENT_COUNT;
        BatchBuilder builder;
        batch_builder_init(&builder, transactional ? BATCH_TRANSACTIONAL : 0, idempotent ? 100 + producer : -1,
                           idempotent ? 0 : -1, idempotent ? model->sequence[producer] : -1);
        int64_t batch = model->end_offset;
        for (int i = 0; i < count; i++)
                model_add_record(model, &builder, batch, transactional ? producer : -1);
        assert_ok(batch_builder_finish(&builder, rand() % 3 ? CODEC_NONE : rand() % CODEC_COUNT));
        model_append_bytes(log, &builder, LOG_ORIGIN_CLIENT, model);
        if (idempotent) {
                model->sequence[producer] += count;
                model->batch_of[producer][0] = batch;
                model->batch_of[producer][1] = model->end_offset - 1;
        }
        if (transactional && model->txn_start[producer] < 0)
                model->txn_start[producer] = batch;
}

static void model_end_transaction(Model *model, Log *log, int producer) {
        BatchBuilder builder;
        BatchMarker marker = { .commit = rand() % 2, .timestamp_ms = model->now_ms };
        for (int64_t i = model->txn_start[producer]; i < model->end_offset; i++) {
                ModelRecord *record = &model->records[i];
                if (record->producer != producer || !record->open)
                        continue;
                record->open = false;
                record->aborted = !marker.commit;
        }
        assert_ok(batch_build_marker(&builder, 100 + producer, 0, &marker));
        model->records[model->end_offset++] = (ModelRecord){ .batch = -1, .producer = -1, .horizon_ms = -1 };
        model_append_bytes(log, &builder, LOG_ORIGIN_BROKER, model);
        model->txn_start[producer] = -1;
}

__attribute__((unused)) static void model_fill(Model *model, Log *log, int batches) {
        for (int i = 0; i < batches; i++) {
                int producer = rand() % MODEL_PRODUCERS;
                model->now_ms += rand() % 100;
                if (model->txn_start[producer] >= 0 && rand() % 2)
                        model_end_transaction(model, log, producer);
                else
                        model_append(model, log);
        }
}

/* Kafka's rules, over all there is: the last record of a key among those that the map covers. */
static void model_compact(Model *model, int64_t first_dirty, int64_t end_offset, int64_t segments_end, int64_t retention_ms) {
        int64_t last[KEY_COUNT];
        memset(last, 0xff, sizeof(last));
        for (int64_t i = first_dirty; i < end_offset; i++) {
                const ModelRecord *record = &model->records[i];
                if (record->batch >= 0 && !record->aborted && !record->gone)
                        last[record->key] = i;
        }
        for (int64_t i = 0; i < segments_end; i++) {
                ModelRecord *record = &model->records[i];
                bool expired = record->tombstone && record->horizon_ms >= 0 && record->horizon_ms <= model->now_ms;
                if (record->batch >= 0)
                        record->gone |= record->aborted || (i < end_offset && (i < last[record->key] || expired));
        }
        for (int64_t i = 0; i < segments_end; i++) {
                const ModelRecord *record = &model->records[i];
                if (record->batch < 0 || record->gone || !record->tombstone || record->horizon_ms >= 0)
                        continue;
                for (int64_t k = record->batch; k < model->end_offset && model->records[k].batch == record->batch; k++)
                        model->records[k].horizon_ms = model->now_ms + retention_ms;
        }
        model->cleaner_offset = end_offset;
}

/* ---- reading a log as a whole ---- */

typedef struct Content {
        struct {
                int64_t offset, timestamp_ms, producer_id;
                char key[16], value[16];
                bool tombstone, transactional, control, abort;
        } records[MODEL_RECORDS_MAX];
        int count, empty_batches, batches, controls;
} Content;

static void content_add(Content *content, const BatchHeader *header, const Record *record) {
        content->records[content->count].offset = record->offset;
        content->records[content->count].timestamp_ms = record->timestamp_ms;
        content->records[content->count].producer_id = header->producer_id;
        content->records[content->count].tombstone = str_is_null(record->value);
        content->records[content->count].control = header->attributes & BATCH_CONTROL;
        content->records[content->count].abort = header->attributes & BATCH_CONTROL && record->key.data[3] == 0;
        content->records[content->count].transactional = header->attributes & BATCH_TRANSACTIONAL;
        snprintf(content->records[content->count].key, 16, "%.*s", (int)record->key.len < 15 ? (int)record->key.len : 15, record->key.data ? record->key.data : "");
        snprintf(content->records[content->count].value, 16, "%.*s", (int)record->value.len < 15 ? (int)record->value.len : 15, record->value.data ? record->value.data : "");
        content->count++;
}

/* All batches from offset on: whole, CRCs right, offsets rising. */
__attribute__((unused)) static Content *read_content(Log *log) {
        Content *content = malloc(sizeof(*content));
        int64_t offset = log_start_offset(log);
        content->count = content->empty_batches = content->batches = content->controls = 0;
        for (;;) {
                FileSpan span;
                assert_ok(log_read(log, offset, INT64_MAX, 1000, true, &span));
                uint8_t *data = malloc((size_t)span.size + 1);
                if (span.size)
                        cr_assert_eq(pread(span.fd, data, (size_t)span.size, span.position), span.size);
                for (int at = 0; at < span.size;) {
                        BatchHeader header;
                        BatchReader reader;
                        Record record;
                        assert_ok(batch_read_header(data + at, (size_t)(span.size - at), &header));
                        cr_assert(batch_check_crc(data + at, &header));
                        cr_assert_geq(batch_last_offset(&header), offset);
                        cr_assert(content->batches == 0 || header.base_offset >= offset);
                        offset = batch_next_offset(&header);
                        content->batches++;
                        content->empty_batches += header.record_count == 0;
                        content->controls += (header.attributes & BATCH_CONTROL) != 0;
                        assert_ok(batch_reader_init(&reader, data + at, &header, 1 << 20));
                        int r;
                        while ((r = batch_reader_next(&reader, &record)) == 1)
                                content_add(content, &header, &record);
                        assert_ok(r);
                        batch_reader_deinit(&reader);
                        at += (int)batch_size(&header);
                }
                free(data);
                bool end = span.size == 0;
                file_span_release(&span);
                if (end)
                        break;
        }
        return content;
}

static void compare_record(const Model *model, const Content *content, int i, int64_t offset) {
        const ModelRecord *record = &model->records[offset];
        char key[16], start[16];
        snprintf(key, sizeof(key), "key-%d", record->key);
        snprintf(start, sizeof(start), "%d-", (int)offset);
        cr_assert_str_eq(content->records[i].key, key);
        cr_assert_eq(content->records[i].timestamp_ms, record->timestamp_ms);
        cr_assert_eq(content->records[i].tombstone, record->tombstone);
        cr_assert(record->tombstone || strncmp(content->records[i].value, start, strlen(start)) == 0);
}

/* The log holds what the model says, and each record is found by its offset and by its time. */
__attribute__((unused)) static void compare_log(const Model *model, Log *log) {
        Content *content = read_content(log);
        int i = 0;
        cr_assert_eq(log_end_offset(log), model->end_offset);
        for (int64_t offset = 0; offset < model->end_offset; offset++) {
                const ModelRecord *record = &model->records[offset];
                if (record->batch < 0 || record->gone)
                        continue;
                while (i < content->count && content->records[i].control)
                        i++;
                cr_assert_lt(i, content->count);
                cr_assert_eq(content->records[i].offset, offset, "%" PRId64 " is there instead of %" PRId64, content->records[i].offset, offset);
                compare_record(model, content, i++, offset);
                int64_t first, last;
                read_from(log, offset, 1, true, &first, &last);
                cr_assert(first <= offset && last >= offset);
        }
        while (i < content->count && content->records[i].control)
                i++;
        cr_assert_eq(i, content->count);
        for (int n = 0; n < 20 && content->count; n++) {
                LogPosition position;
                int64_t timestamp = content->records[rand() % content->count].timestamp_ms;
                for (i = 0; content->records[i].timestamp_ms < timestamp; i++)
                        ;
                assert_ok(log_find_timestamp(log, timestamp, &position));
                cr_assert_eq(position.offset, content->records[i].offset);
        }
        free(content);
}

/* What a reader of committed records makes of the log: the rule of Kafka's consumer. */

typedef struct Skips {
        struct {
                int64_t producer_id, first_offset;
        } rows[MODEL_RECORDS_MAX];
        int count;
} Skips;

static void add_skip(int64_t producer_id, int64_t first_offset, void *data) {
        Skips *skips = data;
        skips->rows[skips->count].producer_id = producer_id;
        skips->rows[skips->count++].first_offset = first_offset;
}

__attribute__((unused)) static void compare_committed(const Model *model, Log *log) {
        Content *content = read_content(log);
        Skips *skips = malloc(sizeof(*skips));
        skips->count = 0;
        int64_t stable = log_last_stable_offset(log);
        bool skipping[MODEL_PRODUCERS] = { 0 };
        assert_ok(log_aborted_transactions(log, 0, stable, add_skip, skips));
        for (int i = 0; i < content->count && content->records[i].offset < stable; i++) {
                int64_t offset = content->records[i].offset, producer = content->records[i].producer_id - 100;
                for (int k = 0; k < skips->count; k++) {
                        if (skips->rows[k].first_offset > offset)
                                continue;
                        skipping[skips->rows[k].producer_id - 100] = true;
                        skips->rows[k].first_offset = INT64_MAX;
                }
                if (content->records[i].abort)
                        skipping[producer] = false;
                if (!content->records[i].control)
                        cr_assert_eq(content->records[i].transactional && skipping[producer], model->records[offset].aborted,
                                     "record %" PRId64, offset);
        }
        free(skips);
        free(content);
}

/* ---- compacting ---- */

__attribute__((unused)) static int compact(Log *log, int64_t cleaner_offset, size_t map_bytes, int64_t now_ms, LogCompacted *ret_compacted) {
        Compaction *compaction;
        *ret_compacted = (LogCompacted){ .cleaner_offset = cleaner_offset };
        int r = log_sync(log);
        if (!r)
                r = log_compaction_begin(log, cleaner_offset, map_bytes, now_ms, &compaction);
        if (r || !compaction)
                return r;
        int r2 = compaction_run(compaction);
        r = log_compaction_swap(log, compaction);
        cr_assert(!r2 || r);
        if (!r) {
                r2 = compaction_settle(compaction);
                r = log_compaction_finish(log, compaction, ret_compacted);
                cr_assert_eq(r2, r);
        }
        compaction_free(compaction);
        return r;
}

/* Compacts log and model. */
__attribute__((unused)) static void compact_both(Model *model, Log *log) {
        LogDirt dirt;
        LogCompacted compacted;
        assert_ok(log_sync(log));
        log_dirt(log, model->cleaner_offset, model->now_ms, &dirt);
        assert_ok(compact(log, model->cleaner_offset, MAP_BYTES, model->now_ms, &compacted));
        cr_assert_eq(compacted.cleaner_offset, dirt.first_uncleanable_offset);
        model_compact(model, dirt.first_dirty_offset, compacted.cleaner_offset, compacted.cleaner_offset,
                      log->config.delete_retention_ms);
}

__attribute__((unused)) static LogOpen how_to_compact(void) {
        LogOpen how = how_to_open();
        how.config.cleanup_compact = true;
        how.config.cleanup_delete = false;
        how.config.segment_bytes = 3000;
        how.config.index_interval_bytes = 200;
        how.config.delete_retention_ms = 2000;
        return how;
}
