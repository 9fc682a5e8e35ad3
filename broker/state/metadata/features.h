/* Features: what the metadata log says of the levels that were agreed on (KIP-584), and which levels there are here.
 *
 * Clients act on a finalized level: a Java producer uses transactions v2 from transaction.version 2 on, a consumer the newer
 * protocol from group.version 1 on. So no level is reported, or can be set, whose APIs are not served. */
#pragma once

#include <stdint.h>

#include "storage/base/str.h"

typedef struct State State;

typedef enum Feature {
        FEATURE_GROUP,
        FEATURE_KRAFT,
        FEATURE_METADATA,
        FEATURE_SHARE,
        FEATURE_STREAMS,
        FEATURE_TRANSACTION,
        FEATURE_ELIGIBLE_LEADER_REPLICAS,
        FEATURE_COUNT,
} Feature;

typedef struct FeatureRow {
        const char *name;
        int16_t level_min, level_max; /* of this program */
        int16_t api_key;              /* levels above 0 need this API; -1: none */
} FeatureRow;

extern const FeatureRow feature_rows[FEATURE_COUNT];

/* FEATURE_COUNT for a name that isn't in the table. */
Feature feature_find(Str name);

/* Writes the levels that differ from state->feature_levels to the metadata log. 0 or -errno. */
int features_set(State *state, const int16_t levels[static FEATURE_COUNT]);

/* For the replay of the metadata log. */
void features_replay(State *state, Str name, int16_t level);
