/* A partition's directory, all of it made up: recovery or a trusting load, everything that reads the log afterwards, a compaction, and the
 * next start; odradek's check and repair of the same. Bytes 0 to 7: flags, recovery point, log start offset. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "storage/base/endian.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"
#include "storage/batch.h"
#include "storage/check.h"
#include "storage/log.h"
#include "tests/fuzz/files.h"

#define NOW INT64_C(1700000000000)
#define SETTINGS_BYTES 8
#define MAP_BYTES 4096
#define READS_MAX 200

enum { FLAG_CLEAN = 1, FLAG_COMPACT = 2, FLAG_SEAL = 4, FLAG_SMALL = 8, FLAG_LATER = 16 };

static LogOpen how_to_open(const uint8_t *settings, const char *path) {
        LogOpen how = { .path = path, .config = LOG_CONFIG_INIT, .now_ms = NOW, .clean_shutdown = settings[0] & FLAG_CLEAN,
                        .recovery_point = load_be16(settings + 1), .log_start_offset = load_be16(settings + 3) };
        how.config.cleanup_compact = settings[0] & FLAG_COMPACT;
        how.config.index_interval_bytes = settings[0] & FLAG_SMALL ? 0 : 4096;
        how.config.min_cleanable_dirty_ratio = 0;
        how.config.delete_retention_ms = 0;
        how.config.retention_ms = settings[0] & FLAG_LATER ? 1000 : -1;
        return how;
}

/* What it says about itself holds, whatever the files were. */
static void read_all(Log *log) {
        int64_t end = log_end_offset(log), at = log_start_offset(log);
        FUZZ_CHECK(at <= end && log_recovery_point(log) <= end && log_last_stable_offset(log) <= INT64_MAX);
        for (int i = 0; at < end && i < READS_MAX; i++) {
                FileSpan span = FILE_SPAN_INIT;
                Buffer out = BUFFER_INIT;
                BatchHeader header;
                int r = log_read(log, at, end, 1, true, &span);
                FUZZ_CHECK(r == 0 || r == -EUCLEAN || r == KAFKA_KAFKA_STORAGE_ERROR || r == -ENOMEM);
                if (r == 0 && !span.size)
                        break; /* a gap up to the end, which is a compacted log's right */
                if (r == 0) {
                        FUZZ_CHECK(file_span_copy(&span, &out) == 0 && batch_read_header(out.data, out.size, &header) == 0);
                        FUZZ_CHECK(batch_next_offset(&header) > at);
                }
                at = r ? at + 1 : batch_next_offset(&header);
                buffer_deinit(&out);
                file_span_release(&span);
        }
}

static void on_aborted(int64_t producer_id, int64_t first_offset, void *data) {
        ++*(int *)data;
}

static void on_producer(const LogProducer *producer, void *data) {
        ++*(int *)data;
}

static void look_up(Log *log) {
        LogPosition position;
        int count = 0;
        int32_t epoch;
        int64_t offset;
        (void)log_find_timestamp(log, NOW, &position);
        (void)log_find_timestamp(log, 0, &position);
        (void)log_find_max_timestamp(log, &position);
        (void)log_aborted_transactions(log, log_start_offset(log), log_end_offset(log), on_aborted, &count);
        log_each_producer(log, on_producer, &count);
        log_epoch_end(log, 3, log_latest_epoch(log), &epoch, &offset);
        log_epoch_end(log, 3, 1, &epoch, &offset);
}

/* What is appended is there, at the offset that was promised. */
static void append(Log *log, int64_t producer_id, int16_t attributes) {
        BatchBuilder builder;
        LogAppend result;
        int64_t end = log_end_offset(log);
        batch_builder_init(&builder, attributes, producer_id, producer_id < 0 ? -1 : 0, producer_id < 0 ? -1 : 0);
        batch_builder_add(&builder, NOW, STR("key"), STR("value"), NULL, 0);
        FUZZ_CHECK(batch_builder_finish(&builder, 0) == 0);
        int32_t epoch = log_latest_epoch(log) > 0 ? log_latest_epoch(log) : 0;
        int r = log_append(log, builder.out.data, builder.out.size, LOG_ORIGIN_CLIENT, epoch, NOW, &result);
        bool queued = r == 0 && log_is_dirty(log);
        if (r == 0)
                r = log_commit(log, NOW);
        if (r == 0 && queued) {
                FileSpan span = FILE_SPAN_INIT;
                FUZZ_CHECK(result.base_offset == end && log_end_offset(log) == end + 1);
                FUZZ_CHECK(log_read(log, end, end + 1, 1, true, &span) == 0 && span.size > 0);
                file_span_release(&span);
        }
        batch_builder_deinit(&builder);
}

static void compact(Log *log) {
        Compaction *compaction = NULL;
        LogCompacted compacted;
        int64_t end = log_end_offset(log);
        if (log_sync(log) || log_compaction_begin(log, -1, MAP_BYTES, NOW + 1, &compaction) || !compaction)
                return;
        (void)compaction_run(compaction);
        if (log_compaction_swap(log, compaction) == 0) {
                (void)compaction_settle(compaction);
                (void)log_compaction_finish(log, compaction, &compacted);
        }
        compaction_free(compaction);
        FUZZ_CHECK(log_end_offset(log) == end);
}

/* Opens once more what was open. Rot that nobody has read yet may be found now: the first start trusted what it saw, or an index. */
static bool open_again(const LogOpen *how, bool trusted, int64_t start, int64_t end, Log **ret_log) {
        int r = log_open(how, ret_log);
        FUZZ_CHECK(r == 0 || (trusted && r == -EUCLEAN));
        if (r == 0)
                FUZZ_CHECK(log_start_offset(*ret_log) == start && log_end_offset(*ret_log) == end);
        return r == 0;
}

static void on_found(const CheckFinding *finding, void *data) {
        FUZZ_CHECK(finding->what[0] && finding->path[0]);
}

static int check(const LogOpen *how, CheckedLog *ret_checked) {
        return check_log(&(CheckLog){ .path = how->path, .clean_shutdown = how->clean_shutdown, .recovery_point = how->recovery_point,
                                      .log_start_offset = how->log_start_offset, .found = on_found,
                                      .compacted_offset = how->config.cleanup_compact ? INT64_MAX : 0 }, ret_checked);
}

/* A second start finds what the first one left. */
static void start_twice(LogOpen how) {
        Log *log = NULL;
        CheckedLog checked;
        uint64_t before = files_digest(how.path, true);
        bool trusted = how.clean_shutdown || check(&how, &checked) || checked.rot_count;
        int r = log_open(&how, &log);
        if (r == -EUCLEAN)
                FUZZ_CHECK(files_digest(how.path, true) == before);
        if (r)
                return;
        read_all(log);
        look_up(log);
        int64_t start = log_start_offset(log), end = log_end_offset(log);
        log_abandon(log);
        if (!open_again(&how, trusted, start, end, &log))
                return;
        append(log, -1, 0);
        append(log, 7, BATCH_TRANSACTIONAL);
        read_all(log);
        if (how.config.cleanup_compact)
                compact(log);
        (void)log_retain(log, NOW + 2);
        (void)log_advance_start(log, log_end_offset(log) - 1, NOW);
        read_all(log);
        start = log_start_offset(log), end = log_end_offset(log);
        r = log_close(log, NOW);
        how.clean_shutdown = true;
        how.recovery_point = end;
        how.log_start_offset = start;
        if (r || !open_again(&how, trusted, start, end, &log))
                return;
        look_up(log);
        log_abandon(log);
}

/* What was cut and made anew is sound. */
static void check_and_repair(LogOpen how) {
        CheckedLog checked;
        uint64_t before = files_digest(how.path, false);
        int r = check(&how, &checked);
        FUZZ_CHECK(files_digest(how.path, false) == before);
        if (r || !checked.rot_count || checked.good_base < 0)
                return;
        int64_t bytes;
        FUZZ_CHECK(check_cut(how.path, &checked, &bytes) == 0);
        if (how.recovery_point > checked.good_offset)
                how.recovery_point = checked.good_offset;
        if (how.log_start_offset > checked.good_offset)
                how.log_start_offset = checked.good_offset;
        r = check_rebuild(how.path, how.log_start_offset, NOW);
        if (r == 0)
                FUZZ_CHECK(check(&how, &checked) == 0 && checked.good_base < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char path[FILES_PATH_MAX];
        if (size < SETTINGS_BYTES)
                return 0;
        trace_level = TRACE_NONE;
        snprintf(path, sizeof(path), "%s/topic-0", files_root());
        mkdir(path, 0755);
        LogOpen how = how_to_open(data, path);
        files_unpack(path, data + SETTINGS_BYTES, size - SETTINGS_BYTES, data[0] & FLAG_SEAL);
        check_and_repair(how);
        files_unpack(path, data + SETTINGS_BYTES, size - SETTINGS_BYTES, data[0] & FLAG_SEAL);
        start_twice(how);
        return 0;
}
