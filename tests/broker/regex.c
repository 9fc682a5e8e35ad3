/* Clients' patterns: RE2's syntax and Java's, and what hostile ones cost. */
#include "broker/state/regex.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static bool matches(const char *pattern, const char *name) {
        char message[256] = "";
        Regex *regex = regex_new(REGEX_RE2, str_of(pattern), message, sizeof(message));
        cr_assert(regex, "%s: %s", pattern, message);
        bool result = regex_matches(regex, str_of(name), NULL);
        regex_free(regex);
        return result;
}

Test(regex, whole_name_has_to_match) {
        cr_assert(matches("events", "events") && !matches("events", "events2") && !matches("vent", "events"));
        cr_assert(matches("a|b", "b") && !matches("a|b", "ab") && matches("^a.*z$", "abcz"));
        cr_assert(matches("", "") && !matches("", "a") && matches(".*", ""));
}

Test(regex, re2_syntax_is_known) {
        cr_assert(matches("[a-c]+\\d{2,3}", "abc12") && !matches("[a-c]+\\d{2,3}", "abc1"));
        cr_assert(matches("(?i)ORDERS", "orders") && matches("(?P<kind>a|b)x", "bx") && matches("(?<kind>a|b)x", "ax"));
        cr_assert(matches("\\Qa.b\\E.", "a.bc") && !matches("\\Qa.b\\E.", "axbc"));
        cr_assert(matches("[[:alpha:]]+?x", "aax") && matches("\\pL+", "abc") && matches("\\x61\\x{62}", "ab"));
        cr_assert(matches("[]a]+", "aa") && matches("a{,2}", "a{,2}") && matches("(?:ab){2}", "abab"));
        cr_assert(matches("x{1000}|y", "y") && matches("\\Aa\\z", "a") && matches("a\\bb|a-\\bb", "a-b"));
}

Test(regex, what_re2_does_not_have_is_refused) {
        static const char *const patterns[] = {
                "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?>a)", "(?|a)", "(?#a)", "(?R)", "(?1)", "(?P=x)", "(?P>x)", "(?&x)", "(*ACCEPT)a",
                "\\1", "\\9", "\\k<x>", "\\g1", "\\G", "\\Z", "\\h", "\\R", "\\X", "\\K", "\\N", "\\C", "\\u0061", "a++", "a*+", "a?+",
                "a{2}+", "a**", "a{1001}", "a{2,1}", "(", ")", "[a", "*a", "[b-a]", "\\", "(?x)a", "(?<1", "[[:no:]]", "(?C1)a", "a{2}{3}",
        };
        char message[256];
        for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
                Regex *regex = regex_new(REGEX_RE2, str_of(patterns[i]), message, sizeof(message));
                cr_expect(!regex, "%s", patterns[i]);
                regex_free(regex);
        }
}

Test(regex, no_pattern_takes_long) {
        static const char *const patterns[] = {
                "(a*)*b", "(a|a)*b", "(a|aa)+b", "(.*a){20}", "((a?){50}){20}b", "(a+)+(a+)+(a+)+b", "(x+x+)+y|(a*a*)*c", ".*.*.*.*.*.*=.*",
                "((((((a*)*)*)*)*)*)*b", "(a{1,100}){1,10}b",
        };
        char name[250] = "", message[256];
        memset(name, 'a', 249);
        for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
                Regex *regex = regex_new(REGEX_RE2, str_of(patterns[i]), message, sizeof(message));
                for (int k = 0; regex && k < 20; k++) {
                        bool found = regex_matches(regex, str_of(name), NULL);
                        cr_assert(!found || i == 3, "%s", patterns[i]);
                }
                regex_free(regex);
        }
}

Test(regex, long_text_costs_more) {
        static char text[32768];
        memset(text, 'a', sizeof(text));
        char message[256];
        Regex *regex = regex_new(REGEX_RE2, STR(".*(.*a){20}b"), message, sizeof(message));
        int cost = 0;
        cr_assert(!regex_matches(regex, (Str){ text, 8192 }, &cost));
        int longer = 0;
        cr_assert(!regex_matches(regex, (Str){ text, sizeof(text) }, &longer));
        cr_expect_gt(longer, 3 * cost);
        regex_free(regex);
}

Test(regex, hostile_pattern_still_finds_what_matches) {
        char name[64] = "";
        memset(name, 'a', 40);
        strcat(name, "b");
        cr_assert(matches("(a*)*b", name) && matches("(a|aa)+b", name) && matches("(a|a)*b", name));
}

Test(regex, huge_patterns_are_refused_or_bounded) {
        char message[256], *huge = malloc(40000);
        memset(huge, '(', 39999);
        huge[39999] = 0;
        cr_assert_null(regex_new(REGEX_RE2, str_of(huge), message, sizeof(message)));
        cr_assert_null(regex_new(REGEX_RE2, STR("((((a{1000}){1000}){1000}){1000})"), message, sizeof(message)));
        free(huge);
}

static bool java_matches(const char *pattern, const char *text) {
        char message[256] = "";
        Regex *regex = regex_new(REGEX_JAVA, str_of(pattern), message, sizeof(message));
        cr_assert(regex, "%s: %s", pattern, message);
        bool result = regex_matches(regex, str_of(text), NULL);
        regex_free(regex);
        return result;
}

Test(regex, java_matches_whole_strings_only) {
        cr_assert(java_matches("te.t", "test") && !java_matches("te.t", "tests") && !java_matches("te.t", "a test"));
        cr_assert(java_matches("a|bc", "bc") && java_matches("a|bc", "a") && !java_matches("a|bc", "abc"));
}

Test(regex, java_syntax_is_known) {
        cr_assert(java_matches("\\d+\\.\\d*", "12.") && !java_matches("\\d+", "a"));
        cr_assert(java_matches("[\\d.]+", "1.2") && java_matches("\\D", "a") && !java_matches("\\D", "1"));
        cr_assert(java_matches("(?:ab)*?", "abab") && !java_matches("(?:ab)*", "aba"));
        cr_assert(java_matches("a{2,3}", "aaa") && !java_matches("a{2,3}", "a") && java_matches("a++", "aa"));
        cr_assert(java_matches("\\w+\\s\\w", "ab c") && java_matches("a\\|b", "a|b") && java_matches("\\Qa{\\E", "a{"));
        cr_assert(java_matches("(?!b).*", "abc") && !java_matches("(?!a).*", "abc") && java_matches("(a|b)\\1", "aa"));
}

Test(regex, what_java_refuses_is_refused) {
        static const char *const patterns[] = { "*", "+a", "a|*", "(*)", "(a)+*", "a**", "[", "[a", "(", "(a", ")", ")|(", "a)(b", "\\",
                                                "a{", "{2}", "(*ACCEPT)", "[a&&b]", "((a{1,255}){1,255}){1,255}" };
        char message[256];
        for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
                Regex *regex = regex_new(REGEX_JAVA, str_of(patterns[i]), message, sizeof(message));
                cr_expect(!regex, "%s", patterns[i]);
                regex_free(regex);
        }
}

Test(regex, hostile_java_patterns_are_bounded, .timeout = 60) {
        static const char *const patterns[] = { "(a*)*b", "(a|aa)+b", "(?=(a*)*b)c|d", "(a+)\\1*\\1*\\1*b", "((a?){50}){20}b" };
        char text[250] = "", message[256];
        memset(text, 'a', 249);
        for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
                Regex *regex = regex_new(REGEX_JAVA, str_of(patterns[i]), message, sizeof(message));
                for (int k = 0; regex && k < 20; k++)
                        cr_assert(!regex_matches(regex, str_of(text), NULL), "%s", patterns[i]);
                regex_free(regex);
        }
}
