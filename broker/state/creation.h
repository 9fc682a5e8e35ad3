/* Makes the directories and first files of new partitions on another thread, before the request that wants them is carried out: nobody
 * waits for the disk.
 *
 * Whoever is about to create topics, or to grow them, says which; waits; and is called again when their directories are there. Only then is
 * it done, in one step of the loop, by topic_create() and topic_add_partitions(), which take what was made; until then there is nothing of
 * it but directories that no metadata record names. Those that are not taken are removed, be it that the request is refused after all or
 * that it is cancelled. One creation is under way at a time: others wait for their turn, and find what the one before them did. */
#pragma once

#include "broker/state/state.h"

/* What a request wants, before anything is done: a topic of that name with so many partitions. *creation is NULL at first, and remains so
 * where nothing has to be made; what would be refused is passed over, for those to find who create it. 0; -ENOMEM; -EBUSY where another
 * creation is under way: who waits with state_wait_sync() is to ask again. */
int creation_add(State *state, Creation **creation, Str name, int32_t partition_count);
/* 0, or the last of these; for those who would have a lot to do before. */
int creation_check_turn(const State *state);
/* Whether the creation that this one waited for is there to be taken: it has nothing to add. */
bool creation_is_made_for(const State *state, const CommitWait *wait);
/* Of one that was not started. NULL is fine. */
void creation_free(Creation *creation);
/* Takes the creation over. done() is called once its directories are made, or could not be; there what it creates is created. */
void creation_start(State *state, Creation *creation, CommitWait *wait, void (*done)(CommitWait *wait, State *state));

/* For who creates partitions from that one on. 0: nothing was made for a topic of that name, or in *id is the id that its directories bear,
 * a topic's that has partitions already; -errno: they could not be made; -EBUSY: they are somebody else's. */
int creation_check(const State *state, Str name, int32_t from, Uuid *id);
/* The log that was made for a partition, or NULL. */
Log *creation_take_log(State *state, const Partition *partition);
