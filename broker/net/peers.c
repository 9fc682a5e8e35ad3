/* Addresses with their connections; one without any is forgotten. */
#include "broker/net/peers.h"

#include <stdlib.h>
#include <string.h>

#include "broker/config.h"
#include "broker/state/state.h"
#include "storage/base/list.h"

struct Peer {
        HashNode node;
        int64_t count;
        char host[48];
};

/* "ADDRESS:COUNT,...", where an address may hold colons of its own. */
static int64_t find_limit(const Config *config, Str address) {
        Str overrides = config_str(config, "max.connections.per.ip.overrides"), item;
        int64_t limit;
        while (overrides.len && config_next_item(&overrides, &item)) {
                const char *colon = item.len ? memrchr(item.data, ':', item.len) : NULL;
                size_t length = colon ? (size_t)(colon - item.data) : 0;
                if (colon && str_equal((Str){ item.data, length }, address) &&
                    str_to_int64((Str){ colon + 1, item.len - length - 1 }, 0, INT32_MAX, &limit))
                        return limit;
        }
        return config_int(config, "max.connections.per.ip");
}

Peer *peer_enter(Net *net, const char *host) {
        HashNode *node = hashmap_find(&net->peers, str_of(host));
        Peer *peer = node ? container_of(node, Peer, node) : NULL;
        if ((peer ? peer->count : 0) >= find_limit(net->state->config, str_of(host + (*host == '/'))))
                return NULL;
        if (!peer) {
                if (!(peer = calloc(1, sizeof(*peer))))
                        return NULL;
                snprintf(peer->host, sizeof(peer->host), "%s", host);
                if (hashmap_insert(&net->peers, str_of(peer->host), &peer->node) < 0) {
                        free(peer);
                        return NULL;
                }
        }
        peer->count++;
        return peer;
}

void peer_leave(Net *net, Peer *peer) {
        if (!peer || --peer->count > 0)
                return;
        hashmap_remove(&net->peers, &peer->node);
        free(peer);
}
