/* Memory that is freed all at once.
 *
 * One arena per request holds everything decoded from it and its response, so handlers never free.
 * The cap is the most a client can make one request cost us. */
#pragma once

#include <stddef.h>

#include "storage/base/str.h"

typedef struct ArenaBlock ArenaBlock;

typedef struct Arena {
        ArenaBlock *blocks; /* newest first */
        size_t used_bytes;  /* handed out, padding included */
        size_t cap_bytes;   /* used_bytes never exceeds it; 0 = no cap */
} Arena;

#define ARENA_INIT(cap) ((Arena){ .blocks = NULL, .used_bytes = 0, .cap_bytes = (cap) })

/* Zeroed memory aligned for any type; NULL past the cap or without memory. size 0 gives a valid pointer. */
void *arena_alloc(Arena *arena, size_t size);

/* As arena_alloc() for count elements; NULL also when count * size overflows. */
void *arena_alloc_array(Arena *arena, size_t count, size_t size);

/* Copy of s that lives as long as the arena and ends in NUL; the null string stays null. data == NULL and
 * len != 0 never happens: without memory the result is STR_NULL. */
Str arena_str(Arena *arena, Str s);

/* printf into the arena; STR_NULL without memory. */
Str arena_printf(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A point in an arena's life to go back to: what was allocated since is forgotten, what was before stays. */
typedef struct ArenaMark {
        ArenaBlock *block;
        size_t block_used_bytes, used_bytes;
} ArenaMark;

ArenaMark arena_mark(const Arena *arena);
void arena_rewind(Arena *arena, const ArenaMark *mark);

/* Forgets everything, keeping one small block for what comes next. */
void arena_reset(Arena *arena);

/* Frees everything; the arena can be used again. */
void arena_deinit(Arena *arena);
