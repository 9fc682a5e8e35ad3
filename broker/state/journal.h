/* __consumer_offsets: its one writer and its one replayer.
 *
 * Keys and values are Kafka's own (OffsetCommitKey 1, GroupMetadataKey 2, ...), each with a version number in front; a
 * group's records all live in one partition. */
#pragma once

#include "broker/protocol/schema.h"
#include "broker/state/groups/groups.h"
#include "storage/batch.h"

/* The partition that holds the group's records, as Kafka computes it; 0 <= result < partition_count. */
int32_t journal_partition_index(Str group_id, int32_t partition_count);
/* The same of __consumer_offsets as it is; NULL: there is none. Its log may be missing: nothing can be known of the group before a repair. */
Partition *journal_partition(const State *state, Str group_id);

/* Records that wait for the commit of the turn. done() gets 0 or a positive code. */
typedef struct JournalWrite JournalWrite;
struct JournalWrite {
        CommitWait wait;
        Partition *partition;
        void (*done)(JournalWrite *write, State *state, int16_t code);
};

/* A batch under construction: begin, add, append (which ends it). */
typedef struct Journal {
        BatchBuilder batch;
        int64_t now_ms;
} Journal;

void journal_begin(Journal *journal, int64_t now_ms);
/* Offsets that count when the producer's transaction commits. */
void journal_begin_transactional(Journal *journal, int64_t now_ms, int64_t producer_id, int16_t producer_epoch);
void journal_add_offset(Journal *journal, Str group_id, const CommittedOffset *offset);
void journal_add_offset_tombstone(Journal *journal, Str group_id, Str topic, int32_t partition);
/* The group with its members and their assignments, or (no members) as an empty one. */
void journal_add_group(Journal *journal, const Group *group);
void journal_add_group_tombstone(Journal *journal, Str group_id);
/* What takes a group away that has no members, of either protocol. */
void journal_add_group_end(Journal *journal, const Group *group);

/* A record of any type; value NULL makes a tombstone. For state/ only. */
void journal_add(Journal *journal, const MessageSchema *key_message, const void *key, const MessageSchema *value_message,
                 int16_t version, const void *value);
/* Decodes a value with its version in front. 0, a positive code, or -ENOMEM. */
int journal_decode(const MessageSchema *message, Str bytes, Arena *arena, void *ret_value);
/* How many records were added. */
static inline int32_t journal_count(const Journal *journal) {
        return journal->batch.header.record_count;
}

/* Queues the batch, which is taken over; write->done() is called after the commit (write may be NULL). 0; a positive code or -errno, and then
 * done() is not called. */
int journal_append(State *state, Journal *journal, Str group_id, JournalWrite *write,
                   void (*done)(JournalWrite *write, State *state, int16_t code));

/* What a client is told of such a failure: COORDINATOR_NOT_AVAILABLE, or what Kafka says where the records don't fit a batch. */
int16_t journal_code(int r);

/* Appends and commits the turn. 0; a positive code or -errno, and then the records are not in the log. */
int journal_write(State *state, Journal *journal, Str group_id);

/* Whether the partition of the internal topic that key belongs to could be read back. While it is damaged nobody may be told that there
 * is nothing about key. */
bool journal_is_readable(const State *state, Str topic_name, Str key);

/* Puts every record of __consumer_offsets into memory. 0 or -errno. */
int journal_replay(State *state);
/* The same with the records of one group, but for its offsets. */
int journal_replay_group(State *state, Str group_id);
/* For an answer that tells of what others have queued in this turn: done() as with journal_append(). */
void journal_follow(State *state, Str group_id, JournalWrite *write, void (*done)(JournalWrite *write, State *state, int16_t code));
