/* compression.type: what becomes of a client's batch in a log with a codec of its own. */
#include "tests/storage/support.h"

TestSuite(log_compression, .init = test_setup, .fini = test_teardown);

static Log *open_with(int codec, int32_t level) {
        LogOpen how = how_to_open();
        how.config.compression = codec;
        how.config.compression_level = level;
        return open_log(how);
}

/* A batch of three records with gaps of time between them, with headers, without key or value. */
static uint8_t *make_varied(int codec, size_t *ret_size) {
        BatchBuilder builder;
        RecordHeader headers[] = { { STR("name"), STR("content") }, { STR("empty"), STR_NULL } };
        batch_builder_init(&builder, BATCH_TRANSACTIONAL, 77, 3, 5);
        batch_builder_add(&builder, NOW - 5, STR("key"), STR("value"), headers, 2);
        batch_builder_add(&builder, NOW - 900, STR_NULL, STR("a value that repeats, repeats, repeats, repeats, repeats"), NULL, 0);
        batch_builder_add(&builder, NOW + 70, STR("key"), STR_NULL, NULL, 0);
        assert_ok(batch_builder_finish(&builder, codec));
        *ret_size = builder.out.size;
        return builder.out.data;
}

/* The bytes of the batch at offset; the caller's to free. */
static uint8_t *stored(Log *log, int64_t offset, BatchHeader *ret_header) {
        FileSpan span;
        assert_ok(log_read(log, offset, INT64_MAX, 1, true, &span));
        uint8_t *data = malloc((size_t)span.size);
        cr_assert_eq(pread(span.fd, data, (size_t)span.size, span.position), span.size);
        assert_ok(batch_read_header(data, (size_t)span.size, ret_header));
        cr_assert_eq(batch_size(ret_header), (size_t)span.size);
        cr_assert(batch_check_crc(data, ret_header));
        file_span_release(&span);
        return data;
}

static void assert_same_records(const uint8_t *data, const uint8_t *other) {
        BatchHeader headers[2];
        BatchReader readers[2];
        Record one, two;
        assert_ok(batch_read_header(data, 1 << 20, &headers[0]));
        assert_ok(batch_read_header(other, 1 << 20, &headers[1]));
        assert_ok(batch_reader_init(&readers[0], data, &headers[0], 1 << 20));
        assert_ok(batch_reader_init(&readers[1], other, &headers[1], 1 << 20));
        for (int i = 0; i < headers[0].record_count; i++) {
                cr_assert_eq(batch_reader_next(&readers[0], &one), 1);
                cr_assert_eq(batch_reader_next(&readers[1], &two), 1);
                cr_assert(one.timestamp_ms == two.timestamp_ms && one.sequence == two.sequence);
                cr_assert(str_equal(one.key, two.key) && str_is_null(one.key) == str_is_null(two.key));
                cr_assert(str_equal(one.value, two.value) && str_is_null(one.value) == str_is_null(two.value));
                cr_assert(one.header_count == two.header_count && one.end - one.headers == two.end - two.headers);
                cr_assert_arr_eq(one.headers, two.headers, (size_t)(one.end - one.headers));
        }
        cr_assert(batch_reader_next(&readers[0], &one) == 0 && batch_reader_next(&readers[1], &two) == 0);
        batch_reader_deinit(&readers[0]);
        batch_reader_deinit(&readers[1]);
}

Test(log_compression, every_codec_becomes_every_other_with_all_else_kept) {
        for (int from = 0; from < CODEC_COUNT; from++)
                for (int to = 0; to < CODEC_COUNT; to++) {
                        Log *log = open_with(to, CODEC_LEVEL_DEFAULT);
                        LogAppend result;
                        BatchHeader header;
                        size_t size;
                        uint8_t *sent = make_varied(from, &size), *copy = malloc(size);
                        memcpy(copy, sent, size);
                        assert_ok(log_append(log, sent, size, LOG_ORIGIN_CLIENT, 4, NOW, &result));
                        assert_ok(log_commit(log, NOW));
                        cr_assert(result.base_offset == 0 && result.last_offset == 2 && result.log_append_time_ms == -1);
                        uint8_t *kept = stored(log, 1, &header);
                        cr_assert_eq(header.attributes, BATCH_TRANSACTIONAL | to, "%s to %s", codec_name(from), codec_name(to));
                        cr_assert(header.producer_id == 77 && header.producer_epoch == 3 && header.base_sequence == 5);
                        cr_assert(header.base_timestamp == NOW - 5 && header.max_timestamp == NOW + 70);
                        cr_assert(header.record_count == 3 && header.last_offset_delta == 2 && header.partition_leader_epoch == 4);
                        assert_same_records(copy, kept);
                        if (from == to)
                                cr_assert_arr_eq(copy + 21, kept + 21, size - 21, "not touched beyond offset and epoch");
                        free(kept);
                        free(copy);
                        free(sent);
                        log_abandon(log);
                        assert_ok(log_delete_directory(test_log_path));
                }
}

Test(log_compression, log_append_time_is_set_on_the_copy) {
        LogOpen how = how_to_open();
        how.config.compression = CODEC_ZSTD;
        how.config.compression_level = 3;
        how.config.message_timestamp_log_append = true;
        Log *log = open_log(how);
        LogAppend result;
        BatchHeader header;
        size_t size;
        uint8_t *sent = make_varied(CODEC_GZIP, &size);
        assert_ok(log_append(log, sent, size, LOG_ORIGIN_CLIENT, 0, NOW + 1000, &result));
        assert_ok(log_commit(log, NOW));
        cr_assert_eq(result.log_append_time_ms, NOW + 1000);
        free(stored(log, 0, &header));
        cr_assert_eq(header.attributes, BATCH_TRANSACTIONAL | BATCH_TIMESTAMP_LOG_APPEND | CODEC_ZSTD);
        cr_assert(header.base_timestamp == NOW - 5 && header.max_timestamp == NOW + 1000);
        free(sent);
        assert_ok(log_close(log, NOW));
}

Test(log_compression, limits_hold_for_what_came_and_for_what_is_stored) {
        LogOpen how = how_to_open();
        how.config.compression = CODEC_NONE;
        how.config.compression_level = CODEC_LEVEL_DEFAULT;
        how.config.max_message_bytes = 2000;
        Log *log = open_log(how);
        LogAppend result;
        cr_assert_eq(try_append(log, TEST_BATCH(.value_bytes = 1990, .codec = CODEC_GZIP), &result), KAFKA_MESSAGE_TOO_LARGE);
        assert_ok(try_append(log, TEST_BATCH(.value_bytes = 1900, .codec = CODEC_GZIP), &result));
        how.config.compression = CODEC_GZIP;
        log_set_config(log, &how.config);
        cr_assert_eq(try_append(log, TEST_BATCH(.value_bytes = 1990), &result), KAFKA_MESSAGE_TOO_LARGE);
        how.config.segment_bytes = 150;
        log_set_config(log, &how.config);
        assert_ok(try_append(log, TEST_BATCH(.value_bytes = 1500), &result));
        how.config.segment_bytes = 50;
        log_set_config(log, &how.config);
        cr_assert_eq(try_append(log, TEST_BATCH(.value_bytes = 1500), &result), KAFKA_RECORD_LIST_TOO_LARGE);
        cr_assert_eq(log_end_offset(log), 2);
        assert_ok(log_close(log, NOW));
}

Test(log_compression, a_duplicate_is_found_and_stored_once) {
        Log *log = open_with(CODEC_LZ4, 9);
        LogAppend first, again;
        TestBatch how = TEST_BATCH(.records = 4, .producer_id = 9, .producer_epoch = 0, .base_sequence = 0);
        assert_ok(try_append(log, how, &first));
        assert_ok(try_append(log, how, &again));
        cr_assert(again.duplicate && again.base_offset == first.base_offset && again.last_offset == first.last_offset);
        how.base_sequence = 8;
        cr_assert_eq(try_append(log, how, &again), KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
        cr_assert_eq(log_end_offset(log), 4);
        assert_ok(log_close(log, NOW));
}

Test(log_compression, levels_are_those_of_the_codec) {
        static const struct {
                int codec;
                int32_t fast, small;
        } rows[] = { { CODEC_GZIP, 1, 9 }, { CODEC_LZ4, 9, 17 }, { CODEC_ZSTD, -1000, 22 } };
        static char text[60000];
        uint32_t state = 1;
        for (size_t i = 0; i < sizeof(text); i++) {
                state = state * 1664525 + 1013904223;
                text[i] = (char)('a' + (state >> 28) % 6);
        }
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                Buffer fast = BUFFER_INIT, small = BUFFER_INIT, back = BUFFER_INIT;
                assert_ok(codec_compress(rows[i].codec, rows[i].fast, text, sizeof(text), &fast));
                assert_ok(codec_compress(rows[i].codec, rows[i].small, text, sizeof(text), &small));
                cr_assert_lt(small.size, fast.size, "%s", codec_name(rows[i].codec));
                assert_ok(codec_decompress(rows[i].codec, small.data, small.size, sizeof(text), &back));
                cr_assert_arr_eq(back.data, text, sizeof(text));
                buffer_deinit(&fast);
                buffer_deinit(&small);
                buffer_deinit(&back);
        }
}

static ssize_t no_space(int fd, const struct iovec *parts, int count, off_t position) {
        (void)fd, (void)parts, (void)count, (void)position;
        errno = ENOSPC;
        return -1;
}

Test(log_compression, a_failed_write_leaves_nothing_of_the_copy) {
        Log *log = open_with(CODEC_ZSTD, 3);
        LogAppend result;
        append(log, TEST_BATCH(.records = 2));
        file_ops.pwritev = no_space;
        cr_assert_eq(try_append(log, TEST_BATCH(.records = 3), &result), -ENOSPC);
        file_ops = FILE_OPS_SYSTEM;
        assert_ok(try_append(log, TEST_BATCH(.records = 5), &result));
        cr_assert(result.base_offset == 2 && log_end_offset(log) == 7);
        size_t size;
        uint8_t *left = make_batch(TEST_BATCH(.records = 1), &size);
        assert_ok(log_append(log, left, size, LOG_ORIGIN_CLIENT, 0, NOW, &result));
        log_abandon(log); /* with a copy in the queue */
        free(left);
}
