/* What requests may say of the cluster. */
#include "broker/api/cluster.h"

int16_t cluster_check_replicas(Call *call, const int32_t *ids, int32_t count, Str *ret_message) {
        int32_t self = call->state->node_id, own = 0;
        const int32_t *below = NULL, *above = NULL;
        for (int32_t i = 0; i < count; i++) {
                own += ids[i] == self;
                if (ids[i] < self && (!below || ids[i] < *below))
                        below = &ids[i];
                if (ids[i] > self && (!above || ids[i] < *above))
                        above = &ids[i];
        }
        if (count == 0)
                *ret_message = STR("The manual partition assignment includes an empty replica list.");
        else if (!below && own > 1)
                *ret_message = arena_printf(&call->arena, "The manual partition assignment includes the broker %d more than once.", self);
        else if (below || above)
                *ret_message = arena_printf(&call->arena,
                                            "The manual partition assignment includes broker %d, but no such broker is registered.",
                                            below ? *below : *above);
        else
                return 0;
        return KAFKA_INVALID_REPLICA_ASSIGNMENT;
}

bool cluster_check_id(Call *call, Str id, Str *ret_message) {
        if (str_is_null(id) || str_equal(id, str_of(call->state->cluster_id)))
                return true;
        *ret_message = arena_printf(&call->arena, "The given id \"%.*s\" doesn't match the cluster id \"%s\"", STR_ARG(id),
                                    call->state->cluster_id);
        return false;
}
