/* Compaction of the topics that want it, one log at a time, on a thread of its own: a log may take long, and syncs and deletions must
 * not wait for it.
 *
 * A log is looked at after it was opened, after a segment was rolled, and after its configs changed; as long as time alone can
 * make it due, every log.cleaner.backoff.ms. Of those that are due the dirtiest comes first. An idle broker does not wake up for it. */
#pragma once

#include "broker/state/state.h"

/* After a log was opened or its topic's configs changed: it is looked at, or, no longer compacted, let go. */
void cleaner_settle(State *state, Partition *partition);

/* After a commit. */
void cleaner_rolled(State *state, Partition *partition);
static inline void cleaner_committed(State *state, Partition *partition) {
        if (log_active_offset(partition->log) != partition->cleaner_seen_offset)
                cleaner_rolled(state, partition);
}

/* The partition's log is about to be closed. A compaction that is under way ends soon: state->cleaner.busy. */
void cleaner_leave(State *state, Partition *partition);
/* The partition itself goes away: when this returns nothing works on its directory. */
void cleaner_forget(State *state, Partition *partition);

/* Ends the compaction under way, without a result, and begins no other. */
void cleaner_stop(State *state);

/* What the cleaner's timer does. */
void cleaner_run_timer(Timer *timer, State *state);
