/* Sockets and frames, on the broker's own codec. */
#pragma once

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "storage/base/buffer.h"
#include "tools/loadgen/options.h"

/* A connected TCP socket without Nagle's delay; -1 when nobody listens. */
int client_try_connect(const Options *options);
/* The same, or the end of the program. */
int client_connect(const Options *options);

/* Appends the frame of a request, its length included. */
void frame_append(Buffer *out, const MessageSchema *request, int16_t version, int32_t correlation_id, const void *value);

/* Decodes an answer (a frame without its length) into ret_value; the program ends when it is none. */
void frame_decode(const MessageSchema *response, int16_t version, const uint8_t *frame, size_t size, Arena *arena, void *ret_value);

/* All of it, or false when the connection is closed. Blocking. */
bool client_send_all(int fd, const void *data, size_t size);
bool client_receive_all(int fd, void *data, size_t size);

/* One request and its answer, whose memory is the arena's; false when the connection is closed. Blocking. */
bool client_call(int fd, const MessageSchema *request, const MessageSchema *response, int16_t version, const void *value, Arena *arena,
                 void *ret_value);

#define CLIENT_CALL(fd, Name, version, request, arena, ret_response) \
        client_call((fd), &Name##Request_message, &Name##Response_message, (version), (request), (arena), (ret_response))

/* "topic", or "topic-00007" where there are many. */
Str topic_name(const Options *options, int64_t index, char name[static 256]);

/* Versions that name topics by name: the last ones. */
#define PRODUCE_VERSION 12
#define FETCH_VERSION 12

/* A fetch from one partition; at most bytes of records. The offset is to be patched at *ret_offset_at later. */
Buffer fetch_frame(const Options *options, Str topic, int32_t partition, int32_t wait_ms, size_t *ret_offset_at);
