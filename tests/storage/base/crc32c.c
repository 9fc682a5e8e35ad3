/* CRC-32C against its published check value, and the fast path against the plain one. */
#include <criterion/criterion.h>

#include "storage/base/crc32c.h"

Test(crc32c, check_value_is_right) {
        cr_assert_eq(crc32c(0, "123456789", 9), 0xe3069283u);
        cr_assert_eq(crc32c_portable(0, "123456789", 9), 0xe3069283u);
}

Test(crc32c, fast_equals_portable_at_every_length_and_alignment) {
        static uint8_t data[8200];
        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t)(i * 131 + i / 7);
        for (size_t size = 0; size < 8190; size += size < 3200 ? 1 : 61)
                for (size_t from = 0; from < 8; from++)
                        cr_assert_eq(crc32c(0, data + from, size), crc32c_portable(0, data + from, size));
}

Test(crc32c, can_be_continued) {
        cr_assert_eq(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}
