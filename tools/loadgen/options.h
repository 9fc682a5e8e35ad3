/* What a run of the load generator is told on its command line. */
#pragma once

#include <stdint.h>

typedef struct Options {
        const char *host, *topic, *group, *directory, *file;
        int64_t port, pid;                          /* of the broker; pid 0: its CPU time is not measured */
        int64_t topics, partitions;                 /* topics above 1: topic-00000, topic-00001 ... */
        int64_t records, record_bytes, acks;        /* of a produce request's one batch */
        int64_t connections, in_flight;             /* in flight on each connection */
        int64_t requests, rate;                     /* in all; a second, 0: closed loop */
        int64_t poll;                               /* 1: an open loop does not sleep while an answer may come, see pump.c */
        int64_t unmeasured;                         /* the first so many of them: what is done once is not in the figures */
        int64_t bytes, groups, wait_ms, check_every; /* of fetches: every n-th batch has its CRC checked */
        int64_t expect, rounds, create;
} Options;

#define OPTIONS_INIT                                                                                                      \
        ((Options){ .host = "127.0.0.1", .topic = "bench", .group = "bench", .directory = ".", .topics = 1, .partitions = 1, \
                    .records = 1, .record_bytes = 100, .acks = 1, .connections = 1, .in_flight = 1, .requests = 1000,      \
                    .bytes = 1 << 20, .groups = 1, .wait_ms = 500, .check_every = 16, .expect = -1, .rounds = 1 })

/* Reads --name value pairs; ends the program on anything else. */
Options options_parse(int argc, char **argv);
