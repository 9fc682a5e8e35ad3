/* What a sync does beside a log that goes on, and what it leaves for the next roll to do. */
#include "storage/log_internal.h"
#include "tests/storage/support.h"

TestSuite(log_sync, .init = test_setup, .fini = test_teardown);

/* ---- what a commit asks of the file system ---- */

static int creations, syncs, renames, truncations;

static int count_open(const char *path, int flags, mode_t mode) {
        creations += (flags & O_CREAT) != 0;
        return open(path, flags, mode);
}
static int count_sync(int fd) {
        syncs++;
        return fsync(fd);
}
static int count_rename(const char *from, const char *to) {
        renames++;
        return rename(from, to);
}
static int count_truncate(int fd, off_t size) {
        truncations++;
        return ftruncate(fd, size);
}

static void count_operations(void) {
        creations = syncs = renames = truncations = 0;
        file_ops.open = count_open;
        file_ops.fsync = file_ops.fdatasync = count_sync;
        file_ops.rename = count_rename;
        file_ops.ftruncate = count_truncate;
}

static LogOpen how_to_roll(void) {
        LogOpen how = how_to_open();
        how.config.segment_bytes = 10000;
        how.config.index_interval_bytes = 100;
        return how;
}

static bool exists(const char *name) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", test_log_path, name);
        return access(path, F_OK) == 0;
}

static const char *name_of(int64_t offset, const char *suffix) {
        static char name[64];
        snprintf(name, sizeof(name), "%020" PRId64 ".%s", offset, suffix);
        return name;
}

static void sync_in_background(Log *log) {
        LogSync *sync;
        assert_ok(log_sync_begin(log, true, &sync));
        cr_assert_not_null(sync);
        int r = log_sync_run(sync);
        log_sync_finish(log, sync, r);
        assert_ok(r);
}

static void append_next(Log *log) {
        append(log, TEST_BATCH(.timestamp_ms = NOW + log_end_offset(log), .value_bytes = 100, .producer_id = 7, .producer_epoch = 0,
                               .base_sequence = (int32_t)log_end_offset(log)));
}

/* Until the segment at base_offset is no longer the active one. */
static void fill(Log *log, int64_t base_offset) {
        for (int i = 0; i < 1000 && log_active_offset(log) == base_offset; i++)
                append_next(log);
        cr_assert_gt(log_active_offset(log), base_offset);
}

static void fill_half(Log *log) {
        while (!log_wants_sync(log))
                append_next(log);
}

Test(log_sync, roll_leaves_all_it_can_to_the_sync_that_follows) {
        LogOpen how = how_to_roll();
        how.config.segment_bytes = 100000;
        Log *log = open_log(how);
        append(log, TEST_BATCH(.value_bytes = 90000));
        cr_assert(log_wants_sync(log));
        cr_assert_eq(log_active_offset(log), 0);
        sync_in_background(log);
        cr_assert(!log_wants_sync(log));
        cr_assert(exists(LOG_NEXT_NAME));
        count_operations();
        fill(log, 0);
        cr_assert_gt(log->segments[0]->reserved_end, log->segments[0]->size, "there is something to cut off");
        cr_assert_eq(creations, 0);
        cr_assert_eq(syncs, 0);
        cr_assert_eq(renames, 1, "that of the file that was prepared");
        cr_assert_eq(truncations, 0);
        file_ops = FILE_OPS_SYSTEM;
        int64_t second = log_active_offset(log);
        cr_assert(exists(name_of(second, "log")) && !exists(LOG_NEXT_NAME));
        cr_assert(!exists(name_of(0, "index")) && !exists(name_of(second, "snapshot")));
        cr_assert(log_wants_sync(log));
        sync_in_background(log);
        cr_assert(exists(name_of(0, "index")) && exists(name_of(0, "timeindex")) && exists(name_of(second, "snapshot")));
        cr_assert_eq(log_recovery_point(log), second);
        assert_ok(log_close(log, NOW));
}

/* Which takes the disk as long as it takes, while the producer goes on. */
Test(log_sync, first_segment_is_ended_when_its_name_is_on_disk_or_it_is_twice_as_big) {
        for (int comes = 0; comes < 2; comes++) {
                LogOpen how = how_to_open();
                how.config.segment_bytes = 2 << 20;
                how.config.max_message_bytes = 1 << 20;
                Log *log = open_log(how);
                count_operations();
                for (int i = 0; i < 5; i++)
                        append(log, TEST_BATCH(.value_bytes = 600000));
                cr_assert(log_active_offset(log) == 0 && syncs == 0 && log_wants_sync(log));
                if (comes)
                        sync_in_background(log);
                int before = syncs;
                append(log, TEST_BATCH(.value_bytes = 600000));
                cr_assert_eq(log_active_offset(log), comes ? 5 : 0);
                append(log, TEST_BATCH(.value_bytes = 600000));
                cr_assert_eq(log_active_offset(log), comes ? 5 : 6);
                cr_assert_eq(syncs > before, !comes);
                file_ops = FILE_OPS_SYSTEM;
                log_abandon(log);
                assert_ok(log_delete_directory(test_log_path));
        }
}

static void append_at(Log *log, int64_t now_ms) {
        size_t size;
        LogAppend result;
        uint8_t *data = make_batch(TEST_BATCH(.timestamp_ms = now_ms), &size);
        assert_ok(log_append(log, data, size, LOG_ORIGIN_CLIENT, 0, now_ms, &result));
        assert_ok(log_commit(log, now_ms));
        free(data);
}

/* By the next record, or by retention where none comes. */
Test(log_sync, roll_by_time_leaves_as_much_to_it) {
        for (int idle = 0; idle < 2; idle++) {
                LogOpen how = how_to_open();
                how.config.segment_ms = 1000;
                Log *log = open_log(how);
                int64_t begun = log_end_offset(log);
                append_at(log, NOW);
                cr_assert(!log_wants_sync(log));
                if (idle)
                        assert_ok(log_retain(log, NOW + 600));
                else
                        append_at(log, NOW + 600);
                cr_assert(log_wants_sync(log));
                sync_in_background(log);
                cr_assert(exists(LOG_NEXT_NAME) && !log_wants_sync(log));
                count_operations();
                if (idle)
                        assert_ok(log_retain(log, NOW + 1100));
                else
                        append_at(log, NOW + 1100);
                cr_assert(creations == 0 && syncs == 0 && renames == 1);
                file_ops = FILE_OPS_SYSTEM;
                cr_assert_gt(log_active_offset(log), begun);
                cr_assert(log_wants_sync(log), "what rolled");
                sync_in_background(log);
                cr_assert(!log_wants_sync(log), "the new segment is young");
                assert_ok(log_close(log, NOW));
                char command[160];
                snprintf(command, sizeof(command), "rm -rf %s", test_log_path);
                cr_assert_eq(system(command), 0);
        }
}

static void check_reads(Log *log) {
        int64_t first, last;
        for (int64_t offset = 0; offset < log_end_offset(log); offset++) {
                read_from(log, offset, 1, true, &first, &last);
                cr_assert_eq(first, offset);
                LogPosition position;
                assert_ok(log_find_timestamp(log, NOW + offset, &position));
                cr_assert_eq(position.offset, offset);
        }
}

/* After a clean stop. */
static void check_reads_later(Log *log) {
        assert_ok(log_close(log, NOW));
        LogOpen how = how_to_roll();
        how.clean_shutdown = true;
        log = open_log(how);
        check_reads(log);
        log_abandon(log);
}

Test(log_sync, segments_that_ended_are_read_before_during_and_after_their_sync) {
        Log *log = open_log(how_to_roll());
        fill(log, 0);
        fill(log, log_active_offset(log));
        check_reads(log);
        LogSync *sync;
        assert_ok(log_sync_begin(log, true, &sync));
        check_reads(log);
        fill(log, log_active_offset(log));
        assert_ok(log_sync_run(sync));
        check_reads(log);
        log_sync_finish(log, sync, 0);
        check_reads(log);
        cr_assert(!log->segments[0]->indexes_loaded || log->segments[0]->offsets.mapped, "the file serves");
        sync_in_background(log);
        check_reads(log);
        check_reads_later(log);
}

static int no_index(const char *path, int flags, mode_t mode) {
        return flags & O_CREAT && strstr(path, "index") ? (errno = ENOSPC, -1) : open(path, flags, mode);
}

Test(log_sync, index_that_cannot_be_written_does_not_fail_it) {
        Log *log = open_log(how_to_roll());
        fill(log, 0);
        file_ops.open = no_index;
        trace_level = TRACE_NONE;
        sync_in_background(log);
        file_ops = FILE_OPS_SYSTEM;
        cr_assert_eq(log_recovery_point(log), log_active_offset(log));
        check_reads(log);
        check_reads_later(log);
}

Test(log_sync, segments_in_its_hands_are_dropped_later) {
        LogOpen how = how_to_roll();
        how.config.retention_bytes = 1;
        Log *log = open_log(how);
        fill(log, 0);
        int64_t second = log_active_offset(log);
        LogSync *sync;
        assert_ok(log_sync_begin(log, true, &sync));
        cr_assert_eq(log_retain(log, NOW), 0);
        assert_ok(log_advance_start(log, second, NOW));
        cr_assert(exists(name_of(0, "log")));
        assert_ok(log_sync_run(sync));
        log_sync_finish(log, sync, 0);
        cr_assert_gt(log_retain(log, NOW), 0);
        cr_assert(!exists(name_of(0, "log")) && !exists(name_of(0, "index")));
        log_abandon(log);
}

Test(log_sync, segments_that_are_dropped_before_it_leave_nothing) {
        LogOpen how = how_to_roll();
        how.config.retention_bytes = 1;
        Log *log = open_log(how);
        fill(log, 0);
        cr_assert_gt(log_retain(log, NOW), 0);
        sync_in_background(log);
        cr_assert(!exists(name_of(0, "log")) && !exists(name_of(0, "index")) && !exists(name_of(0, "timeindex")));
        log_abandon(log);
}

Test(log_sync, log_that_is_closed_meanwhile_is_whole) {
        Log *log = open_log(how_to_roll());
        fill(log, 0);
        int64_t second = log_active_offset(log);
        LogSync *sync;
        assert_ok(log_sync_begin(log, true, &sync));
        log_abandon(log);
        assert_ok(log_sync_run(sync));
        log_sync_finish(NULL, sync, 0);
        cr_assert(exists(name_of(0, "index")));
        LogOpen how = how_to_roll();
        how.recovery_point = second;
        log = open_log(how);
        check_reads(log);
        log_abandon(log);
}

/* ---- what is prepared ---- */

Test(log_sync, first_segments_name_is_synced_before_the_roll) {
        Log *log = open_log(how_to_roll());
        append(log, TEST_BATCH());
        cr_assert(!log_wants_sync(log), "it is small");
        cr_assert_eq(log_retain(log, NOW), 0);
        cr_assert(log_wants_sync(log), "it may be rolled by time");
        sync_in_background(log);
        cr_assert(!log_wants_sync(log));
        count_operations();
        log->config.segment_ms = 1;
        cr_assert_eq(log_retain(log, NOW + 10), 0);
        cr_assert_gt(log_active_offset(log), 0);
        cr_assert_eq(syncs, 0);
        log_abandon(log);
}

Test(log_sync, roll_before_the_first_segments_name_is_synced_sees_to_it) {
        Log *log = open_log(how_to_roll());
        fill_half(log);
        LogSync *sync;
        assert_ok(log_sync_begin(log, true, &sync));
        count_operations();
        fill(log, 0);
        cr_assert_geq(syncs, 2, "of the directory and of its name");
        cr_assert_eq(creations, 1, "nothing was prepared yet");
        file_ops = FILE_OPS_SYSTEM;
        assert_ok(log_sync_run(sync));
        log_sync_finish(log, sync, 0);
        cr_assert(exists(LOG_NEXT_NAME), "for the roll after that");
        count_operations();
        fill(log, log_active_offset(log));
        cr_assert_eq(creations, 0);
        log_abandon(log);
}

Test(log_sync, file_that_was_prepared_does_not_outlive_the_log) {
        LogOpen how = how_to_roll();
        Log *log = open_log(how);
        fill_half(log);
        sync_in_background(log);
        cr_assert(exists(LOG_NEXT_NAME));
        assert_ok(log_close(log, NOW));
        cr_assert(!exists(LOG_NEXT_NAME));
        how.clean_shutdown = true;
        log = open_log(how);
        sync_in_background(log);
        cr_assert(exists(LOG_NEXT_NAME));
        log_abandon(log); /* as if killed */
        log = open_log(how);
        cr_assert(!exists(LOG_NEXT_NAME));
        fill(log, 0);
        check_reads(log);
        log_abandon(log);
}

Test(log_sync, roll_manages_without_the_file_that_was_prepared) {
        Log *log = open_log(how_to_roll());
        fill_half(log);
        sync_in_background(log);
        char path[256];
        snprintf(path, sizeof(path), "%s/" LOG_NEXT_NAME, test_log_path);
        cr_assert_eq(unlink(path), 0);
        fill(log, 0);
        check_reads(log);
        log_abandon(log);
}

static int directory_syncs, description_syncs;

static int note_sync(int fd) {
        directory_syncs += strcmp(path_of(fd), test_dir) == 0;
        description_syncs += ends_with(path_of(fd), "partition.metadata");
        return fsync(fd);
}

/* Nobody knows whether the one before got so far. */
Test(log_sync, directory_of_a_log_that_was_killed_before_is_synced_too) {
        for (int count = 0; count < 2; count++) {
                Log *log = open_log(how_to_open());
                assert_ok(log_write_partition_metadata(log, &(Uuid){ .bytes = { 1 } }));
                append_many(log, count);
                log_abandon(log);
                log = open_log(how_to_open());
                append_many(log, 1);
                directory_syncs = description_syncs = 0;
                file_ops.fsync = file_ops.fdatasync = note_sync;
                assert_ok(log_sync(log));
                append_many(log, 1);
                assert_ok(log_sync(log));
                cr_assert(directory_syncs == 1 && description_syncs == 1, "%d, %d", directory_syncs, description_syncs);
                file_ops = FILE_OPS_SYSTEM;
                assert_ok(log_close(log, NOW));
                assert_ok(log_delete_directory(test_log_path));
        }
}

/* ---- leader epochs ---- */

#define EPOCHS_NAME "leader-epoch-checkpoint"

static int fail_rename(const char *from, const char *to) {
        return errno = ENOSPC, -1;
}

static void append_in_epoch(Log *log, int32_t epoch) {
        size_t size;
        LogAppend result;
        uint8_t *data = make_batch(TEST_BATCH(.records = 5), &size);
        assert_ok(log_append(log, data, size, LOG_ORIGIN_CLIENT, epoch, NOW, &result));
        assert_ok(log_commit(log, NOW));
        free(data);
}

static void assert_epoch_ends(Log *log, int32_t of, int64_t at) {
        int32_t epoch;
        int64_t end;
        log_epoch_end(log, INT32_MAX, of, &epoch, &end);
        cr_assert(epoch == of && end == at);
}

Test(log_sync, a_commit_leaves_the_file_of_epochs_to_the_next_sync) {
        Log *log = open_log(how_to_open());
        count_operations();
        append_in_epoch(log, 0);
        cr_assert(creations == 0 && renames == 0 && !exists(EPOCHS_NAME));
        assert_ok(log_sync(log));
        cr_assert(exists(EPOCHS_NAME));
        log_abandon(log);
}

Test(log_sync, epochs_that_no_sync_has_written_are_found_by_a_recovery) {
        LogOpen how = how_to_open();
        Log *log = open_log(how);
        append_in_epoch(log, 0);
        assert_ok(log_sync(log));
        how.recovery_point = log_recovery_point(log);
        append_in_epoch(log, 3);
        log_abandon(log);
        log = open_log(how);
        assert_epoch_ends(log, 0, 5);
        assert_epoch_ends(log, 3, 10);
        log_abandon(log);
}

/* The file that is there would hide them. */
Test(log_sync, epochs_that_cannot_be_written_leave_no_file) {
        LogOpen how = how_to_open();
        Log *log = open_log(how);
        append_in_epoch(log, 0);
        assert_ok(log_sync(log));
        append_in_epoch(log, 3);
        file_ops.rename = fail_rename;
        assert_ok(log_sync(log));
        file_ops = FILE_OPS_SYSTEM;
        cr_assert_not(exists(EPOCHS_NAME));
        how.recovery_point = log_recovery_point(log);
        log_abandon(log);
        log = open_log(how);
        assert_epoch_ends(log, 0, 5);
        assert_epoch_ends(log, 3, 10);
        assert_ok(log_sync(log));
        cr_assert(exists(EPOCHS_NAME));
        log_abandon(log);
}

Test(log_sync, epochs_that_could_not_be_written_are_tried_again) {
        Log *log = open_log(how_to_open());
        append_in_epoch(log, 0);
        file_ops.rename = fail_rename;
        assert_ok(log_sync(log));
        file_ops = FILE_OPS_SYSTEM;
        append_in_epoch(log, 0);
        assert_ok(log_sync(log));
        cr_assert(exists(EPOCHS_NAME));
        log_abandon(log);
}
