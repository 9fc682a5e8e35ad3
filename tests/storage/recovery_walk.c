/* A log that is larger than what a recovery has in memory at a time, and of batches of all sizes: it finds the damage where it is, however the
 * bytes come. */
#include "tests/storage/support.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "storage/log_internal.h"

TestSuite(recovery_walk, .init = test_setup, .fini = test_teardown);

#define BATCHES 9000
#define LARGE_BYTES 5000000

static int64_t positions[BATCHES + 1];
static atomic_int refusals;

static int refused_madvise(void *data, size_t size, int advice) {
        refusals++;
        return errno = EFAULT, -1;
}

static void *refused_mmap(void *address, size_t size, int protection, int flags, int fd, off_t position) {
        refusals++;
        return errno = ENODEV, MAP_FAILED;
}

static ssize_t broken_pread(int fd, void *data, size_t size, off_t position) {
        return ends_with(path_of(fd), ".log") && position > 1000000 ? (errno = EIO, -1) : pread(fd, data, size, position);
}

static void refuse(int way) {
        file_ops = FILE_OPS_SYSTEM;
        if (way == 1)
                file_ops.madvise = refused_madvise;
        else if (way == 2)
                file_ops.mmap = refused_mmap;
}

/* Small batches, so many that they come in several stretches of a window, and large ones across and beyond windows. */
static void fill(LogOpen how) {
        how.config.max_message_bytes = LARGE_BYTES + 1000;
        Log *log = open_log(how);
        for (int i = 0; i < BATCHES; i++) {
                positions[i] = log_size_bytes(log);
                append(log, TEST_BATCH(.timestamp_ms = NOW + i, .value_bytes = i % 1000 == 999 ? LARGE_BYTES : i % 20 ? 100 : 60000));
        }
        positions[BATCHES] = log_size_bytes(log);
        log_abandon(log);
}

static void shell(const char *command) {
        char line[512];
        snprintf(line, sizeof(line), "cd %s && %s", test_log_path, command);
        cr_assert_eq(system(line), 0, "%s", line);
}

Test(recovery_walk, the_first_damage_ends_the_log_whichever_way_it_is_read) {
        static const int damaged[] = { 0, 1, 999, 1000, 4095, 4096, 5999, 6001, 8500, BATCHES - 1 };
        LogOpen how = how_to_open();
        fill(how);
        cr_assert_gt(positions[BATCHES], 64 << 20);
        shell("cp 00000000000000000000.log ../whole");
        for (size_t i = 0; i < sizeof(damaged) / sizeof(*damaged); i++) {
                int batch = damaged[i], way = (int)i % 3;
                flip_byte(log_file(0, "log"), positions[batch] + BATCH_HEADER_BYTES + 20);
                if (batch + 400 < BATCHES) /* only the first one counts */
                        flip_byte(log_file(0, "log"), positions[batch + 400] + BATCH_HEADER_BYTES);
                refusals = 0;
                refuse(way);
                Log *log = open_log(how);
                cr_assert_eq(refusals > 0, way > 0);
                cr_assert_eq(log_end_offset(log), batch, "%" PRId64 " of %d", log_end_offset(log), batch);
                cr_assert_eq(log_size_bytes(log), positions[batch]);
                log_abandon(log);
                char check[256];
                snprintf(check, sizeof(check), "cmp -n %" PRId64 " 00000000000000000000.log ../whole && test $(stat -c %%s *.torn*) = %" PRId64
                         " && rm -r * && cp ../whole 00000000000000000000.log", positions[batch], positions[BATCHES] - positions[batch]);
                shell(check);
        }
}

Test(recovery_walk, indexes_are_the_same_whichever_way_it_is_read) {
        LogOpen how = how_to_open();
        fill(how);
        for (int way = 0; way < 3; way++) {
                refuse(way);
                Log *log = open_log(how);
                cr_assert_eq(log_end_offset(log), BATCHES);
                assert_ok(log_close(log, NOW));
                shell("mkdir -p ../first && cp -n *.index *.timeindex ../first && for f in *.index *.timeindex; do cmp $f ../first/$f || exit 1; "
                      "done && rm *.index *.timeindex");
        }
}

Test(recovery_walk, an_error_of_the_disk_changes_nothing) {
        LogOpen how = how_to_open();
        fill(how);
        file_ops.madvise = refused_madvise;
        file_ops.pread = broken_pread;
        Log *log;
        cr_assert_eq(log_open(&how, &log), -EIO);
        file_ops = FILE_OPS_SYSTEM;
        cr_assert_eq(size_of(log_file(0, "log")), positions[BATCHES]);
        log = open_log(how);
        cr_assert_eq(log_end_offset(log), BATCHES);
        assert_ok(log_close(log, NOW));
}
