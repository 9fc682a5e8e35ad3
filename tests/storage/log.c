/* Append, commit, read, find. */
#include "tests/storage/support.h"

#include "storage/base/file.h"
#include "storage/log_internal.h"

TestSuite(log, .init = test_setup, .fini = test_teardown);

Test(log, new_log_is_empty) {
        Log *log = open_log(how_to_open());
        int64_t first, last;
        cr_assert_eq(log_start_offset(log), 0);
        cr_assert_eq(log_end_offset(log), 0);
        cr_assert_eq(read_from(log, 0, 1000, true, &first, &last), 0);
        FileSpan span;
        cr_assert_eq(log_read(log, 1, INT64_MAX, 1000, true, &span), KAFKA_OFFSET_OUT_OF_RANGE);
        assert_ok(log_close(log, NOW));
}

Test(log, offsets_are_assigned_in_order_of_append) {
        Log *log = open_log(how_to_open());
        LogAppend a, b;
        size_t size;
        uint8_t *one = make_batch(TEST_BATCH(.records = 3), &size), *two = make_batch(TEST_BATCH(.records = 2), &size);
        assert_ok(log_append(log, two, size, LOG_ORIGIN_CLIENT, 5, NOW, &a));
        batch_set_base_offset(one, 0);
        BatchHeader header;
        batch_read_header(one, 1000, &header);
        assert_ok(log_append(log, one, batch_size(&header), LOG_ORIGIN_CLIENT, 5, NOW, &b));
        cr_assert(a.base_offset == 0 && a.last_offset == 1 && b.base_offset == 2 && b.last_offset == 4);
        cr_assert(log_is_dirty(log));
        cr_assert_eq(log_end_offset(log), 0, "nothing is committed yet");
        assert_ok(log_commit(log, NOW));
        cr_assert_eq(log_end_offset(log), 5);
        cr_assert_eq(log_latest_epoch(log), 5);
        int64_t first, last;
        cr_assert_gt(read_from(log, 0, 10000, true, &first, &last), 0);
        cr_assert(first == 0 && last == 4);
        free(one);
        free(two);
        assert_ok(log_close(log, NOW));
}

Test(log, every_offset_is_found_across_segments) {
        LogOpen how = how_to_open();
        how.config.segment_bytes = 20000;
        Log *log = open_log(how);
        append_many(log, 500);
        int64_t first, last;
        for (int pass = 0; pass < 2; pass++) {
                cr_assert_gt(log->segment_count, 3);
                for (int64_t offset = 0; offset < 500; offset++) {
                        cr_assert_gt(read_from(log, offset, 1000, true, &first, &last), 0);
                        cr_assert_eq(first, offset);
                }
                assert_ok(log_close(log, NOW));
                how.clean_shutdown = true;
                log = open_log(how);
                cr_assert_eq(log_end_offset(log), 500);
        }
        assert_ok(log_close(log, NOW));
}

Test(log, reads_hold_whole_batches_within_bounds) {
        Log *log = open_log(how_to_open());
        append_many(log, 300);
        int64_t first, last;
        int one = read_from(log, 0, 1, true, &first, &last);
        cr_assert(one > 1 && first == 0 && last == 0);
        cr_assert_eq(read_from(log, 0, one - 1, false, &first, &last), 0);
        cr_assert_eq(read_from(log, 7, one * 3 + one / 2, false, &first, &last), one * 3);
        cr_assert(first == 7 && last == 9);
        FileSpan span;
        assert_ok(log_read(log, 5, 9, INT32_MAX, true, &span));
        cr_assert_eq(span.size, one * 4);
        file_span_release(&span);
        assert_ok(log_read(log, 5, 5, INT32_MAX, true, &span));
        cr_assert_eq(span.size, 0);
        assert_ok(log_close(log, NOW));
}

Test(log, offset_inside_a_batch_gives_the_whole_batch) {
        Log *log = open_log(how_to_open());
        append(log, TEST_BATCH(.records = 10));
        int64_t first, last;
        cr_assert_gt(read_from(log, 4, 10, true, &first, &last), 0);
        cr_assert(first == 0 && last == 9);
        assert_ok(log_close(log, NOW));
}

Test(log, span_outlives_deletion_and_close) {
        LogOpen how = how_to_open();
        Log *log = open_log(how);
        append_many(log, 3);
        FileSpan span;
        assert_ok(log_read(log, 0, INT64_MAX, 1000, true, &span));
        log_abandon(log);
        assert_ok(log_delete_directory(test_log_path));
        uint8_t bytes[BATCH_HEADER_BYTES];
        BatchHeader header;
        cr_assert_eq(pread(span.fd, bytes, sizeof(bytes), span.position), (ssize_t)sizeof(bytes));
        cr_assert_eq(batch_read_header(span.map, (size_t)span.size, &header), 0);
        file_span_release(&span);
        cr_assert_eq(access(test_log_path, F_OK), -1);
}

static int try_changed(Log *log, TestBatch how, size_t at, uint8_t xor, bool fix_crc) {
        size_t size;
        LogAppend result;
        uint8_t *data = make_batch(how, &size);
        data[at] ^= xor;
        if (fix_crc) {
                BatchHeader header;
                int64_t max = NOW;
                batch_read_header(data, size, &header);
                batch_set_max_timestamp(data, max);
        }
        int r = log_append(log, data, size, LOG_ORIGIN_CLIENT, 0, NOW, &result);
        cr_assert(r != 0 || log_is_dirty(log));
        cr_assert(r == 0 || !log_is_dirty(log));
        free(data);
        return r;
}

Test(log, unsound_batches_are_refused) {
        Log *log = open_log(how_to_open());
        TestBatch batch = TEST_BATCH(.records = 2);
        cr_assert_eq(try_changed(log, batch, 70, 1, false), KAFKA_CORRUPT_MESSAGE);
        cr_assert_eq(try_changed(log, batch, 16, 3, false), KAFKA_INVALID_RECORD, "magic 1");
        cr_assert_eq(try_changed(log, batch, 7, 1, false), KAFKA_INVALID_RECORD, "base offset not 0");
        cr_assert_eq(try_changed(log, batch, 11, 1, false), KAFKA_CORRUPT_MESSAGE, "length");
        cr_assert_eq(try_changed(log, batch, 26, 2, true), KAFKA_INVALID_RECORD, "last offset delta");
        cr_assert_eq(try_changed(log, batch, 60, 1, true), KAFKA_INVALID_RECORD, "count");
        cr_assert_eq(try_changed(log, batch, 22, BATCH_CONTROL, true), KAFKA_INVALID_RECORD);
        cr_assert_eq(try_changed(log, batch, 22, 7, true), -EBADMSG);
        cr_assert_eq(try_changed(log, batch, 22, CODEC_GZIP, true), -EBADMSG);
        cr_assert_eq(try_changed(log, batch, 61, 2, true), KAFKA_INVALID_RECORD, "record length");
        cr_assert_eq(try_changed(log, TEST_BATCH(.producer_id = 5, .producer_epoch = 0), 0, 0, true), KAFKA_INVALID_RECORD);
        assert_ok(log_close(log, NOW));
}

Test(log, one_batch_per_client_append_several_for_the_broker) {
        Log *log = open_log(how_to_open());
        size_t size;
        LogAppend result;
        uint8_t *data = make_batch(TEST_BATCH(), &size), *two = malloc(2 * size);
        memcpy(two, data, size);
        memcpy(two + size, data, size);
        cr_assert_eq(log_append(log, two, 2 * size, LOG_ORIGIN_CLIENT, 0, NOW, &result), KAFKA_INVALID_RECORD);
        cr_assert_eq(log_append(log, two, 0, LOG_ORIGIN_CLIENT, 0, NOW, &result), KAFKA_INVALID_RECORD);
        assert_ok(log_append(log, two, 2 * size, LOG_ORIGIN_BROKER, 0, NOW, &result));
        assert_ok(log_commit(log, NOW));
        cr_assert_eq(log_end_offset(log), 2);
        two[2 * size - 1] ^= 1; /* the second is bad: none is queued */
        cr_assert_eq(log_append(log, two, 2 * size, LOG_ORIGIN_BROKER, 0, NOW, &result), KAFKA_CORRUPT_MESSAGE);
        cr_assert_not(log_is_dirty(log));
        free(data);
        free(two);
        assert_ok(log_close(log, NOW));
}

Test(log, limits_of_size_time_and_key_hold) {
        LogOpen how = how_to_open();
        how.config.max_message_bytes = 1000;
        how.config.cleanup_compact = true;
        how.config.message_timestamp_before_max_ms = 5000;
        Log *log = open_log(how);
        LogAppend result;
        cr_assert_eq(try_append(log, TEST_BATCH(.value_bytes = 1000), &result), KAFKA_MESSAGE_TOO_LARGE);
        cr_assert_eq(try_append(log, TEST_BATCH(.records = 3, .without_key = true), &result), KAFKA_INVALID_RECORD);
        cr_assert(result.refusal_count == 3 && result.refusals[2].batch_index == 2);
        cr_assert_eq(result.refusals[0].error, KAFKA_INVALID_RECORD);
        cr_assert_eq(try_append(log, TEST_BATCH(.timestamp_ms = NOW - 5001), &result), KAFKA_INVALID_TIMESTAMP);
        cr_assert_eq(try_append(log, TEST_BATCH(.timestamp_ms = NOW + 3600001), &result), KAFKA_INVALID_TIMESTAMP);
        assert_ok(try_append(log, TEST_BATCH(.timestamp_ms = NOW - 5000, .codec = CODEC_ZSTD), &result));
        assert_ok(log_close(log, NOW));
}

Test(log, log_append_time_replaces_the_producers) {
        LogOpen how = how_to_open();
        how.config.message_timestamp_log_append = true;
        Log *log = open_log(how);
        LogAppend result;
        assert_ok(try_append(log, TEST_BATCH(.timestamp_ms = 5), &result));
        cr_assert_eq(result.log_append_time_ms, NOW);
        LogPosition position;
        assert_ok(log_find_timestamp(log, 6, &position));
        cr_assert(position.offset == 0 && position.timestamp_ms == NOW);
        assert_ok(log_close(log, NOW));
}

Test(log, duplicates_get_the_original_offsets_even_before_commit) {
        Log *log = open_log(how_to_open());
        size_t size;
        LogAppend result;
        TestBatch first = TEST_BATCH(.records = 2, .producer_id = 7, .producer_epoch = 0, .base_sequence = 0);
        append(log, TEST_BATCH());
        uint8_t *one = make_batch(first, &size), *again = make_batch(first, &size);
        assert_ok(log_append(log, one, size, LOG_ORIGIN_CLIENT, 0, NOW, &result));
        cr_assert_not(result.duplicate);
        assert_ok(log_append(log, again, size, LOG_ORIGIN_CLIENT, 0, NOW, &result));
        cr_assert(result.duplicate && result.base_offset == 1 && result.last_offset == 2);
        assert_ok(log_commit(log, NOW));
        cr_assert_eq(log_end_offset(log), 3);
        first.base_sequence = 5;
        cr_assert_eq(try_append(log, first, &result), KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
        free(one);
        free(again);
        assert_ok(log_close(log, NOW));
        LogOpen how = how_to_open();
        how.clean_shutdown = true;
        log = open_log(how);
        first.base_sequence = 0;
        assert_ok(try_append(log, first, &result));
        cr_assert(result.duplicate && result.base_offset == 1, "known after a restart");
        assert_ok(log_close(log, NOW));
}

static int writes_left;

static ssize_t full_disk(int fd, const struct iovec *parts, int count, off_t position) {
        if (writes_left-- > 0)
                return pwritev(fd, parts, count, position);
        ssize_t half = (ssize_t)(parts->iov_len / 2); /* something gets through first */
        if (pwrite(fd, parts->iov_base, (size_t)half, position) != half)
                abort();
        return errno = ENOSPC, -1;
}

Test(log, failed_commit_leaves_no_trace) {
        LogOpen how = how_to_open();
        how.config.segment_bytes = 1000;
        Log *log = open_log(how);
        TestBatch batch = TEST_BATCH(.value_bytes = 300, .producer_id = 7, .producer_epoch = 0, .base_sequence = 0);
        append(log, batch);
        int64_t size_before = log_size_bytes(log);
        for (int passing = 0; passing < 3; passing++) {
                size_t size;
                uint8_t *queued[6];
                LogAppend result;
                for (int i = 0; i < 6; i++) {
                        batch.base_sequence = i + 1;
                        queued[i] = make_batch(batch, &size);
                        assert_ok(log_append(log, queued[i], size, LOG_ORIGIN_CLIENT, 3, NOW, &result));
                }
                writes_left = passing;
                file_ops.pwritev = full_disk;
                cr_assert_eq(log_commit(log, NOW), -ENOSPC);
                file_ops = FILE_OPS_SYSTEM;
                for (int i = 0; i < 6; i++)
                        free(queued[i]);
                cr_assert_eq(log_end_offset(log), 1);
                cr_assert_eq(log_size_bytes(log), size_before);
                cr_assert_eq(size_of(log_file(0, "log")), size_before);
                cr_assert_eq(log->segment_count, 1);
                cr_assert_eq(log_latest_epoch(log), 0);
                cr_assert_not(log_is_dirty(log));
        }
        batch.base_sequence = 1;
        append(log, batch);
        int64_t first, last;
        cr_assert_gt(read_from(log, 0, 10000, true, &first, &last), 0);
        cr_assert_eq(last, 1);
        assert_ok(log_close(log, NOW));
}

static int asked;

static bool have_no_room(void) {
        asked++;
        return false;
}

static int have_no_blocks(const char *path, int flags, mode_t mode) {
        return flags & O_CREAT ? (errno = ENOSPC, -1) : open(path, flags, mode);
}

static void fill_disk(void) {
        writes_left = asked = 0;
        file_ops.pwritev = full_disk;
        file_ops.open = have_no_blocks;
        file_spare_space = have_no_room;
}

static void empty_disk(void) {
        file_ops = FILE_OPS_SYSTEM;
        file_spare_space = NULL;
}

Test(log, only_where_it_is_to_be_spared_a_commit_asks_for_the_last_of_the_disk) {
        for (int spares = 0; spares < 2; spares++) {
                LogOpen how = how_to_open();
                LogAppend result;
                how.spares_space = spares;
                Log *log = open_log(how);
                fill_disk();
                cr_assert_eq(try_append(log, TEST_BATCH(), &result), -ENOSPC);
                cr_assert_eq(asked > 0, spares);
                empty_disk();
                log_abandon(log);
        }
}

/* Syncs a log that was written to for the first time: its file of leader epochs is to be made. Whether that asked for the last of the disk. */
static bool sync_asks(bool spares, bool is_last) {
        LogOpen how = how_to_open();
        how.spares_space = spares;
        Log *log = open_log(how);
        append_many(log, 1);
        LogSync *sync = NULL;
        fill_disk();
        int r = is_last ? log_sync(log) : log_sync_begin(log, true, &sync);
        if (sync) {
                r = log_sync_run(sync);
                log_sync_finish(log, sync, r);
        }
        empty_disk();
        assert_ok(r);
        log_abandon(log);
        return asked > 0;
}

Test(log, nor_does_a_sync) {
        cr_assert_not(sync_asks(false, false));
}

Test(log, a_sync_of_what_is_to_be_spared_does) {
        cr_assert(sync_asks(true, false));
}

/* A clean stop needs it. */
Test(log, the_last_sync_does) {
        cr_assert(sync_asks(false, true));
}

static bool given_back;

static int give_back(int fd, off_t size) {
        given_back = true;
        return ftruncate(fd, size);
}

static ssize_t full_until_given_back(int fd, const struct iovec *parts, int count, off_t position) {
        return given_back ? pwritev(fd, parts, count, position) : (errno = ENOSPC, -1);
}

Test(log, what_is_reserved_behind_a_full_segment_serves_before_a_commit_is_refused) {
        LogOpen how = how_to_open();
        LogAppend result;
        how.config.segment_bytes = 1 << 20;
        Log *log = open_log(how);
        append(log, TEST_BATCH(.value_bytes = 600000));
        cr_assert_gt(log->segments[0]->reserved_end, log->segments[0]->size);
        given_back = false;
        file_ops.ftruncate = give_back;
        file_ops.pwritev = full_until_given_back;
        assert_ok(try_append(log, TEST_BATCH(.value_bytes = 600000), &result));
        file_ops = FILE_OPS_SYSTEM;
        cr_assert_eq(log->segment_count, 2);
        int64_t first, last;
        cr_assert_gt(read_from(log, 1, 1000000, true, &first, &last), 0);
        cr_assert_eq(last, 1);
        assert_ok(log_close(log, NOW));
}

static int broken_sync(int fd) {
        return errno = EIO, -1;
}

Test(log, first_failed_sync_is_final) {
        Log *log = open_log(how_to_open());
        append_many(log, 1);
        file_ops.fdatasync = broken_sync;
        cr_assert_eq(log_sync(log), -EIO);
        file_ops = FILE_OPS_SYSTEM;
        cr_assert_eq(log_sync(log), -EIO);
        cr_assert_eq(log_recovery_point(log), 0);
        LogAppend result;
        cr_assert_eq(try_append(log, TEST_BATCH(), &result), -EIO);
        log_abandon(log);
}

Test(log, one_commit_may_fill_several_segments) {
        LogOpen how = how_to_open();
        how.config.segment_bytes = 1000;
        Log *log = open_log(how);
        uint8_t *queued[2000];
        LogAppend result;
        size_t size;
        for (int i = 0; i < 2000; i++) {
                queued[i] = make_batch(TEST_BATCH(.producer_id = 1, .producer_epoch = 0, .base_sequence = i), &size);
                assert_ok(log_append(log, queued[i], size, LOG_ORIGIN_CLIENT, 0, NOW, &result));
        }
        assert_ok(log_commit(log, NOW));
        for (int i = 0; i < 2000; i++)
                free(queued[i]);
        cr_assert_gt(log->segment_count, 100);
        int64_t first, last;
        for (int64_t offset = 0; offset < 2000; offset += 37) {
                read_from(log, offset, 1, true, &first, &last);
                cr_assert_eq(first, offset);
        }
        assert_ok(log_close(log, NOW));
}

Test(log, timestamps_are_found_exactly) {
        LogOpen how = how_to_open();
        how.config.segment_bytes = 20000;
        Log *log = open_log(how);
        for (int i = 0; i < 400; i++)
                append(log, TEST_BATCH(.records = 3, .timestamp_ms = NOW + i * 10, .codec = i % 5, .value_bytes = 60));
        append(log, TEST_BATCH(.timestamp_ms = NOW - 100));
        LogPosition position;
        for (int i = 0; i < 400; i += 13) {
                assert_ok(log_find_timestamp(log, NOW + i * 10 + 1, &position));
                cr_assert(position.offset == i * 3 + 1 && position.timestamp_ms == NOW + i * 10 + 1);
                assert_ok(log_find_timestamp(log, NOW + i * 10 - 5, &position));
                cr_assert_eq(position.offset, i * 3);
        }
        assert_ok(log_find_timestamp(log, NOW + 100000, &position));
        cr_assert_eq(position.offset, -1);
        assert_ok(log_find_max_timestamp(log, &position));
        cr_assert(position.offset == 399 * 3 + 2 && position.timestamp_ms == NOW + 3992);
        assert_ok(log_close(log, NOW));
}

static void append_at(Log *log, int count, int64_t now_ms) {
        for (int i = 0; i < count; i++) {
                size_t size;
                uint8_t *data = make_batch(TEST_BATCH(.value_bytes = 100), &size);
                LogAppend result;
                assert_ok(log_append(log, data, size, LOG_ORIGIN_CLIENT, 0, now_ms, &result));
                assert_ok(log_commit(log, now_ms));
                free(data);
        }
}

/* The largest timestamp goes on to count, for the index as for retention. */
Test(log, nothing_is_lost_when_the_clock_goes_back) {
        LogOpen how = how_to_open();
        LogPosition position;
        int64_t early = NOW - 86400000, first, last;
        how.config.message_timestamp_log_append = true;
        how.config.segment_bytes = 1000;
        how.config.index_interval_bytes = 0;
        how.config.segment_ms = how.config.retention_ms = 1000;
        Log *log = open_log(how);
        append_at(log, 9, NOW);
        append_at(log, 20, early);
        cr_assert_eq(log_retain(log, early), 0);
        append_at(log, 5, early + 500);
        for (int i = 0; i < 2; i++) {
                cr_assert(log_start_offset(log) == 0 && log_end_offset(log) == 34);
                for (int64_t offset = 0; offset < 34; offset++) {
                        cr_assert_gt(read_from(log, offset, 1, true, &first, &last), 0);
                        cr_assert_eq(first, offset);
                }
                assert_ok(log_find_timestamp(log, NOW, &position));
                cr_assert(position.offset == 0 && position.timestamp_ms == NOW);
                assert_ok(log_find_timestamp(log, early, &position));
                cr_assert_eq(position.offset, 0);
                assert_ok(log_find_timestamp(log, NOW + 1, &position));
                cr_assert_eq(position.offset, -1);
                if (i == 0) { /* a crash, and the clock is further back */
                        log_abandon(log);
                        how.now_ms = early - 86400000;
                        log = open_log(how);
                }
        }
        cr_assert_gt(log_retain(log, NOW + 1001), 0);
        cr_assert_eq(log_start_offset(log), 34);
        append_at(log, 1, NOW + 1001);
        assert_ok(log_close(log, NOW));
}

Test(log, idle_open_log_is_small) {
        Log *log = open_log(how_to_open());
        append_many(log, 1);
        assert_ok(log_close(log, NOW));
        LogOpen how = how_to_open();
        how.clean_shutdown = true;
        log = open_log(how);
        cr_assert_leq(sizeof(*log) + sizeof(Segment) + log->queue_capacity * sizeof(QueuedBatch), 2048);
        cr_assert_null(log_active(log)->map);
        assert_ok(log_close(log, NOW));
}

static int64_t open_transaction;

static void note_producer(const LogProducer *producer, void *data) {
        open_transaction = producer->txn_start_offset;
}

static void append_marker(Log *log, int type) {
        BatchBuilder builder;
        LogAppend result;
        char key[4] = { 0, 0, 0, (char)type }, value[6] = { 0, 0, 0, 0, 0, 9 };
        batch_builder_init(&builder, BATCH_CONTROL | BATCH_TRANSACTIONAL, 7, 0, -1);
        batch_builder_add(&builder, NOW, (Str){ key, 4 }, (Str){ value, 6 }, NULL, 0);
        assert_ok(batch_builder_finish(&builder, 0));
        assert_ok(log_append(log, builder.out.data, builder.out.size, LOG_ORIGIN_BROKER, 0, NOW, &result));
        assert_ok(log_commit(log, NOW));
        batch_builder_deinit(&builder);
}

Test(log, markers_end_transactions_also_on_replay) {
        LogOpen how = how_to_open();
        Log *log = open_log(how);
        LogAppend result;
        append(log, TEST_BATCH());
        append(log, TEST_BATCH(.attributes = BATCH_TRANSACTIONAL, .producer_id = 7, .producer_epoch = 0, .base_sequence = 0));
        log_each_producer(log, note_producer, NULL);
        cr_assert_eq(open_transaction, 1);
        cr_assert_eq(try_append(log, TEST_BATCH(.producer_id = 7, .producer_epoch = 0, .base_sequence = 1), &result),
                     KAFKA_INVALID_TXN_STATE);
        append_marker(log, 1);
        log_each_producer(log, note_producer, NULL);
        cr_assert_eq(open_transaction, -1);
        log_abandon(log); /* no snapshot */
        log = open_log(how);
        open_transaction = 5;
        log_each_producer(log, note_producer, NULL);
        cr_assert_eq(open_transaction, -1);
        append(log, TEST_BATCH(.producer_id = 7, .producer_epoch = 0, .base_sequence = 1));
        assert_ok(log_close(log, NOW));
}

static int producer_count;

static void count_producer(const LogProducer *producer, void *data) {
        producer_count++;
}

static void assert_producers(const Log *log, int count) {
        producer_count = 0;
        log_each_producer(log, count_producer, NULL);
        cr_assert_eq(producer_count, count);
}

Test(log, producers_are_limited_also_on_replay) {
        LogOpen how = how_to_open();
        how.config.producers_max = 3;
        Log *log = open_log(how);
        for (int i = 0; i < 5; i++)
                append(log, TEST_BATCH(.producer_id = 7 + i, .producer_epoch = 0, .base_sequence = 0));
        assert_producers(log, 3);
        log_abandon(log); /* no snapshot */
        log = open_log(how);
        assert_producers(log, 3);
        how.config.producers_max = 2;
        log_set_config(log, &how.config);
        append(log, TEST_BATCH(.producer_id = 1, .producer_epoch = 0, .base_sequence = 0));
        assert_producers(log, 2);
        assert_ok(log_close(log, NOW));
}

Test(log, epochs_survive_a_restart) {
        LogOpen how = how_to_open();
        Log *log = open_log(how);
        LogAppend result;
        for (int epoch = 1; epoch <= 3; epoch++) {
                size_t size;
                uint8_t *data = make_batch(TEST_BATCH(.records = 5), &size);
                assert_ok(log_append(log, data, size, LOG_ORIGIN_CLIENT, epoch, NOW, &result));
                assert_ok(log_commit(log, NOW));
                free(data);
        }
        assert_ok(log_sync(log));
        log_abandon(log);
        cr_assert_eq(unlink(strcat(strcpy((char[128]){ 0 }, test_log_path), "/leader-epoch-checkpoint")), 0);
        log = open_log(how);
        int32_t epoch;
        int64_t end;
        log_epoch_end(log, 3, 2, &epoch, &end);
        cr_assert(epoch == 2 && end == 10);
        log_epoch_end(log, 5, 4, &epoch, &end);
        cr_assert(epoch == 3 && end == 15, "an epoch without records ends with the one before it");
        log_epoch_end(log, 5, 5, &epoch, &end);
        cr_assert(epoch == 5 && end == 15, "the current epoch is known before it has records");
        log_epoch_end(log, 5, 6, &epoch, &end);
        cr_assert(epoch == -1 && end == -1);
        assert_ok(log_close(log, NOW));
}

Test(log, without_records_only_the_current_epoch_is_known) {
        Log *log = open_log(how_to_open());
        int32_t epoch;
        int64_t end;
        log_epoch_end(log, 2, 2, &epoch, &end);
        cr_assert(epoch == 2 && end == 0);
        log_epoch_end(log, 2, -7, &epoch, &end);
        cr_assert(epoch == -7 && end == 0, "one before it ends where it begins");
        log_epoch_end(log, 2, -1, &epoch, &end);
        cr_assert(epoch == -1 && end == -1);
        log_epoch_end(log, 2, 3, &epoch, &end);
        cr_assert(epoch == -1 && end == -1);
        assert_ok(log_close(log, NOW));
}
