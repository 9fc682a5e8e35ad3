/* A broker's state, and a model of what was acknowledged. Every step may fail; then what it was to do is in doubt, and
 * stays so until the next look at what is there. */
#pragma once

#include "broker/state/state.h"

#define WORLD_NOW INT64_C(1700000000000)
#define WORLD_TOPICS 3
#define WORLD_PARTITIONS 2
#define WORLD_RECORDS_MAX 256

typedef struct WorldLog {
        int attempted;                              /* records 0 .. attempted - 1 were sent */
        int64_t acknowledged[WORLD_RECORDS_MAX];    /* offset, or -1 */
        int64_t start_asked, start_acknowledged;    /* DeleteRecords */
} WorldLog;

typedef struct WorldTopic {
        enum { WORLD_GONE, WORLD_THERE, WORLD_DOUBTFUL } presence;
        bool compacts;
        WorldLog logs[WORLD_PARTITIONS];
        int64_t commit_asked, commit_acknowledged; /* of partition 0, by one group */
        int64_t flush_asked, flush_acknowledged;   /* the config flush.ms, which rises */
} WorldTopic;

typedef struct World {
        char dir[64];
        Config config;
        State *state; /* NULL when it could not be opened */
        int64_t now_ms;
        bool has_power; /* a start finds what the one before has written, on the disk or not */
        bool forgets; /* retention may drop acknowledged records */
        WorldTopic topics[WORLD_TOPICS];
        int acknowledged; /* steps, in all */
} World;

void world_init(World *world);
void world_deinit(World *world);

/* Each is passed over while there is no state. */
void world_start(World *world);
void world_stop(World *world);  /* cleanly, as far as it goes */
void world_crash(World *world); /* the process ends here */
void world_create(World *world, int topic);
void world_create_in_vain(World *world, int topic); /* the client goes away before it is done */
void world_create_rolling(World *world, int topic); /* a new segment every few records */
void world_create_compacted(World *world, int topic); /* that, and its records have one of a few keys */
void world_delete(World *world, int topic);
/* The same; the checkpoint files are written before its record is on disk. */
void world_delete_checkpointed(World *world, int topic);
void world_append(World *world, int topic, int partition, int count);
void world_commit(World *world, int topic, int64_t offset);
void world_delete_records(World *world, int topic, int partition, int64_t offset);
void world_configure(World *world, int topic, const char *key, int64_t value);
void world_pass(World *world, int64_t ms); /* timers fire */
void world_set_back(World *world, int64_t ms); /* the wall clock; time goes on from there */

/* Compares what is there with the model, which takes over what was in doubt; then the world has to go on. */
void world_check(World *world, const char *what);
