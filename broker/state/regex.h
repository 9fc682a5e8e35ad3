/* Clients' regular expressions: with the syntax of RE2 where Kafka's brokers have that, and of Java where they have that.
 *
 * PCRE2 does the work: a library in C that Debian keeps. What it knows beyond RE2 (references back, looking around, atomic and
 * possessive parts, verbs) is refused before it sees the pattern, or what it reads otherwise than Java; and its backtracking is bounded;
 * where that is not enough, its matcher without backtracking decides. So no pattern costs more than a few milliseconds on the name of a
 * topic; long texts cost more, and say so. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "storage/base/str.h"

typedef struct Regex Regex;

#define REGEX_LENGTH_MAX 32767 /* what the key of a record holds */

typedef enum RegexSyntax { REGEX_RE2, REGEX_JAVA } RegexSyntax;

/* Compiles the pattern. NULL with a message (static, or in ret_message) for one that is none, or without memory. */
Regex *regex_new(RegexSyntax syntax, Str pattern, char *ret_message, size_t message_size);
/* Whether the whole text matches. A text on which the pattern costs too much does not; *ret_cost, which may be NULL, is about how
 * long it took, in units of a simple match of a short text. */
bool regex_matches(Regex *regex, Str text, int *ret_cost);
void regex_free(Regex *regex);
