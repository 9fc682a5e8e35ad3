/* Arenas: alignment, the cap, and strings that end in NUL. */
#include "storage/base/arena.h"

#include <criterion/criterion.h>
#include <stdint.h>

Test(arena, memory_is_zeroed_and_aligned_at_every_size) {
        Arena arena = ARENA_INIT(0);
        for (size_t size = 0; size < 5000; size = size * 3 / 2 + 1) {
                unsigned char *at = arena_alloc(&arena, size);
                cr_assert(at);
                cr_assert_eq((uintptr_t)at % _Alignof(max_align_t), 0);
                for (size_t i = 0; i < size; i++)
                        cr_assert_eq(at[i], 0);
                if (size)
                        memset(at, 0xff, size);
        }
        arena_deinit(&arena);
}

Test(arena, never_hands_out_more_than_the_cap) {
        Arena arena = ARENA_INIT(64);
        cr_assert(arena_alloc(&arena, 40));
        cr_assert_null(arena_alloc(&arena, 40));
        cr_assert(arena_alloc(&arena, 16));
        cr_assert_leq(arena.used_bytes, 64);
        arena_deinit(&arena);
        cr_assert(arena_alloc(&arena, 64), "empty again");
        arena_deinit(&arena);
}

Test(arena, sizes_that_overflow_are_refused) {
        Arena arena = ARENA_INIT(0);
        cr_assert_null(arena_alloc(&arena, SIZE_MAX));
        cr_assert_null(arena_alloc_array(&arena, SIZE_MAX / 8, 16));
        cr_assert_eq(arena.used_bytes, 0);
        arena_deinit(&arena);
}

Test(arena, strings_are_copies_that_end_in_nul_and_null_stays_null) {
        Arena arena = ARENA_INIT(0);
        char text[] = "abc";
        Str copy = arena_str(&arena, str_of(text));
        text[0] = 'x';
        cr_assert_str_eq(copy.data, "abc");
        cr_assert_eq(copy.len, 3);
        cr_assert(str_is_null(arena_str(&arena, STR_NULL)));
        cr_assert_str_eq(arena_str(&arena, STR("")).data, "");
        Str printed = arena_printf(&arena, "%d-%s", 7, "y");
        cr_assert(str_equal(printed, STR("7-y")));
        arena_deinit(&arena);
}

Test(arena, going_back_to_a_mark_forgets_what_came_after) {
        Arena arena = ARENA_INIT(0);
        ArenaMark start = arena_mark(&arena);
        char *before = arena_alloc(&arena, 100);
        memset(before, 'b', 100);
        ArenaMark mark = arena_mark(&arena);
        char *first = NULL;
        for (int i = 0; i < 3; i++) {
                char *after = arena_alloc(&arena, 200);
                cr_assert(!first || after == first);
                first = after;
                for (int k = 0; k < 200; k++)
                        cr_assert_eq(after[k], 0);
                memset(after, 'a', 200);
                cr_assert(arena_alloc(&arena, 1 << 20));
                arena_rewind(&arena, &mark);
                cr_assert_eq(arena.used_bytes, mark.used_bytes);
        }
        cr_assert_eq(before[99], 'b');
        arena_rewind(&arena, &start);
        cr_assert(arena.used_bytes == 0 && !arena.blocks);
}
