/* UpdateFeatures: v0-2
 * Changes the levels that were agreed on (KIP-584), all of them or none. v1 allows downgrades, safe or unsafe, and may only validate (KIP-778):
 * what v0 says of downgrades counts for nothing, as in Kafka. v2 has no results of single features. */
#include "broker/api/api.h"
#include "broker/api/features.h"

enum { UPGRADE = 1, UNSAFE_DOWNGRADE = 3 }; /* 2: safe */

/* Levels of metadata.version that brought other records: below them a log that was written at them cannot be read. */
#define METADATA_CHANGED_EARLY 23
#define METADATA_CHANGED_LATE 30

typedef UpdateFeaturesRequestUpdate Update;

static bool is_metadata_changed(int16_t from, int16_t to) {
        return from <= METADATA_CHANGED_EARLY || to < METADATA_CHANGED_EARLY || (to < METADATA_CHANGED_LATE && from >= METADATA_CHANGED_LATE);
}

/* Why the level cannot be, or the null string. */
static Str check_range(Call *call, const Update *update, Feature feature) {
        int16_t level = update->max_version_level;
        int16_t min = feature < FEATURE_COUNT ? feature_rows[feature].level_min : 0;
        int16_t max = feature < FEATURE_COUNT ? feature_level_max(feature) : 0;
        if (level < 0)
                return STR("A feature version cannot be less than 0.");
        if (level < min || level > max)
                return max == 0 ? arena_printf(&call->arena, "Local controller %d does not support this feature.", call->state->node_id)
                                : arena_printf(&call->arena, "Local controller %d only supports versions %d-%d", call->state->node_id,
                                               min, max);
        return STR_NULL;
}

static Str check_direction(Call *call, const Update *update, int8_t type, int16_t current) {
        if (update->max_version_level < current && type == UPGRADE)
                return STR("Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.");
        if (update->max_version_level > current && type != UPGRADE)
                return STR("Can't downgrade to a newer version.");
        return STR_NULL;
}

static Str refuse_downgrade(Call *call, int16_t from, int16_t to, int8_t type) {
        return arena_printf(&call->arena, "Unsupported metadata.version downgrade from %d to %d. %s", from, to,
                            type == UNSAFE_DOWNGRADE
                                    ? "Unsafe metadata downgrade is not supported in this version."
                                    : "Refusing to perform the requested downgrade because it might delete metadata information.");
}

/* What is wrong with one update, as a sentence, or the null string. */
static Str check(Call *call, const Update *update) {
        Feature feature = feature_find(update->feature);
        int8_t type = update->upgrade_type;
        int16_t level = update->max_version_level;
        int16_t current = feature < FEATURE_COUNT ? feature_level(call->state, feature) : 0;
        Str why = STR_NULL;
        if (type < UPGRADE || type > UNSAFE_DOWNGRADE)
                why = STR("The controller does not support the given upgrade type.");
        else
                why = check_range(call, update, feature);
        if (str_is_null(why))
                why = check_direction(call, update, type, current);
        if (str_is_null(why) && feature == FEATURE_METADATA && level < current && is_metadata_changed(current, level))
                return refuse_downgrade(call, current, level, type);
        if (str_is_null(why) && feature == FEATURE_COUNT)
                why = arena_printf(&call->arena, "Feature %.*s not found.", STR_ARG(update->feature));
        return str_is_null(why) ? why : arena_printf(&call->arena, "Invalid update version %d for feature %.*s. %.*s", level,
                                                     STR_ARG(update->feature), STR_ARG(why));
}

static int update_all(Call *call, Str *ret_message) {
        const UpdateFeaturesRequest *request = call->request;
        int16_t levels[FEATURE_COUNT];
        memcpy(levels, call->state->feature_levels, sizeof(levels));
        for (int32_t i = 0; i < request->feature_updates_count; i++) {
                const Update *update = &request->feature_updates[i];
                Str why = check(call, update);
                if (!str_is_null(why)) {
                        *ret_message = arena_printf(&call->arena,
                                                    "The update failed for all features since the following feature had an error: %.*s",
                                                    STR_ARG(why));
                        return KAFKA_INVALID_UPDATE_VERSION;
                }
                levels[feature_find(update->feature)] = update->max_version_level;
        }
        return request->validate_only ? 0 : features_set(call->state, levels);
}

void api_update_features(Call *call) {
        const UpdateFeaturesRequest *request = call->request;
        UpdateFeaturesResponse response = UpdateFeaturesResponse_INIT;
        response.error_message = STR_NULL;
        response.error_code = call_code(call, update_all(call, &response.error_message));
        response.results = call_array(call, UpdateFeaturesResponseResult, request->feature_updates_count);
        if (!response.results) {
                call_close(call);
                return;
        }
        for (int32_t i = 0; !response.error_code && i < request->feature_updates_count; i++)
                response.results[response.results_count++] = (UpdateFeaturesResponseResult){
                        .feature = request->feature_updates[i].feature, .error_message = STR("NONE") };
        call_reply(call, &response);
}
