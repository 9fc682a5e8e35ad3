/* What a running Kafka broker asks of new values of its own configs, beyond their types and bounds. */
#include <errno.h>

#include "broker/api/config_change.h"

static int refuse(Call *call, Str *ret_message, Str why) {
        *ret_message = why;
        return str_is_null(why) ? -ENOMEM : KAFKA_INVALID_REQUEST;
}

/* What one of the parts that are reconfigured did not like. */
static int refuse_part(Call *call, Str *ret_message, Str why) {
        return refuse(call, ret_message, arena_printf(&call->arena, "Invalid value org.apache.kafka.common.config.ConfigException: %.*s for "
                                                      "configuration Invalid dynamic configuration", STR_ARG(why)));
}

/* There are no such threads here, but tools that size them are told what Kafka would tell them. */
static int check_threads(Call *call, const ConfigKey *key, int64_t value, Str *ret_message) {
        static const char *const names[] = { "background.threads", "num.io.threads", "num.network.threads", "num.replica.fetchers",
                                             "remote.log.manager.copier.thread.pool.size", "remote.log.manager.expiration.thread.pool.size",
                                             "remote.log.reader.threads" };
        int64_t current = config_int(call->state->config, key->name);
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (strcmp(names[i], key->name) != 0 || (value >= current / 2 && value <= current * 2))
                        continue;
                return refuse_part(call, ret_message,
                                   arena_printf(&call->arena, "Dynamic thread count update validation failed for %s=%lld, value should %s the "
                                                "current value %lld", key->name, (long long)value,
                                                value < current / 2 ? "be at least half" : "not be greater than double", (long long)current));
        }
        return 0;
}

static int check_number(Call *call, const ConfigKey *key, int64_t value, Str *ret_message) {
        const Config *config = call->state->config;
        static const struct {
                const char *key, *why;
                int64_t least;
        } floors[] = {
                { "log.retention.ms", "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1", 1 },
                { "log.roll.jitter.ms", "requirement failed: log.roll.jitter.ms must be greater than or equal to 0", 0 },
                { "log.roll.ms", "requirement failed: log.roll.ms must be greater than or equal to 1", 1 },
                { "log.cleaner.threads", "/ by zero", 1 },
        };
        for (size_t i = 0; i < sizeof(floors) / sizeof(floors[0]); i++)
                if (strcmp(floors[i].key, key->name) == 0 && value < floors[i].least && (value == 0 || i > 0)) /* below 0 all is unlimited */
                        return refuse(call, ret_message, str_of(floors[i].why));
        int64_t cleaners = config_int(config, "log.cleaner.threads"); /* 0 where the broker was started with that */
        if (strcmp(key->name, "log.cleaner.dedupe.buffer.size") == 0 && value / (cleaners ? cleaners : 1) <= 1 << 20)
                return refuse(call, ret_message, STR("requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner "
                                                     "thread."));
        if (value == 0 && (strcmp(key->name, "max.connections") == 0 || strcmp(key->name, "max.connection.creation.rate") == 0))
                return refuse_part(call, ret_message, arena_printf(&call->arena, "Invalid %s 0", key->name));
        if (value == 0 && strcmp(key->name, "max.connections.per.ip") == 0 && config_str(config, "max.connections.per.ip.overrides").len == 0)
                return refuse(call, ret_message, STR("requirement failed: max.connections.per.ip can be set to zero only if "
                                                     "max.connections.per.ip.overrides property is set."));
        return check_threads(call, key, value, ret_message);
}

static int check_list(Call *call, const ConfigKey *key, Str value, Str *ret_message) {
        Str rest = value, item;
        if (strcmp(key->name, "metric.reporters") == 0 && value.len && !str_equal(value, str_of(key->default_value)))
                return refuse_part(call, ret_message, STR("Validation of dynamic config update of Set(metric.reporters) failed with class class "
                                                          "kafka.server.DynamicMetricsReporters"));
        while (value.len && config_next_item(&rest, &item)) {
                if (strcmp(key->name, "max.connections.per.ip.overrides") == 0 && (item.len == 0 || !memchr(item.data, ':', item.len)))
                        return refuse(call, ret_message, arena_printf(&call->arena, "Error parsing configuration property '%s': begin 0, end -1, "
                                                                      "length %zu", key->name, item.len));
                if (strcmp(key->name, "cordoned.log.dirs") == 0 && !str_equal(item, str_of(call->state->config->data_dir)))
                        return refuse(call, ret_message, arena_printf(&call->arena, "requirement failed: All entries in cordoned.log.dirs must be "
                                                                      "present in log.dirs or log.dir. Missing entries : %.*s", STR_ARG(item)));
        }
        return 0;
}

int broker_config_check(Call *call, const ConfigKey *key, Str value, Str *ret_message) {
        int64_t number;
        switch (key->type) {
        case CONFIG_TYPE_SHORT:
        case CONFIG_TYPE_INT:
        case CONFIG_TYPE_LONG:
                return str_to_int64(value, INT64_MIN, INT64_MAX, &number) ? check_number(call, key, number, ret_message) : 0;
        case CONFIG_TYPE_CLASS: /* nothing can be loaded here */
                if (key->default_value && str_equal(value, str_of(key->default_value)))
                        return 0;
                return refuse(call, ret_message, arena_printf(&call->arena, "Invalid value %.*s for configuration %s: Class %.*s could not be "
                                                              "found.", STR_ARG(value), key->name, STR_ARG(value)));
        case CONFIG_TYPE_LIST:
        case CONFIG_TYPE_STRING:
                return check_list(call, key, value, ret_message);
        default:
                return 0;
        }
}
