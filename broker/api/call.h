/* One request in flight: its arena, its decoded request, its reply, and how it parks and resumes.
 *
 * A handler either replies before it returns, or parks: it leaves a hook somewhere in state (a timer, a commit
 * wait, a partition wait, a group's member) whose callback replies later. Whoever parks sets call->cancel, which takes the hooks
 * away when the connection closes; call_reply() clears it. */
#pragma once

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "broker/state/state.h"
#include "broker/state/telemetry.h"
#include "storage/base/error.h"

typedef struct Api Api;
typedef struct Call Call;

/* What is kept of a client as long as its connection. */
typedef struct CallClient {
        char software_name[40], software_version[40]; /* as it said in ApiVersions, cut to fit */
        int32_t port;
        List telemetry; /* state/telemetry.h */
} CallClient;

void call_client_init(CallClient *client, int32_t port);
/* The connection is closed. */
void call_client_deinit(CallClient *client, State *state);

struct Call {
        State *state;
        const Api *api;
        RequestHeader header;
        Arena arena;
        void *request;   /* the decoded request: the API's generated struct, in the arena */
        Reply reply;     /* length, header and body, once is_done */
        bool is_done;
        bool no_reply;   /* acks=0: nothing is sent */
        bool close;      /* close the connection instead of, or after, replying */
        const char *client_host;  /* "/127.0.0.1": as Kafka shows it; lives as long as the connection */
        CallClient *client;       /* likewise; NULL where there is no connection */
        const Listener *listener; /* where the client came in: what Metadata advertises */
        void (*cancel)(Call *call);
        void (*on_done)(Call *call); /* net's: called by call_reply() */
        void *owner;                 /* net's */
        ListNode node;               /* net's */
        void *park; /* the handler's own record while parked, in the arena */
        bool is_exclusive; /* parked, and no later request of the connection may be handled before it */
        CommitWait hold;   /* the answer is there, but has to wait for the disk */
        int64_t hold_mark;
};

/* Encodes response (the API's generated struct) in the request's version and marks the call done. */
void call_reply(Call *call, const void *response);

/* Parks a call of which nothing was done yet, and handles it anew when more is on disk, or a name is free. */
void call_handle_later(Call *call);

/* For handlers that create topics, before they do anything: plan says with creation_add() which. Whether their directories have to be made
 * first; then the call is handled anew afterwards. */
bool call_awaits_creation(Call *call, int (*plan)(Call *call, Creation **creation));

/* Marks a call done without any bytes (acks=0). */
void call_finish_silently(Call *call);

/* Gives up on the connection, as Kafka does for requests it cannot answer. */
void call_close(Call *call);

/* The code for the client: positive codes as they are; -errno becomes KAFKA_STORAGE_ERROR for I/O, UNKNOWN_SERVER_ERROR
 * otherwise, and is traced here. The only translator. */
int16_t call_code(Call *call, int result);

/* What is wrong with a topic's name, in the call's arena and as long as it takes; the null string without memory. */
Str call_describe_bad_topic(Call *call, Str name);

/* Zeroed or default-initialised memory of the call. A call out of memory is closed: handlers test for NULL, call call_close() and return. */
#define call_array(call, Type, count) message_array(&(call)->arena, Type, (count))

/* Who calls, as subscriptions to metrics see it. */
TelemetryClient call_telemetry_client(const Call *call, Uuid instance_id);

static inline int16_t call_version(const Call *call) {
        return call->header.api_version;
}
