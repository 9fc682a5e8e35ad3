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
