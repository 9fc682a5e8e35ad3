/* AlterConfigs: v0-2
 * Replaces all given configs of a resource (KIP-133); what is not named goes back to its default. v2 is flexible. */
#include "broker/api/api.h"
#include "broker/api/config_change.h"

static int alter(Call *call, const AlterConfigsRequestResource *want, Str *ret_message) {
        const AlterConfigsRequest *request = call->request;
        ConfigMap current = CONFIG_MAP_INIT, map = CONFIG_MAP_INIT;
        int r = config_change_begin(call, want->resource_type, want->resource_name, &current, ret_message);
        config_map_deinit(&current);
        for (int32_t i = 0; !r && i < want->configs_count; i++) {
                if (str_is_null(want->configs[i].value)) {
                        *ret_message = arena_printf(&call->arena, "Null value not supported for : %.*s", STR_ARG(want->configs[i].name));
                        r = KAFKA_INVALID_REQUEST;
                        break;
                }
                r = config_change_set(call, want->resource_type, &map, want->configs[i].name, want->configs[i].value,
                                      want->resource_name.len == 0, ret_message);
        }
        if (!r)
                return config_change_commit(call, want->resource_type, want->resource_name, &map, request->validate_only);
        config_map_deinit(&map);
        return r;
}

void api_alter_configs(Call *call) {
        const AlterConfigsRequest *request = call->request;
        AlterConfigsResponse response = AlterConfigsResponse_INIT;
        response.responses = call_array(call, AlterConfigsResponseResponse, request->resources_count);
        response.responses_count = request->resources_count;
        if (!response.responses) {
                call_close(call);
                return;
        }
        for (int32_t i = 0; i < request->resources_count; i++) {
                AlterConfigsResponseResponse *row = &response.responses[i];
                row->resource_type = request->resources[i].resource_type;
                row->resource_name = request->resources[i].resource_name;
                row->error_message = STR_NULL;
                row->error_code = call_code(call, alter(call, &request->resources[i], &row->error_message));
        }
        call_reply(call, &response);
}
