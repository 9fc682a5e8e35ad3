/* Subscriptions by patterns: when they are resolved, and the walk over all topics that does it.
 *
 * The walk takes some topics a turn, so that no pattern holds up the loop; its result is written and takes effect at its end. All
 * patterns of a group are resolved together, so that a new topic means one rebalance. */
#pragma once

#include "broker/state/groups/consumer.h"
#include "broker/state/journal.h"

typedef enum RegexChange {
        REGEX_NO_CHANGE,
        REGEX_UPDATED,
        REGEX_UPDATED_AND_RESOLVED, /* the topics of the new pattern are known, so that the group's epoch can rise */
} RegexChange;

/* Gives the member a pattern that was checked (null: as before), and starts a walk where one is due. */
RegexChange regex_update(State *state, ConsumerMember *member, Str pattern, Journal *journal);
/* Whether the pattern may be subscribed to. 0, KAFKA_INVALID_REGULAR_EXPRESSION with a message in the arena, or -ENOMEM. */
int regex_check(const ConsumerGroup *consumer, Str pattern, Arena *arena, Str *ret_message);
/* Ends a walk without result; harmless when there is none. */
void regex_scan_stop(State *state, ConsumerGroup *consumer);
