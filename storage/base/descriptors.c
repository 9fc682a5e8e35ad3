/* Descriptors of nothing. A number is taken back by putting nothing in its place, so that nobody else can be faster. */
#include "storage/base/descriptors.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define KEPT 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int nothing = -1; /* what the others are copies of */
static int kept[KEPT], count;
static atomic_bool is_short;

void descriptors_keep(void) {
        pthread_mutex_lock(&lock);
        if (nothing < 0)
                nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
        while (nothing >= 0 && count < KEPT) {
                int fd = fcntl(nothing, F_DUPFD_CLOEXEC, 0);
                if (fd < 0)
                        break;
                kept[count++] = fd;
        }
        atomic_store(&is_short, nothing >= 0 && count < KEPT);
        pthread_mutex_unlock(&lock);
}

bool descriptors_give(void) {
        pthread_mutex_lock(&lock);
        bool any = count > 0;
        if (any)
                close(kept[--count]);
        atomic_store(&is_short, nothing >= 0 && count < KEPT);
        pthread_mutex_unlock(&lock);
        return any;
}

bool descriptors_take(int fd) {
        if (!atomic_load_explicit(&is_short, memory_order_relaxed))
                return false;
        pthread_mutex_lock(&lock);
        bool taken = count < KEPT && dup3(nothing, fd, O_CLOEXEC) == fd;
        if (taken)
                kept[count++] = fd;
        atomic_store(&is_short, count < KEPT);
        pthread_mutex_unlock(&lock);
        return taken;
}
