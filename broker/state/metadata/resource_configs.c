/* Configs by name. */
#include "broker/state/metadata/resource_configs.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/state/metadata/metadata.h"

static HashMap *map_of(State *state, ConfigResource type) {
        return type == CONFIG_RESOURCE_GROUP ? &state->group_configs : &state->client_metrics;
}

static ResourceConfig *find(const State *state, ConfigResource type, Str name) {
        HashNode *node = hashmap_find(resource_configs(state, type), name);
        return node ? container_of(node, ResourceConfig, by_name) : NULL;
}

const HashMap *resource_configs(const State *state, ConfigResource type) {
        return type == CONFIG_RESOURCE_GROUP ? &state->group_configs : &state->client_metrics;
}

const ConfigMap *resource_config_find(const State *state, ConfigResource type, Str name) {
        static const ConfigMap none = { .entries = NULL, .count = 0 };
        const ResourceConfig *found = find(state, type, name);
        return found ? &found->config : &none;
}

static void forget(State *state, ConfigResource type, ResourceConfig *resource) {
        hashmap_remove(map_of(state, type), &resource->by_name);
        config_map_deinit(&resource->config);
        free(resource->name);
        free(resource);
}

/* The entry, made where there is none; NULL without memory. */
static ResourceConfig *obtain(State *state, ConfigResource type, Str name) {
        ResourceConfig *resource = find(state, type, name);
        if (resource)
                return resource;
        resource = calloc(1, sizeof(*resource));
        if (!resource)
                return NULL;
        resource->name = str_dup(name);
        if (resource->name &&
            hashmap_insert(map_of(state, type), (Str){ .data = resource->name, .len = name.len }, &resource->by_name) == 0)
                return resource;
        free(resource->name);
        free(resource);
        return NULL;
}

int resource_config_set(State *state, ConfigResource type, Str name, ConfigMap *config) {
        ResourceConfig *resource = obtain(state, type, name);
        if (!resource)
                return -ENOMEM;
        MetadataBatch batch;
        metadata_batch_init(&batch, state);
        metadata_batch_add_configs(&batch, type, name, resource_config_source(type), &resource->config, config);
        int r = metadata_batch_write(state, &batch);
        if (r == 0) {
                config_map_deinit(&resource->config);
                resource->config = *config;
                *config = CONFIG_MAP_INIT;
        }
        if (resource->config.count == 0)
                forget(state, type, resource);
        if (r == 0 && type == CONFIG_RESOURCE_CLIENT_METRICS)
                state->client_metrics_version++;
        return r;
}

int resource_config_replay(State *state, ConfigResource type, Str name, Str key_name, Str value) {
        const ConfigKey *key = config_find_key(type, key_name);
        if (!key)
                return 0;
        ResourceConfig *resource = obtain(state, type, name);
        if (!resource)
                return -ENOMEM;
        int r = config_map_set(&resource->config, key, value, resource_config_source(type));
        if (resource->config.count == 0)
                forget(state, type, resource);
        return r;
}

void resource_configs_close(State *state) {
        static const ConfigResource types[] = { CONFIG_RESOURCE_GROUP, CONFIG_RESOURCE_CLIENT_METRICS };
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                HASHMAP_FOREACH(map_of(state, types[i]), node)
                        forget(state, types[i], container_of(node, ResourceConfig, by_name));
                hashmap_deinit(map_of(state, types[i]));
        }
}
