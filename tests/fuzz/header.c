/* Request headers, with tagged fields and without (byte 0 chooses). */
#include "tests/fuzz/fuzz.h"

#include "broker/protocol/codec.h"
#include "storage/base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size < 1)
                return 0;
        bool flexible = data[0] & 1;
        Str bytes = { .data = (const char *)data + 1, .len = size - 1 };
        RequestHeader header, again;
        size_t used, used_again;
        int r = codec_decode_request_header(bytes, flexible, &header, &used);
        FUZZ_CHECK(r == 0 || r == KAFKA_INVALID_REQUEST);
        if (r)
                return 0;
        FUZZ_CHECK(used <= bytes.len);
        Buffer out = BUFFER_INIT;
        codec_encode_request_header(&header, flexible, &out);
        Str written = { .data = (const char *)out.data, .len = out.size };
        FUZZ_CHECK(codec_decode_request_header(written, flexible, &again, &used_again) == 0);
        FUZZ_CHECK(used_again == out.size && again.correlation_id == header.correlation_id);
        FUZZ_CHECK(str_equal(again.client_id, header.client_id));
        buffer_deinit(&out);
        return 0;
}
