/* The broker's thread, and the client's framing. */
#include "tests/lib/broker_fixture.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/base/endian.h"
#include "storage/base/trace.h"

#define WAIT_MS 30000
#define ARGUMENTS_MAX 32

static void *run(void *broker) {
        broker_run(broker);
        return NULL;
}

void fixture_start(BrokerFixture *fixture, const char *const *arguments) {
        if (!*fixture->data_dir) {
                strcpy(fixture->data_dir, "/tmp/odradek-test-XXXXXX");
                cr_assert_not_null(mkdtemp(fixture->data_dir));
        }
        char *argv[ARGUMENTS_MAX] = { "odradek", "--port", "0", "--data", fixture->data_dir };
        int argc = 5;
        for (; arguments && *arguments; arguments++) {
                cr_assert_lt(argc, ARGUMENTS_MAX - 1);
                argv[argc++] = (char *)(uintptr_t)*arguments;
        }
        trace_level = TRACE_ERROR;
        signal(SIGPIPE, SIG_IGN);
        cr_assert_eq(config_parse(argc, argv, stdout, &fixture->config), 0);
        cr_assert_eq(broker_start(&fixture->config, false, NULL, &fixture->broker), BROKER_EXIT_CLEAN);
        fixture->port = fixture->config.listeners[0].port;
        cr_assert_eq(pthread_create(&fixture->thread, NULL, run, fixture->broker), 0);
}

BrokerExit fixture_stop(BrokerFixture *fixture) {
        broker_stop(fixture->broker);
        pthread_join(fixture->thread, NULL);
        BrokerExit code = broker_free(fixture->broker);
        fixture->broker = NULL;
        config_deinit(&fixture->config);
        return code;
}

void fixture_remove(BrokerFixture *fixture) {
        if (fixture->broker)
                cr_expect_eq(fixture_stop(fixture), BROKER_EXIT_CLEAN);
        char *argv[] = { "rm", "-rf", "--", fixture->data_dir, NULL };
        pid_t pid;
        if (posix_spawnp(&pid, "rm", NULL, NULL, argv, environ) == 0)
                waitpid(pid, NULL, 0);
        fixture->data_dir[0] = '\0';
}

TestClient client_connect(const BrokerFixture *fixture) {
        return client_connect_from(fixture, "127.0.0.1");
}

TestClient client_connect_from(const BrokerFixture *fixture, const char *host) {
        TestClient client = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .arena = ARENA_INIT(0) };
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)fixture->port) };
        struct timeval limit = { .tv_sec = WAIT_MS / 1000 };
        struct sockaddr_in from = { .sin_family = AF_INET };
        int one = 1;
        cr_assert_eq(inet_pton(AF_INET, host, &from.sin_addr), 1);
        setsockopt(client.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
        cr_assert_eq(bind(client.fd, (struct sockaddr *)&from, sizeof(from)), 0);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        cr_assert_eq(connect(client.fd, (struct sockaddr *)&address, sizeof(address)), 0);
        setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        setsockopt(client.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        return client;
}

void client_close(TestClient *client) {
        close(client->fd);
        arena_deinit(&client->arena);
}

Buffer client_frame(const MessageSchema *request, int16_t version, int32_t correlation_id, const void *value) {
        RequestHeader header = { .api_key = request->key, .api_version = version, .correlation_id = correlation_id,
                                 .client_id = STR("test") };
        Reply message = REPLY_INIT;
        cr_assert_not_null(buffer_extend(&message.bytes, 4));
        codec_encode_request_header(&header, message_is_flexible(request, version), &message.bytes);
        cr_assert_eq(codec_encode(request, version, value, &message), 0);
        cr_assert_eq(message.span_count, 0);
        store_be32(message.bytes.data, (uint32_t)message.bytes.size - 4);
        return message.bytes;
}

void client_send_bytes(TestClient *client, const void *data, size_t size) {
        while (size > 0) {
                ssize_t n = send(client->fd, data, size, MSG_NOSIGNAL);
                cr_assert_gt(n, 0, "sending failed: %s", strerror(errno));
                data = (const uint8_t *)data + n;
                size -= (size_t)n;
        }
}

void client_send(TestClient *client, const MessageSchema *request, int16_t version, const void *value) {
        Buffer frame = client_frame(request, version, ++client->correlation_id, value);
        client_send_bytes(client, frame.data, frame.size);
        buffer_deinit(&frame);
}

/* False when the connection ends before the first byte. */
static bool receive(TestClient *client, void *to, size_t size) {
        for (size_t at = 0; at < size;) {
                ssize_t n = recv(client->fd, (uint8_t *)to + at, size - at, 0);
                if (at == 0 && (n == 0 || (n < 0 && errno == ECONNRESET)))
                        return false;
                cr_assert_gt(n, 0, "receiving failed: %s", n < 0 ? strerror(errno) : "the connection was closed");
                at += (size_t)n;
        }
        return true;
}

Str client_receive_frame(TestClient *client) {
        uint8_t length[4];
        if (!receive(client, length, sizeof(length)))
                return STR_NULL;
        size_t size = load_be32(length);
        char *data = arena_alloc(&client->arena, size);
        cr_assert_not_null(data);
        cr_assert(receive(client, data, size));
        return (Str){ .data = data, .len = size };
}

void client_receive(TestClient *client, const MessageSchema *response, int16_t version, int32_t correlation_id, void *ret_value) {
        Str frame = client_receive_frame(client);
        cr_assert_not_null(frame.data, "the connection was closed");
        cr_assert_geq(frame.len, 4);
        cr_assert_eq((int32_t)load_be32(frame.data), correlation_id);
        bool has_tags = message_is_flexible(response, version) && response != &ApiVersionsResponse_message;
        size_t head = has_tags ? 5 : 4, used;
        cr_assert_geq(frame.len, head);
        Str body = { .data = frame.data + head, .len = frame.len - head };
        cr_assert_eq(codec_decode(response, version, body, &client->arena, ret_value, &used), 0);
        cr_assert_eq(used, body.len);
}

void client_call(TestClient *client, const MessageSchema *request, const MessageSchema *response, int16_t version,
                 const void *value, void *ret_value) {
        client_send(client, request, version, value);
        client_receive(client, response, version, client->correlation_id, ret_value);
}

bool client_is_closed(TestClient *client) {
        uint8_t byte;
        ssize_t n = recv(client->fd, &byte, 1, 0);
        return n == 0 || (n < 0 && errno == ECONNRESET);
}

bool client_is_silent(TestClient *client, int wait_ms) {
        struct pollfd poll_fd = { .fd = client->fd, .events = POLLIN };
        return poll(&poll_fd, 1, wait_ms) == 0;
}
