/* Framing and the in-order queue. See net.h for the rounds this takes part in. */
#include "broker/net/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "storage/base/endian.h"
#include "storage/base/trace.h"

#define GROW_BYTES_MIN ((size_t)64 << 10)
#define FRAME_BYTES_LARGE ((size_t)64 << 10) /* what follows it is likely to be as large */
#define FRAME_BYTES_USUAL ((size_t)1 << 20)
#define AREA_TRIES 8 /* reads in a row that complete a frame in place */

static size_t in_size(const Connection *c) {
        return c->in_end - c->in_start;
}

static uint8_t *in_bytes(Connection *c) {
        return c->in->data + c->in_start;
}

static void activate(Connection *c) {
        if (!list_node_is_linked(&c->active))
                list_append(&c->net->active, &c->active);
}

/* Frames in the block may still be waited for: it is freed when the round ends. */
static void in_retire(Connection *c) {
        if (c->in) {
                c->in->next = c->net->retired;
                c->net->retired = c->in;
        }
        c->in = NULL;
        c->in_start = c->in_end = 0;
}

static bool no_memory(const Connection *c) {
        trace_warn("no memory for a request: closing the connection of %s", c->host + 1);
        return false;
}

/* Room for size more bytes behind those that wait; false after a line about it. Not while frames of the block are in use. */
static bool in_reserve(Connection *c, size_t size) {
        if (c->in && c->in_start > 0 && c->in->capacity - c->in_end < size) {
                memmove(c->in->data, in_bytes(c), in_size(c));
                c->in_end -= c->in_start;
                c->in_start = 0;
        }
        if (c->in && c->in->capacity - c->in_end >= size)
                return true;
        size_t capacity = (c->in_end + size + 63) & ~(size_t)63;
        InBlock *block = realloc(c->in, sizeof(*block) + capacity);
        if (!block)
                return no_memory(c);
        block->capacity = capacity;
        c->in = block;
        return true;
}

static void on_call_done(Call *call) {
        Connection *c = call->owner;
        c->waiting--;
        if (!call->no_reply)
                c->reply_bytes += reply_size(&call->reply);
        if (!list_node_is_linked(&c->active)) /* it waited since an earlier turn: before those that this turn has read */
                list_prepend(&c->net->active, &c->active);
}

static void handle_frame(Connection *c, uint8_t *frame, size_t size) {
        Call *call = net_take_call(c->net);
        if (!call) {
                c->is_closing = !no_memory(c);
                return;
        }
        call->state = c->net->state;
        call->client_host = c->host;
        call->client = &c->client;
        call->listener = c->listener;
        call->owner = c;
        call->on_done = on_call_done;
        c->waiting++;
        c->round_calls++;
        list_append(&c->calls, &call->node);
        turns_step(&c->net->turns, "a request");
        DispatchResult result = api_dispatch(call, frame, size);
        if (call->api)
                turns_name_step(&c->net->turns, call->api->request->name);
        if (result != DISPATCH_CLOSE) {
                c->pipelines = c->pipelines && !(call->is_exclusive && !call->is_done);
                return;
        }
        c->waiting -= !call->is_done;
        c->is_closing = true;
        list_remove(&call->node);
        net_give_call(c->net, call);
}

/* Whether the requests that wait keep the next one waiting, too: Produces that wait for a sync let others follow, so that those
 * join the next one. */
static bool is_held_up(const Connection *c) {
        return c->waiting > 0 && !(c->pipelines && c->waiting < c->net->waiting_max);
}

/* A request is handled when none is outstanding, except a Produce behind Produces. */
static bool may_handle(const Connection *c) {
        return !c->out_blocked && c->reply_bytes < CONNECTION_REPLY_BYTES && c->round_calls < CONNECTION_ROUND_CALLS &&
               !is_held_up(c);
}

/* What else than a length the first four bytes on a connection often are. */
static const char *spoken_length(uint32_t length) {
        static const char *const methods[] = { "GET ", "POST", "PUT ", "HEAD", "OPTI", "PRI " };
        if (length >> 8 == 0x160301 || length >> 8 == 0x160303)
                return " (the first bytes of TLS; this listener is PLAINTEXT)";
        for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
                if (length == load_be32(methods[i]))
                        return " (the first bytes of HTTP)";
        return "";
}

/* Bytes that the first frame of these lacks; 0: it is complete; -1: not even its length is known. Closes on a length
 * that Kafka refuses, too. */
static int64_t frame_missing(Connection *c, const uint8_t *bytes, size_t size) {
        if (size < 4)
                return -1;
        int32_t length = (int32_t)load_be32(bytes);
        if (length >= 0 && length <= c->net->frame_bytes_max)
                return (int64_t)size - 4 >= length ? 0 : length - ((int64_t)size - 4);
        trace_warn("closing the connection of %s: a request of %d bytes%s; socket.request.max.bytes is %lld", c->host + 1, length,
                   spoken_length((uint32_t)length), (long long)c->net->frame_bytes_max);
        c->is_closing = true;
        return -1;
}

/* Handles complete frames in order; returns how many bytes that took. */
static size_t handle_frames(Connection *c, uint8_t *bytes, size_t size) {
        size_t used = 0;
        c->has_frames = false;
        activate(c);
        while (!c->is_closing && frame_missing(c, bytes + used, size - used) == 0) {
                size_t length = load_be32(bytes + used);
                bool pipelines = api_can_pipeline((Str){ .data = (const char *)bytes + used + 4, .len = length });
                if (!may_handle(c) || (c->waiting > 0 && !pipelines)) {
                        c->has_frames = true;
                        break;
                }
                c->pipelines = pipelines;
                handle_frame(c, bytes + used + 4, length);
                used += 4 + length;
        }
        return used;
}

/* Room for what is there, and for all of its frame where that is of a usual size: memory that nothing is written to costs nothing. */
static size_t wanted_room(const uint8_t *bytes, size_t size) {
        size_t frame = size < 4 ? 0 : (size_t)4 + load_be32(bytes);
        return frame > size && frame <= FRAME_BYTES_USUAL ? frame : size;
}

/* Keeps what could not be handled yet. */
static void keep_rest(Connection *c, const uint8_t *bytes, size_t size) {
        if (c->is_closing || size == 0)
                return;
        if (!in_reserve(c, c->in ? size : wanted_room(bytes, size))) {
                c->is_closing = true;
                return;
        }
        memcpy(c->in->data + c->in_end, bytes, size);
        c->in_end += size;
}

static bool has_complete_frame(const Connection *c) {
        if (!c->in || in_size(c) < 4)
                return false;
        return (int64_t)in_size(c) - 4 >= (int32_t)load_be32(c->in->data + c->in_start);
}

/* The waiting call that ends with its client, or NULL. It waits alone, as any but Produces do, so it is the last one. */
static Call *find_idle_call(const Connection *c) {
        Call *call = c->waiting > 0 ? container_of(list_last(&c->calls), Call, node) : NULL;
        return call && api_ends_with_client(call) ? call : NULL;
}

/* Whether something of what a peer sent before it left is still to be carried out. */
static bool has_work(const Connection *c) {
        return has_complete_frame(c) || (c->waiting > 0 && !find_idle_call(c));
}

/* What a read returned when it brought nothing. */
static void read_ended(Connection *c, ssize_t n) {
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
                return;
        c->saw_eof = true;
        c->is_unheard |= n < 0;
        activate(c);
}

/* While a request is parked: notices that the peer closes, and keeps a little of what comes. */
static void read_ahead(Connection *c) {
        size_t room = in_size(c) < CONNECTION_AHEAD_BYTES ? CONNECTION_AHEAD_BYTES - in_size(c) : 0;
        Net *net = c->net;
        activate(c);
        if (room == 0)
                return;
        /* through the area, so that no memory is set aside for bytes that may not come */
        ssize_t n = read(c->io.fd, net->area + net->area_used, room);
        if (n <= 0) {
                read_ended(c, n);
                return;
        }
        keep_rest(c, net->area + net->area_used, (size_t)n);
        c->has_frames = true;
}

/* Into the area, with a short remainder of earlier bytes in front. */
static void read_area(Connection *c) {
        Net *net = c->net;
        uint8_t *start = net->area + net->area_used;
        size_t size = c->in ? in_size(c) : 0, room = NET_PIECE_BYTES, used = 0;
        for (int tries = 0; tries < AREA_TRIES; tries++) {
                ssize_t n = read(c->io.fd, start + size, room);
                if (n <= 0 && tries == 0) {
                        read_ended(c, n);
                        return;
                }
                if (n <= 0)
                        break; /* the next turn finds out again */
                if (tries == 0 && c->in) {
                        memcpy(start, in_bytes(c), in_size(c));
                        in_retire(c);
                }
                size += (size_t)n;
                used += handle_frames(c, start + used, size - used);
                if ((size_t)n < room || c->is_closing || c->has_frames)
                        break;
                int64_t missing = frame_missing(c, start + used, size - used);
                if (missing <= 0 || (size_t)missing > NET_AREA_BYTES - net->area_used - size)
                        break;
                room = (size_t)missing;
        }
        keep_rest(c, start + used, size - used);
        if (c->waiting > 0)
                net->area_used += used;
}

/* How much to read behind a frame that is in the block. What is half a frame is copied, so behind a large one that is no more than what
 * read_area() moves to the area. */
static size_t room_behind(size_t frame) {
        return frame < FRAME_BYTES_LARGE ? NET_PIECE_BYTES : CONNECTION_TAIL_BYTES;
}

/* The rest of a frame goes where its beginning is; what follows it into the area. */
static void read_block(Connection *c, int64_t missing) {
        Net *net = c->net;
        size_t room = in_size(c) > GROW_BYTES_MIN ? in_size(c) : GROW_BYTES_MIN;
        if (c->in->capacity - c->in_end > room)
                room = c->in->capacity - c->in_end;
        if ((int64_t)room > missing)
                room = (size_t)missing;
        if (!in_reserve(c, room)) {
                connection_close(c);
                return;
        }
        uint8_t *behind = net->area + net->area_used;
        bool completes = (int64_t)room == missing;
        struct iovec iov[2] = { { .iov_base = c->in->data + c->in_end, .iov_len = room },
                                { .iov_base = behind, .iov_len = room_behind(in_size(c) + (size_t)missing) } };
        ssize_t n = readv(c->io.fd, iov, completes ? 2 : 1);
        if (n <= 0) {
                read_ended(c, n);
                return;
        }
        c->in_end += (size_t)n < room ? (size_t)n : room;
        if ((size_t)n < room || !completes)
                return;
        size_t size = (size_t)n - room, used = handle_frames(c, in_bytes(c), in_size(c));
        c->in_start += used;
        if (c->has_frames) { /* cannot be handled yet: the block is as it was */
                keep_rest(c, behind, size);
                return;
        }
        in_retire(c);
        used = handle_frames(c, behind, size);
        keep_rest(c, behind + used, size - used);
        if (c->waiting > 0)
                net->area_used += used;
}

void connection_read(Connection *c) {
        turns_step(&c->net->turns, "reading");
        connection_touch(c);
        c->round_calls = 0;
        if (is_held_up(c) || c->out_blocked || c->has_frames) {
                read_ahead(c);
                return;
        }
        if (!c->in || in_size(c) <= CONNECTION_TAIL_BYTES) {
                read_area(c);
                return;
        }
        int64_t missing = frame_missing(c, in_bytes(c), in_size(c));
        if (missing > 0)
                read_block(c, missing);
        else
                c->is_closing = true;
        activate(c);
}

void connection_resume(Connection *c) {
        c->round_calls = 0;
        c->in_start += handle_frames(c, in_bytes(c), in_size(c));
}

static void update_events(Connection *c) {
        bool is_blocked = is_held_up(c) || c->out_blocked || c->has_frames;
        bool wants_more = !c->saw_eof && !c->is_closing && (!is_blocked || !c->in || in_size(c) < CONNECTION_AHEAD_BYTES);
        int events = (wants_more ? EV_READ : 0) | (c->out_blocked ? EV_WRITE : 0);
        if (events == (c->io.events & (EV_READ | EV_WRITE)) && ev_is_active(&c->io) == (events != 0))
                return;
        ev_io_stop(c->net->loop, &c->io);
        ev_io_set(&c->io, c->io.fd, events);
        if (events)
                ev_io_start(c->net->loop, &c->io);
}

/* Nobody would hear its answer, and others may wait behind it. */
static void drop_idle_call(Connection *c) {
        Call *call = find_idle_call(c);
        if (!call)
                return;
        c->waiting--;
        list_remove(&call->node);
        net_give_call(c->net, call);
}

void connection_settle(Connection *c) {
        if (c->is_dead)
                return;
        if (!output_flush(c)) {
                connection_close(c);
                return;
        }
        if (c->is_unheard)
                drop_idle_call(c);
        if (c->in && in_size(c) == 0)
                in_retire(c);
        bool is_answered = c->waiting == 0 && !c->out_blocked;
        if ((c->is_closing && is_answered) || (c->saw_eof && !has_work(c))) {
                connection_close(c);
                return;
        }
        if (c->has_frames && is_answered && !list_node_is_linked(&c->resumable))
                list_append(&c->net->resumable, &c->resumable);
        update_events(c);
}

void connection_touch(Connection *c) {
        c->last_active_ms = c->net->state->mono_ms;
        list_remove(&c->by_age);
        list_append(&c->net->connections, &c->by_age);
}

static void on_ready(struct ev_loop *loop, ev_io *io, int events) {
        Connection *c = container_of(io, Connection, io);
        if ((events & EV_READ) && !list_node_is_linked(&c->readable))
                list_append(&c->net->readable, &c->readable);
        if (events & EV_WRITE)
                activate(c);
}

int connection_new(Net *net, int fd, const Listener *listener, const struct sockaddr_storage *peer) {
        Connection *c = calloc(1, sizeof(*c));
        if (!c) {
                close(fd);
                return -ENOMEM;
        }
        c->net = net;
        c->listener = listener;
        list_init(&c->calls);
        listener_format_host(peer, c->host, sizeof(c->host));
        c->peer = peer_enter(net, c->host);
        if (!c->peer) {
                trace_debug("a connection from %s was refused: there are as many as max.connections.per.ip allows", c->host + 1);
                close(fd);
                free(c);
                return -ENOSPC;
        }
        call_client_init(&c->client, listener_peer_port(peer));
        ev_io_init(&c->io, on_ready, fd, EV_READ);
        ev_io_start(net->loop, &c->io);
        connection_touch(c);
        net->connection_count++;
        return 0;
}

void connection_close(Connection *c) {
        Net *net = c->net;
        if (c->is_dead)
                return;
        c->is_dead = true;
        for (ListNode *node; (node = list_pop(&c->calls));)
                net_give_call(net, container_of(node, Call, node));
        call_client_deinit(&c->client, net->state);
        in_retire(c);
        ev_io_stop(net->loop, &c->io);
        close(c->io.fd);
        list_remove(&c->by_age);
        list_remove(&c->readable);
        list_remove(&c->resumable);
        list_remove(&c->active);
        list_append(&net->dead, &c->active);
        peer_leave(net, c->peer);
        net->connection_count--;
        net_resume_accepting(net);
}
