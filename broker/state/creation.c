/* A creation from its plan to its end. */
#include "broker/state/creation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/state/flusher.h"
#include "storage/base/trace.h"

typedef struct Wanted {
        HashNode by_name; /* in creation->wanted */
        char *name;
        Uuid topic_id;
        int32_t from, count; /* partitions from .. from + count - 1 */
        int result;          /* of their making */
        Log *logs[];         /* NULL: not made, or taken */
} Wanted;

struct Creation {
        Job job;
        HashMap wanted;
        int64_t partition_count; /* of all */
        const Config *config;
        LogOpen how;             /* what is the same for all */
        List waits;              /* CommitWait.node: of the one that wants it, unless it is gone */
        const CommitWait *made_for; /* the same one, while it has its turn */
};

static Wanted *find(const Creation *creation, Str name) {
        HashNode *node = hashmap_find(&creation->wanted, name);
        return node ? container_of(node, Wanted, by_name) : NULL;
}

static Creation *creation_new(State *state) {
        Creation *creation = calloc(1, sizeof(*creation));
        if (!creation)
                return NULL;
        creation->config = state->config;
        creation->how = (LogOpen){ .config = LOG_CONFIG_INIT, .now_ms = state->now_ms, .reaper = &state->reaper };
        list_init(&creation->waits);
        return creation;
}

static void wanted_free(Wanted *wanted) {
        for (int32_t i = 0; i < wanted->count; i++)
                log_abandon(wanted->logs[i]);
        free(wanted->name);
        free(wanted);
}

void creation_free(Creation *creation) {
        if (!creation)
                return;
        HASHMAP_FOREACH(&creation->wanted, node) {
                Wanted *wanted = container_of(node, Wanted, by_name);
                hashmap_remove(&creation->wanted, node);
                wanted_free(wanted);
        }
        hashmap_deinit(&creation->wanted);
        free(creation);
}

static int add(State *state, Creation *creation, Str name, const Topic *topic, int32_t count) {
        Wanted *wanted = calloc(1, sizeof(*wanted) + (size_t)count * sizeof(wanted->logs[0]));
        if (!wanted)
                return -ENOMEM;
        wanted->name = str_dup(name);
        wanted->topic_id = topic ? topic->id : uuid_random();
        wanted->from = topic ? topic->partition_count : 0;
        wanted->count = count;
        int r = wanted->name ? hashmap_insert(&creation->wanted, str_of(wanted->name), &wanted->by_name) : -ENOMEM;
        if (r) {
                wanted_free(wanted);
                return r;
        }
        creation->partition_count += count;
        return 0;
}

int creation_check_turn(const State *state) {
        return state->creation ? -EBUSY : 0;
}

bool creation_is_made_for(const State *state, const CommitWait *wait) {
        return state->creation && state->creation->made_for == wait;
}

int creation_add(State *state, Creation **creation, Str name, int32_t partition_count) {
        const Topic *topic = topic_find(state, name);
        int64_t planned = *creation ? (*creation)->partition_count : 0, count = partition_count - (topic ? topic->partition_count : 0);
        if (count <= 0)
                return 0;
        if (state->creation)
                return -EBUSY;
        if (!topic_name_is_valid(name) || hashmap_find(&state->deletions, name) || (*creation && find(*creation, name)) ||
            (!topic_name_is_internal(name) && topics_check_room(state, planned + count)))
                return 0;
        if (!*creation && !(*creation = creation_new(state)))
                return -ENOMEM;
        return add(state, *creation, name, topic, (int32_t)count);
}

/* ---- on the thread */

static void discard(const Creation *creation, Wanted *wanted) {
        char path[PATH_MAX];
        for (int32_t i = 0; i < wanted->count; i++) {
                if (!wanted->logs[i])
                        continue;
                log_abandon(wanted->logs[i]);
                wanted->logs[i] = NULL;
                int r = partition_path(creation->config, wanted->name, wanted->from + i, path);
                if (r == 0)
                        r = log_discard_directory(path);
                if (r)
                        trace_warn("cannot remove '%s', which no topic needs: %s", path, strerror(-r));
        }
}

/* A topic is made whole, or not at all. */
static void make(const Creation *creation, Wanted *wanted) {
        LogOpen how = creation->how;
        how.spares_space = topic_name_is_internal(str_of(wanted->name));
        for (int32_t i = 0; i < wanted->count && wanted->result == 0; i++)
                wanted->result = partition_make_log(&how, creation->config, wanted->name, wanted->from + i, &wanted->topic_id, &wanted->logs[i]);
        if (wanted->result)
                discard(creation, wanted);
}

static int run_making(Job *job) {
        const Creation *creation = container_of(job, Creation, job);
        HASHMAP_FOREACH(&creation->wanted, node)
                make(creation, container_of(node, Wanted, by_name));
        return 0;
}

static int run_removal(Job *job) {
        const Creation *creation = container_of(job, Creation, job);
        HASHMAP_FOREACH(&creation->wanted, node)
                discard(creation, container_of(node, Wanted, by_name));
        return 0;
}

/* ---- on the loop again */

static bool is_taken(const Creation *creation) {
        HASHMAP_FOREACH(&creation->wanted, node) {
                const Wanted *wanted = container_of(node, Wanted, by_name);
                for (int32_t i = 0; i < wanted->count; i++)
                        if (wanted->logs[i])
                                return false;
        }
        return true;
}

static void finish(Job *job, State *state, int result) {
        Creation *creation = container_of(job, Creation, job);
        list_pop(&creation->waits); /* at the end of the state nobody was called */
        creation_free(creation);
        state->creation = NULL;
        if (!result)
                flusher_release(state);
}

static void making_done(Job *job, State *state, int result) {
        Creation *creation = container_of(job, Creation, job);
        ListNode *node = result ? NULL : list_pop(&creation->waits);
        if (node) {
                CommitWait *wait = container_of(node, CommitWait, node);
                creation->made_for = wait;
                wait->done(wait, state);
                creation->made_for = NULL; /* what is left is nobody's */
        }
        if (result || is_taken(creation)) {
                finish(job, state, result);
                return;
        }
        creation->job = (Job){ .run = run_removal, .done = finish };
        worker_submit(&state->maker, &creation->job);
}

void creation_start(State *state, Creation *creation, CommitWait *wait, void (*done)(CommitWait *wait, State *state)) {
        wait->done = done;
        list_append(&creation->waits, &wait->node);
        state->creation = creation;
        creation->job = (Job){ .run = run_making, .done = making_done };
        worker_submit(&state->maker, &creation->job);
}

int creation_check(const State *state, Str name, int32_t from, Uuid *id) {
        const Wanted *wanted = state->creation ? find(state->creation, name) : NULL;
        if (!wanted)
                return 0;
        if (!state->creation->made_for || wanted->from != from || (from && !uuid_equal(&wanted->topic_id, id)))
                return -EBUSY;
        *id = wanted->topic_id;
        return wanted->result;
}

Log *creation_take_log(State *state, const Partition *partition) {
        Wanted *wanted = state->creation ? find(state->creation, str_of(partition->topic->name)) : NULL;
        int32_t i = wanted ? partition->index - wanted->from : -1;
        if (i < 0 || i >= wanted->count || !uuid_equal(&wanted->topic_id, &partition->topic->id))
                return NULL;
        Log *log = wanted->logs[i];
        wanted->logs[i] = NULL;
        return log;
}
