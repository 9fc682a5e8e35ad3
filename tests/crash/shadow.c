/* Preloaded into a broker: writes down every operation on its data directory, in their order and in that of what is sent to clients,
 * for power_cut.py, which makes images of what a power cut would have left. Syncs are noted and not carried out.
 *
 * SHADOW_ROOT is the directory, SHADOW_JOURNAL the file to write, SHADOW_FAILS, where it is not 0, the number
 * of the sync that fails, of logs that were written to and whose paths contain SHADOW_FAILS_IN. An entry: u8 kind, i32 descriptor, i64
 * number, u32 size, u32 size, and as many bytes; the numbers in the machine's order. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 4096
#define SYNC_US 300 /* about what a disk takes */

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP; /* an operation and its entry are one */
static int journal = -1;
static char root[PATH_MAX];
static bool is_ours[DESCRIPTORS_MAX];
static bool is_written[DESCRIPTORS_MAX]; /* since its last sync */
static int syncs_left;                   /* until one fails; 0: none does */

#define REAL(name, ...)                                                                     \
        static __typeof__(&name) real;                                                      \
        if (!real)                                                                          \
                real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static void put(const void *data, size_t size) {
        for (size_t at = 0; at < size;) {
                ssize_t n = syscall(SYS_write, journal, (const char *)data + at, size - at);
                if (n <= 0)
                        abort();
                at += (size_t)n;
        }
}

static void note(char kind, int fd, int64_t number, const void *first, size_t first_size, const void *second, size_t second_size) {
        uint8_t head[21] = { (uint8_t)kind };
        uint32_t sizes[2] = { (uint32_t)first_size, (uint32_t)second_size };
        memcpy(head + 1, &fd, 4);
        memcpy(head + 5, &number, 8);
        memcpy(head + 13, sizes, 8);
        put(head, sizeof(head));
        put(first, first_size);
        put(second, second_size);
}

static void note_path(char kind, int fd, int64_t number, const char *path) {
        note(kind, fd, number, path, strlen(path), NULL, 0);
}

__attribute__((constructor)) static void begin(void) {
        const char *path = getenv("SHADOW_JOURNAL"), *directory = getenv("SHADOW_ROOT");
        int fd = path && directory ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
        if (fd < 0)
                abort();
        journal = fcntl(fd, F_DUPFD_CLOEXEC, 900); /* out of the broker's way */
        close(fd);
        snprintf(root, sizeof(root), "%s", directory);
        syncs_left = getenv("SHADOW_FAILS") ? atoi(getenv("SHADOW_FAILS")) : 0;
}

static bool under_root(const char *path) {
        size_t size = strlen(root);
        return size && strncmp(path, root, size) == 0 && (path[size] == '/' || !path[size]);
}

static bool tracked(int fd) {
        return fd >= 0 && fd < DESCRIPTORS_MAX && is_ours[fd];
}

/* path as seen from a directory's descriptor. */
static void resolve(int dirfd, const char *path, char out[PATH_MAX]) {
        char link[64], base[PATH_MAX / 2] = "";
        if (path[0] != '/' && dirfd != AT_FDCWD) {
                snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
                ssize_t n = readlink(link, base, sizeof(base) - 1);
                base[n > 0 ? n : 0] = '\0';
                snprintf(out, PATH_MAX, "%s/%s", base, path);
        } else {
                snprintf(out, PATH_MAX, "%s", path);
        }
}

static int opened(int (*real)(int, const char *, int, ...), int dirfd, const char *path, int flags, mode_t mode) {
        char full[PATH_MAX];
        resolve(dirfd, path, full);
        if (!under_root(full))
                return real(dirfd, path, flags, mode);
        pthread_mutex_lock(&lock);
        struct stat st;
        bool is_new = lstat(full, &st) < 0;
        int fd = real(dirfd, path, flags, mode);
        if (fd >= DESCRIPTORS_MAX)
                abort();
        if (fd >= 0) {
                is_ours[fd] = true;
                is_written[fd] = false;
                note_path('O', fd, is_new, full);
                if (flags & O_TRUNC && !is_new)
                        note('T', fd, 0, NULL, 0, NULL, 0);
        }
        pthread_mutex_unlock(&lock);
        return fd;
}

int open64(const char *path, int flags, ...) {
        va_list list;
        va_start(list, flags);
        mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
        va_end(list);
        REAL(openat64);
        return opened(real, AT_FDCWD, path, flags, mode);
}

int openat64(int dirfd, const char *path, int flags, ...) {
        va_list list;
        va_start(list, flags);
        mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
        va_end(list);
        REAL(openat64);
        return opened(real, dirfd, path, flags, mode);
}

int close(int fd) {
        REAL(close);
        pthread_mutex_lock(&lock);
        if (fd >= 0 && fd != journal && journal >= 0)
                note('L', fd, 0, NULL, 0, NULL, 0);
        if (tracked(fd))
                is_ours[fd] = false;
        int r = real(fd);
        pthread_mutex_unlock(&lock);
        return r;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t position) {
        REAL(pwritev64);
        if (!tracked(fd))
                return real(fd, parts, count, position);
        pthread_mutex_lock(&lock);
        ssize_t n = real(fd, parts, count, position);
        int64_t at = position;
        is_written[fd] = true;
        for (ssize_t left = n; left > 0; parts++) {
                size_t size = parts->iov_len < (size_t)left ? parts->iov_len : (size_t)left;
                if (size)
                        note('W', fd, at, parts->iov_base, size, NULL, 0);
                at += (int64_t)size;
                left -= (ssize_t)size;
        }
        pthread_mutex_unlock(&lock);
        return n;
}

ssize_t write(int fd, const void *data, size_t size) {
        REAL(write);
        if (tracked(fd))
                abort(); /* nothing in there is written without a position */
        return real(fd, data, size);
}

int ftruncate64(int fd, off64_t size) {
        REAL(ftruncate64);
        pthread_mutex_lock(&lock);
        int r = real(fd, size);
        if (!r && tracked(fd))
                note('T', fd, size, NULL, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
        return r;
}

static bool fails(int fd) {
        char link[64], path[PATH_MAX] = "";
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t size = syncs_left && is_written[fd] ? readlink(link, path, sizeof(path) - 1) : 0;
        is_written[fd] = false;
        return size > 4 && strcmp(path + size - 4, ".log") == 0 && strstr(path, getenv("SHADOW_FAILS_IN")) && --syncs_left == 0;
}

static int synced(int fd) {
        pthread_mutex_lock(&lock);
        bool failed = tracked(fd) && fails(fd);
        if (tracked(fd))
                note('B', fd, 0, NULL, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
        usleep(SYNC_US);
        pthread_mutex_lock(&lock);
        if (tracked(fd))
                note(failed ? 'F' : 'S', fd, 0, NULL, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
        return failed ? (errno = EIO, -1) : 0;
}

int fsync(int fd) {
        return synced(fd);
}

int fdatasync(int fd) {
        return synced(fd);
}

#define NAMED(kind, call, from, to)                                                                  \
        pthread_mutex_lock(&lock);                                                                   \
        int r = (call);                                                                              \
        if (!r && under_root(from))                                                                  \
                note(kind, -1, 0, from, strlen(from), to, strlen(to));                               \
        pthread_mutex_unlock(&lock);                                                                 \
        return r

int rename(const char *from, const char *to) {
        REAL(rename);
        NAMED('R', real(from, to), from, to);
}

int unlink(const char *path) {
        REAL(unlink);
        NAMED('U', real(path), path, "");
}

int unlinkat(int dirfd, const char *path, int flags) {
        REAL(unlinkat);
        char full[PATH_MAX];
        resolve(dirfd, path, full);
        NAMED('U', real(dirfd, path, flags), full, "");
}

int rmdir(const char *path) {
        REAL(rmdir);
        NAMED('U', real(path), path, "");
}

int mkdir(const char *path, mode_t mode) {
        REAL(mkdir);
        NAMED('M', real(path, mode), path, "");
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
        REAL(sendmsg);
        pthread_mutex_lock(&lock);
        ssize_t n = real(fd, message, flags), left = n;
        for (size_t i = 0; left > 0 && i < message->msg_iovlen; i++) {
                const struct iovec *part = &message->msg_iov[i];
                size_t size = part->iov_len < (size_t)left ? part->iov_len : (size_t)left;
                if (size)
                        note('N', fd, 0, part->iov_base, size, NULL, 0);
                left -= (ssize_t)size;
        }
        pthread_mutex_unlock(&lock);
        return n;
}
