#include "broker/api/internal_topics.h"

#include "broker/state/groups/groups.h"
#include "broker/state/transactions/transactions.h"

static int plan_offsets(Call *call, Creation **creation) {
        return groups_plan_topic(call->state, creation);
}

bool internal_topics_await_offsets(Call *call) {
        return call_awaits_creation(call, plan_offsets);
}

static int plan_transactions(Call *call, Creation **creation) {
        return transactions_plan_topic(call->state, creation);
}

bool internal_topics_await_transactions(Call *call) {
        return call_awaits_creation(call, plan_transactions);
}
