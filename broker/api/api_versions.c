/* ApiVersions: v0-4
 * Which APIs and versions are served (KIP-35), read off the table.
 * v3 adds the client's software (KIP-511) and the features (KIP-584), among them since v4 those
 * that may be at level 0. */
#include "broker/api/api.h"
#include "broker/api/features.h"
#include "broker/state/metadata/metadata.h"

static bool is_alphanumeric(char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Letters, digits, '-' and '.', the last two not at either end. */
static bool is_software_name(Str s) {
        if (s.len == 0 || !is_alphanumeric(s.data[0]) || !is_alphanumeric(s.data[s.len - 1]))
                return false;
        for (size_t i = 0; i < s.len; i++)
                if (!is_alphanumeric(s.data[i]) && s.data[i] != '-' && s.data[i] != '.')
                        return false;
        return true;
}

static ApiVersionsResponseApiKey row_of(const Api *api) {
        return (ApiVersionsResponseApiKey){
                .api_key = api->request->key,
                .min_version = api_advertised_min(api),
                .max_version = api->request->version_max,
        };
}

void api_versions_refuse(Call *call) {
        ApiVersionsResponseApiKey row = row_of(call->api);
        ApiVersionsResponse response = ApiVersionsResponse_INIT;
        response.error_code = KAFKA_UNSUPPORTED_VERSION;
        response.api_keys = &row;
        response.api_keys_count = 1;
        call_reply(call, &response);
}

/* Telemetry is served, but like a Kafka without a receiver of metrics we don't ask for any. */
static bool is_advertised(const Api *api) {
        return api->request != &GetTelemetrySubscriptionsRequest_message && api->request != &PushTelemetryRequest_message;
}

static void fill_features(Call *call, ApiVersionsResponse *response) {
        const State *state = call->state;
        for (Feature feature = 0; feature < FEATURE_COUNT; feature++) {
                const FeatureRow *row = &feature_rows[feature];
                int16_t max = feature_level_max(feature), level = feature_level(state, feature);
                if (max > 0 && (row->level_min > 0 || call_version(call) >= 4))
                        response->supported_features[response->supported_features_count++] = (ApiVersionsResponseSupportedFeature){
                                .name = str_of(row->name), .min_version = row->level_min, .max_version = max };
                if (level > 0)
                        response->finalized_features[response->finalized_features_count++] = (ApiVersionsResponseFinalizedFeature){
                                .name = str_of(row->name), .max_version_level = level, .min_version_level = level };
        }
        response->finalized_features_epoch = metadata_end_offset(state) - 1;
}

static void remember_software(CallClient *client, const ApiVersionsRequest *request) {
        snprintf(client->software_name, sizeof(client->software_name), "%.*s", STR_ARG(request->client_software_name));
        snprintf(client->software_version, sizeof(client->software_version), "%.*s", STR_ARG(request->client_software_version));
}

void api_api_versions(Call *call) {
        const ApiVersionsRequest *request = call->request;
        ApiVersionsResponse response = ApiVersionsResponse_INIT;
        if (call_version(call) >= 3 && (!is_software_name(request->client_software_name) ||
                                        !is_software_name(request->client_software_version))) {
                response.error_code = KAFKA_INVALID_REQUEST;
                call_reply(call, &response);
                return;
        }
        response.api_keys = call_array(call, ApiVersionsResponseApiKey, api_count);
        response.supported_features = call_array(call, ApiVersionsResponseSupportedFeature, FEATURE_COUNT);
        response.finalized_features = call_array(call, ApiVersionsResponseFinalizedFeature, FEATURE_COUNT);
        if (!response.api_keys || !response.supported_features || !response.finalized_features) {
                call_close(call);
                return;
        }
        for (size_t i = 0; i < api_count; i++)
                if (is_advertised(&api_table[i]))
                        response.api_keys[response.api_keys_count++] = row_of(&api_table[i]);
        fill_features(call, &response);
        if (call->client && call_version(call) >= 3)
                remember_software(call->client, request);
        call_reply(call, &response);
}
