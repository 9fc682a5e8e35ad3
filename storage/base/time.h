/* Clocks. Only main and net read them: below broker/ time is a parameter, now_ms. But file.c measures how long the disk takes. */
#pragma once

#include <stdint.h>
#include <time.h>

/* Milliseconds since 1970, as records and retention use them. */
static inline int64_t time_wall_ms(void) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Time that never goes back, for timeouts and for measuring. */
static inline int64_t time_monotonic_ns(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static inline int64_t time_monotonic_ms(void) {
        return time_monotonic_ns() / 1000000;
}
