/* ListConfigResources: v0-1
 * Names of what has configs (KIP-1142). v0 lists client-metrics resources only; v1 takes resource types, none named
 * meaning all. */
#include "broker/api/api.h"
#include "broker/state/metadata/resource_configs.h"

static bool is_wanted(const ListConfigResourcesRequest *request, int8_t type) {
        for (int32_t i = 0; i < request->resource_types_count; i++)
                if (request->resource_types[i] == type)
                        return true;
        return request->resource_types_count == 0;
}

static bool is_known(int8_t type) {
        return type == CONFIG_RESOURCE_TOPIC || type == CONFIG_RESOURCE_BROKER || type == CONFIG_RESOURCE_BROKER_LOGGER ||
               type == CONFIG_RESOURCE_CLIENT_METRICS || type == CONFIG_RESOURCE_GROUP;
}

static void add(ListConfigResourcesResponse *response, Str name, int8_t type) {
        ListConfigResourcesResponseConfigResource *row = &response->config_resources[response->config_resources_count++];
        row->resource_name = name;
        row->resource_type = type;
}

static void add_configured(const State *state, ListConfigResourcesResponse *response, ConfigResource type) {
        HASHMAP_FOREACH(resource_configs(state, type), node)
                add(response, node->key, (int8_t)type);
}

void api_list_config_resources(Call *call) {
        const ListConfigResourcesRequest *request = call->request;
        ListConfigResourcesResponse response = ListConfigResourcesResponse_INIT;
        State *state = call->state;
        for (int32_t i = 0; i < request->resource_types_count; i++)
                if (!is_known(request->resource_types[i]))
                        response.error_code = KAFKA_UNSUPPORTED_VERSION;
        if (response.error_code) {
                call_reply(call, &response);
                return;
        }
        size_t count = state->topics.count + state->group_configs.count + state->client_metrics.count + 2;
        response.config_resources = call_array(call, ListConfigResourcesResponseConfigResource, count);
        Str id = arena_printf(&call->arena, "%d", state->node_id);
        if (!response.config_resources || str_is_null(id)) {
                call_close(call);
                return;
        }
        bool every = call_version(call) > 0;
        if (!every || is_wanted(request, CONFIG_RESOURCE_CLIENT_METRICS))
                add_configured(state, &response, CONFIG_RESOURCE_CLIENT_METRICS);
        if (every && is_wanted(request, CONFIG_RESOURCE_GROUP))
                add_configured(state, &response, CONFIG_RESOURCE_GROUP);
        if (every && is_wanted(request, CONFIG_RESOURCE_TOPIC))
                HASHMAP_FOREACH(&state->topics, node)
                        add(&response, node->key, CONFIG_RESOURCE_TOPIC);
        if (every && is_wanted(request, CONFIG_RESOURCE_BROKER))
                add(&response, id, CONFIG_RESOURCE_BROKER);
        if (every && is_wanted(request, CONFIG_RESOURCE_BROKER_LOGGER))
                add(&response, id, CONFIG_RESOURCE_BROKER_LOGGER);
        call_reply(call, &response);
}
