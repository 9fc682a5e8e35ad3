/* Given up by truncation, on any thread; taken again by the loop's. */
#include "storage/base/ballast.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "storage/base/file.h"
#include "storage/base/trace.h"

#define BALLAST_BYTES (2 << 20)
#define BALLAST_SHARE 8 /* of a small disk no more than this part */
#define RETRY_MS 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool is_spent;
static int fd = -1;
static int64_t retry_ms;

static int64_t wanted_bytes(void) {
        struct statvfs fs;
        int64_t share = fstatvfs(fd, &fs) == 0 ? (int64_t)(fs.f_blocks * fs.f_frsize / BALLAST_SHARE) : BALLAST_BYTES;
        return share < BALLAST_BYTES ? share : BALLAST_BYTES;
}

/* A file system that cannot allocate has none to give up. */
static void take(void) {
        int r = file_allocate(fd, wanted_bytes());
        if (r)
                (void)file_truncate(fd, 0);
        atomic_store(&is_spent, file_is_full(r));
}

static bool give_up(void) {
        pthread_mutex_lock(&lock);
        bool gave = fd >= 0 && file_size(fd) > 0 && file_truncate(fd, 0) == 0;
        if (gave)
                atomic_store(&is_spent, true);
        pthread_mutex_unlock(&lock);
        if (gave)
                trace_warn("the disk is full: the last of it is kept for deletes and a clean stop, and records are refused until there is room");
        return gave;
}

void ballast_open(const char *dir) {
        char path[PATH_MAX];
        if (fd >= 0 || snprintf(path, sizeof(path), "%s/" BALLAST_NAME, dir) >= (int)sizeof(path))
                return;
        fd = file_open(path, O_RDWR | O_CREAT);
        if (fd < 0)
                return;
        take();
        file_spare_space = give_up;
}

void ballast_close(void) {
        file_spare_space = NULL;
        file_close(fd);
        fd = -1;
        retry_ms = 0;
        atomic_store(&is_spent, false);
}

bool ballast_is_kept(int64_t now_ms) {
        if (!atomic_load_explicit(&is_spent, memory_order_relaxed))
                return true;
        if (now_ms >= retry_ms || now_ms < retry_ms - RETRY_MS) {
                retry_ms = now_ms + RETRY_MS;
                pthread_mutex_lock(&lock);
                take();
                pthread_mutex_unlock(&lock);
        }
        return !atomic_load(&is_spent);
}
