/* Offsets committed inside transactions (KIP-98): they take effect when the transaction commits, and are forgotten when it aborts. */
#pragma once

#include "broker/state/state.h"

int offsets_pending_open(State *state);
void offsets_pending_close(State *state);

/* One offset of a group, as written into the partition of __consumer_offsets that holds the group. */
typedef struct PendingCommit {
        Str group, topic, metadata;
        int32_t partition, leader_epoch;
        int64_t offset, commit_ms;
} PendingCommit;

/* Remembers a commit until the transaction of producer_id ends in that partition of __consumer_offsets, in place of the producer's
 * earlier one for the same group and partition. 0 or -ENOMEM. */
int offsets_pending_add(State *state, int32_t offsets_partition, int64_t producer_id, const PendingCommit *commit);

/* Whether odradek.max.pending.offsets leaves room for that many that a client wants to commit: 0 or KAFKA_POLICY_VIOLATION. Commits that
 * are on their way are not counted. */
int16_t offsets_pending_check_room(const State *state, int32_t count);

/* The end marker came. */
void offsets_pending_end(State *state, int32_t offsets_partition, int64_t producer_id, bool commit);

/* A later commit outside transactions stands, whatever comes of the earlier ones. */
void offsets_pending_supersede(State *state, Str group, Str topic, int32_t partition);

/* A tombstone: nothing is pending for that partition any more. */
void offsets_pending_forget(State *state, Str group, Str topic, int32_t partition);

/* Calls each() once for every partition that something is pending for, of that group and that topic (null: of any). each() may forget
 * its own. The strings live as long as what is pending. */
void offsets_pending_each(State *state, Str group, Str topic,
                          void (*each)(State *state, Str group, Str topic, int32_t partition, void *data), void *data);

/* Whether a transaction may still change the offset: OffsetFetch with require_stable says so (KIP-447). */
bool offsets_pending_has(const State *state, Str group, Str topic, int32_t partition);
