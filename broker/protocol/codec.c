/* The decoding half of the interpreter: it walks a table with a cursor that fails once and stays failed. Recursion is
 * as deep as the table, whatever the bytes say. */
#include "broker/protocol/codec.h"

#include <errno.h>
#include <stdlib.h>

#include "storage/base/endian.h"
#include "storage/base/error.h"
#include "storage/base/varint.h"

typedef struct Cursor {
        const uint8_t *at, *end;
        Arena *arena;
        int16_t version;
        bool flexible;
        int error; /* sticky */
} Cursor;

static Cursor cursor_over(Str bytes) {
        const uint8_t *at = str_is_null(bytes) ? (const uint8_t *)"" : (const uint8_t *)bytes.data;
        return (Cursor){ .at = at, .end = at + bytes.len };
}

static bool cursor_fail(Cursor *c, int error) {
        if (!c->error)
                c->error = error;
        c->at = c->end;
        return false;
}

static const uint8_t *cursor_take(Cursor *c, size_t size) {
        if (size > (size_t)(c->end - c->at)) {
                cursor_fail(c, KAFKA_INVALID_REQUEST);
                return NULL;
        }
        const uint8_t *from = c->at;
        c->at += size;
        return from;
}

static uint32_t cursor_varuint(Cursor *c) {
        if (c->at < c->end && *c->at < 0x80) /* most are */
                return *c->at++;
        uint32_t value;
        size_t size = varuint32_read(c->at, c->end, &value);
        if (!size)
                return cursor_fail(c, KAFKA_INVALID_REQUEST), 0;
        c->at += size;
        return value;
}

/* Length of a string, of bytes or of an array; below zero is null, as for Kafka. */
static int32_t cursor_length(Cursor *c, bool short_form) {
        if (c->flexible)
                return (int32_t)(cursor_varuint(c) - 1);
        const uint8_t *from = cursor_take(c, short_form ? 2 : 4);
        if (!from)
                return -1;
        return short_form ? (int16_t)load_be16(from) : (int32_t)load_be32(from);
}

static Str cursor_slice(Cursor *c, bool is_string, bool nullable) {
        int32_t length = cursor_length(c, is_string);
        if (length < 0 && nullable)
                return STR_NULL;
        if (length < 0 || (is_string && length > INT16_MAX)) {
                cursor_fail(c, KAFKA_INVALID_REQUEST);
                return STR_NULL;
        }
        const uint8_t *from = cursor_take(c, (size_t)length);
        return from ? (Str){ .data = (const char *)from, .len = (size_t)length } : STR_NULL;
}

static void decode_struct(Cursor *c, const StructSchema *schema, uint8_t *to);

static void decode_fixed(Cursor *c, const FieldSchema *f, uint8_t *to) {
        const uint8_t *from = cursor_take(c, f->wire_bytes_min);
        if (!from)
                return;
        switch (f->wire_bytes_min) {
        case 1:
                *to = f->type == FIELD_BOOL ? *from != 0 : *from;
                return;
        case 2:
                *(uint16_t *)(void *)to = load_be16(from);
                return;
        case 4:
                *(uint32_t *)(void *)to = load_be32(from);
                return;
        case 8:
                *(uint64_t *)(void *)to = load_be64(from);
                return;
        default:
                memcpy(to, from, sizeof(Uuid));
        }
}

static void decode_value(Cursor *c, const FieldSchema *f, uint8_t *to, bool nullable) {
        switch ((FieldType)f->type) {
        case FIELD_STRING:
        case FIELD_BYTES:
                *(Str *)(void *)to = cursor_slice(c, f->type == FIELD_STRING, nullable);
                return;
        case FIELD_RECORDS:
                *(Records *)(void *)to = (Records){ .bytes = cursor_slice(c, false, nullable), .span = FILE_SPAN_INIT };
                return;
        case FIELD_STRUCT:
                decode_struct(c, f->sub, to);
                return;
        default:
                decode_fixed(c, f, to);
        }
}

static void decode_array(Cursor *c, const FieldSchema *f, uint8_t *base) {
        int32_t *ret_count = (int32_t *)(void *)(base + f->count_offset);
        void **ret_elements = (void **)(void *)(base + f->offset);
        int32_t count = cursor_length(c, false);
        *ret_elements = NULL;
        *ret_count = 0;
        if (c->error)
                return;
        if (count < 0 && field_is_nullable(f, c->version)) {
                *ret_count = -1;
                return;
        }
        if (count < 0 || (size_t)count > (size_t)(c->end - c->at) / f->wire_bytes_min) {
                cursor_fail(c, KAFKA_INVALID_REQUEST);
                return;
        }
        uint8_t *elements = arena_alloc_array(c->arena, (size_t)count, f->value_size);
        if (!elements) {
                cursor_fail(c, -ENOMEM);
                return;
        }
        for (int32_t i = 0; i < count && !c->error; i++)
                decode_value(c, f, elements + (size_t)i * f->value_size, false);
        *ret_elements = elements;
        *ret_count = count;
}

/* A struct that may be null is preceded by a byte: negative for null, but 0 where the struct is tagged. */
static void decode_pointer(Cursor *c, const FieldSchema *f, uint8_t **to) {
        *to = NULL;
        const uint8_t *mark = cursor_take(c, 1);
        if (!mark || (f->tag >= 0 ? *mark == 0 : (int8_t)*mark < 0))
                return;
        *to = arena_alloc(c->arena, f->sub->size);
        if (*to)
                decode_struct(c, f->sub, *to);
        else
                cursor_fail(c, -ENOMEM);
}

static void decode_field(Cursor *c, const FieldSchema *f, uint8_t *base) {
        uint8_t *to = base + f->offset;
        if (f->flags & FIELD_ARRAY)
                decode_array(c, f, base);
        else if (f->flags & FIELD_POINTER)
                decode_pointer(c, f, (uint8_t **)(void *)to);
        else
                decode_value(c, f, to, field_is_nullable(f, c->version));
}

static const FieldSchema *tagged_field(const StructSchema *schema, uint32_t tag, int16_t version) {
        for (size_t i = 0; i < schema->field_count; i++)
                if (schema->fields[i].tag == (int64_t)tag && field_in_version(&schema->fields[i], version))
                        return &schema->fields[i];
        return NULL;
}

/* They are to come in order, each once; as in Kafka, nobody minds if they don't, and the last one counts. */
static void decode_tags(Cursor *c, const StructSchema *schema, uint8_t *base) {
        uint32_t count = cursor_varuint(c);
        for (uint32_t i = 0; i < count && !c->error; i++) {
                uint32_t tag = cursor_varuint(c), size = cursor_varuint(c);
                const uint8_t *from = cursor_take(c, size);
                if (!from) {
                        cursor_fail(c, KAFKA_INVALID_REQUEST);
                        return;
                }
                const FieldSchema *f = tagged_field(schema, tag, c->version);
                if (!f)
                        continue;
                Cursor sub = *c;
                sub.at = from;
                sub.end = from + size;
                decode_field(&sub, f, base);
                if (sub.error || sub.at != sub.end)
                        cursor_fail(c, sub.error ? sub.error : KAFKA_INVALID_REQUEST);
        }
}

static void decode_struct(Cursor *c, const StructSchema *schema, uint8_t *to) {
        memcpy(to, schema->default_value, schema->size);
        for (const FieldSchema *f = schema->fields, *end = f + schema->field_count; f < end && !c->error; f++)
                if (f->tag < 0 && field_in_version(f, c->version))
                        decode_field(c, f, to);
        if (c->flexible && !c->error)
                decode_tags(c, schema, to);
}

int codec_decode(const MessageSchema *message, int16_t version, Str bytes, Arena *arena, void *ret_message, size_t *ret_used) {
        Cursor c = cursor_over(bytes);
        c.arena = arena;
        c.version = version;
        c.flexible = message_is_flexible(message, version);
        decode_struct(&c, message->body, ret_message);
        if (ret_used)
                *ret_used = bytes.len - (size_t)(c.end - c.at);
        return c.error;
}

int codec_decode_request_header(Str bytes, bool flexible, RequestHeader *ret_header, size_t *ret_used) {
        Cursor c = cursor_over(bytes);
        const uint8_t *fixed = cursor_take(&c, 8);
        if (!fixed)
                return KAFKA_INVALID_REQUEST;
        ret_header->api_key = (int16_t)load_be16(fixed);
        ret_header->api_version = (int16_t)load_be16(fixed + 2);
        ret_header->correlation_id = (int32_t)load_be32(fixed + 4);
        ret_header->client_id = cursor_slice(&c, true, true);
        if (flexible && !c.error) {
                const StructSchema none = { 0 };
                decode_tags(&c, &none, NULL);
        }
        *ret_used = bytes.len - (size_t)(c.end - c.at);
        return c.error;
}
