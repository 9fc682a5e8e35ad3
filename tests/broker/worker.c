/* Jobs on a thread of their own, and without one. */
#include "broker/state/worker.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

typedef struct TestJob {
        Job job;
        int id, chain; /* how many more to submit when done */
        sem_t *gate;   /* waited for in run */
} TestJob;

static Worker worker;
static int order[64], order_count, cancelled;
static pthread_t ran_on;
static int pipes[2];

static int run(Job *base) {
        TestJob *job = container_of(base, TestJob, job);
        if (job->gate)
                sem_wait(job->gate);
        ran_on = pthread_self();
        return job->id * 10;
}

static void submit(TestJob *job);

static void done(Job *base, State *state, int result) {
        TestJob *job = container_of(base, TestJob, job);
        if (result == -ECANCELED) {
                cancelled++;
                return;
        }
        cr_assert_eq(result, job->id * 10);
        order[order_count++] = job->id;
        if (job->chain-- > 0)
                submit(job);
}

static void submit(TestJob *job) {
        job->job.run = run;
        job->job.done = done;
        worker_submit(&worker, &job->job);
}

static void wake(void *data) {
        cr_assert_eq(write(pipes[1], "", 1), 1);
}

/* As the loop does that is woken, on whichever processor. */
static void wake_and_look(void *data) {
        (void)worker_has_jobs(&worker);
        wake(data);
}

static bool is_woken(int wait_ms) {
        struct pollfd fd = { .fd = pipes[0], .events = POLLIN };
        char byte;
        return poll(&fd, 1, wait_ms) == 1 && read(pipes[0], &byte, 1) == 1;
}

static void setup(void) {
        cr_assert_eq(pipe(pipes), 0);
        worker_init(&worker, NULL);
}

TestSuite(worker, .init = setup, .timeout = 30);

Test(worker, without_a_listener_jobs_wait_for_the_drain) {
        TestJob jobs[3] = { { .id = 1 }, { .id = 2, .chain = 1 }, { .id = 3 } };
        for (int i = 0; i < 3; i++)
                submit(&jobs[i]);
        cr_assert(!worker_collect(&worker));
        cr_assert_eq(order_count, 0);
        worker_drain(&worker);
        int expected[] = { 1, 2, 3, 2 };
        cr_assert_eq(order_count, 4);
        cr_assert_arr_eq(order, expected, sizeof(expected));
        cr_assert(pthread_equal(ran_on, pthread_self()));
        worker_deinit(&worker);
}

Test(worker, results_come_back_in_order_through_the_wake) {
        TestJob jobs[40];
        worker_set_wake(&worker, wake, NULL);
        for (int i = 0; i < 40; i++) {
                jobs[i] = (TestJob){ .id = i };
                submit(&jobs[i]);
        }
        while (order_count < 40) {
                cr_assert(is_woken(10000));
                worker_collect(&worker);
        }
        for (int i = 0; i < 40; i++)
                cr_assert_eq(order[i], i);
        cr_assert(!pthread_equal(ran_on, pthread_self()));
        cr_assert(!is_woken(0), "nothing is left to be woken for");
        worker_deinit(&worker);
}

Test(worker, drain_waits_for_the_thread) {
        TestJob jobs[2] = { { .id = 1, .chain = 3 }, { .id = 2 } };
        worker_set_wake(&worker, wake, NULL);
        submit(&jobs[0]);
        submit(&jobs[1]);
        worker_drain(&worker);
        cr_assert_eq(order_count, 5);
        worker_deinit(&worker);
}

Test(worker, stop_ends_the_present_job_and_cancels_the_rest) {
        sem_t gate;
        sem_init(&gate, 0, 0);
        TestJob jobs[3] = { { .id = 1, .gate = &gate }, { .id = 2, .gate = &gate }, { .id = 3, .gate = &gate } };
        worker_set_wake(&worker, wake, NULL);
        for (int i = 0; i < 3; i++)
                submit(&jobs[i]);
        sem_post(&gate);
        cr_assert(is_woken(10000));
        sem_post(&gate); /* the second is running, or about to; the third only where the stop came later still */
        worker_set_wake(&worker, NULL, NULL);
        sem_post(&gate);
        worker_deinit(&worker);
        cr_assert_geq(order_count, 1);
        cr_assert_eq(order_count + cancelled, 3);
}

Test(worker, stop_without_a_thread_cancels_all) {
        TestJob jobs[2] = { { .id = 1 }, { .id = 2 } };
        submit(&jobs[0]);
        submit(&jobs[1]);
        worker_deinit(&worker);
        cr_assert_eq(cancelled, 2);
        cr_assert_eq(order_count, 0);
}

Test(worker, jobs_from_before_the_listener_keep_their_order) {
        TestJob jobs[3] = { { .id = 1 }, { .id = 2 }, { .id = 3 } };
        submit(&jobs[0]);
        submit(&jobs[1]);
        worker_set_wake(&worker, wake, NULL);
        submit(&jobs[2]);
        worker_drain(&worker);
        for (int i = 0; i < 3; i++)
                cr_assert_eq(order[i], i + 1);
        worker_deinit(&worker);
}

Test(worker, the_lock_is_free_when_the_loop_is_woken) {
        TestJob job = { .id = 1 };
        worker_set_wake(&worker, wake_and_look, NULL);
        submit(&job);
        cr_assert(is_woken(30000));
        worker_set_wake(&worker, NULL, NULL);
        cr_assert(worker_collect(&worker));
        worker_deinit(&worker);
}
