/* Listening sockets: every address of every configured listener, both families on one port.
 *
 * Binding and listening are two steps, so that a taken port is found before the data directory is touched, and
 * nobody can connect before the state is open. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "broker/config.h"

#define LISTENER_SOCKETS_MAX 32

typedef struct ListenerSocket {
        int fd;
        Listener *listener; /* not owned */
} ListenerSocket;

typedef struct ListenerSet {
        ListenerSocket sockets[LISTENER_SOCKETS_MAX];
        int count;
} ListenerSet;

#define LISTENER_SET_INIT ((ListenerSet){ .count = 0 })

/* Binds the sockets of all listeners and sets listener->port to the real ports. 0; LISTENER_PORT_IN_USE (traced, with the
 * remedy); or -errno (traced). After a failure nothing is bound. */
enum { LISTENER_PORT_IN_USE = 1 };
int listener_bind(Config *config, ListenerSet *ret_set);

/* From here clients can connect. Returns as listener_bind(). */
int listener_listen(ListenerSet *set);

void listener_deinit(ListenerSet *set);

/* The port that the peer came from. */
int32_t listener_peer_port(const struct sockaddr_storage *address);

/* The peer as Kafka shows it: "/127.0.0.1", "/0:0:0:0:0:0:0:1". */
void listener_format_host(const struct sockaddr_storage *address, char *buffer, size_t size);
