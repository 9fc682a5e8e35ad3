/* Commits of offsets on their way into the log. They take effect when they are written, whether or not the client still waits. */
#pragma once

#include "broker/state/journal.h"

typedef struct OffsetToCommit {
        Str topic, metadata;
        int32_t partition, leader_epoch;
        int64_t offset, commit_ms, expire_ms; /* expire_ms -1: by offsets.retention.minutes */
} OffsetToCommit;

/* The transaction that the commits belong to. */
typedef struct OffsetsProducer {
        int64_t id;
        int16_t epoch;
} OffsetsProducer;

/* Who waits. done() gets 0 or a code, unless it is cancelled; not before offsets_write() returned. */
typedef struct OffsetsWrite OffsetsWrite;
typedef struct OffsetsWait OffsetsWait;
struct OffsetsWait {
        void (*done)(OffsetsWait *wait, State *state, int16_t code);
        OffsetsWrite *write;
};
void offsets_wait_cancel(OffsetsWait *wait);

/* Whether it is within offset.metadata.max.bytes, which Kafka counts not in bytes but in units of UTF-16. */
bool offsets_metadata_fits(const State *state, Str metadata);

/* Writes commits of a group; everything is copied. With a producer they are pending until its transaction ends. 0; a positive code or
 * -errno, and then done() is not called. */
int offsets_write(State *state, Str group_id, const OffsetToCommit *offsets, int32_t count, const OffsetsProducer *producer,
                  OffsetsWait *wait);
