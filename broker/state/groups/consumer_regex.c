/* Resolving the patterns of a group. */
#include "broker/state/groups/consumer_regex.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/state/groups/consumer_heartbeat.h"
#include "broker/state/groups/consumer_journal.h"
#include "broker/state/regex.h"
#include "broker/state/metadata/metadata.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

#define REFRESH_INTERVAL_MIN_MS 10000
#define COST_PER_TURN 2000 /* in simple matches: well below a millisecond, or one match that was hard */

typedef struct ScannedRegex {
        Regex *regex;
        Str pattern;
        Str *topics; /* that match */
        int32_t count, capacity;
} ScannedRegex;

struct RegexScan {
        Timer timer;
        ConsumerGroup *consumer;
        Arena arena;
        Str *names; /* of all topics at the beginning */
        size_t name_count, next;
        ScannedRegex *regexes;
        int32_t regex_count;
        int64_t version, started_ms;
};

int regex_check(const ConsumerGroup *consumer, Str pattern, Arena *arena, Str *ret_message) {
        char message[256];
        if (consumer && consumer_regex_members(consumer, pattern) > 0)
                return 0;
        Regex *regex = pattern.len > REGEX_LENGTH_MAX ? NULL : regex_new(REGEX_RE2, pattern, message, sizeof(message));
        if (regex) {
                regex_free(regex);
                return 0;
        }
        *ret_message = arena_printf(arena, "SubscribedTopicRegex `%.*s` is not a valid regular expression: %s.", STR_ARG(pattern),
                                    pattern.len > REGEX_LENGTH_MAX ? "expression too long" : message);
        return str_is_null(*ret_message) ? -ENOMEM : KAFKA_INVALID_REGULAR_EXPRESSION;
}

/* ---- the walk */

static void scan_free(State *state, RegexScan *scan) {
        timer_stop(state, &scan->timer);
        for (int32_t i = 0; i < scan->regex_count; i++) {
                regex_free(scan->regexes[i].regex);
                free(scan->regexes[i].topics);
        }
        arena_deinit(&scan->arena);
        free(scan);
}

void regex_scan_stop(State *state, ConsumerGroup *consumer) {
        if (consumer->scan)
                scan_free(state, consumer->scan);
        consumer->scan = NULL;
}

static bool add_match(ScannedRegex *regex, Str name) {
        if (regex->count == regex->capacity) {
                int32_t capacity = regex->capacity ? regex->capacity * 2 : 8;
                Str *topics = realloc(regex->topics, (size_t)capacity * sizeof(*topics));
                if (!topics)
                        return false;
                regex->topics = topics;
                regex->capacity = capacity;
        }
        regex->topics[regex->count++] = name;
        return true;
}

/* Takes over one result; returns whether the pattern's topics are others than before, or -ENOMEM. */
static int take_result(RegexScan *scan, ScannedRegex *scanned, Journal *journal) {
        ConsumerGroup *consumer = scan->consumer;
        GroupRegex *regex = consumer_regex(consumer, scanned->pattern);
        NameSet topics;
        if (!regex || regex->member_count == 0)
                return 0;
        if (!name_set_of(scanned->topics, scanned->count, &topics))
                return -ENOMEM;
        bool changed = !name_set_equal(&topics, &regex->topics);
        int r = consumer_resolve(consumer, scanned->pattern, &topics, scan->version, scan->started_ms);
        if (r)
                return r;
        consumer_journal_regex(journal, consumer, regex);
        return changed;
}

static void finish(State *state, RegexScan *scan) {
        ConsumerGroup *consumer = scan->consumer;
        Journal journal;
        bool changed = false;
        journal_begin(&journal, state->now_ms);
        for (int32_t i = 0; i < scan->regex_count; i++) {
                int r = take_result(scan, &scan->regexes[i], &journal);
                if (r < 0)
                        trace_error("out of memory");
                changed |= r > 0;
        }
        changed |= consumer_metadata_hash(state, consumer) != consumer->metadata_hash;
        if (changed)
                group_consumer_bump(state, consumer, &journal);
        consumer_update_state(consumer);
        consumer->scan = NULL;
        group_consumer_write(state, consumer->group, &journal);
        scan_free(state, scan);
}

static void on_turn(Timer *timer, State *state) {
        RegexScan *scan = container_of(timer, RegexScan, timer);
        for (int spent = 0, cost; scan->next < scan->name_count && spent < COST_PER_TURN; scan->next++)
                for (int32_t i = 0; i < scan->regex_count; i++, spent += cost)
                        if (regex_matches(scan->regexes[i].regex, scan->names[scan->next], &cost) &&
                            !add_match(&scan->regexes[i], scan->names[scan->next]))
                                trace_error("out of memory");
        if (scan->next == scan->name_count)
                finish(state, scan);
        else if (timer_set(state, timer, state->mono_ms + 1) < 0)
                trace_error("out of memory");
}

static bool copy_names(State *state, RegexScan *scan) {
        scan->names = arena_alloc_array(&scan->arena, state->topics.count, sizeof(*scan->names));
        if (!scan->names)
                return false;
        HASHMAP_FOREACH(&state->topics, node) {
                Str name = arena_str(&scan->arena, str_of(container_of(node, Topic, by_name)->name));
                if (str_is_null(name))
                        return false;
                scan->names[scan->name_count++] = name;
        }
        return true;
}

static bool copy_regexes(RegexScan *scan) {
        char message[256];
        scan->regexes = arena_alloc_array(&scan->arena, scan->consumer->regexes.count, sizeof(*scan->regexes));
        if (!scan->regexes)
                return false;
        HASHMAP_FOREACH(&scan->consumer->regexes, node) {
                const GroupRegex *regex = container_of(node, GroupRegex, node);
                if (regex->member_count == 0)
                        continue;
                ScannedRegex *scanned = &scan->regexes[scan->regex_count];
                scanned->pattern = arena_str(&scan->arena, str_of(regex->pattern));
                scanned->regex = regex_new(REGEX_RE2, str_of(regex->pattern), message, sizeof(message));
                if (str_is_null(scanned->pattern))
                        return false;
                if (scanned->regex)
                        scan->regex_count++;
                else
                        trace_warn("a pattern in the log is not valid here and matches nothing: %s", message);
        }
        return true;
}

static void scan_start(State *state, ConsumerGroup *consumer) {
        RegexScan *scan = calloc(1, sizeof(*scan));
        if (!scan) {
                trace_error("out of memory");
                return;
        }
        scan->consumer = consumer;
        scan->timer.fire = on_turn;
        scan->version = metadata_end_offset(state);
        scan->started_ms = state->now_ms;
        if (!copy_names(state, scan) || !copy_regexes(scan) || timer_set(state, &scan->timer, state->mono_ms + 1) < 0) {
                trace_error("out of memory");
                scan_free(state, scan);
                return;
        }
        consumer->scan = scan;
}

/* ---- when it is due */

/* What the resolved patterns say of the last walk, which did them all. */
static void last_walk(const ConsumerGroup *consumer, int64_t *ret_ms, int64_t *ret_version, int32_t *ret_unresolved) {
        *ret_ms = INT64_MIN;
        *ret_version = 0;
        *ret_unresolved = 0;
        HASHMAP_FOREACH(&consumer->regexes, node) {
                const GroupRegex *regex = container_of(node, GroupRegex, node);
                if (!regex->is_resolved) {
                        ++*ret_unresolved;
                } else if (regex->resolved_ms > *ret_ms) {
                        *ret_ms = regex->resolved_ms;
                        *ret_version = regex->version;
                }
        }
}

static bool is_walk_due(const State *state, const ConsumerGroup *consumer) {
        int64_t walked_ms, version;
        int32_t unresolved;
        if (!consumer->regexes.count || consumer->scan)
                return false;
        last_walk(consumer, &walked_ms, &version, &unresolved);
        if (state->now_ms < walked_ms) /* the clock went back */
                return true;
        if (walked_ms != INT64_MIN && state->now_ms <= walked_ms + REFRESH_INTERVAL_MIN_MS)
                return false;
        return unresolved > 0 || version < state->topics_created_version ||
               state->now_ms > walked_ms + config_int(state->config, "group.consumer.regex.refresh.interval.ms");
}

RegexChange regex_update(State *state, ConsumerMember *member, Str pattern, Journal *journal) {
        ConsumerGroup *consumer = member->consumer;
        RegexChange change = REGEX_NO_CHANGE;
        if (!str_is_null(pattern) && !str_equal(pattern, str_of(member->regex))) {
                bool had = member->regex[0], is_last = had && consumer_regex_members(consumer, str_of(member->regex)) == 1;
                const GroupRegex *known = pattern.len ? consumer_regex(consumer, pattern) : NULL;
                bool is_known = pattern.len ? known && known->member_count > 0 && known->is_resolved : had;
                char *before = str_dup(str_of(member->regex));
                if (!before || !consumer_set_regex(member, pattern)) {
                        free(before);
                        return REGEX_NO_CHANGE;
                }
                if (is_last) {
                        consumer_journal_regex_end(journal, consumer, str_of(before));
                        consumer_unresolve(consumer, str_of(before));
                }
                free(before);
                change = is_known ? REGEX_UPDATED_AND_RESOLVED : REGEX_UPDATED;
        }
        if (is_walk_due(state, consumer))
                scan_start(state, consumer);
        return change;
}
