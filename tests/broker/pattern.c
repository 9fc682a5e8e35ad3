/* A client's patterns mean what Java makes of them, or are refused. */
#include "broker/state/pattern.h"

#include <criterion/criterion.h>

static bool matches(const char *pattern, const char *text) {
        regex_t compiled;
        cr_assert(pattern_compile(str_of(pattern), &compiled), "%s", pattern);
        bool result = pattern_matches(&compiled, str_of(text));
        pattern_deinit(&compiled);
        return result;
}

Test(pattern, matches_whole_strings_only) {
        cr_assert(matches("te.t", "test"));
        cr_assert(!matches("te.t", "tests"));
        cr_assert(!matches("te.t", "a test"));
        cr_assert(matches("a|bc", "bc") && matches("a|bc", "a") && !matches("a|bc", "abc"));
}

Test(pattern, has_the_common_syntax_of_java) {
        cr_assert(matches("\\d+\\.\\d*", "12.") && !matches("\\d+", "a"));
        cr_assert(matches("[\\d.]+", "1.2") && matches("\\D", "a") && !matches("\\D", "1"));
        cr_assert(matches("(?:ab)*?", "abab") && !matches("(?:ab)*", "aba"));
        cr_assert(matches("a{2,3}", "aaa") && !matches("a{2,3}", "a"));
        cr_assert(matches("a++", "aa") && matches("[]a]", "]") && matches("[^]a]", "b"));
        cr_assert(matches("\\w+\\s\\w", "ab c") && matches("a\\|b", "a|b"));
}

Test(pattern, refuses_what_is_malformed) {
        static const char *const bad[] = { "", "*", "+a", "a|*", "(*)", "(a)+*", "a**", "[", "[a", "(", "(a", ")", ")|(", "a)(b", "\\", "a{", "{2}" };
        regex_t compiled;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                cr_expect(!pattern_compile(str_of(bad[i]), &compiled), "%s", bad[i]);
        cr_expect(!pattern_compile((Str){ "a\0b", 3 }, &compiled));
}

/* Repeats in repeats take memory that grows with their product. */
Test(pattern, refuses_what_could_take_much_memory) {
        regex_t compiled;
        char text[PATTERN_LENGTH_MAX + 2];
        memset(text, 'a', sizeof(text));
        cr_assert(!pattern_compile((Str){ text, sizeof(text) - 1 }, &compiled));
        cr_assert(pattern_compile((Str){ text, PATTERN_LENGTH_MAX }, &compiled));
        pattern_deinit(&compiled);
        cr_assert(!pattern_compile(STR("((a{1,255}){1,255}){1,255}"), &compiled));
        cr_assert(!pattern_compile(STR("(a)\\1"), &compiled));
}
