/* One client: frames in, Calls in order, replies out.
 *
 * An idle connection is this struct and nothing else. Bytes that wait (half a frame; frames behind a parked request) are copied to a block
 * of the connection's own, which grows with what was received, not by what a client announces (beyond a usual size). A client that does not
 * read its replies, or sends behind a parked request, is read no further than CONNECTION_AHEAD_BYTES.
 *
 * The connection of a client that is gone, in whatever way, stays until its requests that were read are carried out. */
#pragma once

#include <sys/socket.h>

#include "broker/net/net.h"
#include "broker/net/peers.h"

#define CONNECTION_AHEAD_BYTES ((size_t)64 << 10)  /* read ahead while a request is parked or output is pending */
#define CONNECTION_REPLY_BYTES ((size_t)1 << 20)   /* of finished replies: no further request is handled before some have left */
#define CONNECTION_ROUND_CALLS 256                 /* requests of one connection in a round */
#define CONNECTION_TAIL_BYTES ((size_t)4 << 10)    /* shorter remainders move to the area; longer ones grow where they are */

struct InBlock {
        InBlock *next;
        size_t capacity;
        uint8_t data[];
};

struct Connection {
        ev_io io;
        Net *net;
        ListNode by_age, readable, active, resumable;
        int64_t last_active_ms;
        List calls; /* Call.node, in the order of their requests */
        InBlock *in; /* NULL: no bytes wait */
        size_t in_start, in_end;
        size_t reply_bytes;    /* of finished calls in the queue */
        size_t out_at;         /* bytes of the first call's reply.bytes that were sent */
        int32_t out_span;      /* spans of it that were sent */
        int32_t out_span_sent; /* bytes of the next span that were sent */
        int32_t waiting;       /* calls in the queue that are not done */
        int16_t round_calls;
        bool pipelines;   /* the calls that wait may have others behind them */
        bool out_blocked; /* the socket takes no more */
        bool has_frames;  /* in may hold complete frames: look when nothing is in the way any more */
        bool is_closing;  /* no further request is handled; closed when the replies are out */
        bool is_broken;  /* a call gave up on it: closed as soon as its turn to answer comes */
        bool is_dead;
        bool saw_eof;     /* the peer sends no more; what it left is still handled */
        bool is_unheard;  /* nor does it read: answers are dropped */
        const Listener *listener;
        Peer *peer;
        char host[48];
        CallClient client;
};

/* Takes the socket over. 0; -ENOSPC (the peer has as many connections as it may have) or -ENOMEM: the socket is closed. */
int connection_new(Net *net, int fd, const Listener *listener, const struct sockaddr_storage *peer);

/* The steps of a round. Reading needs CONNECTION_TAIL_BYTES + NET_PIECE_BYTES of the area. */
void connection_read(Connection *c);
void connection_resume(Connection *c);
void connection_settle(Connection *c);

/* Cancels what is parked and closes the socket; freed at the end of the round. */
void connection_close(Connection *c);

/* It is not idle: the last to be closed for that. */
void connection_touch(Connection *c);

/* output.c: sends what is finished. False when the connection is broken. */
bool output_flush(Connection *c);
