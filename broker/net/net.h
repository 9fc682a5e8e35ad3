/* The loop that owns all sockets: turns of reading, handling, committing and answering.
 *
 * One turn: every ready socket is read into one shared area and its complete requests are handled in order; then
 * state_commit() writes what they appended; then the replies leave, one sendmsg() for each connection. Requests that had to wait
 * for the commit follow in further rounds of the same turn. Bytes of a Produce stay where they were received until the
 * commit: the area is reused, and blocks of connections are freed, only at the end of a round. What other threads finished is collected
 * first in a turn; answers that waited for it leave with the others. */
#pragma once

#include <ev.h>

#include "broker/api/api.h"
#include "broker/net/listener.h"
#include "broker/net/turns.h"
#include "storage/base/hashmap.h"
#include "storage/base/list.h"

#define NET_AREA_BYTES ((size_t)2 << 20)
#define NET_PIECE_BYTES ((size_t)256 << 10) /* one read */
#define NET_CALLS_KEPT 512                  /* spare Call structs, each with some 2 KB */
#define NET_SIGNALS 3

typedef struct Connection Connection;
typedef struct InBlock InBlock;
typedef struct Net Net;

typedef struct Acceptor {
        ev_io io;
        Net *net;
        Listener *listener;
} Acceptor;

struct Net {
        State *state; /* not owned */
        Turns turns;
        struct ev_loop *loop;
        uint8_t *area; /* NET_AREA_BYTES that all sockets are read into */
        size_t area_used;
        List readable;    /* Connection.readable: to be read in this turn */
        List active;      /* Connection.active: to be settled at the end of the round */
        List resumable;   /* Connection.resumable: hold frames for the next round */
        List dead;        /* Connection.active: freed at the end of the round */
        List connections; /* Connection.by_age: longest silent first */
        List calls;       /* Call.node: spare ones */
        int calls_count;
        InBlock *retired; /* freed at the end of the round */
        HashMap peers; /* of Peer: addresses with connections */
        int64_t connection_count, waiting_max, idle_ms_max, frame_bytes_max;
        int64_t timer_due_ms; /* what timer is set for; -1: not set */
        int64_t idle_due_ms;
        int reserve_fd; /* given up to refuse a connection when descriptors run out */
        int64_t refused, refused_ms; /* connections since the last line about them, and when that was */
        bool stop;
        bool paused; /* max.connections is reached, or descriptors have run out: not accepting */
        Acceptor acceptors[LISTENER_SOCKETS_MAX];
        int acceptor_count;
        ev_timer timer, idle_timer, accept_timer;
        ev_async wake;    /* net_stop() */
        ev_async results; /* other threads have finished something */
        bool has_results;
        ev_signal signals[NET_SIGNALS]; /* those that stop it */
        ev_io stdin_io;
};

typedef struct NetOptions {
        bool handle_signals; /* SIGTERM and SIGINT stop the loop */
} NetOptions;

/* Makes the loop; it accepts nothing yet. 0 or -errno (traced). */
int net_new(State *state, const NetOptions *options, Net **ret_net);

/* Accepts clients of the sockets, which stay the caller's and must outlive the net. */
void net_accept(Net *net, const ListenerSet *set);

/* Runs until net_stop(), a signal, the end of stdin where the config says so, or state->failed. */
void net_run(Net *net);

/* Ends net_run(); the only function that other threads may call. */
void net_stop(Net *net);

/* Drops all connections. NULL is fine. */
void net_free(Net *net);

/* For connections: a zeroed Call, and its end. */
Call *net_take_call(Net *net);
void net_give_call(Net *net, Call *call);
/* Accepting goes on after a pause. */
void net_resume_accepting(Net *net);
