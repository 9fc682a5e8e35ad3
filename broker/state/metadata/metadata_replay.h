/* Turning metadata records back into state: of our own log, or one that Apache Kafka left, with its snapshot. */
#pragma once

#include "broker/state/state.h"
#include "storage/base/buffer.h"

/* One record: its type, version and message, and the whole of it. */
typedef struct MetadataFrame {
        uint32_t type, version;
        Str body, whole;
} MetadataFrame;

typedef struct MetadataReplay MetadataReplay;
struct MetadataReplay {
        State *state; /* NULL where each is another's */
        /* What happens to the records, in order, without those of transactions that were aborted. 0 or -errno. */
        int (*each)(MetadataReplay *replay, const MetadataFrame *frame);
        /* Records of control batches (Kafka's ControlRecordType); may be NULL. 0 or -errno. */
        int (*control)(MetadataReplay *replay, int16_t type, Str value);
        bool in_transaction; /* between a BeginTransaction record and its End: records wait in pending */
        int64_t record_count; /* that were seen, control records aside */
        Buffer pending;      /* size_t length, bytes ... */
};

/* Into state. */
void metadata_replay_init(MetadataReplay *replay, State *state);
/* Drops a transaction that never ended. */
void metadata_replay_deinit(MetadataReplay *replay);

/* Applies whole batches, checking their CRCs, skipping those before offset; *ret_offset is the one after the last. 0, -EUCLEAN, -ENOMEM. */
int metadata_replay_bytes(MetadataReplay *replay, const uint8_t *data, size_t size, int64_t offset, int64_t *ret_offset);

/* Applies a snapshot, our own or Kafka's, checking all CRCs. 0, -EUCLEAN, -errno. */
int metadata_replay_snapshot(MetadataReplay *replay, const char *path);

bool metadata_read_frame(Str value, MetadataFrame *ret_frame);
