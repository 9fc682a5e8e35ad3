/* How much processor time recovery takes for a log of which nothing is known to be on disk, beside reading and checksumming the same
 * bytes: recovery_rate DIRECTORY [MEBIBYTES [ROUNDS]]. Both read what was just written, from memory, so nobody waits for the disk. Two
 * figures stand beside it: the file summed as one run of bytes, and each batch by itself, as it has to be: a batch is found by the length
 * of the one before. The shares are medians over the rounds. Prints; a test asserts no times. */
#include <errno.h>
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
#define ROUNDS_MAX 101

static double seconds(void) {
        struct timespec now;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
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

/* Sums the whole batches at data; where the last of them ends. */
static size_t sum_batches(const uint8_t *data, size_t size) {
        size_t at = 0;
        BatchHeader header;
        while (batch_read_header(data + at, size - at, &header) == 0) {
                check(batch_check_crc(data + at, &header) ? 0 : -EUCLEAN);
                at += batch_size(&header);
        }
        return at;
}

/* The processor time of reading and summing the file; what is left over of a chunk comes before the next one. */
static double read_all(const char *path, int64_t bytes, size_t chunk_bytes, bool by_batch) {
        char file[SEGMENT_PATH_MAX];
        uint8_t *chunk = malloc(chunk_bytes);
        double begin = seconds();
        uint32_t crc = 0;
        size_t kept = 0;
        segment_path(path, 0, "log", file);
        int fd = file_open(file, O_RDONLY);
        for (int64_t at = 0; at < bytes;) {
                ssize_t got = file_read(fd, chunk + kept, chunk_bytes - kept, at);
                check(got <= 0 ? -EIO : 0);
                size_t size = kept + (size_t)got, summed = by_batch ? sum_batches(chunk, size) : size;
                if (!by_batch)
                        crc = crc32c(crc, chunk, size);
                kept = size - summed;
                memmove(chunk, chunk + summed, kept);
                at += got;
        }
        check(kept ? -EUCLEAN : 0);
        file_close(fd);
        free(chunk);
        return seconds() - begin + (crc == 1 ? 1e-9 : 0);
}

static int compare(const void *a, const void *b) {
        double x = *(const double *)a, y = *(const double *)b;
        return x < y ? -1 : x > y;
}

static double median(double *values, int count) {
        qsort(values, (size_t)count, sizeof(*values), compare);
        return values[count / 2];
}

static void measure(const char *path, int64_t bytes, int32_t batch_bytes, int rounds) {
        LogOpen how = { .path = path, .config = LOG_CONFIG_INIT, .now_ms = 1700000000000 };
        double plain[ROUNDS_MAX], recovery[ROUNDS_MAX], over_plain[ROUNDS_MAX], over_walk[ROUNDS_MAX];
        size_t chunk_bytes = batch_bytes < CHUNK_BYTES ? CHUNK_BYTES : (size_t)batch_bytes + CHUNK_BYTES;
        Log *log;
        how.config.segment_bytes = INT32_MAX;
        check(log_open(&how, &log));
        int64_t size = fill(log, bytes, batch_bytes);
        log_abandon(log);
        for (int i = 0; i < rounds; i++) {
                plain[i] = read_all(path, size, chunk_bytes, false);
                double walk = read_all(path, size, chunk_bytes, true);
                double begin = seconds();
                check(log_open(&how, &log));
                recovery[i] = seconds() - begin;
                log_abandon(log);
                over_plain[i] = (recovery[i] / plain[i] - 1) * 100;
                over_walk[i] = (recovery[i] / walk - 1) * 100;
        }
        printf("%lld MiB in batches of %d bytes: read and checksummed in %.0f ms, recovered in %.0f ms, %+.1f %% over that and %+.1f %% over "
               "reading and checksumming batch by batch\n", (long long)(size >> 20), batch_bytes, median(plain, rounds) * 1e3,
               median(recovery, rounds) * 1e3, median(over_plain, rounds), median(over_walk, rounds));
        check(log_delete_directory(path));
}

int main(int argc, char **argv) {
        char path[SEGMENT_PATH_MAX];
        int rounds = argc > 3 ? atoi(argv[3]) : 5;
        if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX || snprintf(path, sizeof(path), "%s/rate-0", argv[1]) >= (int)sizeof(path))
                return 2;
        int64_t bytes = (argc > 2 ? atoll(argv[2]) : 1024) << 20;
        measure(path, bytes, 1 << 10, rounds);
        measure(path, bytes, 16 << 10, rounds);
        measure(path, bytes, 512 << 10, rounds);
        return 0;
}
