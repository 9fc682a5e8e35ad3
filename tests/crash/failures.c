/* The n-th operation fails, for every n, once or from then on; so do allocations. Nobody crashes, nothing is acknowledged that
 * did not happen, and a restart finds what was. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/crash/faults.h"
#include "tests/crash/workloads.h"

TestSuite(failures);

/* A test gets a copy in a process of its own, where a pointer means nothing. */
static struct criterion_test_params all_workloads(void) {
        static int indexes[WORKLOADS_MAX];
        for (int i = 0; i < workload_count; i++)
                indexes[i] = i;
        return cr_make_param_array(int, indexes, (size_t)workload_count);
}

static bool fail_at(const Workload *workload, FaultMode mode, int n, int error) {
        char what[64];
        World world;
        snprintf(what, sizeof(what), "%s, mode %d, error %d at %d", workload->name, mode, error, n);
        world_init(&world);
        faults_arm(mode, n, error);
        workload->run(&world);
        world_stop(&world);
        bool reached = faults_disarm();
        for (int i = 0; i < 2; i++) {
                world_start(&world);
                world_check(&world, what);
                world_stop(&world);
        }
        world_deinit(&world);
        return reached;
}

/* Every step-th n. Returns how many there were. */
static int fail_at_each(const Workload *workload, FaultMode mode, int error, int step) {
        int n = 1, count = 0;
        for (; fail_at(workload, mode, n, error); n += step)
                count++;
        return count;
}

/* What lasts is looked at every third time, unless there is time for more. */
static int lasting_step(void) {
        return getenv("ODRADEK_CRASH_LONG") ? 1 : 3;
}

ParameterizedTestParameters(failures, of_files) {
        return all_workloads();
}

ParameterizedTest(const int *index, failures, of_files, .timeout = 600) {
        const Workload *workload = &workloads[*index];
        int once = fail_at_each(workload, FAULT_ONCE, EIO, 1) + fail_at_each(workload, FAULT_ONCE, ENOSPC, lasting_step()) +
                   fail_at_each(workload, FAULT_SHORT, 0, lasting_step());
        int always = fail_at_each(workload, FAULT_ALWAYS, ENOSPC, lasting_step()) + fail_at_each(workload, FAULT_ALWAYS, EIO, lasting_step());
        fprintf(stderr, "%s: %d single failures of files, %d lasting ones\n", workload->name, once, always);
        cr_assert(once > 10 && always > 10);
}

/* The next start finds everything, since nothing but a sync failed; what it acknowledges is kept when the power fails then, and so if the
 * process is killed before. Whether the workload got as far as operation n. */
static bool fail_sync_at(const Workload *workload, int n, bool killed, int *count) {
        char what[64];
        World world;
        snprintf(what, sizeof(what), "%s, kept in memory at %d%s", workload->name, n, killed ? ", killed" : "");
        world_init(&world);
        world.has_power = true;
        faults_arm(FAULT_ONCE, n, EIO);
        workload->run(&world);
        world_crash(&world);
        bool reached = faults_disarm();
        if (faults_have_lost()) {
                (*count)++;
                world_start(&world);
                if (killed) {
                        world_crash(&world);
                        world_start(&world);
                }
                world_check(&world, what);
                world_crash(&world);
                world.has_power = false;
                world_start(&world);
                world_check(&world, what);
        }
        world_deinit(&world);
        return reached;
}

ParameterizedTestParameters(failures, of_syncs) {
        return all_workloads();
}

ParameterizedTest(const int *index, failures, of_syncs, .timeout = 600) {
        const Workload *workload = &workloads[*index];
        int count = 0;
        for (int n = 1; fail_sync_at(workload, n, false, &count); n++)
                fail_sync_at(workload, n, true, &count);
        fprintf(stderr, "%s: %d syncs failed while the power stayed\n", workload->name, count);
        cr_assert_gt(count, 2);
}

ParameterizedTestParameters(failures, of_memory) {
        return all_workloads();
}

ParameterizedTest(const int *index, failures, of_memory, .timeout = 600) {
        const Workload *workload = &workloads[*index];
        int once = fail_at_each(workload, FAULT_MEMORY_ONCE, 0, 1);
        int always = fail_at_each(workload, FAULT_MEMORY_ALWAYS, 0, lasting_step());
        fprintf(stderr, "%s: %d single failures of allocations, %d lasting ones\n", workload->name, once, always);
        cr_assert(once > 10 && always > 10);
}
