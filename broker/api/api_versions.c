/* ApiVersions: v0-4
 * Which APIs and versions are served (KIP-35), read off the table.
 * v3 adds the client's software (KIP-511); v4 only allows a feature's minimum of 0. No features are finalised as long as the APIs
 * behind them (transactions v2, KIP-848 groups) are not served: clients act on them. */
#include "broker/api/api.h"

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
        if (!response.api_keys) {
                call_close(call);
                return;
        }
        for (size_t i = 0; i < api_count; i++)
                response.api_keys[i] = row_of(&api_table[i]);
        response.api_keys_count = (int32_t)api_count;
        call_reply(call, &response);
}
