/* One thread, two queues. */
#include "broker/state/worker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "storage/base/trace.h"

#define STACK_BYTES ((size_t)256 << 10)

void worker_init(Worker *worker, State *state) {
        *worker = (Worker){ .state = state };
        pthread_mutex_init(&worker->lock, NULL);
        pthread_cond_init(&worker->wanted, NULL);
        pthread_cond_init(&worker->finished, NULL);
        list_init(&worker->todo);
        list_init(&worker->results);
}

/* The loop is woken without the lock: it may go on at once, on this very processor, and want it. */
static void put_result(Worker *worker, Job *job) {
        pthread_mutex_lock(&worker->lock);
        bool wakes = worker->is_waking = worker->wake && list_is_empty(&worker->results);
        list_append(&worker->results, &job->node);
        worker->running = 0;
        pthread_mutex_unlock(&worker->lock);
        pthread_cond_signal(&worker->finished);
        if (!wakes)
                return;
        worker->wake(worker->wake_data);
        pthread_mutex_lock(&worker->lock);
        worker->is_waking = false;
        pthread_mutex_unlock(&worker->lock);
        pthread_cond_signal(&worker->finished);
}

static void *work(void *data) {
        Worker *worker = data;
        pthread_mutex_lock(&worker->lock);
        while (!worker->stopping) {
                ListNode *node = list_pop(&worker->todo);
                if (!node) {
                        pthread_cond_wait(&worker->wanted, &worker->lock);
                        continue;
                }
                Job *job = container_of(node, Job, node);
                worker->running = 1;
                pthread_mutex_unlock(&worker->lock);
                job->result = job->run(job);
                put_result(worker, job);
                pthread_mutex_lock(&worker->lock);
        }
        pthread_mutex_unlock(&worker->lock);
        return NULL;
}

/* Signals are the loop's business: the thread blocks them all. */
static int start_thread(Worker *worker) {
        pthread_attr_t attributes;
        sigset_t all, before;
        int r = pthread_attr_init(&attributes);
        if (r)
                return r;
        pthread_attr_setstacksize(&attributes, STACK_BYTES);
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&worker->thread, &attributes, work, worker);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
        return r;
}

/* Runs the queued jobs here. */
static void run_inline(Worker *worker) {
        for (ListNode *node; (node = list_pop(&worker->todo));) {
                Job *job = container_of(node, Job, node);
                job->result = job->run(job);
                put_result(worker, job);
        }
}

/* Whoever wants to be woken gets a thread as soon as there is work for it. */
static void start_if_needed(Worker *worker) {
        if (!worker->wake || worker->has_thread || list_is_empty(&worker->todo))
                return;
        int r = start_thread(worker);
        worker->has_thread = r == 0;
        if (r) {
                trace_warn("cannot start a thread (%s): its work blocks the broker", strerror(r));
                run_inline(worker);
        }
}

void worker_set_wake(Worker *worker, void (*wake)(void *data), void *data) {
        pthread_mutex_lock(&worker->lock);
        while (worker->is_waking)
                pthread_cond_wait(&worker->finished, &worker->lock);
        worker->wake = wake;
        worker->wake_data = data;
        bool wakes = wake && !list_is_empty(&worker->results);
        pthread_mutex_unlock(&worker->lock);
        if (wakes)
                wake(data);
        start_if_needed(worker);
}

void worker_submit(Worker *worker, Job *job) {
        pthread_mutex_lock(&worker->lock);
        list_append(&worker->todo, &job->node);
        pthread_mutex_unlock(&worker->lock);
        pthread_cond_signal(&worker->wanted);
        start_if_needed(worker);
}

bool worker_collect(Worker *worker) {
        List results;
        list_init(&results);
        pthread_mutex_lock(&worker->lock);
        for (ListNode *node; (node = list_pop(&worker->results));)
                list_append(&results, node);
        pthread_mutex_unlock(&worker->lock);
        bool any = !list_is_empty(&results);
        for (ListNode *node; (node = list_pop(&results));) {
                Job *job = container_of(node, Job, node);
                job->done(job, worker->state, job->result);
        }
        return any;
}

/* Until there is a result, or nothing to wait for. */
static void wait_for_result(Worker *worker) {
        pthread_mutex_lock(&worker->lock);
        while (list_is_empty(&worker->results) && (worker->running || !list_is_empty(&worker->todo)))
                pthread_cond_wait(&worker->finished, &worker->lock);
        pthread_mutex_unlock(&worker->lock);
}

bool worker_has_jobs(Worker *worker) {
        pthread_mutex_lock(&worker->lock);
        bool any = worker->running || !list_is_empty(&worker->todo) || !list_is_empty(&worker->results);
        pthread_mutex_unlock(&worker->lock);
        return any;
}

void worker_wait(Worker *worker) {
        if (!worker->has_thread)
                run_inline(worker);
        pthread_mutex_lock(&worker->lock);
        while (worker->running || !list_is_empty(&worker->todo))
                pthread_cond_wait(&worker->finished, &worker->lock);
        pthread_mutex_unlock(&worker->lock);
}

void worker_drain(Worker *worker) {
        do {
                if (worker->has_thread)
                        wait_for_result(worker);
                else
                        run_inline(worker);
        } while (worker_collect(worker));
}

void worker_deinit(Worker *worker) {
        pthread_mutex_lock(&worker->lock);
        worker->stopping = true;
        pthread_cond_signal(&worker->wanted);
        pthread_mutex_unlock(&worker->lock);
        if (worker->has_thread)
                pthread_join(worker->thread, NULL);
        worker->has_thread = false;
        worker->wake = NULL;
        worker_collect(worker);
        for (ListNode *node; (node = list_pop(&worker->todo));) {
                Job *job = container_of(node, Job, node);
                job->done(job, worker->state, -ECANCELED);
        }
        pthread_cond_destroy(&worker->wanted);
        pthread_cond_destroy(&worker->finished);
        pthread_mutex_destroy(&worker->lock);
}
