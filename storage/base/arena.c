/* Arenas: a list of blocks, each at least twice what is asked of it while small. */
#include "storage/base/arena.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_BYTES_MIN 2048

struct ArenaBlock {
        ArenaBlock *next;
        size_t size;
        size_t used;
        alignas(max_align_t) unsigned char data[];
};

static ArenaBlock *block_new(Arena *arena, size_t size) {
        size_t want = size * 2 > BLOCK_BYTES_MIN && size < 65536 ? size * 2 : size;
        if (want < BLOCK_BYTES_MIN)
                want = BLOCK_BYTES_MIN - sizeof(ArenaBlock);
        ArenaBlock *block = calloc(1, sizeof(*block) + want);
        if (!block)
                return NULL;
        block->size = want;
        block->next = arena->blocks;
        arena->blocks = block;
        return block;
}

void *arena_alloc(Arena *arena, size_t size) {
        if (size > SIZE_MAX / 4)
                return NULL;
        size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
        if (arena->cap_bytes && (size > arena->cap_bytes || arena->used_bytes > arena->cap_bytes - size))
                return NULL;
        ArenaBlock *block = arena->blocks;
        if (!block || block->size - block->used < size)
                block = block_new(arena, size);
        if (!block)
                return NULL;
        void *result = block->data + block->used;
        block->used += size;
        arena->used_bytes += size;
        return result;
}

void *arena_alloc_array(Arena *arena, size_t count, size_t size) {
        if (size && count > SIZE_MAX / 4 / size)
                return NULL;
        return arena_alloc(arena, count * size);
}

Str arena_str(Arena *arena, Str s) {
        if (str_is_null(s))
                return s;
        char *copy = arena_alloc(arena, s.len + 1);
        if (!copy)
                return STR_NULL;
        if (s.len)
                memcpy(copy, s.data, s.len);
        return (Str){ .data = copy, .len = s.len };
}

Str arena_printf(Arena *arena, const char *format, ...) {
        va_list args;
        va_start(args, format);
        char *text = NULL;
        int n = vasprintf(&text, format, args);
        va_end(args);
        if (n < 0)
                return STR_NULL;
        Str result = arena_str(arena, (Str){ .data = text, .len = (size_t)n });
        free(text);
        return result;
}

ArenaMark arena_mark(const Arena *arena) {
        return (ArenaMark){ .block = arena->blocks, .block_used_bytes = arena->blocks ? arena->blocks->used : 0,
                            .used_bytes = arena->used_bytes };
}

void arena_rewind(Arena *arena, const ArenaMark *mark) {
        while (arena->blocks != mark->block) {
                ArenaBlock *block = arena->blocks;
                arena->blocks = block->next;
                free(block);
        }
        if (mark->block) {
                memset(mark->block->data + mark->block_used_bytes, 0, mark->block->used - mark->block_used_bytes);
                mark->block->used = mark->block_used_bytes;
        }
        arena->used_bytes = mark->used_bytes;
}

void arena_reset(Arena *arena) {
        ArenaBlock *kept = NULL;
        for (ArenaBlock *block = arena->blocks, *next; block; block = next) {
                next = block->next;
                if (!next && block->size <= BLOCK_BYTES_MIN * 2)
                        kept = block;
                else
                        free(block);
        }
        if (kept) {
                memset(kept->data, 0, kept->used);
                kept->used = 0;
        }
        *arena = (Arena){ .blocks = kept };
}

void arena_deinit(Arena *arena) {
        for (ArenaBlock *block = arena->blocks, *next; block; block = next) {
                next = block->next;
                free(block);
        }
        arena->blocks = NULL;
        arena->used_bytes = 0;
}
