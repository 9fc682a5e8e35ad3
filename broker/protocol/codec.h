/* The one interpreter of the protocol's tables: the only code that touches request bytes.
 *
 * https://kafka.apache.org/protocol and KIP-482 (flexible versions, tagged fields). */
#pragma once

#include "broker/protocol/schema.h"
#include "storage/base/arena.h"
#include "storage/base/buffer.h"

/* Decodes one message of that version from bytes into *ret_message, the message's C struct. Strings and records are
 * slices of bytes; arrays come from the arena. Fields that the version lacks get their defaults. *ret_used (may be NULL)
 * is how many bytes it took. 0; KAFKA_INVALID_REQUEST for bytes that do not fit the schema; -ENOMEM past the
 * arena's cap. */
int codec_decode(const MessageSchema *message, int16_t version, Str bytes, Arena *arena, void *ret_message, size_t *ret_used);

typedef struct ReplySpan {
        size_t at; /* the span's bytes follow reply->bytes.data[0 .. at) */
        FileSpan span;
} ReplySpan;

/* A message on its way out: bytes, and pieces of files between them. */
typedef struct Reply {
        Buffer bytes;
        size_t bytes_max; /* no string makes bytes longer than that; 0: no limit */
        ReplySpan *spans;
        int32_t span_count;
        int32_t span_capacity;
} Reply;

#define REPLY_INIT ((Reply){ .bytes = BUFFER_INIT })

/* Bytes on the wire: the buffer and all spans. */
size_t reply_size(const Reply *reply);
/* Releases spans that are left and frees the memory. */
void reply_deinit(Reply *reply);

/* Appends the message in that version. Spans in it are taken over by the reply. 0; -ENOMEM, also past bytes_max; asserts what
 * only we could get wrong (a null where the version has none is written as empty). */
int codec_encode(const MessageSchema *message, int16_t version, const void *value, Reply *reply);

typedef struct RequestHeader {
        int16_t api_key;
        int16_t api_version;
        int32_t correlation_id;
        Str client_id; /* may be null */
} RequestHeader;

/* Reads the header of a request whose API and version are known to be served (flexible says whether it ends in tagged
 * fields). 0 or KAFKA_INVALID_REQUEST. */
int codec_decode_request_header(Str bytes, bool flexible, RequestHeader *ret_header, size_t *ret_used);
void codec_encode_request_header(const RequestHeader *header, bool flexible, Buffer *out);

/* count default-initialised elements of a generated struct type; NULL past the arena's cap. */
#define message_array(arena, Type, count) \
        ((Type *)message_fill(arena_alloc_array((arena), (size_t)(count), sizeof(Type)), (size_t)(count), sizeof(Type), &Type##_INIT))

void *message_fill(void *elements, size_t count, size_t size, const void *value);
