/* Listening sockets. A name is resolved only where it must be: literals, "localhost" and the empty host are known. */
#include "broker/net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/base/trace.h"

#define ADDRESSES_MAX 16
#define PORT_TRIES 16 /* a free port of one family may be taken in the other */

typedef struct Addresses {
        struct sockaddr_storage of[ADDRESSES_MAX];
        int count;
} Addresses;

static void add_literal(Addresses *addresses, const char *host) {
        struct sockaddr_storage *to = &addresses->of[addresses->count];
        memset(to, 0, sizeof(*to));
        struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)to;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)to;
        if (inet_pton(AF_INET, host, &v4->sin_addr) == 1)
                v4->sin_family = AF_INET;
        else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1)
                v6->sin6_family = AF_INET6;
        else
                return;
        addresses->count++;
}

static int resolve_name(const char *host, Addresses *addresses) {
        struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
        int r = getaddrinfo(host, NULL, &hints, &found);
        if (r) {
                trace_error("cannot resolve the listener's host \"%s\": %s; set listeners to a name or address of this machine",
                            host, gai_strerror(r));
                return -EADDRNOTAVAIL;
        }
        for (struct addrinfo *a = found; a && addresses->count < ADDRESSES_MAX; a = a->ai_next) {
                memset(&addresses->of[addresses->count], 0, sizeof(struct sockaddr_storage));
                memcpy(&addresses->of[addresses->count++], a->ai_addr, a->ai_addrlen);
        }
        freeaddrinfo(found);
        return 0;
}

static int resolve(const char *host, Addresses *addresses) {
        addresses->count = 0;
        if (!*host) {
                add_literal(addresses, "0.0.0.0");
                add_literal(addresses, "::");
                return 0;
        }
        if (strcmp(host, "localhost") == 0) {
                add_literal(addresses, "127.0.0.1");
                add_literal(addresses, "::1");
                return 0;
        }
        add_literal(addresses, host);
        return addresses->count ? 0 : resolve_name(host, addresses);
}

static void set_port(struct sockaddr_storage *address, int port) {
        if (address->ss_family == AF_INET6)
                ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons((uint16_t)port);
        else
                ((struct sockaddr_in *)(void *)address)->sin_port = htons((uint16_t)port);
}

static int bound_port(int fd) {
        struct sockaddr_storage address;
        socklen_t size = sizeof(address);
        if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
                return -errno;
        return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&address)->sin6_port
                                                   : ((struct sockaddr_in *)(void *)&address)->sin_port);
}

static int bind_address(const struct sockaddr_storage *address, int *ret_fd) {
        bool is_v6 = address->ss_family == AF_INET6;
        int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
        if (fd < 0)
                return -errno;
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (is_v6)
                (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
        if (bind(fd, (const struct sockaddr *)address,
                 is_v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)) < 0) {
                int r = -errno;
                close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

/* One port for all addresses. A machine without the one family goes on with the other. */
static int bind_all(ListenerSet *set, Listener *listener, Addresses *addresses) {
        int first = set->count, port = listener->port, last_error = -EADDRNOTAVAIL;
        for (int i = 0; i < addresses->count && set->count < LISTENER_SOCKETS_MAX; i++) {
                int fd = -1;
                set_port(&addresses->of[i], port);
                int r = bind_address(&addresses->of[i], &fd);
                if (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT) {
                        trace_debug("an address of listener %s cannot be used: %s", listener->host, strerror(-r));
                        last_error = r;
                        continue;
                }
                if (r == 0 && port == 0)
                        r = port = bound_port(fd);
                if (r >= 0)
                        set->sockets[set->count++] = (ListenerSocket){ .fd = fd, .listener = listener };
                if (r < 0) {
                        while (set->count > first)
                                close(set->sockets[--set->count].fd);
                        return r;
                }
        }
        if (set->count == first)
                return last_error;
        listener->port = port;
        return 0;
}

static int fail(const Listener *listener, int r) {
        const char *host = *listener->host ? listener->host : "*";
        if (r == -EADDRINUSE) {
                trace_error("port %d of %s is in use; stop the process that listens there, or choose another with --port "
                            "(--port 0 takes a free one)",
                            listener->port, host);
                return LISTENER_PORT_IN_USE;
        }
        if (r == -EACCES)
                trace_error("not allowed to bind port %d of %s; choose one above 1023 with --port", listener->port, host);
        else
                trace_error("cannot bind port %d of %s: %s; set listeners to a name or address of this machine", listener->port,
                            host, strerror(-r));
        return r;
}

static int bind_listener(ListenerSet *set, Listener *listener) {
        Addresses addresses;
        int r = resolve(listener->host, &addresses);
        if (r < 0)
                return r;
        bool any_port = listener->port == 0;
        for (int tries = 0; tries < PORT_TRIES; tries++) {
                r = bind_all(set, listener, &addresses);
                if (r != -EADDRINUSE || !any_port)
                        break;
        }
        return r < 0 ? fail(listener, r) : 0;
}

int listener_bind(Config *config, ListenerSet *ret_set) {
        ListenerSet set = LISTENER_SET_INIT;
        for (int i = 0; i < config->listener_count; i++) {
                int r = bind_listener(&set, &config->listeners[i]);
                if (r) {
                        listener_deinit(&set);
                        return r;
                }
        }
        *ret_set = set;
        return 0;
}

int listener_listen(ListenerSet *set) {
        for (int i = 0; i < set->count; i++)
                if (listen(set->sockets[i].fd, SOMAXCONN) < 0)
                        return fail(set->sockets[i].listener, -errno);
        return 0;
}

void listener_deinit(ListenerSet *set) {
        for (int i = 0; i < set->count; i++)
                close(set->sockets[i].fd);
        set->count = 0;
}

int32_t listener_peer_port(const struct sockaddr_storage *address) {
        return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
                                                    : ((const struct sockaddr_in *)(const void *)address)->sin_port);
}

void listener_format_host(const struct sockaddr_storage *address, char *buffer, size_t size) {
        if (address->ss_family == AF_INET6) {
                const uint8_t *a = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr;
                unsigned g[8];
                for (int i = 0; i < 8; i++)
                        g[i] = (unsigned)a[i * 2] << 8 | a[i * 2 + 1];
                snprintf(buffer, size, "/%x:%x:%x:%x:%x:%x:%x:%x", g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7]);
                return;
        }
        char text[INET_ADDRSTRLEN] = "";
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, text, sizeof(text));
        snprintf(buffer, size, "/%s", text);
}
