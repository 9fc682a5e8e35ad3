/* AlterConfigs: v0-2
 * Replaces all given configs of a resource (KIP-133); what is not named goes back to its default. v2 is flexible. */
#include <errno.h>

#include "broker/api/api.h"
#include "broker/api/config_change.h"

typedef AlterConfigsRequestResource Want;

static int check(Call *call, const Want *want, Str *ret_message) {
        ConfigChange *changes = arena_alloc_array(&call->arena, (size_t)want->configs_count, sizeof(*changes));
        if (!changes)
                return -ENOMEM;
        for (int32_t i = 0; i < want->configs_count; i++)
                changes[i] = (ConfigChange){ .name = want->configs[i].name, .is_null = str_is_null(want->configs[i].value) };
        return config_change_check(call, changes, want->configs_count, ret_message);
}

static int alter(Call *call, const Want *want, Str *ret_message) {
        const AlterConfigsRequest *request = call->request;
        ConfigMap current = CONFIG_MAP_INIT, map = CONFIG_MAP_INIT;
        int r = check(call, want, ret_message);
        if (!r)
                r = config_change_begin(call, want->resource_type, want->resource_name, &current, ret_message);
        config_map_deinit(&current);
        for (int32_t i = 0; !r && i < want->configs_count; i++)
                r = config_change_set(call, want->resource_type, &map, want->configs[i].name, want->configs[i].value,
                                      want->resource_name.len == 0, ret_message);
        if (!r)
                return config_change_commit(call, want->resource_type, want->resource_name, &map, request->validate_only, ret_message);
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
        Names names;
        names_init(&names, call);
        for (int32_t i = 0; i < request->resources_count; i++)
                names_add(&names, config_change_resource(call, request->resources[i].resource_type, request->resources[i].resource_name));
        for (int32_t i = 0; i < request->resources_count; i++) {
                const Want *want = &request->resources[i];
                AlterConfigsResponseResponse *row = &response.responses[i];
                row->resource_type = want->resource_type;
                row->resource_name = want->resource_name;
                row->error_message = STR_NULL;
                if (names_count(&names, config_change_resource(call, want->resource_type, want->resource_name)) > 1) {
                        row->error_code = KAFKA_INVALID_REQUEST;
                        row->error_message = STR("Each resource must appear at most once.");
                } else {
                        row->error_code = call_code(call, alter(call, want, &row->error_message));
                }
        }
        names_deinit(&names);
        call_reply(call, &response);
}
