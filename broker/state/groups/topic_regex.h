/* Regular expressions over topic names, with the syntax of RE2, as Kafka's brokers have them.
 *
 * PCRE2 does the work: a library in C that Debian keeps. What it knows beyond RE2 (references back, looking around, atomic and
 * possessive parts, verbs) is refused before it sees the pattern, and its backtracking is bounded; where that is not enough, its
 * matcher without backtracking decides. So no pattern costs more than a few milliseconds a name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "storage/base/str.h"

typedef struct TopicRegex TopicRegex;

#define TOPIC_REGEX_LENGTH_MAX 32767 /* what the key of a record holds */

/* Compiles the pattern. NULL with a message (static, or in ret_message) for one that is none, or without memory. */
TopicRegex *topic_regex_new(Str pattern, char *ret_message, size_t message_size);
/* Whether the whole name matches. A name on which the pattern costs too much does not; *ret_cost, which may be NULL, is about how
 * long it took, in units of a simple match. */
bool topic_regex_matches(TopicRegex *regex, Str name, int *ret_cost);
void topic_regex_free(TopicRegex *regex);
