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

typedef struct Walked {
        int r;
        int32_t count;
        int64_t max_timestamp_ms;
} Walked;

/* To the end of the batch or the first wrong record, of which a missing key is one. */
static Walked walk(const uint8_t *data, const BatchHeader *header, bool quickly) {
        BatchReader reader;
        Record record;
        Walked walked = { .max_timestamp_ms = -1 };
        assert_ok(batch_reader_init(&reader, data, header, 1000));
        while (!(quickly && batch_reader_walk(&reader, true, &walked.max_timestamp_ms)) && (walked.r = batch_reader_next(&reader, &record)) == 1) {
                if (str_is_null(record.key))
                        break;
                if (record.timestamp_ms > walked.max_timestamp_ms)
                        walked.max_timestamp_ms = record.timestamp_ms;
                walked.r = 0;
        }
        walked.count = reader.index;
        batch_reader_deinit(&reader);
        return walked;
}

static Walked assert_walks_agree(const uint8_t *data, const BatchHeader *header) {
        Walked careful = walk(data, header, false), quick = walk(data, header, true);
        cr_assert(quick.r == careful.r && quick.count == careful.count && quick.max_timestamp_ms == careful.max_timestamp_ms,
                  "%d, %d records, time %lld, but quickly %d, %d, %lld", careful.r, careful.count, (long long)careful.max_timestamp_ms,
                  quick.r, quick.count, (long long)quick.max_timestamp_ms);
        return careful;
}

static void start_batch(BatchBuilder *builder) {
        batch_builder_init(builder, 0, -1, -1, -1);
        batch_builder_add(builder, NOW, STR("k"), STR("v"), NULL, 0);
}

static Walked finish_and_walk(BatchBuilder *builder) {
        BatchHeader header;
        assert_ok(batch_builder_finish(builder, CODEC_NONE));
        assert_ok(batch_read_header(builder->out.data, builder->out.size, &header));
        Walked walked = assert_walks_agree(builder->out.data, &header);
        batch_builder_deinit(builder);
        return walked;
}

Test(batch, a_quick_walk_sees_numbers_of_any_length) {
        static char bytes[1 << 20];
        static const size_t sizes[] = { 0, 1, 62, 63, 64, 65, 8190, 8191, 8192, 8193, 1 << 20 };
        static const int64_t deltas[] = { 0, 63, 64, 65, 8190, 8191, 8192, 8193, 1 << 30 };
        BatchBuilder builder;
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                Str text = { bytes, sizes[i] };
                RecordHeader headers[] = { { text, text }, { STR("null"), STR_NULL } };
                start_batch(&builder);
                batch_builder_add(&builder, NOW, text, text, headers, 2);
                batch_builder_add(&builder, NOW, STR("k"), STR_NULL, headers, 1);
                Walked walked = finish_and_walk(&builder);
                cr_assert(walked.r == 0 && walked.count == 3);
        }
        for (size_t i = 0; i < sizeof(deltas) / sizeof(deltas[0]); i++) {
                start_batch(&builder);
                batch_builder_add(&builder, NOW - deltas[i], STR("k"), STR("v"), NULL, 0);
                batch_builder_add(&builder, NOW + deltas[i], STR("k"), STR("v"), NULL, 0);
                Walked walked = finish_and_walk(&builder);
                cr_assert(walked.r == 0 && walked.count == 3 && walked.max_timestamp_ms == NOW + deltas[i]);
        }
}

Test(batch, a_quick_walk_sees_any_number_of_records_and_headers) {
        static const int counts[] = { 1, 63, 64, 65, 128, 8191, 8192, 8193, 8194, 20000 };
        static RecordHeader headers[70];
        BatchBuilder builder;
        for (size_t i = 0; i < 70; i++)
                headers[i] = (RecordHeader){ STR("key"), i % 2 ? STR("") : STR_NULL };
        for (int count = 0; count <= 70; count++) {
                start_batch(&builder);
                batch_builder_add(&builder, NOW, STR("k"), STR("v"), headers, count);
                cr_assert_eq(finish_and_walk(&builder).r, 0);
        }
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                start_batch(&builder);
                for (int j = 1; j < counts[i]; j++)
                        batch_builder_add(&builder, NOW, STR("k"), STR("v"), NULL, 0);
                Walked walked = finish_and_walk(&builder);
                cr_assert(walked.r == 0 && walked.count == counts[i]);
        }
}

Test(batch, a_quick_walk_passes_over_nothing_wrong) {
        RecordHeader headers[] = { { STR("key"), STR("value") }, { STR("null"), STR_NULL } };
        BatchBuilder builder;
        BatchHeader header;
        start_batch(&builder);
        batch_builder_add(&builder, NOW + 100, STR("key"), STR("a value of more than sixty-three bytes takes two for its length"), headers, 2);
        batch_builder_add(&builder, NOW, STR(""), STR_NULL, NULL, 0);
        assert_ok(batch_builder_finish(&builder, CODEC_NONE));
        assert_ok(batch_read_header(builder.out.data, builder.out.size, &header));
        for (size_t at = BATCH_HEADER_BYTES; at < builder.out.size; at++) {
                uint8_t right = builder.out.data[at];
                for (int byte = 0; byte < 256; byte++) {
                        builder.out.data[at] = (uint8_t)byte;
                        assert_walks_agree(builder.out.data, &header);
                }
                builder.out.data[at] = right;
        }
        for (size_t size = BATCH_HEADER_BYTES; size <= builder.out.size; size++) {
                uint8_t *copy = malloc(size); /* so that a sanitizer sees a read past the end */
                memcpy(copy, builder.out.data, size);
                header.batch_length = (int32_t)size - BATCH_LENGTH_OVERHEAD;
                Walked walked = assert_walks_agree(copy, &header);
                cr_assert_eq(walked.r == 0, size == builder.out.size);
                free(copy);
        }
        batch_builder_deinit(&builder);
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
