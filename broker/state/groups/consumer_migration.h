/* Groups that change their protocol while they run (group.consumer.migration.policy). */
#pragma once

#include "broker/state/groups/consumer.h"
#include "broker/state/journal.h"

/* The classic group as one of the consumer protocol, not attached yet. 0; KAFKA_GROUP_ID_NOT_FOUND with a message where it cannot
 * be; -ENOMEM. */
int group_upgrade_prepare(State *state, Group *group, Arena *arena, ConsumerGroup **ret_consumer, Str *ret_message);
/* Makes it so: members that wait are told to join again. */
void group_upgrade(State *state, Group *group, ConsumerGroup *consumer, Journal *journal);

/* Whether the group becomes a classic one when these members go. */
bool group_may_downgrade(const State *state, const ConsumerGroup *consumer, ConsumerMember *const *leaving, int32_t count);
/* Whether it becomes one when a classic member takes the place of this one. */
bool group_may_downgrade_for(const State *state, const ConsumerGroup *consumer, const ConsumerMember *replaced);
/* Makes the group, all of whose members speak the classic protocol, a classic one; consumer is gone afterwards. The tombstones of its
 * records are the caller's to write first. */
void group_downgrade(State *state, ConsumerGroup *consumer, bool rebalance, Journal *journal);
bool group_is_migration_disabled(const State *state);
