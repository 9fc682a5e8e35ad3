/* Changing the configs of a topic or of the broker. */
#include "broker/api/config_change.h"

#include <errno.h>

int config_change_check(Call *call, const ConfigChange *changes, int32_t count, Str *ret_message) {
        Names names;
        Str nulls = STR("");
        bool ok = true, is_twice = false;
        names_init(&names, call);
        for (int32_t i = 0; ok && i < count; i++) {
                ok = names_add(&names, changes[i].name);
                is_twice = is_twice || names_count(&names, changes[i].name) > 1;
                if (changes[i].is_null && nulls.len < 4096) /* a message, not a copy of the request */
                        nulls = arena_printf(&call->arena, "%.*s%s%.*s", STR_ARG(nulls), nulls.len ? ", " : "", STR_ARG(changes[i].name));
        }
        names_deinit(&names);
        if (!ok)
                return -ENOMEM;
        if (!is_twice && nulls.len == 0)
                return 0;
        *ret_message = is_twice ? STR("Error due to duplicate config keys")
                                : arena_printf(&call->arena, "Null value not supported for : %.*s", STR_ARG(nulls));
        return KAFKA_INVALID_REQUEST;
}

Str config_change_resource(Call *call, int8_t resource_type, Str resource_name) {
        return arena_printf(&call->arena, "%d:%.*s", resource_type, STR_ARG(resource_name));
}

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

static int begin_topic(Call *call, Str name, ConfigMap *ret_map, Str *ret_message) {
        char message[512];
        Topic *topic = topic_find(call->state, name);
        if (topic)
                return config_map_copy(&topic->config, ret_map);
        if (name.len == 0) {
                *ret_message = STR("Default topic resources are not allowed.");
                return KAFKA_INVALID_REQUEST;
        }
        if (topic_name_is_valid(name)) {
                *ret_message = arena_printf(&call->arena, "The topic '%.*s' does not exist.", STR_ARG(name));
                return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        }
        topic_validate_name(call->state, name, message, sizeof(message));
        *ret_message = arena_str(&call->arena, str_of(message));
        return KAFKA_INVALID_TOPIC_EXCEPTION;
}

int config_change_begin(Call *call, int8_t resource_type, Str resource_name, ConfigMap *ret_map, Str *ret_message) {
        switch (resource_type) {
        case CONFIG_RESOURCE_BROKER:
                return begin_broker(call, resource_name, ret_map, ret_message);
        case CONFIG_RESOURCE_TOPIC:
                return begin_topic(call, resource_name, ret_map, ret_message);
        case CONFIG_RESOURCE_GROUP:
        case CONFIG_RESOURCE_CLIENT_METRICS:
                *ret_message = STR("Configs of groups and client metrics cannot be altered on this broker.");
                return KAFKA_INVALID_REQUEST;
        default:
                *ret_message = arena_printf(&call->arena, "Unknown resource type %d", resource_type);
                return KAFKA_INVALID_REQUEST;
        }
}

/* Keystores and the like belong to one listener each. */
static bool is_per_listener(Str name) {
        return str_starts_with(name, STR("ssl.keystore.")) || str_starts_with(name, STR("ssl.truststore.")) ||
               str_equal(name, STR("ssl.key.password"));
}

static bool is_per_broker(Str name) {
        return str_starts_with(name, STR("ssl.")) || str_starts_with(name, STR("sasl.")) || str_starts_with(name, STR("listener")) ||
               str_equal(name, STR("principal.builder.class")) || str_equal(name, STR("cordoned.log.dirs"));
}

/* Whether a running broker takes that config. The sockets stay as they are, so unlike Kafka it refuses new listeners. */
static int check_dynamic(Call *call, const ConfigKey *key, bool cluster_default, Str *ret_message) {
        Str name = str_of(key->name);
        const char *why = NULL;
        if (is_per_listener(name))
                why = "These security configs can be dynamically updated only per-listener using the listener prefix";
        else if (cluster_default && !key->read_only && is_per_broker(name))
                why = "Cannot update these configs at default cluster level, broker id must be specified";
        else if (key->read_only || str_starts_with(name, STR("listener")))
                why = "Cannot update these configs dynamically";
        if (why)
                *ret_message = arena_printf(&call->arena, "%s: [%s]", why, key->name);
        return why ? KAFKA_INVALID_REQUEST : 0;
}

int config_change_set(Call *call, int8_t resource_type, ConfigMap *map, Str name, Str value, bool cluster_default, Str *ret_message) {
        bool is_topic = resource_type == CONFIG_RESOURCE_TOPIC;
        const ConfigKey *key = config_find_key(is_topic ? CONFIG_RESOURCE_TOPIC : CONFIG_RESOURCE_BROKER, name);
        char message[512];
        if (!key && str_is_null(value))
                return 0;
        if (!key) {
                *ret_message = arena_printf(&call->arena, "Unknown %s config name: %.*s", is_topic ? "topic" : "broker", STR_ARG(name));
                return is_topic ? KAFKA_INVALID_CONFIG : KAFKA_INVALID_REQUEST;
        }
        int r = is_topic || str_is_null(value) ? 0 : check_dynamic(call, key, cluster_default, ret_message);
        if (r)
                return r;
        if (!str_is_null(value) && !config_validate(key, value, message, sizeof(message))) {
                *ret_message = arena_str(&call->arena, str_of(message));
                return is_topic ? KAFKA_INVALID_CONFIG : KAFKA_INVALID_REQUEST;
        }
        ConfigSource source = is_topic ? CONFIG_SOURCE_TOPIC
                              : cluster_default ? CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER
                                                : CONFIG_SOURCE_DYNAMIC_BROKER;
        return config_map_set(map, key, value, source);
}

int config_change_commit(Call *call, int8_t resource_type, Str resource_name, ConfigMap *map, bool validate_only, Str *ret_message) {
        int r = 0;
        char message[512];
        bool is_topic = resource_type == CONFIG_RESOURCE_TOPIC;
        if (is_topic && !config_validate_topic(call->state->config, map, message, sizeof(message))) {
                *ret_message = arena_str(&call->arena, str_of(message));
                r = KAFKA_INVALID_CONFIG;
        } else if (!validate_only && is_topic) {
                r = topic_set_config(call->state, topic_find(call->state, resource_name), map);
        } else if (!validate_only) {
                r = state_set_broker_config(call->state, resource_name.len == 0, map);
        }
        config_map_deinit(map);
        return r;
}
