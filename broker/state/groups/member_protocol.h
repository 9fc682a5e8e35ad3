/* What clients of the classic protocol tell each other through JoinGroup and SyncGroup: subscriptions and assignments of consumers,
 * each a version number and a message. */
#pragma once

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "broker/state/groups/partition_set.h"
#include "broker/state/state.h"

/* A version beyond ours is read as our highest. 0, KAFKA_INVALID_REQUEST, or -ENOMEM. */
int member_protocol_subscription(Str bytes, Arena *arena, ConsumerProtocolSubscription *ret_subscription);
int member_protocol_assignment(Str bytes, Arena *arena, ConsumerProtocolAssignment *ret_assignment);

/* Appends an assignment, in the version of that subscription. Topics that are gone are left out. False without memory. */
bool member_protocol_write(const State *state, const PartitionSet *set, Str subscription, Reply *out);
