/* Patterns over topic names: RE2's syntax, and what hostile ones cost. */
#include "broker/state/groups/topic_regex.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static bool matches(const char *pattern, const char *name) {
        char message[256] = "";
        TopicRegex *regex = topic_regex_new(str_of(pattern), message, sizeof(message));
        cr_assert(regex, "%s: %s", pattern, message);
        bool result = topic_regex_matches(regex, str_of(name), NULL);
        topic_regex_free(regex);
        return result;
}

Test(topic_regex, whole_name_has_to_match) {
        cr_assert(matches("events", "events") && !matches("events", "events2") && !matches("vent", "events"));
        cr_assert(matches("a|b", "b") && !matches("a|b", "ab") && matches("^a.*z$", "abcz"));
        cr_assert(matches("", "") && !matches("", "a") && matches(".*", ""));
}

Test(topic_regex, re2_syntax_is_known) {
        cr_assert(matches("[a-c]+\\d{2,3}", "abc12") && !matches("[a-c]+\\d{2,3}", "abc1"));
        cr_assert(matches("(?i)ORDERS", "orders") && matches("(?P<kind>a|b)x", "bx") && matches("(?<kind>a|b)x", "ax"));
        cr_assert(matches("\\Qa.b\\E.", "a.bc") && !matches("\\Qa.b\\E.", "axbc"));
        cr_assert(matches("[[:alpha:]]+?x", "aax") && matches("\\pL+", "abc") && matches("\\x61\\x{62}", "ab"));
        cr_assert(matches("[]a]+", "aa") && matches("a{,2}", "a{,2}") && matches("(?:ab){2}", "abab"));
        cr_assert(matches("x{1000}|y", "y") && matches("\\Aa\\z", "a") && matches("a\\bb|a-\\bb", "a-b"));
}

Test(topic_regex, what_re2_does_not_have_is_refused) {
        static const char *const patterns[] = {
                "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?>a)", "(?|a)", "(?#a)", "(?R)", "(?1)", "(?P=x)", "(?P>x)", "(?&x)", "(*ACCEPT)a",
                "\\1", "\\9", "\\k<x>", "\\g1", "\\G", "\\Z", "\\h", "\\R", "\\X", "\\K", "\\N", "\\C", "\\u0061", "a++", "a*+", "a?+",
                "a{2}+", "a**", "a{1001}", "a{2,1}", "(", ")", "[a", "*a", "[b-a]", "\\", "(?x)a", "(?<1", "[[:no:]]", "(?C1)a", "a{2}{3}",
        };
        char message[256];
        for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
                TopicRegex *regex = topic_regex_new(str_of(patterns[i]), message, sizeof(message));
                cr_expect(!regex, "%s", patterns[i]);
                topic_regex_free(regex);
        }
}

Test(topic_regex, no_pattern_takes_long) {
        static const char *const patterns[] = {
                "(a*)*b", "(a|a)*b", "(a|aa)+b", "(.*a){20}", "((a?){50}){20}b", "(a+)+(a+)+(a+)+b", "(x+x+)+y|(a*a*)*c", ".*.*.*.*.*.*=.*",
                "((((((a*)*)*)*)*)*)*b", "(a{1,100}){1,10}b",
        };
        char name[250] = "", message[256];
        memset(name, 'a', 249);
        for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
                TopicRegex *regex = topic_regex_new(str_of(patterns[i]), message, sizeof(message));
                int cost = 0, total = 0;
                for (int k = 0; regex && k < 20; k++, total += cost) {
                        bool found = topic_regex_matches(regex, str_of(name), &cost);
                        cr_assert(!found || i == 3, "%s", patterns[i]);
                }
                topic_regex_free(regex);
        }
}

Test(topic_regex, hostile_pattern_still_finds_what_matches) {
        char name[64] = "";
        memset(name, 'a', 40);
        strcat(name, "b");
        cr_assert(matches("(a*)*b", name) && matches("(a|aa)+b", name) && matches("(a|a)*b", name));
}

Test(topic_regex, huge_patterns_are_refused_or_bounded) {
        char message[256], *huge = malloc(40000);
        memset(huge, '(', 39999);
        huge[39999] = 0;
        cr_assert_null(topic_regex_new(str_of(huge), message, sizeof(message)));
        cr_assert_null(topic_regex_new(STR("((((a{1000}){1000}){1000}){1000})"), message, sizeof(message)));
        free(huge);
}
