/* Sends requests that were encoded beforehand, round and round over many connections, and times the answers.
 *
 * One thread, one epoll. Requests of a connection lie one after the other in the ring, so many leave with one sendmsg(), and
 * many answers come with one recv(): the generator costs a fraction of what any broker does with a request. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/base/buffer.h"
#include "tools/loadgen/histogram.h"
#include "tools/loadgen/options.h"

/* Frames one after the other; the correlation id of a request is its slot. */
typedef struct Ring {
        Buffer bytes;
        size_t *begins; /* of the frames; begins[count] is the end of the last */
        int32_t count, capacity;
} Ring;

/* Call it before each frame is appended to ring->bytes. Returns the frame's slot. */
int32_t ring_mark(Ring *ring);
/* Call it after the last frame. */
void ring_end(Ring *ring);
void ring_deinit(Ring *ring);

typedef struct Pump Pump;

/* A connection beside those of the pump, on the same epoll. */
typedef struct PumpSide {
        int fd;
        void (*ready)(Pump *pump, void *userdata); /* something came */
        int64_t (*completed)(void *userdata);      /* how many of the requests are done on its side, too */
} PumpSide;

typedef struct PumpPlan {
        const Options *options; /* connections, in_flight, requests, rate, poll */
        const Ring *ring;
        /* Judges an answer, a frame without its length; ends the program when it is wrong. */
        void (*check)(void *userdata, int32_t slot, const uint8_t *answer, size_t size);
        void *userdata;
        const PumpSide *side; /* may be NULL */
} PumpPlan;

typedef struct PumpResult {
        int64_t requests, bytes_out, bytes_in; /* without the unmeasured ones */
        double seconds, own_cpu_s, broker_cpu_s;
        double unmeasured_cpu_s; /* the broker's, for those */
        Histogram latency_ns; /* against the scheduled time when a rate is given, else against the sending */
} PumpResult;

/* Runs a plan to its end. */
void pump_run(const PumpPlan *plan, PumpResult *ret_result);

/* When request i (from 0) of an open loop had to be sent. */
int64_t pump_scheduled_ns(const Pump *pump, int64_t i);
