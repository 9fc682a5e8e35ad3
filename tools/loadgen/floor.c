/* What the machine allows without any broker: the floor of latencies and the limits of rates. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/base/crc32c.h"
#include "storage/base/endian.h"
#include "tools/loadgen/common.h"
#include "tools/loadgen/workloads.h"

#define PIECE_BYTES (256 << 10)
#define AHEAD_BYTES (32 << 20)

static int listen_on_loopback(int *ret_port) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, SOMAXCONN) < 0 ||
            getsockname(fd, (struct sockaddr *)&address, &size) < 0)
                die("cannot listen: %m");
        *ret_port = ntohs(address.sin_port);
        return fd;
}

static int accept_one(int listener) {
        int one = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
                die("accept: %m");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        return fd;
}

/* Sends back what comes, until standard input ends. */
void floor_echo_server(const Options *options) {
        static uint8_t data[PIECE_BYTES];
        int port, listener = listen_on_loopback(&port), epoll = epoll_create1(EPOLL_CLOEXEC);
        int first[] = { STDIN_FILENO, listener };
        for (int i = 0; i < 2; i++)
                if (epoll_ctl(epoll, EPOLL_CTL_ADD, first[i], &(struct epoll_event){ .events = EPOLLIN, .data.fd = first[i] }) < 0)
                        die("epoll: %m");
        printf("{\"port\": %d}\n", port);
        fflush(stdout);
        for (;;) {
                struct epoll_event event;
                if (epoll_wait(epoll, &event, 1, -1) < 1)
                        continue;
                if (event.data.fd == STDIN_FILENO)
                        return;
                if (event.data.fd == listener) {
                        event = (struct epoll_event){ .events = EPOLLIN, .data.fd = accept_one(listener) };
                        epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
                        continue;
                }
                ssize_t got = recv(event.data.fd, data, sizeof(data), 0);
                if (got <= 0 || !client_send_all(event.data.fd, data, (size_t)got))
                        close(event.data.fd);
        }
}

static void check_echo(void *userdata, int32_t slot, const uint8_t *answer, size_t size) {
        const Options *options = userdata;
        if (size != (size_t)options->record_bytes)
                die("an echo of %zu bytes", size);
}

/* Frames of --record-bytes there and back. */
void floor_echo(const Options *options) {
        static PumpResult result;
        Ring ring = { .count = 0 };
        if (options->record_bytes < 4)
                die("an echo is of 4 bytes or more");
        do {
                int32_t slot = ring_mark(&ring);
                uint8_t *frame = buffer_extend(&ring.bytes, 4 + (size_t)options->record_bytes);
                memset(frame, 0, 4 + (size_t)options->record_bytes);
                store_be32(frame, (uint32_t)options->record_bytes);
                store_be32(frame + 4, (uint32_t)slot);
        } while (ring.bytes.size < 64 << 10);
        ring_end(&ring);
        PumpPlan plan = { .options = options, .ring = &ring, .check = check_echo, .userdata = (void *)(uintptr_t)options };
        pump_run(&plan, &result);
        print_result("", &result);
        ring_deinit(&ring);
}

static void send_bytes(const Options *options, int port) {
        static uint8_t data[PIECE_BYTES];
        Options there = *options;
        there.port = port;
        int fd = client_connect(&there);
        memset(data, 'x', sizeof(data));
        for (int64_t left = options->bytes; left > 0; left -= PIECE_BYTES)
                if (!client_send_all(fd, data, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES))
                        die("sending failed: %m");
        exit(0);
}

/* --bytes over loopback, from one hot buffer into another: no broker takes in or sends out more. */
void floor_receive(const Options *options) {
        static uint8_t data[PIECE_BYTES];
        int port, listener = listen_on_loopback(&port);
        pid_t sender = fork();
        if (sender == 0)
                send_bytes(options, port);
        int fd = accept_one(listener);
        int64_t begin = now_ns(), own = clock_ns(CLOCK_PROCESS_CPUTIME_ID), left = options->bytes;
        for (ssize_t got; left > 0 && (got = recv(fd, data, sizeof(data), 0)) > 0;)
                left -= got;
        double seconds = (double)(now_ns() - begin) / NS_PER_S, cpu = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own) / NS_PER_S;
        struct rusage usage;
        int status;
        if (left > 0 || wait4(sender, &status, 0, &usage) != sender || status != 0)
                die("%lld bytes did not come", (long long)left);
        double sending = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        printf("{\"bytes\": %lld, \"seconds\": %.6f, \"receive_cpu_s\": %.6f, \"send_cpu_s\": %.6f}\n", (long long)options->bytes, seconds, cpu, sending);
}

static int open_scratch(const Options *options) {
        int fd = open(options->directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0)
                die("%s: %m", options->directory);
        return fd;
}

/* --bytes in pieces of --record-bytes: a checksum and a pwritev each, with room reserved ahead. */
void floor_storage(const Options *options) {
        int fd = open_scratch(options);
        size_t size = (size_t)options->record_bytes;
        uint8_t *data = malloc(size);
        if (!data)
                die("out of memory");
        memset(data, 'x', size);
        int64_t begin = now_ns(), own = clock_ns(CLOCK_PROCESS_CPUTIME_ID), reserved = 0;
        uint32_t crc = 0;
        for (int64_t at = 0; at < options->bytes; at += (int64_t)size) {
                if (at + (int64_t)size > reserved) {
                        if (fallocate(fd, FALLOC_FL_KEEP_SIZE, reserved, AHEAD_BYTES) < 0 && errno != EOPNOTSUPP)
                                die("fallocate: %m");
                        reserved += AHEAD_BYTES;
                }
                crc ^= crc32c(0, data, size);
                data[0] = (uint8_t)crc;
                if (pwritev(fd, &(struct iovec){ data, size }, 1, at) != (ssize_t)size)
                        die("pwritev: %m");
        }
        printf("{\"bytes\": %lld, \"seconds\": %.6f, \"own_cpu_s\": %.6f}\n", (long long)options->bytes, (double)(now_ns() - begin) / NS_PER_S,
               (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own) / NS_PER_S);
        free(data);
        close(fd);
}

/* --requests appends of --record-bytes, each synced. */
void floor_fdatasync(const Options *options) {
        static PumpResult result;
        int fd = open_scratch(options);
        uint8_t *data = calloc(1, (size_t)options->record_bytes);
        int64_t begin = now_ns();
        for (int64_t i = 0; i < options->requests; i++) {
                int64_t since = now_ns();
                if (!data || pwrite(fd, data, (size_t)options->record_bytes, i * options->record_bytes) != options->record_bytes || fdatasync(fd) < 0)
                        die("a synced write failed: %m");
                histogram_add(&result.latency_ns, now_ns() - since);
        }
        result.requests = options->requests;
        result.seconds = (double)(now_ns() - begin) / NS_PER_S;
        print_result("", &result);
        free(data);
        close(fd);
}

typedef char FileName[64];

/* A directory with a file to be in it for each. */
static FileName *name_files(int dir, int64_t count) {
        FileName *names = calloc((size_t)count, sizeof(*names));
        for (int64_t i = 0; names && i < count; i++) {
                snprintf(names[i], sizeof(names[i]), "files-%lld", (long long)i);
                if (mkdirat(dir, names[i], 0755) < 0)
                        die("%s: %m", names[i]);
                strcat(names[i], "/00000000000000000000.log");
        }
        return names ? names : (die("out of memory"), NULL);
}

static void append_to(int dir, const char *name, int flags, const char *data, size_t size, int64_t position) {
        struct iovec part = { (void *)(uintptr_t)data, size };
        int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0644);
        if (fd < 0 || pwritev(fd, &part, 1, position) != (ssize_t)size || close(fd) < 0)
                die("%s: %m", name);
}

/* --requests appends of --record-bytes to --partitions files in turn, each opened and closed for it: what a broker pays that has fewer
 * descriptors than partitions. The files stay. */
void floor_files(const Options *options) {
        int64_t count = options->partitions, size = options->record_bytes;
        int dir = open(options->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char *data = calloc(1, (size_t)size);
        if (dir < 0 || !data)
                die("%s: %m", options->directory);
        FileName *names = name_files(dir, count);
        for (int64_t i = 0; i < count; i++)
                append_to(dir, names[i], O_CREAT | O_EXCL, data, (size_t)size, 0);
        int64_t begin = now_ns(), own = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        for (int64_t i = 0; i < options->requests; i++)
                append_to(dir, names[i % count], 0, data, (size_t)size, (1 + i / count) * size);
        printf("{\"requests\": %lld, \"seconds\": %.6f, \"own_cpu_s\": %.6f}\n", (long long)options->requests, (double)(now_ns() - begin) / NS_PER_S,
               (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own) / NS_PER_S);
        free(names);
        free(data);
        close(dir);
}

/* Reads a file and checksums it: no recovery of its bytes can be shorter. */
void floor_checksum(const Options *options) {
        static uint8_t data[PIECE_BYTES];
        int fd = options->file ? open(options->file, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0)
                die("%s: %m", options->file ? options->file : "no --file");
        int64_t begin = now_ns(), bytes = 0;
        uint32_t crc = 0;
        for (ssize_t got; (got = read(fd, data, sizeof(data))) > 0; bytes += got)
                crc = crc32c(crc, data, (size_t)got);
        printf("{\"bytes\": %lld, \"crc\": %u, \"seconds\": %.6f}\n", (long long)bytes, crc, (double)(now_ns() - begin) / NS_PER_S);
        close(fd);
}
