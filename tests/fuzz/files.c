/* A fuzzer's input becomes files. Names stay inside the directory. */
#include "tests/fuzz/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/crc32c.h"
#include "storage/base/endian.h"
#include "storage/base/xxh3.h"
#include "storage/batch.h"
#include "tests/fuzz/fuzz.h"

#define CRC_POSITION 17 /* in a batch */
#define CRC_FROM 21

static char root[64];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
        (void)(ftw->level == 0 || remove(path));
        return 0;
}

void files_clear(const char *dir) {
        int r = nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        if (r)
                perror(dir);
        FUZZ_CHECK(r == 0);
}

static void remove_root(void) {
        files_clear(root);
        rmdir(root);
}

const char *files_root(void) {
        if (root[0])
                return root;
        snprintf(root, sizeof(root), "%s/odradek-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        FUZZ_CHECK(mkdtemp(root));
        atexit(remove_root);
        return root;
}

void files_seal_batches(uint8_t *data, size_t size) {
        for (size_t at = 0; size - at >= BATCH_HEADER_BYTES;) {
                BatchHeader header;
                if (batch_read_header(data + at, size - at, &header))
                        return;
                store_be32(data + at + CRC_POSITION, crc32c(0, data + at + CRC_FROM, batch_size(&header) - CRC_FROM));
                at += batch_size(&header);
        }
}

static bool ends_with(const char *name, const char *end) {
        size_t size = strlen(name), end_size = strlen(end);
        return size >= end_size && strcmp(name + size - end_size, end) == 0;
}

static void seal(const char *name, uint8_t *data, size_t size) {
        if (ends_with(name, ".log") || ends_with(name, ".checkpoint"))
                files_seal_batches(data, size);
        else if (ends_with(name, ".snapshot") && size > 6)
                store_be32(data + 2, crc32c(0, data + 6, size - 6));
}

/* Letters, digits and what else such names have; no way out. */
static bool is_fit(const char *name) {
        static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
        size_t size = strlen(name);
        return size && size < FILES_PATH_MAX && name[0] != '/' && name[size - 1] != '/' && strspn(name, chars) == size &&
               !strstr(name, "..") && !strstr(name, "//") && !strstr(name, "./");
}

static void write_file(const char *dir, const char *name, const uint8_t *data, size_t size) {
        char path[FILES_PATH_MAX + 128];
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        for (char *slash = path + strlen(dir) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
                *slash = '\0';
                mkdir(path, 0755);
        }
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0)
                return; /* a name that is too long, or that of a directory */
        FUZZ_CHECK(write(fd, data, size) == (ssize_t)size);
        close(fd);
}

void files_unpack(const char *dir, const uint8_t *data, size_t size, bool sealed) {
        files_clear(dir);
        const uint8_t *end = data + size, *nul;
        while (data < end && (nul = memchr(data, '\0', (size_t)(end - data))) && end - nul >= 3) {
                const char *name = (const char *)data;
                size_t length = load_be16(nul + 1), left = (size_t)(end - nul - 3);
                length = length < left ? length : left;
                uint8_t *copy = malloc(length + 1);
                FUZZ_CHECK(copy);
                memcpy(copy, nul + 3, length);
                if (sealed)
                        seal(name, copy, length);
                if (is_fit(name))
                        write_file(dir, name, copy, length);
                free(copy);
                data = nul + 3 + length;
        }
}

static uint8_t *read_file(const char *path, size_t size) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        uint8_t *data = malloc(size + 1);
        FUZZ_CHECK(fd >= 0 && data && read(fd, data, size) == (ssize_t)size);
        close(fd);
        return data;
}

static Buffer *packed;
static size_t packed_root_size;

static int pack_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
        if (!S_ISREG(st->st_mode) || strcmp(path + ftw->base, ".lock") == 0 || strcmp(path + ftw->base, ".ballast") == 0)
                return 0;
        FUZZ_CHECK(st->st_size <= UINT16_MAX);
        uint8_t *data = read_file(path, (size_t)st->st_size), length[2];
        store_be16(length, (uint16_t)st->st_size);
        buffer_append(packed, path + packed_root_size + 1, strlen(path + packed_root_size + 1) + 1);
        buffer_append(packed, length, sizeof(length));
        buffer_append(packed, data, (size_t)st->st_size);
        free(data);
        return 0;
}

void files_pack(const char *dir, Buffer *out) {
        packed = out;
        packed_root_size = strlen(dir);
        FUZZ_CHECK(nftw(dir, pack_one, 8, FTW_PHYS) == 0 && !out->failed);
}

static uint64_t digest;
static bool digest_only_logs;

/* The order in which a directory is read may be any: a sum. */
static int digest_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
        if (ftw->level == 0 || strcmp(path + ftw->base, ".lock") == 0 || (digest_only_logs && !ends_with(path, ".log")))
                return 0;
        digest += xxh3_64(path, strlen(path)) * 3;
        if (!S_ISREG(st->st_mode))
                return 0;
        uint8_t *data = read_file(path, (size_t)st->st_size);
        digest += xxh3_64(data, (size_t)st->st_size) ^ xxh3_64(path, strlen(path));
        free(data);
        return 0;
}

uint64_t files_digest(const char *dir, bool only_logs) {
        digest = 0;
        digest_only_logs = only_logs;
        FUZZ_CHECK(nftw(dir, digest_one, 8, FTW_PHYS) == 0);
        return digest;
}
