/* A broker's state without sockets, on a temporary directory, and a clock that moves only when told to.
 *
 * For suites' init and fini; Criterion runs every test in a process of its own. */
#pragma once

#include "broker/state/state.h"

#define FIXTURE_NOW 1700000000000

typedef struct StateFixture {
        char dir[64];
        Config config;
        State *state;
} StateFixture;

/* As Produce waits for the records before an offset. */
typedef struct Ack {
        CommitWait wait;
        Partition *partition;
        int64_t end_offset;
        void (*on_done)(void); /* or NULL */
        int count;             /* of acknowledgements */
} Ack;

/* Makes the directory and opens it. */
void state_fixture_start(StateFixture *fixture);
/* Closes and removes it. */
void state_fixture_end(StateFixture *fixture);

/* Stops cleanly, and starts again. */
void state_fixture_reopen(StateFixture *fixture);
/* The same as if the process had been killed: what the turn has not committed is lost, and whoever waits for it is told so. */
void state_fixture_crash(StateFixture *fixture);

/* How many files and directories have such names, a pattern of the shell below the data directory. */
int state_fixture_count(const StateFixture *fixture, const char *pattern);

/* As CreateTopics: waits until the topic that had the name before is gone. */
int state_fixture_create(StateFixture *fixture, Str name, int32_t partition_count, Topic **ret_topic);
/* The same in any state, with configs. */
int state_create_patiently(State *state, Str name, int32_t partition_count, const ConfigMap *config, Topic **ret_topic);
/* Appends a record to be committed with the turn; returns the offset behind it. */
int64_t state_append_one(State *state, Partition *partition, Str value);
/* The same, to be acknowledged; *ack stays where it is until then. */
void state_append_acked(State *state, Partition *partition, Ack *ack);
/* The CommitWait of an Ack: acknowledges what is settled, or else waits for the sync that settles it. */
void ack_on_commit(CommitWait *wait, State *state);
/* As DeleteRecords: makes the starts of logs durable. 0 or -errno. */
int state_write_starts(State *state);
/* As InitProducerId: waits for a block of ids. */
int64_t state_take_producer_id(State *state);

/* Sets a broker config by name. */
void state_fixture_set(StateFixture *fixture, const char *name, const char *value);

/* Moves both clocks on; every timer on the way fires at its time, and the turn is committed after each. */
void state_fixture_advance(StateFixture *fixture, int64_t ms);

/* All writes fail from now on, or work again. */
void state_fixture_fail_writes(bool fail);
