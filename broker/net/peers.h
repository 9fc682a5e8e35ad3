/* How many connections there are from each address: max.connections.per.ip, and its overrides for single addresses. */
#pragma once

#include "broker/net/net.h"

typedef struct Peer Peer;

/* Counts a connection from host (as listener_format_host() writes it). NULL when there are as many as allowed, or without memory. */
Peer *peer_enter(Net *net, const char *host);
/* The connection is closed. NULL is fine. */
void peer_leave(Net *net, Peer *peer);
