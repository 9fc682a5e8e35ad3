/* Files of snapshots: finding, writing, letting go. */
#include "broker/state/metadata/metadata_snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/state/metadata/metadata_image.h"
#include "storage/base/endian.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/batch.h"

#define BATCH_BYTES ((size_t)256 << 10)
#define SUFFIX ".checkpoint"
#define NAME_SIZE (20 + 1 + 10)

enum { CONTROL_SNAPSHOT_HEADER = 3, CONTROL_SNAPSHOT_FOOTER = 4, CONTROL_KRAFT_VERSION = 5, CONTROL_VOTERS = 6 };

void metadata_snapshot_path(const char *path, const MetadataSnapshot *snapshot, char *ret_path, size_t size) {
        snprintf(ret_path, size, "%s/%020" PRId64 "-%010" PRId32 SUFFIX, path, snapshot->offset, snapshot->epoch);
}

/* Twenty and ten digits; what follows is *ret_rest. */
static bool parse_name(const char *name, MetadataSnapshot *ret_snapshot, const char **ret_rest) {
        int64_t epoch;
        if (strlen(name) <= NAME_SIZE || name[20] != '-' || !str_to_int64((Str){ name, 20 }, 0, INT64_MAX, &ret_snapshot->offset) ||
            !str_to_int64((Str){ name + 21, 10 }, 0, INT32_MAX, &epoch))
                return false;
        ret_snapshot->epoch = (int32_t)epoch;
        *ret_rest = name + NAME_SIZE;
        return true;
}

/* Begun and never finished, or about to be removed; Kafka puts random digits between name and suffix. */
static bool is_leftover(const char *rest) {
        size_t size = strlen(rest);
        return strcmp(rest, SUFFIX ".deleted") == 0 || strcmp(rest, SUFFIX ".tmp") == 0 ||
               (size >= strlen(SUFFIX ".part") && strcmp(rest + size - strlen(SUFFIX ".part"), SUFFIX ".part") == 0);
}

/* The header's version is followed by the timestamp of the last record in the log. */
static void read_timestamp(const uint8_t *data, size_t size, MetadataSnapshot *snapshot) {
        BatchHeader header;
        BatchReader reader;
        Record record;
        if (batch_read_header(data, size, &header) || !(header.attributes & BATCH_CONTROL) || !batch_check_crc(data, &header))
                return;
        if (batch_reader_init(&reader, data, &header, BATCH_BYTES) == 0 && batch_reader_next(&reader, &record) == 1 &&
            record.key.len >= 4 && load_be16(record.key.data + 2) == CONTROL_SNAPSHOT_HEADER && record.value.len >= 10)
                snapshot->timestamp_ms = (int64_t)load_be64(record.value.data + 2);
        batch_reader_deinit(&reader);
}

int metadata_snapshots_add(MetadataSnapshots *snapshots, const MetadataSnapshot *snapshot) {
        MetadataSnapshot *rows = realloc(snapshots->rows, (size_t)(snapshots->count + 1) * sizeof(*rows));
        if (!rows)
                return -ENOMEM;
        int32_t at = snapshots->count++;
        for (; at > 0 && rows[at - 1].offset > snapshot->offset; at--)
                rows[at] = rows[at - 1];
        rows[at] = *snapshot;
        snapshots->rows = rows;
        return 0;
}

static int open_entry(const struct dirent *entry, void *data) {
        MetadataSnapshots *snapshots = data;
        const char *name = entry->d_name;
        MetadataSnapshot snapshot = { .size_bytes = 0 };
        const char *rest;
        char path[PATH_MAX];
        FileMap file;
        if (!parse_name(name, &snapshot, &rest))
                return 0;
        if (snprintf(path, sizeof(path), "%s/%s", snapshots->path, name) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        if (is_leftover(rest))
                return file_unlink(path);
        if (strcmp(rest, SUFFIX) != 0)
                return 0;
        int r = file_map(path, &file);
        if (r)
                return r;
        snapshot.size_bytes = (int64_t)file.size;
        read_timestamp(file.data, file.size, &snapshot);
        file_unmap(&file);
        return metadata_snapshots_add(snapshots, &snapshot);
}

int metadata_snapshots_open(MetadataSnapshots *snapshots, const char *path) {
        *snapshots = (MetadataSnapshots){ .path = path };
        return file_each_entry(path, open_entry, snapshots);
}

void metadata_snapshots_deinit(MetadataSnapshots *snapshots) {
        free(snapshots->rows);
        *snapshots = (MetadataSnapshots){ .rows = NULL };
}

/* ---- writing */

typedef struct Writer {
        Buffer out;
        BatchBuilder batch;
        int64_t next_offset;
        int32_t epoch;
        int64_t now_ms;
        int error;
} Writer;

static void end_batch(Writer *writer) {
        int r = writer->batch.header.record_count ? batch_builder_finish(&writer->batch, 0) : -ENODATA;
        if (r == 0) {
                batch_set_base_offset(writer->batch.out.data, writer->next_offset);
                batch_set_leader_epoch(writer->batch.out.data, writer->epoch);
                writer->next_offset += writer->batch.header.record_count;
                buffer_append(&writer->out, writer->batch.out.data, writer->batch.out.size);
        } else if (r != -ENODATA && writer->error == 0) {
                writer->error = r;
        }
        batch_builder_deinit(&writer->batch);
        batch_builder_init(&writer->batch, 0, -1, -1, -1);
}

static int write_record(Str record, void *data) {
        Writer *writer = data;
        batch_builder_add(&writer->batch, writer->now_ms, STR_NULL, record, NULL, 0);
        if (writer->batch.out.size >= BATCH_BYTES)
                end_batch(writer);
        return writer->error;
}

static void write_control(Writer *writer, int16_t type, Str value) {
        uint8_t key[4] = { 0 };
        store_be16(key + 2, (uint16_t)type);
        if (!str_is_null(value))
                batch_builder_add(&writer->batch, writer->now_ms, (Str){ (const char *)key, sizeof(key) }, value, NULL, 0);
}

static void begin_control(Writer *writer) {
        end_batch(writer);
        batch_builder_deinit(&writer->batch);
        batch_builder_init(&writer->batch, BATCH_CONTROL, -1, -1, -1);
}

/* Both messages: version 0, the fields, no tagged ones. */
static int write_image(Writer *writer, const MetadataImage *image, int64_t timestamp_ms) {
        uint8_t header[2 + 8 + 1] = { 0 }, footer[2 + 1] = { 0 };
        store_be64(header + 2, (uint64_t)timestamp_ms);
        begin_control(writer);
        write_control(writer, CONTROL_SNAPSHOT_HEADER, (Str){ (const char *)header, sizeof(header) });
        write_control(writer, CONTROL_KRAFT_VERSION, image->kraft_version);
        write_control(writer, CONTROL_VOTERS, image->voters);
        end_batch(writer);
        metadata_image_each(image, write_record, writer);
        begin_control(writer);
        write_control(writer, CONTROL_SNAPSHOT_FOOTER, (Str){ (const char *)footer, sizeof(footer) });
        end_batch(writer);
        return writer->error ? writer->error : writer->out.failed ? -ENOMEM : 0;
}

/* Feeds the batches of one segment from *offset up to end_offset; *offset moves on. */
static int read_segment(MetadataImage *image, const char *path, int64_t *offset, int64_t end_offset, int64_t *timestamp_ms) {
        FileMap file;
        int r = file_map(path, &file);
        if (r)
                return r;
        for (size_t at = 0; r == 0 && at < file.size && *offset < end_offset;) {
                BatchHeader header;
                if (batch_read_header(file.data + at, file.size - at, &header) || !batch_check_crc(file.data + at, &header)) {
                        r = -EUCLEAN;
                        break;
                }
                int64_t next = batch_next_offset(&header);
                if (next > *offset)
                        r = metadata_replay_bytes(&image->replay, file.data + at, batch_size(&header), *offset, &next);
                if (r == 0 && next > *offset) {
                        *offset = next;
                        *timestamp_ms = header.max_timestamp;
                }
                at += batch_size(&header);
        }
        file_unmap(&file);
        return r;
}

static int is_segment(const struct dirent *entry) {
        return strlen(entry->d_name) == 24 && strcmp(entry->d_name + 20, ".log") == 0;
}

/* The log's own files, by name, which is by offset: what is appended meanwhile lies behind end_offset. */
static int read_log(MetadataImage *image, const char *path, int64_t offset, int64_t end_offset, int64_t *timestamp_ms) {
        struct dirent **entries;
        int count = scandir(path, &entries, is_segment, alphasort), r = count < 0 ? -errno : 0;
        for (int i = 0; i < count; i++) {
                char name[PATH_MAX];
                int64_t base = -1, next = INT64_MAX;
                str_to_int64((Str){ entries[i]->d_name, 20 }, 0, INT64_MAX, &base);
                if (i + 1 < count)
                        str_to_int64((Str){ entries[i + 1]->d_name, 20 }, 0, INT64_MAX, &next);
                if (r == 0 && next > offset && base < end_offset) {
                        if (base > offset || snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name) >= (int)sizeof(name))
                                r = -EUCLEAN;
                        else
                                r = read_segment(image, name, &offset, end_offset, timestamp_ms);
                }
                free(entries[i]);
        }
        if (count >= 0)
                free(entries);
        return r ? r : offset == end_offset && !image->replay.in_transaction ? 0 : -EUCLEAN;
}

static int read_image(MetadataImage *image, const char *path, int64_t end_offset, int64_t *ret_timestamp_ms) {
        MetadataSnapshots snapshots;
        char name[PATH_MAX];
        int64_t offset = 0;
        int r = metadata_snapshots_open(&snapshots, path);
        if (r == 0 && snapshots.count) {
                const MetadataSnapshot *newest = &snapshots.rows[snapshots.count - 1];
                metadata_snapshot_path(path, newest, name, sizeof(name));
                offset = newest->offset;
                *ret_timestamp_ms = newest->timestamp_ms;
                r = metadata_replay_snapshot(&image->replay, name);
        }
        metadata_snapshots_deinit(&snapshots);
        return r ? r : read_log(image, path, offset, end_offset, ret_timestamp_ms);
}

int metadata_snapshot_write(const char *path, int64_t end_offset, int32_t epoch, int64_t now_ms, MetadataSnapshot *ret_snapshot) {
        MetadataImage image;
        MetadataSnapshot snapshot = { .offset = end_offset, .epoch = epoch };
        Writer writer = { .out = BUFFER_INIT, .epoch = epoch, .now_ms = now_ms };
        char name[PATH_MAX];
        metadata_image_init(&image);
        batch_builder_init(&writer.batch, 0, -1, -1, -1);
        int r = read_image(&image, path, end_offset, &snapshot.timestamp_ms);
        if (r == 0)
                r = write_image(&writer, &image, snapshot.timestamp_ms);
        metadata_snapshot_path(path, &snapshot, name, sizeof(name));
        if (r == 0)
                r = file_replace(name, writer.out.data, writer.out.size);
        snapshot.size_bytes = (int64_t)writer.out.size;
        batch_builder_deinit(&writer.batch);
        buffer_deinit(&writer.out);
        metadata_image_deinit(&image);
        if (r == 0)
                *ret_snapshot = snapshot;
        return r;
}

/* ---- letting go */

/* Renamed at once, unlinked later. */
static int drop_oldest(MetadataSnapshots *snapshots, State *state) {
        char name[PATH_MAX], deleted[PATH_MAX + 16];
        metadata_snapshot_path(snapshots->path, &snapshots->rows[0], name, sizeof(name));
        snprintf(deleted, sizeof(deleted), "%s.deleted", name);
        int r = file_rename(name, deleted);
        if (r)
                return r;
        state_remove_file(state, strdup(deleted));
        snapshots->count--;
        memmove(snapshots->rows, snapshots->rows + 1, (size_t)snapshots->count * sizeof(*snapshots->rows));
        return 0;
}

void metadata_snapshots_retain(MetadataSnapshots *snapshots, State *state, Log *log) {
        int64_t bytes_max = config_int(state->config, "metadata.max.retention.bytes");
        int64_t ms_max = config_int(state->config, "metadata.max.retention.ms");
        while (snapshots->count > 1) {
                int64_t bytes = log_size_bytes(log);
                for (int32_t i = 0; i < snapshots->count; i++)
                        bytes += snapshots->rows[i].size_bytes;
                bool too_many = bytes_max >= 0 && bytes > bytes_max;
                bool too_old = ms_max >= 0 && state->now_ms - snapshots->rows[0].timestamp_ms > ms_max;
                if (!too_many && !too_old)
                        return;
                /* first the log: a start needs a snapshot at or above the log's beginning, and has the next one */
                int r = log_advance_start(log, snapshots->rows[1].offset, state->now_ms);
                if (r == 0)
                        r = drop_oldest(snapshots, state);
                if (r) {
                        trace_warn("cannot drop an old metadata snapshot: %s", r < 0 ? strerror(-r) : "it is ahead of the log");
                        return;
                }
        }
}
