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

static int alter(Call *call, int32_t index, Str *ret_message) {
        const AlterConfigsRequest *request = call->request;
        const Want *want = &request->resources[index];
        ConfigMap current = CONFIG_MAP_INIT, map = CONFIG_MAP_INIT;
        int r = check(call, want, ret_message);
        if (!r)
                r = config_change_begin(call, want->resource_type, want->resource_name, &current, ret_message);
        config_map_deinit(&current);
        for (int32_t i = 0; !r && i < want->configs_count; i++)
                r = config_change_check_name(call, want->resource_type, want->configs[i].name, want->configs[i].value, ret_message);
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
        int32_t count = request->resources_count;
        AlterConfigsResponse response = AlterConfigsResponse_INIT;
        ConfigTarget *targets = arena_alloc_array(&call->arena, (size_t)count, sizeof(*targets));
        response.responses = call_array(call, AlterConfigsResponseResponse, count);
        if (!response.responses || !targets) {
                call_close(call);
                return;
        }
        for (int32_t i = 0; i < count; i++)
                targets[i] = (ConfigTarget){ request->resources[i].resource_type, request->resources[i].resource_name, 0, STR_NULL };
        config_change_all(call, targets, count, alter);
        for (int32_t i = 0; i < count; i++)
                response.responses[response.responses_count++] = (AlterConfigsResponseResponse){
                        .error_code = targets[i].error_code, .error_message = targets[i].error_message,
                        .resource_type = targets[i].resource_type, .resource_name = targets[i].resource_name };
        call_reply(call, &response);
}
