/* Every setting there is, in one table: broker properties, topic configs, flags, environment, DescribeConfigs.
 *
 * A row of config_broker_keys.c or config_topic_keys.c is the only place where a key is named: the parser
 * of server.properties, --override, ODRADEK_... variables, --help, and the config APIs all walk the tables. Names,
 * types, defaults and synonyms are those of Apache Kafka 4.3; what begins with odradek. is our own, and internal, since Kafka's
 * clients know nothing of it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "storage/base/str.h"
#include "storage/log.h"

/* Numbers of DescribeConfigs' config_type. */
typedef enum ConfigType {
        CONFIG_TYPE_UNKNOWN = 0,
        CONFIG_TYPE_BOOLEAN = 1,
        CONFIG_TYPE_STRING = 2,
        CONFIG_TYPE_INT = 3,
        CONFIG_TYPE_SHORT = 4,
        CONFIG_TYPE_LONG = 5,
        CONFIG_TYPE_DOUBLE = 6,
        CONFIG_TYPE_LIST = 7,
        CONFIG_TYPE_CLASS = 8,
        CONFIG_TYPE_PASSWORD = 9,
} ConfigType;

/* Numbers of DescribeConfigs' config_source. */
typedef enum ConfigSource {
        CONFIG_SOURCE_TOPIC = 1,
        CONFIG_SOURCE_DYNAMIC_BROKER = 2,
        CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER = 3,
        CONFIG_SOURCE_STATIC_BROKER = 4,
        CONFIG_SOURCE_DEFAULT = 5,
        CONFIG_SOURCE_BROKER_LOGGER = 6,
        CONFIG_SOURCE_CLIENT_METRICS = 7,
        CONFIG_SOURCE_GROUP = 8,
} ConfigSource;

/* Numbers of the resource types in the config APIs and in ConfigRecord. */
typedef enum ConfigResource {
        CONFIG_RESOURCE_TOPIC = 2,
        CONFIG_RESOURCE_BROKER = 4,
        CONFIG_RESOURCE_BROKER_LOGGER = 8,
        CONFIG_RESOURCE_CLIENT_METRICS = 16,
        CONFIG_RESOURCE_GROUP = 32,
} ConfigResource;

typedef struct ConfigKey {
        const char *name;
        ConfigType type;
        const char *default_value; /* as text; NULL: null */
        int64_t min, max;          /* of INT, SHORT and LONG; of DOUBLE where they differ */
        int64_t also;              /* one more value of such a number, below min; 0: none */
        const char *valid;         /* "a,b,c": allowed values of STRING and LIST; NULL: any */
        const char *synonym;       /* of a topic config: the broker key that gives its default; else NULL */
        bool read_only;            /* broker keys: cannot be altered while running */
        bool sensitive;
        bool internal;             /* accepted, but not described */
        bool custom;               /* in no table: config_custom_key() */
        const char *documentation;
} ConfigKey;

extern const ConfigKey broker_config_keys[];
extern const size_t broker_config_key_count;
extern const ConfigKey topic_config_keys[];
extern const size_t topic_config_key_count;
extern const ConfigKey group_config_keys[];
extern const size_t group_config_key_count;
extern const ConfigKey client_metrics_config_keys[];
extern const size_t client_metrics_config_key_count;

/* The row, or NULL. */
const ConfigKey *config_find_key(ConfigResource resource, Str name);

/* Kafka takes broker configs of any name, for plugins, and tells their values to nobody. listener.name.NAME.KEY is of the type of KEY. Such a
 * key is as good as any other for the functions of maps, which keep a copy of it; name must outlive it. */
ConfigKey config_custom_key(const char *name);
/* Of a custom key: the key that it sets for one listener, or NULL. */
const ConfigKey *config_listener_base(const ConfigKey *key);
/* Whether both are the same setting. */
bool config_same_key(const ConfigKey *a, const ConfigKey *b);

/* Values that differ from the defaults: of the broker, of one topic. A small sorted array. */
typedef struct ConfigEntry {
        const ConfigKey *key;
        char *value;    /* owned: config_spell() */
        char *given;    /* owned: as it was given, where that is something else; else NULL */
        char *value_ms; /* owned: a value in minutes or hours as milliseconds; else NULL */
        ConfigSource source;
} ConfigEntry;

typedef struct ConfigMap {
        ConfigEntry *entries;
        int32_t count;
} ConfigMap;

#define CONFIG_MAP_INIT ((ConfigMap){ .entries = NULL, .count = 0 })

#define CONFIG_SPELLING_SIZE(length) ((length) + 32)
/* Writes the value as Kafka tells it once it was parsed: 7 for " +7", true for TRUE, a,b for "a , b, a". ret_text has room for
 * CONFIG_SPELLING_SIZE(value.len) bytes. False without memory. */
bool config_spell(const ConfigKey *key, Str value, char *ret_text);

/* The value as somebody gave it. */
Str config_given(const ConfigEntry *entry);

/* Sets (value null: removes) a value that was validated. A map holds at most one value a key and source. 0 or -ENOMEM. */
int config_map_set(ConfigMap *map, const ConfigKey *key, Str value, ConfigSource source);
/* The value with the highest precedence (dynamic before static), or NULL. */
const ConfigEntry *config_map_find(const ConfigMap *map, const ConfigKey *key);
/* The value of that source, or NULL. */
const ConfigEntry *config_map_find_source(const ConfigMap *map, const ConfigKey *key, ConfigSource source);
int config_map_copy(const ConfigMap *from, ConfigMap *ret_map);
void config_map_deinit(ConfigMap *map);

/* The longest value of one config: what a string of the protocol's older versions holds. */
#define CONFIG_VALUE_LENGTH_MAX 32767

/* Checks a value as Kafka's ConfigDef does. True, or false with a message in Kafka's words for the client. */
bool config_validate(const ConfigKey *key, Str value, char *ret_message, size_t message_size);

/* Whether the value is one of the key's type at all: what the config functions count on, of values that somebody else let in. */
bool config_is_readable(const ConfigKey *key, Str value);

/* One listener of the broker. */
typedef struct Listener {
        char host[256]; /* empty: all addresses */
        int32_t port;   /* 0: a free one; set to the real one by net when it listens */
        char advertised_host[256];
        int32_t advertised_port; /* 0: as port */
} Listener;

#define LISTENERS_MAX 8

typedef struct Config {
        ConfigMap broker;      /* given values */
        Listener listeners[LISTENERS_MAX];
        int32_t listener_count;
        char *data_dir;        /* absolute; owned */
        bool ephemeral;        /* remove data_dir at exit */
        bool exit_with_stdin;
        bool any_replication_factor;
        bool durable;          /* sync before each acknowledgement */
} Config;

/* Parses argv (see --help), the properties file and the environment, in rising precedence: file, environment, flags. 0 to go on; 1 when all is
 * done (--help, --version were answered on out); 2 after a usage or configuration error was traced; -ENOMEM (traced). */
int config_parse(int argc, char **argv, FILE *out, Config *ret_config);
void config_deinit(Config *config);

/* Current values by name, default included; the name must be in the table (asserted), of that type. */
int64_t config_int(const Config *config, const char *broker_key);
bool config_bool(const Config *config, const char *broker_key);
/* The text, or STR_NULL. Valid until the config changes. */
Str config_str(const Config *config, const char *broker_key);

/* A topic's value: its own, or its broker synonym's, or the default; *ret_source says which. */
Str config_topic_str(const Config *config, const ConfigMap *topic, const char *topic_key, ConfigSource *ret_source);

/* Where that comes from: the topic's own entry, or the one of the broker that it falls back to (log.retention.ms, .minutes, .hours for
 * retention.ms); NULL for the default. */
const ConfigEntry *config_topic_entry(const Config *config, const ConfigMap *topic, const ConfigKey *topic_key);

/* The broker keys of the same setting in falling precedence, key among them (log.retention.ms, .minutes, .hours). Returns how many. */
#define CONFIG_SYNONYMS_MAX 3
size_t config_broker_synonyms(const ConfigKey *key, const ConfigKey *ret_keys[static CONFIG_SYNONYMS_MAX]);

/* Checks what a topic's configs must not be together; as config_validate(). */
bool config_validate_topic(const Config *config, const ConfigMap *topic, char *ret_message, size_t message_size);

/* For config_validate(): where a share group starts that has no offsets. */
bool config_validate_offset_reset(const ConfigKey *key, Str value, char *ret_message, size_t message_size);

/* A group's value: its own (group may be an empty map), or its broker synonym's, or the default. */
Str config_group_str(const Config *config, const ConfigMap *group, const char *group_key);
/* The same as a number; what the group was given is kept within the bounds that the broker sets. */
int64_t config_group_int(const Config *config, const ConfigMap *group, const char *group_key);

/* Checks a group's values against the bounds that the broker sets, and each other; as config_validate(). */
bool config_validate_group(const Config *config, const ConfigMap *group, char *ret_message, size_t message_size);

/* Takes the next item, without blanks around it, off a comma-separated list; false at its end. */
bool config_next_item(Str *list, Str *ret_item);

/* The known broker key that looks most like name, or NULL. */
const char *config_suggest(const char *name);

/* The settings of a topic's logs. */
void config_topic_log(const Config *config, const ConfigMap *topic, LogConfig *ret_log_config);
