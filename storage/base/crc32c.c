/* Every produced byte is checksummed, so this is the broker's hottest loop. The CRC instruction has a latency of three cycles and
 * a throughput of one: three blocks are summed side by side, then joined, as few times as can be: a block is a third of what is
 * there. A CRC followed by n zero bytes is its product with x^8n; the instruction itself reduces a carry-less product, and by that
 * multiplies it with x^33.
 * Where carry-less products come four at a time, long data is folded instead: 64 bytes stand for all before them, once multiplied
 * with what they are ahead of the bytes they are added to. Only the last 64 pass through the instruction. */
#include "storage/base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u

static uint32_t byte_table[256];

__attribute__((constructor)) static void byte_table_init(void) {
        for (uint32_t i = 0; i < 256; i++) {
                uint32_t crc = i;
                for (int bit = 0; bit < 8; bit++)
                        crc = crc & 1 ? (crc >> 1) ^ POLYNOMIAL : crc >> 1;
                byte_table[i] = crc;
        }
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size) {
        const uint8_t *at = data;
        crc = ~crc;
        while (size--)
                crc = byte_table[(crc ^ *at++) & 0xff] ^ (crc >> 8);
        return ~crc;
}

#ifdef __x86_64__
#include <immintrin.h>

#define FOLD_BYTES 256 /* added at a time, as four rows of 64 */
#define AHEAD_BYTES 4096 /* as far as is asked for before it is needed: memory is slower than the folding, and the processor stops at pages */
#define BLOCK_BYTES_MAX 1024
#define BLOCK_BYTES_MIN 32 /* below, joining costs more than it saves */

/* What a CRC is multiplied with for a block of zeros behind it, and for two. */
typedef struct Join {
        uint32_t once, twice;
} Join;

static bool have_instructions, have_folding;
static Join joins[BLOCK_BYTES_MAX / 8 + 1]; /* by words in a block */
static uint64_t fold_group[2], fold_row[2]; /* what 16 bytes are multiplied with, the first half and the second */

/* The power times x^n, modulo the polynomial; the highest bit stands for x^0. */
static uint32_t raise_power(uint32_t power, int n) {
        while (n--)
                power = power & 1 ? (power >> 1) ^ POLYNOMIAL : power >> 1;
        return power;
}

__attribute__((constructor)) static void joins_init(void) {
        __builtin_cpu_init();
        have_instructions = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
        Join join = { .once = raise_power(1u << 31, 64 - 33), .twice = raise_power(1u << 31, 128 - 33) };
        for (size_t words = 1; words < sizeof(joins) / sizeof(*joins); words++) {
                joins[words] = join;
                join = (Join){ .once = raise_power(join.once, 64), .twice = raise_power(join.twice, 128) };
        }
        have_folding = have_instructions && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
        fold_group[0] = raise_power(1u << 31, FOLD_BYTES * 8 + 64 - 33);
        fold_group[1] = raise_power(1u << 31, FOLD_BYTES * 8 - 33);
        fold_row[0] = raise_power(1u << 31, 64 * 8 + 64 - 33);
        fold_row[1] = raise_power(1u << 31, 64 * 8 - 33);
}

static inline uint32_t load32(const uint8_t *at) {
        uint32_t value;
        memcpy(&value, at, sizeof(value));
        return value;
}

static inline uint64_t load64(const uint8_t *at) {
        uint64_t value;
        memcpy(&value, at, sizeof(value));
        return value;
}

__attribute__((target("sse4.2,pclmul"))) static inline uint64_t multiply(uint64_t a, uint32_t b) {
        return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)a), _mm_cvtsi64_si128(b), 0));
}

__attribute__((target("sse4.2,pclmul"))) static inline uint64_t add_blocks(uint64_t a, const uint8_t *at, size_t block) {
        const Join *join = &joins[block / 8];
        uint64_t b = 0, c = 0;
        for (const uint8_t *end = at + block; at < end; at += 8) {
                a = _mm_crc32_u64(a, load64(at));
                b = _mm_crc32_u64(b, load64(at + block));
                c = _mm_crc32_u64(c, load64(at + 2 * block));
        }
        return _mm_crc32_u64(0, multiply(a, join->twice) ^ multiply(b, join->once)) ^ c;
}

#define FOLDING __attribute__((target("sse4.2,avx512f,vpclmulqdq")))

FOLDING static inline __m512i load_factors(const uint64_t factors[2]) {
        return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)factors));
}

/* row, moved by what the factors stand for, and added to next. */
FOLDING static inline __m512i fold(__m512i row, __m512i factors, __m512i next) {
        __m512i first = _mm512_clmulepi64_epi128(row, factors, 0x00), second = _mm512_clmulepi64_epi128(row, factors, 0x11);
        return _mm512_ternarylogic_epi64(first, second, next, 0x96); /* the exclusive or of all three */
}

/* size is a multiple of FOLD_BYTES. */
FOLDING static uint64_t add_folded(uint64_t state, const uint8_t *at, size_t size) {
        __m512i factors = load_factors(fold_group), rows[4];
        uint64_t words[8];
        for (int i = 0; i < 4; i++)
                rows[i] = _mm512_loadu_si512(at + 64 * i);
        rows[0] = _mm512_xor_si512(rows[0], _mm512_zextsi128_si512(_mm_cvtsi64_si128((long long)state)));
        for (const uint8_t *end = at + size; (at += FOLD_BYTES) < end;)
                for (int i = 0; i < 4; i++) {
                        _mm_prefetch((const char *)at + AHEAD_BYTES + 64 * i, _MM_HINT_T0);
                        rows[i] = fold(rows[i], factors, _mm512_loadu_si512(at + 64 * i));
                }
        factors = load_factors(fold_row);
        for (int i = 1; i < 4; i++)
                rows[i] = fold(rows[i - 1], factors, rows[i]);
        _mm512_storeu_si512(words, rows[3]);
        state = 0;
        for (int i = 0; i < 8; i++)
                state = _mm_crc32_u64(state, words[i]);
        return state;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc32c_fast(uint32_t crc, const uint8_t *at, size_t size) {
        uint64_t state = (uint32_t)~crc;
        if (have_folding && size >= FOLD_BYTES) {
                size_t folded = size - size % FOLD_BYTES;
                state = add_folded(state, at, folded);
                at += folded;
                size -= folded;
        }
        while (size >= 3 * BLOCK_BYTES_MIN) {
                size_t block = size < 3 * BLOCK_BYTES_MAX ? size / 24 * 8 : BLOCK_BYTES_MAX;
                state = add_blocks(state, at, block);
                at += 3 * block;
                size -= 3 * block;
        }
        for (; size >= 8; at += 8, size -= 8)
                state = _mm_crc32_u64(state, load64(at));
        if (size >= 4) {
                state = _mm_crc32_u32((uint32_t)state, load32(at));
                at += 4;
                size -= 4;
        }
        for (; size; at++, size--)
                state = _mm_crc32_u8((uint32_t)state, *at);
        return ~(uint32_t)state;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
        return have_instructions ? crc32c_fast(crc, data, size) : crc32c_portable(crc, data, size);
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
        return crc32c_portable(crc, data, size);
}
#endif
