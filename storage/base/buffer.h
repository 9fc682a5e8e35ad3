/* A growing byte buffer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/str.h"

typedef struct Buffer {
        uint8_t *data; /* owned */
        size_t size;   /* bytes in use */
        size_t capacity;
        bool failed;   /* an allocation failed: the content is incomplete and must not be used */
} Buffer;

#define BUFFER_INIT ((Buffer){ .data = NULL, .size = 0, .capacity = 0, .failed = false })

/* The same as buffer_extend(), where there is no room yet. */
uint8_t *buffer_grow(Buffer *buffer, size_t size);

/* Room for size more bytes, counted as used, not initialised; NULL (and failed set) without memory. */
static inline uint8_t *buffer_extend(Buffer *buffer, size_t size) {
        if (buffer->failed || !buffer->data || size > buffer->capacity - buffer->size)
                return buffer_grow(buffer, size);
        uint8_t *result = buffer->data + buffer->size;
        buffer->size += size;
        return result;
}

/* Appends a copy. */
void buffer_append(Buffer *buffer, const void *data, size_t size);

static inline void buffer_append_str(Buffer *buffer, Str s) {
        buffer_append(buffer, s.data, s.len);
}

/* Appends formatted text without its NUL. */
void buffer_printf(Buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void buffer_clear(Buffer *buffer) {
        buffer->size = 0;
        buffer->failed = false;
}

/* Frees the memory; the buffer can be used again. */
void buffer_deinit(Buffer *buffer);
