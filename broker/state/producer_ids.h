/* Producer ids come in blocks that the metadata log reserves. One is given out only when its block is on disk: after a power cut it
 * would be given out again, to another producer. */
#pragma once

#include "broker/state/state.h"

/* 0: there is one. -EAGAIN: a block was reserved, and is on its way to the disk; another -errno: it could not be. */
int producer_ids_reserve(State *state);
/* The next one; the same results. */
int producer_ids_take(State *state, int64_t *ret_producer_id);

/* For the replay: ids from there on are free. */
void producer_ids_replay(State *state, int64_t next_producer_id);
