/* The encoding half of the interpreter. */
#include "broker/protocol/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "storage/base/endian.h"
#include "storage/base/varint.h"

typedef struct Writer {
        Reply *reply;
        int16_t version;
        bool flexible;
        int error;
} Writer;

static void write_varuint(Writer *w, uint64_t value) {
        uint8_t *to = buffer_extend(&w->reply->bytes, varuint_size(value));
        if (to)
                varuint_write(to, value);
}

/* -1 is null. */
static void write_length(Writer *w, int64_t length, bool short_form) {
        if (w->flexible) {
                write_varuint(w, (uint64_t)(length + 1));
                return;
        }
        uint8_t *to = buffer_extend(&w->reply->bytes, short_form ? 2 : 4);
        if (!to)
                return;
        if (short_form)
                store_be16(to, (uint16_t)length);
        else
                store_be32(to, (uint32_t)length);
}

static void write_slice(Writer *w, Str s, bool is_string, bool nullable) {
        if (str_is_null(s) && nullable) {
                write_length(w, -1, is_string);
                return;
        }
        if (is_string && s.len > INT16_MAX)
                s.len = INT16_MAX;
        Reply *reply = w->reply;
        if (reply->bytes_max && reply->bytes.size + s.len > reply->bytes_max) {
                w->error = -ENOMEM;
                return;
        }
        write_length(w, (int64_t)s.len, is_string);
        buffer_append(&reply->bytes, s.data, s.len);
}

static int reply_add_span(Reply *reply, FileSpan span) {
        if (reply->span_count == reply->span_capacity) {
                int32_t capacity = reply->span_capacity ? reply->span_capacity * 2 : 4;
                ReplySpan *spans = realloc(reply->spans, (size_t)capacity * sizeof(*spans));
                if (!spans)
                        return -ENOMEM;
                reply->spans = spans;
                reply->span_capacity = capacity;
        }
        reply->spans[reply->span_count++] = (ReplySpan){ .at = reply->bytes.size, .span = span };
        return 0;
}

static void write_records(Writer *w, const Records *records, bool nullable) {
        FileSpan span = records->span;
        if (span.fd < 0 && span.size <= 0) {
                write_slice(w, records->bytes, false, nullable);
                return;
        }
        write_length(w, span.size, false);
        if (span.size > 0 && reply_add_span(w->reply, span) == 0)
                return;
        if (span.size > 0)
                w->error = -ENOMEM;
        file_span_release(&span);
}

static void write_struct(Writer *w, const StructSchema *schema, const uint8_t *from);

static void write_value(Writer *w, const FieldSchema *f, const uint8_t *from, bool nullable) {
        uint8_t *to;
        Buffer *out = &w->reply->bytes;
        switch ((FieldType)f->type) {
        case FIELD_BOOL:
                if ((to = buffer_extend(out, 1)))
                        *to = *(const bool *)from;
                return;
        case FIELD_INT8:
                buffer_append(out, from, 1);
                return;
        case FIELD_INT16:
        case FIELD_UINT16:
                if ((to = buffer_extend(out, 2)))
                        store_be16(to, *(const uint16_t *)(const void *)from);
                return;
        case FIELD_INT32:
        case FIELD_UINT32:
                if ((to = buffer_extend(out, 4)))
                        store_be32(to, *(const uint32_t *)(const void *)from);
                return;
        case FIELD_INT64:
        case FIELD_FLOAT64:
                if ((to = buffer_extend(out, 8)))
                        store_be64(to, *(const uint64_t *)(const void *)from);
                return;
        case FIELD_UUID:
                buffer_append(out, from, sizeof(Uuid));
                return;
        case FIELD_STRING:
        case FIELD_BYTES:
                write_slice(w, *(const Str *)(const void *)from, f->type == FIELD_STRING, nullable);
                return;
        case FIELD_RECORDS:
                write_records(w, (const Records *)(const void *)from, nullable);
                return;
        case FIELD_STRUCT:
                write_struct(w, f->sub, from);
                return;
        }
}

static void write_field(Writer *w, const FieldSchema *f, const uint8_t *base) {
        bool nullable = field_is_nullable(f, w->version);
        if (f->flags & FIELD_ARRAY) {
                int32_t count = *(const int32_t *)(const void *)(base + f->count_offset);
                const uint8_t *elements = *(const uint8_t *const *)(const void *)(base + f->offset);
                if (count < 0 && !nullable)
                        count = 0;
                write_length(w, count, false);
                for (int32_t i = 0; i < count; i++)
                        write_value(w, f, elements + (size_t)i * f->value_size, false);
                return;
        }
        if (f->flags & FIELD_POINTER) {
                const uint8_t *sub = *(const uint8_t *const *)(const void *)(base + f->offset);
                uint8_t mark = sub ? 1 : f->tag >= 0 ? 0 : 0xff;
                buffer_append(&w->reply->bytes, &mark, 1);
                if (sub)
                        write_struct(w, f->sub, sub);
                return;
        }
        write_value(w, f, base + f->offset, nullable);
}

static bool is_default(const FieldSchema *f, const uint8_t *base, const uint8_t *def, int16_t version);

static bool is_struct_default(const StructSchema *schema, const uint8_t *value, int16_t version) {
        for (const FieldSchema *f = schema->fields, *end = f + schema->field_count; f < end; f++)
                if (field_in_version(f, version) && !is_default(f, value, schema->default_value, version))
                        return false;
        return true;
}

static bool is_default(const FieldSchema *f, const uint8_t *base, const uint8_t *def, int16_t version) {
        if (f->flags & FIELD_ARRAY)
                return memcmp(base + f->count_offset, def + f->count_offset, sizeof(int32_t)) == 0;
        if (f->flags & FIELD_POINTER)
                return *(void *const *)(const void *)(base + f->offset) == NULL && !(f->flags & FIELD_EMPTY);
        if (f->type == FIELD_STRUCT)
                return is_struct_default(f->sub, base + f->offset, version);
        if (f->type == FIELD_STRING || f->type == FIELD_BYTES) {
                Str a = *(const Str *)(const void *)(base + f->offset), b = *(const Str *)(const void *)(def + f->offset);
                return str_is_null(a) == str_is_null(b) && str_equal(a, b);
        }
        return memcmp(base + f->offset, def + f->offset, f->value_size) == 0;
}

/* A tag, the size of what follows, and the field, whose size is known only when it has been written. */
static void write_tagged(Writer *w, const FieldSchema *f, const uint8_t *base) {
        Buffer *out = &w->reply->bytes;
        uint8_t prefix[VARINT_BYTES_MAX];
        write_varuint(w, (uint64_t)f->tag);
        size_t at = out->size;
        int32_t span_count = w->reply->span_count;
        write_field(w, f, base);
        assert(w->reply->span_count == span_count);
        size_t size = out->size - at, prefix_size = varuint_write(prefix, size);
        if (!buffer_extend(out, prefix_size))
                return;
        memmove(out->data + at + prefix_size, out->data + at, size);
        memcpy(out->data + at, prefix, prefix_size);
}

/* Tagged fields that differ from their default; tables hold them in the order of their tags. */
static void write_tags(Writer *w, const StructSchema *schema, const uint8_t *base) {
        Buffer *out = &w->reply->bytes;
        size_t count_at = out->size;
        uint8_t count = 0;
        write_varuint(w, 0);
        for (const FieldSchema *f = schema->fields, *end = f + schema->field_count; f < end; f++)
                if (f->tag >= 0 && field_in_version(f, w->version) && !is_default(f, base, schema->default_value, w->version)) {
                        write_tagged(w, f, base);
                        count++;
                }
        assert(count < 0x80);
        if (!out->failed)
                out->data[count_at] = count;
}

static void write_struct(Writer *w, const StructSchema *schema, const uint8_t *from) {
        for (const FieldSchema *f = schema->fields, *end = f + schema->field_count; f < end; f++)
                if (f->tag < 0 && field_in_version(f, w->version))
                        write_field(w, f, from);
        if (w->flexible)
                write_tags(w, schema, from);
}

int codec_encode(const MessageSchema *message, int16_t version, const void *value, Reply *reply) {
        assert(version >= message->version_min && version <= message->version_max);
        Writer w = { .reply = reply, .version = version, .flexible = message_is_flexible(message, version) };
        write_struct(&w, message->body, value);
        return reply->bytes.failed ? -ENOMEM : w.error;
}

void codec_encode_request_header(const RequestHeader *header, bool flexible, Buffer *out) {
        uint8_t fixed[10];
        store_be16(fixed, (uint16_t)header->api_key);
        store_be16(fixed + 2, (uint16_t)header->api_version);
        store_be32(fixed + 4, (uint32_t)header->correlation_id);
        store_be16(fixed + 8, str_is_null(header->client_id) ? 0xffff : (uint16_t)header->client_id.len);
        buffer_append(out, fixed, sizeof(fixed));
        buffer_append(out, header->client_id.data, header->client_id.len);
        if (flexible)
                buffer_append(out, "", 1);
}

size_t reply_size(const Reply *reply) {
        size_t size = reply->bytes.size;
        for (int32_t i = 0; i < reply->span_count; i++)
                size += (size_t)reply->spans[i].span.size;
        return size;
}

void reply_deinit(Reply *reply) {
        for (int32_t i = 0; i < reply->span_count; i++)
                file_span_release(&reply->spans[i].span);
        free(reply->spans);
        buffer_deinit(&reply->bytes);
        *reply = REPLY_INIT;
}

void *message_fill(void *elements, size_t count, size_t size, const void *value) {
        if (elements)
                for (size_t i = 0; i < count; i++)
                        memcpy((uint8_t *)elements + i * size, value, size);
        return elements;
}
