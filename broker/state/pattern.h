/* A client's regular expression that a whole string has to match: Java's syntax as far as POSIX has it (no look-around, no back
 * references, no classes named by \p). */
#pragma once

#include <regex.h>
#include <stdbool.h>

#include "storage/base/str.h"

#define PATTERN_LENGTH_MAX 255

/* Compiles the expression. False for one that is malformed, longer than PATTERN_LENGTH_MAX, or could take much memory. */
bool pattern_compile(Str text, regex_t *ret_pattern);
bool pattern_matches(const regex_t *pattern, Str text);
static inline void pattern_deinit(regex_t *pattern) {
        regfree(pattern);
}
