/* Two pieces of work that have nothing to do with each other. */
#pragma once

/* Calls work(mine) here and work(other) beside it, on a thread of its own where there can be one. Both are done when it returns. Starting a
 * thread takes some 50 us: for work of a millisecond and more. */
void both(void (*work)(void *data), void *mine, void *other);
