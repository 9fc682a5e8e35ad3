/* The loop: what wakes it, and the turn that follows. */
#include "broker/net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/net/connection.h"
#include "storage/base/time.h"
#include "storage/base/trace.h"

#define TURN_ROUNDS_MAX 16 /* then the sockets are asked again */
#define ACCEPTS_PER_TURN 256
#define HEAP_BLOCK_BYTES_MAX (2 << 20)
#define HEAP_SPARE_BYTES_MAX (4 << 20)
#define ACCEPT_RETRY_SECONDS 0.1 /* when there are as many as may be, or not even a refusal was possible */
#define REFUSALS_LOG_MS 1000     /* one line in that time */

static void set_clocks(State *state) {
        state->now_ms = time_wall_ms();
        state->mono_ms = time_monotonic_ms();
}

Call *net_take_call(Net *net) {
        ListNode *node = list_pop(&net->calls);
        if (!node)
                return calloc(1, sizeof(Call));
        net->calls_count--;
        return container_of(node, Call, node);
}

void net_give_call(Net *net, Call *call) {
        if (net->calls_count == NET_CALLS_KEPT) {
                call_deinit(call);
                free(call);
                return;
        }
        call_reset(call);
        net->calls_count++;
        list_prepend(&net->calls, &call->node);
}

static void free_retired(Net *net) {
        for (InBlock *block = net->retired, *next; block; block = next) {
                next = block->next;
                free(block);
        }
        net->retired = NULL;
        for (ListNode *node; (node = list_pop(&net->dead));)
                free(container_of(node, Connection, active));
}

/* Closing a connection may cancel calls whose end leads to new appends: until nothing is left to write. */
static void end_round(Net *net) {
        State *state = net->state;
        do {
                turns_step(&net->turns, "commit");
                state_commit(state);
                if (state->failed)
                        break; /* nothing that is not surely kept may be acknowledged */
                turns_step(&net->turns, "answers");
                for (ListNode *node; (node = list_pop(&net->active));)
                        connection_settle(container_of(node, Connection, active));
        } while (!list_is_empty(&state->dirty_partitions) || !list_is_empty(&state->commit_waits));
        free_retired(net);
        net->area_used = 0;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events) {
        container_of(timer, Net, timer)->timer_due_ms = -1;
}

static void arm_timer(Net *net) {
        int64_t due_ms = state_next_timer_ms(net->state);
        if (due_ms == net->timer_due_ms)
                return;
        net->timer_due_ms = due_ms;
        ev_timer_stop(net->loop, &net->timer);
        if (due_ms < 0)
                return;
        int64_t wait_ms = due_ms - time_monotonic_ms();
        ev_now_update(net->loop);
        ev_timer_set(&net->timer, wait_ms > 0 ? (double)wait_ms / 1000 : 0, 0);
        ev_timer_start(net->loop, &net->timer);
}

static void on_idle_timer(struct ev_loop *loop, ev_timer *timer, int events) {
        container_of(timer, Net, idle_timer)->idle_due_ms = -1;
}

/* The list is in order of age, so one timer for its head does, and touching a connection costs no timer. */
static void close_idle(Net *net) {
        if (net->idle_due_ms >= 0 || net->idle_ms_max < 0)
                return;
        for (ListNode *node; (node = list_first(&net->connections));) {
                Connection *c = container_of(node, Connection, by_age);
                int64_t left_ms = c->last_active_ms + net->idle_ms_max - net->state->mono_ms;
                if (left_ms > 0) {
                        net->idle_due_ms = c->last_active_ms + net->idle_ms_max;
                        ev_now_update(net->loop);
                        ev_timer_set(&net->idle_timer, (double)left_ms / 1000 + 0.001, 0);
                        ev_timer_start(net->loop, &net->idle_timer);
                        return;
                }
                trace_debug("closing the idle connection of %s", c->host + 1);
                connection_close(c);
        }
}

static void turn(Net *net) {
        State *state = net->state;
        turns_begin(&net->turns, time_monotonic_ns());
        state->now_ms = time_wall_ms();
        state->mono_ms = net->turns.begun_ns / 1000000;
        if (net->has_results) {
                net->has_results = false;
                turns_step(&net->turns, "results of other threads");
                state_collect(state);
        }
        turns_step(&net->turns, "timers");
        state_run_timers(state);
        close_idle(net);
        while (!state->failed && !list_is_empty(&net->readable)) {
                if (NET_AREA_BYTES - net->area_used < CONNECTION_TAIL_BYTES + NET_PIECE_BYTES)
                        end_round(net);
                ListNode *node = list_pop(&net->readable);
                if (node)
                        connection_read(container_of(node, Connection, readable));
        }
        end_round(net);
        for (int round = 0; round < TURN_ROUNDS_MAX && !list_is_empty(&net->resumable) && !state->failed; round++) {
                List again;
                list_init(&again);
                for (ListNode *node; (node = list_pop(&net->resumable));)
                        list_append(&again, node);
                for (ListNode *node; (node = list_pop(&again));)
                        connection_resume(container_of(node, Connection, resumable));
                end_round(net);
        }
        arm_timer(net);
        turns_end(&net->turns);
}

void net_run(Net *net) {
        arm_timer(net); /* what the start made due, before anybody connects */
        while (!net->stop && !net->state->failed) {
                ev_run(net->loop, list_is_empty(&net->resumable) ? EVRUN_ONCE : EVRUN_NOWAIT);
                turn(net);
        }
        turns_report(&net->turns);
}

void net_stop(Net *net) {
        ev_async_send(net->loop, &net->wake);
}

static void on_wake(struct ev_loop *loop, ev_async *wake, int events) {
        container_of(wake, Net, wake)->stop = true;
}

static void on_results(struct ev_loop *loop, ev_async *results, int events) {
        container_of(results, Net, results)->has_results = true;
}

/* On another thread. */
static void wake_for_results(void *data) {
        Net *net = data;
        ev_async_send(net->loop, &net->results);
}

static void on_signal(struct ev_loop *loop, ev_signal *signal, int events) {
        Net *net = signal->data;
        net->stop = true;
}

static bool is_ignored(int number) {
        struct sigaction action;
        return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void on_stdin(struct ev_loop *loop, ev_io *io, int events) {
        char bytes[512];
        ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                container_of(io, Net, stdin_io)->stop = true;
}

static void pause_accepting(Net *net) {
        net->paused = true;
        for (int i = 0; i < net->acceptor_count; i++)
                ev_io_stop(net->loop, &net->acceptors[i].io);
}

void net_resume_accepting(Net *net) {
        if (!net->paused)
                return;
        net->paused = false;
        ev_timer_stop(net->loop, &net->accept_timer);
        for (int i = 0; i < net->acceptor_count; i++)
                ev_io_start(net->loop, &net->acceptors[i].io);
}

/* Who waits would wake us for ever. The end of a connection resumes, and so does time: others give descriptors back, too. */
static void pause_for_a_while(Net *net) {
        pause_accepting(net);
        ev_now_update(net->loop);
        ev_timer_set(&net->accept_timer, ACCEPT_RETRY_SECONDS, 0);
        ev_timer_start(net->loop, &net->accept_timer);
}

static void on_accept_timer(struct ev_loop *loop, ev_timer *timer, int events) {
        Net *net = container_of(timer, Net, accept_timer);
        if (net->reserve_fd < 0)
                net->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        net_resume_accepting(net);
}

static void note_refusal(Net *net) {
        int64_t now_ms = net->state->mono_ms;
        net->refused++;
        if (net->refused_ms >= 0 && now_ms - net->refused_ms < REFUSALS_LOG_MS)
                return;
        trace_warn("out of file descriptors with %lld connections: refused %lld more; raise ulimit -n", (long long)net->connection_count,
                   (long long)net->refused);
        net->refused = 0;
        net->refused_ms = now_ms;
}

/* Without a free descriptor a waiting client is taken with the reserved one and let go. */
static bool refuse_one(Net *net, int listening_fd) {
        if (net->reserve_fd >= 0)
                close(net->reserve_fd);
        int fd = accept4(listening_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
                note_refusal(net);
                close(fd);
        }
        net->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fd < 0 || net->reserve_fd < 0)
                pause_for_a_while(net);
        return fd >= 0 && net->reserve_fd >= 0;
}

static void on_connect(struct ev_loop *loop, ev_io *io, int events) {
        Acceptor *acceptor = container_of(io, Acceptor, io);
        Net *net = acceptor->net;
        set_clocks(net->state); /* those of the last turn may be old: the newcomer would look idle */
        for (int i = 0; i < ACCEPTS_PER_TURN; i++) { /* those who are in have their turn, too */
                struct sockaddr_storage peer;
                socklen_t size = sizeof(peer);
                if (net->connection_count >= config_int(net->state->config, "max.connections")) {
                        pause_for_a_while(net); /* the limit may be raised, too */
                        return;
                }
                int one = 1, fd = accept4(io->fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
                        if (refuse_one(net, io->fd))
                                continue;
                        return;
                }
                if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
                        continue;
                if (fd < 0 && (errno == ENOMEM || errno == ENOBUFS))
                        pause_for_a_while(net);
                if (fd < 0)
                        return;
                (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                (void)connection_new(net, fd, acceptor->listener, &peer);
        }
}

static void start_watchers(Net *net, const NetOptions *options) {
        static const int numbers[NET_SIGNALS] = { SIGTERM, SIGINT, SIGHUP };
        ev_init(&net->timer, on_timer);
        ev_init(&net->idle_timer, on_idle_timer);
        ev_init(&net->accept_timer, on_accept_timer);
        ev_async_init(&net->wake, on_wake);
        ev_async_start(net->loop, &net->wake);
        ev_async_init(&net->results, on_results);
        ev_async_start(net->loop, &net->results);
        for (int i = 0; i < NET_SIGNALS; i++) {
                ev_signal_init(&net->signals[i], on_signal, numbers[i]);
                net->signals[i].data = net;
                if (options->handle_signals && !(numbers[i] == SIGHUP && is_ignored(SIGHUP))) /* nohup: it outlives the terminal */
                        ev_signal_start(net->loop, &net->signals[i]);
        }
        ev_io_init(&net->stdin_io, on_stdin, STDIN_FILENO, EV_READ);
        if (net->state->config->exit_with_stdin)
                ev_io_start(net->loop, &net->stdin_io);
}

static void init_lists(Net *net) {
        list_init(&net->readable);
        list_init(&net->active);
        list_init(&net->resumable);
        list_init(&net->dead);
        list_init(&net->connections);
        list_init(&net->calls);
}

/* Blocks of connections come and go with each big request: their memory is kept, up to a limit, not given back and fetched again. */
static void keep_memory(void) {
        (void)mallopt(M_MMAP_THRESHOLD, HEAP_BLOCK_BYTES_MAX);
        (void)mallopt(M_TRIM_THRESHOLD, HEAP_SPARE_BYTES_MAX);
}

/* Without this libev aborts. Nothing was acknowledged that is not written: an end here is as good as one by a signal. */
static void on_loop_failure(const char *what) {
        int error = errno;
        trace_error("%s: %s%s", what, strerror(error), error == EMFILE || error == ENFILE ? "; raise ulimit -n" : "");
        _exit(EXIT_FAILURE);
}

int net_new(State *state, const NetOptions *options, Net **ret_net) {
        Net *net = calloc(1, sizeof(*net));
        if (!net)
                return -ENOMEM;
        init_lists(net);
        net->peers = HASHMAP_INIT;
        net->turns = TURNS_INIT;
        keep_memory();
        net->state = state;
        net->timer_due_ms = net->idle_due_ms = net->refused_ms = -1;
        net->idle_ms_max = config_int(state->config, "connections.max.idle.ms");
        net->waiting_max = config_int(state->config, "odradek.connection.max.waiting.produces");
        net->frame_bytes_max = config_int(state->config, "socket.request.max.bytes");
        net->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        net->area = mmap(NULL, NET_AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        ev_set_syserr_cb(on_loop_failure);
        net->loop = ev_loop_new(EVFLAG_AUTO);
        if (net->area == MAP_FAILED || !net->loop) {
                trace_error("no memory, or no file descriptors, for the event loop");
                net_free(net);
                return -ENOMEM;
        }
        (void)madvise(net->area, NET_AREA_BYTES, MADV_NOHUGEPAGE); /* only the pages in use */
        start_watchers(net, options);
        state_set_wake(state, wake_for_results, net);
        *ret_net = net;
        return 0;
}

void net_accept(Net *net, const ListenerSet *set) {
        for (int i = 0; i < set->count; i++) {
                Acceptor *acceptor = &net->acceptors[net->acceptor_count++];
                acceptor->net = net;
                acceptor->listener = set->sockets[i].listener;
                ev_io_init(&acceptor->io, on_connect, set->sockets[i].fd, EV_READ);
                ev_io_start(net->loop, &acceptor->io);
        }
}

void net_free(Net *net) {
        if (!net)
                return;
        net->acceptor_count = 0;
        for (ListNode *node; (node = list_first(&net->connections));)
                connection_close(container_of(node, Connection, by_age));
        if (net->loop)
                state_set_wake(net->state, NULL, NULL);
        if (net->loop)
                state_commit(net->state); /* appends whose calls were cancelled still point into our blocks */
        free_retired(net);
        for (ListNode *node; (node = list_pop(&net->calls));) {
                Call *call = container_of(node, Call, node);
                call_deinit(call);
                free(call);
        }
        if (net->loop)
                ev_loop_destroy(net->loop);
        if (net->area && net->area != MAP_FAILED)
                munmap(net->area, NET_AREA_BYTES);
        if (net->reserve_fd >= 0)
                close(net->reserve_fd);
        hashmap_deinit(&net->peers);
        turns_deinit(&net->turns);
        free(net);
}
