/* DescribeConfigs: v0-4
 * Every config of a topic or broker with its value, default and source. v1 adds sources and synonyms in place of is_default; v3 types and
 * documentation (KIP-226, KIP-524, KIP-569); v4 is flexible. */
#include <stdlib.h>

#include "broker/api/api.h"
#include "broker/state/metadata/resource_configs.h"
#include "storage/base/trace.h"

typedef DescribeConfigsRequestResource Want;
typedef DescribeConfigsResponseResult Row;
typedef DescribeConfigsResponseConfig ConfigRow;
typedef DescribeConfigsResponseSynonym Synonym;

static int compare_names(const void *a, const void *b) {
        return str_compare(*(const Str *)a, *(const Str *)b);
}

/* The names that are asked for were sorted: a client may give many. */
static bool is_wanted(const Want *want, const char *name) {
        Str wanted = str_of(name);
        return want->configuration_keys_count <= 0 ||
               bsearch(&wanted, want->configuration_keys, (size_t)want->configuration_keys_count, sizeof(Str), compare_names);
}

/* Values of a config in falling precedence: its own, the broker's, the defaults. */
typedef struct Values {
        Synonym rows[1 + CONFIG_SYNONYMS_MAX * 4];
        int32_t count;
} Values;

static void values_add(Values *values, const ConfigKey *key, const char *value, ConfigSource source) {
        values->rows[values->count++] = (Synonym){ .name = str_of(key->name),
                                                   .value = key->sensitive ? STR_NULL : str_of(value),
                                                   .source = (int8_t)source };
}

static void add_given(const Config *config, Values *values, const ConfigKey *key, ConfigSource source) {
        const ConfigEntry *entry = config_map_find_source(&config->broker, key, source);
        if (entry)
                values_add(values, key, config_given(entry).data, source);
}

/* As Kafka tells them: all synonyms, source by source, from the first one that has the key's own name on. So what only
 * log.retention.hours says counts as a default of log.retention.ms. */
static void add_broker_values(const Config *config, Values *values, const ConfigKey *key) {
        static const ConfigSource sources[] = { CONFIG_SOURCE_DYNAMIC_BROKER, CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER,
                                                CONFIG_SOURCE_STATIC_BROKER };
        const ConfigKey *keys[CONFIG_SYNONYMS_MAX];
        size_t key_count = config_broker_synonyms(key, keys);
        Values found = { .count = 0 };
        for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
                for (size_t k = 0; k < key_count; k++)
                        add_given(config, &found, keys[k], sources[i]);
        for (size_t k = 0; k < key_count; k++)
                if (keys[k]->default_value)
                        values_add(&found, keys[k], keys[k]->default_value, CONFIG_SOURCE_DEFAULT);
        int32_t first = 0;
        while (first < found.count && !str_equal(found.rows[first].name, str_of(key->name)))
                first++;
        for (; first < found.count; first++)
                values->rows[values->count++] = found.rows[first];
}

/* What the broker gives, which is the same for all resources of a request: found once for each key. */
typedef struct Describing {
        Call *call;
        Values *of_topics, *of_groups, *of_broker; /* NULL until they are asked for */
        bool is_malformed; /* a resource is of no known type, which spoils the request for all, as in Kafka */
} Describing;

/* Those of one key of a table, or NULL without memory; broker_key NULL: none. */
static const Values *find_values(Describing *d, Values **of_table, size_t key_count, size_t at, const ConfigKey *broker_key) {
        if (!*of_table) {
                *of_table = arena_alloc_array(&d->call->arena, key_count, sizeof(Values));
                for (size_t i = 0; *of_table && i < key_count; i++)
                        (*of_table)[i].count = -1;
        }
        Values *values = *of_table ? &(*of_table)[at] : NULL;
        if (values && values->count < 0) {
                values->count = 0;
                if (broker_key)
                        add_broker_values(d->call->state->config, values, broker_key);
        }
        return values;
}

static const ConfigKey *synonym_of(const ConfigKey *key) {
        return key->synonym ? config_find_key(CONFIG_RESOURCE_BROKER, str_of(key->synonym)) : NULL;
}

/* A copy that begins with the resource's own value. */
static const Values *put_first(Call *call, const ConfigKey *key, const ConfigEntry *own, ConfigSource source, const Values *rest) {
        Values *values = arena_alloc(&call->arena, sizeof(*values));
        if (!values)
                return NULL;
        values->count = 0;
        values_add(values, key, own->value, source);
        memcpy(values->rows + 1, rest->rows, (size_t)rest->count * sizeof(Synonym));
        values->count += rest->count;
        return values;
}

/* The values live as long as the call. */
static void fill_row(const Call *call, ConfigRow *row, const ConfigKey *key, Str value, const Values *values, bool read_only) {
        const DescribeConfigsRequest *request = call->request;
        row->name = str_of(key->name);
        row->value = key->sensitive ? STR_NULL : value;
        row->read_only = read_only;
        row->config_source = values->count ? values->rows[0].source : CONFIG_SOURCE_DEFAULT;
        row->is_default = row->config_source == CONFIG_SOURCE_DEFAULT;
        row->is_sensitive = key->sensitive;
        row->config_type = (int8_t)key->type;
        row->documentation = !request->include_documentation || key->custom ? STR_NULL
                             : key->documentation            ? str_of(key->documentation)
                                                             : STR("Taken over from Apache Kafka; it has no effect here.");
        if (request->include_synonyms) {
                row->synonyms = (Synonym *)(uintptr_t)values->rows;
                row->synonyms_count = values->count;
        }
}

static bool describe_topic(Describing *d, const Want *want, const Topic *topic, Row *row) {
        Call *call = d->call;
        const Config *config = call->state->config;
        row->configs = call_array(call, DescribeConfigsResponseConfig, topic_config_key_count);
        if (!row->configs)
                return false;
        for (size_t i = 0; i < topic_config_key_count; i++) {
                const ConfigKey *key = &topic_config_keys[i];
                const ConfigEntry *own = config_map_find(&topic->config, key);
                if (!is_wanted(want, key->name) || (key->internal && !own))
                        continue;
                const Values *values = find_values(d, &d->of_topics, topic_config_key_count, i, synonym_of(key));
                if (values && own)
                        values = put_first(call, key, own, CONFIG_SOURCE_TOPIC, values);
                Str value = config_topic_str(config, &topic->config, key->name, NULL);
                if (!values)
                        return false;
                fill_row(call, &row->configs[row->configs_count++], key, value, values, false);
        }
        return true;
}

/* A group: its own values, the broker's, the defaults. Client metrics: only what was given counts as a synonym. */
static bool describe_resource(Describing *d, const Want *want, const ConfigKey *keys, size_t key_count, Row *row) {
        Call *call = d->call;
        const Config *config = call->state->config;
        bool is_group = want->resource_type == CONFIG_RESOURCE_GROUP;
        const ConfigMap *own = resource_config_find(call->state, want->resource_type, want->resource_name);
        row->configs = call_array(call, DescribeConfigsResponseConfig, key_count);
        if (!row->configs)
                return false;
        for (size_t i = 0; i < key_count; i++) {
                const ConfigKey *key = &keys[i];
                const ConfigEntry *entry = config_map_find(own, key);
                if (!is_wanted(want, key->name))
                        continue;
                Values *values = arena_alloc(&call->arena, sizeof(*values));
                const Values *brokers = key->synonym ? find_values(d, &d->of_groups, key_count, i, synonym_of(key)) : NULL;
                if (!values || (key->synonym && !brokers))
                        return false;
                values->count = 0;
                if (entry)
                        values_add(values, key, entry->value, entry->source);
                for (int32_t k = 0; brokers && k < brokers->count; k++)
                        values->rows[values->count++] = brokers->rows[k];
                if (!key->synonym && is_group)
                        values_add(values, key, key->default_value, CONFIG_SOURCE_DEFAULT);
                Str value = entry          ? str_of(entry->value)
                            : key->synonym ? config_str(config, key->synonym)
                                           : str_of(key->default_value);
                fill_row(call, &row->configs[row->configs_count++], key, value, values, false);
        }
        return true;
}

static bool is_node_id(const ConfigKey *key) {
        return strcmp(key->name, "node.id") == 0 || strcmp(key->name, "broker.id") == 0;
}

/* Kafka has to be given node.id, and takes broker.id from it; here it is 1 where nobody says anything else. */
static const Values *find_node_id(Call *call, const ConfigKey *key) {
        Values *values = arena_alloc(&call->arena, sizeof(*values));
        Str id = arena_printf(&call->arena, "%d", call->state->node_id);
        if (!values || str_is_null(id))
                return NULL;
        values->count = 0;
        values_add(values, key, id.data, CONFIG_SOURCE_STATIC_BROKER);
        if (strcmp(key->name, "broker.id") == 0)
                values_add(values, key, key->default_value, CONFIG_SOURCE_DEFAULT);
        return values;
}

/* What the broker uses: where the data is may not have been given. */
static Str broker_value(Call *call, const ConfigKey *key, const Values *values) {
        const State *state = call->state;
        if (is_node_id(key))
                return values->rows[0].value;
        if (strcmp(key->name, "log.dirs") == 0)
                return str_of(state->config->data_dir);
        return config_str(state->config, key->name);
}

static const Values *find_cluster_default(Call *call, const ConfigKey *key) {
        Values *values = arena_alloc(&call->arena, sizeof(*values));
        if (!values)
                return NULL;
        values->count = 0;
        add_given(call->state->config, values, key, CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER);
        return values;
}

/* What no table holds, but somebody set. */
static bool describe_custom(Describing *d, const Want *want, bool only_cluster_default, Row *row) {
        Call *call = d->call;
        const ConfigMap *broker = &call->state->config->broker;
        for (int32_t i = 0; i < broker->count; i++) {
                const ConfigKey *key = broker->entries[i].key;
                bool is_first = i == 0 || !config_same_key(key, broker->entries[i - 1].key);
                if (!key->custom || !is_first || !is_wanted(want, key->name))
                        continue;
                Values *values = arena_alloc(&call->arena, sizeof(*values));
                if (!values)
                        return false;
                values->count = 0;
                if (only_cluster_default)
                        add_given(call->state->config, values, key, CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER);
                else
                        add_broker_values(call->state->config, values, key);
                if (values->count)
                        fill_row(call, &row->configs[row->configs_count++], key, values->rows[0].value, values, true);
        }
        return true;
}

static bool describe_broker(Describing *d, const Want *want, bool only_cluster_default, Row *row) {
        Call *call = d->call;
        const Config *config = call->state->config;
        row->configs = call_array(call, DescribeConfigsResponseConfig, broker_config_key_count + (size_t)config->broker.count);
        if (!row->configs)
                return false;
        for (size_t i = 0; i < broker_config_key_count; i++) {
                const ConfigKey *key = &broker_config_keys[i];
                bool is_given = config_map_find(&config->broker, key) != NULL;
                if (!is_wanted(want, key->name) || ((key->internal || only_cluster_default) && !is_given))
                        continue;
                const Values *values = only_cluster_default ? find_cluster_default(call, key)
                                       : is_node_id(key)    ? find_node_id(call, key)
                                                            : find_values(d, &d->of_broker, broker_config_key_count, i, key);
                if (!values)
                        return false;
                if (only_cluster_default && values->count == 0)
                        continue;
                Str value = only_cluster_default ? values->rows[0].value : broker_value(call, key, values);
                fill_row(call, &row->configs[row->configs_count++], key, value, values, key->read_only);
        }
        return describe_custom(d, want, only_cluster_default, row);
}

/* There is one logger: what is traced. Of the levels that Kafka has two are more than there are here. */
static bool describe_logger(Call *call, const Want *want, Row *row) {
        static const char *const levels[] = { "ERROR", "WARN", "INFO", "DEBUG" };
        if (!is_wanted(want, "root"))
                return true;
        row->configs = call_array(call, DescribeConfigsResponseConfig, 1);
        if (!row->configs)
                return false;
        row->configs_count = 1;
        row->configs[0].name = STR("root");
        row->configs[0].value = str_of(call->state->logger_level ? call->state->logger_level : levels[trace_level]);
        row->configs[0].config_source = CONFIG_SOURCE_BROKER_LOGGER;
        row->configs[0].documentation = STR("");
        return true;
}

static void refuse(Row *row, int16_t code, Str message) {
        row->error_code = code;
        row->error_message = message;
}

static bool describe_broker_named(Describing *d, const Want *want, bool is_logger, Row *row) {
        Call *call = d->call;
        int64_t id;
        if (want->resource_name.len == 0 && is_logger)
                refuse(row, KAFKA_INVALID_REQUEST, STR("Broker id must not be empty"));
        else if (want->resource_name.len == 0)
                return describe_broker(d, want, true, row);
        else if (!str_to_int64(want->resource_name, INT32_MIN, INT32_MAX, &id))
                refuse(row, KAFKA_INVALID_REQUEST, arena_printf(&call->arena, "Broker id must be an integer, but it is: %.*s",
                                                                STR_ARG(want->resource_name)));
        else if (id != call->state->node_id)
                refuse(row, KAFKA_INVALID_REQUEST,
                       arena_printf(&call->arena, "Unexpected broker id, expected %d%s but received %.*s", call->state->node_id,
                                    is_logger ? "" : " or empty string,", STR_ARG(want->resource_name)));
        else
                return is_logger ? describe_logger(call, want, row) : describe_broker(d, want, false, row);
        return true;
}

static bool describe_topic_named(Describing *d, const Want *want, Row *row) {
        Call *call = d->call;
        Topic *topic = topic_find(call->state, want->resource_name);
        if (topic)
                return describe_topic(d, want, topic, row);
        if (topic_name_is_valid(want->resource_name)) {
                refuse(row, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, STR(""));
                return true;
        }
        refuse(row, KAFKA_INVALID_TOPIC_EXCEPTION, call_describe_bad_topic(call, want->resource_name));
        return true;
}

static bool describe(Describing *d, const Want *want, Row *row) {
        row->resource_type = want->resource_type;
        row->resource_name = want->resource_name;
        row->error_message = STR("");
        bool is_nameless = want->resource_name.len == 0;
        switch (want->resource_type) {
        case CONFIG_RESOURCE_TOPIC:
                return describe_topic_named(d, want, row);
        case CONFIG_RESOURCE_BROKER:
        case CONFIG_RESOURCE_BROKER_LOGGER:
                return describe_broker_named(d, want, want->resource_type == CONFIG_RESOURCE_BROKER_LOGGER, row);
        case CONFIG_RESOURCE_GROUP:
                if (!is_nameless)
                        return describe_resource(d, want, group_config_keys, group_config_key_count, row);
                refuse(row, KAFKA_INVALID_REQUEST, STR("Group name must not be empty"));
                return true;
        case CONFIG_RESOURCE_CLIENT_METRICS:
                if (!is_nameless)
                        return describe_resource(d, want, client_metrics_config_keys, client_metrics_config_key_count, row);
                refuse(row, KAFKA_INVALID_REQUEST, STR("Client metrics subscription name must not be empty"));
                return true;
        default:
                d->is_malformed = true;
                return true;
        }
}

static void refuse_all(const DescribeConfigsRequest *request, DescribeConfigsResponse *response) {
        for (int32_t i = 0; i < request->resources_count; i++)
                response->results[i] = (Row){
                        .resource_type = request->resources[i].resource_type, .resource_name = request->resources[i].resource_name,
                        .error_code = KAFKA_INVALID_REQUEST,
                        .error_message = STR("This most likely occurs because of a request being malformed by the client library or the "
                                             "message was sent to an incompatible broker. See the broker logs for more details."),
                };
}

/* A request may ask for the same thing many times. */
static void refuse_for_memory(Row *row) {
        row->configs = NULL;
        row->configs_count = 0;
        refuse(row, KAFKA_POLICY_VIOLATION, STR("The answer takes more memory than odradek.request.max.memory.bytes allows."));
}

void api_describe_configs(Call *call) {
        const DescribeConfigsRequest *request = call->request;
        DescribeConfigsResponse response = DescribeConfigsResponse_INIT;
        Describing d = { .call = call };
        response.results = call_array(call, DescribeConfigsResponseResult, request->resources_count);
        response.results_count = request->resources_count;
        if (!response.results) {
                call_close(call);
                return;
        }
        for (int32_t i = 0; !d.is_malformed && i < request->resources_count; i++) {
                const Want *want = &request->resources[i];
                if (want->configuration_keys_count > 0)
                        qsort(want->configuration_keys, (size_t)want->configuration_keys_count, sizeof(Str), compare_names);
                if (!describe(&d, want, &response.results[i]))
                        refuse_for_memory(&response.results[i]);
        }
        if (d.is_malformed)
                refuse_all(request, &response);
        call_reply(call, &response);
}
