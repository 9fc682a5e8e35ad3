/* A file that keeps room on the disk: it is given up when something has to be written that may not fail for want of space, as what
 * deletes, checkpoints and a clean stop write (file_spare_space). One for the process. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BALLAST_NAME ".ballast"

/* Takes the room, in the directory dir, unless it was taken before; without it the process runs as well. */
void ballast_open(const char *dir);
/* The file stays. */
void ballast_close(void);
/* False while the room is given up: what can be refused should be. Tries to take it again, not more often than once a second by
 * now_ms, which may be any clock. */
bool ballast_is_kept(int64_t now_ms);
