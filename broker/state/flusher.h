/* When records reach the disk: group commit for those whose acknowledgement waits for it, and a sync in the background of
 * segments that were rolled, so that a recovery has only the active ones to read, and of the names of young logs, so that their first roll
 * has nothing to wait for.
 *
 * One round of a kind is under way at a time: it takes every partition that is queued, syncs on a thread of its own, and on the loop
 * moves the recovery points and high watermarks and releases who waits. What is appended meanwhile joins the next round. A
 * partition is durable with --durable or flush.messages=1: its records are not served before they are on disk, either, since
 * what a consumer saw must not be gone after a power cut. The metadata log always is. The first failed sync is final: nothing more
 * is acknowledged. */
#pragma once

#include "broker/state/state.h"

/* After a log_commit() that succeeded: queues what the configs ask for, and moves the high watermark where nothing has to be
 * waited for. Whether readers may see more now. */
bool flusher_committed(State *state, Partition *partition);

/* After a start opened the log: what a durable partition serves is on disk. 0 or -errno (traced). */
int flusher_opened(State *state, Partition *partition);

/* After a log was opened, or its topic's configs changed. Whether readers may see more now. */
bool flusher_settle(State *state, Partition *partition);

/* Begins a round if there is something to do and none is under way: once at the end of a turn's commits. */
void flusher_start(State *state);

/* After a write to the metadata log, which the next round syncs before all else: what is acknowledged later may rest on it. */
void flusher_metadata_written(State *state);

/* The partition's log is about to be closed. A sync that is under way goes on, by the names of its files: partition->flushing. */
void flusher_leave(State *state, Partition *partition);
/* The partition itself goes away. */
void flusher_forget(Partition *partition);

/* What state->flush_timer does: flush.ms, and another try after a round that could not begin. */
void flusher_run_timer(Timer *timer, State *state);

/* Everybody who still waits is told that it came to nothing: the state is about to be freed. */
void flusher_give_up(State *state);

/* Asks everybody who waits for a sync again: some partition is gone, or a name is free. */
void flusher_release(State *state);
