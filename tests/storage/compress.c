/* Every codec gives back what it got, and refuses bombs and rubbish. */
#include <criterion/criterion.h>
#include <snappy-c.h>
#include <string.h>

#include "storage/base/error.h"
#include "storage/compress.h"

static void fill(uint8_t *data, size_t size) {
        uint32_t state = 1;
        for (size_t i = 0; i < size; i++) {
                state = state * 1664525 + 1013904223;
                data[i] = i % 3 ? 'x' : (uint8_t)(state >> 24);
        }
}

Test(compress, every_codec_round_trips) {
        static uint8_t data[300000];
        static const size_t sizes[] = { 1, 100, 4096, 32768, 32769, sizeof(data) };
        fill(data, sizeof(data));
        for (int codec = 0; codec < CODEC_COUNT; codec++)
                for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
                        Buffer packed = BUFFER_INIT, back = BUFFER_INIT;
                        cr_assert_eq(codec_compress(codec, CODEC_LEVEL_DEFAULT, data, sizes[i], &packed), 0);
                        cr_assert_eq(codec_decompress(codec, packed.data, packed.size, sizes[i], &back), 0,
                                     "%s of %zu", codec_name(codec), sizes[i]);
                        cr_assert_eq(back.size, sizes[i]);
                        cr_assert_arr_eq(back.data, data, sizes[i]);
                        buffer_deinit(&packed);
                        buffer_deinit(&back);
                }
}

Test(compress, nothing_inflates_past_the_cap) {
        static uint8_t zeros[1 << 20];
        for (int codec = 1; codec < CODEC_COUNT; codec++) {
                Buffer packed = BUFFER_INIT, back = BUFFER_INIT;
                cr_assert_eq(codec_compress(codec, CODEC_LEVEL_DEFAULT, zeros, sizeof(zeros), &packed), 0);
                cr_assert_eq(codec_decompress(codec, packed.data, packed.size, sizeof(zeros) - 1, &back),
                             KAFKA_MESSAGE_TOO_LARGE, "%s", codec_name(codec));
                buffer_deinit(&packed);
                buffer_deinit(&back);
        }
}

Test(compress, rubbish_and_cut_input_is_corrupt) {
        static uint8_t data[50000];
        fill(data, sizeof(data));
        for (int codec = 1; codec < CODEC_COUNT; codec++) {
                Buffer packed = BUFFER_INIT, back = BUFFER_INIT;
                cr_assert_eq(codec_decompress(codec, "\xff\xff\xff\xff\xff\xff\xff", 7, 1000, &back), KAFKA_CORRUPT_MESSAGE);
                cr_assert_eq(codec_decompress(codec, "", 0, 1000, &back), KAFKA_CORRUPT_MESSAGE);
                cr_assert_eq(codec_compress(codec, CODEC_LEVEL_DEFAULT, data, sizeof(data), &packed), 0);
                cr_assert_eq(codec_decompress(codec, packed.data, packed.size - 5, sizeof(data), &back),
                             KAFKA_CORRUPT_MESSAGE, "%s", codec_name(codec));
                buffer_deinit(&packed);
                buffer_deinit(&back);
        }
}

Test(compress, raw_snappy_is_accepted) {
        char packed[64];
        size_t size = sizeof(packed);
        cr_assert_eq(snappy_compress("hello hello hello", 17, packed, &size), SNAPPY_OK);
        Buffer back = BUFFER_INIT;
        cr_assert_eq(codec_decompress(CODEC_SNAPPY, packed, size, 100, &back), 0);
        cr_assert_eq(back.size, 17);
        buffer_deinit(&back);
}

Test(compress, unknown_codec_is_refused) {
        Buffer out = BUFFER_INIT;
        cr_assert_null(codec_name(5));
        cr_assert_lt(codec_compress(5, CODEC_LEVEL_DEFAULT, "a", 1, &out), 0);
        cr_assert_gt(codec_decompress(5, "a", 1, 10, &out), 0);
}
