/* What the generated tables say about a message: the protocol as data.
 *
 * tools/protogen.py writes a C struct and these constants for each schema text; codec.c and
 * encode.c are their only readers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/span.h"
#include "storage/base/str.h"
#include "storage/base/uuid.h"

/* A field of record batches. Decoded: bytes is a slice of the request. Encoded: the span if it has a descriptor or a size,
 * else the bytes; null when bytes.data is NULL and there is no span. The span is handed to the Reply. */
typedef struct Records {
        Str bytes;
        FileSpan span;
} Records;

#define RECORDS_INIT ((Records){ .span = FILE_SPAN_INIT })

typedef enum FieldType {
        FIELD_BOOL,
        FIELD_INT8,
        FIELD_INT16,
        FIELD_UINT16,
        FIELD_INT32,
        FIELD_UINT32,
        FIELD_INT64,
        FIELD_FLOAT64,
        FIELD_UUID,
        FIELD_STRING,
        FIELD_BYTES,
        FIELD_RECORDS,
        FIELD_STRUCT,
} FieldType;

enum { FIELD_ARRAY = 1, FIELD_POINTER = 2, FIELD_EMPTY = 4 };

typedef struct StructSchema StructSchema;

typedef struct FieldSchema {
        const char *name;
        const StructSchema *sub; /* of FIELD_STRUCT */
        uint16_t offset;         /* in the C struct */
        uint16_t count_offset;   /* of an array's count */
        uint16_t value_size;     /* of one value, an array's element, in C */
        uint16_t wire_bytes_min; /* smallest encoding of one value in any version; the size of a fixed one */
        uint8_t type;            /* FieldType */
        uint8_t flags;           /* FIELD_ARRAY, FIELD_POINTER (a struct that may be null), FIELD_EMPTY (whose default is not null) */
        int16_t version_min, version_max;
        int16_t null_min, null_max; /* versions in which it may be null; min > max: never */
        int16_t tag;                /* -1: not a tagged field */
} FieldSchema;

struct StructSchema {
        const FieldSchema *fields;
        const void *default_value;
        uint16_t size; /* of the C struct */
        uint16_t field_count;
};

typedef struct MessageSchema {
        const char *name;
        const StructSchema *body;
        int16_t key; /* API key, or type of the record */
        int16_t version_min, version_max;
        int16_t flexible_min; /* first flexible version; INT16_MAX: none */
} MessageSchema;

static inline bool message_is_flexible(const MessageSchema *message, int16_t version) {
        return version >= message->flexible_min;
}

static inline bool field_in_version(const FieldSchema *field, int16_t version) {
        return version >= field->version_min && version <= field->version_max;
}

static inline bool field_is_nullable(const FieldSchema *field, int16_t version) {
        return version >= field->null_min && version <= field->null_max;
}
