/* A part of a file in memory, for who walks along it: of a large file it is mapped; of a small one, or where that is not possible, it is read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeros are a window that is closed. */
typedef struct FileWindow {
        const uint8_t *data; /* from position of the file on */
        int64_t position;
        size_t size;         /* bytes at data */
        uint8_t *memory;     /* owned: what was read */
        size_t memory_bytes;
        uint8_t *map;        /* owned: all that may still come */
        int64_t map_position, map_end;
} FileWindow;

/* Moves the window to position; data that was there before is gone. It holds needed bytes, and more, up to end, as far as that is good for
 * going on. Until file_window_close() it is the same file, which may not be shortened. 0; -EUCLEAN when fewer than needed bytes come before
 * end or the end of the file; -errno. */
int file_window_move(FileWindow *window, int fd, int64_t position, size_t needed, int64_t end);

/* Whether the window holds size bytes at position. */
static inline bool file_window_holds(const FileWindow *window, int64_t position, size_t size) {
        uint64_t skip = (uint64_t)(position - window->position);
        return skip <= window->size && window->size - skip >= size;
}

static inline const uint8_t *file_window_at(const FileWindow *window, int64_t position) {
        return window->data + (position - window->position);
}

/* Gives back what it owns; does nothing to a closed one. */
void file_window_close(FileWindow *window);
