/* Client metrics (KIP-714): which metrics a client is asked for, and how often it may push them.
 *
 * The subscriptions are configs (CONFIG_RESOURCE_CLIENT_METRICS). An instance is what is remembered of a client: it is forgotten when its
 * connection closes, when it is silent, and when there are odradek.max.telemetry.instances newer ones; its subscription id stays the same then.
 * What is pushed goes nowhere: like a Kafka without a receiver of metrics, the broker does not tell clients of these requests. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/base/arena.h"
#include "storage/base/list.h"
#include "storage/base/str.h"
#include "storage/base/uuid.h"

#define TELEMETRY_IDLE_MS 60000
#define TELEMETRY_METRICS_BYTES_MAX (64 << 20) /* of a push, inflated */

typedef struct State State;
typedef struct Telemetry Telemetry;

/* Who asks: what subscriptions may be about. */
typedef struct TelemetryClient {
        Uuid instance_id;
        Str client_id, software_name, software_version, source_address;
        int32_t source_port;
        List *instances; /* of the connection, for telemetry_forget(); NULL: of none */
} TelemetryClient;

typedef struct TelemetrySubscription {
        int32_t id;
        int32_t push_interval_ms;
        Str *metrics; /* in the arena */
        int32_t metric_count;
} TelemetrySubscription;

typedef struct TelemetryPush {
        int32_t subscription_id;
        bool terminating;
        int8_t compression_type;
        Str metrics;
} TelemetryPush;

int telemetry_open(State *state);
void telemetry_close(State *state);

/* What the client is asked for. 0; THROTTLING_QUOTA_EXCEEDED when it asks again too early; -ENOMEM. */
int telemetry_subscribe(State *state, const TelemetryClient *client, Arena *arena, TelemetrySubscription *ret_subscription);

/* Checks a push, and drops what it holds. 0, INVALID_REQUEST, THROTTLING_QUOTA_EXCEEDED, UNKNOWN_SUBSCRIPTION_ID,
 * UNSUPPORTED_COMPRESSION_TYPE, TELEMETRY_TOO_LARGE, INVALID_RECORD or -ENOMEM. */
int telemetry_push(State *state, const TelemetryClient *client, const TelemetryPush *push);

/* The connection that these instances came by is closed. */
void telemetry_forget(State *state, List *instances);

/* Whether a list of NAME=PATTERN is one; otherwise *ret_item is its first bad item. */
bool telemetry_check_match(Str match, Str *ret_item);
