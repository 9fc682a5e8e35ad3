/* What the broker is doing when something goes wrong: scripts of a few steps. */
#pragma once

#include "tests/crash/world.h"

typedef struct Workload {
        const char *name;
        void (*run)(World *world); /* from an empty directory on */
} Workload;

#define WORKLOADS_MAX 16
extern const Workload workloads[];
extern const int workload_count;
