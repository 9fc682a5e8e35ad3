/* Walks a table and makes up a value for each field. */
#include "tests/lib/filler.h"

#include <assert.h>

uint64_t filler_next(Filler *filler) {
        /* splitmix64 */
        uint64_t z = filler->seed += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

static Str random_str(Filler *filler) {
        size_t len = filler_next(filler) % 8;
        if (filler_next(filler) % 16 == 0)
                len = 100 + filler_next(filler) % 100; /* a length of two bytes */
        char *data = arena_alloc(filler->arena, len + 1);
        assert(data);
        for (size_t i = 0; i < len; i++)
                data[i] = (char)filler_next(filler);
        return (Str){ .data = data, .len = len };
}

static void fill_value(Filler *filler, const FieldSchema *f, uint8_t *to, bool nullable) {
        uint64_t bits = filler_next(filler);
        bool null = nullable && bits % 4 == 0;
        switch ((FieldType)f->type) {
        case FIELD_BOOL:
                *(bool *)to = bits & 1;
                return;
        case FIELD_STRING:
        case FIELD_BYTES:
                *(Str *)(void *)to = null ? STR_NULL : random_str(filler);
                return;
        case FIELD_RECORDS:
                *(Records *)(void *)to = (Records){ .bytes = null ? STR_NULL : random_str(filler), .span = FILE_SPAN_INIT };
                return;
        case FIELD_STRUCT:
                filler_fill(filler, f->sub, to);
                return;
        default:
                for (size_t i = 0; i < f->value_size; i++)
                        to[i] = (uint8_t)filler_next(filler);
        }
}

static void fill_array(Filler *filler, const FieldSchema *f, uint8_t *base, bool nullable) {
        uint64_t bits = filler_next(filler);
        int32_t count = nullable && bits % 4 == 0 ? -1 : (int32_t)(bits / 4 % 3);
        uint8_t *elements = count > 0 ? arena_alloc_array(filler->arena, (size_t)count, f->value_size) : NULL;
        assert(count <= 0 || elements);
        for (int32_t i = 0; i < count; i++)
                fill_value(filler, f, elements + (size_t)i * f->value_size, false);
        *(uint8_t **)(void *)(base + f->offset) = elements;
        *(int32_t *)(void *)(base + f->count_offset) = count;
}

void filler_fill(Filler *filler, const StructSchema *schema, void *ret_value) {
        uint8_t *base = ret_value;
        memcpy(base, schema->default_value, schema->size);
        for (const FieldSchema *f = schema->fields; f < schema->fields + schema->field_count; f++) {
                if (!field_in_version(f, filler->version))
                        continue;
                bool nullable = field_is_nullable(f, filler->version);
                if (f->flags & FIELD_ARRAY) {
                        fill_array(filler, f, base, nullable);
                } else if (f->flags & FIELD_POINTER) {
                        uint8_t *sub = filler_next(filler) % 3 ? arena_alloc(filler->arena, f->sub->size) : NULL;
                        if (sub)
                                filler_fill(filler, f->sub, sub);
                        *(uint8_t **)(void *)(base + f->offset) = sub;
                } else {
                        fill_value(filler, f, base + f->offset, nullable);
                }
        }
}
