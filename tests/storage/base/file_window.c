/* A window shows what is in the file, wherever it moves, and whether it is mapped or read. */
#include "storage/base/file_window.h"

#include <sys/mman.h>

#include "tests/storage/support.h"

TestSuite(file_window, .init = test_setup, .fini = test_teardown);

#define FILE_BYTES ((int64_t)80 << 20) /* more than a window holds */
#define SMALL_BYTES 100000

static int populated;

static int counted_madvise(void *data, size_t size, int advice) {
        populated++;
        return madvise(data, size, advice);
}

static int refused_madvise(void *data, size_t size, int advice) {
        return errno = EINVAL, -1; /* an older kernel */
}

static void *refused_mmap(void *address, size_t size, int protection, int flags, int fd, off_t position) {
        return errno = ENODEV, MAP_FAILED;
}

static ssize_t broken_pread(int fd, void *data, size_t size, off_t position) {
        return errno = EIO, -1;
}

static uint32_t word_at(int64_t position) {
        return (uint32_t)(position / 4) * 2654435761u;
}

/* Every four bytes say where they are. */
static int create_file(int64_t size) {
        static uint32_t words[1 << 18];
        char path[128];
        snprintf(path, sizeof(path), "%s/file", test_dir);
        int fd = file_open(path, O_RDWR | O_CREAT | O_TRUNC);
        for (int64_t at = 0; at < size; at += (int64_t)sizeof(words)) {
                int64_t left = size - at;
                for (size_t i = 0; i < sizeof(words) / 4; i++)
                        words[i] = word_at(at + 4 * (int64_t)i);
                assert_ok(file_write(fd, words, left < (int64_t)sizeof(words) ? (size_t)left : sizeof(words), at));
        }
        return fd;
}

static void check(const FileWindow *window, int64_t position, size_t size) {
        cr_assert(file_window_holds(window, position, size));
        for (int64_t at = position & ~INT64_C(3); at < position + (int64_t)size; at += 4) {
                uint32_t word;
                if (at < position || at + 4 > position + (int64_t)size)
                        continue;
                memcpy(&word, file_window_at(window, at), 4);
                cr_assert_eq(word, word_at(at), "at %" PRId64, at);
        }
}

/* From the beginning to the end in steps of any size, some larger than the window is by itself. */
static void walk(int fd, int64_t size, unsigned seed) {
        FileWindow window = { 0 };
        for (int64_t position = 0; position < size;) {
                int64_t needed = rand_r(&seed) % 4 ? rand_r(&seed) % 3000000 : rand_r(&seed) % 50000000;
                if (needed > size - position)
                        needed = size - position;
                assert_ok(file_window_move(&window, fd, position, (size_t)needed, size));
                cr_assert_leq(window.position + (int64_t)window.size, size);
                check(&window, position, (size_t)needed);
                check(&window, window.position, window.size);
                position += needed + 1 + rand_r(&seed) % 100000;
        }
        cr_assert_eq(file_window_move(&window, fd, size - 5, 6, size), -EUCLEAN);
        cr_assert_eq(file_window_move(&window, fd, size + 5, 1, size), -EUCLEAN);
        file_window_close(&window);
        cr_assert_not(file_window_holds(&window, 0, 1));
        file_window_close(&window);
}

Test(file_window, shows_what_is_there) {
        int fd = create_file(FILE_BYTES + 3);
        file_ops.madvise = counted_madvise;
        walk(fd, FILE_BYTES + 3, 1);
        cr_assert_gt(populated, 2);
        file_ops.madvise = refused_madvise;
        walk(fd, FILE_BYTES + 3, 2);
        file_ops = FILE_OPS_SYSTEM;
        file_ops.mmap = refused_mmap;
        walk(fd, FILE_BYTES + 3, 3);
        file_close(fd);
}

Test(file_window, small_file_is_read) {
        int fd = create_file(SMALL_BYTES);
        file_ops.madvise = counted_madvise;
        walk(fd, SMALL_BYTES, 4);
        cr_assert_eq(populated, 0);
        file_close(fd);
}

/* It was shortened by somebody else, say: an error, not a signal. */
Test(file_window, file_that_ends_earlier) {
        int fd = create_file(1000000);
        FileWindow window = { 0 };
        cr_assert_eq(file_window_move(&window, fd, 0, 1000001, 3000000), -EUCLEAN);
        assert_ok(file_window_move(&window, fd, 500000, 1000, 3000000));
        check(&window, 500000, 1000);
        cr_assert_eq(file_window_move(&window, fd, 2000000, 1000, 3000000), -EUCLEAN);
        file_window_close(&window);
        file_close(fd);
}

Test(file_window, errors_of_the_disk_are_told) {
        int fd = create_file(1000000);
        FileWindow window = { 0 };
        file_ops.madvise = refused_madvise;
        file_ops.pread = broken_pread;
        cr_assert_eq(file_window_move(&window, fd, 0, 1, 1000000), -EIO);
        cr_assert_not(file_window_holds(&window, 0, 1));
        file_window_close(&window);
        file_close(fd);
}
