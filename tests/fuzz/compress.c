/* The four codecs' decompression (byte 0 chooses), and a round trip of whatever it gives. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

#include "storage/base/error.h"
#include "storage/compress.h"

#define INFLATE_BYTES_MAX (1 << 18)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size < 1)
                return 0;
        int codec = data[0] % CODEC_COUNT;
        Buffer plain = BUFFER_INIT, packed = BUFFER_INIT, again = BUFFER_INIT;
        int r = codec_decompress(codec, data + 1, size - 1, INFLATE_BYTES_MAX, &plain);
        FUZZ_CHECK(r == 0 || r == KAFKA_CORRUPT_MESSAGE || r == KAFKA_MESSAGE_TOO_LARGE || r == -ENOMEM);
        FUZZ_CHECK(r || plain.size <= INFLATE_BYTES_MAX);
        if (r == 0) {
                FUZZ_CHECK(codec_compress(codec, CODEC_LEVEL_DEFAULT, plain.data, plain.size, &packed) == 0);
                FUZZ_CHECK(codec_decompress(codec, packed.data, packed.size, INFLATE_BYTES_MAX, &again) == 0);
                FUZZ_CHECK(again.size == plain.size && (plain.size == 0 || memcmp(again.data, plain.data, plain.size) == 0));
        }
        buffer_deinit(&plain);
        buffer_deinit(&packed);
        buffer_deinit(&again);
        return 0;
}
