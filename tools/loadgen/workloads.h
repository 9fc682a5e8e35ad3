/* The modes of the load generator. Each prints one JSON object and returns; what is wrong ends the program with 1. */
#pragma once

#include "tools/loadgen/client.h"
#include "tools/loadgen/options.h"
#include "tools/loadgen/pump.h"

/* Produce requests of one batch each, over all partitions of all topics; the topics have to be empty. */
void workload_produce(const Options *options);
/* Reads all partitions from their beginning, rounds times; with --expect, so many records have to be there. */
void workload_fetch(const Options *options);
/* Open loop: one producer's records, from when they had to be sent to when a fetch brought them. */
void workload_end_to_end(const Options *options);
/* Connections that asked once and then say nothing, until standard input ends. */
void workload_idle(const Options *options);
/* Connections each with a fetch parked on an empty partition, until standard input ends. */
void workload_parked(const Options *options);
/* Keeps each processor from falling asleep, with a thread of the lowest priority that wakes up all the time, until standard input ends: to
 * wake a processor takes longer than a request, in a virtual machine above all, and says nothing of a broker. A thread that only span would
 * do as well for the median, but it delays one wake-up of a hundred until the kernel's next tick. */
void workload_awake(const Options *options);
/* Groups of one member: joins and syncs of all, then heartbeats, then commits of offsets. */
void workload_groups(const Options *options);
/* Metadata of all topics. */
void workload_metadata(const Options *options);
/* Tries until the first produce is acknowledged; with --create 1 it creates the topic, too. Prints the clock's time of it. */
void workload_first(const Options *options);

/* What this machine does without a broker. */
void floor_echo_server(const Options *options);
void floor_echo(const Options *options);
void floor_receive(const Options *options);
void floor_storage(const Options *options);
void floor_fdatasync(const Options *options);
void floor_files(const Options *options);
void floor_checksum(const Options *options);

/* The object of a result, with more pairs ("\"a\": 1, ") before the common ones. */
void print_result(const char *more, const PumpResult *result);

/* A sealed batch of that many records without keys. */
Buffer make_batch(int64_t records, int64_t record_bytes);

/* What tells the answers to Produce apart, at the same places in each. */
typedef struct ProduceLayout {
        size_t size, index_at, error_at, offset_at;
} ProduceLayout;

/* That of answers for one partition of the topic. */
ProduceLayout produce_layout(Str topic);

/* A request with one batch, all in one piece. */
typedef struct ProduceOne {
        ProduceRequest request;
        ProduceRequestTopicData topic;
        ProduceRequestPartitionData partition;
} ProduceOne;

/* Fills it in, as the options say; topic and batch are not copied. Returns the request, which lives as long as one. */
const ProduceRequest *produce_one(ProduceOne *one, const Options *options, Str topic, int32_t partition, const Buffer *batch);
/* Appends such a request to the ring. */
void produce_append(Ring *ring, const Options *options, Str topic, int32_t partition, const Buffer *batch);
/* The base offset in an answer for that partition; ends the program when it is another answer or an error. */
int64_t produce_check(const ProduceLayout *layout, int32_t partition, const uint8_t *answer, size_t size);
