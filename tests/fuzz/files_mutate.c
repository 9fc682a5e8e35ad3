/* Only in a fuzzer: changes one file at a time, so that lengths and names go on fitting. */
#include "tests/fuzz/files.h"

#include <stdlib.h>
#include <string.h>

#include "storage/base/endian.h"
#include "tests/fuzz/fuzz.h"

#define SETTINGS_BYTES 8
#define FILES_MAX 64

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);

/* Where the contents of the files are: positions of their lengths. */
static size_t find_files(const uint8_t *data, size_t size, size_t *positions) {
        size_t count = 0;
        for (size_t at = SETTINGS_BYTES; at < size && count < FILES_MAX;) {
                const uint8_t *nul = memchr(data + at, '\0', size - at);
                if (!nul || size - (size_t)(nul - data) < 3)
                        break;
                positions[count] = (size_t)(nul + 1 - data);
                at = positions[count++] + 2 + load_be16(nul + 1);
        }
        return count;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed) {
        size_t positions[FILES_MAX];
        if (size <= SETTINGS_BYTES || seed % 16 == 0)
                return LLVMFuzzerMutate(data, size, size_max);
        if (seed % 16 == 1) {
                data[seed / 16 % SETTINGS_BYTES] ^= (uint8_t)(seed >> 16);
                return size;
        }
        size_t count = find_files(data, size, positions);
        if (!count)
                return LLVMFuzzerMutate(data, size, size_max);
        size_t at = positions[seed / 16 % count] + 2, length = load_be16(data + at - 2);
        if (length > size - at)
                length = size - at;
        size_t tail = size - at - length, room = size_max > size ? length + size_max - size : length;
        if (!room) /* an empty file in an input that may not grow */
                return LLVMFuzzerMutate(data, size, size_max);
        uint8_t *content = malloc(room + 1), *rest = malloc(tail + 1);
        FUZZ_CHECK(content && rest);
        memcpy(content, data + at, length);
        memcpy(rest, data + at + length, tail);
        length = LLVMFuzzerMutate(content, length, room < UINT16_MAX ? room : UINT16_MAX);
        FUZZ_CHECK(length <= room);
        store_be16(data + at - 2, (uint16_t)length);
        memcpy(data + at, content, length);
        memcpy(data + at + length, rest, tail);
        free(content);
        free(rest);
        return at + length + tail;
}
