/* Changing configs. */
#include "broker/api/config_change.h"

#include <errno.h>

#include "broker/state/metadata/resource_configs.h"
#include "broker/state/telemetry.h"

#define CLIENT_METRICS_INTERVAL_MS_MIN 100
#define CLIENT_METRICS_INTERVAL_MS_MAX 3600000

int config_change_check(Call *call, const ConfigChange *changes, int32_t count, Str *ret_message) {
        Names names;
        Str nulls = STR("");
        bool ok = true, is_twice = false, has_null = false;
        names_init(&names, call);
        for (int32_t i = 0; ok && i < count; i++) {
                ok = names_add(&names, changes[i].name);
                is_twice = is_twice || names_count(&names, changes[i].name) > 1;
                has_null = has_null || changes[i].is_null;
                if (changes[i].is_null && nulls.len < 4096) /* a message, not a copy of the request */
                        nulls = arena_printf(&call->arena, "%.*s%s%.*s", STR_ARG(nulls), nulls.len ? ", " : "", STR_ARG(changes[i].name));
        }
        names_deinit(&names);
        if (!ok)
                return -ENOMEM;
        if (!is_twice && !has_null)
                return 0;
        *ret_message = is_twice ? STR("Error due to duplicate config keys")
                                : arena_printf(&call->arena, "Null value not supported for : %.*s", STR_ARG(nulls));
        return KAFKA_INVALID_REQUEST;
}

/* A resource as one name; the null string without memory. */
static Str name_of(Call *call, const ConfigTarget *target) {
        return arena_printf(&call->arena, "%d:%.*s", target->resource_type, STR_ARG(target->resource_name));
}

void config_change_all(Call *call, ConfigTarget *targets, int32_t count, int (*alter)(Call *call, int32_t index, Str *ret_message)) {
        Names names;
        bool ok = true;
        names_init(&names, call);
        for (int32_t i = 0; ok && i < count; i++)
                ok = names_add(&names, name_of(call, &targets[i]));
        for (int32_t i = 0; i < count; i++) {
                ConfigTarget *target = &targets[i];
                target->error_message = STR_NULL;
                if (ok && names_count(&names, name_of(call, target)) > 1) {
                        target->error_code = KAFKA_INVALID_REQUEST;
                        target->error_message = STR("Each resource must appear at most once.");
                } else {
                        target->error_code = call_code(call, ok ? alter(call, i, &target->error_message) : -ENOMEM);
                }
                if (target->error_message.len > INT16_MAX) { /* no string of the protocol */
                        target->error_code = KAFKA_UNKNOWN_SERVER_ERROR;
                        target->error_message = STR_NULL;
                }
        }
        names_deinit(&names);
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
                    config_map_set(&map, broker->entries[i].key, config_given(&broker->entries[i]), source) < 0) {
                        config_map_deinit(&map);
                        return -ENOMEM;
                }
        *ret_map = map;
        return 0;
}

static int begin_topic(Call *call, Str name, ConfigMap *ret_map, Str *ret_message) {
        Topic *topic = topic_find(call->state, name);
        if (topic)
                return config_map_copy(&topic->config, ret_map);
        if (name.len == 0) {
                *ret_message = STR("Default topic resources are not allowed.");
                return KAFKA_INVALID_REQUEST;
        }
        if (topic_name_is_valid(name))
                return 0; /* what is wrong with the configs is told first: check_exists() */
        *ret_message = call_describe_bad_topic(call, name);
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
                if (resource_name.len)
                        return config_map_copy(resource_config_find(call->state, resource_type, resource_name), ret_map);
                *ret_message = resource_type == CONFIG_RESOURCE_GROUP ? STR("Default group resources are not allowed.")
                                                                      : STR("Subscription name can't be empty");
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

/* What is special about each type of resource. */
typedef struct Kind {
        ConfigResource type;
        ConfigSource source;
        const char *unknown; /* what an unknown name is answered with */
        int16_t unknown_code, invalid_code;
} Kind;

static const Kind *kind_of(int8_t resource_type) {
        static const Kind kinds[] = {
                { CONFIG_RESOURCE_TOPIC, CONFIG_SOURCE_TOPIC, "Unknown topic config name", KAFKA_INVALID_CONFIG, KAFKA_INVALID_CONFIG },
                { CONFIG_RESOURCE_GROUP, CONFIG_SOURCE_GROUP, "Unknown group config name", KAFKA_INVALID_CONFIG, KAFKA_INVALID_CONFIG },
                { CONFIG_RESOURCE_CLIENT_METRICS, CONFIG_SOURCE_CLIENT_METRICS, "Unknown client metrics configuration",
                  KAFKA_INVALID_REQUEST, KAFKA_INVALID_CONFIG },
                { CONFIG_RESOURCE_BROKER, CONFIG_SOURCE_DYNAMIC_BROKER, NULL, 0, KAFKA_INVALID_REQUEST },
        };
        size_t i = 0;
        while (kinds[i].type != CONFIG_RESOURCE_BROKER && kinds[i].type != (ConfigResource)resource_type)
                i++;
        return &kinds[i];
}

static int check_client_metrics(Call *call, const ConfigKey *key, Str value, Str *ret_message) {
        int64_t interval_ms;
        Str rest = value, item;
        if (key->type == CONFIG_TYPE_INT && str_to_int64(value, INT32_MIN, INT32_MAX, &interval_ms) &&
            (interval_ms < CLIENT_METRICS_INTERVAL_MS_MIN || interval_ms > CLIENT_METRICS_INTERVAL_MS_MAX)) {
                *ret_message = arena_printf(&call->arena, "Invalid value %.*s for %s, interval must be between %d and %d (1 hour)",
                                            STR_ARG(value), key->name, CLIENT_METRICS_INTERVAL_MS_MIN, CLIENT_METRICS_INTERVAL_MS_MAX);
                return KAFKA_INVALID_REQUEST;
        }
        while (key->type == CONFIG_TYPE_LIST && value.len && config_next_item(&rest, &item))
                if (item.len == 0) {
                        *ret_message = arena_printf(&call->arena, "Configuration '%s' values must not be empty.", key->name);
                        return KAFKA_INVALID_CONFIG;
                }
        if (strcmp(key->name, "match") == 0 && !telemetry_check_match(value, &item)) {
                *ret_message = arena_printf(&call->arena, "Illegal client matching pattern: %.*s", STR_ARG(item));
                return KAFKA_INVALID_CONFIG;
        }
        return 0;
}

bool config_change_validate(Call *call, const ConfigKey *key, Str value, Str *ret_message) {
        char usual[1024];
        if (config_validate(key, value, usual, sizeof(usual)))
                return true;
        size_t size = sizeof(usual) + 2 * (size_t)value.len; /* some messages tell the value twice, or with blanks between its items */
        char *message = arena_alloc(&call->arena, size);
        if (message)
                config_validate(key, value, message, size);
        *ret_message = message ? str_of(message) : STR_NULL;
        return false;
}

static int check_value(Call *call, const Kind *kind, const ConfigKey *key, Str value, bool cluster_default, Str *ret_message) {
        Str name = str_of(key->name);
        bool is_broker = kind->type == CONFIG_RESOURCE_BROKER, is_late = is_per_broker(name) && !is_per_listener(name) && !key->read_only;
        int r = is_broker && !is_late ? check_dynamic(call, key, cluster_default, ret_message) : 0;
        if (r == 0 && !config_change_validate(call, key, value, ret_message))
                return kind->invalid_code;
        char *spelt = arena_alloc(&call->arena, CONFIG_SPELLING_SIZE(value.len));
        if (!spelt || !config_spell(key, value, spelt))
                return -ENOMEM;
        value = str_of(spelt);
        if (r == 0 && is_broker && is_late && key->type != CONFIG_TYPE_CLASS)
                r = check_dynamic(call, key, cluster_default, ret_message);
        if (r == 0 && is_broker)
                r = broker_config_check(call, key, value, ret_message);
        if (r == 0 && is_broker && is_late && key->type == CONFIG_TYPE_CLASS)
                r = check_dynamic(call, key, cluster_default, ret_message);
        return r == 0 && kind->type == CONFIG_RESOURCE_CLIENT_METRICS ? check_client_metrics(call, key, value, ret_message) : r;
}

/* Whether each listener has such a config of its own, so that there is none for all brokers. */
static bool is_of_one_listener(const ConfigKey *key) {
        static const char *const shared[] = { "max.connections", "max.connection.creation.rate", "num.network.threads" };
        Str prefix = STR("listener.name.");
        if (!str_starts_with(str_of(key->name), prefix) || !strchr(key->name + prefix.len, '.'))
                return false;
        const ConfigKey *base = config_listener_base(key);
        for (size_t i = 0; base && i < sizeof(shared) / sizeof(shared[0]); i++)
                if (strcmp(base->name, shared[i]) == 0)
                        return false;
        return true;
}

static int32_t count_custom(const ConfigMap *map) {
        int32_t count = 0;
        while (count < map->count && map->entries[map->count - 1 - count].key->custom) /* they come last */
                count++;
        return count;
}

static int check_custom(Call *call, const ConfigMap *map, const ConfigKey *key, Str value, bool cluster_default, Str *ret_message) {
        const ConfigKey *base = config_listener_base(key);
        if (cluster_default && is_of_one_listener(key)) {
                *ret_message = arena_printf(&call->arena, "Cannot update these configs at default cluster level, broker id must be specified: [%s]",
                                            key->name);
                return KAFKA_INVALID_REQUEST;
        }
        if (base && !config_change_validate(call, base, value, ret_message))
                return KAFKA_INVALID_REQUEST;
        if (value.len > CONFIG_VALUE_LENGTH_MAX) {
                *ret_message = arena_printf(&call->arena, "The value of %s is too long", key->name);
                return KAFKA_INVALID_REQUEST;
        }
        if (config_map_find(map, key) || count_custom(map) < config_int(call->state->config, "odradek.max.custom.configs"))
                return 0;
        *ret_message = STR("There are as many configs of unknown names as odradek.max.custom.configs allows.");
        return KAFKA_POLICY_VIOLATION;
}

/* A broker config that is in no table. */
static int set_custom(Call *call, ConfigMap *map, Str name, Str value, bool cluster_default, Str *ret_message) {
        Str text = arena_printf(&call->arena, "%.*s", STR_ARG(name)); /* with an end */
        if (str_is_null(text))
                return -ENOMEM;
        if (name.len > CONFIG_VALUE_LENGTH_MAX || strlen(text.data) != name.len) {
                *ret_message = STR("The name of a config is too long, or holds a zero byte");
                return KAFKA_INVALID_REQUEST;
        }
        ConfigKey key = config_custom_key(text.data);
        int r = str_is_null(value) ? 0 : check_custom(call, map, &key, value, cluster_default, ret_message);
        return r ? r : config_map_set(map, &key, value, cluster_default ? CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER : CONFIG_SOURCE_DYNAMIC_BROKER);
}

int config_change_check_name(Call *call, int8_t resource_type, Str name, Str value, Str *ret_message) {
        const Kind *kind = kind_of(resource_type);
        if (kind->type == CONFIG_RESOURCE_BROKER || str_is_null(value) || config_find_key(kind->type, name))
                return 0;
        *ret_message = arena_printf(&call->arena, "%s: %.*s", kind->unknown, STR_ARG(name));
        return kind->unknown_code;
}

int config_change_set(Call *call, int8_t resource_type, ConfigMap *map, Str name, Str value, bool cluster_default, Str *ret_message) {
        const Kind *kind = kind_of(resource_type);
        const ConfigKey *key = config_find_key(kind->type, name);
        if (!key && kind->type == CONFIG_RESOURCE_BROKER)
                return set_custom(call, map, name, value, cluster_default, ret_message);
        if (!key)
                return 0; /* nothing is removed: config_change_check_name() */
        int r = str_is_null(value) ? 0 : check_value(call, kind, key, value, cluster_default, ret_message);
        if (r == 0 && kind->type == CONFIG_RESOURCE_BROKER && !cluster_default &&
            strcmp(key->name, "min.insync.replicas") == 0 && !config_map_find(map, key)) {
                *ret_message = STR("Broker-level min.insync.replicas cannot be altered while ELR is enabled.");
                return KAFKA_INVALID_CONFIG;
        }
        bool is_default = kind->type == CONFIG_RESOURCE_BROKER && cluster_default;
        return r ? r : config_map_set(map, key, value, is_default ? CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER : kind->source);
}

/* As in Kafka, where eligible leader replicas (ELR) are on, all brokers have one and the same min.insync.replicas. */
static int check_cluster_level(Call *call, const ConfigMap *map, Str *ret_message) {
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_BROKER, STR("min.insync.replicas"));
        const ConfigEntry *current = config_map_find(&call->state->config->broker, key);
        if (!current || current->source != CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER || config_map_find(map, key))
                return 0;
        *ret_message = STR("Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
        return KAFKA_INVALID_CONFIG;
}

/* Whether the values can be together. */
static int check_together(Call *call, ConfigResource type, Str name, const ConfigMap *map, Str *ret_message) {
        char message[512];
        if (type == CONFIG_RESOURCE_BROKER)
                return name.len ? 0 : check_cluster_level(call, map, ret_message);
        const Config *config = call->state->config;
        if (type == CONFIG_RESOURCE_TOPIC ? config_validate_topic(config, map, message, sizeof(message))
                                          : type != CONFIG_RESOURCE_GROUP || config_validate_group(config, map, message, sizeof(message)))
                return 0;
        *ret_message = arena_str(&call->arena, str_of(message));
        return KAFKA_INVALID_CONFIG;
}

/* Whether odradek.max.config.resources leaves room for what is about to be set. */
static int check_room(Call *call, ConfigResource type, Str name, const ConfigMap *map, Str *ret_message) {
        const State *state = call->state;
        bool is_named = type == CONFIG_RESOURCE_GROUP || type == CONFIG_RESOURCE_CLIENT_METRICS;
        int64_t count = (int64_t)(state->group_configs.count + state->client_metrics.count);
        if (!is_named || map->count == 0 || resource_config_find(state, type, name)->count > 0 ||
            count < config_int(state->config, "odradek.max.config.resources"))
                return 0;
        *ret_message = STR("There are as many resources with configs as odradek.max.config.resources allows.");
        return KAFKA_POLICY_VIOLATION;
}

static int check_exists(Call *call, ConfigResource type, Str name, Str *ret_message) {
        if (type != CONFIG_RESOURCE_TOPIC || topic_find(call->state, name))
                return 0;
        *ret_message = arena_printf(&call->arena, "The topic '%.*s' does not exist.", STR_ARG(name));
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

int config_change_commit(Call *call, int8_t resource_type, Str resource_name, ConfigMap *map, bool validate_only, Str *ret_message) {
        State *state = call->state;
        ConfigResource type = kind_of(resource_type)->type;
        int r = check_together(call, type, resource_name, map, ret_message);
        if (r == 0)
                r = check_exists(call, type, resource_name, ret_message);
        if (r == 0)
                r = check_room(call, type, resource_name, map, ret_message);
        if (r == 0 && !validate_only)
                r = type == CONFIG_RESOURCE_TOPIC    ? topic_set_config(state, topic_find(state, resource_name), map)
                    : type == CONFIG_RESOURCE_BROKER ? state_set_broker_config(state, resource_name.len == 0, map)
                                                     : resource_config_set(state, type, resource_name, map);
        config_map_deinit(map);
        return r;
}
