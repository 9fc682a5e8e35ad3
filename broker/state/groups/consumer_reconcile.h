/* A member's way from what it has to what it shall have: gives up first, then takes what others have given up. */
#pragma once

#include "broker/state/groups/consumer.h"
#include "broker/state/journal.h"

typedef struct Reconciled {
        bool is_changed;          /* a record was added */
        bool is_assigned_changed; /* the member must be told what it has */
} Reconciled;

/* Moves the member as far as it can go. owned is what it says that it has (NULL: not said). 0, KAFKA_FENCED_MEMBER_EPOCH, -ENOMEM. */
int group_reconcile(State *state, ConsumerMember *member, bool subscription_changed, const PartitionSet *owned, Journal *journal,
                    Reconciled *ret);
/* Whether partitions of its target are still in other hands. */
bool group_waits_for_others(const ConsumerMember *member);
