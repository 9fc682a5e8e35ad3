/* The logs of a directory are opened by a few threads: what a start waits for is the file system, and it answers several. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/state/flusher.h"
#include "broker/state/state.h"
#include "storage/base/trace.h"

#define THREADS_MAX 8
#define PARTITIONS_PER_THREAD 64 /* fewer aren't worth one */
#define PARTITIONS_AT_ONCE 16

typedef struct Opening {
        State *state;
        Partition **partitions;
        const LogConfig **configs; /* of each partition's topic */
        size_t count;
        bool clean_shutdown;
        atomic_size_t next;
        atomic_int error; /* the first one */
} Opening;

static void open_one(Opening *opening, size_t i) {
        Partition *partition = opening->partitions[i];
        int none = 0, r = partition_open_log(opening->state, partition, opening->configs[i], opening->clean_shutdown);
        if (r == 0)
                return;
        trace_error("cannot open the log of %s-%d: %s", partition->topic->name, partition->index, strerror(-r));
        atomic_compare_exchange_strong(&opening->error, &none, r);
}

static void *open_some(void *data) {
        Opening *opening = data;
        for (;;) {
                size_t first = atomic_fetch_add(&opening->next, PARTITIONS_AT_ONCE);
                if (first >= opening->count || atomic_load(&opening->error))
                        return NULL;
                for (size_t i = first; i < opening->count && i < first + PARTITIONS_AT_ONCE; i++)
                        open_one(opening, i);
        }
}

static void run(Opening *opening) {
        pthread_t threads[THREADS_MAX];
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        size_t wanted = opening->count / PARTITIONS_PER_THREAD, started = 0;
        while (started < THREADS_MAX && started + 1 < wanted && (long)started + 1 < processors &&
               pthread_create(&threads[started], NULL, open_some, opening) == 0)
                started++;
        open_some(opening);
        for (size_t i = 0; i < started; i++)
                pthread_join(threads[i], NULL);
}

int partition_open_all(State *state, bool clean_shutdown) {
        size_t count = 0, topic_count = 0;
        HASHMAP_FOREACH(&state->topics, node)
                count += (size_t)container_of(node, Topic, by_name)->partition_count;
        Opening opening = { .state = state, .clean_shutdown = clean_shutdown };
        LogConfig *configs = calloc(state->topics.count + 1, sizeof(*configs));
        opening.partitions = calloc(count + 1, sizeof(*opening.partitions));
        opening.configs = calloc(count + 1, sizeof(*opening.configs));
        if (!configs || !opening.partitions || !opening.configs)
                opening.error = -ENOMEM;
        HASHMAP_FOREACH(&state->topics, node) {
                if (opening.error)
                        break;
                Topic *topic = container_of(node, Topic, by_name);
                config_topic_log(state->config, &topic->config, &configs[topic_count]);
                for (int32_t i = 0; i < topic->partition_count; i++, opening.count++) {
                        opening.partitions[opening.count] = topic->partitions[i];
                        opening.configs[opening.count] = &configs[topic_count];
                }
                topic_count++;
        }
        run(&opening);
        HASHMAP_FOREACH(&state->topics, node)
                if (!opening.error)
                        topic_apply_config(state, container_of(node, Topic, by_name));
        for (size_t i = 0; i < opening.count && !opening.error; i++)
                opening.error = flusher_opened(state, opening.partitions[i]);
        free(configs);
        free(opening.partitions);
        free(opening.configs);
        return opening.error;
}
