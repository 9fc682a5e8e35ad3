/* One segment: what is read back, and what its indexes say. */
#include "storage/segment.h"

#include "tests/storage/support.h"

TestSuite(segment, .init = test_setup, .fini = test_teardown);

static Segment *segment_of(int batches, int value_bytes) {
        Segment *segment;
        assert_ok(segment_create(test_dir, 0, NOW, NULL, &segment));
        for (int i = 0; i < batches; i++) {
                size_t size;
                uint8_t *data = make_batch(TEST_BATCH(.records = 2, .value_bytes = value_bytes, .timestamp_ms = NOW + i * 10), &size);
                BatchHeader header;
                batch_set_base_offset(data, i * 2);
                assert_ok(batch_read_header(data, size, &header));
                struct iovec part = { data, size };
                int64_t position = segment->size;
                segment_note(segment, &header, 4096);
                assert_ok(segment_write(segment, &part, 1, position, (int64_t)size, 1 << 30));
                free(data);
        }
        return segment;
}

Test(segment, creating_over_a_file_fails) {
        Segment *segment = segment_of(0, 0), *other;
        cr_assert_eq(segment_create(test_dir, 0, NOW, NULL, &other), -EEXIST);
        char prepared[128];
        snprintf(prepared, sizeof(prepared), "%s/prepared", test_dir);
        cr_assert_eq(close(open(prepared, O_CREAT | O_WRONLY, 0644)), 0);
        cr_assert_eq(segment_create(test_dir, 0, NOW, prepared, &other), -EEXIST);
        assert_ok(segment_create(test_dir, 5, NOW, prepared, &other));
        cr_assert_eq(access(prepared, F_OK), -1);
        segment_unref(other);
        assert_ok(segment_create(test_dir, 6, NOW, prepared, &other));
        segment_unref(other);
        segment_unref(segment);
}

Test(segment, finds_every_batch_and_nothing_past_the_end) {
        Segment *segment = segment_of(300, 100);
        for (int mapped = 0; mapped < 2; mapped++) {
                for (int64_t offset = 0; offset < 600; offset += 7) {
                        int64_t position;
                        BatchHeader header;
                        assert_ok(segment_find(segment, offset, &position));
                        assert_ok(segment_read_header(segment, position, &header));
                        cr_assert(header.base_offset <= offset && offset <= batch_last_offset(&header));
                }
                int64_t position;
                assert_ok(segment_find(segment, 600, &position));
                cr_assert_eq(position, segment->size);
                segment_map(segment, 1 << 30);
                cr_assert_not_null(segment->map);
        }
        segment_unref(segment);
}

Test(segment, boundary_is_the_last_batch_end_that_fits) {
        Segment *segment = segment_of(300, 100);
        int64_t one = segment->size / 300;
        for (int64_t limit = 0; limit <= segment->size; limit += 97) {
                int64_t boundary;
                assert_ok(segment_find_boundary(segment, 0, limit, &boundary));
                cr_assert_eq(boundary, limit / one * one);
        }
        segment_unref(segment);
}

Test(segment, rebuilt_indexes_equal_those_written) {
        Segment *segment = segment_of(300, 100);
        assert_ok(segment_seal(segment));
        int64_t size = segment->size;
        segment_unref(segment);
        char command[256];
        snprintf(command, sizeof(command), "cd %s && for f in index timeindex; do mv 00000000000000000000.$f $f; done", test_dir);
        cr_assert_eq(system(command), 0);
        segment = segment_new(test_dir, 0, size);
        assert_ok(segment_rebuild_indexes(segment, 4096));
        assert_ok(segment_flush(segment));
        cr_assert_eq(segment->max_timestamp, NOW + 2991);
        segment_unref(segment);
        snprintf(command, sizeof(command), "cd %s && for f in index timeindex; do cmp 00000000000000000000.$f $f || exit 1; done", test_dir);
        cr_assert_eq(system(command), 0);
}

Test(segment, damaged_index_is_rebuilt_when_needed) {
        Segment *segment = segment_of(300, 100);
        segment->sealed = true;
        assert_ok(segment_seal(segment));
        char path[128];
        snprintf(path, sizeof(path), "%s/00000000000000000000.index", test_dir);
        cr_assert_eq(truncate(path, size_of(path) - 3), 0);
        assert_ok(segment_load_indexes(segment, 4096));
        int64_t position;
        assert_ok(segment_find(segment, 333, &position));
        BatchHeader header;
        assert_ok(segment_read_header(segment, position, &header));
        cr_assert_eq(header.base_offset, 332);
        segment_unref(segment);
}

Test(segment, deleted_one_stays_readable_while_referenced) {
        Segment *segment = segment_of(1, 10);
        assert_ok(segment_delete(segment));
        BatchHeader header;
        assert_ok(segment_read_header(segment, 0, &header));
        segment_unref(segment);
}

static int reservations;

static int reserve_slowly(int fd, int mode, off_t position, off_t size) {
        reservations++;
        usleep(5000);
        return fallocate(fd, mode, position, size);
}

Test(segment, nothing_more_is_reserved_where_that_takes_the_disk_s_time) {
        reservations = 0;
        file_ops.fallocate = reserve_slowly;
        Segment *segment = segment_of(500, 10000);
        file_ops = FILE_OPS_SYSTEM;
        cr_assert_eq(reservations, 1);
        cr_assert_lt(segment->reserved_end, segment->size);
        segment_unref(segment);
}

Test(segment, reserved_extents_are_given_back) {
        Segment *segment = segment_of(100, 10000);
        struct stat st;
        assert_ok(segment_flush(segment));
        cr_assert_eq(fstat(segment->fd, &st), 0);
        cr_assert_eq(st.st_size, segment->size);
        cr_assert_leq(st.st_blocks * 512, segment->size + 65536);
        segment_unref(segment);
}
