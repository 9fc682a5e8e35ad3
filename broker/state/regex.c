/* The syntax of RE2, and of Java, on PCRE2. */
#include "broker/state/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "storage/base/trace.h"

#define BACKTRACKS_MAX 20000
#define DEPTH_MAX 1000
#define HEAP_KIB_MAX 1024
#define PARENTHESES_MAX 250
#define REPEAT_MAX 1000 /* RE2's */
#define WORKSPACE_INTS 1500 /* of the matcher without backtracking: bounds its states, and so its time */
#define COST_OF_WALK 2000
#define COST_TEXT_BYTES 256 /* as many more cost as much again */

struct Regex {
        pcre2_code *code;
        pcre2_match_data *data;
        pcre2_match_context *limits;
};

/* ---- what RE2 does not have */

typedef struct Scan {
        const char *at, *end;
        const char *why; /* the first thing that is refused, in the words of Kafka's library */
} Scan;

static void refuse(Scan *s, const char *why) {
        if (!s->why)
                s->why = why;
}

static bool is_one_of(char c, const char *set) {
        return c && strchr(set, c);
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* \Q...\E stands for itself. */
static void skip_quoted(Scan *s) {
        while (s->at < s->end && !(s->at[0] == '\\' && s->at + 1 < s->end && s->at[1] == 'E'))
                s->at++;
        if (s->at < s->end)
                s->at += 2;
}

static void scan_escape(Scan *s, bool in_class) {
        s->at++;
        if (s->at == s->end) {
                refuse(s, "trailing backslash at end of expression");
                return;
        }
        char c = *s->at++;
        if (c == 'Q' && !in_class) {
                skip_quoted(s);
                return;
        }
        if (is_digit(c) && c != '0' && !(s->at < s->end && *s->at >= '0' && *s->at <= '7' && c <= '7'))
                refuse(s, "invalid escape sequence");
        if (is_letter(c) && !is_one_of(c, in_class ? "aftnrvxdDsSwWpP" : "aftnrvxdDsSwWpPAzbBCQE"))
                refuse(s, "invalid escape sequence");
        if (c == 'C')
                refuse(s, "invalid escape sequence");
}

static void scan_class(Scan *s) {
        s->at++;
        if (s->at < s->end && *s->at == '^')
                s->at++;
        for (bool first = true; s->at < s->end && (first || *s->at != ']'); first = false) {
                if (*s->at == '\\') {
                        scan_escape(s, true);
                } else if (s->at + 1 < s->end && s->at[0] == '[' && s->at[1] == ':') {
                        const char *end = memmem(s->at, (size_t)(s->end - s->at), ":]", 2);
                        s->at = end ? end + 2 : s->at + 2;
                } else {
                        s->at++;
                }
        }
        if (s->at == s->end)
                refuse(s, "missing closing ]");
        else
                s->at++;
}

/* After "(?": flags, a name, or what RE2 refuses. */
static void scan_group(Scan *s) {
        s->at++;
        if (s->end - s->at >= 2 && (s->at[0] == '<' || (s->at[0] == 'P' && s->at[1] == '<'))) {
                const char *name = s->at += s->at[0] == 'P' ? 2 : 1;
                while (s->at < s->end && (is_letter(*s->at) || is_digit(*s->at) || *s->at == '_'))
                        s->at++;
                if (s->at == s->end || *s->at != '>' || s->at == name)
                        refuse(s, "invalid named capture");
                return;
        }
        while (s->at < s->end && is_one_of(*s->at, "imsU-"))
                s->at++;
        if (s->at == s->end || !is_one_of(*s->at, ":)"))
                refuse(s, "invalid or unsupported Perl syntax");
}

/* {n}, {n,} or {n,m}; anything else stands for itself. */
static bool scan_counts(Scan *s) {
        const char *p = s->at + 1;
        long low = 0, high = -1;
        if (p == s->end || !is_digit(*p))
                return false;
        for (; p < s->end && is_digit(*p); p++)
                low = low > REPEAT_MAX ? low : low * 10 + (*p - '0');
        high = low;
        if (p < s->end && *p == ',') {
                p++;
                high = p < s->end && is_digit(*p) ? 0 : -1;
                for (; p < s->end && is_digit(*p); p++)
                        high = high > REPEAT_MAX ? high : high * 10 + (*p - '0');
        }
        if (p == s->end || *p != '}')
                return false;
        s->at = p + 1;
        if (low > REPEAT_MAX || high > REPEAT_MAX || (high >= 0 && low > high))
                refuse(s, "invalid repeat count");
        return true;
}

/* A repetition may be made lazy, and nothing more. */
static void scan_repetition(Scan *s) {
        if (*s->at != '{')
                s->at++;
        else if (!scan_counts(s)) {
                s->at++;
                return;
        }
        if (s->at < s->end && *s->at == '?')
                s->at++;
        if (s->at < s->end && (is_one_of(*s->at, "*+?") || (*s->at == '{' && s->at + 1 < s->end && is_digit(s->at[1]))))
                refuse(s, "invalid nested repetition operator");
}

static void scan(Scan *s) {
        while (s->at < s->end && !s->why) {
                char c = *s->at;
                if (c == '\\') {
                        scan_escape(s, false);
                } else if (c == '[') {
                        scan_class(s);
                } else if (c == '(') {
                        s->at++;
                        if (s->at < s->end && *s->at == '?')
                                scan_group(s);
                        else if (s->at < s->end && *s->at == '*')
                                refuse(s, "missing argument to repetition operator");
                } else if (is_one_of(c, "*+?{")) {
                        scan_repetition(s);
                } else {
                        s->at++;
                }
        }
}

/* ---- what Java reads otherwise */

/* Counts and classes; all else that PCRE2 has is left to it. A brace begins counts, or is refused; && makes an intersection. */
static void scan_java(Scan *s) {
        bool can_repeat = false;
        while (s->at < s->end && !s->why) {
                char c = *s->at;
                if (c == '\\' && s->at + 1 < s->end && s->at[1] == 'Q') {
                        s->at += 2;
                        skip_quoted(s);
                } else if (c == '\\') {
                        s->at += s->at + 1 < s->end ? 2 : 1;
                } else if (c == '[') {
                        const char *class = s->at;
                        scan_class(s);
                        if (memmem(class, (size_t)(s->at - class), "&&", 2))
                                refuse(s, "intersections are not supported");
                } else if (c == '{' ? !can_repeat || !scan_counts(s) : c == '(' && s->at + 1 < s->end && s->at[1] == '*') {
                        refuse(s, "Illegal repetition");
                } else if (c != '{') {
                        s->at++;
                }
                can_repeat = c != '(' && c != '|';
        }
}

/* ---- PCRE2 */

/* Its reasons in RE2's words, where there are such. */
static const char *reason(int code) {
        switch (code) {
        case PCRE2_ERROR_MISSING_CLOSING_PARENTHESIS:
                return "missing closing )";
        case PCRE2_ERROR_UNMATCHED_CLOSING_PARENTHESIS:
                return "regexp/syntax: internal error";
        case PCRE2_ERROR_QUANTIFIER_INVALID:
                return "missing argument to repetition operator";
        case PCRE2_ERROR_MISSING_SQUARE_BRACKET:
                return "missing closing ]";
        case PCRE2_ERROR_CLASS_RANGE_ORDER:
        case PCRE2_ERROR_CLASS_INVALID_RANGE:
        case PCRE2_ERROR_UNKNOWN_POSIX_CLASS:
                return "invalid character class range";
        default:
                return NULL;
        }
}

static pcre2_code *compile(Str pattern, int *ret_error) {
        size_t at;
        pcre2_compile_context *context = pcre2_compile_context_create(NULL);
        if (!context)
                return NULL;
        pcre2_set_parens_nest_limit(context, PARENTHESES_MAX);
        pcre2_set_max_pattern_length(context, REGEX_LENGTH_MAX);
        uint32_t options = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY;
        pcre2_code *code = pcre2_compile((PCRE2_SPTR)(pattern.data ? pattern.data : ""), pattern.len, options, ret_error, &at, context);
        pcre2_compile_context_free(context);
        return code;
}

Regex *regex_new(RegexSyntax syntax, Str pattern, char *ret_message, size_t message_size) {
        Scan s = { .at = pattern.data, .end = pattern.data + pattern.len };
        int error = 0;
        if (pattern.len && syntax == REGEX_JAVA)
                scan_java(&s);
        else if (pattern.len)
                scan(&s);
        if (s.why) {
                snprintf(ret_message, message_size, "%s", s.why);
                return NULL;
        }
        pcre2_code *code = compile(pattern, &error);
        if (!code) {
                char text[128] = "out of memory";
                if (error)
                        pcre2_get_error_message(error, (PCRE2_UCHAR *)text, sizeof(text));
                snprintf(ret_message, message_size, "%s", error && reason(error) ? reason(error) : text);
                return NULL;
        }
        Regex *regex = calloc(1, sizeof(*regex));
        pcre2_match_data *data = pcre2_match_data_create(2, NULL);
        pcre2_match_context *limits = pcre2_match_context_create(NULL);
        if (!regex || !data || !limits) {
                pcre2_code_free(code);
                pcre2_match_data_free(data);
                pcre2_match_context_free(limits);
                free(regex);
                snprintf(ret_message, message_size, "out of memory");
                return NULL;
        }
        pcre2_set_match_limit(limits, BACKTRACKS_MAX);
        pcre2_set_depth_limit(limits, DEPTH_MAX);
        pcre2_set_heap_limit(limits, HEAP_KIB_MAX);
        *regex = (Regex){ .code = code, .data = data, .limits = limits };
        return regex;
}

void regex_free(Regex *regex) {
        if (!regex)
                return;
        pcre2_code_free(regex->code);
        pcre2_match_data_free(regex->data);
        pcre2_match_context_free(regex->limits);
        free(regex);
}

bool regex_matches(Regex *regex, Str text, int *ret_cost) {
        int workspace[WORKSPACE_INTS], cost = 1;
        int r = pcre2_match(regex->code, (PCRE2_SPTR)text.data, text.len, 0, 0, regex->data, regex->limits);
        if (r < 0 && r != PCRE2_ERROR_NOMATCH) {
                r = pcre2_dfa_match(regex->code, (PCRE2_SPTR)text.data, text.len, 0, PCRE2_DFA_SHORTEST, regex->data, regex->limits,
                                    workspace, WORKSPACE_INTS);
                cost = COST_OF_WALK;
        }
        if (ret_cost)
                *ret_cost = cost * (int)(1 + text.len / COST_TEXT_BYTES);
        return r >= 0;
}
