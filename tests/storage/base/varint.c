/* Variable-length integers at every length, cut and overlong. */
#include "storage/base/varint.h"

#include <criterion/criterion.h>

Test(varint, every_length_round_trips_and_its_cuts_are_refused) {
        for (int bits = 0; bits <= 64; bits++) {
                uint64_t value = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1, again = 0;
                uint8_t bytes[VARINT_BYTES_MAX];
                size_t size = varuint_write(bytes, value);
                cr_assert_eq(size, varuint_size(value));
                cr_assert_eq(varuint64_read(bytes, bytes + size, &again), size);
                cr_assert_eq(again, value);
                for (size_t cut = 0; cut < size; cut++)
                        cr_assert_eq(varuint64_read(bytes, bytes + cut, &again), 0);
                uint32_t small = 0;
                cr_assert_eq(varuint32_read(bytes, bytes + size, &small), bits <= 32 ? size : 0);
                cr_assert(bits > 32 || small == value);
        }
}

Test(varint, more_bits_than_the_type_has_are_refused) {
        const uint8_t bits_65[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x03 };
        const uint8_t endless[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 };
        const uint8_t bits_33[] = { 0xff, 0xff, 0xff, 0xff, 0x1f };
        const uint8_t six_bytes[] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x00 };
        uint64_t big;
        uint32_t small;
        cr_assert_eq(varuint64_read(bits_65, bits_65 + sizeof(bits_65), &big), 0);
        cr_assert_eq(varuint64_read(endless, endless + sizeof(endless), &big), 0);
        cr_assert_eq(varuint32_read(bits_33, bits_33 + sizeof(bits_33), &small), 0);
        cr_assert_eq(varuint32_read(six_bytes, six_bytes + sizeof(six_bytes), &small), 0);
}

Test(varint, zigzag_keeps_small_numbers_small) {
        cr_assert_eq(zigzag_encode(0), 0);
        cr_assert_eq(zigzag_encode(-1), 1);
        cr_assert_eq(zigzag_encode(1), 2);
        cr_assert_eq(zigzag_encode(INT64_MAX), UINT64_MAX - 1);
        cr_assert_eq(zigzag_encode(INT64_MIN), UINT64_MAX);
        for (int bits = 0; bits < 63; bits++) {
                int64_t value = INT64_C(1) << bits;
                cr_assert_eq(zigzag_decode(zigzag_encode(value)), value);
                cr_assert_eq(zigzag_decode(zigzag_encode(-value)), -value);
        }
}
