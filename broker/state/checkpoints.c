/* Reading the files, and writing them where that is a job for the worker or has to be waited for. */
#include "broker/state/checkpoints.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/state/data_dir.h"
#include "broker/state/deletion.h"
#include "broker/state/metadata/metadata.h"
#include "storage/base/buffer.h"
#include "storage/base/trace.h"
#include "storage/checkpoint.h"

#define RETRY_MS 5000

static void note_metadata(const CheckpointRow *row, void *data) {
        if (row->partition == 0 && row->offset >= 0 && strcmp(row->topic, TOPIC_NAME_METADATA) == 0)
                *(int64_t *)data = row->offset;
}

/* A row of a topic that a crash kept in the files counts as that of a deletion. */
static Partition *find_partition(State *state, const CheckpointRow *row) {
        Partition *partition = partition_find(state, str_of(row->topic), row->partition);
        if (!partition && strcmp(row->topic, TOPIC_NAME_METADATA) != 0)
                state->deletion_number++;
        return partition;
}

static void note_recovery(const CheckpointRow *row, void *data) {
        Partition *partition = find_partition(data, row);
        if (partition && row->offset >= 0)
                partition->recovery_point = row->offset;
}

static void note_start(const CheckpointRow *row, void *data) {
        Partition *partition = find_partition(data, row);
        if (partition && row->offset >= 0)
                partition->checkpoint_start_offset = row->offset;
}

static void note_cleaner(const CheckpointRow *row, void *data) {
        Partition *partition = find_partition(data, row);
        if (partition && row->offset >= 0)
                partition->cleaner_offset = row->offset;
}

static int read_checkpoint(State *state, const char *name, void (*each)(const CheckpointRow *row, void *data), void *data) {
        int r = checkpoint_read(state->config->data_dir, name, each, data);
        if (r == -EUCLEAN)
                trace_warn("'%s/%s' is malformed: passing over it", state->config->data_dir, name);
        return r == -ENOENT || r == -EUCLEAN ? 0 : r;
}

int checkpoints_read_metadata(State *state, int64_t *ret_recovery_point) {
        *ret_recovery_point = 0;
        return read_checkpoint(state, CHECKPOINT_RECOVERY_NAME, note_metadata, ret_recovery_point);
}

int checkpoints_read(State *state) {
        int r = read_checkpoint(state, CHECKPOINT_RECOVERY_NAME, note_recovery, state);
        if (r == 0)
                r = read_checkpoint(state, CHECKPOINT_START_NAME, note_start, state);
        return r ? r : read_checkpoint(state, CHECKPOINT_CLEANER_NAME, note_cleaner, state);
}

/* ---- writing */

/* What the files are to say; any thread may write it. */
typedef struct Files {
        CheckpointGate *gate, *start_gate;
        int64_t generation;
        int64_t deletion_number; /* state's, when this was made */
        const char *dir;
        Buffer recovery, replication, cleaner, starts; /* empty: stays as it is */
} Files;

/* Offsets of a partition that is not served stay what they were. */
static int64_t recovery_offset(const Partition *partition) {
        return partition->log ? log_recovery_point(partition->log) : partition->recovery_point;
}

static int64_t start_offset(const Partition *partition) {
        return partition->log ? log_start_offset(partition->log) : partition->checkpoint_start_offset;
}

static int64_t cleaner_offset(const Partition *partition) {
        return partition->cleaner_offset;
}

static int64_t end_offset(const Partition *partition) {
        return partition->log ? partition_high_watermark(partition) : partition->recovery_point;
}

typedef int64_t OffsetOf(const Partition *partition);

static int32_t add_rows(const Topic *topic, OffsetOf *offset_of, int64_t offset_min, CheckpointRow *rows) {
        int32_t count = 0;
        for (int32_t i = 0; i < topic->partition_count; i++) {
                int64_t offset = offset_of(topic->partitions[i]);
                if (offset >= offset_min)
                        rows[count++] = (CheckpointRow){ topic->name, i, offset };
        }
        return count;
}

static size_t count_partitions(const State *state) {
        size_t count = 0;
        HASHMAP_FOREACH(&state->topics, node)
                count += (size_t)container_of(node, Topic, by_name)->partition_count;
        HASHMAP_FOREACH(&state->deletions, node)
                if (deletion_keeps_rows(node))
                        count += (size_t)deletion_keeps_rows(node)->partition_count;
        return count;
}

/* One file: a row for every partition whose offset is at least offset_min; with the metadata log's own row if asked. */
static void format(State *state, OffsetOf *offset_of, int64_t offset_min, bool with_metadata, Buffer *out) {
        CheckpointRow *rows = malloc((count_partitions(state) + 1) * sizeof(*rows));
        if (!rows) {
                out->failed = true;
                return;
        }
        int32_t count = 0;
        if (with_metadata)
                rows[count++] = (CheckpointRow){ TOPIC_NAME_METADATA, 0,
                                                 state->metadata ? metadata_recovery_point(state) : state->metadata_recovery_point };
        HASHMAP_FOREACH(&state->topics, node)
                count += add_rows(container_of(node, Topic, by_name), offset_of, offset_min, rows + count);
        HASHMAP_FOREACH(&state->deletions, node)
                if (deletion_keeps_rows(node))
                        count += add_rows(deletion_keeps_rows(node), offset_of, offset_min, rows + count);
        checkpoint_format(rows, count, out);
        free(rows);
}

static int write_file(const char *dir, const char *name, const Buffer *text) {
        return text->size ? checkpoint_write_text(dir, name, (Str){ (const char *)text->data, text->size }) : 0;
}

static Files new_files(State *state) {
        return (Files){ .gate = &state->checkpoint_gate, .start_gate = &state->start_gate, .generation = ++state->checkpoint_generation,
                        .deletion_number = state->deletion_number, .dir = state->config->data_dir, .recovery = BUFFER_INIT,
                        .replication = BUFFER_INIT, .cleaner = BUFFER_INIT, .starts = BUFFER_INIT };
}

static void free_files(Files *files) {
        buffer_deinit(&files->recovery);
        buffer_deinit(&files->replication);
        buffer_deinit(&files->cleaner);
        buffer_deinit(&files->starts);
}

/* The file of start offsets is written by DeleteRecords too, and otherwise only needed to get rid of rows. 0 or -ENOMEM. */
static int collect(State *state, bool with_starts, Files *ret_files) {
        *ret_files = new_files(state);
        if (with_starts)
                format(state, start_offset, 1, false, &ret_files->starts);
        format(state, recovery_offset, 0, true, &ret_files->recovery);
        format(state, end_offset, 0, false, &ret_files->replication);
        format(state, cleaner_offset, 0, false, &ret_files->cleaner);
        if (!ret_files->starts.failed && !ret_files->recovery.failed && !ret_files->replication.failed && !ret_files->cleaner.failed)
                return 0;
        free_files(ret_files);
        return -ENOMEM;
}

static int write_starts(const Files *files) {
        return write_file(files->dir, CHECKPOINT_START_NAME, &files->starts);
}

static int write_others(const Files *files) {
        int r = write_file(files->dir, CHECKPOINT_RECOVERY_NAME, &files->recovery);
        if (r == 0)
                r = write_file(files->dir, CHECKPOINT_REPLICATION_NAME, &files->replication);
        return r ? r : write_file(files->dir, CHECKPOINT_CLEANER_NAME, &files->cleaner);
}

/* Unless newer ones passed it meanwhile. */
static int pass(CheckpointGate *gate, const Files *files, int (*write)(const Files *files)) {
        int r = 0;
        pthread_mutex_lock(&gate->lock);
        if (gate->written < files->generation && (r = write(files)) == 0)
                gate->written = files->generation;
        pthread_mutex_unlock(&gate->lock);
        return r;
}

static int write_files(const Files *files) {
        int r = files->starts.size ? pass(files->start_gate, files, write_starts) : 0;
        return r || !files->recovery.size ? r : pass(files->gate, files, write_others);
}

int checkpoints_write(State *state) {
        Files files;
        int r = collect(state, true, &files);
        if (r)
                return r;
        r = write_files(&files);
        if (r == 0)
                state->checkpointed_deletion = files.deletion_number;
        free_files(&files);
        return r;
}

int checkpoints_drop_stale_rows(State *state) {
        int r = state->deletion_number == state->checkpointed_deletion ? 0 : checkpoints_write(state);
        if (r)
                trace_error("cannot write the checkpoint files in '%s': %s; %s", state->config->data_dir, strerror(-r), data_dir_remedy(r));
        return r;
}

struct StartsJob {
        Job job;
        Files files;
        StartsWait *wait;
};

static int run_starts(Job *job) {
        return write_files(&container_of(job, StartsJob, job)->files);
}

static void starts_written(Job *base, State *state, int result) {
        StartsJob *job = container_of(base, StartsJob, job);
        StartsWait *wait = job->wait;
        free_files(&job->files);
        free(job);
        if (!wait)
                return;
        wait->job = NULL;
        wait->done(wait, state, result);
}

void starts_wait_cancel(StartsWait *wait) {
        if (wait->job)
                wait->job->wait = NULL;
        wait->job = NULL;
}

int checkpoints_send_starts(State *state, StartsWait *wait) {
        data_dir_check(state);
        StartsJob *job = state->failed ? NULL : calloc(1, sizeof(*job));
        if (!job)
                return state->failed ? -EIO : -ENOMEM;
        *job = (StartsJob){ .job = { .run = run_starts, .done = starts_written }, .files = new_files(state), .wait = wait };
        format(state, start_offset, 1, false, &job->files.starts);
        if (job->files.starts.failed) {
                free_files(&job->files);
                free(job);
                return -ENOMEM;
        }
        wait->job = job;
        worker_submit(&state->flusher, &job->job); /* which does what somebody waits for */
        return 0;
}

typedef struct FilesJob {
        Job job;
        Files files;
} FilesJob;

static int run_files(Job *job) {
        return write_files(&container_of(job, FilesJob, job)->files);
}

static void files_written(Job *base, State *state, int result) {
        FilesJob *job = container_of(base, FilesJob, job);
        if (result && result != -ECANCELED)
                trace_warn("cannot write the checkpoint files: %s", strerror(-result));
        state->checkpoint_is_running = false;
        if (result == 0 && job->files.deletion_number > state->checkpointed_deletion)
                state->checkpointed_deletion = job->files.deletion_number;
        free_files(&job->files);
        free(job);
        if (state->checkpoint_is_wanted && result != -ECANCELED)
                checkpoints_now(state);
        deletion_checkpointed(state, result);
}

static void start_job(Timer *timer, State *state) {
        data_dir_check(state);
        if (state->failed)
                return;
        state->checkpoint_is_wanted = state->checkpoint_is_running;
        if (state->checkpoint_is_wanted)
                return;
        FilesJob *job = calloc(1, sizeof(*job));
        int r = job ? collect(state, state->deletion_number != state->checkpointed_deletion, &job->files) : -ENOMEM;
        if (r) {
                free(job);
                checkpoints_soon(state, RETRY_MS);
                return;
        }
        job->job.run = run_files;
        job->job.done = files_written;
        state->checkpoint_is_running = true;
        state->checkpointing_deletion = job->files.deletion_number;
        worker_submit(&state->worker, &job->job);
}

void checkpoints_now(State *state) {
        if (state->checkpoint_is_running && state->checkpointing_deletion == state->deletion_number)
                return;
        timer_stop(state, &state->checkpoint_timer);
        start_job(&state->checkpoint_timer, state);
}

void checkpoints_soon(State *state, int64_t within_ms) {
        int64_t due_ms = state->mono_ms + within_ms;
        if (!timer_is_set(&state->checkpoint_timer) || state->checkpoint_timer.node.key > due_ms)
                timer_set(state, &state->checkpoint_timer, due_ms);
}

void checkpoints_later(State *state) {
        if (!timer_is_set(&state->checkpoint_timer))
                timer_set(state, &state->checkpoint_timer,
                          state->mono_ms + config_int(state->config, "log.flush.offset.checkpoint.interval.ms"));
}

void checkpoints_init(State *state) {
        pthread_mutex_init(&state->checkpoint_gate.lock, NULL);
        pthread_mutex_init(&state->start_gate.lock, NULL);
        state->checkpoint_timer.fire = start_job;
}

void checkpoints_deinit(State *state) {
        timer_stop(state, &state->checkpoint_timer);
        pthread_mutex_destroy(&state->checkpoint_gate.lock);
        pthread_mutex_destroy(&state->start_gate.lock);
}
