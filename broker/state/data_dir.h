/* The data directory around the logs: whose it is, its lock, its checkpoint files. */
#pragma once

#include "broker/state/state.h"
#include "storage/base/buffer.h"

/* Makes the directory or checks that it is ours, locks it, and reads or writes meta.properties: sets state's lock_fd, ids. 0,
 * STATE_OPEN_LOCKED, STATE_OPEN_FOREIGN or -errno, traced. */
int data_dir_open(State *state);
/* What can be done when such an -errno kept the directory from being opened: ends the message. */
const char *data_dir_remedy(int r);
/* Only reads: meta.properties, and whether the last stop was clean. 0, STATE_OPEN_FOREIGN (traced) or -errno. */
int data_dir_inspect(State *state, bool *ret_clean_shutdown);
/* Takes the lock. 0, STATE_OPEN_LOCKED (traced), -errno. */
int data_dir_lock(State *state);
/* Whether another broker holds it, without touching the file; as long as *ret_fd (-1: there was no lock file) is open none can start. 0,
 * STATE_OPEN_LOCKED (traced), -errno. */
int data_dir_hold(const char *dir, int *ret_fd);
/* Unlocks. */
void data_dir_close(State *state);

/* The recovery point of the metadata log, needed before its replay; 0 when unknown. */
int data_dir_read_metadata_checkpoint(State *state, int64_t *ret_recovery_point);
/* Gives every partition what the checkpoint files say of it. A file that cannot be read means recovery from the start. */
int data_dir_read_checkpoints(State *state);
/* Writes the checkpoint files. 0 or -errno. */
int data_dir_write_checkpoints(State *state);
int data_dir_write_start_checkpoint(State *state);

/* The same in two steps: what the files are to say, and the writing, which any thread may do. */
typedef struct Checkpoints {
        CheckpointGate *gate, *start_gate;
        int64_t generation;
        int64_t deletion_number; /* state's, when this was made */
        const char *dir;
        Buffer recovery, replication, cleaner, starts; /* empty: stays as it is */
} Checkpoints;
/* The file of start offsets is written by DeleteRecords too, and otherwise only needed to get rid of rows. 0 or -ENOMEM. */
int data_dir_checkpoints(State *state, bool with_starts, Checkpoints *ret_files);
/* Leaves alone what was written newer meanwhile. */
int checkpoints_write(const Checkpoints *files);
void checkpoints_deinit(Checkpoints *files);

/* At a start: the files must not hold rows of topics that are no more, which others of the name would inherit. 0 or -errno (traced). */
int data_dir_drop_stale_rows(State *state);

/* Finishes deletions that a crash cut short, and warns of partition directories that no topic owns. */
void data_dir_check_strays(State *state);

/* The bytes of the file system that holds it, and those of them that may still be used. 0 or -errno. */
int data_dir_space(const State *state, int64_t *ret_total_bytes, int64_t *ret_usable_bytes);
