/* Variable-length integers. */
#include "storage/base/varint.h"

size_t varuint64_read(const uint8_t *from, const uint8_t *end, uint64_t *ret_value) {
        uint64_t value = 0;
        size_t available = (size_t)(end - from);
        for (size_t i = 0; i < VARINT_BYTES_MAX && i < available; i++) {
                if (i == 9 && from[i] > 1)
                        return 0;
                value |= (uint64_t)(from[i] & 0x7f) << (7 * i);
                if (!(from[i] & 0x80)) {
                        *ret_value = value;
                        return i + 1;
                }
        }
        return 0;
}

size_t varuint32_read(const uint8_t *from, const uint8_t *end, uint32_t *ret_value) {
        uint64_t value;
        size_t size = varuint64_read(from, end - from > 5 ? from + 5 : end, &value);
        if (!size || value > UINT32_MAX)
                return 0;
        *ret_value = (uint32_t)value;
        return size;
}

size_t varuint_write(uint8_t *to, uint64_t value) {
        size_t size = 0;
        for (; value >= 0x80; value >>= 7)
                to[size++] = (uint8_t)(value | 0x80);
        to[size++] = (uint8_t)value;
        return size;
}
