/* The data directory around the logs: whose it is, its lock, what else lies in it. */
#pragma once

#include "broker/state/state.h"

/* Makes the directory or checks that it is ours, locks it, and reads or writes meta.properties: sets state's lock_fd, ids. 0,
 * STATE_OPEN_LOCKED, STATE_OPEN_FOREIGN or -errno, traced. */
int data_dir_open(State *state);
/* What can be done when such an -errno kept the directory from being opened: ends the message. */
const char *data_dir_remedy(int r);
/* Traces that what ("open data directory") could not be done to dir, with the file of it that was in the way, and what can be done. */
void data_dir_complain(const char *what, const char *dir, int r);
/* Only reads: meta.properties, and whether the last stop was clean. 0, STATE_OPEN_FOREIGN (traced) or -errno. */
int data_dir_inspect(State *state, bool *ret_clean_shutdown);
/* Takes the lock. 0, STATE_OPEN_LOCKED (traced), -errno. */
int data_dir_lock(State *state);
/* Whether another broker holds it, without touching the file; as long as *ret_fd (-1: there was no lock file) is open none can start. 0,
 * STATE_OPEN_LOCKED (traced), -errno. */
int data_dir_hold(const char *dir, int *ret_fd);
/* Whether the directory is still the one that was locked: one that was removed or moved keeps nothing, and another in its place is not to be
 * written to. If not, says so and fails the state. */
void data_dir_check(State *state);
/* Unlocks. */
void data_dir_close(State *state);

/* Finishes deletions that a crash cut short, and warns of partition directories that no topic owns. */
void data_dir_check_strays(State *state);

/* The bytes of the file system that holds it, and those of them that may still be used. 0 or -errno. */
int data_dir_space(const State *state, int64_t *ret_total_bytes, int64_t *ret_usable_bytes);
