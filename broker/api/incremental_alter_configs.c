/* IncrementalAlterConfigs: v0-1
 * Sets, deletes, appends to and subtracts from single configs (KIP-339). v1 is flexible. */
#include "broker/api/api.h"
#include "broker/api/config_change.h"

enum { OPERATION_SET = 0, OPERATION_DELETE = 1, OPERATION_APPEND = 2, OPERATION_SUBTRACT = 3 };

typedef IncrementalAlterConfigsRequestResource Want;
typedef IncrementalAlterConfigsRequestConfig Change;

static bool holds(Str list, Str wanted) {
        Str item;
        while (config_next_item(&list, &item))
                if (str_equal(item, wanted))
                        return true;
        return false;
}

/* The items of the list and those of other that it lacks (append), or without those of other (subtract). */
static Str combine(Call *call, Str list, Str other, bool append) {
        Str result = STR(""), item, rest = list;
        while (config_next_item(&rest, &item))
                if (item.len && (append || !holds(other, item)))
                        result = arena_printf(&call->arena, "%.*s%s%.*s", STR_ARG(result), result.len ? "," : "", STR_ARG(item));
        rest = append ? other : STR_NULL;
        while (config_next_item(&rest, &item))
                if (item.len && !holds(list, item))
                        result = arena_printf(&call->arena, "%.*s%s%.*s", STR_ARG(result), result.len ? "," : "", STR_ARG(item));
        return result;
}

static int new_value(Call *call, const Want *want, const ConfigMap *map, const Change *change, Str *ret_value, Str *ret_message) {
        const ConfigKey *key = config_find_key(want->resource_type == CONFIG_RESOURCE_TOPIC ? CONFIG_RESOURCE_TOPIC : CONFIG_RESOURCE_BROKER,
                                               change->name);
        switch (change->config_operation) {
        case OPERATION_DELETE:
                *ret_value = STR_NULL;
                return 0;
        case OPERATION_SET:
                *ret_value = change->value;
                break;
        case OPERATION_APPEND:
        case OPERATION_SUBTRACT:
                if (key && key->type != CONFIG_TYPE_LIST) {
                        *ret_message = arena_printf(&call->arena, "Can't %s to key %.*s because its type is not LIST.",
                                                    change->config_operation == OPERATION_APPEND ? "APPEND" : "SUBTRACT",
                                                    STR_ARG(change->name));
                        return KAFKA_INVALID_CONFIG;
                }
                if (key && !str_is_null(change->value)) {
                        const ConfigEntry *entry = config_map_find(map, key);
                        Str list = entry ? str_of(entry->value)
                                   : want->resource_type == CONFIG_RESOURCE_TOPIC
                                           ? config_topic_str(call->state->config, map, key->name, NULL)
                                           : config_str(call->state->config, key->name);
                        *ret_value = combine(call, list, change->value, change->config_operation == OPERATION_APPEND);
                        return 0;
                }
                *ret_value = change->value;
                break;
        default:
                *ret_message = arena_printf(&call->arena, "Unknown operation type %d", change->config_operation);
                return KAFKA_INVALID_REQUEST;
        }
        if (!str_is_null(*ret_value))
                return 0;
        *ret_message = arena_printf(&call->arena, "Null value not supported for : %.*s", STR_ARG(change->name));
        return KAFKA_INVALID_REQUEST;
}

static int check_unique(Call *call, const Want *want, Str *ret_message) {
        for (int32_t i = 0; i < want->configs_count; i++)
                for (int32_t j = 0; j < i; j++)
                        if (str_equal(want->configs[i].name, want->configs[j].name)) {
                                *ret_message = arena_printf(&call->arena, "Error due to duplicate config keys : %.*s", STR_ARG(want->configs[i].name));
                                return KAFKA_INVALID_REQUEST;
                        }
        return 0;
}

static int alter(Call *call, const Want *want, Str *ret_message) {
        const IncrementalAlterConfigsRequest *request = call->request;
        ConfigMap map = CONFIG_MAP_INIT;
        int r = want->configs_count > (int32_t)(broker_config_key_count * 2) ? KAFKA_INVALID_REQUEST : check_unique(call, want, ret_message);
        if (!r)
                r = config_change_begin(call, want->resource_type, want->resource_name, &map, ret_message);
        for (int32_t i = 0; !r && i < want->configs_count; i++) {
                Str value;
                r = new_value(call, want, &map, &want->configs[i], &value, ret_message);
                if (!r)
                        r = config_change_set(call, want->resource_type, &map, want->configs[i].name, value,
                                              want->resource_name.len == 0, ret_message);
        }
        if (!r)
                return config_change_commit(call, want->resource_type, want->resource_name, &map, request->validate_only);
        config_map_deinit(&map);
        return r;
}

void api_incremental_alter_configs(Call *call) {
        const IncrementalAlterConfigsRequest *request = call->request;
        IncrementalAlterConfigsResponse response = IncrementalAlterConfigsResponse_INIT;
        response.responses = call_array(call, IncrementalAlterConfigsResponseResponse, request->resources_count);
        response.responses_count = request->resources_count;
        if (!response.responses) {
                call_close(call);
                return;
        }
        for (int32_t i = 0; i < request->resources_count; i++) {
                IncrementalAlterConfigsResponseResponse *row = &response.responses[i];
                row->resource_type = request->resources[i].resource_type;
                row->resource_name = request->resources[i].resource_name;
                row->error_message = STR_NULL;
                row->error_code = call_code(call, alter(call, &request->resources[i], &row->error_message));
        }
        call_reply(call, &response);
}
