/* Configs of groups and of client-metrics subscriptions: by name, whether or not there is such a group. */
#pragma once

#include "broker/config.h"
#include "storage/base/hashmap.h"

typedef struct State State;

typedef struct ResourceConfig {
        HashNode by_name;
        char *name;       /* owned */
        ConfigMap config; /* never empty */
} ResourceConfig;

/* All of CONFIG_RESOURCE_GROUP or CONFIG_RESOURCE_CLIENT_METRICS. */
const HashMap *resource_configs(const State *state, ConfigResource type);

/* The given values of one; an empty map where there are none. */
const ConfigMap *resource_config_find(const State *state, ConfigResource type, Str name);

/* Where a given value comes from. */
static inline ConfigSource resource_config_source(ConfigResource type) {
        return type == CONFIG_RESOURCE_GROUP ? CONFIG_SOURCE_GROUP : CONFIG_SOURCE_CLIENT_METRICS;
}

/* Replaces the values by those of a validated map (taken over on success), durably; without any the resource is gone. 0 or -errno. */
int resource_config_set(State *state, ConfigResource type, Str name, ConfigMap *config);

/* For the replay of the metadata log. 0 or -ENOMEM. */
int resource_config_replay(State *state, ConfigResource type, Str name, Str key, Str value);

/* Forgets all. */
void resource_configs_close(State *state);
