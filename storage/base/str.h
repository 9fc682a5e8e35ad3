/* Slices of bytes that somebody else owns.
 *
 * A Str points into a request, an arena or a literal; it is never freed and need not end in NUL.
 * data == NULL is Kafka's null, which differs from the empty string. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct Str {
        const char *data;
        size_t len;
} Str;

#define STR(literal) ((Str){ .data = (literal), .len = sizeof(literal) - 1 })
#define STR_NULL ((Str){ .data = NULL, .len = 0 })

/* printf("%.*s", STR_ARG(s)) for trusted strings only; client-supplied ones go through str_escape(). */
#define STR_ARG(s) (int)(s).len, (s).data ? (s).data : ""

static inline Str str_of(const char *text) {
        return (Str){ .data = text, .len = text ? strlen(text) : 0 };
}

static inline bool str_is_null(Str s) {
        return s.data == NULL;
}

static inline bool str_equal(Str a, Str b) {
        return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool str_starts_with(Str s, Str prefix) {
        return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

/* Total order by bytes, shorter first among equals: <0, 0, >0. */
int str_compare(Str a, Str b);

/* Heap copy that ends in NUL, to be freed by the caller; NULL for the null string or without memory. */
char *str_dup(Str s);

/* Writes s into buffer (size >= 1) with control and non-ASCII bytes as \xNN, cut to fit; returns buffer. */
const char *str_escape(Str s, char *buffer, size_t size);

/* Decimal number in [min, max]; false when s is anything else (empty, signs beside a leading '-', overflow). */
bool str_to_int64(Str s, int64_t min, int64_t max, int64_t *ret_value);
