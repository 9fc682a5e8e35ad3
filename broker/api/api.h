/* The table of APIs, and dispatch. Adding one: a schema, a file, a row in api.c. */
#pragma once

#include "broker/api/call.h"

struct Api {
        int16_t key;
        int16_t version_min, version_max;  /* served */
        int16_t version_advertised_min;    /* what ApiVersions says, where lower (Produce) */
        const MessageSchema *request, *response;
        uint16_t request_size; /* of the C struct */
        bool zero_copy;        /* the request's bytes outlive the call (until the commit): they are not copied. Produce only. */
        void (*handle)(Call *call);
};

/* All rows, by key. */
extern const Api api_table[];
extern const size_t api_count;
const Api *api_find(int16_t key);

typedef enum DispatchResult {
        DISPATCH_DONE,   /* call->is_done */
        DISPATCH_PARKED, /* on_done() will be called */
        DISPATCH_CLOSE,  /* malformed, unknown API or version: close the connection */
} DispatchResult;

/* Whether the frame's API may be handled while earlier requests of the same connection still wait for the turn's commit (Produce
 * behind Produce). */
bool api_can_pipeline(Str frame);

/* Decodes the frame (without its length prefix) into an initialised call (state, client_host, listener, on_done, owner set; call zeroed
 * otherwise) and handles it. For zero_copy APIs the frame must stay, and may be changed, until the call is done; others are copied. */
DispatchResult api_dispatch(Call *call, uint8_t *frame, size_t size);

/* Cancels a parked call (connection closed) and frees what the call holds. */
void call_deinit(Call *call);
