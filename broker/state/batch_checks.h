/* The batches of a request that have to be inflated, or compressed for the log, checked before any of them is appended: at once where
 * that is quick, otherwise on a thread of their own, while the loop serves others. A batch of 1 MiB may inflate to a thousand times
 * that, and the loop does no more of it in a millisecond than it can. */
#pragma once

#include "broker/state/worker.h"
#include "storage/log.h"

typedef struct Partition Partition;
typedef struct BatchChecks BatchChecks;

/* Embedded by who waits. */
typedef struct CheckWait CheckWait;
struct CheckWait {
        void (*done)(CheckWait *wait, State *state);
};

/* One batch. */
typedef struct BatchCheck {
        ListNode node;
        int32_t place; /* of the batch in its request */
        LogCheck log;
        LogConfig config;
        LogAppend append;
} BatchCheck;

/* Whether a batch may need more than a glance: it is compressed, or its log might want it so. */
bool batch_checks_concern(const State *state, Str records);

/* Whether the first batch is there as a whole, and of that codec. */
bool batch_checks_is_zstd(Str records);

/* Looks at such a batch for the partition; places ascend. *checks is made with the first (NULL before). 0 or -ENOMEM. */
int batch_checks_add(BatchChecks **checks, State *state, const Partition *partition, int32_t place, Str records);

/* Whether some batch takes too long to be checked at once. */
bool batch_checks_take_long(const BatchChecks *checks);

/* Has those checked on the thread, as copies; done() comes with a state_collect(). -ENOMEM: nothing was started. */
int batch_checks_start(BatchChecks *checks, State *state, CheckWait *wait, void (*done)(CheckWait *wait, State *state));

/* The check of the batch in that place, to be freed by the caller, or NULL. In order of places. records: where the batch is now. */
BatchCheck *batch_checks_take(BatchChecks *checks, int32_t place, Str records);
void batch_check_free(BatchCheck *check);

/* Ends it, perhaps while the thread is at work: done() will not come. NULL is fine. */
void batch_checks_free(BatchChecks *checks);
