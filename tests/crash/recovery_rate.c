/* How long recovery takes for a log of which nothing is known to be on disk, beside reading and checksumming the same
 * bytes: recovery_rate DIRECTORY [MEBIBYTES]. Prints; a test asserts no times. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/base/crc32c.h"
#include "storage/base/file.h"
#include "storage/log.h"
#include "storage/segment.h"

#define CHUNK_BYTES (256 << 10)
#define ROUNDS 5

static double seconds(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void check(int r) {
        if (r == 0)
                return;
        fprintf(stderr, "failed: %s\n", strerror(-r));
        exit(1);
}

static int64_t fill(Log *log, int64_t bytes, int32_t batch_bytes) {
        BatchBuilder builder;
        batch_builder_init(&builder, 0, -1, -1, -1);
        char value[100];
        memset(value, 'v', sizeof(value));
        while (builder.out.size < (size_t)batch_bytes)
                batch_builder_add(&builder, 1700000000000, STR_NULL, (Str){ value, sizeof(value) }, NULL, 0);
        check(batch_builder_finish(&builder, 0));
        for (int64_t written = 0; written < bytes; written += (int64_t)builder.out.size) {
                LogAppend append;
                batch_set_base_offset(builder.out.data, 0);
                check(log_append(log, builder.out.data, builder.out.size, LOG_ORIGIN_CLIENT, 0, 1700000000000, &append));
                check(log_commit(log, 1700000000000));
        }
        batch_builder_deinit(&builder);
        return log_size_bytes(log);
}

static double read_all(const char *path, int64_t bytes) {
        char file[SEGMENT_PATH_MAX];
        uint8_t *chunk = malloc(CHUNK_BYTES);
        double begin = seconds();
        uint32_t crc = 0;
        segment_path(path, 0, "log", file);
        int fd = file_open(file, O_RDONLY);
        for (int64_t at = 0; at < bytes; at += CHUNK_BYTES) {
                ssize_t got = file_read(fd, chunk, CHUNK_BYTES, at);
                crc = crc32c(crc, chunk, got > 0 ? (size_t)got : 0);
        }
        file_close(fd);
        free(chunk);
        return seconds() - begin + (crc == 1 ? 1e-9 : 0);
}

static int compare(const void *a, const void *b) {
        double x = *(const double *)a, y = *(const double *)b;
        return x < y ? -1 : x > y;
}

static void measure(const char *path, int64_t bytes, int32_t batch_bytes) {
        LogOpen how = { .path = path, .config = LOG_CONFIG_INIT, .now_ms = 1700000000000 };
        double plain[ROUNDS], recovery[ROUNDS];
        Log *log;
        how.config.segment_bytes = INT32_MAX;
        check(log_open(&how, &log));
        int64_t size = fill(log, bytes, batch_bytes);
        log_abandon(log);
        for (int i = 0; i < ROUNDS; i++) {
                plain[i] = read_all(path, size);
                double begin = seconds();
                check(log_open(&how, &log));
                recovery[i] = seconds() - begin;
                log_abandon(log);
        }
        qsort(plain, ROUNDS, sizeof(*plain), compare);
        qsort(recovery, ROUNDS, sizeof(*recovery), compare);
        printf("%lld MiB in batches of %d bytes: read and checksummed in %.0f ms, recovered in %.0f ms (%+.0f %%)\n",
               (long long)(size >> 20), batch_bytes, plain[ROUNDS / 2] * 1e3, recovery[ROUNDS / 2] * 1e3,
               (recovery[ROUNDS / 2] / plain[ROUNDS / 2] - 1) * 100);
        check(log_delete_directory(path));
}

int main(int argc, char **argv) {
        char path[SEGMENT_PATH_MAX];
        if (argc < 2 || snprintf(path, sizeof(path), "%s/rate-0", argv[1]) >= (int)sizeof(path))
                return 2;
        int64_t bytes = (argc > 2 ? atoll(argv[2]) : 1024) << 20;
        measure(path, bytes, 1 << 10);
        measure(path, bytes, 16 << 10);
        measure(path, bytes, 512 << 10);
        return 0;
}
