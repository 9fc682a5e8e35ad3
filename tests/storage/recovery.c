/* What a crash leaves, and what the log makes of it. */
#include "tests/storage/support.h"

#include <sys/mman.h>

#include "storage/log_internal.h"

TestSuite(recovery, .init = test_setup, .fini = test_teardown);

static int count_files(const char *pattern) {
        char command[256], line[32] = "";
        snprintf(command, sizeof(command), "ls %s | grep -c -- '%s'", test_log_path, pattern);
        FILE *out = popen(command, "r");
        cr_assert(fgets(line, sizeof(line), out));
        pclose(out);
        return atoi(line);
}

Test(recovery, killed_log_keeps_every_committed_record) {
        LogOpen how = how_to_open();
        how.config.segment_bytes = 20000;
        Log *log = open_log(how);
        append_many(log, 500);
        log_abandon(log);
        log = open_log(how);
        int64_t first, last;
        cr_assert_eq(log_end_offset(log), 500);
        cr_assert_eq(log_recovery_point(log), 0, "reading back is no sync");
        assert_ok(log_sync(log));
        cr_assert_eq(log_recovery_point(log), 500);
        for (int64_t offset = 0; offset < 500; offset += 9) {
                read_from(log, offset, 1, true, &first, &last);
                cr_assert_eq(first, offset);
        }
        cr_assert_eq(count_files("torn"), 0);
        assert_ok(log_close(log, NOW));
}

Test(recovery, tail_torn_at_any_byte_is_set_aside) {
        for (int cut = 1; cut < 190; cut += 3) {
                LogOpen how = how_to_open();
                Log *log = open_log(how);
                append_many(log, 3);
                log_abandon(log);
                int64_t size = size_of(log_file(0, "log")), whole = size / 3;
                cr_assert_eq(truncate(log_file(0, "log"), size - (cut < whole ? cut : whole - 1)), 0);
                log = open_log(how);
                cr_assert_eq(log_end_offset(log), 2);
                cr_assert_eq(count_files("torn"), 1);
                append_many(log, 1);
                log_abandon(log);
                log = open_log(how);
                cr_assert_eq(log_end_offset(log), 3);
                cr_assert_eq(count_files("torn"), 1, "a second recovery is a no-op");
                log_abandon(log);
                assert_ok(log_delete_directory(test_log_path));
        }
}

Test(recovery, bad_crc_above_the_recovery_point_cuts_there) {
        LogOpen how = how_to_open();
        how.config.segment_bytes = 2000;
        Log *log = open_log(how);
        append_many(log, 50);
        int64_t base = log->segments[1]->base_offset;
        log_abandon(log);
        flip_byte(log_file(base, "log"), -1);
        log = open_log(how);
        cr_assert_gt(log_end_offset(log), base);
        cr_assert_eq(log->segment_count, 2);
        cr_assert_gt(count_files("torn"), 1);
        append_many(log, 10);
        int64_t first, last;
        for (int64_t offset = 0; offset < log_end_offset(log); offset++) {
                read_from(log, offset, 1, true, &first, &last);
                cr_assert_eq(first, offset);
        }
        assert_ok(log_close(log, NOW));
}

Test(recovery, damage_below_the_recovery_point_is_refused_and_left_alone) {
        LogOpen how = how_to_open();
        Log *log = open_log(how);
        append_many(log, 20);
        log_abandon(log);
        int64_t size = size_of(log_file(0, "log"));
        how.recovery_point = 20;
        cr_assert_eq(truncate(log_file(0, "log"), size - 1), 0);
        cr_assert_eq(log_open(&how, &log), -EUCLEAN);
        cr_assert_eq(size_of(log_file(0, "log")), size - 1);
        how.recovery_point = 5;
        flip_byte(log_file(0, "log"), size / 20 * 3 + 9);
        cr_assert_eq(log_open(&how, &log), -EUCLEAN);
        cr_assert_eq(size_of(log_file(0, "log")), size - 1);
        cr_assert_eq(count_files("torn"), 0);
}

Test(recovery, torn_tail_after_a_clean_stop_is_damage) {
        LogOpen how = how_to_open();
        Log *log = open_log(how);
        append_many(log, 20);
        assert_ok(log_close(log, NOW));
        how.clean_shutdown = true;
        cr_assert_eq(truncate(log_file(0, "log"), size_of(log_file(0, "log")) - 1), 0);
        cr_assert_eq(log_open(&how, &log), -EUCLEAN);
}

/* A start after a clean stop looks at no checksum, which would have told. */
Test(recovery, a_batch_that_goes_back_is_damage_after_a_clean_stop) {
        enum { LAST_OFFSET_DELTA_AT = 23 };
        for (int count = 1; count <= 3; count++) {
                LogOpen how = how_to_open();
                Log *log = open_log(how);
                append_many(log, count);
                assert_ok(log_close(log, NOW));
                int fd = open(log_file(0, "log"), O_WRONLY);
                cr_assert_eq(pwrite(fd, (uint8_t[]){ 0xff, 0xff, 0xff, 0xfd }, 4, LAST_OFFSET_DELTA_AT), 4);
                close(fd);
                how.clean_shutdown = true;
                cr_assert_eq(log_open(&how, &log), -EUCLEAN, "the first of %d", count);
                assert_ok(log_delete_directory(test_log_path));
        }
}

Test(recovery, missing_derived_files_are_built_again) {
        LogOpen how = how_to_open();
        how.config.segment_bytes = 30000;
        Log *log = open_log(how);
        for (int i = 0; i < 400; i++)
                append(log, TEST_BATCH(.timestamp_ms = NOW + i, .value_bytes = 100, .producer_id = 4, .producer_epoch = 0, .base_sequence = i));
        assert_ok(log_close(log, NOW));
        char command[256];
        snprintf(command, sizeof(command), "cd %s && mkdir ../kept && mv *.index *.timeindex ../kept && rm *.snapshot leader*", test_log_path);
        cr_assert_eq(system(command), 0);
        log = open_log(how);
        LogAppend result;
        assert_ok(try_append(log, TEST_BATCH(.value_bytes = 100, .timestamp_ms = NOW + 399, .producer_id = 4, .producer_epoch = 0, .base_sequence = 399), &result));
        cr_assert(result.duplicate && result.base_offset == 399);
        assert_ok(log_close(log, NOW));
        snprintf(command, sizeof(command), "cd %s && for f in *.index *.timeindex; do cmp $f ../kept/$f || exit 1; done", test_log_path);
        cr_assert_eq(system(command), 0);
}

/* A client that had five requests under way sends all of them again. */
Test(recovery, last_five_batches_of_each_producer_are_known_again) {
        for (int round = 0; round < 4; round++) {
                LogOpen how = how_to_open();
                how.config.segment_bytes = round < 2 ? 500 : 30000;
                how.clean_shutdown = round % 2;
                Log *log = open_log(how);
                for (int i = 0; i < 100; i++)
                        append(log, TEST_BATCH(.value_bytes = 100, .producer_id = 4 + i % 3, .producer_epoch = 0, .base_sequence = i / 3));
                if (how.clean_shutdown)
                        assert_ok(log_close(log, NOW));
                else {
                        assert_ok(log_sync(log));
                        how.recovery_point = 100;
                        log_write_snapshot(log, 100);
                        log_abandon(log);
                }
                log = open_log(how);
                LogAppend result;
                for (int i = 85; i < 100; i++) {
                        TestBatch again = TEST_BATCH(.value_bytes = 100, .producer_id = 4 + i % 3, .producer_epoch = 0, .base_sequence = i / 3);
                        assert_ok(try_append(log, again, &result));
                        cr_assert(result.duplicate && result.base_offset == i, "round %d, batch %d", round, i);
                }
                TestBatch older = TEST_BATCH(.value_bytes = 100, .producer_id = 4, .producer_epoch = 0, .base_sequence = 28);
                cr_assert_eq(try_append(log, older, &result), KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
                TestBatch next = TEST_BATCH(.value_bytes = 100, .producer_id = 4, .producer_epoch = 0, .base_sequence = 34);
                assert_ok(try_append(log, next, &result));
                cr_assert_not(result.duplicate);
                assert_ok(log_close(log, NOW));
                assert_ok(log_delete_directory(test_log_path));
        }
}

Test(recovery, sealed_indexes_lost_after_a_clean_stop_are_built_again) {
        LogOpen how = how_to_open();
        how.config.segment_bytes = 30000;
        Log *log = open_log(how);
        append_many(log, 400);
        assert_ok(log_close(log, NOW));
        char command[256];
        snprintf(command, sizeof(command), "cd %s && rm *.index && for f in *.timeindex; do echo x > $f; done", test_log_path);
        cr_assert_eq(system(command), 0);
        how.clean_shutdown = true;
        log = open_log(how);
        int64_t first, last;
        for (int64_t offset = 0; offset < 400; offset += 3) {
                read_from(log, offset, 1, true, &first, &last);
                cr_assert_eq(first, offset);
        }
        LogPosition position;
        assert_ok(log_find_timestamp(log, NOW + 100, &position));
        cr_assert_eq(position.offset, 100);
        assert_ok(log_close(log, NOW));
}

Test(recovery, snapshot_ahead_of_the_log_is_dropped) {
        LogOpen how = how_to_open();
        Log *log = open_log(how);
        TestBatch batch = TEST_BATCH(.producer_id = 4, .producer_epoch = 0, .base_sequence = 0);
        append(log, batch);
        batch.base_sequence = 1;
        append(log, batch);
        assert_ok(log_close(log, NOW));
        cr_assert_eq(truncate(log_file(0, "log"), size_of(log_file(0, "log")) - 1), 0);
        log = open_log(how);
        cr_assert_eq(log_end_offset(log), 1);
        LogAppend result;
        assert_ok(try_append(log, batch, &result));
        cr_assert_not(result.duplicate);
        assert_ok(log_close(log, NOW));
}

/* Or it would be found, and taken for damage, as soon as the recovery point is past it. */
Test(recovery, unsound_snapshot_goes) {
        for (int start = 0; start < 32; start += 16) {
                for (int trusted = 0; trusted < 2; trusted++) {
                        LogOpen how = how_to_open();
                        how.log_start_offset = start;
                        Log *log = open_log(how);
                        append_many(log, 10);
                        log_abandon(log);
                        char path[160];
                        snprintf(path, sizeof(path), "%s/%020d.snapshot", test_log_path, start);
                        FILE *file = fopen(path, "w");
                        fputs("no snapshot", file);
                        fclose(file);
                        how.clean_shutdown = trusted;
                        log = open_log(how);
                        cr_assert_eq(log_end_offset(log), start + 10);
                        log_abandon(log);
                        cr_assert_eq(access(path, F_OK), -1);
                        assert_ok(log_delete_directory(test_log_path));
                }
        }
}

Test(recovery, log_that_ends_below_its_start_goes_on_there) {
        LogOpen how = how_to_open();
        Log *log = open_log(how);
        append_many(log, 5);
        log_abandon(log);
        how.log_start_offset = 100;
        log = open_log(how);
        cr_assert_eq(log_start_offset(log), 100);
        cr_assert_eq(log_end_offset(log), 100);
        append_many(log, 1);
        cr_assert_eq(log_end_offset(log), 101);
        assert_ok(log_close(log, NOW));
}

Test(recovery, restarts_without_writes_change_nothing) {
        LogOpen how = how_to_open();
        Log *log = open_log(how);
        append_many(log, 100);
        assert_ok(log_close(log, NOW));
        how.clean_shutdown = true;
        char command[256];
        snprintf(command, sizeof(command), "cp -r %s %s/before", test_log_path, test_dir);
        cr_assert_eq(system(command), 0);
        for (int i = 0; i < 2; i++)
                assert_ok(log_close(open_log(how), NOW));
        snprintf(command, sizeof(command), "diff -r %s %s/before", test_log_path, test_dir);
        cr_assert_eq(system(command), 0);
}

static void copy_log(const char *to) {
        char command[256];
        snprintf(command, sizeof(command), "rm -rf %s/%s && cp -r %s %s/%s", test_dir, to, test_log_path, test_dir, to);
        cr_assert_eq(system(command), 0);
}

static bool same_as(const char *copy) {
        char command[256];
        snprintf(command, sizeof(command), "diff -rq %s %s/%s >&2", test_log_path, test_dir, copy);
        return system(command) == 0;
}

static void append_numbered(Log *log, int from, int to) {
        for (int i = from; i < to; i++)
                append(log, TEST_BATCH(.timestamp_ms = NOW + (i * 37) % 1000, .value_bytes = 100, .producer_id = 4,
                                       .producer_epoch = 0, .base_sequence = i));
}

Test(recovery, second_recovery_changes_nothing) {
        LogOpen how = how_to_open();
        how.config.segment_bytes = 30000;
        Log *log = open_log(how);
        append_numbered(log, 0, 700);
        int64_t last = log_active(log)->base_offset;
        log_abandon(log);
        cr_assert_eq(truncate(log_file(last, "log"), 500), 0);
        log_abandon(open_log(how));
        copy_log("once");
        for (int i = 0; i < 2; i++) {
                log_abandon(open_log(how));
                cr_assert(same_as("once"));
        }
}

Test(recovery, derived_files_are_those_of_a_log_that_was_never_killed) {
        LogOpen how = how_to_open();
        how.config.segment_bytes = 60000;
        Log *log = open_log(how);
        append_numbered(log, 0, 1500);
        assert_ok(log_close(log, NOW));
        copy_log("fresh");
        assert_ok(log_delete_directory(test_log_path));
        log = open_log(how);
        for (int i = 0; i < 1500; i += 100) {
                append_numbered(log, i, i + 100);
                if (i == 0)
                        assert_ok(log_sync(log)); /* files below the recovery point are not looked at */
                how.recovery_point = log_recovery_point(log);
                log_abandon(log);
                char command[256];
                if (i % 400 == 0)
                        snprintf(command, sizeof(command), "rm -f %s/*.index %s/*.snapshot", test_log_path, test_log_path);
                else
                        snprintf(command, sizeof(command), "for f in %s/*.timeindex; do [ ! -f $f ] || echo rot > $f; done", test_log_path);
                cr_assert_eq(system(command), 0);
                log = open_log(how);
        }
        assert_ok(log_close(log, NOW));
        cr_assert(same_as("fresh"));
}

static int64_t bytes_read;

static ssize_t counting_pread(int fd, void *data, size_t size, off_t position) {
        ssize_t got = pread(fd, data, size, position);
        bytes_read += got > 0 ? got : 0;
        return got;
}

static int counting_madvise(void *data, size_t size, int advice) {
        int r = madvise(data, size, advice);
        bytes_read += r == 0 ? (int64_t)size : 0;
        return r;
}

Test(recovery, reads_what_is_unflushed_and_little_more) {
        LogOpen how = how_to_open();
        how.config.index_interval_bytes = 512;
        Log *log = open_log(how);
        for (int i = 0; i < 40; i++) {
                append_numbered(log, i * 200, i * 200 + 200);
                assert_ok(log_sync(log));
        }
        append_numbered(log, 8000, 8010);
        int64_t size = log_size_bytes(log);
        how.recovery_point = log_recovery_point(log);
        log_abandon(log);
        file_ops.pread = counting_pread;
        file_ops.madvise = counting_madvise;
        log = open_log(how);
        cr_assert_eq(log_end_offset(log), 8010);
        cr_assert_gt(size, 1000000);
        cr_assert_lt(bytes_read, size * 6 / 10, "%" PRId64 " of %" PRId64, bytes_read, size);
        file_ops = FILE_OPS_SYSTEM;
        assert_ok(log_close(log, NOW));
}

/* Fails the n-th operation that changes the disk, and all after it: the process died there. */
static int operations_left;

static bool dead(void) {
        return operations_left-- <= 0 ? (errno = EIO, true) : false;
}

static ssize_t dying_pwritev(int fd, const struct iovec *parts, int count, off_t position) {
        return dead() ? -1 : pwritev(fd, parts, count, position);
}
static int dying_fsync(int fd) {
        return dead() ? -1 : fsync(fd);
}
static int dying_fdatasync(int fd) {
        return dead() ? -1 : fdatasync(fd);
}
static int dying_ftruncate(int fd, off_t size) {
        return dead() ? -1 : ftruncate(fd, size);
}
static int dying_rename(const char *from, const char *to) {
        return dead() ? -1 : rename(from, to);
}
static int dying_unlink(const char *path) {
        return dead() ? -1 : unlink(path);
}
static int dying_open(const char *path, int flags, mode_t mode) {
        return flags & O_CREAT && dead() ? -1 : open(path, flags, mode);
}

Test(recovery, death_at_every_operation_loses_nothing_acknowledged, .timeout = 120) {
        for (int n = 0;; n++) {
                LogOpen how = how_to_open();
                how.config.segment_bytes = 600;
                operations_left = n;
                file_ops.open = dying_open;
                file_ops.pwritev = dying_pwritev;
                file_ops.fsync = dying_fsync;
                file_ops.fdatasync = dying_fdatasync;
                file_ops.ftruncate = dying_ftruncate;
                file_ops.rename = dying_rename;
                file_ops.unlink = dying_unlink;
                Log *log = NULL;
                int64_t acknowledged = 0;
                LogAppend result;
                if (log_open(&how, &log) == 0) {
                        for (int i = 0; i < 12; i++)
                                if (try_append(log, TEST_BATCH(.value_bytes = 100), &result) == 0)
                                        acknowledged = result.last_offset + 1;
                        log_sync(log);
                        log_abandon(log);
                }
                bool alive = operations_left > 0;
                file_ops = FILE_OPS_SYSTEM;
                log = open_log(how);
                cr_assert_geq(log_end_offset(log), acknowledged, "operation %d", n);
                int64_t first, last;
                for (int64_t offset = 0; offset < acknowledged; offset++) {
                        read_from(log, offset, 1, true, &first, &last);
                        cr_assert_eq(first, offset);
                }
                append_many(log, 1);
                assert_ok(log_close(log, NOW));
                assert_ok(log_delete_directory(test_log_path));
                if (alive)
                        break;
        }
}

/* ---- after a failed sync: what is read may not be on the disk ---- */

static int64_t again_from, again_end, again_bytes; /* of segments' bytes that were written */

/* Each segment's come in order, and are what is there. */
static ssize_t noting_pwritev(int fd, const struct iovec *parts, int count, off_t position) {
        if (ends_with(path_of(fd), ".log")) {
                int64_t size = (int64_t)parts->iov_len;
                char *there = malloc((size_t)size);
                cr_assert_eq(count, 1);
                cr_assert_eq(pread(fd, there, (size_t)size, position), size);
                cr_assert_arr_eq(there, parts->iov_base, (size_t)size);
                free(there);
                if (again_bytes == 0)
                        again_from = position;
                cr_assert(again_bytes == 0 || position == again_end || position == 0);
                again_end = position + size;
                again_bytes += size;
        }
        return pwritev(fd, parts, count, position);
}

/* Opens and abandons. */
static void note_what_is_written(LogOpen how, int64_t end_offset) {
        again_bytes = 0;
        file_ops.pwritev = noting_pwritev;
        Log *log = open_log(how);
        file_ops.pwritev = pwritev;
        cr_assert_eq(log_end_offset(log), end_offset);
        cr_assert_eq(log_recovery_point(log), how.recovery_point, "reading back is no sync");
        log_abandon(log);
}

Test(recovery, what_a_failed_sync_left_is_written_again_from_the_recovery_point_on) {
        LogOpen how = how_to_open();
        how.config.segment_bytes = 900000;
        Log *log = open_log(how);
        append_many(log, 1000);
        assert_ok(log_sync(log));
        int64_t synced = log_size_bytes(log);
        append_many(log, 4000);
        append(log, TEST_BATCH(.value_bytes = 700000));
        append_many(log, 3000);
        int64_t size = log_size_bytes(log);
        cr_assert_gt(log->segment_count, 2);
        how.recovery_point = 1000;
        log_abandon(log);
        note_what_is_written(how, 8001);
        cr_assert_eq(again_bytes, 0);
        how.writes_again = true;
        for (int i = 0; i < 2; i++) { /* also when the first one was killed */
                note_what_is_written(how, 8001);
                cr_assert_eq(again_from, synced);
                cr_assert_eq(again_bytes, size - synced);
        }
        log = open_log(how);
        cr_assert(log->segments[0]->unsynced && log_active(log)->unsynced, "the sync passes over it");
        assert_ok(log_sync(log));
        cr_assert_eq(log_recovery_point(log), 8001);
        assert_ok(log_close(log, NOW));
        how.recovery_point = 8001;
        note_what_is_written(how, 8001);
        cr_assert_eq(again_bytes, 0);
}

Test(recovery, a_torn_tail_is_not_written_again) {
        LogOpen how = how_to_open();
        Log *log = open_log(how);
        append_many(log, 10);
        int64_t size = log_size_bytes(log);
        log_abandon(log);
        cr_assert_eq(truncate(log_file(0, "log"), size - 1), 0);
        how.writes_again = true;
        note_what_is_written(how, 9);
        cr_assert_eq(again_bytes, size / 10 * 9);
        cr_assert_eq(count_files("torn"), 1);
}

static int64_t index_bytes_written;

static ssize_t counting_index_writes(int fd, const struct iovec *parts, int count, off_t position) {
        if (ends_with(path_of(fd), ".index") && position == 0)
                index_bytes_written += (int64_t)parts->iov_len;
        return pwritev(fd, parts, count, position);
}

/* They hold entries of both sides of the recovery point. */
Test(recovery, indexes_and_what_describes_the_log_are_written_again_too) {
        LogOpen how = how_to_open();
        how.config.index_interval_bytes = 100;
        Log *log = open_log(how);
        append_many(log, 1000);
        assert_ok(log_sync(log));
        append_many(log, 1000);
        assert_ok(log_close(log, NOW));
        int64_t size = size_of(log_file(0, "index"));
        how.recovery_point = 1500;
        how.writes_again = true;
        log = open_log(how);
        cr_assert(log->description_unsynced);
        file_ops.pwritev = counting_index_writes;
        assert_ok(log_close(log, NOW));
        cr_assert_eq(index_bytes_written, size);
}
