/* Every produced byte is checksummed, so this is the broker's hottest loop. The CRC instruction has a latency of three cycles and
 * a throughput of one: three blocks are summed side by side, then joined. A CRC followed by n zero bytes is its product with
 * x^8n; the instruction itself reduces a carry-less product, and by that multiplies it with x^33. */
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
#include <nmmintrin.h>
#include <wmmintrin.h>

/* How far the three streams are apart; the shorter ones are for what the longer leave over. */
typedef struct Stride {
        size_t block;         /* bytes */
        uint32_t once, twice; /* what a CRC is multiplied with, for one block of zeros behind it and for two */
} Stride;

static bool have_instructions;
static Stride strides[] = { { .block = 1024 }, { .block = 256 }, { .block = 64 } };

/* x^n modulo the polynomial; the highest bit stands for x^0. */
static uint32_t power_of_x(size_t n) {
        uint32_t power = 1u << 31;
        while (n--)
                power = power & 1 ? (power >> 1) ^ POLYNOMIAL : power >> 1;
        return power;
}

__attribute__((constructor)) static void strides_init(void) {
        __builtin_cpu_init();
        have_instructions = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
        for (size_t i = 0; i < sizeof(strides) / sizeof(*strides); i++) {
                strides[i].once = power_of_x(strides[i].block * 8 - 33);
                strides[i].twice = power_of_x(strides[i].block * 16 - 33);
        }
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

__attribute__((target("sse4.2,pclmul"))) static inline uint64_t add_blocks(uint64_t a, const uint8_t *at, const Stride *stride) {
        uint64_t b = 0, c = 0;
        for (const uint8_t *end = at + stride->block; at < end; at += 8) {
                a = _mm_crc32_u64(a, load64(at));
                b = _mm_crc32_u64(b, load64(at + stride->block));
                c = _mm_crc32_u64(c, load64(at + 2 * stride->block));
        }
        return _mm_crc32_u64(0, multiply(a, stride->twice) ^ multiply(b, stride->once)) ^ c;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc32c_fast(uint32_t crc, const uint8_t *at, size_t size) {
        uint64_t state = ~crc;
        for (size_t i = 0; i < sizeof(strides) / sizeof(*strides); i++)
                for (size_t bytes = 3 * strides[i].block; size >= bytes; at += bytes, size -= bytes)
                        state = add_blocks(state, at, &strides[i]);
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
