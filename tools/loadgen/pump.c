/* The loop of the load generator. */
#include "tools/loadgen/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "storage/base/endian.h"
#include "tools/loadgen/client.h"
#include "tools/loadgen/common.h"

#define RECEIVE_BYTES (1 << 20)
#define EVENTS_MAX 256
#define PIECES_MAX 64
/* With --poll an open loop is awake so long before a request is due, and so long after it while it is not completed: what is measured
 * is then how long the broker takes, not how long the generator takes to wake up. */
#define POLL_BEFORE_NS (50 * 1000)
#define POLL_AFTER_NS (250 * 1000)
#define STALL_NS (60 * NS_PER_S) /* without any answer: the broker hangs */

typedef struct PumpConnection {
        int fd;
        bool waits_for_room;     /* the socket took no more */
        int32_t slot_queued;     /* the next to be queued */
        int32_t slot_answered;   /* the next to be answered */
        size_t at, unsent_bytes; /* what is queued and not sent begins at this byte of the ring */
        int64_t queued, answered;
        int64_t *sent_ns; /* in_flight of them, by request number; closed loop only */
        Buffer cut;       /* the beginning of an answer */
} PumpConnection;

struct Pump {
        const PumpPlan *plan;
        PumpConnection *connections;
        int32_t count;
        int epoll;
        int64_t queued, answered, begin_ns, now_ns;
        int64_t since_ns, since_own_cpu_ns, since_broker_cpu_ns; /* what is measured began then */
        uint8_t *received;
        PumpResult *result;
};

int32_t ring_mark(Ring *ring) {
        if (ring->count + 1 >= ring->capacity) {
                ring->capacity = ring->capacity ? ring->capacity * 2 : 64;
                ring->begins = realloc(ring->begins, (size_t)ring->capacity * sizeof(*ring->begins));
                if (!ring->begins)
                        die("out of memory");
        }
        ring->begins[ring->count] = ring->bytes.size;
        return ring->count++;
}

void ring_end(Ring *ring) {
        ring->count = ring_mark(ring);
}

void ring_deinit(Ring *ring) {
        buffer_deinit(&ring->bytes);
        free(ring->begins);
}

int64_t pump_scheduled_ns(const Pump *pump, int64_t i) {
        return pump->begin_ns + (int64_t)((__int128)i * NS_PER_S / pump->plan->options->rate);
}

static void begin_measuring(Pump *pump) {
        int64_t broker_cpu = cpu_ns(pump->plan->options->pid);
        double before = (double)(broker_cpu - pump->since_broker_cpu_ns) / NS_PER_S;
        memset(pump->result, 0, sizeof(*pump->result));
        pump->result->unmeasured_cpu_s = pump->answered ? before : 0;
        pump->since_broker_cpu_ns = broker_cpu;
        pump->since_own_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        pump->since_ns = now_ns();
}

static void end_measuring(Pump *pump) {
        PumpResult *result = pump->result;
        result->seconds = (double)(now_ns() - pump->since_ns) / NS_PER_S;
        result->own_cpu_s = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - pump->since_own_cpu_ns) / NS_PER_S;
        result->broker_cpu_s = (double)(cpu_ns(pump->plan->options->pid) - pump->since_broker_cpu_ns) / NS_PER_S;
        result->requests = pump->answered - pump->plan->options->unmeasured;
}

static int32_t next_slot(const Ring *ring, int32_t slot) {
        return slot + 1 == ring->count ? 0 : slot + 1;
}

static void set_events(Pump *pump, PumpConnection *connection, int operation) {
        struct epoll_event event = { .events = EPOLLIN | (connection->waits_for_room ? (uint32_t)EPOLLOUT : 0), .data.ptr = connection };
        if (epoll_ctl(pump->epoll, operation, connection->fd, &event) < 0)
                die("epoll_ctl: %m");
}

static void connection_init(Pump *pump, int32_t index) {
        PumpConnection *connection = &pump->connections[index];
        const Ring *ring = pump->plan->ring;
        int32_t slot = (int32_t)((int64_t)index * ring->count / pump->count);
        *connection = (PumpConnection){ .fd = client_connect(pump->plan->options), .slot_queued = slot, .slot_answered = slot,
                                        .at = ring->begins[slot], .cut = BUFFER_INIT };
        connection->sent_ns = calloc((size_t)pump->plan->options->in_flight, sizeof(int64_t));
        if (!connection->sent_ns || fcntl(connection->fd, F_SETFL, O_NONBLOCK) < 0)
                die("out of memory");
        set_events(pump, connection, EPOLL_CTL_ADD);
}

/* Puts count more requests of a connection on their way. */
static void connection_queue(Pump *pump, PumpConnection *connection, int64_t count) {
        const Ring *ring = pump->plan->ring;
        for (int64_t i = 0; i < count; i++) {
                connection->unsent_bytes += ring->begins[connection->slot_queued + 1] - ring->begins[connection->slot_queued];
                connection->slot_queued = next_slot(ring, connection->slot_queued);
                if (pump->plan->options->rate == 0)
                        connection->sent_ns[connection->queued % pump->plan->options->in_flight] = pump->now_ns;
                connection->queued++;
        }
        pump->queued += count;
}

static void connection_send(Pump *pump, PumpConnection *connection) {
        const Ring *ring = pump->plan->ring;
        while (connection->unsent_bytes > 0) {
                struct iovec pieces[PIECES_MAX];
                struct msghdr message = { .msg_iov = pieces };
                size_t at = connection->at, left = connection->unsent_bytes;
                for (; left > 0 && message.msg_iovlen < PIECES_MAX; at = 0) {
                        size_t size = ring->bytes.size - at < left ? ring->bytes.size - at : left;
                        pieces[message.msg_iovlen++] = (struct iovec){ .iov_base = ring->bytes.data + at, .iov_len = size };
                        left -= size;
                }
                ssize_t sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL);
                if (sent < 0 && errno == EAGAIN)
                        break;
                if (sent < 0)
                        die("sending failed: %m");
                connection->at = (connection->at + (size_t)sent) % ring->bytes.size;
                connection->unsent_bytes -= (size_t)sent;
                pump->result->bytes_out += sent;
        }
        if (connection->waits_for_room != (connection->unsent_bytes > 0)) {
                connection->waits_for_room = connection->unsent_bytes > 0;
                set_events(pump, connection, EPOLL_CTL_MOD);
        }
}

static void take_answer(Pump *pump, PumpConnection *connection, const uint8_t *frame, size_t size) {
        const Options *options = pump->plan->options;
        int32_t slot = connection->slot_answered;
        if (connection->answered == connection->queued)
                die("an answer that was not asked for");
        if (size < 4 || (int32_t)load_be32(frame) != slot)
                die("an answer of %zu bytes to request %d, where %d was next", size, size < 4 ? -1 : (int)load_be32(frame), slot);
        pump->plan->check(pump->plan->userdata, slot, frame, size);
        int64_t since = options->rate ? pump_scheduled_ns(pump, connection->answered * pump->count + (connection - pump->connections))
                                      : connection->sent_ns[connection->answered % options->in_flight];
        histogram_add(&pump->result->latency_ns, pump->now_ns - since);
        connection->slot_answered = next_slot(pump->plan->ring, slot);
        connection->answered++;
        if (++pump->answered == options->unmeasured)
                begin_measuring(pump);
}

/* Takes the whole answers at data; returns the bytes they had. */
static size_t take_answers(Pump *pump, PumpConnection *connection, const uint8_t *data, size_t size) {
        size_t at = 0;
        while (size - at >= 4) {
                size_t length = load_be32(data + at);
                if (length > INT32_MAX)
                        die("an answer of %zu bytes", length);
                if (size - at - 4 < length)
                        break;
                take_answer(pump, connection, data + at + 4, length);
                at += 4 + length;
        }
        return at;
}

/* What is cut stays in memory of the connection's own, and grows there. */
static void connection_receive(Pump *pump, PumpConnection *connection) {
        Buffer *cut = &connection->cut;
        size_t before = cut->size;
        uint8_t *to = before ? buffer_extend(cut, RECEIVE_BYTES) : pump->received;
        if (!to)
                die("out of memory");
        ssize_t got = recv(connection->fd, to, RECEIVE_BYTES, 0);
        cut->size = before;
        if (got < 0 && errno == EAGAIN)
                return;
        if (got <= 0)
                die("the broker closed a connection");
        pump->result->bytes_in += got;
        pump->now_ns = now_ns();
        if (before) {
                cut->size += (size_t)got;
                size_t used = take_answers(pump, connection, cut->data, cut->size);
                memmove(cut->data, cut->data + used, cut->size - used);
                cut->size -= used;
        } else {
                size_t used = take_answers(pump, connection, to, (size_t)got);
                if (used < (size_t)got)
                        buffer_append(cut, to + used, (size_t)got - used);
        }
}

/* Closed loop: what was answered is replaced. */
static void connection_refill(Pump *pump, PumpConnection *connection) {
        int64_t count = pump->plan->options->in_flight - (connection->queued - connection->answered);
        int64_t left = pump->plan->options->requests - pump->queued;
        connection_queue(pump, connection, count < left ? count : left);
        connection_send(pump, connection);
}

/* Open loop: queues what is due, whatever was answered. */
static void queue_due(Pump *pump) {
        int64_t requests = pump->plan->options->requests;
        pump->now_ns = now_ns();
        while (pump->queued < requests && pump_scheduled_ns(pump, pump->queued) <= pump->now_ns) {
                PumpConnection *connection = &pump->connections[pump->queued % pump->count];
                connection_queue(pump, connection, 1);
                connection_send(pump, connection);
        }
}

/* How many requests are completed everywhere. */
static int64_t completed(const Pump *pump) {
        const PumpSide *side = pump->plan->side;
        int64_t beside = side ? side->completed(pump->plan->userdata) : pump->answered;
        return beside < pump->answered ? beside : pump->answered;
}

/* How long an open loop may sleep: until the next request is due, but when polling. */
static int64_t until_due_ns(const Pump *pump) {
        bool polls = pump->plan->options->poll;
        int64_t now = now_ns();
        if (polls && completed(pump) < pump->queued && now < pump_scheduled_ns(pump, pump->queued - 1) + POLL_AFTER_NS)
                return 0;
        if (pump->queued == pump->plan->options->requests)
                return STALL_NS;
        int64_t wait_ns = pump_scheduled_ns(pump, pump->queued) - now - (polls ? POLL_BEFORE_NS : 0);
        return wait_ns < 0 ? 0 : wait_ns;
}

static int wait_events(Pump *pump, struct epoll_event *events) {
        int64_t wait_ns = pump->plan->options->rate ? until_due_ns(pump) : STALL_NS;
        struct timespec timeout = { .tv_sec = wait_ns / NS_PER_S, .tv_nsec = wait_ns % NS_PER_S };
        int count = epoll_pwait2(pump->epoll, events, EVENTS_MAX, &timeout, NULL);
        if (count < 0 && errno != EINTR)
                die("epoll_pwait2: %m");
        if (count == 0 && wait_ns == STALL_NS)
                die("no answer for a minute; %lld of %lld came", (long long)pump->answered, (long long)pump->plan->options->requests);
        return count;
}

static void run(Pump *pump) {
        struct epoll_event events[EVENTS_MAX];
        bool closed_loop = pump->plan->options->rate == 0;
        for (int32_t i = 0; closed_loop && i < pump->count; i++)
                connection_refill(pump, &pump->connections[i]);
        while (completed(pump) < pump->plan->options->requests) {
                if (!closed_loop)
                        queue_due(pump);
                int count = wait_events(pump, events);
                for (int i = 0; i < count; i++) {
                        PumpConnection *connection = events[i].data.ptr;
                        if (!connection) {
                                pump->now_ns = now_ns();
                                pump->plan->side->ready(pump, pump->plan->userdata);
                                continue;
                        }
                        if (events[i].events & ~(uint32_t)EPOLLOUT)
                                connection_receive(pump, connection);
                        if (closed_loop)
                                connection_refill(pump, connection);
                        else if (connection->waits_for_room)
                                connection_send(pump, connection);
                }
        }
}

static void connect_all(Pump *pump) {
        for (int32_t i = 0; i < pump->count; i++)
                connection_init(pump, i);
        if (!pump->plan->side)
                return;
        struct epoll_event event = { .events = EPOLLIN };
        if (epoll_ctl(pump->epoll, EPOLL_CTL_ADD, pump->plan->side->fd, &event) < 0)
                die("epoll_ctl: %m");
}

static void close_all(Pump *pump) {
        for (int32_t i = 0; i < pump->count; i++) {
                close(pump->connections[i].fd);
                free(pump->connections[i].sent_ns);
                buffer_deinit(&pump->connections[i].cut);
        }
        free(pump->connections);
        free(pump->received);
        close(pump->epoll);
}

void pump_run(const PumpPlan *plan, PumpResult *ret_result) {
        int32_t count = (int32_t)plan->options->connections;
        Pump pump = { .plan = plan, .count = count, .epoll = epoll_create1(EPOLL_CLOEXEC), .result = ret_result };
        pump.connections = calloc((size_t)count, sizeof(*pump.connections));
        pump.received = malloc(RECEIVE_BYTES);
        if (pump.epoll < 0 || !pump.connections || !pump.received)
                die("out of memory");
        prctl(PR_SET_TIMERSLACK, 1UL);
        connect_all(&pump);
        begin_measuring(&pump);
        pump.begin_ns = pump.now_ns = now_ns();
        run(&pump);
        end_measuring(&pump);
        close_all(&pump);
}
