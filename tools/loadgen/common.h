/* Clocks, and the one way a run ends early. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

#define NS_PER_S 1000000000LL

/* A wrong answer, or a call that failed: says so on stderr and exits with 1. */
#define die(...) (fprintf(stderr, "loadgen: " __VA_ARGS__), fputc('\n', stderr), exit(1))

static inline int64_t clock_ns(clockid_t clock) {
        struct timespec now;
        if (clock_gettime(clock, &now) < 0)
                return 0;
        return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static inline int64_t now_ns(void) {
        return clock_ns(CLOCK_MONOTONIC);
}

/* CPU time, user and system, of all threads that a process has and had; 0 for pid 0. */
static inline int64_t cpu_ns(int64_t pid) {
        clockid_t clock;
        if (pid <= 0 || clock_getcpuclockid((pid_t)pid, &clock) != 0)
                return 0;
        return clock_ns(clock);
}
