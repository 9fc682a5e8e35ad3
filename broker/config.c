/* Values: what was given, what it falls back to, and whether it is allowed. */
#include "broker/config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static const ConfigKey *find_in(const ConfigKey *keys, size_t count, Str name) {
        size_t low = 0, high = count;
        while (low < high) {
                size_t middle = (low + high) / 2;
                int order = str_compare(name, str_of(keys[middle].name));
                if (order == 0)
                        return &keys[middle];
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

const ConfigKey *config_find_key(ConfigResource resource, Str name) {
        return resource == CONFIG_RESOURCE_TOPIC ? find_in(topic_config_keys, topic_config_key_count, name)
                                                 : find_in(broker_config_keys, broker_config_key_count, name);
}

/* Entries are ordered by key, then by source: the first one of a key counts. */
static int32_t entry_place(const ConfigMap *map, const ConfigKey *key, ConfigSource source) {
        int32_t i = 0;
        while (i < map->count && (map->entries[i].key < key || (map->entries[i].key == key && map->entries[i].source < source)))
                i++;
        return i;
}

static void entry_remove(ConfigMap *map, int32_t i) {
        free(map->entries[i].value);
        memmove(&map->entries[i], &map->entries[i + 1], (size_t)(--map->count - i) * sizeof(ConfigEntry));
}

int config_map_set(ConfigMap *map, const ConfigKey *key, Str value, ConfigSource source) {
        int32_t i = entry_place(map, key, source);
        bool exists = i < map->count && map->entries[i].key == key && map->entries[i].source == source;
        if (str_is_null(value)) {
                if (exists)
                        entry_remove(map, i);
                return 0;
        }
        char *copy = str_dup(value);
        if (!copy)
                return -ENOMEM;
        if (exists) {
                free(map->entries[i].value);
                map->entries[i].value = copy;
                return 0;
        }
        ConfigEntry *entries = realloc(map->entries, (size_t)(map->count + 1) * sizeof(ConfigEntry));
        if (!entries) {
                free(copy);
                return -ENOMEM;
        }
        map->entries = entries;
        memmove(&entries[i + 1], &entries[i], (size_t)(map->count++ - i) * sizeof(ConfigEntry));
        entries[i] = (ConfigEntry){ .key = key, .value = copy, .source = source };
        return 0;
}

const ConfigEntry *config_map_find(const ConfigMap *map, const ConfigKey *key) {
        for (int32_t i = 0; i < map->count; i++)
                if (map->entries[i].key == key)
                        return &map->entries[i];
        return NULL;
}

int config_map_copy(const ConfigMap *from, ConfigMap *ret_map) {
        ConfigMap copy = CONFIG_MAP_INIT;
        for (int32_t i = 0; i < from->count; i++) {
                const ConfigEntry *e = &from->entries[i];
                if (config_map_set(&copy, e->key, str_of(e->value), e->source) < 0) {
                        config_map_deinit(&copy);
                        return -ENOMEM;
                }
        }
        *ret_map = copy;
        return 0;
}

void config_map_deinit(ConfigMap *map) {
        for (int32_t i = 0; i < map->count; i++)
                free(map->entries[i].value);
        free(map->entries);
        *map = CONFIG_MAP_INIT;
}

static Str trim(Str s) {
        while (s.len && s.data[0] == ' ')
                s = (Str){ .data = s.data + 1, .len = s.len - 1 };
        while (s.len && s.data[s.len - 1] == ' ')
                s.len--;
        return s;
}

bool config_next_item(Str *list, Str *ret_item) {
        if (str_is_null(*list))
                return false;
        const char *comma = list->len ? memchr(list->data, ',', list->len) : NULL;
        size_t length = comma ? (size_t)(comma - list->data) : list->len;
        *ret_item = trim((Str){ .data = list->data, .len = length });
        *list = comma ? (Str){ .data = comma + 1, .len = list->len - length - 1 } : STR_NULL;
        return true;
}

static bool is_allowed(const char *valid, Str item) {
        Str rest = str_of(valid), allowed;
        while (config_next_item(&rest, &allowed))
                if (str_equal(allowed, item))
                        return true;
        return false;
}

static const char *const number_names[] = {
        [CONFIG_TYPE_INT] = "INT",
        [CONFIG_TYPE_SHORT] = "SHORT",
        [CONFIG_TYPE_LONG] = "LONG",
        [CONFIG_TYPE_DOUBLE] = "DOUBLE",
};

/* "a,b" as Kafka shows it: "[a, b]" is written by the caller around this. */
static void spell_list(const char *valid, char *out, size_t size) {
        size_t used = 0;
        for (const char *p = valid; *p && used + 3 < size; p++) {
                out[used++] = *p;
                if (*p == ',')
                        out[used++] = ' ';
        }
        out[used] = '\0';
}

static bool validate_number(const ConfigKey *key, Str value, char *message, size_t size) {
        static const int64_t widest[][2] = {
                [CONFIG_TYPE_INT] = { INT32_MIN, INT32_MAX },
                [CONFIG_TYPE_SHORT] = { INT16_MIN, INT16_MAX },
                [CONFIG_TYPE_LONG] = { INT64_MIN, INT64_MAX },
        };
        int64_t number;
        if (!str_to_int64(value, widest[key->type][0], widest[key->type][1], &number)) {
                snprintf(message, size, "Invalid value %.*s for configuration %s: Not a number of type %s", STR_ARG(value),
                         key->name, number_names[key->type]);
                return false;
        }
        if (number >= key->min && number <= key->max)
                return true;
        snprintf(message, size, "Invalid value %.*s for configuration %s: Value must be %s %lld", STR_ARG(value), key->name,
                 number < key->min ? "at least" : "no more than", (long long)(number < key->min ? key->min : key->max));
        return false;
}

static bool validate_choice(const ConfigKey *key, Str value, char *message, size_t size) {
        char choices[256];
        bool is_list = key->type == CONFIG_TYPE_LIST;
        Str rest = value, item;
        if (!key->valid || (!is_list && is_allowed(key->valid, value)))
                return true;
        while (is_list && config_next_item(&rest, &item) && (item.len == 0 || is_allowed(key->valid, item)))
                if (str_is_null(rest))
                        return true;
        spell_list(key->valid, choices, sizeof(choices));
        snprintf(message, size, "Invalid value %.*s for configuration %s: String must be one of: %s",
                 is_list ? (int)item.len : (int)value.len, is_list ? item.data : value.data, key->name, choices);
        return false;
}

bool config_validate(const ConfigKey *key, Str value, char *ret_message, size_t message_size) {
        char *end, text[64];
        switch (key->type) {
        case CONFIG_TYPE_INT:
        case CONFIG_TYPE_SHORT:
        case CONFIG_TYPE_LONG:
                return validate_number(key, trim(value), ret_message, message_size);
        case CONFIG_TYPE_DOUBLE:
                snprintf(text, sizeof(text), "%.*s", STR_ARG(value));
                strtod(text, &end);
                if (value.len && !*end)
                        return true;
                snprintf(ret_message, message_size, "Invalid value %.*s for configuration %s: Not a number of type DOUBLE",
                         STR_ARG(value), key->name);
                return false;
        case CONFIG_TYPE_BOOLEAN:
                if ((value.len == 4 && strncasecmp(value.data, "true", 4) == 0) ||
                    (value.len == 5 && strncasecmp(value.data, "false", 5) == 0))
                        return true;
                snprintf(ret_message, message_size,
                         "Invalid value %.*s for configuration %s: Expected value to be either true or false", STR_ARG(value),
                         key->name);
                return false;
        default:
                return validate_choice(key, value, ret_message, message_size);
        }
}

static const ConfigKey *broker_key(const char *name) {
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_BROKER, str_of(name));
        assert(key);
        return key;
}

Str config_str(const Config *config, const char *name) {
        const ConfigKey *key = broker_key(name);
        const ConfigEntry *entry = config_map_find(&config->broker, key);
        return str_of(entry ? entry->value : key->default_value);
}

static int64_t number_of(Str text) {
        int64_t value = 0;
        bool ok = str_to_int64(trim(text), INT64_MIN, INT64_MAX, &value);
        assert(ok || str_is_null(text));
        (void)ok;
        return value;
}

int64_t config_int(const Config *config, const char *name) {
        return number_of(config_str(config, name));
}

static bool is_true(Str text) {
        return text.len == 4 && strncasecmp(text.data, "true", 4) == 0;
}

bool config_bool(const Config *config, const char *name) {
        return is_true(config_str(config, name));
}

/* Older keys of the same setting in coarser units, newest first. */
typedef struct CoarseKey {
        const char *topic_key, *broker_key;
        int64_t unit_ms;
} CoarseKey;

static const CoarseKey coarse_keys[] = {
        { "retention.ms", "log.retention.minutes", 60000 },
        { "retention.ms", "log.retention.hours", 3600000 },
        { "segment.ms", "log.roll.hours", 3600000 },
        { "segment.jitter.ms", "log.roll.jitter.hours", 3600000 },
};

const ConfigEntry *config_topic_synonym(const Config *config, const ConfigKey *topic_key) {
        const ConfigKey *synonym = topic_key->synonym ? broker_key(topic_key->synonym) : NULL;
        const ConfigEntry *entry = synonym ? config_map_find(&config->broker, synonym) : NULL;
        for (size_t i = 0; !entry && i < sizeof(coarse_keys) / sizeof(coarse_keys[0]); i++)
                if (strcmp(coarse_keys[i].topic_key, topic_key->name) == 0)
                        entry = config_map_find(&config->broker, broker_key(coarse_keys[i].broker_key));
        return entry;
}

/* Coarse values are turned into milliseconds; the text lives in a small ring, which no caller outlives. */
static Str in_ms(const ConfigEntry *entry) {
        static char ring[8][24];
        static unsigned next;
        for (size_t i = 0; i < sizeof(coarse_keys) / sizeof(coarse_keys[0]); i++)
                if (strcmp(coarse_keys[i].broker_key, entry->key->name) == 0) {
                        int64_t value = number_of(str_of(entry->value));
                        char *text = ring[next++ % 8];
                        snprintf(text, sizeof(ring[0]), "%lld", (long long)(value < 0 ? -1 : value * coarse_keys[i].unit_ms));
                        return str_of(text);
                }
        return str_of(entry->value);
}

Str config_topic_str(const Config *config, const ConfigMap *topic, const char *topic_key, ConfigSource *ret_source) {
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_TOPIC, str_of(topic_key));
        assert(key);
        const ConfigEntry *entry = config_map_find(topic, key);
        ConfigSource source = CONFIG_SOURCE_DEFAULT;
        Str value = str_of(key->default_value);
        if (entry) {
                source = CONFIG_SOURCE_TOPIC;
                value = str_of(entry->value);
        } else if ((entry = config_topic_synonym(config, key))) {
                source = entry->source;
                value = in_ms(entry);
        }
        if (ret_source)
                *ret_source = source;
        return value;
}

static int64_t topic_int(const Config *config, const ConfigMap *topic, const char *key) {
        return number_of(config_topic_str(config, topic, key, NULL));
}

static bool list_holds(Str list, Str wanted) {
        Str item;
        while (config_next_item(&list, &item))
                if (str_equal(item, wanted))
                        return true;
        return false;
}

void config_topic_log(const Config *config, const ConfigMap *topic, LogConfig *ret_log_config) {
        Str policy = config_topic_str(config, topic, "cleanup.policy", NULL);
        *ret_log_config = (LogConfig){
                .segment_bytes = topic_int(config, topic, "segment.bytes"),
                .segment_ms = topic_int(config, topic, "segment.ms"),
                .segment_index_bytes = topic_int(config, topic, "segment.index.bytes"),
                .index_interval_bytes = topic_int(config, topic, "index.interval.bytes"),
                .retention_ms = topic_int(config, topic, "retention.ms"),
                .retention_bytes = topic_int(config, topic, "retention.bytes"),
                .max_message_bytes = topic_int(config, topic, "max.message.bytes"),
                .message_timestamp_before_max_ms = topic_int(config, topic, "message.timestamp.before.max.ms"),
                .message_timestamp_after_max_ms = topic_int(config, topic, "message.timestamp.after.max.ms"),
                .producer_id_expiration_ms = config_int(config, "producer.id.expiration.ms"),
                .message_timestamp_log_append =
                        str_equal(config_topic_str(config, topic, "message.timestamp.type", NULL), STR("LogAppendTime")),
                .cleanup_delete = list_holds(policy, STR("delete")),
                .cleanup_compact = list_holds(policy, STR("compact")),
        };
}

void config_deinit(Config *config) {
        config_map_deinit(&config->broker);
        free(config->data_dir);
        config->data_dir = NULL;
}
