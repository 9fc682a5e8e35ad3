/* What groups committed for a topic that is gone: its tombstones are written before another topic takes the name. */
#pragma once

#include "broker/state/state.h"

/* Queues the tombstones for the commit of the turn. 0; -errno: not all are queued. */
int topic_offsets_end(State *state, Str topic);
/* After that commit: forgets the offsets whose tombstones it wrote. 0; -errno: some are left. */
int topic_offsets_forget(State *state, Str topic);
/* After the replay: calls each() for every topic that has offsets and is not there, perhaps more than once. */
void topic_offsets_each_orphan(State *state, void (*each)(State *state, Str topic));
