/* Thin wrappers over a table of system calls: everything that touches the disk passes here, so tests can fail,
 * cut or count any operation. */
#include "storage/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/descriptors.h"
#include "storage/base/time.h"

#define RESERVE_MOST_NS ((int64_t)2000000)       /* that one may take */
#define RESERVE_PAUSE_NS ((int64_t)10000000000) /* after one that took longer */

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* since Linux 5.14; an older kernel refuses it */
#endif

static int system_open(const char *path, int flags, mode_t mode) {
        return open(path, flags, mode);
}

#define SYSTEM_CALLS { \
        .open = system_open, \
        .close = close, \
        .pread = pread, \
        .pwritev = pwritev, \
        .fsync = fsync, \
        .fdatasync = fdatasync, \
        .ftruncate = ftruncate, \
        .fallocate = fallocate, \
        .rename = rename, \
        .unlink = unlink, \
        .mkdir = mkdir, \
        .rmdir = rmdir, \
        .stat = stat, \
        .lstat = lstat, \
        .fstat = fstat, \
        .futimens = futimens, \
        .opendir = opendir, \
        .readdir = readdir, \
        .mmap = mmap, \
        .madvise = madvise, \
}

const FileOps FILE_OPS_SYSTEM = SYSTEM_CALLS;
FileOps file_ops = SYSTEM_CALLS;
bool (*file_spare_descriptor)(void);
bool (*file_spare_space)(void);
atomic_bool file_sync_has_failed;
static _Thread_local bool keeps_space;
static _Thread_local char failed_path[PATH_MAX];
static _Thread_local int failed_result;

/* -errno, remembered for who tells of it: what fails for whom may be far below. */
static int failure(const char *path) {
        int r = -errno;
        if (r == -ENOENT || r == -EEXIST)
                return r;
        snprintf(failed_path, sizeof(failed_path), "%s", path);
        return failed_result = r;
}

const char *file_failed_path(int r) {
        return r && r == failed_result ? failed_path : NULL;
}

bool file_keep_space(bool keep) {
        bool before = keeps_space;
        keeps_space = keep;
        return before;
}

bool file_is_full(int r) {
        return r == -ENOSPC || r == -EDQUOT;
}

/* Whether one more try makes sense after errno, which stays what it was. */
static bool is_worth_a_try(void) {
        int error = errno;
        bool again = error == EINTR;
        if (error == EMFILE || error == ENFILE)
                again = (file_spare_descriptor && file_spare_descriptor()) || descriptors_give();
        else if (file_is_full(-error))
                again = !keeps_space && file_spare_space && file_spare_space();
        errno = error;
        return again;
}

static int open_at(const char *path, int flags) {
        int fd;
        do {
                fd = file_ops.open(path, flags | O_CLOEXEC, 0644);
        } while (fd < 0 && is_worth_a_try());
        return fd < 0 ? failure(path) : fd;
}

/* A pipe in the place of a file keeps nobody waiting. */
int file_open(const char *path, int flags) {
        return open_at(path, flags | O_NOFOLLOW | O_NONBLOCK);
}

void file_close(int fd) {
        if (fd >= 0 && !descriptors_take(fd))
                file_ops.close(fd);
}

ssize_t file_read(int fd, void *data, size_t size, int64_t position) {
        size_t done = 0;
        while (done < size) {
                ssize_t got = file_ops.pread(fd, (uint8_t *)data + done, size - done, position + (int64_t)done);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                done += (size_t)got;
        }
        return (ssize_t)done;
}

int file_write_parts(int fd, struct iovec *parts, int count, int64_t position) {
        while (count) {
                ssize_t got = file_ops.pwritev(fd, parts, count < IOV_MAX ? count : IOV_MAX, position);
                if (got < 0 && is_worth_a_try())
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        return -EIO;
                position += got;
                for (; count && (size_t)got >= parts->iov_len; parts++, count--)
                        got -= (ssize_t)parts->iov_len;
                if (count) {
                        parts->iov_base = (uint8_t *)parts->iov_base + got;
                        parts->iov_len -= (size_t)got;
                }
        }
        return 0;
}

int file_write(int fd, const void *data, size_t size, int64_t position) {
        struct iovec part = { .iov_base = (void *)data, .iov_len = size };
        return size ? file_write_parts(fd, &part, 1, position) : 0;
}

int64_t file_size(int fd) {
        struct stat st;
        return file_ops.fstat(fd, &st) < 0 ? -errno : st.st_size;
}

int file_stat(const char *path, int64_t *ret_size, int64_t *ret_mtime_ms) {
        struct stat st;
        if (file_ops.stat(path, &st) < 0)
                return -errno;
        *ret_size = st.st_size;
        if (ret_mtime_ms)
                *ret_mtime_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
        return 0;
}

const char *file_alien(mode_t mode, mode_t kind) {
        if ((mode & S_IFMT) == kind)
                return NULL;
        return S_ISLNK(mode) ? "a symbolic link, which no broker follows" : kind == S_IFDIR ? "no directory" : "no file";
}

int file_lstat(const char *path, struct stat *ret_stat) {
        return file_ops.lstat(path, ret_stat) < 0 ? failure(path) : 0;
}

int file_set_mtime(int fd, int64_t mtime_ms) {
        struct timespec times[] = { { .tv_nsec = UTIME_OMIT },
                                    { .tv_sec = mtime_ms / 1000, .tv_nsec = mtime_ms % 1000 * 1000000 } };
        return file_ops.futimens(fd, times) < 0 ? -errno : 0;
}

static int sync_result(int result) {
        if (result == 0)
                return 0;
        int r = -errno;
        atomic_store(&file_sync_has_failed, true);
        return r;
}

int file_sync(int fd) {
        return sync_result(file_ops.fsync(fd));
}

void file_start_write_back(int fd) {
        (void)!sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int file_sync_data(int fd) {
        return sync_result(file_ops.fdatasync(fd));
}

int file_truncate(int fd, int64_t size) {
        int r;
        do {
                r = file_ops.ftruncate(fd, size);
        } while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : 0;
}

bool file_reserve(int fd, int64_t position, int64_t size) {
        static _Atomic int64_t not_before_ns;
        int64_t begun_ns = time_monotonic_ns();
        if (begun_ns < not_before_ns)
                return false;
        (void)!file_ops.fallocate(fd, FALLOC_FL_KEEP_SIZE, position, size);
        int64_t ended_ns = time_monotonic_ns();
        if (ended_ns - begun_ns > RESERVE_MOST_NS)
                not_before_ns = ended_ns + RESERVE_PAUSE_NS;
        return true;
}

int file_allocate(int fd, int64_t size) {
        int r;
        do {
                r = file_ops.fallocate(fd, 0, 0, size);
        } while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : 0;
}

int file_rename(const char *from, const char *to) {
        int r;
        do {
                r = file_ops.rename(from, to);
        } while (r < 0 && is_worth_a_try());
        return r < 0 ? failure(to) : 0;
}

int file_unlink(const char *path) {
        return file_ops.unlink(path) < 0 && errno != ENOENT ? failure(path) : 0;
}

int file_sync_directory(const char *path) {
        int fd = open_at(path, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return fd;
        int r = file_sync(fd);
        file_close(fd);
        return r;
}

int file_sync_parent(const char *path) {
        char parent[PATH_MAX];
        const char *slash = strrchr(path, '/');
        size_t len = slash ? (size_t)(slash - path) : 0;
        if (len >= sizeof(parent))
                return -ENAMETOOLONG;
        memcpy(parent, path, len);
        parent[len] = 0;
        return file_sync_directory(slash ? (len ? parent : "/") : ".");
}

int file_make_directory(const char *path) {
        int r;
        do {
                r = file_ops.mkdir(path, 0755);
        } while (r < 0 && is_worth_a_try());
        return r < 0 ? failure(path) : 0;
}

int file_remove_directory(const char *path) {
        return file_ops.rmdir(path) < 0 ? -errno : 0;
}

int file_each_entry(const char *path, int (*each)(const struct dirent *entry, void *data), void *data) {
        DIR *dir;
        int r = 0;
        do {
                dir = file_ops.opendir(path);
        } while (!dir && is_worth_a_try());
        if (!dir)
                return failure(path);
        for (struct dirent *entry; r == 0;) {
                errno = 0;
                entry = file_ops.readdir(dir);
                if (!entry) {
                        r = -errno;
                        break;
                }
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        r = each(entry, data);
        }
        closedir(dir);
        return r;
}

void *file_map_part(int fd, int64_t position, size_t size) {
        void *data = file_ops.mmap(NULL, size, PROT_READ, MAP_SHARED, fd, position);
        return data == MAP_FAILED ? NULL : data;
}

void *file_map_shared(int fd, size_t size) {
        return file_map_part(fd, 0, size);
}

bool file_populate(void *data, size_t size) {
        return file_ops.madvise(data, size, MADV_POPULATE_READ) == 0;
}

int file_map(const char *path, FileMap *ret_map) {
        int fd = file_open(path, O_RDONLY);
        if (fd < 0)
                return fd;
        int64_t size = file_size(fd);
        void *data = size > 0 ? file_ops.mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
        int r = size < 0 ? (int)size : data == MAP_FAILED ? -errno : 0;
        file_close(fd);
        if (!r)
                *ret_map = (FileMap){ .data = data, .size = (size_t)size };
        return r;
}

void file_unmap(FileMap *map) {
        if (map->size)
                munmap((void *)(uintptr_t)map->data, map->size);
        *map = (FileMap){ .size = 0 };
}

static int replace(const char *path, const void *data, size_t size, bool is_synced) {
        char temporary[PATH_MAX];
        if (snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= (int)sizeof(temporary))
                return -ENAMETOOLONG;
        int fd = file_open(temporary, O_WRONLY | O_CREAT | O_TRUNC);
        if (fd < 0)
                return fd;
        int r = file_write(fd, data, size, 0);
        if (!r && is_synced)
                r = file_sync(fd);
        file_close(fd);
        if (!r)
                r = file_rename(temporary, path);
        if (r) {
                file_unlink(temporary);
                return r;
        }
        return is_synced ? file_sync_parent(path) : 0;
}

int file_replace(const char *path, const void *data, size_t size) {
        return replace(path, data, size, true);
}

int file_replace_unsynced(const char *path, const void *data, size_t size) {
        return replace(path, data, size, false);
}

int file_sync_named(const char *path) {
        int fd = file_open(path, O_RDONLY);
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        int r = file_sync_data(fd);
        file_close(fd);
        return r;
}
