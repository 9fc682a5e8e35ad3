/* DescribeConfigs: v0-4
 * Every config of a topic or broker with its value, default and source. v1 adds sources and synonyms in place of is_default; v3 types and
 * documentation (KIP-226, KIP-524, KIP-569); v4 is flexible. */
#include "broker/api/api.h"

typedef DescribeConfigsRequestResource Want;
typedef DescribeConfigsResponseResult Row;
typedef DescribeConfigsResponseConfig ConfigRow;
typedef DescribeConfigsResponseSynonym Synonym;

static bool is_wanted(const Want *want, const char *name) {
        if (want->configuration_keys_count < 0)
                return true;
        for (int32_t i = 0; i < want->configuration_keys_count; i++)
                if (str_equal(want->configuration_keys[i], str_of(name)))
                        return true;
        return false;
}

static void add_synonym(ConfigRow *row, const char *name, Str value, ConfigSource source, bool sensitive) {
        Synonym *synonym = &row->synonyms[row->synonyms_count++];
        synonym->name = str_of(name);
        synonym->value = sensitive ? STR_NULL : value;
        synonym->source = (int8_t)source;
}

/* Given values of key, then the default. */
static void add_broker_synonyms(const Config *config, ConfigRow *row, const ConfigKey *key, const char *default_value) {
        for (int32_t i = 0; i < config->broker.count; i++)
                if (config->broker.entries[i].key == key)
                        add_synonym(row, key->name, str_of(config->broker.entries[i].value), config->broker.entries[i].source,
                                    key->sensitive);
        if (default_value)
                add_synonym(row, key->name, str_of(default_value), CONFIG_SOURCE_DEFAULT, key->sensitive);
}

static bool fill_row(Call *call, ConfigRow *row, const ConfigKey *key, Str value, ConfigSource source, bool read_only) {
        const DescribeConfigsRequest *request = call->request;
        row->name = str_of(key->name);
        row->value = key->sensitive ? STR_NULL : value;
        row->read_only = read_only;
        row->config_source = (int8_t)source;
        row->is_default = source == CONFIG_SOURCE_DEFAULT;
        row->is_sensitive = key->sensitive;
        row->config_type = (int8_t)key->type;
        row->documentation = request->include_documentation && key->documentation ? str_of(key->documentation) : STR_NULL;
        row->synonyms = call_array(call, DescribeConfigsResponseSynonym, 6);
        return row->synonyms != NULL;
}

static bool describe_topic(Call *call, const Want *want, const Topic *topic, Row *row) {
        const Config *config = call->state->config;
        row->configs = call_array(call, DescribeConfigsResponseConfig, topic_config_key_count);
        if (!row->configs)
                return false;
        for (size_t i = 0; i < topic_config_key_count; i++) {
                const ConfigKey *key = &topic_config_keys[i];
                ConfigSource source;
                if (!is_wanted(want, key->name))
                        continue;
                Str value = config_topic_str(config, &topic->config, key->name, &source);
                ConfigRow *out = &row->configs[row->configs_count++];
                value = arena_str(&call->arena, value);
                if (!fill_row(call, out, key, value, source, false))
                        return false;
                if (!((const DescribeConfigsRequest *)call->request)->include_synonyms)
                        continue;
                if (source == CONFIG_SOURCE_TOPIC)
                        add_synonym(out, key->name, value, CONFIG_SOURCE_TOPIC, false);
                if (key->synonym)
                        add_broker_synonyms(config, out, config_find_key(CONFIG_RESOURCE_BROKER, str_of(key->synonym)),
                                            key->default_value);
        }
        return true;
}

/* What the broker would use: node.id is 1 where none is given, and the listeners are those in use. */
static Str broker_value(Call *call, const ConfigKey *key) {
        const State *state = call->state;
        if (strcmp(key->name, "node.id") == 0 || strcmp(key->name, "broker.id") == 0)
                return arena_printf(&call->arena, "%d", state->node_id);
        if (strcmp(key->name, "log.dirs") == 0)
                return str_of(state->config->data_dir);
        return config_str(state->config, key->name);
}

static bool describe_broker(Call *call, const Want *want, bool only_cluster_default, Row *row) {
        const Config *config = call->state->config;
        row->configs = call_array(call, DescribeConfigsResponseConfig, broker_config_key_count);
        if (!row->configs)
                return false;
        for (size_t i = 0; i < broker_config_key_count; i++) {
                const ConfigKey *key = &broker_config_keys[i];
                const ConfigEntry *entry = config_map_find(&config->broker, key);
                if (!is_wanted(want, key->name))
                        continue;
                if (only_cluster_default && (!entry || entry->source != CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER))
                        continue;
                ConfigRow *out = &row->configs[row->configs_count++];
                if (!fill_row(call, out, key, broker_value(call, key), entry ? entry->source : CONFIG_SOURCE_DEFAULT, key->read_only))
                        return false;
                if (((const DescribeConfigsRequest *)call->request)->include_synonyms)
                        add_broker_synonyms(config, out, key, only_cluster_default ? NULL : key->default_value);
        }
        return true;
}

static void refuse(Row *row, int16_t code, Str message) {
        row->error_code = code;
        row->error_message = message;
}

static bool describe_broker_named(Call *call, const Want *want, Row *row) {
        int64_t id;
        if (want->resource_name.len == 0)
                return describe_broker(call, want, true, row);
        if (!str_to_int64(want->resource_name, INT32_MIN, INT32_MAX, &id))
                refuse(row, KAFKA_INVALID_REQUEST, arena_printf(&call->arena, "Broker id must be an integer, but it is: %.*s",
                                                                STR_ARG(want->resource_name)));
        else if (id != call->state->node_id)
                refuse(row, KAFKA_INVALID_REQUEST,
                       arena_printf(&call->arena, "Unexpected broker id, expected %d or empty string, but received %.*s",
                                    call->state->node_id, STR_ARG(want->resource_name)));
        else
                return describe_broker(call, want, false, row);
        return true;
}

static bool describe(Call *call, const Want *want, Row *row) {
        char message[512];
        row->resource_type = want->resource_type;
        row->resource_name = want->resource_name;
        row->error_message = STR("");
        if (want->resource_type == CONFIG_RESOURCE_BROKER)
                return describe_broker_named(call, want, row);
        if (want->resource_type != CONFIG_RESOURCE_TOPIC) {
                if (want->resource_type != CONFIG_RESOURCE_BROKER_LOGGER && want->resource_type != CONFIG_RESOURCE_GROUP &&
                    want->resource_type != CONFIG_RESOURCE_CLIENT_METRICS)
                        refuse(row, KAFKA_INVALID_REQUEST,
                               arena_printf(&call->arena, "Unsupported resource type: %d", want->resource_type));
                return true;
        }
        Topic *topic = topic_find(call->state, want->resource_name);
        if (topic)
                return describe_topic(call, want, topic, row);
        int r = topic_validate_name(call->state, want->resource_name, message, sizeof(message));
        refuse(row, r ? KAFKA_INVALID_TOPIC_EXCEPTION : KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
               r ? arena_str(&call->arena, str_of(message)) : STR("This server does not host this topic-partition."));
        return true;
}

void api_describe_configs(Call *call) {
        const DescribeConfigsRequest *request = call->request;
        DescribeConfigsResponse response = DescribeConfigsResponse_INIT;
        response.results = call_array(call, DescribeConfigsResponseResult, request->resources_count);
        response.results_count = request->resources_count;
        bool ok = response.results != NULL;
        for (int32_t i = 0; ok && i < request->resources_count; i++)
                ok = describe(call, &request->resources[i], &response.results[i]);
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
