/* Partitions: their directories, what is appended to and read from them, and who waits. */
#include "broker/state/partition.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/state/cleaner.h"
#include "broker/state/flusher.h"
#include "broker/state/last_stop.h"
#include "storage/base/ballast.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/checkpoint.h"

int partition_new(Topic *topic, int32_t index, int32_t leader_epoch, Partition **ret_partition) {
        Partition *partition = calloc(1, sizeof(*partition));
        if (!partition)
                return -ENOMEM;
        partition->topic = topic;
        partition->index = index;
        partition->leader_epoch = leader_epoch;
        partition->cleaner_offset = -1;
        list_init(&partition->fetch_waits);
        *ret_partition = partition;
        return 0;
}

/* The topic's name was validated, so it can be part of a path. */
int partition_path(const Config *config, const char *topic, int32_t index, char path[static PATH_MAX]) {
        int n = snprintf(path, PATH_MAX, "%s/%s-%d", config->data_dir, topic, index);
        return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* A crash while a topic was made or removed can leave a directory that the metadata log doesn't name. */
static int set_aside(const char *path) {
        struct stat st;
        int r = file_lstat(path, &st);
        if (r)
                return r == -ENOENT ? 0 : r;
        Uuid id = uuid_random();
        char text[UUID_TEXT_SIZE], aside[PATH_MAX];
        int n = snprintf(aside, sizeof(aside), "%s.%s-stray", path, uuid_to_text(&id, text));
        if ((size_t)n >= sizeof(aside))
                return -ENAMETOOLONG;
        r = file_rename(path, aside);
        if (r)
                return r;
        trace_warn("a new topic needs the stray directory '%s': renamed it to '%s'", path, aside);
        return 0;
}

int partition_make_log(LogOpen *how, const Config *config, const char *topic, int32_t index, const Uuid *topic_id, Log **ret_log) {
        char path[PATH_MAX];
        Log *log = NULL;
        int r = partition_path(config, topic, index, path);
        if (r == 0)
                r = set_aside(path);
        if (r)
                return r;
        how->path = path;
        r = log_open(how, &log);
        if (r == 0)
                r = log_write_partition_metadata(log, topic_id);
        if (r) {
                log_abandon(log);
                (void)log_discard_directory(path);
                return r;
        }
        *ret_log = log;
        return 0;
}

int partition_create_log(State *state, Partition *partition, const LogConfig *config) {
        const Topic *topic = partition->topic;
        LogOpen how = { .config = *config, .now_ms = state->now_ms, .spares_space = topic->is_internal, .reaper = &state->reaper };
        return partition_make_log(&how, state->config, topic->name, partition->index, &topic->id, &partition->log);
}

/* Whether the directory belongs to this topic; false with a reason. */
static bool check_directory(const Partition *partition, const char *path, bool *ret_is_named, const char **ret_reason) {
        Uuid id;
        int r = checkpoint_read_partition_metadata(path, &id);
        *ret_is_named = r != -ENOENT;
        if (r == 0 && !uuid_equal(&id, &partition->topic->id)) {
                *ret_reason = "partition.metadata names another topic id";
                return false;
        }
        if (r == -EUCLEAN) {
                *ret_reason = "partition.metadata is malformed";
                return false;
        }
        return true;
}

/* A metadata log that is older than the logs, such as a copy: with its epoch nothing could be written behind what is there. */
static void take_epoch(Partition *partition) {
        int32_t latest = log_latest_epoch(partition->log);
        if (latest <= partition->leader_epoch)
                return;
        trace_warn("%s-%d: leader epoch %d of the log holds; the metadata log only knows %d, so it is older than the partition",
                   partition->topic->name, partition->index, latest, partition->leader_epoch);
        partition->leader_epoch = latest;
}

int partition_open_log(State *state, Partition *partition, const LogConfig *config, bool clean_shutdown) {
        char path[PATH_MAX];
        int r = partition_path(state->config, partition->topic->name, partition->index, path);
        if (r)
                return r;
        const char *reason = NULL;
        struct stat st;
        r = file_lstat(path, &st);
        if (r == -ENOENT) {
                int64_t lost = partition->recovery_point > partition->checkpoint_start_offset ? partition->recovery_point
                                                                                              : partition->checkpoint_start_offset;
                if (lost == 0) {
                        trace_warn("partition directory '%s' is missing: starting it empty", path);
                        return partition_create_log(state, partition, config);
                }
                trace_error("partition directory '%s' is missing, and with it the records below offset %lld: it is not served; "
                            "put it back, or let odradek repair begin it anew", path, (long long)lost);
                return 0;
        }
        if (r) {
                reason = strerror(-r);
                goto damaged;
        }
        if (!S_ISDIR(st.st_mode)) {
                reason = "it is no directory of its own; put the directory itself there";
                goto damaged;
        }
        bool is_named;
        if (!check_directory(partition, path, &is_named, &reason))
                goto damaged;
        LogOpen how = { .path = path, .config = *config, .clean_shutdown = clean_shutdown, .now_ms = state->now_ms,
                        .recovery_point = partition->recovery_point, .writes_again = state->writes_again,
                        .spares_space = partition->topic->is_internal, .reaper = &state->reaper,
                        .log_start_offset = partition->checkpoint_start_offset, .compacted_offset = partition->cleaner_offset };
        r = log_open(&how, &partition->log);
        if (r == 0)
                take_epoch(partition);
        if (r == 0 && (!is_named || state->writes_again)) /* half a creation, or a power cut */
                (void)log_write_partition_metadata(partition->log, &partition->topic->id);
        if (r == 0 || r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                return r;
        reason = r == -EUCLEAN ? "the log is damaged" : strerror(-r);
damaged:
        partition->log = NULL;
        trace_error("partition %s-%d is not served: %s; its files were left as they are, odradek check says more%s", partition->topic->name,
                    partition->index, reason, last_stop_note_failure(state));
        return 0;
}

void partition_close_log(State *state, Partition *partition) {
        list_remove(&partition->dirty);
        list_remove(&partition->grown);
        list_remove(&partition->retain);
        while (list_pop(&partition->fetch_waits))
                ;
        flusher_leave(state, partition);
        cleaner_leave(state, partition);
        if (!partition->log)
                return;
        partition->recovery_point = log_recovery_point(partition->log);
        partition->checkpoint_start_offset = log_start_offset(partition->log);
        log_abandon(partition->log);
        partition->log = NULL;
}

void partition_delete_log(State *state, Partition *partition) {
        char path[PATH_MAX], *doomed;
        partition_close_log(state, partition);
        int r = partition_path(state->config, partition->topic->name, partition->index, path);
        if (r == 0)
                r = log_doom_directory(path, &doomed);
        if (r == 0)
                state_remove_directory(state, doomed);
        else if (r != -ENOENT)
                trace_warn("cannot remove the log of %s-%d: %s", partition->topic->name, partition->index, strerror(-r));
}

void partition_free(State *state, Partition *partition) {
        if (!partition)
                return;
        flusher_forget(partition);
        cleaner_forget(state, partition);
        partition_close_log(state, partition);
        free(partition);
}

static bool takes_appends(const State *state, const Partition *partition, LogOrigin origin) {
        return partition->log && !state->failed && (origin != LOG_ORIGIN_CLIENT || ballast_is_kept(state->mono_ms));
}

static void note_append(State *state, Partition *partition) {
        if (log_is_dirty(partition->log) && !list_node_is_linked(&partition->dirty))
                list_append(&state->dirty_partitions, &partition->dirty);
}

int partition_append(State *state, Partition *partition, uint8_t *records, size_t size, LogOrigin origin,
                     LogAppend *ret_append) {
        if (!takes_appends(state, partition, origin))
                return KAFKA_KAFKA_STORAGE_ERROR;
        int r = log_append(partition->log, records, size, origin, partition->leader_epoch, state->now_ms, ret_append);
        if (r == 0)
                note_append(state, partition);
        return r;
}

int partition_append_checked(State *state, Partition *partition, LogCheck *check) {
        if (!takes_appends(state, partition, check->origin))
                return KAFKA_KAFKA_STORAGE_ERROR;
        int r = log_append_checked(partition->log, check, partition->leader_epoch);
        if (r == 0)
                note_append(state, partition);
        return r;
}

int partition_append_owned(State *state, Partition *partition, Buffer *batch, LogOrigin origin, LogAppend *ret_append) {
        KeptBuffer *kept = calloc(1, sizeof(*kept));
        int r = kept && !batch->failed ? 0 : -ENOMEM;
        if (r == 0)
                r = partition_append(state, partition, batch->data, batch->size, origin, ret_append);
        if (r) {
                free(kept);
                buffer_deinit(batch);
                return r;
        }
        kept->bytes = *batch;
        *batch = BUFFER_INIT;
        list_append(&state->kept_buffers, &kept->node);
        return 0;
}

bool partition_is_written(const Partition *partition, int64_t end_offset) {
        return partition->log && log_end_offset(partition->log) >= end_offset;
}

bool partition_is_settled(const Partition *partition, int64_t end_offset) {
        return !partition->log || partition->is_deleted || partition->sync_offset < end_offset ||
               log_recovery_point(partition->log) >= end_offset;
}

int partition_read(Partition *partition, int64_t offset, bool committed, int32_t size_max, bool min_one, FileSpan *ret_span) {
        if (!partition->log)
                return KAFKA_KAFKA_STORAGE_ERROR;
        int64_t end_offset = committed ? partition_last_stable_offset(partition) : partition_high_watermark(partition);
        int r = log_read(partition->log, offset, end_offset, size_max, min_one, ret_span);
        return r == -EUCLEAN ? KAFKA_KAFKA_STORAGE_ERROR : r;
}

int partition_delete_records(State *state, Partition *partition, int64_t offset) {
        if (partition->topic->is_internal)
                return KAFKA_INVALID_TOPIC_EXCEPTION;
        if (!partition->log)
                return KAFKA_KAFKA_STORAGE_ERROR;
        const LogConfig *config = log_config(partition->log);
        if (config->cleanup_compact && !config->cleanup_delete)
                return KAFKA_POLICY_VIOLATION;
        if (offset == -1)
                offset = partition_high_watermark(partition);
        if (offset < 0 || offset > partition_high_watermark(partition))
                return KAFKA_OFFSET_OUT_OF_RANGE;
        if (offset <= log_start_offset(partition->log))
                return 0;
        return log_advance_start(partition->log, offset, state->now_ms);
}

void partition_wake(State *state, Partition *partition) {
        List waits;
        list_init(&waits);
        for (ListNode *node; (node = list_pop(&partition->fetch_waits));)
                list_append(&waits, node);
        for (ListNode *node; (node = list_pop(&waits));) {
                list_append(&partition->fetch_waits, node);
                PartitionWait *wait = container_of(node, PartitionWait, node);
                wait->wake(wait, state);
        }
}
