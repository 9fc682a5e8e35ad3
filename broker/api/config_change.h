/* What AlterConfigs and IncrementalAlterConfigs share: checking a changed map of configs and putting it in force. */
#pragma once

#include "broker/api/call.h"
#include "broker/api/names.h"

/* Whether the config of a change may be there once, and null. */
typedef struct ConfigChange {
        Str name;
        bool is_null; /* has no value although it needs one */
} ConfigChange;

/* Names in changes that occur twice, or lack a value. 0, or a positive code with *ret_message (in the call's arena); -ENOMEM. */
int config_change_check(Call *call, const ConfigChange *changes, int32_t count, Str *ret_message);

/* A resource as a name, to find those that a request holds twice; the null string without memory. */
Str config_change_resource(Call *call, int8_t resource_type, Str resource_name);

/* The given configs of a resource, as a copy to change. Codes and messages as above. */
int config_change_begin(Call *call, int8_t resource_type, Str resource_name, ConfigMap *ret_map, Str *ret_message);

/* Sets or (value null) removes one config in map. Codes and messages as above. */
int config_change_set(Call *call, int8_t resource_type, ConfigMap *map, Str name, Str value, bool cluster_default, Str *ret_message);

/* Checks map as a whole and puts it in force, durably; the map is taken over or freed in any case. Nothing is changed when validate_only.
 * Codes and messages as above. */
int config_change_commit(Call *call, int8_t resource_type, Str resource_name, ConfigMap *map, bool validate_only, Str *ret_message);
