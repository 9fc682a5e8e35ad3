/* IncrementalAlterConfigs: v0-1
 * Sets, deletes, appends to and subtracts from single configs (KIP-339). v1 is flexible. */
#include <errno.h>
#include <stdlib.h>

#include "broker/api/api.h"
#include "broker/api/config_change.h"
#include "storage/base/trace.h"

enum { OPERATION_SET = 0, OPERATION_DELETE = 1, OPERATION_APPEND = 2, OPERATION_SUBTRACT = 3 };

typedef IncrementalAlterConfigsRequestResource Want;
typedef IncrementalAlterConfigsRequestConfig Change;

/* Takes the next piece off a comma-separated list, blanks and all; false at its end. */
static bool next_piece(Str *list, Str *ret_piece) {
        if (str_is_null(*list))
                return false;
        const char *comma = list->len ? memchr(list->data, ',', list->len) : NULL;
        size_t length = comma ? (size_t)(comma - list->data) : list->len;
        *ret_piece = (Str){ .data = list->data, .len = length };
        *list = comma ? (Str){ .data = comma + 1, .len = list->len - length - 1 } : STR_NULL;
        return true;
}

/* Java splits off no empty pieces at the end, but for the one that is all. */
static Str without_empty_end(Str list) {
        Str rest = list;
        while (rest.len && rest.data[rest.len - 1] == ',')
                rest.len--;
        return rest.len || list.len == 0 ? rest : STR_NULL;
}

static void put(Str *text, char *out, Str piece, bool *is_first) {
        if (!*is_first)
                out[text->len++] = ',';
        *is_first = false;
        memcpy(out + text->len, piece.data, piece.len);
        text->len += piece.len;
}

/* The list with those of other that it lacks (append), or without them (subtract): as they were given. Null without memory. */
static Str combine(Call *call, Str list, Str other, bool append) {
        char *out = arena_alloc(&call->arena, list.len + other.len + 2);
        Str text = { .data = out, .len = 0 }, piece;
        Names names;
        bool ok = out, is_first = true;
        names_init(&names, call);
        other = without_empty_end(other);
        for (Str rest = other; ok && !append && next_piece(&rest, &piece);)
                ok = names_add(&names, piece);
        while (ok && next_piece(&list, &piece)) {
                if (piece.len == 0 || (!append && names_drop(&names, piece)))
                        continue;
                put(&text, out, piece, &is_first);
                ok = !append || names_add(&names, piece);
        }
        while (ok && append && next_piece(&other, &piece)) {
                if (names_count(&names, piece) > 0)
                        continue;
                put(&text, out, piece, &is_first);
                ok = names_add(&names, piece);
        }
        names_deinit(&names);
        return ok ? text : STR_NULL;
}

/* Only topics and the broker have lists that can be appended to: Kafka takes those of client metrics for something else. */
static const ConfigKey *find_list(const Want *want, Str name) {
        bool is_topic = want->resource_type == CONFIG_RESOURCE_TOPIC;
        if (!is_topic && want->resource_type != CONFIG_RESOURCE_BROKER)
                return NULL;
        const ConfigKey *key = config_find_key(is_topic ? CONFIG_RESOURCE_TOPIC : CONFIG_RESOURCE_BROKER, name);
        return key && key->type == CONFIG_TYPE_LIST ? key : NULL;
}

static bool is_of_list(const Change *change) {
        return change->config_operation == OPERATION_APPEND || change->config_operation == OPERATION_SUBTRACT;
}

static int refuse_operation(Call *call, const Want *want, int8_t operation, Str *ret_message) {
        if (want->resource_type != CONFIG_RESOURCE_BROKER)
                return -EINVAL; /* UNKNOWN_SERVER_ERROR */
        *ret_message = arena_printf(&call->arena, "Unknown operations type %d", operation);
        return KAFKA_INVALID_REQUEST;
}

static int new_value(Call *call, const Want *want, const ConfigMap *map, const Change *change, Str *ret_value, Str *ret_message) {
        const ConfigKey *key = find_list(want, change->name);
        bool append = change->config_operation == OPERATION_APPEND;
        if (change->config_operation == OPERATION_DELETE || change->config_operation == OPERATION_SET) {
                *ret_value = change->config_operation == OPERATION_SET ? change->value : STR_NULL;
                return 0;
        }
        if (!is_of_list(change))
                return refuse_operation(call, want, change->config_operation, ret_message);
        if (want->resource_type == CONFIG_RESOURCE_BROKER && !config_find_key(CONFIG_RESOURCE_BROKER, change->name)) {
                *ret_message = arena_printf(&call->arena, "Unknown config name: %.*s", STR_ARG(change->name));
                return KAFKA_INVALID_CONFIG;
        }
        if (!key) {
                *ret_message = want->resource_type == CONFIG_RESOURCE_BROKER
                                       ? arena_printf(&call->arena, "Config value %s is not allowed for config key: %.*s",
                                                      append ? "append" : "subtract", STR_ARG(change->name))
                                       : arena_printf(&call->arena, "Can't %s to key %.*s because its type is not LIST.",
                                                      append ? "APPEND" : "SUBTRACT", STR_ARG(change->name));
                return KAFKA_INVALID_CONFIG;
        }
        const ConfigEntry *entry = config_map_find(map, key); /* the resource's own: what it falls back to does not count */
        *ret_value = combine(call, entry ? config_given(entry) : str_of(key->default_value), change->value, append);
        return str_is_null(*ret_value) ? -ENOMEM : 0;
}

/* Whether Kafka's controller is the first to look at its configs. */
static bool is_named(const Want *want) {
        return want->resource_type == CONFIG_RESOURCE_TOPIC || want->resource_type == CONFIG_RESOURCE_GROUP ||
               want->resource_type == CONFIG_RESOURCE_CLIENT_METRICS;
}

/* The configs that there are, and what the change makes of each. What is wrong with an operation comes before what is wrong with the name,
 * except with that of a broker. */
static int begin(Call *call, const Want *want, ConfigMap *ret_map, Str *values, Str *ret_message) {
        int r = config_change_begin(call, want->resource_type, want->resource_name, ret_map, ret_message);
        for (int32_t i = 0; (!r || is_named(want)) && i < want->configs_count; i++) {
                Str message = STR_NULL;
                int code = new_value(call, want, ret_map, &want->configs[i], &values[i], &message);
                if (code) {
                        *ret_message = message;
                        return code;
                }
        }
        return r;
}

static int check(Call *call, const Want *want, Str *ret_message) {
        ConfigChange *changes = arena_alloc_array(&call->arena, (size_t)want->configs_count, sizeof(*changes));
        if (!changes)
                return -ENOMEM;
        for (int32_t i = 0; i < want->configs_count; i++)
                changes[i] = (ConfigChange){
                        .name = want->configs[i].name,
                        .is_null = str_is_null(want->configs[i].value) && want->configs[i].config_operation != OPERATION_DELETE,
                };
        return config_change_check(call, changes, want->configs_count, ret_message);
}

static int alter_logger_level(Call *call, const Change *change, bool validate_only, Str *ret_message) {
        static const struct {
                const char *name;
                TraceLevel level;
        } levels[] = { { "DEBUG", TRACE_DEBUG }, { "ERROR", TRACE_ERROR }, { "FATAL", TRACE_ERROR },
                       { "INFO", TRACE_INFO },   { "TRACE", TRACE_DEBUG }, { "WARN", TRACE_WARN } };
        if (is_of_list(change)) {
                *ret_message = change->config_operation == OPERATION_APPEND
                                       ? STR("APPEND operation is not allowed for the BROKER_LOGGER resource")
                                       : STR("SUBTRACT operation is not allowed for the BROKER_LOGGER resource");
                return KAFKA_INVALID_REQUEST;
        }
        if (change->config_operation != OPERATION_SET && change->config_operation != OPERATION_DELETE)
                return -EINVAL; /* UNKNOWN_SERVER_ERROR */
        if (!str_equal(change->name, STR("root"))) {
                *ret_message = arena_printf(&call->arena, "Logger %.*s does not exist!", STR_ARG(change->name));
                return KAFKA_INVALID_CONFIG;
        }
        if (change->config_operation == OPERATION_DELETE) {
                *ret_message = STR("Removing the log level of the root logger is not allowed");
                return KAFKA_INVALID_REQUEST;
        }
        for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
                if (str_equal(change->value, str_of(levels[i].name))) {
                        if (!validate_only) {
                                trace_level = levels[i].level;
                                call->state->logger_level = levels[i].name;
                        }
                        return 0;
                }
        *ret_message = arena_printf(&call->arena,
                                    "Cannot set the log level of %.*s to %.*s as it is not a supported log level. Valid log levels are "
                                    "DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
                                    STR_ARG(change->name), STR_ARG(change->value));
        return KAFKA_INVALID_CONFIG;
}

/* Changes what is traced until the broker stops; either all changes or none. */
static int alter_logger(Call *call, const Want *want, bool validate_only, Str *ret_message) {
        int64_t id;
        int r = 0;
        bool is_number = str_to_int64(want->resource_name, INT32_MIN, INT32_MAX, &id);
        if (!is_number || id != call->state->node_id) {
                *ret_message = is_number ? arena_printf(&call->arena, "Unexpected node id. Expected %d, but received %d", call->state->node_id,
                                                        (int)id)
                                         : arena_printf(&call->arena, "Node id must be an integer, but it is: %.*s", STR_ARG(want->resource_name));
                return KAFKA_INVALID_REQUEST;
        }
        for (int pass = 0; pass < 2; pass++)
                for (int32_t i = 0; !r && i < want->configs_count; i++)
                        r = alter_logger_level(call, &want->configs[i], validate_only || pass == 0, ret_message);
        return r;
}

static int alter_as(Call *call, const Want *want, bool validate_only, Str *ret_message) {
        ConfigMap map = CONFIG_MAP_INIT;
        int r = check(call, want, ret_message);
        if (!r && want->resource_type == CONFIG_RESOURCE_BROKER_LOGGER)
                return alter_logger(call, want, validate_only, ret_message);
        Str *values = arena_alloc_array(&call->arena, (size_t)want->configs_count, sizeof(*values));
        if (!r && !values)
                r = -ENOMEM;
        if (!r)
                r = begin(call, want, &map, values, ret_message);
        for (int32_t i = 0; !r && i < want->configs_count; i++)
                r = config_change_check_name(call, want->resource_type, want->configs[i].name, values[i], ret_message);
        for (int32_t i = 0; !r && i < want->configs_count; i++)
                r = config_change_set(call, want->resource_type, &map, want->configs[i].name, values[i],
                                      want->resource_name.len == 0, ret_message);
        if (!r)
                return config_change_commit(call, want->resource_type, want->resource_name, &map, validate_only, ret_message);
        config_map_deinit(&map);
        return r;
}

static int alter(Call *call, int32_t index, Str *ret_message) {
        const IncrementalAlterConfigsRequest *request = call->request;
        return alter_as(call, &request->resources[index], request->validate_only, ret_message);
}

/* UNSUPPORTED_VERSION, which is nothing else's code here, where Kafka's controller comes to an operation that it does not know. */
static int find_unknown_operation(Call *call, int32_t index, Str *ret_message) {
        const IncrementalAlterConfigsRequest *request = call->request;
        const Want *want = &request->resources[index];
        if (!is_named(want))
                return 0;
        int r = check(call, want, ret_message);
        for (int32_t i = 0; !r && i < want->configs_count; i++) {
                bool of_list = is_of_list(&want->configs[i]);
                if (of_list && !find_list(want, want->configs[i].name))
                        return 0; /* that is told first */
                if (!of_list && want->configs[i].config_operation != OPERATION_SET && want->configs[i].config_operation != OPERATION_DELETE)
                        return KAFKA_UNSUPPORTED_VERSION;
        }
        return r;
}

/* Instead of alter(), when Kafka's controller gives up the request: what its broker sees in advance is told, or done, nevertheless. */
static int give_up(Call *call, int32_t index, Str *ret_message) {
        const IncrementalAlterConfigsRequest *request = call->request;
        const Want *want = &request->resources[index];
        bool is_logger = want->resource_type == CONFIG_RESOURCE_BROKER_LOGGER;
        int r = is_named(want) ? check(call, want, ret_message) : alter_as(call, want, request->validate_only || !is_logger, ret_message);
        return r || is_logger ? r : -EINVAL; /* UNKNOWN_SERVER_ERROR */
}

static bool has_unknown_operation(Call *call, ConfigTarget *targets, int32_t count) {
        config_change_all(call, targets, count, find_unknown_operation);
        int32_t i = 0;
        while (i < count && targets[i].error_code != KAFKA_UNSUPPORTED_VERSION)
                i++;
        return i < count;
}

void api_incremental_alter_configs(Call *call) {
        const IncrementalAlterConfigsRequest *request = call->request;
        int32_t count = request->resources_count;
        IncrementalAlterConfigsResponse response = IncrementalAlterConfigsResponse_INIT;
        ConfigTarget *targets = arena_alloc_array(&call->arena, (size_t)count, sizeof(*targets));
        response.responses = call_array(call, IncrementalAlterConfigsResponseResponse, count);
        if (!response.responses || !targets) {
                call_close(call);
                return;
        }
        for (int32_t i = 0; i < count; i++)
                targets[i] = (ConfigTarget){ request->resources[i].resource_type, request->resources[i].resource_name, 0, STR_NULL };
        config_change_all(call, targets, count, has_unknown_operation(call, targets, count) ? give_up : alter);
        for (int32_t i = 0; i < count; i++)
                response.responses[response.responses_count++] = (IncrementalAlterConfigsResponseResponse){
                        .error_code = targets[i].error_code, .error_message = targets[i].error_message,
                        .resource_type = targets[i].resource_type, .resource_name = targets[i].resource_name };
        call_reply(call, &response);
}
