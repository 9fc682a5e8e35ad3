/* The metadata log: writer and replayer of __cluster_metadata-0.
 *
 * Topics, configs and producer ids are what a replay of this log gives. The records are Kafka's (KIP-631), each framed as
 * varint frame version, varint record type, varint record version, message. */
#pragma once

#include "broker/protocol/codec.h"
#include "broker/protocol/schema.h"
#include "broker/state/state.h"
#include "storage/batch.h"

#define METADATA_LEADER_EPOCH 1 /* of a log that we began */
#define METADATA_PARTITION_RECORD_VERSION 1 /* with directories; 2 needs a feature that we don't turn on */
#define METADATA_PRODUCER_ID_BLOCK 1000

/* Opens the log, replays it into state, and writes the bootstrap records where it is empty. 0, -EUCLEAN or -errno, traced. */
int metadata_open(State *state, bool clean_shutdown, int64_t recovery_point);
/* Below this offset everything is on disk. */
int64_t metadata_recovery_point(const State *state);
/* The offset that its next record gets, and the epoch that its next batch is written in. */
int64_t metadata_end_offset(const State *state);
int32_t metadata_leader_epoch(const State *state);
/* For the flusher: as log_sync_begin() and log_sync_finish(). */
int metadata_sync_begin(State *state, LogSync **ret_sync);
void metadata_sync_finish(State *state, LogSync *sync, int result);
/* 0 or -errno. */
int metadata_close(State *state);
void metadata_abandon(State *state);

/* Frame and message of one record, appended to out, whose bytes.failed tells of an error. */
void metadata_encode_record(const MessageSchema *message, int16_t version, const void *record, Reply *out);

/* Records that become true together. */
typedef struct MetadataBatch {
        BatchBuilder builder;
        int64_t now_ms;
        int error; /* the first one */
} MetadataBatch;

void metadata_batch_init(MetadataBatch *batch, const State *state);
/* record is the message's C struct. */
void metadata_batch_add(MetadataBatch *batch, const MessageSchema *message, int16_t version, const void *record);
/* Config records that turn the entries of one source in old into those in new. */
void metadata_batch_add_configs(MetadataBatch *batch, ConfigResource resource, Str resource_name, ConfigSource source,
                                const ConfigMap *from, const ConfigMap *to);
/* Writes what was added (nothing is fine), and ends the batch. 0 or -errno: nothing became true, or the broker has failed. It is on
 * disk when state_metadata_mark() is past: until then nobody is told, and nothing else on disk may rest on it. */
int metadata_batch_write(State *state, MetadataBatch *batch);
/* Ends the batch without writing. */
void metadata_batch_deinit(MetadataBatch *batch);
