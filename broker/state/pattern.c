/* Java's expressions put into POSIX's words. */
#include "broker/state/pattern.h"

#include <stdlib.h>

#include "storage/base/buffer.h"

typedef struct Translation {
        Buffer out;
        bool in_brackets;
        bool can_repeat; /* there is something before, for a * to repeat */
        int depth;       /* of parentheses */
        int counts;      /* of {n,m}: they multiply when they are nested */
} Translation;

static bool translate_escape(Translation *t, char c) {
        if (c == 'd' || c == 'D')
                buffer_printf(&t->out, t->in_brackets ? "0-9" : c == 'd' ? "[0-9]" : "[^0-9]");
        else if ((c >= '0' && c <= '9') || c == 'p' || c == 'P')
                return false;
        else
                buffer_printf(&t->out, t->in_brackets ? "%.0s%c" : "%s%c", "\\", c);
        t->can_repeat = true;
        return c != 'D' || !t->in_brackets;
}

static bool translate_char(Translation *t, char c, char before) {
        if (t->in_brackets) {
                t->in_brackets = c != ']' || before == '[' || before == '^';
                t->can_repeat = true;
                buffer_append(&t->out, &c, 1);
                return true;
        }
        bool repeats = c == '*' || c == '+' || c == '?' || c == '{';
        if (repeats && !t->can_repeat)
                return (c == '+' || c == '?') && before && strchr("*+?}", before); /* greed is all the same to a whole match */
        if (c == '{' && ++t->counts > 1)
                return false;
        t->depth += (c == '(') - (c == ')');
        if (t->depth < 0)
                return false;
        t->in_brackets = c == '[';
        t->can_repeat = !repeats && c != '(' && c != '|';
        buffer_append(&t->out, &c, 1);
        return true;
}

static bool translate(Translation *t, Str text) {
        char before = '\0';
        for (size_t i = 0; i < text.len; before = text.data[i++]) {
                if (text.data[i] == '\0')
                        return false;
                if (text.data[i] == '\\') {
                        if (++i == text.len || !translate_escape(t, text.data[i]))
                                return false;
                } else if (!translate_char(t, text.data[i], before)) {
                        return false;
                } else if (text.data[i] == '(' && !t->in_brackets && i + 2 < text.len && text.data[i + 1] == '?' && text.data[i + 2] == ':') {
                        i += 2;
                }
        }
        return true;
}

bool pattern_compile(Str text, regex_t *ret_pattern) {
        Translation t = { .out = BUFFER_INIT };
        bool ok = text.len > 0 && text.len <= PATTERN_LENGTH_MAX;
        buffer_append(&t.out, "^(", 2);
        ok = ok && translate(&t, text);
        buffer_append(&t.out, ")$", 3); /* with its NUL */
        ok = ok && !t.out.failed && regcomp(ret_pattern, (const char *)t.out.data, REG_EXTENDED | REG_NOSUB) == 0;
        buffer_deinit(&t.out);
        return ok;
}

bool pattern_matches(const regex_t *pattern, Str text) {
        char *copy = str_dup(text);
        bool matches = copy && regexec(pattern, copy, 0, NULL, 0) == 0;
        free(copy);
        return matches;
}
