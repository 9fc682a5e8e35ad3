/* Descriptors and mappings of segments: opened on use, closed when others were used more lately. */
#include "tests/storage/support.h"

#include "storage/log_internal.h"

TestSuite(segment_files, .init = test_setup, .fini = test_teardown);

#define LOGS 40

static Log *open_numbered(int i) {
        static char path[128];
        LogOpen how = how_to_open();
        snprintf(path, sizeof(path), "%s/topic-%d", test_dir, i);
        how.path = path;
        return open_log(how);
}

static void read_one(Log *log, FileSpan *ret_span) {
        assert_ok(log_read(log, 0, INT64_MAX, 1 << 20, true, ret_span));
        cr_assert_gt(ret_span->size, 0);
}

Test(segment_files, idle_logs_have_none_and_used_ones_share_the_limit) {
        Log *logs[LOGS];
        int opened, mapped;
        segment_files_limit(5, 9);
        for (int i = 0; i < LOGS; i++)
                logs[i] = open_numbered(i);
        for (int i = 0; i < LOGS; i++)
                cr_assert_eq(log_active(logs[i])->fd, -1);
        for (int round = 0; round < 3; round++)
                for (int i = 0; i < LOGS; i++) {
                        FileSpan span;
                        append(logs[i], TEST_BATCH());
                        read_one(logs[i], &span);
                        file_span_release(&span);
                }
        segment_files_count(&opened, &mapped);
        cr_assert_eq(opened, 5);
        cr_assert_eq(mapped, 9);
        int with_descriptor = 0, with_mapping = 0;
        for (int i = 0; i < LOGS; i++) {
                with_descriptor += log_active(logs[i])->fd >= 0;
                with_mapping += log_active(logs[i])->map != NULL;
                cr_assert_eq(log_end_offset(logs[i]), 3);
        }
        cr_assert_eq(with_descriptor, 5);
        cr_assert_eq(with_mapping, 9);
        for (int i = 0; i < LOGS; i++)
                assert_ok(log_close(logs[i], NOW));
        segment_files_count(&opened, &mapped);
        cr_assert(opened == 0 && mapped == 0);
}

Test(segment_files, unreleased_span_keeps_descriptor_and_mapping) {
        FileSpan held, span;
        Log *first = open_numbered(0);
        segment_files_limit(1, 1);
        append(first, TEST_BATCH());
        read_one(first, &held);
        cr_assert_not_null(held.map);
        for (int i = 1; i < LOGS; i++) {
                Log *log = open_numbered(i);
                append(log, TEST_BATCH());
                read_one(log, &span);
                file_span_release(&span);
                log_abandon(log);
        }
        BatchHeader header;
        uint8_t bytes[BATCH_HEADER_BYTES];
        assert_ok(batch_read_header(held.map, (size_t)held.size, &header));
        cr_assert_eq(pread(held.fd, bytes, sizeof(bytes), held.position), (ssize_t)sizeof(bytes));
        cr_assert_arr_eq(bytes, held.map, sizeof(bytes));
        file_span_release(&held);
        Log *other = open_numbered(LOGS);
        append(other, TEST_BATCH());
        cr_assert_eq(log_active(first)->fd, -1, "released, it is the oldest");
        log_abandon(other);
        log_abandon(first);
}

Test(segment_files, failed_write_is_cut_off_though_the_descriptor_was_closed) {
        segment_files_limit(1, 1);
        Log *first = open_numbered(0), *other = open_numbered(1);
        append(first, TEST_BATCH());
        int64_t size = log_size_bytes(first);
        append(other, TEST_BATCH());
        cr_assert_eq(log_active(first)->fd, -1);
        append(first, TEST_BATCH());
        assert_ok(log_close(first, NOW));
        first = open_numbered(0);
        cr_assert_eq(log_size_bytes(first), 2 * size);
        log_abandon(first);
        log_abandon(other);
}

static int opens_left;

static int scarce_open(const char *path, int flags, mode_t mode) {
        if (opens_left == 0)
                return errno = EMFILE, -1;
        int fd = open(path, flags, mode);
        opens_left -= fd >= 0;
        return fd;
}

static int counting_close(int fd) {
        opens_left++;
        return close(fd);
}

Test(segment_files, descriptor_limit_closes_others_before_a_write_fails) {
        Log *logs[10];
        for (int i = 0; i < 10; i++)
                logs[i] = open_numbered(i);
        file_ops.open = scarce_open;
        file_ops.close = counting_close;
        opens_left = 3;
        for (int round = 0; round < 2; round++)
                for (int i = 0; i < 10; i++)
                        append(logs[i], TEST_BATCH());
        for (int i = 0; i < 10; i++) {
                cr_assert_eq(log_end_offset(logs[i]), 2);
                assert_ok(log_close(logs[i], NOW));
        }
}

/* However many logs are being synced, there are descriptors for what goes on. */
Test(segment_files, syncs_keep_only_some_descriptors) {
        Log *logs[10];
        LogSync *syncs[10];
        for (int i = 0; i < 10; i++)
                logs[i] = open_numbered(i);
        segment_files_limit(4, 9);
        file_ops.open = scarce_open;
        file_ops.close = counting_close;
        opens_left = 4;
        for (int i = 0; i < 10; i++) {
                append(logs[i], TEST_BATCH());
                assert_ok(log_sync_begin(logs[i], false, &syncs[i]));
                cr_assert_not_null(syncs[i]);
        }
        for (int i = 0; i < 10; i++)
                append(logs[i], TEST_BATCH());
        for (int i = 0; i < 10; i++) {
                assert_ok(log_sync_run(syncs[i]));
                log_sync_finish(logs[i], syncs[i], 0);
                cr_assert_eq(log_recovery_point(logs[i]), 1);
        }
        for (int i = 0; i < 10; i++)
                assert_ok(log_close(logs[i], NOW));
}

static int cutting_ftruncate_fails(int fd, off_t size) {
        return errno = EIO, -1;
}

static ssize_t short_pwritev(int fd, const struct iovec *parts, int count, off_t position) {
        static bool half;
        half = !half;
        return half ? pwrite(fd, parts->iov_base, 20, position) : (errno = ENOSPC, -1);
}

Test(segment_files, nothing_follows_what_a_failed_write_left) {
        LogAppend result;
        Log *log = open_numbered(0);
        append(log, TEST_BATCH());
        file_ops.pwritev = short_pwritev;
        file_ops.ftruncate = cutting_ftruncate_fails;
        cr_assert_eq(try_append(log, TEST_BATCH(), &result), -ENOSPC);
        file_ops.pwritev = FILE_OPS_SYSTEM.pwritev;
        cr_assert_eq(try_append(log, TEST_BATCH(), &result), -EIO, "the remains are still there");
        file_ops = FILE_OPS_SYSTEM;
        append(log, TEST_BATCH());
        cr_assert_eq(log_end_offset(log), 2);
        cr_assert_eq(log_size_bytes(log), size_of(log_file(0, "log")));
        assert_ok(log_close(log, NOW));
}
