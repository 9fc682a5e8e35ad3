/* Death at every operation: each workload is run as often as it changes the disk, and ends before, in the middle of, or after
 * the next operation. Then the directory is opened, and holds what was acknowledged. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>

#include "tests/crash/faults.h"
#include "tests/crash/workloads.h"

TestSuite(points);

/* A test gets a copy in a process of its own, where a pointer means nothing. */
static struct criterion_test_params all_workloads(void) {
        static int indexes[WORKLOADS_MAX];
        for (int i = 0; i < workload_count; i++)
                indexes[i] = i;
        return cr_make_param_array(int, indexes, (size_t)workload_count);
}

/* Whether the workload got as far as operation n. */
static bool die_at(const Workload *workload, FaultMode mode, int n) {
        char what[64];
        World world;
        snprintf(what, sizeof(what), "%s, %s at %d", workload->name, mode == FAULT_CUT ? "cut" : "torn", n);
        world_init(&world);
        faults_arm(mode, n, EIO);
        workload->run(&world);
        world_crash(&world);
        bool reached = faults_disarm();
        for (int i = 0; i < 2; i++) { /* the second finds what the first one left */
                world_start(&world);
                world_check(&world, what);
                if (i)
                        world_stop(&world);
                else
                        world_crash(&world);
        }
        world_start(&world);
        world_check(&world, what);
        world_deinit(&world);
        return reached;
}

ParameterizedTestParameters(points, nothing_acknowledged_is_lost) {
        return all_workloads();
}

ParameterizedTest(const int *index, points, nothing_acknowledged_is_lost, .timeout = 600) {
        const Workload *workload = &workloads[*index];
        int n = 1;
        while (die_at(workload, FAULT_CUT, n)) {
                die_at(workload, FAULT_TORN, n);
                n++;
        }
        fprintf(stderr, "%s: died at each of %d operations, cut and torn\n", workload->name, n - 1);
        cr_assert_gt(n, 10);
}
