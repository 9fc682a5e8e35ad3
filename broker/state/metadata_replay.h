/* Turning metadata records back into state: of our own log, or one that Apache Kafka left, with its snapshot. */
#pragma once

#include "broker/state/state.h"
#include "storage/base/buffer.h"

typedef struct MetadataReplay {
        State *state;
        bool in_transaction; /* between a BeginTransaction record and its End: records wait in pending */
        Buffer pending;      /* size_t length, bytes ... */
} MetadataReplay;

void metadata_replay_init(MetadataReplay *replay, State *state);
/* Drops a transaction that never ended. */
void metadata_replay_deinit(MetadataReplay *replay);

/* Applies whole batches whose CRC was checked, skipping those before offset; *ret_offset is the one after the last. 0, -EUCLEAN, -ENOMEM. */
int metadata_replay_bytes(MetadataReplay *replay, const uint8_t *data, size_t size, int64_t offset, int64_t *ret_offset);

/* Applies the newest snapshot in the log's directory, if there is one; *ret_offset is where the log goes on. */
int metadata_replay_snapshot(MetadataReplay *replay, const char *path, int64_t *ret_offset);
