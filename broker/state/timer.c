/* Timers. */
#include "broker/state/timer.h"

#include "broker/state/state.h"

int timer_set(State *state, Timer *timer, int64_t due_ms) {
        if (state->is_running_timers && due_ms <= state->mono_ms)
                due_ms = state->mono_ms + 1;
        return heap_set(&state->timers, &timer->node, due_ms);
}

void timer_stop(State *state, Timer *timer) {
        heap_remove(&state->timers, &timer->node);
}

void state_run_timers(State *state) {
        state->is_running_timers = true;
        for (HeapNode *node; (node = heap_first(&state->timers)) && node->key <= state->mono_ms;) {
                Timer *timer = container_of(node, Timer, node);
                heap_remove(&state->timers, node);
                timer->fire(timer, state);
        }
        state->is_running_timers = false;
}

int64_t state_next_timer_ms(const State *state) {
        HeapNode *node = heap_first(&state->timers);
        return node ? node->key : -1;
}
