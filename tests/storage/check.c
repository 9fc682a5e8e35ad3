/* The verifying walk: what it must not overlook, and what it must not make up. */
#include "storage/check.h"

#include "tests/storage/support.h"

#include <dirent.h>

#include "storage/log_internal.h"

TestSuite(check, .init = test_setup, .fini = test_teardown);

static int found_count;
static CheckKind found_kind;

static void note(const CheckFinding *finding, void *data) {
        cr_assert_eq(strncmp(finding->path, test_log_path, strlen(test_log_path)), 0);
        cr_assert(finding->what[0]);
        if (found_count++ == 0)
                found_kind = finding->kind;
}

static CheckedLog check(bool clean, int64_t recovery_point) {
        CheckLog how = { .path = test_log_path, .clean_shutdown = clean, .recovery_point = recovery_point, .found = note };
        CheckedLog checked;
        found_count = 0;
        assert_ok(check_log(&how, &checked));
        return checked;
}

#define RECORDS 60

/* Several segments, with indexes. */
static void make_log(void) {
        LogOpen how = how_to_open();
        how.config.segment_bytes = 2500;
        how.config.index_interval_bytes = 300;
        Log *log = open_log(how);
        append_many(log, RECORDS);
        cr_assert_gt(log->segment_count, 2);
        assert_ok(log_close(log, NOW));
}

static bool next_base(int64_t *base) {
        for (int64_t offset = *base + 1; offset < RECORDS; offset++)
                if (size_of(log_file(offset, "log")) > 0) {
                        *base = offset;
                        return true;
                }
        return false;
}

Test(check, a_sound_log_is_fine) {
        make_log();
        for (int clean = 0; clean < 2; clean++) {
                CheckedLog checked = check(clean, RECORDS);
                cr_assert_eq(found_count, 0);
                cr_assert_eq(checked.record_count, RECORDS);
                cr_assert_eq(checked.start_offset, 0);
                cr_assert_eq(checked.end_offset, RECORDS);
                cr_assert_eq(checked.good_base, -1);
        }
}

/* No checkpoint says where the metadata log starts: its snapshots do, and the epochs begin there. */
Test(check, a_metadata_log_may_start_inside_a_segment) {
        Log *log = open_log(how_to_open());
        append_many(log, RECORDS);
        assert_ok(log_advance_start(log, 5, NOW));
        assert_ok(log_close(log, NOW));
        for (int metadata = 0; metadata < 2; metadata++) {
                CheckLog how = { .path = test_log_path, .clean_shutdown = true, .recovery_point = RECORDS, .metadata = metadata, .found = note };
                CheckedLog checked;
                found_count = 0;
                assert_ok(check_log(&how, &checked));
                cr_assert_eq(found_count, !metadata);
        }
}

/* Offsets and the epoch lie outside the CRC: neighbours and the epochs' file give them away. */
Test(check, no_byte_of_a_segment_can_change_unnoticed) {
        make_log();
        int64_t base = 0;
        do {
                int64_t size = size_of(log_file(base, "log"));
                for (int64_t at = 0; at < size; at++) {
                        flip_byte(log_file(base, "log"), at);
                        CheckedLog checked = check(true, RECORDS);
                        cr_assert_gt(found_count, 0, "byte %ld of segment %ld", (long)at, (long)base);
                        cr_assert(checked.rot_count || checked.derived_count);
                        flip_byte(log_file(base, "log"), at);
                }
        } while (next_base(&base));
        check(true, RECORDS);
        cr_assert_eq(found_count, 0);
}

Test(check, no_cut_is_unnoticed) {
        make_log();
        int64_t base = 0;
        while (next_base(&base))
                ;
        for (int64_t size = size_of(log_file(base, "log")) - 1; size >= 0; size--) {
                cr_assert_eq(truncate(log_file(base, "log"), size), 0);
                check(true, RECORDS);
                cr_assert_gt(found_count, 0, "cut to %ld", (long)size);
        }
}

Test(check, the_recovery_point_parts_torn_from_rot) {
        make_log();
        int64_t base = 0;
        next_base(&base);
        flip_byte(log_file(base, "log"), -1); /* in the last batch of the second segment */
        CheckedLog checked = check(false, base);
        cr_assert_eq(found_kind, CHECK_TORN);
        cr_assert_eq(checked.rot_count, 0);
        cr_assert_gt(checked.good_offset, base);
        cr_assert_eq(check(false, checked.good_offset).torn_count, 1);
        cr_assert_eq(check(false, checked.good_offset + 1).rot_count, 1);
        cr_assert_eq(check(true, 0).rot_count, 1);
}

static int64_t cut_bytes(void) {
        int64_t bytes = 0;
        DIR *dir = opendir(test_log_path);
        for (struct dirent *entry; (entry = readdir(dir));) {
                char path[600];
                snprintf(path, sizeof(path), "%s/%s", test_log_path, entry->d_name);
                if (strstr(entry->d_name, ".log.cut-"))
                        bytes += size_of(path);
        }
        closedir(dir);
        return bytes;
}

Test(check, what_is_cut_is_kept_and_the_rest_is_sound) {
        for (int64_t at = 0; at < 2000; at += 190) {
                make_log();
                int64_t base = 0, total = check(true, RECORDS).size_bytes, bytes;
                next_base(&base);
                flip_byte(log_file(base, "log"), at + 70);
                CheckedLog checked = check(true, RECORDS);
                cr_assert_eq(checked.good_base, base);
                assert_ok(check_cut(test_log_path, &checked, &bytes));
                assert_ok(check_rebuild(test_log_path, 0, NOW));
                cr_assert_eq(bytes, cut_bytes());
                CheckedLog left = check(true, checked.good_offset);
                cr_assert_eq(found_count, 0);
                cr_assert_eq(left.end_offset, checked.good_offset);
                cr_assert_eq(left.size_bytes + bytes, total);
                LogOpen how = how_to_open();
                how.clean_shutdown = true;
                how.recovery_point = checked.good_offset;
                Log *log = open_log(how);
                cr_assert_eq(log_end_offset(log), checked.good_offset);
                append_many(log, 3);
                assert_ok(log_close(log, NOW));
                check(true, checked.good_offset + 3);
                cr_assert_eq(found_count, 0);
                assert_ok(log_delete_directory(test_log_path));
        }
}

Test(check, gaps_are_right_only_where_compaction_made_them) {
        make_log();
        int64_t base = 0;
        next_base(&base);
        assert_ok(file_unlink(log_file(base, "log")));
        CheckedLog checked = check(true, RECORDS);
        cr_assert_eq(checked.rot_count, 1);
        cr_assert_eq(checked.good_offset, base);
        CheckLog how = { .path = test_log_path, .clean_shutdown = true, .recovery_point = RECORDS, .compacted_offset = INT64_MAX, .found = note };
        found_count = 0;
        assert_ok(check_log(&how, &checked));
        cr_assert_eq(found_count, 0);
}

/* A topic that is no longer compacted still has the gaps. */
Test(check, gaps_are_right_below_where_compaction_ended) {
        make_log();
        int64_t base = 0, next;
        next_base(&base);
        next = base;
        next_base(&next);
        assert_ok(file_unlink(log_file(base, "log")));
        for (int64_t offset = next; offset >= base; offset -= next - base) {
                CheckLog how = { .path = test_log_path, .clean_shutdown = true, .recovery_point = RECORDS, .compacted_offset = offset, .found = note };
                CheckedLog checked;
                found_count = 0;
                assert_ok(check_log(&how, &checked));
                cr_assert_eq(found_count, offset < next);
                LogOpen open = how_to_open();
                open.clean_shutdown = true;
                open.compacted_offset = offset;
                Log *log = open_log(open);
                FileSpan span = FILE_SPAN_INIT;
                cr_assert_eq(log_read(log, base, INT64_MAX, 1, true, &span), offset < next ? KAFKA_KAFKA_STORAGE_ERROR : 0);
                file_span_release(&span);
                log_abandon(log);
        }
}

Test(check, readers_stop_at_a_gap) {
        make_log();
        int64_t base = 0, next;
        next_base(&base);
        next = base;
        next_base(&next);
        assert_ok(file_unlink(log_file(base, "log")));
        LogOpen how = how_to_open();
        how.clean_shutdown = true;
        Log *log = open_log(how);
        FileSpan span;
        cr_assert_eq(log_read(log, base - 1, INT64_MAX, 1, true, &span), 0);
        file_span_release(&span);
        cr_assert_eq(log_read(log, base, INT64_MAX, 1, true, &span), KAFKA_KAFKA_STORAGE_ERROR);
        cr_assert_eq(log_read(log, next, INT64_MAX, 1, true, &span), 0);
        file_span_release(&span);
        log_abandon(log);
}

Test(check, a_clean_log_that_is_too_short_is_not_opened) {
        make_log();
        int64_t base = 0;
        while (next_base(&base))
                ;
        cr_assert_eq(truncate(log_file(base, "log"), 0), 0);
        LogOpen how = how_to_open();
        how.clean_shutdown = true;
        how.recovery_point = RECORDS;
        Log *log;
        cr_assert_eq(log_open(&how, &log), -EUCLEAN);
}
