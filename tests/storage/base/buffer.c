/* Buffers: growth keeps the bytes, and a failure sticks. */
#include "storage/base/buffer.h"

#include <criterion/criterion.h>

Test(buffer, growing_keeps_every_byte) {
        Buffer buffer = BUFFER_INIT;
        for (int i = 0; i < 100000; i++)
                buffer_append(&buffer, &(uint8_t){ (uint8_t)(i * 7) }, 1);
        cr_assert_eq(buffer.size, 100000);
        for (int i = 0; i < 100000; i++)
                cr_assert_eq(buffer.data[i], (uint8_t)(i * 7));
        buffer_deinit(&buffer);
        cr_assert_null(buffer.data);
}

Test(buffer, text_is_appended_without_its_nul) {
        Buffer buffer = BUFFER_INIT;
        buffer_printf(&buffer, "%s=%d", "key", 12);
        buffer_append_str(&buffer, STR(";"));
        cr_assert_eq(buffer.size, 7);
        cr_assert(memcmp(buffer.data, "key=12;", 7) == 0);
        buffer_deinit(&buffer);
}

Test(buffer, a_failure_sticks_until_cleared) {
        Buffer buffer = BUFFER_INIT;
        cr_assert_null(buffer_extend(&buffer, SIZE_MAX));
        cr_assert(buffer.failed);
        cr_assert_null(buffer_extend(&buffer, 1));
        buffer_clear(&buffer);
        cr_assert(buffer_extend(&buffer, 1));
        buffer_deinit(&buffer);
}

Test(buffer, appending_nothing_is_fine_even_from_null) {
        Buffer buffer = BUFFER_INIT;
        buffer_append_str(&buffer, STR_NULL);
        cr_assert_eq(buffer.size, 0);
        cr_assert_not(buffer.failed);
        buffer_deinit(&buffer);
}
