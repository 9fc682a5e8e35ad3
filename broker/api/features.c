/* Features and the APIs behind them. */
#include "broker/api/features.h"

#include "broker/api/api.h"

int16_t feature_level_max(Feature feature) {
        const FeatureRow *row = &feature_rows[feature];
        return row->api_key < 0 || api_find(row->api_key) ? row->level_max : 0;
}

int16_t feature_level(const State *state, Feature feature) {
        int16_t level = state->feature_levels[feature], max = feature_level_max(feature);
        return level < max ? level : max;
}
