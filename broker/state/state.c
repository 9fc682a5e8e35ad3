/* Opening and closing all that the broker knows, and the end of a turn. */
#include "broker/state/state.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/protocol/messages.h"
#include "broker/state/checkpoints.h"
#include "broker/state/cleaner.h"
#include "broker/state/data_dir.h"
#include "broker/state/deletion.h"
#include "broker/state/fetch_sessions.h"
#include "broker/state/flusher.h"
#include "broker/state/groups/offsets_pending.h"
#include "broker/state/last_stop.h"
#include "broker/state/metadata/metadata.h"
#include "broker/state/metadata/metadata_files.h"
#include "broker/state/metadata/resource_configs.h"
#include "broker/state/telemetry.h"
#include "broker/state/transactions/transactions.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"

#define RETENTIONS_PER_TURN 64

static void queue_retention(State *state) {
        HASHMAP_FOREACH(&state->topics, node) {
                Topic *topic = container_of(node, Topic, by_name);
                for (int32_t i = 0; i < topic->partition_count; i++)
                        list_append(&state->retention_queue, &topic->partitions[i]->retain);
        }
}

/* Whether segments were deleted, or a new one was begun: either takes the file system a while. */
static bool retain(State *state, Partition *partition) {
        if (!partition->log)
                return false;
        int64_t active_offset = log_active_offset(partition->log);
        int r = log_retain(partition->log, state->now_ms);
        if (r < 0)
                trace_warn("cannot apply the retention of %s-%d: %s", partition->topic->name, partition->index, strerror(-r));
        else
                flusher_settle(state, partition);
        cleaner_committed(state, partition);
        return r > 0 || log_active_offset(partition->log) != active_offset;
}

/* Retention is by time, so it runs on an idle broker too, as rarely as Kafka's; a few logs a turn, of which it changes one. */
static void run_retention(Timer *timer, State *state) {
        bool changed = false;
        if (list_is_empty(&state->retention_queue))
                queue_retention(state);
        for (int i = 0; i < RETENTIONS_PER_TURN && !changed && !list_is_empty(&state->retention_queue) && !state->failed; i++)
                changed = retain(state, container_of(list_pop(&state->retention_queue), Partition, retain));
        if (changed)
                checkpoints_later(state);
        flusher_start(state); /* it may have rolled some */
        bool is_over = state->failed || list_is_empty(&state->retention_queue);
        timer_set(state, timer, state->mono_ms + (is_over ? config_int(state->config, "log.retention.check.interval.ms") : 0));
}

typedef struct RemovalJob {
        Job job;
        char *path;
        int (*remove)(const char *path);
} RemovalJob;

static int run_removal(Job *base) {
        RemovalJob *job = container_of(base, RemovalJob, job);
        return job->remove(job->path);
}

static void removal_done(Job *base, State *state, int result) {
        RemovalJob *job = container_of(base, RemovalJob, job);
        if (result && result != -ECANCELED)
                trace_warn("cannot remove '%s': %s", job->path, strerror(-result));
        free(job->path);
        free(job);
}

static void remove_later(State *state, char *path, int (*remove)(const char *path)) {
        RemovalJob *job = path ? calloc(1, sizeof(*job)) : NULL;
        if (!job) {
                trace_warn("out of memory: what was deleted takes its space until the next start");
                free(path);
                return;
        }
        *job = (RemovalJob){ .job = { .run = run_removal, .done = removal_done }, .path = path, .remove = remove };
        worker_submit(&state->worker, &job->job);
}

void state_remove_directory(State *state, char *path) {
        remove_later(state, path, log_remove_directory);
}

void state_remove_file(State *state, char *path) {
        remove_later(state, path, file_unlink);
}

typedef struct ReapJob {
        Job job;
        SegmentRemains remains;
} ReapJob;

static int run_reap(Job *base) {
        segment_remains_dispose(&container_of(base, ReapJob, job)->remains);
        return 0;
}

static void reap_done(Job *base, State *state, int result) {
        ReapJob *job = container_of(base, ReapJob, job);
        if (result == -ECANCELED)
                segment_remains_dispose(&job->remains);
        free(job);
}

static void reap(Reaper *reaper, SegmentRemains remains) {
        ReapJob *job = calloc(1, sizeof(*job));
        if (!job) {
                segment_remains_dispose(&remains);
                return;
        }
        *job = (ReapJob){ .job = { .run = run_reap, .done = reap_done }, .remains = remains };
        worker_submit(&container_of(reaper, State, reaper)->worker, &job->job);
}

static State *state_new(Config *config, int64_t now_ms, int64_t mono_ms) {
        State *state = calloc(1, sizeof(*state));
        if (!state)
                return NULL;
        state->config = config;
        state->request_memory_max = (size_t)config_int(config, "odradek.request.max.memory.bytes");
        state->now_ms = now_ms;
        state->mono_ms = mono_ms;
        state->lock_fd = -1;
        state->broker_epoch = -1;
        state->topics = state->topics_by_id = state->topics_by_collision = HASHMAP_INIT;
        state->group_configs = state->client_metrics = HASHMAP_INIT;
        state->deletions = state->replayed_deletions = HASHMAP_INIT;
        state->timers = HEAP_INIT;
        list_init(&state->dirty_partitions);
        list_init(&state->commit_waits);
        list_init(&state->kept_buffers);
        list_init(&state->flush_queue);
        list_init(&state->roll_queue);
        list_init(&state->names_queue);
        list_init(&state->flush_deadlines);
        list_init(&state->sync_waits);
        list_init(&state->retention_queue);
        checkpoints_init(state);
        worker_init(&state->flusher, state);
        worker_init(&state->checker, state);
        worker_init(&state->maker, state);
        worker_init(&state->worker, state);
        worker_init(&state->cleaner.worker, state);
        list_init(&state->cleaner.queue);
        list_init(&state->cleaner.pass);
        state->cleaner.timer.fire = cleaner_run_timer;
        state->reaper.take = reap;
        state->flush_timer.fire = flusher_run_timer;
        state->retention_timer.fire = run_retention;
        return state;
}

static void free_kept_buffers(State *state) {
        for (ListNode *node; (node = list_pop(&state->kept_buffers));) {
                KeptBuffer *kept = container_of(node, KeptBuffer, node);
                buffer_deinit(&kept->bytes);
                free(kept);
        }
}

/* Frees everything; logs that are still open are closed without writing. */
static void state_free(State *state) {
        if (!state)
                return;
        worker_set_wake(&state->flusher, NULL, NULL);
        worker_set_wake(&state->checker, NULL, NULL);
        worker_set_wake(&state->maker, NULL, NULL);
        worker_set_wake(&state->worker, NULL, NULL);
        worker_set_wake(&state->cleaner.worker, NULL, NULL);
        while (list_pop(&state->sync_waits))
                ;
        HASHMAP_FOREACH(&state->topics, node)
                topic_free(state, container_of(node, Topic, by_name));
        free_kept_buffers(state);
        fetch_sessions_close(state);
        offsets_pending_close(state);
        telemetry_close(state);
        resource_configs_close(state);
        metadata_abandon(state);
        worker_deinit(&state->flusher);
        worker_deinit(&state->checker);
        worker_deinit(&state->maker);
        worker_deinit(&state->cleaner.worker);
        worker_deinit(&state->worker); /* gets what the others let go */
        deletions_close(state);
        deletion_forget_replayed(state);
        data_dir_close(state);
        timer_stop(state, &state->retention_timer);
        timer_stop(state, &state->flush_timer);
        timer_stop(state, &state->cleaner.timer);
        checkpoints_deinit(state);
        heap_deinit(&state->timers);
        hashmap_deinit(&state->topics);
        hashmap_deinit(&state->topics_by_id);
        hashmap_deinit(&state->topics_by_collision);
        free(state);
}

/* Everything between the lock and the replay of the groups. The marker goes first: all that follows may write. */
static int open_logs(State *state) {
        bool clean = false;
        int64_t recovery_point = 0;
        int r = last_stop_take(state, &clean);
        if (r == 0)
                r = checkpoints_read_metadata(state, &recovery_point);
        if (r) {
                data_dir_complain("read data directory", state->config->data_dir, r);
                return r;
        }
        r = metadata_open(state, clean, recovery_point);
        if (r)
                return r;
        state->topics_created_version = metadata_end_offset(state);
        r = checkpoints_read(state);
        if (r == 0)
                r = partition_open_all(state, clean);
        if (r == 0)
                data_dir_check_strays(state);
        deletion_forget_replayed(state);
        if (r == 0)
                r = checkpoints_drop_stale_rows(state);
        if (r < 0)
                data_dir_complain("read data directory", state->config->data_dir, r);
        return r;
}

/* What replays the internal topics. Transactions whose end was decided are carried out at once. */
static int open_coordinators(State *state) {
        int r = groups_open(state);
        if (r == 0)
                r = transactions_open(state);
        if (r == 0) {
                state_commit(state);
                deletions_resume(state);
                state_commit(state);
        }
        if (r) {
                data_dir_complain("replay the groups and transactions of data directory", state->config->data_dir, r);
                transactions_close(state);
                groups_close(state);
        }
        return r;
}

static int open_all(State *state) {
        int r = open_logs(state);
        if (r == 0)
                r = open_coordinators(state);
        const char *remedy = r ? last_stop_note_failure(state) : "";
        if (*remedy)
                trace_error("a sync of '%s' failed%s", state->config->data_dir, remedy);
        return r;
}

int state_open(Config *config, int64_t now_ms, int64_t mono_ms, State **ret_state) {
        State *state = state_new(config, now_ms, mono_ms);
        int r = state ? fetch_sessions_open(state) : -ENOMEM;
        if (r == 0)
                r = offsets_pending_open(state);
        if (r == 0)
                r = telemetry_open(state);
        if (r < 0)
                trace_error("no memory");
        if (r == 0)
                r = data_dir_open(state);
        if (r == 0)
                r = open_all(state);
        if (r) {
                state_free(state);
                return r;
        }
        timer_set(state, &state->retention_timer, mono_ms + config_int(config, "log.retention.check.interval.ms"));
        *ret_state = state;
        return 0;
}

static int replay_files(State *state, bool *ret_damaged) {
        MetadataReplay replay;
        char path[PATH_MAX];
        int64_t end;
        if (snprintf(path, sizeof(path), "%s/" TOPIC_NAME_METADATA "-0", state->config->data_dir) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        metadata_replay_init(&replay, state);
        int r = metadata_files_replay(&replay, path, &end);
        metadata_replay_deinit(&replay);
        *ret_damaged = r == -EUCLEAN;
        return r == -EUCLEAN || r == -ENOENT ? 0 : r;
}

int state_inspect(Config *config, int64_t now_ms, State **ret_state, bool *ret_clean_shutdown, bool *ret_damaged) {
        State *state = state_new(config, now_ms, 0);
        if (!state)
                return -ENOMEM;
        int r = data_dir_inspect(state, ret_clean_shutdown);
        if (r == 0)
                r = replay_files(state, ret_damaged);
        if (r == 0)
                r = checkpoints_read_metadata(state, &state->metadata_recovery_point);
        if (r == 0)
                r = checkpoints_read(state);
        if (r) {
                if (r < 0)
                        data_dir_complain("read data directory", config->data_dir, r);
                state_free(state);
                return r;
        }
        *ret_state = state;
        return 0;
}

/* First error, all the same tried to the end. */
static int sync_partitions(State *state) {
        int first = 0;
        HASHMAP_FOREACH(&state->topics, node) {
                Topic *topic = container_of(node, Topic, by_name);
                for (int32_t i = 0; i < topic->partition_count && !first; i++) {
                        if (topic->partitions[i]->log)
                                first = log_sync(topic->partitions[i]->log);
                        if (first)
                                trace_error("cannot sync %s-%d: %s", topic->name, i, strerror(-first));
                }
        }
        return first;
}

static int close_logs(State *state) {
        int first = 0;
        HASHMAP_FOREACH(&state->topics, node) {
                Topic *topic = container_of(node, Topic, by_name);
                for (int32_t i = 0; i < topic->partition_count; i++) {
                        int r = log_close(topic->partitions[i]->log, state->now_ms);
                        topic->partitions[i]->log = NULL;
                        if (r)
                                trace_error("cannot close the log of %s-%d: %s", topic->name, i, strerror(-r));
                        first = first ? first : r;
                }
        }
        int r = metadata_close(state);
        return first ? first : r;
}

/* With the marker the next start would take the log of a damaged partition for sound. */
static bool is_sound(const State *state) {
        HASHMAP_FOREACH(&state->topics, node) {
                const Topic *topic = container_of(node, Topic, by_name);
                for (int32_t i = 0; i < topic->partition_count; i++)
                        if (!topic->partitions[i]->log)
                                return false;
        }
        return true;
}

int state_close(State *state) {
        if (!state)
                return 0;
        cleaner_stop(state);
        state_drain(state);
        flusher_give_up(state);
        transactions_close(state);
        groups_close(state);
        state_drain(state);
        data_dir_check(state);
        bool sound = is_sound(state);
        int r = state->failed ? -EIO : sync_partitions(state);
        if (r == 0)
                r = checkpoints_write(state);
        if (r == 0)
                r = close_logs(state);
        if (r == 0 && sound)
                r = last_stop_write_clean(state);
        const char *path = r ? file_failed_path(r) : NULL;
        if (r)
                trace_error("the stop was not clean (%s%s%s): the next start recovers what is not known to be on disk%s", strerror(-r),
                            path ? ": " : "", path ? path : "",
                            last_stop_note_failure(state));
        state_free(state);
        return r;
}

void state_abandon(State *state) {
        if (!state)
                return;
        state->failed = true;
        state_commit(state); /* who waits for a write is told that it came to nothing */
        state->failed = true; /* whoever is released writes nothing more */
        flusher_give_up(state);
        transactions_close(state);
        groups_close(state);
        state_free(state);
}

void state_wait_commit(State *state, CommitWait *wait, void (*done)(CommitWait *wait, State *state)) {
        wait->done = done;
        list_append(&state->commit_waits, &wait->node);
}

void state_wait_sync(State *state, CommitWait *wait, void (*done)(CommitWait *wait, State *state)) {
        wait->done = done;
        list_append(&state->sync_waits, &wait->node);
}

static bool is_durable_topic(const State *state, Str name) {
        const Topic *topic = topic_find(state, name);
        return topic && topic->flush_messages <= 1;
}

int64_t state_sync_mark(const State *state) {
        if (state->flushes_done >= state->flushes_wanted)
                return 0;
        bool waits = state->config->durable || is_durable_topic(state, STR(TOPIC_NAME_OFFSETS)) ||
                     is_durable_topic(state, STR(TOPIC_NAME_TRANSACTIONS));
        return waits ? state->flushes_wanted : 0;
}

static void take_list(List *from, List *to) {
        list_init(to);
        for (ListNode *node; (node = list_pop(from));)
                list_append(to, node);
}

/* Writes what is queued for one partition. */
static int commit_partition(State *state, Partition *partition) {
        if (state->failed)
                return -EIO;
        int r = log_commit(partition->log, state->now_ms);
        if (r)
                trace_error("cannot write to %s-%d: %s", partition->topic->name, partition->index, strerror(-r));
        return r;
}

static void commit_once(State *state) {
        List waits, grown;
        list_init(&grown);
        for (ListNode *node; (node = list_pop(&state->dirty_partitions));) {
                Partition *partition = container_of(node, Partition, dirty);
                partition->commit_error = commit_partition(state, partition);
                if (partition->commit_error)
                        continue;
                cleaner_committed(state, partition);
                if (flusher_committed(state, partition) && !list_node_is_linked(&partition->grown))
                        list_append(&grown, &partition->grown);
        }
        free_kept_buffers(state);
        take_list(&state->commit_waits, &waits);
        for (ListNode *node; (node = list_pop(&waits));) {
                CommitWait *wait = container_of(node, CommitWait, node);
                wait->done(wait, state);
        }
        for (ListNode *node; (node = list_pop(&grown));)
                partition_wake(state, container_of(node, Partition, grown));
}

static bool has_to_commit(const State *state) {
        return !list_is_empty(&state->dirty_partitions) || !list_is_empty(&state->commit_waits);
}

void state_commit(State *state) {
        bool any = false;
        do {
                for (; has_to_commit(state); any = true)
                        commit_once(state);
                flusher_start(state); /* may release somebody who writes */
        } while (has_to_commit(state));
        if (any)
                checkpoints_later(state);
}

void state_set_wake(State *state, void (*wake)(void *data), void *data) {
        worker_set_wake(&state->flusher, wake, data);
        worker_set_wake(&state->checker, wake, data);
        worker_set_wake(&state->maker, wake, data);
        worker_set_wake(&state->worker, wake, data);
        worker_set_wake(&state->cleaner.worker, wake, data);
}

void state_collect(State *state) {
        worker_collect(&state->flusher);
        worker_collect(&state->checker);
        worker_collect(&state->maker);
        worker_collect(&state->worker);
        worker_collect(&state->cleaner.worker);
}

static bool is_busy(State *state) {
        return has_to_commit(state) || worker_has_jobs(&state->flusher) || worker_has_jobs(&state->maker) || worker_has_jobs(&state->worker) ||
               state->cleaner.busy;
}

void state_drain(State *state) {
        do {
                worker_drain(&state->maker); /* what follows that is written and synced by the others */
                state_commit(state);
                flusher_start(state);
                worker_drain(&state->flusher);
                worker_drain(&state->checker);
                worker_drain(&state->worker);
                worker_drain(&state->cleaner.worker);
        } while (is_busy(state));
}

/* A copy of map with the entries of one source replaced by those of another map. */
static int replace_source(const ConfigMap *map, ConfigSource source, const ConfigMap *entries, ConfigMap *ret_map) {
        *ret_map = CONFIG_MAP_INIT;
        int r = 0;
        for (int32_t i = 0; r == 0 && i < map->count; i++)
                if (map->entries[i].source != source)
                        r = config_map_set(ret_map, map->entries[i].key, config_given(&map->entries[i]), map->entries[i].source);
        for (int32_t i = 0; r == 0 && i < entries->count; i++)
                r = config_map_set(ret_map, entries->entries[i].key, config_given(&entries->entries[i]), source);
        if (r)
                config_map_deinit(ret_map);
        return r;
}

int state_set_broker_config(State *state, bool cluster_default, const ConfigMap *config) {
        ConfigSource source = cluster_default ? CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER : CONFIG_SOURCE_DYNAMIC_BROKER;
        ConfigMap changed;
        int r = replace_source(&state->config->broker, source, config, &changed);
        if (r)
                return r;
        char node[16];
        Str name = cluster_default ? STR("") : (Str){ node, (size_t)snprintf(node, sizeof(node), "%d", state->node_id) };
        MetadataBatch batch;
        metadata_batch_init(&batch, state);
        metadata_batch_add_configs(&batch, CONFIG_RESOURCE_BROKER, name, source, &state->config->broker, &changed);
        r = metadata_batch_write(state, &batch);
        if (r) {
                config_map_deinit(&changed);
                return r;
        }
        config_map_deinit(&state->config->broker);
        state->config->broker = changed;
        HASHMAP_FOREACH(&state->topics, topic)
                topic_apply_config(state, container_of(topic, Topic, by_name));
        return 0;
}
