/* The table of features. */
#include "broker/state/metadata/features.h"

#include "broker/protocol/messages.h"
#include "broker/state/metadata/metadata.h"

enum { KEY_END_TXN = 26, KEY_CONSUMER_GROUP_HEARTBEAT = 68, KEY_SHARE_GROUP_HEARTBEAT = 76, KEY_STREAMS_GROUP_HEARTBEAT = 88 };

/* kraft.version and eligible.leader.replicas.version mean nothing on one node, whose voters and leaders never change. The metadata
 * log is written so that every metadata.version from 17 on can hold it. */
const FeatureRow feature_rows[FEATURE_COUNT] = {
        [FEATURE_GROUP] = { "group.version", 0, 1, KEY_CONSUMER_GROUP_HEARTBEAT },
        [FEATURE_KRAFT] = { "kraft.version", 0, 0, -1 },
        [FEATURE_METADATA] = { "metadata.version", 7, 30, -1 },
        [FEATURE_SHARE] = { "share.version", 0, 1, KEY_SHARE_GROUP_HEARTBEAT },
        [FEATURE_STREAMS] = { "streams.version", 0, 1, KEY_STREAMS_GROUP_HEARTBEAT },
        [FEATURE_TRANSACTION] = { "transaction.version", 0, 2, KEY_END_TXN },
        [FEATURE_ELIGIBLE_LEADER_REPLICAS] = { "eligible.leader.replicas.version", 0, 0, -1 },
};

Feature feature_find(Str name) {
        Feature feature = 0;
        while (feature < FEATURE_COUNT && !str_equal(name, str_of(feature_rows[feature].name)))
                feature++;
        return feature;
}

int features_set(State *state, const int16_t levels[static FEATURE_COUNT]) {
        MetadataBatch batch;
        metadata_batch_init(&batch, state);
        for (int i = 0; i < FEATURE_COUNT; i++)
                if (levels[i] != state->feature_levels[i])
                        metadata_batch_add(&batch, &FeatureLevelRecord_message, 0,
                                           &(FeatureLevelRecord){ .name = str_of(feature_rows[i].name), .feature_level = levels[i] });
        int r = metadata_batch_write(state, &batch);
        if (r == 0)
                memcpy(state->feature_levels, levels, sizeof(state->feature_levels));
        return r;
}

void features_replay(State *state, Str name, int16_t level) {
        Feature feature = feature_find(name);
        if (feature < FEATURE_COUNT)
                state->feature_levels[feature] = level;
}
