/* Spans read into memory. */
#include "storage/base/span.h"

#include <errno.h>

#include "storage/base/file.h"

int file_span_copy(const FileSpan *span, Buffer *out) {
        size_t size = span->size > 0 ? (size_t)span->size : 0;
        uint8_t *to = buffer_extend(out, size);
        if (!to)
                return -ENOMEM;
        ssize_t n = file_read(span->fd, to, size, span->position);
        return n < 0 ? (int)n : (size_t)n < size ? -EIO : 0;
}
