/* Rounds of syncs, in the foreground and in the background. */
#include "broker/state/flusher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/state/checkpoints.h"
#include "broker/state/last_stop.h"
#include "broker/state/metadata/metadata.h"
#include "storage/base/trace.h"

#define ROUND_PARTITIONS_MAX 256 /* their descriptors stay open while the round lasts */
#define WRITE_BACK_FROM 4        /* with more files than this the disk begins with all of them first */
#define RETRY_MS 100             /* when a round could not begin for lack of memory or descriptors */
#define DESCRIPTOR_WAITS_MAX 600 /* of that time, for a descriptor */
#define CHECKPOINT_SOON_MS 5000  /* after a background sync: the next start profits */

struct FlushItem {
        Partition *partition; /* NULL: gone */
        LogSync *sync;
};

typedef struct Round {
        Job job;
        RoundKind kind;
        LogSync *metadata; /* or NULL */
        bool has_taken; /* off the queue, with something to sync or without */
        int32_t count;
        FlushItem items[];
} Round;

static bool is_durable(const State *state, const Partition *partition) {
        return state->config->durable || partition->topic->flush_messages <= 1;
}

static List *queue_of(State *state, RoundKind kind) {
        return kind == ROUND_FLUSH ? &state->flush_queue : kind == ROUND_NAMES ? &state->names_queue : &state->roll_queue;
}

/* Names are synced in no time, and a roll may be waiting for them: they don't wait for the bytes of others. */
static Worker *worker_of(State *state, RoundKind kind) {
        return kind == ROUND_FLUSH ? &state->flusher : kind == ROUND_NAMES ? &state->maker : &state->worker;
}

static void queue(List *list, ListNode *node) {
        if (!list_node_is_linked(node))
                list_append(list, node);
}

static void queue_flush(State *state, Flush *flush) {
        if (list_node_is_linked(&flush->node))
                return;
        list_append(&state->flush_queue, &flush->node);
        flush->number = ++state->flushes_wanted;
}

/* What is in the queue may have to wait for more than one round, while others overtake it. */
static void note_done(State *state) {
        if (state->round_is_running[ROUND_FLUSH] || state->failed)
                return;
        ListNode *first = list_first(&state->flush_queue);
        state->flushes_done = first ? container_of(first, Flush, node)->number - 1 : state->flushes_wanted;
}

static bool raise_high_watermark(Partition *partition, int64_t offset) {
        if (offset <= partition->high_watermark)
                return false;
        partition->high_watermark = offset;
        return true;
}

/* flush.ms: the partition has until its deadline. */
static void await_deadline(State *state, Partition *partition) {
        if (partition->topic->flush_ms == INT64_MAX || list_node_is_linked(&partition->overdue))
                return;
        int64_t due_ms = state->mono_ms + partition->topic->flush_ms;
        partition->flush_due_ms = due_ms;
        list_append(&state->flush_deadlines, &partition->overdue);
        if (!timer_is_set(&state->flush_timer) || state->flush_timer.node.key > due_ms)
                timer_set(state, &state->flush_timer, due_ms);
}

bool flusher_settle(State *state, Partition *partition) {
        int64_t end = log_end_offset(partition->log), recovery_point = log_recovery_point(partition->log);
        bool durable = is_durable(state, partition);
        if (recovery_point < end && durable) {
                partition->sync_offset = end;
                queue_flush(state, &partition->flush);
        } else if (log_wants_sync(partition->log)) {
                queue(queue_of(state, log_wants_names(partition->log) ? ROUND_NAMES : ROUND_ROLLS), &partition->roll);
        }
        if (recovery_point < end && !durable)
                await_deadline(state, partition);
        return raise_high_watermark(partition, durable ? recovery_point : end);
}

int flusher_opened(State *state, Partition *partition) {
        if (!partition->log)
                return 0;
        bool synced = log_recovery_point(partition->log) == log_end_offset(partition->log);
        int r = !synced && is_durable(state, partition) ? log_sync(partition->log) : 0;
        if (r)
                trace_error("cannot sync the log of %s-%d: %s", partition->topic->name, partition->index, strerror(-r));
        else
                flusher_settle(state, partition);
        return r;
}

bool flusher_committed(State *state, Partition *partition) {
        Log *log = partition->log;
        int64_t end = log_end_offset(log);
        if (end - log_recovery_point(log) >= partition->topic->flush_messages) {
                partition->sync_offset = end;
                queue_flush(state, &partition->flush);
        }
        return flusher_settle(state, partition);
}

void flusher_metadata_written(State *state) {
        queue_flush(state, &state->metadata_flush);
}

void flusher_leave(State *state, Partition *partition) {
        list_remove(&partition->flush.node);
        list_remove(&partition->roll);
        list_remove(&partition->overdue);
        note_done(state);
}

void flusher_forget(Partition *partition) {
        if (partition->flushing)
                partition->flushing->partition = NULL;
        partition->flushing = NULL;
}

void flusher_give_up(State *state) {
        if (list_is_empty(&state->sync_waits))
                return;
        HASHMAP_FOREACH(&state->topics, node) {
                Topic *topic = container_of(node, Topic, by_name);
                for (int32_t i = 0; i < topic->partition_count; i++)
                        topic->partitions[i]->is_deleted = true;
        }
        state->flushes_done = state->flushes_wanted;
        flusher_release(state);
}

/* Without a descriptor nothing was tried, so nothing is lost, and clients come and go: it takes as long as a slow disk. */
static int run_sync(LogSync *sync) {
        int r = log_sync_run(sync);
        for (int i = 0; (r == -EMFILE || r == -ENFILE) && i < DESCRIPTOR_WAITS_MAX; i++) {
                if (i == 0)
                        trace_warn("a sync has to wait: %s", strerror(-r));
                usleep(RETRY_MS * 1000);
                r = log_sync_run(sync);
        }
        return r;
}

static int run_round(Job *job) {
        Round *round = container_of(job, Round, job);
        int r = round->metadata ? run_sync(round->metadata) : 0;
        for (int32_t i = 0; !r && round->count > WRITE_BACK_FROM && i < round->count; i++)
                log_sync_write_back(round->items[i].sync);
        for (int32_t i = 0; !r && i < round->count; i++)
                r = run_sync(round->items[i].sync);
        return r;
}

void flusher_release(State *state) {
        List waits;
        list_init(&waits);
        for (ListNode *node; (node = list_pop(&state->sync_waits));)
                list_append(&waits, node);
        for (ListNode *node; (node = list_pop(&waits));) {
                CommitWait *wait = container_of(node, CommitWait, node);
                wait->done(wait, state);
        }
}

/* What a round did for one partition. */
static void finish_item(State *state, Round *round, FlushItem *item, int result, List *grown) {
        Partition *partition = item->partition;
        log_sync_finish(partition ? partition->log : NULL, item->sync, result);
        if (partition)
                partition->flushing = NULL;
        if (result || !partition || !partition->log)
                return;
        if (round->kind == ROUND_FLUSH)
                list_remove(&partition->overdue);
        if (flusher_settle(state, partition))
                queue(grown, &partition->grown);
}

static void fail(State *state, int result) {
        state->failed = true;
        trace_error("cannot sync '%s', nothing more is acknowledged: %s; check the disk, then start again%s", state->config->data_dir,
                    strerror(-result), last_stop_note_failure(state));
}

static void finish_round(Job *job, State *state, int result) {
        Round *round = container_of(job, Round, job);
        List grown;
        list_init(&grown);
        state->round_is_running[round->kind] = false;
        if (result && result != -ECANCELED && !state->failed)
                fail(state, result);
        if (round->metadata)
                metadata_sync_finish(state, round->metadata, result);
        for (int32_t i = 0; i < round->count; i++)
                finish_item(state, round, &round->items[i], result, &grown);
        if (!result)
                note_done(state);
        if (result != -ECANCELED)
                flusher_release(state);
        if (!result && !state->failed) {
                for (ListNode *node; (node = list_pop(&grown));)
                        partition_wake(state, container_of(node, Partition, grown));
                if (round->kind == ROUND_ROLLS)
                        checkpoints_soon(state, CHECKPOINT_SOON_MS);
                flusher_start(state);
        }
        while (list_pop(&grown))
                ;
        free(round);
}

static Partition *partition_of(ListNode *node, RoundKind kind) {
        return kind == ROUND_FLUSH ? container_of(node, Partition, flush.node) : container_of(node, Partition, roll);
}

/* The metadata log, whatever was queued before it. 0 or -errno: later. */
static int take_metadata(State *state, Round *round) {
        if (round->kind != ROUND_FLUSH || !list_node_is_linked(&state->metadata_flush.node))
                return 0;
        int r = metadata_sync_begin(state, &round->metadata);
        if (r)
                return r;
        list_remove(&state->metadata_flush.node);
        round->has_taken = true;
        return 0;
}

/* Takes partitions off the queue that are not in another kind of round. 0 or -errno: then some are left for later. */
static int fill_round(State *state, Round *round) {
        int r = take_metadata(state, round);
        if (r)
                return r;
        LIST_FOREACH(queue_of(state, round->kind), node) {
                Partition *partition = partition_of(node, round->kind);
                if (round->count == ROUND_PARTITIONS_MAX)
                        return 0;
                if (partition->flushing)
                        continue;
                LogSync *sync;
                r = log_sync_begin(partition->log, round->kind != ROUND_FLUSH, &sync);
                if (r)
                        return r;
                list_remove(node);
                round->has_taken = true;
                if (!sync)
                        continue;
                FlushItem *item = &round->items[round->count++];
                *item = (FlushItem){ .partition = partition, .sync = sync };
                partition->flushing = item;
        }
        return 0;
}

static void start_round(State *state, RoundKind kind) {
        if (state->round_is_running[kind] || state->failed || list_is_empty(queue_of(state, kind)))
                return;
        Round *round = calloc(1, sizeof(*round) + ROUND_PARTITIONS_MAX * sizeof(FlushItem));
        if (round)
                round->kind = kind;
        int r = round ? fill_round(state, round) : -ENOMEM;
        if (r) {
                trace_warn("a sync has to wait: %s", strerror(-r));
                if (!timer_is_set(&state->flush_timer) || state->flush_timer.node.key > state->mono_ms + RETRY_MS)
                        timer_set(state, &state->flush_timer, state->mono_ms + RETRY_MS);
        }
        if (!round || (round->count == 0 && !round->metadata)) {
                bool is_done = round && round->has_taken && kind == ROUND_FLUSH; /* somebody else synced them */
                free(round);
                note_done(state);
                if (is_done)
                        flusher_release(state);
                return;
        }
        round->job.run = run_round;
        round->job.done = finish_round;
        state->round_is_running[kind] = true;
        worker_submit(worker_of(state, kind), &round->job);
}

void flusher_start(State *state) {
        for (RoundKind kind = 0; kind < ROUND_KINDS; kind++)
                start_round(state, kind);
}

/* Only partitions that are dirty and have a deadline are looked at. */
void flusher_run_timer(Timer *timer, State *state) {
        int64_t next_ms = INT64_MAX;
        LIST_FOREACH(&state->flush_deadlines, node) {
                Partition *partition = container_of(node, Partition, overdue);
                if (partition->flush_due_ms <= state->mono_ms) {
                        list_remove(node);
                        queue_flush(state, &partition->flush);
                } else if (partition->flush_due_ms < next_ms) {
                        next_ms = partition->flush_due_ms;
                }
        }
        if (next_ms != INT64_MAX)
                timer_set(state, timer, next_ms);
        flusher_start(state);
}
