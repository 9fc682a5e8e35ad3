/* Snapshots of the metadata log: OFFSET-EPOCH.checkpoint beside its segments, as KRaft writes them (KIP-630).
 *
 * A snapshot says what the log says below OFFSET: control batches with a header and a footer around batches of metadata records,
 * whose offsets count from 0. It is written by the worker, from the snapshot before it and the log's files, whenever so many
 * bytes or milliseconds (metadata.log.max.record.bytes.between.snapshots, metadata.log.max.snapshot.interval.ms) have gone by; older
 * ones, and the log below the oldest that is kept, go as metadata.max.retention.bytes and .ms say. */
#pragma once

#include "broker/state/state.h"

typedef struct MetadataSnapshot {
        int64_t offset;       /* the log goes on here */
        int32_t epoch;        /* of the last record in it */
        int64_t size_bytes;
        int64_t timestamp_ms; /* of the last record in it; 0: unknown */
} MetadataSnapshot;

typedef struct MetadataSnapshots {
        const char *path;       /* of the log's directory, not owned */
        MetadataSnapshot *rows; /* by offset */
        int32_t count;
} MetadataSnapshots;

/* "PATH/OFFSET-EPOCH.checkpoint" */
void metadata_snapshot_path(const char *path, const MetadataSnapshot *snapshot, char *ret_path, size_t size);

/* What is in the directory; removes leftovers of snapshots that were being written or deleted. 0 or -errno. */
int metadata_snapshots_open(MetadataSnapshots *snapshots, const char *path);
void metadata_snapshots_deinit(MetadataSnapshots *snapshots);

/* Writes one for the log's first end_offset records, from the newest snapshot in the directory and the segments. Any thread. 0,
 * -EUCLEAN or -errno; *ret_snapshot also has its size. */
int metadata_snapshot_write(const char *path, int64_t end_offset, int32_t epoch, int64_t now_ms, MetadataSnapshot *ret_snapshot);

/* After it was written: 0 or -ENOMEM. */
int metadata_snapshots_add(MetadataSnapshots *snapshots, const MetadataSnapshot *snapshot);

/* Lets the oldest go, but never the newest, while all together are too big or it is too old, and with it the log below the next one. */
void metadata_snapshots_retain(MetadataSnapshots *snapshots, State *state, Log *log);
