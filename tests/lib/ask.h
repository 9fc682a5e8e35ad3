/* Requests to one API's handler, through bytes in both directions, without a connection. */
#pragma once

#include "broker/api/api.h"

typedef struct Asked Asked;

/* Hands the request over. Afterwards it is answered, or parked. */
Asked *ask_start(State *state, const MessageSchema *request, const MessageSchema *response, void (*handle)(Call *call),
                 int16_t version, const void *body);
bool asked_is_done(const Asked *asked);
/* Instead of an answer the connection is closed. */
bool asked_is_closed(const Asked *asked);
/* What request and answer took of the call's arena. */
size_t asked_arena_bytes(const Asked *asked);
/* Decodes the answer, which must be there, into memory that lives as long as the test. Frees asked. */
void *asked_end(Asked *asked);
/* The client goes away. Frees asked. */
void asked_drop(Asked *asked);

/* Asks, commits the turn if the request was parked, waits for the disk if the answer is held, and decodes. */
void *ask(State *state, const MessageSchema *request, const MessageSchema *response, void (*handle)(Call *call), int16_t version,
          const void *body);

#define ASK_START(state, Name, name, version, ...) \
        ask_start((state), &Name##Request_message, &Name##Response_message, api_##name, (version), &(Name##Request){ __VA_ARGS__ })
#define ASK(state, Name, name, version, ...) \
        ((Name##Response *)ask((state), &Name##Request_message, &Name##Response_message, api_##name, (version), \
                               &(Name##Request){ __VA_ARGS__ }))
