/* Groups of the consumer protocol in __consumer_offsets: Kafka's records of types 3 to 8 and 16. */
#pragma once

#include "broker/state/groups/consumer.h"
#include "broker/state/journal.h"

void consumer_journal_group(Journal *journal, const ConsumerGroup *consumer);
/* The record in which Kafka 4.0 kept the topics' partitions; it is only ever taken away. */
void consumer_journal_no_partition_metadata(Journal *journal, const ConsumerGroup *consumer);
void consumer_journal_target_epoch(Journal *journal, const ConsumerGroup *consumer);
void consumer_journal_member(Journal *journal, const ConsumerMember *member);
void consumer_journal_target(Journal *journal, const ConsumerMember *member);
void consumer_journal_current(Journal *journal, const ConsumerMember *member);
/* Tombstones of all that the log has of a member, in Kafka's order. */
void consumer_journal_member_end(Journal *journal, const ConsumerMember *member);
void consumer_journal_regex(Journal *journal, const ConsumerGroup *consumer, const GroupRegex *regex);
void consumer_journal_regex_end(Journal *journal, const ConsumerGroup *consumer, Str pattern);

/* All of a group that was a classic one. */
void consumer_journal_all(Journal *journal, const ConsumerGroup *consumer);
/* Tombstones of a group and its members. */
void consumer_journal_end(Journal *journal, const ConsumerGroup *consumer);

/* Puts a record of these types into memory; others are passed over. 0, a positive code for one that is not understood, or -errno. */
int consumer_replay(State *state, int16_t kind, Str key, Str value, Arena *arena);
