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

/* A resource of a request, and how its change went. */
typedef struct ConfigTarget {
        int8_t resource_type;
        Str resource_name;
        int16_t error_code;
        Str error_message; /* null: none */
} ConfigTarget;

/* Alters each target (by its index) that the request names once; the others are refused. */
void config_change_all(Call *call, ConfigTarget *targets, int32_t count, int (*alter)(Call *call, int32_t index, Str *ret_message));

/* The given configs of a resource, as a copy to change; none of a topic that there is not, which only the commit refuses. Codes and
 * messages as above. */
int config_change_begin(Call *call, int8_t resource_type, Str resource_name, ConfigMap *ret_map, Str *ret_message);

/* Whether a running broker takes a value that is of the right type (broker_config_check.c). Codes and messages as above. */
int broker_config_check(Call *call, const ConfigKey *key, Str value, Str *ret_message);

/* config_validate(), with the message in the call's arena and as long as it takes. */
bool config_change_validate(Call *call, const ConfigKey *key, Str value, Str *ret_message);

/* Whether a config that is to be set has a known name, which is checked for all before any value is. Codes and messages as above. */
int config_change_check_name(Call *call, int8_t resource_type, Str name, Str value, Str *ret_message);

/* Sets or (value null) removes one config, of a name that was checked, in map. Codes and messages as above. */
int config_change_set(Call *call, int8_t resource_type, ConfigMap *map, Str name, Str value, bool cluster_default, Str *ret_message);

/* Checks map as a whole and puts it in force, durably; the map is taken over or freed in any case. Nothing is changed when validate_only.
 * Codes and messages as above. */
int config_change_commit(Call *call, int8_t resource_type, Str resource_name, ConfigMap *map, bool validate_only, Str *ret_message);
