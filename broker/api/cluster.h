/* What several answers say of the cluster: its one node, and what anybody may do where no authorizer refuses. */
#pragma once

#include "broker/api/call.h"

/* Bits are Kafka's AclOperation codes: all operations that a resource of the type has. */
enum {
        AUTHORIZED_OPERATIONS_TOPIC = 0x0df8,   /* read write create delete alter describe describe-, alter-configs */
        AUTHORIZED_OPERATIONS_CLUSTER = 0x1fa0, /* create alter describe cluster-action describe-, alter-configs idempotent-write */
};

/* Where clients reach this broker: what the listener that the request came through advertises. */
static inline Str cluster_host(const Call *call) {
        const Listener *listener = call->listener;
        if (listener->advertised_host[0])
                return str_of(listener->advertised_host);
        return listener->host[0] ? str_of(listener->host) : STR("localhost");
}

static inline int32_t cluster_port(const Call *call) {
        const Listener *listener = call->listener;
        return listener->advertised_port ? listener->advertised_port : listener->port;
}

/* Whether a list of replicas can be: this node, once. 0, or a code with its message; as Kafka does, the lowest id is looked at first. */
int16_t cluster_check_replicas(Call *call, const int32_t *ids, int32_t count, Str *ret_message);

/* Whether a request is meant for this cluster: the id is null, or ours. */
bool cluster_check_id(Call *call, Str id, Str *ret_message);
