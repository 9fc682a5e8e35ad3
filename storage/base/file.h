/* Files. The one way in which storage reaches the disk, so that tests can make the n-th operation fail.
 *
 * Functions retry EINTR and short transfers and return -errno. */
#pragma once

#include <dirent.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

/* The system calls in use; tests replace members and restore FILE_OPS_SYSTEM. */
typedef struct FileOps {
        int (*open)(const char *path, int flags, mode_t mode);
        int (*close)(int fd);
        ssize_t (*pread)(int fd, void *data, size_t size, off_t position);
        ssize_t (*pwritev)(int fd, const struct iovec *parts, int count, off_t position);
        int (*fsync)(int fd);
        int (*fdatasync)(int fd);
        int (*ftruncate)(int fd, off_t size);
        int (*fallocate)(int fd, int mode, off_t position, off_t size);
        int (*rename)(const char *from, const char *to);
        int (*unlink)(const char *path);
        int (*mkdir)(const char *path, mode_t mode);
        int (*rmdir)(const char *path);
        int (*stat)(const char *path, struct stat *ret_stat);
        int (*lstat)(const char *path, struct stat *ret_stat);
        int (*fstat)(int fd, struct stat *ret_stat);
        int (*futimens)(int fd, const struct timespec times[2]);
        DIR *(*opendir)(const char *path);
        struct dirent *(*readdir)(DIR *dir);
        void *(*mmap)(void *address, size_t size, int protection, int flags, int fd, off_t position);
        int (*madvise)(void *address, size_t size, int advice);
} FileOps;

extern const FileOps FILE_OPS_SYSTEM;
extern FileOps file_ops;

/* Called when the process has no descriptor left: true when it closed one, so that opening is worth another try. */
extern bool (*file_spare_descriptor)(void);
/* Called when the disk is full, on any thread: true when there is room again. */
extern bool (*file_spare_space)(void);
/* With keep this thread asks nobody for room when the disk is full: what it writes now may fail. Returns how it was before. */
bool file_keep_space(bool keep);

/* Of the last operation on this thread that failed with r: the path of the file or directory. NULL where that is not known, and where none
 * or one too many was there (-ENOENT, -EEXIST). Valid until the next failure. */
const char *file_failed_path(int r);

/* Whether r says that the disk, or this user's share of it, is full. */
bool file_is_full(int r);

/* An fd (O_CLOEXEC | O_NOFOLLOW are added; mode 0644) or -errno. */
int file_open(const char *path, int flags);
/* NULL-like fds (< 0) are fine. Errors are ignored: what had to be durable was synced before. */
void file_close(int fd);

/* Bytes read, less than size only at the end of the file, or -errno. */
ssize_t file_read(int fd, void *data, size_t size, int64_t position);

/* Writes all parts at position, which may be changed on the way. 0 or -errno. */
int file_write_parts(int fd, struct iovec *parts, int count, int64_t position);
/* The same for one part. */
int file_write(int fd, const void *data, size_t size, int64_t position);

/* The size of an open file or -errno. */
int64_t file_size(int fd);
/* What stands in the place of a file (kind S_IFREG) or a directory (S_IFDIR) of its own, in words; NULL: it does. */
const char *file_alien(mode_t mode, mode_t kind);
/* The size and, unless NULL, mtime of path: 0 or -errno. */
int file_stat(const char *path, int64_t *ret_size, int64_t *ret_mtime_ms);

/* Of path itself, also when it is a symbolic link. 0 or -errno. */
int file_lstat(const char *path, struct stat *ret_stat);

int file_set_mtime(int fd, int64_t mtime_ms);

/* Whether a sync failed in this process: what it was to write passes for written from then on. */
extern atomic_bool file_sync_has_failed;

int file_sync(int fd);      /* fsync */
/* Has the disk begin to write what is dirty, where that is possible; says nothing about success. */
void file_start_write_back(int fd);
int file_sync_data(int fd); /* fdatasync */
int file_truncate(int fd, int64_t size);
/* Reserves extents without changing the size; failure is harmless. False when it was not tried: a file system that has to read first which
 * blocks are free takes the disk's time for it. After 2 ms or more of that, it is left to write-back, for which nobody waits, for ten seconds. */
bool file_reserve(int fd, int64_t position, int64_t size);
/* Makes the file at least size bytes long, with all of them on the disk. 0 or -errno. */
int file_allocate(int fd, int64_t size);

int file_rename(const char *from, const char *to);
/* 0 also when there is no such file. */
int file_unlink(const char *path);
/* A symbolic link is followed: what is to be kept are the names in there. 0 or -errno. */
int file_sync_directory(const char *path);
/* Syncs the directory that holds path. */
int file_sync_parent(const char *path);

/* Creates the directory path; its name is synced with file_sync_parent(). 0, -EEXIST, -errno. */
int file_make_directory(const char *path);
int file_remove_directory(const char *path);

/* Calls each() for what the directory holds, but for "." and "..", until it returns something else than 0, which is returned. 0 or
 * -errno: a directory that could not be read to its end is none that holds less. */
int file_each_entry(const char *path, int (*each)(const struct dirent *entry, void *data), void *data);

/* A file's content, mapped read-only. */
typedef struct FileMap {
        const uint8_t *data;
        size_t size;
} FileMap;

/* size bytes from the file's beginning, read-only, or NULL. */
void *file_map_shared(int fd, size_t size);

/* size bytes from position on, read-only, or NULL; position is a multiple of the page size. */
void *file_map_part(int fd, int64_t position, size_t size);
/* Has a part of a mapping in memory, so that an error of the disk is none of a later access: for what is used at once. False when that is not
 * possible. */
bool file_populate(void *data, size_t size);

/* 0 or -errno. */
int file_map(const char *path, FileMap *ret_map);
void file_unmap(FileMap *map);

/* Replaces path by data: written to path.tmp, synced, renamed, directory synced. 0 or -errno. */
int file_replace(const char *path, const void *data, size_t size);
/* The same without the syncs: a kill leaves the old file or the new one, a power cut perhaps neither until both the file and
 * its directory were synced. */
int file_replace_unsynced(const char *path, const void *data, size_t size);
/* Syncs a file by name; one that is not there is fine. 0 or -errno. */
int file_sync_named(const char *path);
