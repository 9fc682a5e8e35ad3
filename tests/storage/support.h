/* What the storage suites share: a temporary directory per test, and batches to append. */
#pragma once

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/batch.h"
#include "storage/compress.h"
#include "storage/log.h"

#define NOW INT64_C(1700000000000)

static char test_dir[64];
static char test_log_path[96];

__attribute__((unused)) static void test_setup(void) {
        strcpy(test_dir, "/tmp/storage-test-XXXXXX");
        cr_assert_not_null(mkdtemp(test_dir));
        snprintf(test_log_path, sizeof(test_log_path), "%s/topic-0", test_dir);
        trace_level = TRACE_ERROR;
}

__attribute__((unused)) static void test_teardown(void) {
        char command[128];
        file_ops = FILE_OPS_SYSTEM;
        snprintf(command, sizeof(command), "rm -rf %s", test_dir);
        cr_assert_eq(system(command), 0);
}

/* Fails on, so the process of the test ends there. */
#define assert_ok(call)                                                             \
        do {                                                                        \
                int r_ = (call);                                                    \
                cr_assert_eq(r_, 0, "%s is %d (%s)", #call, r_, kafka_error_name(r_)); \
        } while (0)

typedef struct TestBatch {
        int records;
        int64_t timestamp_ms; /* of the first; each is 1 later */
        int value_bytes;
        int codec;
        int16_t attributes;
        int64_t producer_id;
        int16_t producer_epoch;
        int32_t base_sequence;
        bool without_key;
} TestBatch;

/* A default that a test overrides is no mistake. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif

#define TEST_BATCH(...) \
        ((TestBatch){ .records = 1, .timestamp_ms = NOW, .value_bytes = 10, .producer_id = -1, .producer_epoch = -1, \
                      .base_sequence = -1, __VA_ARGS__ })

/* The bytes are the caller's to free. */
__attribute__((unused)) static uint8_t *make_batch(TestBatch how, size_t *ret_size) {
        BatchBuilder builder;
        batch_builder_init(&builder, how.attributes, how.producer_id, how.producer_epoch, how.base_sequence);
        char *value = malloc((size_t)how.value_bytes + 1);
        for (int i = 0; i < how.records; i++) {
                memset(value, 'a' + i % 26, (size_t)how.value_bytes);
                batch_builder_add(&builder, how.timestamp_ms + i, how.without_key ? STR_NULL : STR("key"),
                                  (Str){ value, (size_t)how.value_bytes }, NULL, 0);
        }
        free(value);
        assert_ok(batch_builder_finish(&builder, how.codec));
        *ret_size = builder.out.size;
        return builder.out.data;
}

__attribute__((unused)) static LogOpen how_to_open(void) {
        return (LogOpen){ .path = test_log_path, .config = LOG_CONFIG_INIT, .now_ms = NOW };
}

__attribute__((unused)) static Log *open_log(LogOpen how) {
        Log *log = NULL;
        assert_ok(log_open(&how, &log));
        return log;
}

/* Appends and commits; returns what log_append() or else log_commit() said. */
__attribute__((unused)) static int try_append(Log *log, TestBatch how, LogAppend *ret_append) {
        size_t size;
        uint8_t *data = make_batch(how, &size);
        int r = log_append(log, data, size, LOG_ORIGIN_CLIENT, 0, NOW, ret_append);
        if (!r)
                r = log_commit(log, NOW);
        free(data);
        return r;
}

__attribute__((unused)) static void append(Log *log, TestBatch how) {
        LogAppend result;
        assert_ok(try_append(log, how, &result));
}

__attribute__((unused)) static void append_many(Log *log, int count) {
        for (int i = 0; i < count; i++)
                append(log, TEST_BATCH(.timestamp_ms = NOW + i, .value_bytes = 100));
}

/* Reads from offset; the base offset of the first batch and the number of bytes, checked for whole batches. */
__attribute__((unused)) static int read_from(Log *log, int64_t offset, int32_t size_max, bool min_one,
                                             int64_t *ret_first, int64_t *ret_last) {
        FileSpan span;
        assert_ok(log_read(log, offset, INT64_MAX, size_max, min_one, &span));
        *ret_first = *ret_last = -1;
        int size = span.size;
        uint8_t *data = malloc((size_t)size + 1);
        if (size)
                cr_assert_eq(pread(span.fd, data, (size_t)size, span.position), size);
        if (span.map)
                cr_assert_arr_eq(span.map, data, (size_t)size);
        for (int at = 0; at < size;) {
                BatchHeader header;
                assert_ok(batch_read_header(data + at, (size_t)(size - at), &header));
                cr_assert(batch_check_crc(data + at, &header));
                if (at == 0)
                        *ret_first = header.base_offset;
                *ret_last = batch_last_offset(&header);
                at += (int)batch_size(&header);
        }
        free(data);
        file_span_release(&span);
        return size;
}

__attribute__((unused)) static const char *log_file(int64_t base_offset, const char *suffix) {
        static char path[160];
        snprintf(path, sizeof(path), "%s/%020" PRId64 ".%s", test_log_path, base_offset, suffix);
        return path;
}

__attribute__((unused)) static int64_t size_of(const char *path) {
        struct stat st;
        return stat(path, &st) < 0 ? -1 : st.st_size;
}

/* Of the file that a descriptor is for. */
__attribute__((unused)) static const char *path_of(int fd) {
        static char path[256];
        char link[64];
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t size = readlink(link, path, sizeof(path) - 1);
        cr_assert_gt(size, 0);
        path[size] = '\0';
        return path;
}

__attribute__((unused)) static bool ends_with(const char *text, const char *end) {
        size_t len = strlen(text), end_len = strlen(end);
        return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Changes one byte; negative positions count from the end. */
__attribute__((unused)) static void flip_byte(const char *path, int64_t position) {
        uint8_t byte;
        int fd = open(path, O_RDWR);
        cr_assert(fd >= 0);
        if (position < 0)
                position += lseek(fd, 0, SEEK_END);
        cr_assert_eq(pread(fd, &byte, 1, position), 1);
        byte ^= 0x40;
        cr_assert_eq(pwrite(fd, &byte, 1, position), 1);
        close(fd);
}
