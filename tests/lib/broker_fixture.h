/* A broker inside the test's process, and a blocking client built on the same codec.
 *
 * The broker runs in a thread of its own on a free port; its data directory is temporary and outlives fixture_stop(), so that a test
 * can start again on it. Criterion runs every test in a process of its own: nothing is shared between tests. */
#pragma once

#include "broker/broker.h"
#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"

typedef struct BrokerFixture {
        char data_dir[64]; /* made by the first start */
        Config config;
        Broker *broker;
        unsigned long thread;
        int port;
} BrokerFixture;

#define BROKER_FIXTURE_INIT ((BrokerFixture){ .broker = NULL })

/* Starts on fixture->data_dir with more command line arguments (NULL at the end; NULL: none). Fails the test when it cannot. */
void fixture_start(BrokerFixture *fixture, const char *const *arguments);
/* A clean stop; returns the exit code. */
BrokerExit fixture_stop(BrokerFixture *fixture);
/* Removes the data directory, too. */
void fixture_remove(BrokerFixture *fixture);

typedef struct TestClient {
        int fd;
        int32_t correlation_id; /* of the last request */
        Arena arena;            /* of everything received */
} TestClient;

/* Each fails the test on an error of the socket; nothing waits longer than thirty seconds. */
TestClient client_connect(const BrokerFixture *fixture);
TestClient client_connect_from(const BrokerFixture *fixture, const char *host); /* an IPv4 address of this machine */
void client_close(TestClient *client);

/* The frame of a request, length included; the buffer is the caller's. */
Buffer client_frame(const MessageSchema *request, int16_t version, int32_t correlation_id, const void *value);

void client_send_bytes(TestClient *client, const void *data, size_t size);
void client_send(TestClient *client, const MessageSchema *request, int16_t version, const void *value);

/* The next frame without its length; null when the broker has closed the connection. */
Str client_receive_frame(TestClient *client);
/* The next response, whose correlation id has to be that one; its strings live as long as the client. */
void client_receive(TestClient *client, const MessageSchema *response, int16_t version, int32_t correlation_id, void *ret_value);
/* Sends and receives. */
void client_call(TestClient *client, const MessageSchema *request, const MessageSchema *response, int16_t version,
                 const void *value, void *ret_value);

/* Whether the broker closes the connection, with nothing more to say, within thirty seconds. */
bool client_is_closed(TestClient *client);
/* Whether nothing comes, and the connection stays, for so long. */
bool client_is_silent(TestClient *client, int wait_ms);

#define CLIENT_CALL(client, Name, version, request, ret_response) \
        client_call((client), &Name##Request_message, &Name##Response_message, (version), (request), (ret_response))
