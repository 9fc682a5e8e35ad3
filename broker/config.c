/* Values: what was given, what it falls back to, and whether it is allowed. */
#include "broker/config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "storage/compress.h"

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
        switch (resource) {
        case CONFIG_RESOURCE_TOPIC:
                return find_in(topic_config_keys, topic_config_key_count, name);
        case CONFIG_RESOURCE_GROUP:
                return find_in(group_config_keys, group_config_key_count, name);
        case CONFIG_RESOURCE_CLIENT_METRICS:
                return find_in(client_metrics_config_keys, client_metrics_config_key_count, name);
        default:
                return find_in(broker_config_keys, broker_config_key_count, name);
        }
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

static int64_t number_of(Str text) {
        int64_t value = 0;
        bool ok = str_to_int64(text, INT64_MIN, INT64_MAX, &value);
        assert(ok || str_is_null(text));
        (void)ok;
        return value;
}

/* What a value in minutes or hours is in milliseconds, as a new string; NULL for other keys. False without memory. */
static bool text_in_ms(const ConfigKey *key, const char *value, char **ret_text) {
        char text[24];
        *ret_text = NULL;
        for (size_t i = 0; i < sizeof(coarse_keys) / sizeof(coarse_keys[0]); i++)
                if (strcmp(coarse_keys[i].broker_key, key->name) == 0) {
                        int64_t number;
                        if (!str_to_int64(str_of(value), INT64_MIN, INT64_MAX / coarse_keys[i].unit_ms, &number))
                                return true;
                        snprintf(text, sizeof(text), "%lld", (long long)(number < 0 ? -1 : number * coarse_keys[i].unit_ms));
                        return (*ret_text = str_dup(str_of(text))) != NULL;
                }
        return true;
}

ConfigKey config_custom_key(const char *name) {
        ConfigKey key = { .name = name, .read_only = true, .sensitive = true, .custom = true };
        const ConfigKey *base = config_listener_base(&key);
        if (base) {
                key.type = base->type;
                key.sensitive = base->sensitive;
        }
        return key;
}

const ConfigKey *config_listener_base(const ConfigKey *key) {
        Str prefix = STR("listener.name."), name = str_of(key->name);
        const char *dot = key->custom && str_starts_with(name, prefix) ? strchr(key->name + prefix.len, '.') : NULL;
        return dot ? config_find_key(CONFIG_RESOURCE_BROKER, str_of(dot + 1)) : NULL;
}

bool config_same_key(const ConfigKey *a, const ConfigKey *b) {
        return a == b || (a->custom && b->custom && strcmp(a->name, b->name) == 0);
}

/* Custom keys come last, by name. */
static bool key_precedes(const ConfigKey *a, const ConfigKey *b) {
        if (a->custom != b->custom)
                return b->custom;
        return a->custom ? strcmp(a->name, b->name) < 0 : a < b;
}

/* A custom key is the entry's own. */
static void entry_free(ConfigEntry *entry) {
        if (entry->key && entry->key->custom) {
                free((char *)(uintptr_t)entry->key->name);
                free((ConfigKey *)(uintptr_t)entry->key);
        }
        free(entry->value);
        free(entry->given);
        free(entry->value_ms);
}

static bool entry_set_value(ConfigEntry *entry, Str value) {
        entry->value = malloc(CONFIG_SPELLING_SIZE(value.len));
        if (!entry->value || !config_spell(entry->key, value, entry->value))
                return false;
        bool is_same = str_equal(value, str_of(entry->value)) || (value.len && memchr(value.data, 0, value.len)); /* no text */
        if (!is_same && !(entry->given = str_dup(value)))
                return false;
        return text_in_ms(entry->key, entry->value, &entry->value_ms);
}

static bool entry_init(ConfigEntry *entry, const ConfigKey *key, Str value, ConfigSource source) {
        *entry = (ConfigEntry){ .key = key, .source = source };
        if (key->custom) {
                ConfigKey *copy = malloc(sizeof(*copy));
                entry->key = copy;
                if (copy) {
                        *copy = *key;
                        copy->name = str_dup(str_of(key->name));
                }
                if (!copy || !copy->name)
                        return false;
        }
        return entry_set_value(entry, value);
}

/* Entries are ordered by key, then by source: the first one of a key counts. */
static bool entry_precedes(const ConfigEntry *entry, const ConfigKey *key, ConfigSource source) {
        return key_precedes(entry->key, key) || (config_same_key(entry->key, key) && entry->source < source);
}

/* The place of the first entry that does not precede these. */
static int32_t entry_place(const ConfigMap *map, const ConfigKey *key, ConfigSource source) {
        int32_t low = 0, high = map->count;
        while (low < high) {
                int32_t middle = low + (high - low) / 2;
                if (entry_precedes(&map->entries[middle], key, source))
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static void entry_remove(ConfigMap *map, int32_t i) {
        entry_free(&map->entries[i]);
        memmove(&map->entries[i], &map->entries[i + 1], (size_t)(--map->count - i) * sizeof(ConfigEntry));
}

Str config_given(const ConfigEntry *entry) {
        return str_of(entry->given ? entry->given : entry->value);
}

int config_map_set(ConfigMap *map, const ConfigKey *key, Str value, ConfigSource source) {
        int32_t i = entry_place(map, key, source);
        bool exists = config_map_find_source(map, key, source) != NULL;
        if (str_is_null(value)) {
                if (exists)
                        entry_remove(map, i);
                return 0;
        }
        ConfigEntry entry;
        if (!entry_init(&entry, key, value, source)) {
                entry_free(&entry);
                return -ENOMEM;
        }
        if (exists) {
                entry_free(&map->entries[i]);
                map->entries[i] = entry;
                return 0;
        }
        ConfigEntry *entries = realloc(map->entries, (size_t)(map->count + 1) * sizeof(ConfigEntry));
        if (!entries) {
                entry_free(&entry);
                return -ENOMEM;
        }
        map->entries = entries;
        memmove(&entries[i + 1], &entries[i], (size_t)(map->count++ - i) * sizeof(ConfigEntry));
        entries[i] = entry;
        return 0;
}

const ConfigEntry *config_map_find(const ConfigMap *map, const ConfigKey *key) {
        int32_t i = entry_place(map, key, 0);
        return i < map->count && config_same_key(map->entries[i].key, key) ? &map->entries[i] : NULL;
}

const ConfigEntry *config_map_find_source(const ConfigMap *map, const ConfigKey *key, ConfigSource source) {
        int32_t i = entry_place(map, key, source);
        bool is_there = i < map->count && config_same_key(map->entries[i].key, key) && map->entries[i].source == source;
        return is_there ? &map->entries[i] : NULL;
}

int config_map_copy(const ConfigMap *from, ConfigMap *ret_map) {
        ConfigMap copy = CONFIG_MAP_INIT;
        for (int32_t i = 0; i < from->count; i++) {
                const ConfigEntry *e = &from->entries[i];
                if (config_map_set(&copy, e->key, config_given(e), e->source) < 0) {
                        config_map_deinit(&copy);
                        return -ENOMEM;
                }
        }
        *ret_map = copy;
        return 0;
}

void config_map_deinit(ConfigMap *map) {
        for (int32_t i = 0; i < map->count; i++)
                entry_free(&map->entries[i]);
        free(map->entries);
        *map = CONFIG_MAP_INIT;
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

int64_t config_int(const Config *config, const char *name) {
        return number_of(config_str(config, name));
}

bool config_bool(const Config *config, const char *name) {
        return str_equal(config_str(config, name), STR("true"));
}

const ConfigEntry *config_topic_entry(const Config *config, const ConfigMap *topic, const ConfigKey *topic_key) {
        const ConfigEntry *entry = config_map_find(topic, topic_key);
        if (!entry && topic_key->synonym)
                entry = config_map_find(&config->broker, broker_key(topic_key->synonym));
        for (size_t i = 0; !entry && i < sizeof(coarse_keys) / sizeof(coarse_keys[0]); i++)
                if (strcmp(coarse_keys[i].topic_key, topic_key->name) == 0)
                        entry = config_map_find(&config->broker, broker_key(coarse_keys[i].broker_key));
        return entry;
}

size_t config_broker_synonyms(const ConfigKey *key, const ConfigKey *ret_keys[static CONFIG_SYNONYMS_MAX]) {
        static const char *const chains[][CONFIG_SYNONYMS_MAX] = {
                { "log.retention.ms", "log.retention.minutes", "log.retention.hours" },
                { "log.roll.ms", "log.roll.hours" },
                { "log.roll.jitter.ms", "log.roll.jitter.hours" },
                { "log.flush.interval.ms", "log.flush.scheduler.interval.ms" },
        };
        for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
                bool found = false;
                size_t n = 0;
                for (; n < CONFIG_SYNONYMS_MAX && chains[i][n]; n++) {
                        ret_keys[n] = broker_key(chains[i][n]);
                        found = found || ret_keys[n] == key;
                }
                if (found)
                        return n;
        }
        ret_keys[0] = key;
        ret_keys[1] = config_listener_base(key);
        return ret_keys[1] ? 2 : 1;
}

Str config_topic_str(const Config *config, const ConfigMap *topic, const char *topic_key, ConfigSource *ret_source) {
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_TOPIC, str_of(topic_key));
        assert(key);
        const ConfigEntry *entry = config_topic_entry(config, topic, key);
        if (ret_source)
                *ret_source = entry ? entry->source : CONFIG_SOURCE_DEFAULT;
        return str_of(!entry ? key->default_value : entry->value_ms ? entry->value_ms : entry->value);
}

static int64_t topic_int(const Config *config, const ConfigMap *topic, const char *key) {
        return number_of(config_topic_str(config, topic, key, NULL));
}

bool config_validate_topic(const Config *config, const ConfigMap *topic, char *ret_message, size_t message_size) {
        int64_t lag_min = topic_int(config, topic, "min.compaction.lag.ms"), lag_max = topic_int(config, topic, "max.compaction.lag.ms");
        if (lag_min > lag_max) {
                snprintf(ret_message, message_size,
                         "conflict topic config setting min.compaction.lag.ms (%lld) > max.compaction.lag.ms (%lld)", (long long)lag_min,
                         (long long)lag_max);
                return false;
        }
        if (str_equal(config_topic_str(config, topic, "remote.storage.enable", NULL), STR("true"))) {
                snprintf(ret_message, message_size, "Tiered Storage functionality is disabled in the broker. Topic cannot be configured "
                                                    "with remote log storage.");
                return false;
        }
        return true;
}

static bool list_holds(Str list, Str wanted) {
        Str item;
        while (config_next_item(&list, &item))
                if (str_equal(item, wanted))
                        return true;
        return false;
}

/* The codec that batches are stored in, with its level. */
static void topic_compression(const Config *config, const ConfigMap *topic, LogConfig *log_config) {
        Str type = config_topic_str(config, topic, "compression.type", NULL);
        log_config->compression = str_equal(type, STR("uncompressed")) ? CODEC_NONE : LOG_COMPRESSION_PRODUCER;
        for (int codec = CODEC_GZIP; codec < CODEC_COUNT; codec++)
                if (str_equal(type, str_of(codec_name(codec))))
                        log_config->compression = codec;
        log_config->compression_level = CODEC_LEVEL_DEFAULT;
        if (log_config->compression == CODEC_GZIP)
                log_config->compression_level = (int32_t)topic_int(config, topic, "compression.gzip.level");
        else if (log_config->compression == CODEC_LZ4)
                log_config->compression_level = (int32_t)topic_int(config, topic, "compression.lz4.level");
        else if (log_config->compression == CODEC_ZSTD)
                log_config->compression_level = (int32_t)topic_int(config, topic, "compression.zstd.level");
}

void config_topic_log(const Config *config, const ConfigMap *topic, LogConfig *ret_log_config) {
        Str policy = config_topic_str(config, topic, "cleanup.policy", NULL);
        double dirty_ratio = strtod(config_topic_str(config, topic, "min.cleanable.dirty.ratio", NULL).data, NULL);
        bool compact = list_holds(policy, STR("compact"));
        int64_t segment_ms = topic_int(config, topic, "segment.ms"), lag_max_ms = topic_int(config, topic, "max.compaction.lag.ms");
        *ret_log_config = (LogConfig){
                .segment_bytes = topic_int(config, topic, "segment.bytes"),
                .segment_ms = compact && lag_max_ms > 0 && lag_max_ms < segment_ms ? lag_max_ms : segment_ms,
                .segment_index_bytes = topic_int(config, topic, "segment.index.bytes"),
                .index_interval_bytes = topic_int(config, topic, "index.interval.bytes"),
                .retention_ms = topic_int(config, topic, "retention.ms"),
                .retention_bytes = topic_int(config, topic, "retention.bytes"),
                .max_message_bytes = topic_int(config, topic, "max.message.bytes"),
                .message_timestamp_before_max_ms = topic_int(config, topic, "message.timestamp.before.max.ms"),
                .message_timestamp_after_max_ms = topic_int(config, topic, "message.timestamp.after.max.ms"),
                .producer_id_expiration_ms = config_int(config, "producer.id.expiration.ms"),
                .producers_max = (uint32_t)config_int(config, "odradek.max.producers.per.partition"),
                .min_cleanable_dirty_ratio = dirty_ratio,
                .min_compaction_lag_ms = topic_int(config, topic, "min.compaction.lag.ms"),
                .max_compaction_lag_ms = lag_max_ms,
                .delete_retention_ms = topic_int(config, topic, "delete.retention.ms"),
                .message_timestamp_log_append =
                        str_equal(config_topic_str(config, topic, "message.timestamp.type", NULL), STR("LogAppendTime")),
                .cleanup_delete = list_holds(policy, STR("delete")),
                .cleanup_compact = compact,
        };
        topic_compression(config, topic, ret_log_config);
}

void config_deinit(Config *config) {
        config_map_deinit(&config->broker);
        free(config->data_dir);
        config->data_dir = NULL;
}
