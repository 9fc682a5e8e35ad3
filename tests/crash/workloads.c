/* Each ends with the process running or not: whoever runs it decides what comes then. */
#include "tests/crash/workloads.h"

#define DAY_MS 86400000

static void run_append(World *world) {
        world_start(world);
        world_create(world, 0);
        world_append(world, 0, 0, 4);
        world_append(world, 0, 1, 2);
}

static void run_roll(World *world) {
        world_start(world);
        world_create_rolling(world, 0);
        world_append(world, 0, 0, 16);
}

/* Indexes come back from their files, and are continued. */
static void run_index(World *world) {
        world_start(world);
        world_create_rolling(world, 0);
        world_append(world, 0, 0, 6);
        world_stop(world);
        world_start(world);
        world_append(world, 0, 0, 6);
        world_crash(world);
        world_start(world);
        world_append(world, 0, 0, 4);
}

static void run_checkpoint(World *world) {
        world_start(world);
        world_create_rolling(world, 0);
        world_append(world, 0, 0, 7);
        world_pass(world, 120000);
        world_append(world, 0, 0, 3);
        world_pass(world, 120000);
}

static void run_topics(World *world) {
        world_start(world);
        world_create(world, 0);
        world_append(world, 0, 0, 2);
        world_create(world, 1);
        world_delete(world, 0);
        world_create(world, 0);
        world_append(world, 0, 0, 2);
        world_delete(world, 1);
}

/* What is made for nobody is gone, and in nobody's way. */
static void run_creation(World *world) {
        world_start(world);
        world_create_in_vain(world, 0);
        world_create(world, 0);
        world_append(world, 0, 1, 1);
        world_create_in_vain(world, 1);
        world_crash(world);
        world_start(world);
        world_create(world, 1);
        world_append(world, 1, 0, 1);
}

/* A topic that comes back when its deletion is not on disk is as it was, its checkpoints and offsets too. */
static void run_deletion(World *world) {
        world_start(world);
        world_create_rolling(world, 0);
        world_append(world, 0, 0, 9);
        world_delete_records(world, 0, 0, 6);
        world_commit(world, 0, 3);
        world_delete_checkpointed(world, 0);
        world_create(world, 1);
}

static void run_commits(World *world) {
        world_start(world);
        world_create(world, 0);
        world_commit(world, 0, 1);
        world_commit(world, 0, 2);
        world_stop(world);
        world_start(world);
        world_commit(world, 0, 3);
}

/* DeleteRecords. */
static void run_truncate(World *world) {
        world_start(world);
        world_create_rolling(world, 0);
        world_append(world, 0, 0, 12);
        world_delete_records(world, 0, 0, 3);
        world_delete_records(world, 0, 0, 9);
        world_append(world, 0, 0, 2);
        world_delete_records(world, 0, 0, 14);
}

static void run_retention(World *world) {
        world->forgets = true;
        world_start(world);
        world_create_rolling(world, 0);
        world_append(world, 0, 0, 12);
        world_configure(world, 0, "retention.bytes", 100);
        world_pass(world, 310000);
        world_append(world, 0, 0, 2);
        world_configure(world, 0, "retention.ms", 1000000);
        world_pass(world, 1310000);
        world_append(world, 0, 0, 1);
}

static void run_clean_stop(World *world) {
        world_start(world);
        world_create(world, 0);
        world_append(world, 0, 0, 3);
        world_stop(world);
        world_start(world);
        world_stop(world);
        world_start(world);
        world_append(world, 0, 1, 1);
        world_stop(world);
}

static void run_metadata(World *world) {
        world_start(world);
        world_create(world, 0);
        world_configure(world, 0, "flush.ms", 5000);
        world_configure(world, 0, "flush.ms", 6000);
        world_stop(world);
        world_start(world);
        world_configure(world, 0, "flush.ms", 7000);
}

/* Acknowledged once it is on disk. */
static void run_durable(World *world) {
        world->config.durable = true;
        world_start(world);
        world_create_rolling(world, 0);
        world_append(world, 0, 0, 6);
        world_commit(world, 0, 5);
        world_append(world, 0, 1, 1);
}

static void run_recovery(World *world) {
        world_start(world);
        world_create_rolling(world, 0);
        world_append(world, 0, 0, 9);
        world_commit(world, 0, 4);
        world_crash(world);
        world_start(world);
        world_append(world, 0, 0, 1);
        world_crash(world);
        world_start(world);
}

/* Twice: clean segments, and then these with dirty ones. */
static void run_compaction(World *world) {
        world_start(world);
        world_create_compacted(world, 0);
        world_append(world, 0, 0, 13);
        world_pass(world, 20000);
        world_append(world, 0, 0, 9);
        world_pass(world, 20000);
        world_append(world, 0, 0, 1);
}

/* A wall clock that was wrong, and is put right while the broker is running. */
static void run_clock(World *world) {
        world->now_ms += 30 * (int64_t)DAY_MS;
        world_start(world);
        world_create_rolling(world, 0);
        world_append(world, 0, 0, 7);
        world_set_back(world, 30 * (int64_t)DAY_MS);
        world_append(world, 0, 0, 7);
        world_commit(world, 0, 3);
        world_pass(world, 310000);
        world_set_back(world, 30 * (int64_t)DAY_MS);
        world_stop(world);
        world_start(world);
        world_append(world, 0, 0, 3);
}

const Workload workloads[] = {
        { "append", run_append },         { "roll", run_roll },           { "index", run_index },
        { "checkpoint", run_checkpoint }, { "topics", run_topics },       { "commits", run_commits },
        { "truncate", run_truncate },     { "retention", run_retention }, { "clean stop", run_clean_stop },
        { "metadata", run_metadata },     { "durable", run_durable },     { "recovery", run_recovery },
        { "compaction", run_compaction }, { "clock", run_clock },
        { "deletion", run_deletion },     { "creation", run_creation },
};
const int workload_count = sizeof(workloads) / sizeof(workloads[0]);
