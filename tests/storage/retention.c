/* What is forgotten, and what stays. */
#include "tests/storage/support.h"

#include "storage/log_internal.h"

TestSuite(retention, .init = test_setup, .fini = test_teardown);

static Log *log_with(LogConfig config, int batches) {
        LogOpen how = how_to_open();
        how.config = config;
        how.config.segment_bytes = 2000;
        Log *log = open_log(how);
        append_many(log, batches);
        return log;
}

Test(retention, nothing_goes_within_limits) {
        Log *log = log_with(LOG_CONFIG_INIT, 100);
        cr_assert_eq(log_retain(log, NOW), 0);
        cr_assert_eq(log_start_offset(log), 0);
        assert_ok(log_close(log, NOW));
}

Test(retention, old_segments_go_the_active_one_too) {
        LogConfig config = LOG_CONFIG_INIT;
        config.retention_ms = 1000;
        Log *log = log_with(config, 100);
        int32_t count = log->segment_count;
        int gone = log_retain(log, NOW + 1000 + 50);
        cr_assert_gt(gone, 0);
        cr_assert_eq(log->segment_count, count - gone);
        cr_assert_gt(log_start_offset(log), 0);
        cr_assert_lt(log_start_offset(log), 52);
        FileSpan span;
        cr_assert_eq(log_read(log, 0, INT64_MAX, 100, true, &span), KAFKA_OFFSET_OUT_OF_RANGE);
        cr_assert_gt(log_retain(log, NOW + 100000), 0);
        cr_assert_eq(log_start_offset(log), 100);
        cr_assert_eq(log_end_offset(log), 100);
        cr_assert_eq(log_size_bytes(log), 0);
        append_many(log, 1);
        cr_assert_eq(log_end_offset(log), 101);
        assert_ok(log_close(log, NOW));
}

Test(retention, size_is_kept_near_its_limit) {
        LogConfig config = LOG_CONFIG_INIT;
        config.retention_bytes = 6000;
        Log *log = log_with(config, 100);
        cr_assert_gt(log_retain(log, NOW), 0);
        cr_assert(log_size_bytes(log) >= 6000 && log_size_bytes(log) < 8100);
        cr_assert_eq(log_retain(log, NOW), 0);
        assert_ok(log_close(log, NOW));
}

Test(retention, compacted_logs_are_not_cut) {
        LogConfig config = LOG_CONFIG_INIT;
        config.retention_ms = 1;
        config.cleanup_delete = false;
        config.cleanup_compact = true;
        Log *log = log_with(config, 100);
        cr_assert_eq(log_retain(log, NOW + 10000), 0);
        assert_ok(log_close(log, NOW));
}

Test(retention, advancing_the_start_drops_whole_segments_below) {
        Log *log = log_with(LOG_CONFIG_INIT, 100);
        int32_t count = log->segment_count;
        cr_assert_eq(log_advance_start(log, 101, NOW), KAFKA_OFFSET_OUT_OF_RANGE);
        assert_ok(log_advance_start(log, 50, NOW));
        cr_assert_eq(log_start_offset(log), 50);
        cr_assert_lt(log->segment_count, count);
        cr_assert_leq(log->segments[0]->base_offset, 50);
        int64_t first, last;
        read_from(log, 50, 1, true, &first, &last);
        cr_assert_eq(first, 50);
        LogPosition position;
        assert_ok(log_find_timestamp(log, 0, &position));
        cr_assert_eq(position.offset, 50);
        assert_ok(log_advance_start(log, 100, NOW));
        assert_ok(log_close(log, NOW));
}

Test(retention, segments_roll_by_time) {
        LogConfig config = LOG_CONFIG_INIT;
        config.segment_ms = 1000;
        config.retention_ms = -1;
        Log *log = log_with(config, 2);
        cr_assert_eq(log_retain(log, NOW + 1000), 0);
        cr_assert_eq(log->segment_count, 1);
        cr_assert_eq(log_retain(log, NOW + 1001), 0);
        cr_assert_eq(log->segment_count, 2);
        cr_assert_eq(log_retain(log, NOW + 9999), 0);
        cr_assert_eq(log->segment_count, 2, "an empty segment does not roll");
        assert_ok(log_close(log, NOW));
}

Test(retention, directory_is_removed_with_all_in_it) {
        Log *log = log_with(LOG_CONFIG_INIT, 100);
        log_abandon(log);
        assert_ok(log_delete_directory(test_log_path));
        char command[128];
        snprintf(command, sizeof(command), "test -z \"$(ls %s)\"", test_dir);
        cr_assert_eq(system(command), 0);
}
