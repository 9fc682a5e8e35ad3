/* Index files and lookups in them. */
#include "storage/index.h"

#include "storage/base/file.h"
#include "tests/storage/support.h"

TestSuite(index, .init = test_setup, .fini = test_teardown);

static const char *index_file(void) {
        static char path[128];
        snprintf(path, sizeof(path), "%s/index", test_dir);
        return path;
}

Test(index, lookup_finds_the_entry_at_or_below) {
        Index index = INDEX_INIT(INDEX_OFFSET);
        for (uint32_t i = 1; i <= 100; i++)
                index_add_position(&index, i * 10, i * 1000);
        cr_assert_eq(index_position_of(&index, 9), 0);
        cr_assert_eq(index_position_of(&index, 10), 1000);
        cr_assert_eq(index_position_of(&index, 19), 1000);
        cr_assert_eq(index_position_of(&index, 5000), 100000);
        cr_assert_eq(index_position_before(&index, 999), 0);
        cr_assert_eq(index_position_before(&index, 2500), 2000);
        index_deinit(&index);
}

Test(index, timestamps_only_rise) {
        Index index = INDEX_INIT(INDEX_TIME);
        index_add_timestamp(&index, -1, 0);
        index_add_timestamp(&index, 100, 1);
        index_add_timestamp(&index, 100, 2);
        index_add_timestamp(&index, 90, 3);
        index_add_timestamp(&index, 200, 4);
        cr_assert_eq(index.count, 2);
        cr_assert_eq(index_offset_before(&index, 100), 0);
        cr_assert_eq(index_offset_before(&index, 101), 1);
        cr_assert_eq(index_offset_before(&index, 201), 4);
        index_deinit(&index);
}

Test(index, file_reads_back_loaded_or_mapped) {
        Index index = INDEX_INIT(INDEX_OFFSET);
        for (uint32_t i = 1; i <= 1000; i++)
                index_add_position(&index, i, i * 100);
        assert_ok(index_flush(&index, index_file(), UINT32_MAX));
        index_deinit(&index);
        cr_assert_eq(size_of(index_file()), 8000);
        for (int map = 0; map < 2; map++) {
                assert_ok(index_load(&index, index_file(), 200000, map));
                cr_assert_eq(index.count, 1000);
                cr_assert_eq(index_position_of(&index, 500), 50000);
                index_deinit(&index);
        }
        uint32_t relative, position;
        cr_assert(index_peek_position(index_file(), &relative, &position));
        cr_assert_eq(relative, 1000);
        cr_assert_eq(position, 100000);
}

static ssize_t half_a_write(int fd, const struct iovec *parts, int count, off_t position) {
        if (pwrite(fd, parts->iov_base, 400, position) != 400)
                abort();
        return errno = ENOSPC, -1;
}

/* 50 entries are an index, too, but of half the log. */
Test(index, a_write_that_failed_leaves_no_file) {
        Index index = INDEX_INIT(INDEX_OFFSET);
        for (uint32_t i = 1; i <= 100; i++)
                index_add_position(&index, i, i * 100);
        file_ops.pwritev = half_a_write;
        cr_assert_eq(index_flush(&index, index_file(), UINT32_MAX), -ENOSPC);
        file_ops = FILE_OPS_SYSTEM;
        cr_assert_lt(access(index_file(), F_OK), 0);
        assert_ok(index_flush(&index, index_file(), UINT32_MAX));
        cr_assert_eq(size_of(index_file()), 800);
        index_deinit(&index);
}

Test(index, odd_sizes_disorder_and_positions_past_the_log_are_refused) {
        Index index = INDEX_INIT(INDEX_OFFSET);
        index_add_position(&index, 1, 100);
        index_add_position(&index, 2, 200);
        assert_ok(index_flush(&index, index_file(), UINT32_MAX));
        index_deinit(&index);
        cr_assert_eq(index_load(&index, index_file(), 200, false), -EUCLEAN);
        cr_assert_eq(truncate(index_file(), 15), 0);
        cr_assert_eq(index_load(&index, index_file(), 1000, false), -EUCLEAN);
        cr_assert_eq(truncate(index_file(), 24), 0); /* a zero entry behind: not rising */
        cr_assert_eq(index_load(&index, index_file(), 1000, true), -EUCLEAN);
        cr_assert_eq(index_load(&index, "/nonexistent", 1000, true), -ENOENT);
}
