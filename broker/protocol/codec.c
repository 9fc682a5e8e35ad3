/* The interpreter: decode walks a table with a cursor that fails once and stays failed; encode appends. */
#include "broker/protocol/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "storage/base/endian.h"
#include "storage/base/error.h"
#include "storage/base/varint.h"

#define DEPTH_MAX 16

typedef struct Cursor {
        const uint8_t *at, *end;
        Arena *arena;
        int16_t version;
        bool flexible;
        int error; /* sticky */
} Cursor;

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
        uint32_t value;
        size_t size = varuint32_read(c->at, c->end, &value);
        if (!size)
                return cursor_fail(c, KAFKA_INVALID_REQUEST), 0;
        c->at += size;
        return value;
}

static bool in_versions(int16_t version, int16_t min, int16_t max) {
        return version >= min && version <= max;
}

static bool is_nullable(const FieldSchema *f, int16_t version) {
        return in_versions(version, f->null_min, f->null_max);
}

/* Length of a string, of bytes or of an array: -1 is null. */
static int64_t cursor_length(Cursor *c, bool short_form) {
        if (c->flexible)
                return (int64_t)cursor_varuint(c) - 1;
        const uint8_t *from = cursor_take(c, short_form ? 2 : 4);
        if (!from)
                return -1;
        return short_form ? (int16_t)load_be16(from) : (int32_t)load_be32(from);
}

static Str cursor_slice(Cursor *c, const FieldSchema *f, bool short_form, bool nullable) {
        int64_t length = cursor_length(c, short_form);
        if (length < 0) {
                if (length < -1 || !nullable)
                        cursor_fail(c, KAFKA_INVALID_REQUEST);
                return STR_NULL;
        }
        const uint8_t *from = cursor_take(c, (size_t)length);
        return from ? (Str){ .data = (const char *)from, .len = (size_t)length } : STR_NULL;
}

static const uint8_t wire_bytes[] = {
        [FIELD_BOOL] = 1,   [FIELD_INT8] = 1,    [FIELD_INT16] = 2, [FIELD_UINT16] = 2, [FIELD_INT32] = 4,
        [FIELD_UINT32] = 4, [FIELD_INT64] = 8,   [FIELD_FLOAT64] = 8, [FIELD_UUID] = 16, [FIELD_STRING] = 1,
        [FIELD_BYTES] = 1,  [FIELD_RECORDS] = 1,
};

static const uint16_t c_sizes[] = {
        [FIELD_BOOL] = sizeof(bool),      [FIELD_INT8] = 1,
        [FIELD_INT16] = 2,                [FIELD_UINT16] = 2,
        [FIELD_INT32] = 4,                [FIELD_UINT32] = 4,
        [FIELD_INT64] = 8,                [FIELD_FLOAT64] = 8,
        [FIELD_UUID] = sizeof(Uuid),      [FIELD_STRING] = sizeof(Str),
        [FIELD_BYTES] = sizeof(Str),      [FIELD_RECORDS] = sizeof(Records),
};

static void decode_struct(Cursor *c, const StructSchema *schema, uint8_t *to, int depth);

static void decode_value(Cursor *c, const FieldSchema *f, uint8_t *to, bool nullable, int depth) {
        const uint8_t *from;
        switch ((FieldType)f->type) {
        case FIELD_STRING:
                *(Str *)(void *)to = cursor_slice(c, f, true, nullable);
                return;
        case FIELD_BYTES:
                *(Str *)(void *)to = cursor_slice(c, f, false, nullable);
                return;
        case FIELD_RECORDS:
                *(Records *)(void *)to = (Records){ .bytes = cursor_slice(c, f, false, nullable), .span = FILE_SPAN_INIT };
                return;
        case FIELD_STRUCT:
                decode_struct(c, f->sub, to, depth + 1);
                return;
        default:
                break;
        }
        from = cursor_take(c, wire_bytes[f->type]);
        if (!from)
                return;
        switch (wire_bytes[f->type]) {
        case 1:
                if (f->type == FIELD_BOOL)
                        *(bool *)to = *from != 0;
                else
                        *to = *from;
                break;
        case 2:
                *(uint16_t *)(void *)to = load_be16(from);
                break;
        case 4:
                *(uint32_t *)(void *)to = load_be32(from);
                break;
        case 8:
                *(uint64_t *)(void *)to = load_be64(from);
                break;
        default:
                memcpy(to, from, sizeof(Uuid));
        }
}

static void decode_array(Cursor *c, const FieldSchema *f, uint8_t *base, int depth) {
        int32_t *ret_count = (int32_t *)(void *)(base + f->count_offset);
        void **ret_elements = (void **)(void *)(base + f->offset);
        int64_t count = cursor_length(c, false);
        *ret_elements = NULL;
        *ret_count = 0;
        if (c->error)
                return;
        if (count < 0) {
                if (count < -1 || !is_nullable(f, c->version))
                        cursor_fail(c, KAFKA_INVALID_REQUEST);
                *ret_count = -1;
                return;
        }
        size_t wire_min = f->type == FIELD_STRUCT ? f->sub->wire_bytes_min : wire_bytes[f->type];
        if ((uint64_t)count > (uint64_t)(c->end - c->at) / wire_min) {
                cursor_fail(c, KAFKA_INVALID_REQUEST);
                return;
        }
        size_t size = f->type == FIELD_STRUCT ? f->sub->size : c_sizes[f->type];
        uint8_t *elements = arena_alloc_array(c->arena, (size_t)count, size);
        if (!elements) {
                cursor_fail(c, -ENOMEM);
                return;
        }
        for (int64_t i = 0; i < count && !c->error; i++)
                decode_value(c, f, elements + (size_t)i * size, false, depth);
        *ret_elements = elements;
        *ret_count = (int32_t)count;
}

static void decode_field(Cursor *c, const FieldSchema *f, uint8_t *base, int depth) {
        if (f->flags & FIELD_ARRAY) {
                decode_array(c, f, base, depth);
                return;
        }
        uint8_t *to = base + f->offset;
        if (f->flags & FIELD_POINTER) {
                const uint8_t *mark = cursor_take(c, 1);
                if (!mark || *mark == 0xff) {
                        *(void **)(void *)to = NULL;
                        return;
                }
                uint8_t *sub = arena_alloc(c->arena, f->sub->size);
                *(void **)(void *)to = sub;
                if (sub)
                        decode_struct(c, f->sub, sub, depth + 1);
                else
                        cursor_fail(c, -ENOMEM);
                return;
        }
        decode_value(c, f, to, is_nullable(f, c->version), depth);
}

static void decode_tags(Cursor *c, const StructSchema *schema, uint8_t *base, int depth) {
        uint32_t count = cursor_varuint(c);
        int64_t last = -1;
        for (uint32_t i = 0; i < count && !c->error; i++) {
                uint32_t tag = cursor_varuint(c), size = cursor_varuint(c);
                const uint8_t *from = cursor_take(c, size);
                if (!from || (int64_t)tag <= last) {
                        cursor_fail(c, KAFKA_INVALID_REQUEST);
                        return;
                }
                last = tag;
                const FieldSchema *f = schema->fields, *end = f + schema->field_count;
                while (f < end && (f->tag != (int64_t)tag || !in_versions(c->version, f->version_min, f->version_max)))
                        f++;
                if (f == end)
                        continue;
                Cursor sub = *c;
                sub.at = from;
                sub.end = from + size;
                decode_field(&sub, f, base, depth);
                if (sub.error || sub.at != sub.end)
                        cursor_fail(c, sub.error ? sub.error : KAFKA_INVALID_REQUEST);
        }
}

static void decode_struct(Cursor *c, const StructSchema *schema, uint8_t *to, int depth) {
        memcpy(to, schema->default_value, schema->size);
        if (depth > DEPTH_MAX) {
                cursor_fail(c, KAFKA_INVALID_REQUEST);
                return;
        }
        for (const FieldSchema *f = schema->fields, *end = f + schema->field_count; f < end && !c->error; f++)
                if (f->tag < 0 && in_versions(c->version, f->version_min, f->version_max))
                        decode_field(c, f, to, depth);
        if (c->flexible && !c->error)
                decode_tags(c, schema, to, depth);
}

int codec_decode(const MessageSchema *message, int16_t version, Str bytes, Arena *arena, void *ret_message, size_t *ret_used) {
        Cursor c = {
                .at = (const uint8_t *)bytes.data,
                .end = (const uint8_t *)bytes.data + bytes.len,
                .arena = arena,
                .version = version,
                .flexible = message_is_flexible(message, version),
        };
        decode_struct(&c, message->body, ret_message, 0);
        if (ret_used)
                *ret_used = (size_t)(c.at - (const uint8_t *)bytes.data);
        return c.error;
}

int codec_decode_request_header(Str bytes, bool flexible, RequestHeader *ret_header, size_t *ret_used) {
        Cursor c = { .at = (const uint8_t *)bytes.data, .end = (const uint8_t *)bytes.data + bytes.len };
        const uint8_t *fixed = cursor_take(&c, 8);
        if (!fixed)
                return KAFKA_INVALID_REQUEST;
        ret_header->api_key = (int16_t)load_be16(fixed);
        ret_header->api_version = (int16_t)load_be16(fixed + 2);
        ret_header->correlation_id = (int32_t)load_be32(fixed + 4);
        ret_header->client_id = cursor_slice(&c, NULL, true, true);
        if (flexible && !c.error) {
                const StructSchema none = { 0 };
                decode_tags(&c, &none, NULL, 0);
        }
        *ret_used = (size_t)(c.at - (const uint8_t *)bytes.data);
        return c.error;
}
