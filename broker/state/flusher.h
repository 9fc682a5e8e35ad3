/* When records reach the disk: group commit for those whose acknowledgement waits for it, and a sync in the background of
 * segments that were rolled, so that a recovery has only the active ones to read.
 *
 * One round is under way at a time: it takes every partition that is queued, syncs on a thread of its own, and on the loop
 * moves the recovery points and high watermarks and releases who waits. What is appended meanwhile joins the next round. A
 * partition is durable with --durable or flush.messages=1: its records are not served before they are on disk, either, since
 * what a consumer saw must not be gone after a power cut. The first failed sync is final: nothing more is acknowledged. */
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

/* What has been queued so far is on disk when this number is reached: see state_sync_is_past(). */
int64_t flusher_mark(const State *state);

/* Files of a deleted topic may still be on their way to the disk, by name: until that is over, nothing may take the name. */
void flusher_wait_for_forgotten(State *state);

/* The partition goes away. */
void flusher_forget(State *state, Partition *partition);

/* What state->flush_timer does: flush.ms, and another try after a round that could not begin. */
void flusher_run_timer(Timer *timer, State *state);

/* Everybody who still waits is told that it came to nothing: the state is about to be freed. */
void flusher_give_up(State *state);

/* Asks everybody who waits for a sync again: some partition is gone. */
void flusher_release(State *state);
