/* The small text files beside the logs, in Kafka's formats: version, count, lines.
 *
 * Written to NAME.tmp, synced, renamed, directory synced. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/base/buffer.h"
#include "storage/base/str.h"
#include "storage/base/uuid.h"

/* One row of recovery-point-offset-checkpoint, log-start-offset-checkpoint or replication-offset-checkpoint. */
typedef struct CheckpointRow {
        const char *topic;
        int32_t partition;
        int64_t offset;
} CheckpointRow;

/* The content of such a file, appended to out (out->failed without memory). */
void checkpoint_format(const CheckpointRow *rows, int32_t count, Buffer *out);

/* Calls each for every row (row->topic is valid during the call). 0, -ENOENT, -EUCLEAN (malformed), -errno. */
int checkpoint_read(const char *dir, const char *name, void (*each)(const CheckpointRow *row, void *data), void *data);

/* Calls each for every line after version and count; a negative result of each ends it. 0, -ENOENT, -EUCLEAN, -errno. */
int checkpoint_read_rows(const char *dir, const char *name, int (*each)(Str line, void *data), void *data);

/* Replaces dir/name by text, durably. 0 or -errno. */
int checkpoint_write_text(const char *dir, const char *name, Str text);
/* The same, but syncing it is left to others. */
int checkpoint_write_unsynced(const char *dir, const char *name, Str text);

/* partition.metadata: "version: 0" and "topic_id: ..."; durably where is_synced says so. */
int checkpoint_write_partition_metadata(const char *dir, const Uuid *topic_id, bool is_synced);
/* 0, -ENOENT (there is none, or nothing in it reached the disk), -EUCLEAN, -errno. */
int checkpoint_read_partition_metadata(const char *dir, Uuid *ret_topic_id);

/* meta.properties of a KRaft directory (version=1). */
typedef struct MetaProperties {
        int32_t node_id;
        char cluster_id[64];
        Uuid directory_id;
} MetaProperties;

/* Durably. 0 or -errno. */
int checkpoint_write_meta(const char *dir, const MetaProperties *meta);
/* 0, -ENOENT, -EUCLEAN (malformed, or another version: *ret_reason says what, static text), -errno. */
int checkpoint_read_meta(const char *dir, MetaProperties *ret_meta, const char **ret_reason);
