/* A few descriptors that are kept for when the process has no other: what a sync, a checkpoint or a deletion opens for a moment, on any
 * thread, may not fail because clients have taken them all. The next files that are closed make up for those that were given. */
#pragma once

#include <stdbool.h>

/* Takes them, unless they were taken before; without them the process runs as well. */
void descriptors_keep(void);
/* Lets go of one, on any thread: true when opening is worth another try. */
bool descriptors_give(void);
/* Instead of closing fd: true when it was one that had to be made up for, and is closed. */
bool descriptors_take(int fd);
