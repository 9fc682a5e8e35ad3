/* Changing the configs of a topic or of the broker. */
#include "broker/api/config_change.h"

#include <errno.h>

static int begin_broker(Call *call, Str name, ConfigMap *ret_map, Str *ret_message) {
        const ConfigMap *broker = &call->state->config->broker;
        ConfigSource source = name.len ? CONFIG_SOURCE_DYNAMIC_BROKER : CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER;
        int64_t id;
        if (name.len && !str_to_int64(name, INT32_MIN, INT32_MAX, &id)) {
                *ret_message = arena_printf(&call->arena, "Node id must be an integer, but it is: %.*s", STR_ARG(name));
                return KAFKA_INVALID_REQUEST;
        }
        if (name.len && id != call->state->node_id) {
                *ret_message = arena_printf(&call->arena, "Unexpected broker id, expected %d, but received %.*s",
                                            call->state->node_id, STR_ARG(name));
                return KAFKA_INVALID_REQUEST;
        }
        ConfigMap map = CONFIG_MAP_INIT;
        for (int32_t i = 0; i < broker->count; i++)
                if (broker->entries[i].source == source &&
                    config_map_set(&map, broker->entries[i].key, str_of(broker->entries[i].value), source) < 0) {
                        config_map_deinit(&map);
                        return -ENOMEM;
                }
        *ret_map = map;
        return 0;
}

int config_change_begin(Call *call, int8_t resource_type, Str resource_name, ConfigMap *ret_map, Str *ret_message) {
        if (resource_type == CONFIG_RESOURCE_BROKER)
                return begin_broker(call, resource_name, ret_map, ret_message);
        if (resource_type != CONFIG_RESOURCE_TOPIC) {
                *ret_message = arena_printf(&call->arena, "Unknown or unsupported resource type %d", resource_type);
                return KAFKA_INVALID_REQUEST;
        }
        Topic *topic = topic_find(call->state, resource_name);
        if (!topic) {
                *ret_message = arena_printf(&call->arena, "The topic '%.*s' does not exist.", STR_ARG(resource_name));
                return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        }
        return config_map_copy(&topic->config, ret_map);
}

int config_change_set(Call *call, int8_t resource_type, ConfigMap *map, Str name, Str value, bool cluster_default, Str *ret_message) {
        bool is_topic = resource_type == CONFIG_RESOURCE_TOPIC;
        const ConfigKey *key = config_find_key(is_topic ? CONFIG_RESOURCE_TOPIC : CONFIG_RESOURCE_BROKER, name);
        char message[512];
        if (!key) {
                *ret_message = arena_printf(&call->arena, "Unknown %s config name: %.*s", is_topic ? "topic" : "broker", STR_ARG(name));
                return is_topic ? KAFKA_INVALID_CONFIG : KAFKA_INVALID_REQUEST;
        }
        if (!is_topic && key->read_only) {
                *ret_message = arena_printf(&call->arena, "Cannot update these configs dynamically: %.*s", STR_ARG(name));
                return KAFKA_INVALID_REQUEST;
        }
        if (!str_is_null(value) && !config_validate(key, value, message, sizeof(message))) {
                *ret_message = arena_str(&call->arena, str_of(message));
                return KAFKA_INVALID_CONFIG;
        }
        ConfigSource source = is_topic ? CONFIG_SOURCE_TOPIC
                              : cluster_default ? CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER
                                                : CONFIG_SOURCE_DYNAMIC_BROKER;
        return config_map_set(map, key, value, source);
}

int config_change_commit(Call *call, int8_t resource_type, Str resource_name, ConfigMap *map, bool validate_only) {
        int r = 0;
        if (!validate_only && resource_type == CONFIG_RESOURCE_BROKER)
                r = state_set_broker_config(call->state, resource_name.len == 0, map);
        else if (!validate_only)
                r = topic_set_config(call->state, topic_find(call->state, resource_name), map);
        config_map_deinit(map);
        return r;
}
