/* Work for two processors. */
#pragma once

#include <stddef.h>

/* Starting a thread takes some 50 us: what goes through fewer bytes than these is done sooner by one. */
#define PARALLEL_BYTES_MIN ((size_t)2 << 20)

/* Calls work(mine) here and work(other) beside it, on a thread of its own where there can be one. Both are done when it returns; they may not
 * share what either changes. */
void parallel_pair(void (*work)(void *data), void *mine, void *other);
