/* The steps of a deletion. */
#include "broker/state/deletion.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "broker/state/checkpoints.h"
#include "broker/state/flusher.h"
#include "broker/state/groups/topic_offsets.h"
#include "broker/state/metadata/metadata.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"

typedef enum Step {
        STEP_RECORD, /* is on its way to the disk */
        STEP_OFFSETS, /* likewise: the tombstones of what groups committed */
        STEP_USERS,  /* of the files: a sync, a compaction */
        STEP_FILES,  /* the job is under way */
        STEP_STUCK,  /* the new names may not be durable: nothing takes the old ones before the next start */
        STEP_ROWS,   /* in the checkpoint files */
} Step;

struct Deletion {
        HashNode by_name; /* in state->deletions */
        char *name;
        Topic *topic;     /* owned from deletion_start() on, until the directories are done with; NULL: they are */
        const Config *config;
        CommitWait wait;
        Job job;
        Step step;
        int64_t end_offset; /* of the metadata log behind the record */
        int64_t number;     /* the files that are as new as this one hold no rows any more */
        int64_t sync_mark;  /* of the tombstones */
        int offsets_result; /* of queueing them */
        bool has_offsets;   /* some could not be written: tried again with each checkpoint */
        bool is_waited_for;
        int error;          /* for who waits */
        char **doomed;      /* of each partition: the directory's new name, or NULL */
};

static void drop_topic(State *state, Deletion *deletion) {
        for (int32_t i = 0; deletion->topic && i < deletion->topic->partition_count; i++)
                free(deletion->doomed[i]);
        free(deletion->doomed);
        deletion->doomed = NULL;
        if (deletion->topic)
                topic_destroy(state, deletion->topic);
        deletion->topic = NULL;
}

static void deletion_free(State *state, Deletion *deletion) {
        hashmap_remove(&state->deletions, &deletion->by_name);
        list_remove(&deletion->wait.node);
        drop_topic(state, deletion);
        free(deletion->name);
        free(deletion);
}

static int new_deletion(State *state, Str name, int32_t partition_count, Deletion **ret_deletion) {
        Deletion *deletion = calloc(1, sizeof(*deletion));
        if (!deletion)
                return -ENOMEM;
        deletion->name = str_dup(name);
        deletion->doomed = calloc((size_t)partition_count + 1, sizeof(deletion->doomed[0]));
        int r = deletion->name && deletion->doomed ? hashmap_insert(&state->deletions, str_of(deletion->name), &deletion->by_name) : -ENOMEM;
        if (r) {
                free(deletion->doomed);
                free(deletion->name);
                free(deletion);
                return r;
        }
        deletion->config = state->config;
        *ret_deletion = deletion;
        return 0;
}

int deletion_new(State *state, Topic *topic, Deletion **ret_deletion) {
        Deletion *deletion;
        int r = new_deletion(state, str_of(topic->name), topic->partition_count, &deletion);
        if (r)
                return r;
        deletion->topic = topic;
        *ret_deletion = deletion;
        return 0;
}

void deletion_cancel(State *state, Deletion *deletion) {
        deletion->topic = NULL; /* stays the caller's */
        deletion_free(state, deletion);
}

static Deletion *find(const State *state, Str name) {
        HashNode *node = hashmap_find(&state->deletions, name);
        return node ? container_of(node, Deletion, by_name) : NULL;
}

static void free_done(State *state) {
        HASHMAP_FOREACH(&state->deletions, node) {
                Deletion *deletion = container_of(node, Deletion, by_name);
                if (deletion->step == STEP_ROWS && !deletion->has_offsets && deletion->number <= state->checkpointed_deletion)
                        deletion_free(state, deletion);
        }
        flusher_release(state);
}

/* On a thread: what it reads of the topic is nobody else's any more. */
static int run_files(Job *job) {
        Deletion *deletion = container_of(job, Deletion, job);
        const Topic *topic = deletion->topic;
        char path[PATH_MAX] = "";
        bool any = false;
        for (int32_t i = 0; i < topic->partition_count; i++) {
                int r = partition_path(deletion->config, topic->name, i, path);
                if (r == 0)
                        r = log_doom_directory(path, &deletion->doomed[i]);
                if (r && r != -ENOENT)
                        trace_warn("cannot remove the log of %s-%d: %s", topic->name, i, strerror(-r));
                any = any || r == 0;
        }
        return any ? file_sync_parent(path) : 0;
}

static void files_done(Job *job, State *state, int result) {
        Deletion *deletion = container_of(job, Deletion, job);
        deletion->step = result ? STEP_STUCK : STEP_ROWS;
        deletion->error = result;
        if (result && result != -ECANCELED)
                trace_error("cannot sync '%s', the name of the deleted topic %s is not free before the next start: %s",
                            state->config->data_dir, deletion->name, strerror(-result));
        if (!result && deletion->is_waited_for && (deletion->has_offsets || deletion->number > state->checkpointed_deletion))
                checkpoints_now(state); /* before the worker unlinks, which may take long */
        for (int32_t i = 0; i < deletion->topic->partition_count; i++) {
                if (deletion->doomed[i])
                        state_remove_directory(state, deletion->doomed[i]);
                deletion->doomed[i] = NULL;
        }
        drop_topic(state, deletion);
        checkpoints_soon(state, config_int(state->config, "log.flush.offset.checkpoint.interval.ms"));
        free_done(state);
}

static bool is_in_use(const State *state, const Topic *topic) {
        for (int32_t i = 0; i < topic->partition_count; i++)
                if (topic->partitions[i]->flushing || state->cleaner.busy == topic->partitions[i])
                        return true;
        return false;
}

/* When the tombstones are on disk, or could not be written: the space of the files may be what is missing. */
static void proceed(CommitWait *wait, State *state) {
        Deletion *deletion = container_of(wait, Deletion, wait);
        if (!state_sync_is_past(state, deletion->sync_mark) || (deletion->topic && is_in_use(state, deletion->topic))) {
                state_wait_sync(state, wait, proceed);
                return;
        }
        deletion->step = deletion->topic ? STEP_FILES : STEP_ROWS;
        if (!deletion->topic) {
                free_done(state);
                return;
        }
        deletion->job = (Job){ .run = run_files, .done = files_done };
        worker_submit(&state->worker, &deletion->job);
}

static void offsets_committed(CommitWait *wait, State *state) {
        Deletion *deletion = container_of(wait, Deletion, wait);
        int r = deletion->offsets_result;
        if (r == 0 && state->groups)
                r = topic_offsets_forget(state, str_of(deletion->name));
        deletion->has_offsets = r != 0;
        if (r && !state->failed)
                trace_error("the offsets of the deleted topic %s cannot be dropped, nothing can take its name: %s", deletion->name,
                            strerror(-r));
        if (r && !deletion->topic && deletion->is_waited_for)
                deletion->error = r;
        deletion->sync_mark = state_sync_mark(state);
        deletion->step = STEP_USERS;
        proceed(wait, state);
}

static void drop_offsets(State *state, Deletion *deletion) {
        deletion->step = STEP_OFFSETS;
        deletion->offsets_result = state->groups ? topic_offsets_end(state, str_of(deletion->name)) : 0;
        state_wait_commit(state, &deletion->wait, offsets_committed);
}

static void await_record(CommitWait *wait, State *state) {
        Deletion *deletion = container_of(wait, Deletion, wait);
        if (state->failed || metadata_recovery_point(state) < deletion->end_offset) {
                state_wait_sync(state, wait, await_record);
                return;
        }
        deletion->number = ++state->deletion_number;
        drop_offsets(state, deletion);
}

void deletion_start(State *state, Deletion *deletion) {
        deletion->end_offset = metadata_end_offset(state);
        for (int32_t i = 0; i < deletion->topic->partition_count; i++)
                partition_close_log(state, deletion->topic->partitions[i]);
        state_wait_sync(state, &deletion->wait, await_record);
}

static void resume(State *state, Str name) {
        Deletion *deletion;
        if (find(state, name))
                return;
        if (new_deletion(state, name, 0, &deletion)) {
                trace_error("out of memory: the offsets of the deleted topic %.*s are still there", STR_ARG(name));
                return;
        }
        drop_offsets(state, deletion);
}

void deletions_resume(State *state) {
        topic_offsets_each_orphan(state, resume);
}

bool deletion_holds_name(State *state, Str name) {
        Deletion *deletion = find(state, name);
        if (!deletion || deletion->error)
                return false;
        deletion->is_waited_for = true;
        if (deletion->step == STEP_ROWS)
                checkpoints_now(state);
        return true;
}

int deletion_check_name(State *state, Str name) {
        if (deletion_holds_name(state, name))
                return -EBUSY;
        Deletion *deletion = find(state, name);
        int error = deletion ? deletion->error : 0;
        if (deletion && deletion->step == STEP_ROWS) {
                deletion->error = 0; /* the next one tries again */
                deletion->is_waited_for = false;
        }
        return error;
}

const Topic *deletion_keeps_rows(const HashNode *node) {
        const Deletion *deletion = container_of(node, Deletion, by_name);
        return deletion->step == STEP_RECORD ? deletion->topic : NULL;
}

void deletion_checkpointed(State *state, int result) {
        HASHMAP_FOREACH(&state->deletions, node) {
                Deletion *deletion = container_of(node, Deletion, by_name);
                if (deletion->step != STEP_ROWS)
                        continue;
                if (deletion->number > state->checkpointed_deletion && result && deletion->is_waited_for)
                        deletion->error = result;
                else if (deletion->has_offsets)
                        drop_offsets(state, deletion);
        }
        free_done(state);
}

void deletions_close(State *state) {
        HASHMAP_FOREACH(&state->deletions, node)
                deletion_free(state, container_of(node, Deletion, by_name));
        hashmap_deinit(&state->deletions);
}

/* ---- what a replay has seen */

typedef struct Replayed {
        HashNode node;
        Uuid topic_id;
} Replayed;

void deletion_replayed(State *state, const Uuid *topic_id) {
        Replayed *replayed = deletion_was_replayed(state, topic_id) ? NULL : calloc(1, sizeof(*replayed));
        if (!replayed)
                return; /* known already; or its directory, should there be one, is called a stray */
        replayed->topic_id = *topic_id;
        if (hashmap_insert(&state->replayed_deletions, uuid_key(&replayed->topic_id), &replayed->node))
                free(replayed);
}

bool deletion_was_replayed(const State *state, const Uuid *topic_id) {
        return hashmap_find(&state->replayed_deletions, uuid_key(topic_id)) != NULL;
}

void deletion_forget_replayed(State *state) {
        HASHMAP_FOREACH(&state->replayed_deletions, node) {
                Replayed *replayed = container_of(node, Replayed, node);
                hashmap_remove(&state->replayed_deletions, node);
                free(replayed);
        }
        hashmap_deinit(&state->replayed_deletions);
        state->replayed_deletions = HASHMAP_INIT;
}
