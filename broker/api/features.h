/* The features that are served: state's table, as far as the APIs behind it are there. */
#pragma once

#include "broker/api/call.h"
#include "broker/state/metadata/features.h"

/* The highest level that can be agreed on; 0: the feature is not here. */
int16_t feature_level_max(Feature feature);

/* The level that clients may count on. */
int16_t feature_level(const State *state, Feature feature);
