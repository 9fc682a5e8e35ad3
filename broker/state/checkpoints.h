/* The checkpoint files of the data directory, Kafka's: of each partition the recovery point, the high watermark, where it starts, and how far
 * it is compacted. A start that lacks them reads more, and nothing is lost. */
#pragma once

#include "broker/state/state.h"

#define CHECKPOINT_RECOVERY_NAME "recovery-point-offset-checkpoint"
#define CHECKPOINT_START_NAME "log-start-offset-checkpoint"
#define CHECKPOINT_CLEANER_NAME "cleaner-offset-checkpoint"
#define CHECKPOINT_REPLICATION_NAME "replication-offset-checkpoint"

void checkpoints_init(State *state);
/* Once no job is left. */
void checkpoints_deinit(State *state);

/* The recovery point of the metadata log, needed before its replay; 0 when unknown. 0 or -errno. */
int checkpoints_read_metadata(State *state, int64_t *ret_recovery_point);
/* Gives every partition what the files say of it. A file that cannot be read means recovery from the start. 0 or -errno. */
int checkpoints_read(State *state);

/* Writes the files. 0 or -errno. */
int checkpoints_write(State *state);
/* Makes the logs' start offsets durable, on another thread: once after a DeleteRecords. done() gets 0 or -errno, unless it is cancelled; not
 * before this returned. 0; -errno, and then done() is not called. */
typedef struct StartsJob StartsJob;
typedef struct StartsWait StartsWait;
struct StartsWait {
        void (*done)(StartsWait *wait, State *state, int result);
        StartsJob *job;
};
int checkpoints_send_starts(State *state, StartsWait *wait);
void starts_wait_cancel(StartsWait *wait);
/* At a start: the files must not hold rows of topics that are no more, which others of the name would inherit. 0 or -errno (traced). */
int checkpoints_drop_stale_rows(State *state);

/* Has the worker write the files within that time, or within log.flush.offset.checkpoint.interval.ms; or, after a deletion, at once, or as soon
 * as older ones are written. */
void checkpoints_soon(State *state, int64_t within_ms);
void checkpoints_later(State *state);
void checkpoints_now(State *state);
