/* A thread for what blocks: syncs, unlinking, snapshots. Jobs go in and come back in order; state stays the loop's alone.
 *
 * The thread starts with the first job, sleeps while there is none, and exists only where somebody wants to be woken
 * (worker_set_wake()): without that, jobs wait for worker_drain(), which runs them on the caller, so that tests decide what
 * happens when. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "storage/base/list.h"

typedef struct State State;
typedef struct Job Job;

/* Embedded in what the job works on. */
struct Job {
        ListNode node;
        int (*run)(Job *job); /* on the thread: touches nothing but what is the job's own */
        /* On the loop, once; frees the job. result is run's, or -ECANCELED when it never ran. May submit jobs. */
        void (*done)(Job *job, State *state, int result);
        int result;
};

typedef struct Worker {
        pthread_mutex_t lock; /* of all that follows, except state and thread */
        pthread_cond_t wanted, finished;
        List todo, results;
        int running; /* jobs in the thread's hands: 0 or 1 */
        bool has_thread, stopping;
        bool is_waking; /* wake() is being called */
        void (*wake)(void *data);
        void *wake_data;
        State *state;
        pthread_t thread;
} Worker;

/* The worker's jobs are done() with that state. */
void worker_init(Worker *worker, State *state);
/* Joins the thread after its present job; jobs that have not run are cancelled. */
void worker_deinit(Worker *worker);

/* wake(data) is called on the thread when there are results to collect; after wake NULL was set it is never called again. */
void worker_set_wake(Worker *worker, void (*wake)(void *data), void *data);

/* On the loop, as all that follows. */
void worker_submit(Worker *worker, Job *job);
/* Calls done() of the jobs that have finished; whether there were any. */
bool worker_collect(Worker *worker);
/* Whether some have not come back. */
bool worker_has_jobs(Worker *worker);
/* Waits until all jobs have run; their done() still comes with the next collect. */
void worker_wait(Worker *worker);
/* Waits for all jobs, those that done() submits too. */
void worker_drain(Worker *worker);
