/* Which log is compacted next, and what follows when that is over. */
#include "broker/state/cleaner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/state/checkpoints.h"
#include "broker/state/flusher.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"

#define LOOKS_PER_TURN 64
#define MAP_BYTES_MIN (1 << 20)

typedef struct CleanJob {
        Job job;
        Compaction *compaction;
} CleanJob;

static int64_t backoff_ms(const State *state) {
        return config_int(state->config, "log.cleaner.backoff.ms");
}

static void look_within(State *state, int64_t ms) {
        int64_t due_ms = state->mono_ms + ms;
        if (!timer_is_set(&state->cleaner.timer) || state->cleaner.timer.node.key > due_ms)
                timer_set(state, &state->cleaner.timer, due_ms);
}

static void look_again(State *state, Partition *partition, int64_t within_ms) {
        if (!list_node_is_linked(&partition->clean))
                list_append(&state->cleaner.queue, &partition->clean);
        if (!state->cleaner.busy)
                look_within(state, within_ms);
}

static bool is_wanted(const State *state, const Partition *partition) {
        return partition->log && log_config(partition->log)->cleanup_compact && !partition->is_uncleanable && !state->failed &&
               !state->cleaner.is_stopped && config_bool(state->config, "log.cleaner.enable");
}

void cleaner_settle(State *state, Partition *partition) {
        if (!partition->log)
                return;
        partition->cleaner_seen_offset = log_active_offset(partition->log);
        if (is_wanted(state, partition)) {
                look_again(state, partition, backoff_ms(state));
                return;
        }
        list_remove(&partition->clean);
        if (state->cleaner.busy == partition)
                compaction_cancel(state->cleaner.compaction);
}

void cleaner_rolled(State *state, Partition *partition) {
        partition->cleaner_seen_offset = log_active_offset(partition->log);
        if (is_wanted(state, partition))
                look_again(state, partition, backoff_ms(state));
}

void cleaner_leave(State *state, Partition *partition) {
        list_remove(&partition->clean);
        if (state->cleaner.best == partition)
                state->cleaner.best = NULL;
        if (state->cleaner.busy == partition)
                compaction_cancel(state->cleaner.compaction);
}

void cleaner_forget(State *state, Partition *partition) {
        if (state->cleaner.busy != partition)
                return;
        compaction_cancel(state->cleaner.compaction);
        worker_wait(&state->cleaner.worker);
        state->cleaner.busy = NULL;
}

void cleaner_stop(State *state) {
        state->cleaner.is_stopped = true;
        timer_stop(state, &state->cleaner.timer);
        if (state->cleaner.busy)
                compaction_cancel(state->cleaner.compaction);
        worker_drain(&state->cleaner.worker);
}

static int run_compaction(Job *job) {
        return compaction_run(container_of(job, CleanJob, job)->compaction);
}

static int run_settlement(Job *job) {
        return compaction_settle(container_of(job, CleanJob, job)->compaction);
}

/* Another try may do better. */
static bool is_passing(int result) {
        return result == -ECANCELED || file_is_full(result) || result == -ENOMEM || result == -EMFILE || result == -ENFILE;
}

static void note_failure(State *state, Partition *partition, int result) {
        if (is_passing(result)) {
                if (result != -ECANCELED)
                        trace_warn("%s-%d was not compacted: %s; that is tried again", partition->topic->name, partition->index,
                                   strerror(-result));
                if (is_wanted(state, partition))
                        look_again(state, partition, backoff_ms(state));
                return;
        }
        partition->is_uncleanable = true;
        trace_error("%s-%d cannot be compacted and keeps all its records until the next start: %s; odradek check says more",
                    partition->topic->name, partition->index, result == -EUCLEAN ? "a segment is damaged" : strerror(-result));
}

static void finish(State *state, Partition *partition, Compaction *compaction) {
        LogCompacted compacted;
        int r = log_compaction_finish(partition->log, compaction, &compacted);
        if (r) {
                note_failure(state, partition, r);
                return;
        }
        bool is_further = compacted.cleaner_offset > partition->cleaner_offset;
        partition->cleaner_offset = compacted.cleaner_offset;
        trace_debug("compacted %s-%d up to offset %lld: %lld bytes became %lld", partition->topic->name, partition->index,
                    (long long)compacted.cleaner_offset, (long long)compacted.bytes_before, (long long)compacted.bytes_after);
        if (flusher_settle(state, partition))
                partition_wake(state, partition);
        flusher_start(state);
        checkpoints_soon(state, 0); /* the recovery point has moved */
        if (is_wanted(state, partition))
                look_again(state, partition, is_further ? 0 : backoff_ms(state));
}

static void compaction_over(Job *job, State *state, int result) {
        CleanJob *clean = container_of(job, CleanJob, job);
        Partition *partition = state->cleaner.busy;
        state->cleaner.busy = NULL;
        state->cleaner.compaction = NULL;
        if (partition && partition->log)
                finish(state, partition, clean->compaction);
        compaction_free(clean->compaction);
        free(clean);
        if (partition && !partition->log)
                flusher_release(state); /* its topic's deletion goes on */
        if (!list_is_empty(&state->cleaner.queue) && !state->cleaner.is_stopped)
                look_within(state, result ? backoff_ms(state) : 0);
}

/* The new segments serve from now on; what is left to do with their files waits for the disk. */
static void compaction_done(Job *job, State *state, int result) {
        CleanJob *clean = container_of(job, CleanJob, job);
        Partition *partition = state->cleaner.busy;
        bool is_open = partition && partition->log; /* or it was deleted meanwhile */
        int r = is_open ? log_compaction_swap(partition->log, clean->compaction) : -ECANCELED;
        if (r == 0) {
                clean->job.run = run_settlement;
                clean->job.done = compaction_over;
                worker_submit(&state->cleaner.worker, &clean->job);
                return;
        }
        if (is_open) {
                note_failure(state, partition, r);
                state->cleaner.busy = NULL; /* that was all for the partition */
        }
        compaction_over(job, state, r);
}

static void begin(State *state, Partition *partition) {
        int64_t map_bytes = config_int(state->config, "log.cleaner.dedupe.buffer.size");
        CleanJob *clean = calloc(1, sizeof(*clean));
        state_commit(state); /* what is queued is written with an answer to who waits for it */
        int r = !clean ? -ENOMEM
                       : log_compaction_begin(partition->log, partition->cleaner_offset,
                                              map_bytes > MAP_BYTES_MIN ? (size_t)map_bytes : MAP_BYTES_MIN, state->now_ms, &clean->compaction);
        if (r || !clean->compaction) {
                free(clean);
                if (r)
                        note_failure(state, partition, r);
                return;
        }
        clean->job.run = run_compaction;
        clean->job.done = compaction_done;
        state->cleaner.busy = partition;
        state->cleaner.compaction = clean->compaction;
        worker_submit(&state->cleaner.worker, &clean->job);
}

/* Keeps the dirtiest in mind. Whether the log stays in the queue: time, or the end of a transaction, may make it due. */
static bool look_at(State *state, Partition *partition) {
        const LogConfig *config = log_config(partition->log);
        LogDirt dirt;
        log_dirt(partition->log, partition->cleaner_offset, state->now_ms, &dirt);
        if (dirt.due && (!state->cleaner.best || log_dirt_ratio(&dirt) > state->cleaner.best_ratio)) {
                state->cleaner.best = partition;
                state->cleaner.best_ratio = log_dirt_ratio(&dirt);
        }
        bool is_held_back = dirt.first_uncleanable_offset < log_active_offset(partition->log);
        return dirt.due || is_held_back || (dirt.dirty_bytes && config->max_compaction_lag_ms < INT64_MAX);
}

void cleaner_run_timer(Timer *timer, State *state) {
        if (state->cleaner.busy || state->failed || state->cleaner.is_stopped)
                return;
        if (list_is_empty(&state->cleaner.pass)) { /* a new pass */
                for (ListNode *node; (node = list_pop(&state->cleaner.queue));)
                        list_append(&state->cleaner.pass, node);
                state->cleaner.best = NULL;
        }
        for (int i = 0; i < LOOKS_PER_TURN && !list_is_empty(&state->cleaner.pass); i++) {
                Partition *partition = container_of(list_pop(&state->cleaner.pass), Partition, clean);
                if (is_wanted(state, partition) && look_at(state, partition))
                        list_append(&state->cleaner.queue, &partition->clean);
        }
        if (!list_is_empty(&state->cleaner.pass)) {
                timer_set(state, timer, state->mono_ms);
                return;
        }
        Partition *best = state->cleaner.best;
        state->cleaner.best = NULL;
        if (best) {
                list_remove(&best->clean);
                begin(state, best);
        }
        if (!state->cleaner.busy && !list_is_empty(&state->cleaner.queue))
                look_within(state, backoff_ms(state));
}
