/* Configs of groups and of client metrics, as Apache Kafka 4.3 names them. Those of groups have the broker's as defaults, and bounds that
 * are broker properties, too. */
#include "broker/config.h"

#include <assert.h>

const ConfigKey group_config_keys[] = {
        { "consumer.assignment.interval.ms", CONFIG_TYPE_INT, "1000", .min = 0, .max = INT32_MAX, .synonym = "group.consumer.assignment.interval.ms", .documentation = "Least time between two computations of the target assignment." },
        { "consumer.heartbeat.interval.ms", CONFIG_TYPE_INT, "5000", .min = 1, .max = INT32_MAX, .synonym = "group.consumer.heartbeat.interval.ms", .documentation = "How often members of the group send heartbeats." },
        { "consumer.session.timeout.ms", CONFIG_TYPE_INT, "45000", .min = 1, .max = INT32_MAX, .synonym = "group.consumer.session.timeout.ms", .documentation = "Silence after which a member of the group is removed." },
        { "share.assignment.interval.ms", CONFIG_TYPE_INT, "1000", .min = 0, .max = INT32_MAX, .synonym = "group.share.assignment.interval.ms" },
        { "share.auto.offset.reset", CONFIG_TYPE_STRING, "latest", .documentation = "Where a share group starts that has no offsets." },
        { "share.delivery.count.limit", CONFIG_TYPE_INT, "5", .min = 2, .max = INT32_MAX, .synonym = "group.share.delivery.count.limit" },
        { "share.heartbeat.interval.ms", CONFIG_TYPE_INT, "5000", .min = 1, .max = INT32_MAX, .synonym = "group.share.heartbeat.interval.ms" },
        { "share.isolation.level", CONFIG_TYPE_STRING, "read_uncommitted", .valid = "read_committed,read_uncommitted" },
        { "share.partition.max.record.locks", CONFIG_TYPE_INT, "2000", .min = 100, .max = INT32_MAX, .synonym = "group.share.partition.max.record.locks" },
        { "share.record.lock.duration.ms", CONFIG_TYPE_INT, "30000", .min = 1000, .max = INT32_MAX, .synonym = "group.share.record.lock.duration.ms" },
        { "share.renew.acknowledge.enable", CONFIG_TYPE_BOOLEAN, "true" },
        { "share.session.timeout.ms", CONFIG_TYPE_INT, "45000", .min = 1, .max = INT32_MAX, .synonym = "group.share.session.timeout.ms" },
        { "streams.assignment.interval.ms", CONFIG_TYPE_INT, "1000", .min = 0, .max = INT32_MAX, .synonym = "group.streams.assignment.interval.ms" },
        { "streams.heartbeat.interval.ms", CONFIG_TYPE_INT, "5000", .min = 1, .max = INT32_MAX, .synonym = "group.streams.heartbeat.interval.ms" },
        { "streams.initial.rebalance.delay.ms", CONFIG_TYPE_INT, "3000", .min = 0, .max = INT32_MAX, .synonym = "group.streams.initial.rebalance.delay.ms" },
        { "streams.num.standby.replicas", CONFIG_TYPE_INT, "0", .min = 0, .max = INT32_MAX, .synonym = "group.streams.num.standby.replicas" },
        { "streams.session.timeout.ms", CONFIG_TYPE_INT, "45000", .min = 1, .max = INT32_MAX, .synonym = "group.streams.session.timeout.ms" },
};
const size_t group_config_key_count = sizeof(group_config_keys) / sizeof(group_config_keys[0]);

const ConfigKey client_metrics_config_keys[] = {
        { "interval.ms", CONFIG_TYPE_INT, "300000", .min = INT32_MIN, .max = INT32_MAX, .documentation = "How often clients push their metrics." },
        { "match", CONFIG_TYPE_LIST, "", .documentation = "Which clients are meant: NAME=PATTERN, all of them." },
        { "metrics", CONFIG_TYPE_LIST, "", .documentation = "Names, or beginnings of names, of the metrics that clients push." },
};
const size_t client_metrics_config_key_count = sizeof(client_metrics_config_keys) / sizeof(client_metrics_config_keys[0]);

Str config_group_str(const Config *config, const ConfigMap *group, const char *group_key) {
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_GROUP, str_of(group_key));
        assert(key);
        const ConfigEntry *entry = config_map_find(group, key);
        if (entry)
                return str_of(entry->value);
        return key->synonym ? config_str(config, key->synonym) : str_of(key->default_value);
}

static int64_t group_int(const Config *config, const ConfigMap *group, const char *group_key) {
        int64_t value = 0;
        str_to_int64(config_group_str(config, group, group_key), INT64_MIN, INT64_MAX, &value);
        return value;
}

/* The broker property that bounds a group's config: group.share.max.session.timeout.ms for share.session.timeout.ms. NULL where there is
 * none. */
static const ConfigKey *bound_of(const ConfigKey *key, const char *bound) {
        char name[128];
        size_t kind = strcspn(key->name, ".");
        const char *rest = strcmp(key->name, "streams.num.standby.replicas") == 0 ? ".standby.replicas" : key->name + kind;
        snprintf(name, sizeof(name), "group.%.*s.%s%s", (int)kind, key->name, bound, rest);
        return config_find_key(CONFIG_RESOURCE_BROKER, str_of(name));
}

int64_t config_group_int(const Config *config, const ConfigMap *group, const char *group_key) {
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_GROUP, str_of(group_key));
        const ConfigKey *min = bound_of(key, "min"), *max = bound_of(key, "max");
        int64_t value = group_int(config, group, group_key);
        if (!config_map_find(group, key))
                return value;
        if (min && value < config_int(config, min->name))
                value = config_int(config, min->name);
        if (max && value > config_int(config, max->name))
                value = config_int(config, max->name);
        return value;
}

static bool check_bounds(const Config *config, const ConfigMap *group, const ConfigKey *key, char *message, size_t size) {
        const ConfigKey *min = bound_of(key, "min"), *max = bound_of(key, "max");
        int64_t value = group_int(config, group, key->name);
        if (min && value < config_int(config, min->name))
                snprintf(message, size, "%s must be greater than or equal to %s", key->name, min->name);
        else if (max && value > config_int(config, max->name))
                snprintf(message, size, "%s must be less than or equal to %s", key->name, max->name);
        else
                return true;
        return false;
}

bool config_validate_group(const Config *config, const ConfigMap *group, char *ret_message, size_t message_size) {
        static const char *const kinds[][2] = {
                { "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms" },
                { "share.session.timeout.ms", "share.heartbeat.interval.ms" },
                { "streams.session.timeout.ms", "streams.heartbeat.interval.ms" },
        };
        for (int32_t i = 0; i < group->count; i++)
                if (group->entries[i].key->type == CONFIG_TYPE_INT &&
                    !check_bounds(config, group, group->entries[i].key, ret_message, message_size))
                        return false;
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                if (group->count > 0 && group_int(config, group, kinds[i][0]) <= group_int(config, group, kinds[i][1])) {
                        snprintf(ret_message, message_size, "%s must be greater than %s", kinds[i][0], kinds[i][1]);
                        return false;
                }
        return true;
}

/* Takes "12H" with one of the units off the text, in rising places of units: each at most once, in their order. */
static bool take_amount(Str *text, const char *units, size_t *place, bool *ret_negative) {
        size_t i = text->len && strchr("+-", text->data[0]) ? 1 : 0, first = i, fraction = 0;
        while (i < text->len && text->data[i] >= '0' && text->data[i] <= '9')
                i++;
        size_t digits = i - first;
        if (digits && i < text->len && (text->data[i] == '.' || text->data[i] == ','))
                for (fraction = 1; i + fraction < text->len && text->data[i + fraction] >= '0' && text->data[i + fraction] <= '9'; fraction++)
                        ;
        char unit = i + fraction < text->len ? text->data[i + fraction] & ~0x20 : 0;
        const char *found = unit ? strchr(units + *place, unit) : NULL;
        if (!digits || digits > 10 || !found || (fraction && unit != 'S') || fraction > 10)
                return false;
        *ret_negative = text->data[0] == '-';
        *place = (size_t)(found - units) + 1;
        *text = (Str){ .data = text->data + i + fraction + 1, .len = text->len - i - fraction - 1 };
        return true;
}

/* ISO 8601 as Java reads it, and not below zero: PT1H30M, P2DT0.5S. Amounts with different signs are refused altogether. */
static bool is_duration(Str text) {
        bool negative = false, sign = false, some = false;
        size_t day = 0, place = 0;
        if (text.len && strchr("+-", text.data[0])) {
                sign = text.data[0] == '-';
                text = (Str){ .data = text.data + 1, .len = text.len - 1 };
        }
        if (text.len == 0 || (text.data[0] & ~0x20) != 'P')
                return false;
        text = (Str){ .data = text.data + 1, .len = text.len - 1 };
        if (text.len && (text.data[0] & ~0x20) != 'T') {
                if (!take_amount(&text, "D", &day, &negative) || negative != sign)
                        return false;
                some = true;
        }
        if (text.len == 0)
                return some;
        if ((text.data[0] & ~0x20) != 'T' || text.len == 1)
                return false;
        text = (Str){ .data = text.data + 1, .len = text.len - 1 };
        while (text.len)
                if (!take_amount(&text, "HMS", &place, &negative) || negative != sign)
                        return false;
        return true;
}

bool config_validate_offset_reset(const ConfigKey *key, Str value, char *ret_message, size_t message_size) {
        Str prefix = STR("by_duration:");
        if (str_equal(value, STR("earliest")) || str_equal(value, STR("latest")))
                return true;
        if (str_starts_with(value, prefix) && is_duration((Str){ .data = value.data + prefix.len, .len = value.len - prefix.len }))
                return true;
        snprintf(ret_message, message_size,
                 "Invalid value %.*s for configuration %s: Invalid value `%.*s` for configuration %s. The value must be either "
                 "'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.",
                 STR_ARG(value), key->name, STR_ARG(value), key->name);
        return false;
}
