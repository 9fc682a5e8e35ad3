/* The small text files. */
#include "storage/checkpoint.h"

#include "tests/storage/support.h"

TestSuite(checkpoint, .init = test_setup, .fini = test_teardown);

static int64_t sum;

static void add_row(const CheckpointRow *row, void *data) {
        sum += row->offset + row->partition * 1000 + (strcmp(row->topic, "a.b") == 0);
}

Test(checkpoint, rows_read_back) {
        CheckpointRow rows[] = { { "a.b", 1, 50 }, { "c", 2, 7 } };
        Buffer out = BUFFER_INIT;
        checkpoint_format(rows, 2, &out);
        assert_ok(checkpoint_write_text(test_dir, "recovery-point-offset-checkpoint", (Str){ (const char *)out.data, out.size }));
        buffer_deinit(&out);
        assert_ok(checkpoint_read(test_dir, "recovery-point-offset-checkpoint", add_row, NULL));
        cr_assert_eq(sum, 3058);
        cr_assert_eq(checkpoint_read(test_dir, "other", add_row, NULL), -ENOENT);
}

Test(checkpoint, malformed_files_are_refused) {
        static const char *const texts[] = { "", "1\n0\n", "0\n2\na 0 1\n", "0\n1\na 0 x\n", "0\n1\na 0\n", "0\n0\na 0 1\n" };
        for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
                assert_ok(checkpoint_write_text(test_dir, "file", str_of(texts[i])));
                cr_assert_eq(checkpoint_read(test_dir, "file", add_row, NULL), -EUCLEAN, "%zu", i);
        }
}

Test(checkpoint, partition_metadata_reads_back) {
        Uuid id = uuid_random(), back;
        assert_ok(checkpoint_write_partition_metadata(test_dir, &id, true));
        assert_ok(checkpoint_read_partition_metadata(test_dir, &back));
        cr_assert(uuid_equal(&id, &back));
}

Test(checkpoint, meta_properties_read_back_as_kafka_writes_them) {
        const char *reason;
        MetaProperties meta = { .node_id = 3, .cluster_id = "abc", .directory_id = uuid_random() }, back;
        assert_ok(checkpoint_write_meta(test_dir, &meta));
        assert_ok(checkpoint_read_meta(test_dir, &back, &reason));
        cr_assert_eq(back.node_id, 3);
        cr_assert_str_eq(back.cluster_id, "abc");
        cr_assert(uuid_equal(&meta.directory_id, &back.directory_id));
        assert_ok(checkpoint_write_text(test_dir, "meta.properties", STR("#\n#date\nversion=0\nbroker.id=1\n")));
        cr_assert_eq(checkpoint_read_meta(test_dir, &back, &reason), -EUCLEAN);
}

Test(checkpoint, a_cluster_id_that_is_no_text_is_malformed) {
        static const char text[] = "version=1\nnode.id=1\ncluster.id=\0b\ndirectory.id=FsJZJhqdRoGVWR7psiArZQ\n";
        MetaProperties back;
        const char *reason;
        assert_ok(checkpoint_write_text(test_dir, "meta.properties", (Str){ text, sizeof(text) - 1 }));
        cr_assert_eq(checkpoint_read_meta(test_dir, &back, &reason), -EUCLEAN);
}

Test(checkpoint, partition_metadata_that_never_reached_the_disk_counts_as_missing) {
        static const char zeros[64];
        Uuid id;
        for (size_t size = 0; size <= sizeof(zeros); size += sizeof(zeros)) {
                assert_ok(checkpoint_write_text(test_dir, "partition.metadata", (Str){ zeros, size }));
                cr_assert_eq(checkpoint_read_partition_metadata(test_dir, &id), -ENOENT);
        }
        assert_ok(checkpoint_write_text(test_dir, "partition.metadata", STR("version: 0\ntopic_id: no id\n")));
        cr_assert_eq(checkpoint_read_partition_metadata(test_dir, &id), -EUCLEAN);
}
