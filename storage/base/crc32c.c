/* Every produced byte is checksummed, so this is the broker's hottest loop. The CRC instruction has a latency of
 * three cycles and a throughput of one: three blocks are summed side by side, then joined by a table that
 * says what a block of zeros does to a CRC. */
#include "storage/base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u
#define BLOCK 1024 /* bytes in each of the three streams */

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

static bool have_instruction;
static uint32_t skip_table[4][256]; /* CRC state after BLOCK zero bytes, by each byte of the state before */

static inline uint64_t load64(const uint8_t *at) {
        uint64_t value;
        memcpy(&value, at, sizeof(value));
        return value;
}

__attribute__((target("sse4.2"))) static uint32_t skip_bit(uint32_t state) {
        uint64_t crc = state;
        for (int i = 0; i < BLOCK / 8; i++)
                crc = _mm_crc32_u64(crc, 0);
        return (uint32_t)crc;
}

__attribute__((constructor)) static void skip_table_init(void) {
        __builtin_cpu_init();
        have_instruction = __builtin_cpu_supports("sse4.2");
        if (!have_instruction)
                return;
        uint32_t bits[32];
        for (int i = 0; i < 32; i++)
                bits[i] = skip_bit(1u << i);
        for (int byte = 0; byte < 4; byte++)
                for (uint32_t value = 0; value < 256; value++)
                        for (int bit = 0; bit < 8; bit++)
                                if (value & (1u << bit))
                                        skip_table[byte][value] ^= bits[byte * 8 + bit];
}

static inline uint32_t skip_block(uint32_t crc) {
        return skip_table[0][crc & 0xff] ^ skip_table[1][(crc >> 8) & 0xff] ^ skip_table[2][(crc >> 16) & 0xff] ^
               skip_table[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_fast(uint32_t crc, const uint8_t *at, size_t size) {
        uint64_t a = ~crc;
        for (; size >= 3 * BLOCK; at += 3 * BLOCK, size -= 3 * BLOCK) {
                uint64_t b = 0, c = 0;
                for (size_t i = 0; i < BLOCK; i += 8) {
                        a = _mm_crc32_u64(a, load64(at + i));
                        b = _mm_crc32_u64(b, load64(at + BLOCK + i));
                        c = _mm_crc32_u64(c, load64(at + 2 * BLOCK + i));
                }
                a = skip_block((uint32_t)a) ^ b;
                a = skip_block((uint32_t)a) ^ c;
        }
        for (; size >= 8; at += 8, size -= 8)
                a = _mm_crc32_u64(a, load64(at));
        uint32_t state = (uint32_t)a;
        for (; size; at++, size--)
                state = _mm_crc32_u8(state, *at);
        return ~state;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
        return have_instruction ? crc32c_fast(crc, data, size) : crc32c_portable(crc, data, size);
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
        return crc32c_portable(crc, data, size);
}
#endif
