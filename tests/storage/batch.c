/* Batches read back as they were built, and no cut or changed byte is taken for sound. */
#include "tests/storage/support.h"

Test(batch, what_was_built_reads_back) {
        for (int codec = 0; codec < CODEC_COUNT; codec++) {
                BatchBuilder builder;
                RecordHeader headers[] = { { STR("h"), STR("v") }, { STR("null"), STR_NULL } };
                batch_builder_init(&builder, BATCH_TRANSACTIONAL, 7, 1, INT32_MAX);
                batch_builder_add(&builder, NOW, STR("k"), STR("value"), headers, 2);
                batch_builder_add(&builder, NOW - 5, STR_NULL, STR_NULL, NULL, 0);
                assert_ok(batch_builder_finish(&builder, codec));
                BatchHeader header;
                BatchReader reader;
                Record record;
                assert_ok(batch_read_header(builder.out.data, builder.out.size, &header));
                cr_assert(batch_check_crc(builder.out.data, &header));
                cr_assert_eq(batch_compression(&header), codec);
                cr_assert_eq(header.max_timestamp, NOW);
                assert_ok(batch_reader_init(&reader, builder.out.data, &header, 1000));
                cr_assert_eq(batch_reader_next(&reader, &record), 1);
                cr_assert(str_equal(record.value, STR("value")));
                const uint8_t *at = record.headers;
                RecordHeader got;
                cr_assert(record_next_header(&record, &at, &got) && str_equal(got.value, STR("v")));
                cr_assert(record_next_header(&record, &at, &got) && str_is_null(got.value));
                cr_assert_not(record_next_header(&record, &at, &got));
                cr_assert_eq(batch_reader_next(&reader, &record), 1);
                cr_assert(str_is_null(record.key) && str_is_null(record.value));
                cr_assert_eq(record.timestamp_ms, NOW - 5);
                cr_assert_eq(record.sequence, 0, "sequences wrap to 0");
                cr_assert_eq(batch_reader_next(&reader, &record), 0);
                batch_reader_deinit(&reader);
                batch_builder_deinit(&builder);
        }
}

Test(batch, every_cut_header_asks_for_more) {
        size_t size;
        uint8_t *data = make_batch(TEST_BATCH(.records = 3), &size);
        BatchHeader header;
        for (size_t cut = 0; cut < size; cut++)
                cr_assert_eq(batch_read_header(data, cut, &header), -EAGAIN);
        free(data);
}

Test(batch, every_changed_byte_under_the_crc_is_noticed) {
        size_t size;
        uint8_t *data = make_batch(TEST_BATCH(.records = 3), &size);
        BatchHeader header;
        for (size_t at = 17; at < size; at++) {
                data[at] ^= 1;
                assert_ok(batch_read_header(data, size, &header));
                cr_assert_not(batch_check_crc(data, &header));
                data[at] ^= 1;
        }
        free(data);
}

Test(batch, records_cut_at_any_byte_never_parse_to_the_end) {
        size_t size;
        uint8_t *data = make_batch(TEST_BATCH(.records = 3), &size);
        for (size_t cut = BATCH_HEADER_BYTES; cut < size; cut++) {
                uint8_t *copy = malloc(cut); /* so that a sanitizer sees a read past the end */
                memcpy(copy, data, cut);
                BatchHeader header;
                batch_read_header(data, size, &header);
                header.batch_length = (int32_t)cut - BATCH_LENGTH_OVERHEAD;
                BatchReader reader;
                Record record;
                int r;
                assert_ok(batch_reader_init(&reader, copy, &header, 1000));
                while ((r = batch_reader_next(&reader, &record)) == 1)
                        ;
                cr_assert_eq(r, KAFKA_INVALID_RECORD);
                batch_reader_deinit(&reader);
                free(copy);
        }
        free(data);
}

Test(batch, offsets_and_epoch_lie_outside_the_crc) {
        size_t size;
        uint8_t *data = make_batch(TEST_BATCH(.records = 1), &size);
        BatchHeader header;
        batch_set_base_offset(data, 1234567890123);
        batch_set_leader_epoch(data, 42);
        assert_ok(batch_read_header(data, size, &header));
        cr_assert(batch_check_crc(data, &header));
        cr_assert_eq(header.base_offset, 1234567890123);
        cr_assert_eq(header.partition_leader_epoch, 42);
        batch_set_log_append_time(data, 99);
        assert_ok(batch_read_header(data, size, &header));
        cr_assert(batch_check_crc(data, &header));
        cr_assert_eq(header.max_timestamp, 99);
        free(data);
}

Test(batch, another_magic_is_another_format) {
        size_t size;
        uint8_t *data = make_batch(TEST_BATCH(.records = 1), &size);
        BatchHeader header;
        data[16] = 1;
        cr_assert_eq(batch_read_header(data, size, &header), KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT);
        free(data);
}

Test(batch, no_records_make_no_batch) {
        BatchBuilder builder;
        batch_builder_init(&builder, 0, -1, -1, -1);
        cr_assert_eq(batch_builder_finish(&builder, 0), -EINVAL);
        batch_builder_deinit(&builder);
}
