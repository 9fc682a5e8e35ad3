/* Variable-length integers: base 128, little end first, and the zig-zag form that records use. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define VARINT_BYTES_MAX 10 /* of 64 bits; 5 of 32 bits */

/* Reads an unsigned number of at most 32 (64) bits from [from, end). Returns the bytes it took, 0 when it is cut
 * off or too long. */
size_t varuint32_read(const uint8_t *from, const uint8_t *end, uint32_t *ret_value);
size_t varuint64_read(const uint8_t *from, const uint8_t *end, uint64_t *ret_value);

/* Writes varuint_size(value) bytes, VARINT_BYTES_MAX at most; returns how many. */
size_t varuint_write(uint8_t *to, uint64_t value);

/* Bytes that varuint_write() will use. */
static inline size_t varuint_size(uint64_t value) {
        return value ? (size_t)(63 - __builtin_clzll(value)) / 7 + 1 : 1;
}

static inline uint64_t zigzag_encode(int64_t value) {
        return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t zigzag_decode(uint64_t value) {
        return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}
