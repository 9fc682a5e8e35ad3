/* Slices: null is not empty, nothing needs a NUL, and what is printed is harmless. */
#include "storage/base/str.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(str, order_is_by_bytes_and_shorter_first) {
        cr_assert_lt(str_compare(STR("a"), STR("b")), 0);
        cr_assert_lt(str_compare(STR("a"), STR("ab")), 0);
        cr_assert_gt(str_compare(STR("\xff"), STR("a")), 0);
        cr_assert_eq(str_compare(STR("ab"), STR("ab")), 0);
        cr_assert_lt(str_compare(STR_NULL, STR("a")), 0);
}

Test(str, null_and_empty_have_equal_bytes_but_only_one_is_null) {
        cr_assert(str_equal(STR_NULL, STR("")));
        cr_assert(str_is_null(STR_NULL));
        cr_assert_not(str_is_null(STR("")));
        cr_assert_null(str_dup(STR_NULL));
}

Test(str, prefix_may_be_the_whole_or_nothing) {
        cr_assert(str_starts_with(STR("abc"), STR("ab")));
        cr_assert(str_starts_with(STR("abc"), STR("abc")));
        cr_assert(str_starts_with(STR("abc"), STR("")));
        cr_assert_not(str_starts_with(STR("ab"), STR("abc")));
}

Test(str, copy_ends_in_nul) {
        char *copy = str_dup((Str){ .data = "abcdef", .len = 3 });
        cr_assert_str_eq(copy, "abc");
        free(copy);
}

Test(str, escape_hides_control_bytes_and_is_cut_to_fit) {
        char text[32], small[6];
        cr_assert_str_eq(str_escape(STR("a\n\x1b\\\xff~"), text, sizeof(text)), "a\\x0a\\x1b\\x5c\\xff~");
        cr_assert_str_eq(str_escape(STR("ab\n"), small, sizeof(small)), "ab");
        cr_assert_str_eq(str_escape(STR("abcdefgh"), small, sizeof(small)), "abcde");
        cr_assert_str_eq(str_escape(STR("abc"), small, 1), "");
        cr_assert_str_eq(str_escape(STR_NULL, text, sizeof(text)), "");
}

static bool is_number(const char *text, int64_t expected) {
        int64_t value = 0;
        return str_to_int64(str_of(text), INT64_MIN, INT64_MAX, &value) && value == expected;
}

Test(str, numbers_of_the_whole_range_are_read) {
        cr_assert(is_number("0", 0));
        cr_assert(is_number("-1", -1));
        cr_assert(is_number("007", 7));
        cr_assert(is_number("9223372036854775807", INT64_MAX));
        cr_assert(is_number("-9223372036854775808", INT64_MIN));
}

Test(str, anything_else_is_no_number) {
        const char *bad[] = { "", "-", "+1", " 1", "1 ", "1.0", "0x10", "--1", "9223372036854775808", "-9223372036854775809",
                              "99999999999999999999999999999999999999999999" };
        int64_t value;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                cr_assert_not(str_to_int64(str_of(bad[i]), INT64_MIN, INT64_MAX, &value), "%s", bad[i]);
        cr_assert_not(str_to_int64(STR_NULL, INT64_MIN, INT64_MAX, &value));
        cr_assert_not(str_to_int64(STR("11"), 0, 10, &value));
        cr_assert_not(str_to_int64(STR("-1"), 0, 10, &value));
}
