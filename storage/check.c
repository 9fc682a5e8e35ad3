/* The walk over the segments. Its rules are those by which recovery reads a log back, applied to all of it. */
#include "storage/check_internal.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/base/file.h"

#define NAME_DIGITS 20
#define INFLATE_BYTES_MAX (256 << 20)

void check_report(Check *check, CheckKind kind, const char *path, int64_t position, int64_t offset, int64_t bytes, const char *format, ...) {
        char what[512];
        va_list args;
        va_start(args, format);
        vsnprintf(what, sizeof(what), format, args);
        va_end(args);
        CheckedLog *checked = check->checked;
        int64_t *counts[] = { &checked->torn_count, &checked->rot_count, &checked->derived_count, &checked->odd_count };
        ++*counts[kind];
        CheckFinding finding = { kind, path, position, offset, bytes, what };
        check->how->found(&finding, check->how->data);
}

bool check_is_trusted(const Check *check, int32_t index) {
        return check->how->clean_shutdown || (index + 1 < check->count && check->bases[index + 1] <= check->how->recovery_point);
}

/* ---- what is in the directory */

static int add_base(Check *check, int64_t base) {
        if (check->count == check->capacity) {
                int32_t capacity = check->capacity ? check->capacity * 2 : 8;
                int64_t *bases = realloc(check->bases, (size_t)capacity * sizeof(*bases));
                if (!bases)
                        return -ENOMEM;
                check->bases = bases;
                check->capacity = capacity;
        }
        check->bases[check->count++] = base;
        return 0;
}

static bool is_one_of(const char *name, const char *const *names, size_t count) {
        for (size_t i = 0; i < count; i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return false;
}

static bool ends_with(const char *name, const char *end) {
        size_t len = strlen(name), end_len = strlen(end);
        return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

/* Files that a log's directory may hold beside its segments. */
static bool is_known(const Check *check, const char *name) {
        static const char *const names[] = { ".", "..", "leader-epoch-checkpoint", "partition.metadata", "quorum-state" };
        static const char *const suffixes[] = { "index", "timeindex", "txnindex", "snapshot" };
        static const char *const ends[] = { ".deleted", ".tmp", ".part", ".cleaned", ".swap" };
        if (is_one_of(name, names, sizeof(names) / sizeof(*names)))
                return true;
        for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
                if (ends_with(name, ends[i]))
                        return true;
        if (strspn(name, "0123456789") != NAME_DIGITS)
                return false;
        const char *rest = name + NAME_DIGITS;
        return strncmp(rest, ".log.torn-", 10) == 0 || strncmp(rest, ".log.cut-", 9) == 0 ||
               (*rest == '.' && is_one_of(rest + 1, suffixes, sizeof(suffixes) / sizeof(*suffixes))) ||
               (check->how->metadata && *rest == '-' && ends_with(rest, ".checkpoint"));
}

static int list_entry(Check *check, const char *name) {
        char path[SEGMENT_PATH_MAX];
        struct stat st;
        int64_t base;
        if (snprintf(path, sizeof(path), "%s/%s", check->how->path, name) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || lstat(path, &st))
                return 0;
        bool segment = strlen(name) == NAME_DIGITS + 4 && strcmp(name + NAME_DIGITS, ".log") == 0 &&
                       str_to_int64((Str){ name, NAME_DIGITS }, 0, INT64_MAX, &base);
        if (segment && S_ISREG(st.st_mode))
                return add_base(check, base);
        check->has_indexes |= ends_with(name, ".index") || ends_with(name, ".timeindex");
        check->has_odd_segments |= segment;
        bool alien = segment || (is_known(check, name) && !S_ISREG(st.st_mode));
        check->checked->alien_count += alien;
        if (alien)
                check_report(check, CHECK_ROT, path, -1, segment ? base : -1, -1, "is %s; put the file itself there",
                             file_alien(st.st_mode, S_IFREG));
        else if (!is_known(check, name))
                check_report(check, CHECK_ODD, path, -1, -1, -1, "is nothing that a log has; it is left alone");
        return 0;
}

static int compare(const void *a, const void *b) {
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
        return x < y ? -1 : x > y;
}

static int list_directory(Check *check) {
        DIR *dir = opendir(check->how->path);
        if (!dir)
                return -errno;
        int r = 0;
        for (struct dirent *entry; r == 0 && (entry = readdir(dir));)
                r = list_entry(check, entry->d_name);
        closedir(dir);
        if (check->count)
                qsort(check->bases, (size_t)check->count, sizeof(*check->bases), compare);
        return r;
}

/* ---- batches */

static int add_mark(Check *check, const BatchHeader *header, int64_t position) {
        if (check->mark_count == check->mark_capacity) {
                size_t capacity = check->mark_capacity ? check->mark_capacity * 2 : 256;
                CheckMark *marks = realloc(check->marks, capacity * sizeof(*marks));
                if (!marks)
                        return -ENOMEM;
                check->marks = marks;
                check->mark_capacity = capacity;
        }
        int64_t max = check->mark_count ? check->marks[check->mark_count - 1].max_timestamp : -1;
        check->marks[check->mark_count++] = (CheckMark){ position, header->base_offset, batch_last_offset(header),
                                                         header->max_timestamp > max ? header->max_timestamp : max };
        return 0;
}

/* Whether there are as many records as the header says, and each of them can be read. */
static const char *check_records(const uint8_t *data, const BatchHeader *header, int *ret_error) {
        BatchReader reader;
        Record record;
        int more = 0, r = batch_reader_init(&reader, data, header, INFLATE_BYTES_MAX);
        while (r == 0 && (more = batch_reader_next(&reader, &record)) == 1)
                ;
        batch_reader_deinit(&reader);
        *ret_error = r < 0 ? r : 0;
        return r > 0 ? "the records cannot be decompressed" : more ? "the records are not those that the header tells of" : NULL;
}

/* Where the next batch is expected. */
static bool may_have_gaps(const Check *check) {
        return check->is_thinned || check->expected_offset < check->how->compacted_offset;
}

/* What is wrong with the batch, or NULL. */
static const char *check_batch(const Check *check, const uint8_t *data, size_t size, BatchHeader *header, int *ret_error) {
        int r = batch_read_header(data, size, header);
        bool gaps = may_have_gaps(check);
        if (r == -EAGAIN)
                return "the file ends in the middle of a batch";
        if (r)
                return size >= 17 && (header->magic == 0 || header->magic == 1)
                               ? "messages are in a format from before Kafka 0.11; let a Kafka older than 4.0 read and write them anew"
                               : "there is no batch";
        if (!batch_check_crc(data, header))
                return "the checksum is wrong";
        int32_t count = header->record_count, range = header->last_offset_delta;
        if (count < 0 || range < 0 || count - 1 > range)
                return "the number of records does not fit the offsets";
        if (check->expected_offset >= 0 && header->base_offset < check->expected_offset)
                return "offsets go back";
        if (check->expected_offset >= 0 && !gaps && header->base_offset > check->expected_offset)
                return "offsets are missing before this batch";
        if (header->base_offset < check->base || batch_last_offset(header) - check->base > INT32_MAX)
                return "the offset does not belong into this segment";
        if (header->partition_leader_epoch < check->epoch)
                return "the leader epoch goes back";
        return check_records(data, header, ret_error);
}

static int note_producer(Check *check, const BatchHeader *header, const uint8_t *data) {
        AbortedTxn txn;
        if (header->producer_id < 0)
                return 0;
        if (header->attributes & BATCH_CONTROL && producers_find_aborted(&check->producers, header, data, &txn)) {
                if (check->aborted_count == check->aborted_capacity) {
                        size_t capacity = check->aborted_capacity ? check->aborted_capacity * 2 : 16;
                        AbortedTxn *rows = realloc(check->aborted, capacity * sizeof(*rows));
                        if (!rows)
                                return -ENOMEM;
                        check->aborted = rows;
                        check->aborted_capacity = capacity;
                }
                check->aborted[check->aborted_count++] = txn;
        }
        int r = producers_update(&check->producers, header, data, false);
        return r == -EUCLEAN ? 0 : r;
}

static int note_batch(Check *check, const uint8_t *data, const BatchHeader *header, int64_t position) {
        check->checked->batch_count++;
        check->is_thinned |= header->record_count <= header->last_offset_delta; /* the checksum covers both */
        check->checked->record_count += header->record_count;
        check->expected_offset = check->checked->end_offset = batch_next_offset(header);
        if (header->partition_leader_epoch > check->epoch)
                check->epoch = header->partition_leader_epoch;
        check_epoch(check, header);
        int r = add_mark(check, header, position);
        return r ? r : note_producer(check, header, data);
}

/* Bytes of the segments behind index. */
static int64_t bytes_behind(const Check *check, int32_t index) {
        int64_t bytes = 0, size;
        for (int32_t i = index + 1; i < check->count; i++) {
                char path[SEGMENT_PATH_MAX];
                segment_path(check->how->path, check->bases[i], "log", path);
                if (file_stat(path, &size, NULL) == 0)
                        bytes += size;
        }
        return bytes;
}

/* The log is good up to here, and only up to here. */
static void report_bad(Check *check, int32_t index, const char *path, int64_t position, int64_t size, const char *what) {
        int64_t offset = check->expected_offset < 0 ? check->base : check->expected_offset;
        bool torn = !check->how->clean_shutdown && offset >= check->how->recovery_point;
        int64_t bytes = size - position + bytes_behind(check, index);
        CheckedLog *checked = check->checked;
        checked->good_base = check->base;
        checked->good_position = position;
        checked->good_offset = offset;
        check->stop = true;
        check_report(check, torn ? CHECK_TORN : CHECK_ROT, path, position, offset, bytes, "%s", what);
}

static int walk_segment(Check *check, int32_t index, const FileMap *file, const char *path) {
        int64_t at = 0, size = (int64_t)file->size;
        int r = 0;
        while (r == 0 && at < size) {
                BatchHeader header = { .magic = -1 };
                const char *wrong = check_batch(check, file->data + at, (size_t)(size - at), &header, &r);
                if (r == 0 && wrong) {
                        report_bad(check, index, path, at, size, wrong);
                        return 0;
                }
                if (r == 0)
                        r = note_batch(check, file->data + at, &header, at);
                at += (int64_t)batch_size(&header);
        }
        return r;
}

/* Whether the segment goes on where the one before ended. */
static bool check_seam(Check *check, int32_t index, const char *path, int64_t size) {
        int64_t base = check->bases[index], end = check->expected_offset;
        char text[256];
        if (index == 0 || end < 0 || base == end || (may_have_gaps(check) && base > end))
                return true;
        if (base < end)
                snprintf(text, sizeof(text), "the segment before it ends at offset %" PRId64 ": the two overlap", end);
        else
                snprintf(text, sizeof(text), "offsets %" PRId64 " to %" PRId64 " are missing: a segment is not there", end, base - 1);
        check->base = base;
        report_bad(check, index, path, 0, size, text);
        check->checked->good_offset = end;
        return false;
}

static int check_segment(Check *check, int32_t index) {
        char path[SEGMENT_PATH_MAX];
        FileMap file = { .size = 0 };
        segment_path(check->how->path, check->bases[index], "log", path);
        int r = file_map(path, &file);
        if (r) {
                check_report(check, CHECK_ROT, path, -1, check->bases[index], -1, "cannot be read: %s", strerror(-r));
                return 0;
        }
        check->checked->segment_count++;
        check->checked->size_bytes += (int64_t)file.size;
        check->mark_count = check->aborted_count = 0;
        if (check_seam(check, index, path, (int64_t)file.size)) {
                check->base = check->bases[index];
                if (check->expected_offset < check->base)
                        check->expected_offset = check->base;
                check->checked->end_offset = check->expected_offset;
                r = walk_segment(check, index, &file, path);
                if (r == 0 && !check->stop)
                        r = check_indexes(check, index, (int64_t)file.size);
        }
        file_unmap(&file);
        return r;
}

/* What was on disk, and is not there although no batch is bad. */
static void check_end(Check *check) {
        int64_t end = check->checked->end_offset, point = check->how->recovery_point;
        char path[SEGMENT_PATH_MAX];
        check->checked->is_empty = !check->count && !check->has_odd_segments;
        if (check->checked->is_empty && (check->has_indexes || point > check->how->log_start_offset))
                check_report(check, CHECK_ROT, check->how->path, -1, check->how->log_start_offset, -1,
                             "holds no segment, though records up to offset %" PRId64 " were on disk", point);
        if (!check->stop && check->count && check->how->log_start_offset > end)
                check_report(check, CHECK_ODD, check->how->path, -1, end, -1, "the log ends at offset %" PRId64 ", below its start %" PRId64 ": it will go on there",
                             end, check->how->log_start_offset);
        if (check->stop || !check->count || end >= point || check->how->metadata)
                return;
        segment_path(check->how->path, check->bases[check->count - 1], "log", path);
        check_report(check, CHECK_ROT, path, -1, end, -1, "the log ends at offset %" PRId64 ", but it was on disk up to %" PRId64, end, point);
}

static void load_epochs(Check *check) {
        char path[SEGMENT_PATH_MAX];
        int r = epochs_read(&check->epochs, check->how->path);
        check->epochs_known = r == 0;
        if (r != -EUCLEAN)
                return;
        snprintf(path, sizeof(path), "%s/leader-epoch-checkpoint", check->how->path);
        check_report(check, CHECK_DERIVED, path, -1, -1, -1, "is malformed");
}

int check_log(const CheckLog *how, CheckedLog *ret_checked) {
        *ret_checked = (CheckedLog){ .good_base = -1, .start_offset = -1 };
        Check check = { .how = how, .checked = ret_checked, .epoch = -1, .expected_offset = -1, .epochs = EPOCHS_INIT,
                        .producers = PRODUCERS_INIT };
        int r = list_directory(&check);
        if (r == 0)
                load_epochs(&check);
        if (r == 0 && check.count) {
                char path[SEGMENT_PATH_MAX];
                segment_path(how->path, check.bases[0], "snapshot", path);
                (void)producers_read_snapshot(&check.producers, path);
                ret_checked->start_offset = ret_checked->end_offset = check.bases[0];
        }
        for (int32_t i = 0; r == 0 && i < check.count && !check.stop; i++)
                r = check_segment(&check, i);
        if (r == 0)
                check_end(&check);
        free(check.bases);
        free(check.marks);
        free(check.aborted);
        epochs_deinit(&check.epochs);
        producers_deinit(&check.producers);
        return r;
}
