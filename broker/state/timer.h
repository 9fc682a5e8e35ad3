/* Timers of the one loop: a heap, so that nothing is scanned and nothing wakes an idle broker. */
#pragma once

#include <stdbool.h>

#include "storage/base/heap.h"
#include "storage/base/list.h"

typedef struct State State;
typedef struct Timer Timer;

struct Timer {
        HeapNode node;
        void (*fire)(Timer *timer, State *state);
};

/* (Re)starts the timer to fire once when the monotonic clock reaches due_ms. 0 or -ENOMEM.
 * What a timer sets while it fires waits for a later turn, so that long work can go in pieces. */
int timer_set(State *state, Timer *timer, int64_t due_ms);
/* Stops it; harmless when it is not running. */
void timer_stop(State *state, Timer *timer);
static inline bool timer_is_set(const Timer *timer) {
        return timer->node.place != 0;
}
