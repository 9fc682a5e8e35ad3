#include "storage/base/parallel.h"

#include <pthread.h>
#include <stdbool.h>

typedef struct Other {
        void (*work)(void *data);
        void *data;
} Other;

static void *run(void *data) {
        Other *other = data;
        other->work(other->data);
        return NULL;
}

void parallel_pair(void (*work)(void *data), void *mine, void *other) {
        Other call = { .work = work, .data = other };
        pthread_t thread;
        bool beside = pthread_create(&thread, NULL, run, &call) == 0;
        work(mine);
        if (beside)
                pthread_join(thread, NULL);
        else
                work(other);
}
