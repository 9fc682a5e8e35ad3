/* A piece of a file on its way to a socket: what a Fetch answers with, without copying it. */
#pragma once

#include <stdint.h>

#include "storage/base/buffer.h"

typedef struct FileSpan {
        int fd;              /* -1: no bytes */
        int64_t position;    /* byte offset in the file */
        int32_t size;        /* bytes; 0: empty */
        const uint8_t *map;  /* the same bytes, mapped read-only, or NULL */
        void (*release)(void *owner); /* call once when the bytes have left (NULL: nothing to do) */
        void *owner;
} FileSpan;

#define FILE_SPAN_INIT ((FileSpan){ .fd = -1 })

static inline void file_span_release(FileSpan *span) {
        if (span->release)
                span->release(span->owner);
        *span = FILE_SPAN_INIT;
}

/* Appends the span's bytes to out. 0 or -errno. */
int file_span_copy(const FileSpan *span, Buffer *out);
