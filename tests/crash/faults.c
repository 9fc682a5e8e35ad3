/* The seam's functions, with a counter before each. Allocations come here by the linker's --wrap. */
#include "tests/crash/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/file.h"

typedef enum Step { STEP_WORKS, STEP_FAILS, STEP_HALF } Step;

static FaultMode mode;
static int countdown; /* the fault is at 0; below it the fault was */
static int error;
static bool is_armed, is_held, half_written;

static bool is_memory(void) {
        return mode == FAULT_MEMORY_ONCE || mode == FAULT_MEMORY_ALWAYS;
}

static Step step(bool changes) {
        if (!is_armed || is_held || is_memory() || (!changes && mode != FAULT_ONCE && mode != FAULT_ALWAYS))
                return STEP_WORKS;
        if (countdown < 0 && !changes)
                return STEP_WORKS;
        if (countdown >= 0)
                countdown--;
        else
                return mode == FAULT_ONCE || mode == FAULT_SHORT ? STEP_WORKS : STEP_FAILS;
        if (countdown >= 0)
                return STEP_WORKS;
        if (mode == FAULT_SHORT && countdown < 0)
                return STEP_HALF;
        return mode == FAULT_CUT || mode == FAULT_ALWAYS ? STEP_FAILS : STEP_HALF;
}

/* For what has no half: torn is done, once is not. */
static bool fails(bool changes) {
        Step what = step(changes);
        bool failed = what == STEP_FAILS || (what == STEP_HALF && mode == FAULT_ONCE);
        if (failed)
                errno = error;
        return failed;
}

static int fault_open(const char *path, int flags, mode_t permissions) {
        return fails(flags & O_CREAT) ? -1 : open(path, flags, permissions);
}

static ssize_t fault_pread(int fd, void *data, size_t size, off_t position) {
        return fails(false) ? -1 : pread(fd, data, size, position);
}

static ssize_t write_parts(int fd, const struct iovec *parts, int count, off_t position) {
        if (half_written) {
                half_written = false;
                return errno = error, -1;
        }
        Step what = step(true);
        if (what == STEP_FAILS)
                return errno = error, -1;
        if (what == STEP_HALF && parts->iov_len > 1) {
                half_written = mode == FAULT_ONCE;
                return pwrite(fd, parts->iov_base, parts->iov_len / 2, position);
        }
        return pwritev(fd, parts, count, position);
}

/* ---- what a disk may make of a sync that failed ---- */

#define SYNCED_MAX 512

typedef struct Synced {
        ino_t inode;
        off_t size; /* on the disk */
        char lost[128]; /* its path, after a sync that failed */
        off_t lost_size, again; /* what was to be on the disk by then, and up to where it was written a second time */
} Synced;

static Synced synced[SYNCED_MAX];
static int synced_count;

static Synced *find_synced(ino_t inode) {
        int i = 0;
        while (i < synced_count && synced[i].inode != inode)
                i++;
        if (i == SYNCED_MAX)
                abort();
        if (i == synced_count)
                synced[synced_count++] = (Synced){ .inode = inode };
        return &synced[i];
}

static int fault_fsync(int fd) {
        struct stat st;
        char link[64];
        bool failed = fails(true);
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return failed ? -1 : 0;
        Synced *file = find_synced(st.st_ino);
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if (failed) {
                if (!*file->lost && readlink(link, file->lost, sizeof(file->lost) - 1) < 0)
                        abort();
                file->lost_size = st.st_size;
                file->again = file->size;
                return errno = error, -1;
        }
        if (*file->lost && file->again < file->lost_size)
                return 0; /* it has nothing to do for these pages */
        *file->lost = '\0';
        file->size = st.st_size;
        return 0;
}

static void note_again(int fd, off_t position, ssize_t size) {
        struct stat st;
        if (!synced_count || size <= 0 || fstat(fd, &st) < 0)
                return;
        Synced *file = find_synced(st.st_ino);
        if (position <= file->again && position + size > file->again)
                file->again = position + size;
}

static ssize_t fault_pwritev(int fd, const struct iovec *parts, int count, off_t position) {
        ssize_t n = write_parts(fd, parts, count, position);
        note_again(fd, position, n);
        return n;
}

bool faults_have_lost(void) {
        for (int i = 0; i < synced_count; i++)
                if (*synced[i].lost)
                        return true;
        return false;
}

void faults_lose(const char *containing) {
        for (int i = 0; i < synced_count; i++) {
                if (*synced[i].lost && strstr(synced[i].lost, containing) && truncate(synced[i].lost, synced[i].size) < 0 && errno != ENOENT)
                        abort();
                *synced[i].lost = '\0';
        }
}

static int fault_ftruncate(int fd, off_t size) {
        return fails(true) ? -1 : ftruncate(fd, size);
}

static int fault_fallocate(int fd, int how, off_t position, off_t size) {
        return fails(true) ? -1 : fallocate(fd, how, position, size);
}

static int fault_rename(const char *from, const char *to) {
        return fails(true) ? -1 : rename(from, to);
}

static int fault_unlink(const char *path) {
        return fails(true) ? -1 : unlink(path);
}

static int fault_mkdir(const char *path, mode_t permissions) {
        return fails(true) ? -1 : mkdir(path, permissions);
}

static int fault_rmdir(const char *path) {
        return fails(true) ? -1 : rmdir(path);
}

static int fault_stat(const char *path, struct stat *ret_stat) {
        return fails(false) ? -1 : stat(path, ret_stat);
}

static int fault_lstat(const char *path, struct stat *ret_stat) {
        return fails(false) ? -1 : lstat(path, ret_stat);
}

static int fault_fstat(int fd, struct stat *ret_stat) {
        return fails(false) ? -1 : fstat(fd, ret_stat);
}

static int fault_futimens(int fd, const struct timespec times[2]) {
        return fails(true) ? -1 : futimens(fd, times);
}

static DIR *fault_opendir(const char *path) {
        return fails(false) ? NULL : opendir(path);
}

static struct dirent *fault_readdir(DIR *dir) {
        return fails(false) ? NULL : readdir(dir);
}

static void *fault_mmap(void *address, size_t size, int protection, int flags, int fd, off_t position) {
        return fails(false) ? MAP_FAILED : mmap(address, size, protection, flags, fd, position);
}

static int fault_madvise(void *address, size_t size, int advice) {
        return fails(false) ? -1 : madvise(address, size, advice);
}

void faults_arm(FaultMode how, int n, int with) {
        mode = how;
        countdown = n - 1;
        error = with;
        half_written = false;
        synced_count = 0;
        is_armed = true;
        file_ops = (FileOps){ fault_open, close, fault_pread, fault_pwritev, fault_fsync, fault_fsync, fault_ftruncate,
                              fault_fallocate, fault_rename, fault_unlink, fault_mkdir, fault_rmdir, fault_stat, fault_lstat,
                              fault_fstat, fault_futimens, fault_opendir, fault_readdir, fault_mmap, fault_madvise };
}

bool faults_disarm(void) {
        is_armed = false;
        return countdown < 0;
}

void faults_hold(bool held) {
        is_held = held;
}

/* ---- memory ---- */

static bool no_memory(void) {
        if (!is_armed || is_held || !is_memory())
                return false;
        if (countdown < 0)
                return mode == FAULT_MEMORY_ALWAYS;
        return countdown-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size) {
        return no_memory() ? errno = ENOMEM, NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
        return no_memory() ? errno = ENOMEM, NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
        return no_memory() ? errno = ENOMEM, NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text) {
        char *copy = __wrap_malloc(strlen(text) + 1);
        return copy ? strcpy(copy, text) : NULL;
}
