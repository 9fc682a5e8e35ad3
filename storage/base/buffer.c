/* Growing buffers: capacity doubles, and a failure sticks. */
#include "storage/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/memory.h"

uint8_t *buffer_grow(Buffer *buffer, size_t size) {
        if (buffer->failed || size > SIZE_MAX / 4)
                return buffer->failed = true, NULL;
        size_t need = buffer->size + size;
        if (need > buffer->capacity || !buffer->data) {
                size_t capacity = buffer->capacity ? buffer->capacity : 64;
                while (capacity < need)
                        capacity *= 2;
                uint8_t *data = realloc(buffer->data, capacity);
                if (!data)
                        return buffer->failed = true, NULL;
                buffer->data = data;
                buffer->capacity = capacity;
        }
        uint8_t *result = buffer->data + buffer->size;
        buffer->size = need;
        return result;
}

void buffer_append(Buffer *buffer, const void *data, size_t size) {
        uint8_t *to = buffer_extend(buffer, size);
        if (to && size)
                memcpy(to, data, size);
}

void buffer_printf(Buffer *buffer, const char *format, ...) {
        va_list args;
        va_start(args, format);
        char *text = NULL;
        int n = vasprintf(&text, format, args);
        va_end(args);
        if (n < 0) {
                buffer->failed = true;
                return;
        }
        buffer_append(buffer, text, (size_t)n);
        free(text);
}

void buffer_deinit(Buffer *buffer) {
        memory_free(buffer->data, buffer->capacity);
        *buffer = BUFFER_INIT;
}
