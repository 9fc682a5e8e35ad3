/* What only is there, while something else is measured. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/loadgen/common.h"
#include "tools/loadgen/workloads.h"

#define AWAKE_NS 20000 /* from 10 to 40 us an echo server is equally quick */

/* Nothing may come from the broker, and no connection may end, until standard input does. */
static void wait_end(const int *fds, int64_t count) {
        int epoll = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event event = { .events = EPOLLIN, .data.fd = -1 };
        int r = epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
        for (int64_t i = 0; i < count && r == 0; i++) {
                event.data.fd = fds[i];
                r = epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
        }
        if (r < 0)
                die("epoll: %m");
        printf("{\"held\": %lld}\n", (long long)count);
        fflush(stdout);
        while (epoll_wait(epoll, &event, 1, -1) < 1)
                ;
        if (event.data.fd >= 0)
                die("something came on a connection that was to be still");
}

static int *connect_all(const Options *options) {
        int *fds = malloc((size_t)options->connections * sizeof(int));
        for (int64_t i = 0; fds && i < options->connections; i++)
                fds[i] = client_connect(options);
        return fds ? fds : (die("out of memory"), NULL);
}

void workload_idle(const Options *options) {
        int *fds = connect_all(options);
        Arena arena = ARENA_INIT(0);
        ApiVersionsRequest request = ApiVersionsRequest_INIT;
        ApiVersionsResponse response;
        for (int64_t i = 0; i < options->connections; i++) {
                arena_reset(&arena);
                if (!CLIENT_CALL(fds[i], ApiVersions, 2, &request, &arena, &response) || response.error_code)
                        die("ApiVersions was not answered");
        }
        wait_end(fds, options->connections);
        free(fds);
        arena_deinit(&arena);
}

void workload_parked(const Options *options) {
        int *fds = connect_all(options);
        for (int64_t i = 0; i < options->connections; i++) {
                char name[256];
                size_t offset_at;
                Buffer request = fetch_frame(options, topic_name(options, i % options->topics, name),
                                             (int32_t)(i / options->topics % options->partitions), (int32_t)options->wait_ms, &offset_at);
                if (!client_send_all(fds[i], request.data, request.size))
                        die("the broker closed a connection");
                buffer_deinit(&request);
        }
        wait_end(fds, options->connections);
        free(fds);
}

static void *stay_awake(void *userdata) {
        struct sched_param none = { 0 };
        cpu_set_t *only = userdata;
        if (pthread_setaffinity_np(pthread_self(), sizeof(*only), only) || sched_setscheduler(0, SCHED_IDLE, &none) < 0)
                die("a processor cannot be kept awake: %m");
        prctl(PR_SET_TIMERSLACK, 1UL);
        for (;;)
                clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ .tv_nsec = AWAKE_NS }, NULL);
        return NULL;
}

void workload_awake(const Options *options) {
        static cpu_set_t only[CPU_SETSIZE];
        cpu_set_t all;
        pthread_t thread;
        if (sched_getaffinity(0, sizeof(all), &all) < 0)
                die("sched_getaffinity: %m");
        for (size_t i = 0; i < CPU_SETSIZE; i++) {
                if (!CPU_ISSET(i, &all))
                        continue;
                CPU_ZERO(&only[i]);
                CPU_SET(i, &only[i]);
                if (pthread_create(&thread, NULL, stay_awake, &only[i]))
                        die("no thread");
        }
        wait_end(NULL, 0);
}
