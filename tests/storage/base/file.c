/* The wrappers finish what the system leaves half done. */
#include "tests/storage/support.h"

TestSuite(file, .init = test_setup, .fini = test_teardown);

static int interruptions;

static ssize_t one_byte_pwritev(int fd, const struct iovec *parts, int count, off_t position) {
        if (interruptions++ % 2 == 0)
                return errno = EINTR, -1;
        return pwrite(fd, parts->iov_base, parts->iov_len ? 1 : 0, position);
}

static int no_rename(const char *from, const char *to) {
        return errno = EIO, -1;
}

Test(file, short_and_interrupted_writes_are_continued) {
        char path[128], back[8] = "";
        snprintf(path, sizeof(path), "%s/file", test_dir);
        int fd = file_open(path, O_RDWR | O_CREAT);
        file_ops.pwritev = one_byte_pwritev;
        struct iovec parts[] = { { "ab", 2 }, { "cde", 3 } };
        assert_ok(file_write_parts(fd, parts, 2, 0));
        cr_assert_eq(file_read(fd, back, sizeof(back), 0), 5);
        cr_assert_str_eq(back, "abcde");
        file_close(fd);
}

Test(file, failed_replace_keeps_the_old_content) {
        char path[128], back[8] = "";
        snprintf(path, sizeof(path), "%s/file", test_dir);
        assert_ok(file_replace(path, "old", 3));
        file_ops.rename = no_rename;
        cr_assert_eq(file_replace(path, "newer", 5), -EIO);
        int fd = file_open(path, O_RDONLY);
        cr_assert_eq(file_read(fd, back, sizeof(back), 0), 3);
        cr_assert_str_eq(back, "old");
        file_close(fd);
}
