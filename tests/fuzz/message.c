/* Any message of any version: what decodes must encode to bytes that decode and encode to themselves, and memory
 * stays in proportion to the input. Bytes 0 and 1 choose the message and the version. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "storage/base/error.h"

static int decode(const MessageSchema *message, int16_t version, Str bytes, Reply *ret_again) {
        Arena arena = ARENA_INIT(0);
        size_t used = 0;
        void *value = malloc(message->body->size);
        FUZZ_CHECK(value);
        int r = codec_decode(message, version, bytes, &arena, value, &used);
        FUZZ_CHECK(r == 0 || r == KAFKA_INVALID_REQUEST);
        FUZZ_CHECK(used <= bytes.len);
        FUZZ_CHECK(arena.used_bytes <= bytes.len * 256); /* tests/broker/codec.c says why 256 */
        if (r == 0)
                FUZZ_CHECK(codec_encode(message, version, value, ret_again) == 0);
        free(value);
        arena_deinit(&arena);
        return r;
}

static Str reply_bytes(const Reply *reply) {
        return (Str){ .data = (const char *)reply->bytes.data, .len = reply->bytes.size };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        size_t count = 0;
        while (all_messages[count])
                count++;
        if (size < 2)
                return 0;
        const MessageSchema *message = all_messages[data[0] % count];
        int16_t version = (int16_t)(message->version_min + data[1] % (message->version_max - message->version_min + 1));
        Reply once = REPLY_INIT, twice = REPLY_INIT;
        if (decode(message, version, (Str){ .data = (const char *)data + 2, .len = size - 2 }, &once) == 0) {
                FUZZ_CHECK(decode(message, version, reply_bytes(&once), &twice) == 0);
                FUZZ_CHECK(str_equal(reply_bytes(&once), reply_bytes(&twice)));
        }
        reply_deinit(&once);
        reply_deinit(&twice);
        return 0;
}
