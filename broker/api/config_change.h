/* What AlterConfigs and IncrementalAlterConfigs share: checking a changed map of configs and putting it in force. */
#pragma once

#include "broker/api/call.h"

/* The given configs of a resource, as a copy to change. 0, or a positive code with *ret_message (in the call's arena); -ENOMEM. */
int config_change_begin(Call *call, int8_t resource_type, Str resource_name, ConfigMap *ret_map, Str *ret_message);

/* Sets or (value null) removes one config in map. Codes and messages as above. */
int config_change_set(Call *call, int8_t resource_type, ConfigMap *map, Str name, Str value, bool cluster_default, Str *ret_message);

/* Puts map in force, durably; the map is taken over or freed in any case. Nothing happens when validate_only. */
int config_change_commit(Call *call, int8_t resource_type, Str resource_name, ConfigMap *map, bool validate_only);
