/* The codecs' streaming interfaces, each bent to the same shape: inflate one step, see whether the cap is
 * passed, go on. A batch that claims to be small and is huge costs at most the cap. */
#include "storage/compress.h"

#include <errno.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "storage/base/endian.h"
#include "storage/base/error.h"

#define STEP_BYTES_MIN 4096
#define STEP_BYTES_MAX (1 << 20)
#define SNAPPY_RATIO_MAX 32 /* a copy of 64 bytes takes 3: nothing honest inflates more than 22-fold */
#define XERIAL_HEADER_BYTES 16
#define XERIAL_BLOCK_BYTES 32768
#define LZ4_LEVEL_FAST 9 /* Kafka's default stands for the fast mode; all others are levels of the high compression */
#define LZ4_LEVEL_HIGH_MIN 3

static const char xerial_magic[8] = { (char)0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0 };

const char *codec_name(int codec) {
        static const char *const names[CODEC_COUNT] = { "none", "gzip", "snappy", "lz4", "zstd" };
        return codec >= 0 && codec < CODEC_COUNT ? names[codec] : NULL;
}

/* Room for the next step: as much again as there is, within bounds, never past size_max + 1 (the one byte more
 * tells "too large" from "just fits"). */
static uint8_t *step_begin(Buffer *out, size_t start, size_t size_max, size_t *ret_room) {
        size_t have = out->size - start;
        size_t room = have < STEP_BYTES_MIN ? STEP_BYTES_MIN : have > STEP_BYTES_MAX ? STEP_BYTES_MAX : have;
        if (room > size_max + 1 - have)
                room = size_max + 1 - have;
        *ret_room = room;
        return buffer_extend(out, room);
}

/* Gives back what the step left unused. */
static int step_end(Buffer *out, size_t start, size_t size_max, size_t unused) {
        out->size -= unused;
        return out->size - start > size_max ? KAFKA_MESSAGE_TOO_LARGE : 0;
}

static int gzip_compress(int32_t level, const void *data, size_t size, Buffer *out) {
        z_stream z = { 0 };
        if (deflateInit2(&z, level == CODEC_LEVEL_DEFAULT ? Z_DEFAULT_COMPRESSION : level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
                return -ENOMEM;
        size_t bound = deflateBound(&z, size);
        uint8_t *room = buffer_extend(out, bound);
        if (room) {
                z.next_in = (Bytef *)data;
                z.avail_in = (uInt)size;
                z.next_out = room;
                z.avail_out = (uInt)bound;
                if (deflate(&z, Z_FINISH) != Z_STREAM_END)
                        out->failed = true;
                out->size -= z.avail_out;
        }
        deflateEnd(&z);
        return out->failed ? -ENOMEM : 0;
}

static int gzip_decompress(const void *data, size_t size, size_t size_max, Buffer *out) {
        z_stream z = { .next_in = (Bytef *)data, .avail_in = (uInt)size };
        if (inflateInit2(&z, 15 + 32) != Z_OK)
                return -ENOMEM;
        size_t start = out->size;
        int state = Z_OK, r = 0;
        while (!r && state != Z_STREAM_END) {
                size_t room;
                z.next_out = step_begin(out, start, size_max, &room);
                if (!z.next_out) {
                        r = -ENOMEM;
                        break;
                }
                z.avail_out = (uInt)room;
                state = inflate(&z, Z_NO_FLUSH);
                r = step_end(out, start, size_max, z.avail_out);
                if (state == Z_MEM_ERROR)
                        r = -ENOMEM;
                else if (state != Z_OK && state != Z_STREAM_END)
                        r = KAFKA_CORRUPT_MESSAGE; /* Z_BUF_ERROR too: the input ends too early */
                else if (state == Z_STREAM_END && z.avail_in && inflateReset(&z) == Z_OK)
                        state = Z_OK; /* another member follows */
        }
        inflateEnd(&z);
        return r;
}

static int snappy_block_compress(const char *data, size_t size, bool framed, Buffer *out) {
        size_t bound = snappy_max_compressed_length(size), prefix = framed ? 4 : 0;
        uint8_t *room = buffer_extend(out, prefix + bound);
        if (!room)
                return -ENOMEM;
        size_t length = bound;
        if (snappy_compress(data, size, (char *)room + prefix, &length) != SNAPPY_OK)
                return -EINVAL;
        if (framed)
                store_be32(room, (uint32_t)length);
        out->size -= bound - length;
        return 0;
}

static int xerial_compress(const char *data, size_t size, Buffer *out) {
        uint8_t header[XERIAL_HEADER_BYTES];
        memcpy(header, xerial_magic, sizeof(xerial_magic));
        store_be32(header + 8, 1);  /* version */
        store_be32(header + 12, 1); /* lowest compatible version */
        buffer_append(out, header, sizeof(header));
        for (size_t at = 0; at < size || at == 0; at += XERIAL_BLOCK_BYTES) {
                size_t block = size - at < XERIAL_BLOCK_BYTES ? size - at : XERIAL_BLOCK_BYTES;
                int r = snappy_block_compress(size ? data + at : "", block, true, out);
                if (r)
                        return r;
        }
        return out->failed ? -ENOMEM : 0;
}

/* One raw block; budget is what may still be added. */
static int snappy_block_decompress(const char *data, size_t size, size_t budget, Buffer *out) {
        size_t length;
        if (snappy_uncompressed_length(data, size, &length) != SNAPPY_OK || length / SNAPPY_RATIO_MAX > size)
                return KAFKA_CORRUPT_MESSAGE;
        if (length > budget)
                return KAFKA_MESSAGE_TOO_LARGE;
        if (length == 0)
                return snappy_validate_compressed_buffer(data, size) == SNAPPY_OK ? 0 : KAFKA_CORRUPT_MESSAGE;
        uint8_t *room = buffer_extend(out, length);
        if (!room)
                return -ENOMEM;
        return snappy_uncompress(data, size, (char *)room, &length) == SNAPPY_OK ? 0 : KAFKA_CORRUPT_MESSAGE;
}

static int snappy_decompress(const char *data, size_t size, size_t size_max, Buffer *out) {
        if (size < XERIAL_HEADER_BYTES || memcmp(data, xerial_magic, sizeof(xerial_magic)) != 0)
                return snappy_block_decompress(data, size, size_max, out);
        size_t start = out->size;
        for (size_t at = XERIAL_HEADER_BYTES; at < size;) {
                if (size - at < 4)
                        return KAFKA_CORRUPT_MESSAGE;
                uint32_t length = load_be32(data + at);
                at += 4;
                if (length > size - at)
                        return KAFKA_CORRUPT_MESSAGE;
                int r = snappy_block_decompress(data + at, length, size_max - (out->size - start), out);
                if (r)
                        return r;
                at += length;
        }
        return 0;
}

static int lz4_compress(int32_t level, const void *data, size_t size, Buffer *out) {
        LZ4F_preferences_t how = { .frameInfo = { .blockMode = LZ4F_blockIndependent } };
        if (level != CODEC_LEVEL_DEFAULT && level != LZ4_LEVEL_FAST)
                how.compressionLevel = level < LZ4_LEVEL_HIGH_MIN ? LZ4_LEVEL_HIGH_MIN : level;
        size_t bound = LZ4F_compressFrameBound(size, &how);
        uint8_t *room = buffer_extend(out, bound);
        if (!room)
                return -ENOMEM;
        size_t length = LZ4F_compressFrame(room, bound, data, size, &how);
        if (LZ4F_isError(length))
                return -ENOMEM;
        out->size -= bound - length;
        return 0;
}

static int lz4_decompress(const uint8_t *data, size_t size, size_t size_max, Buffer *out) {
        LZ4F_dctx *context;
        if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
                return -ENOMEM;
        size_t start = out->size, hint = 1;
        int r = 0;
        while (!r && hint) {
                size_t room, taken = size;
                uint8_t *to = step_begin(out, start, size_max, &room);
                if (!to) {
                        r = -ENOMEM;
                        break;
                }
                size_t given = room;
                hint = LZ4F_decompress(context, to, &given, data, &taken, NULL);
                if (LZ4F_isError(hint))
                        given = 0;
                r = step_end(out, start, size_max, room - given);
                if (LZ4F_isError(hint) || (!r && hint && !given && !taken))
                        r = KAFKA_CORRUPT_MESSAGE;
                data += taken;
                size -= taken;
        }
        LZ4F_freeDecompressionContext(context);
        return r;
}

static int zstd_compress(int32_t level, const void *data, size_t size, Buffer *out) {
        size_t bound = ZSTD_compressBound(size);
        uint8_t *room = buffer_extend(out, bound);
        if (!room)
                return -ENOMEM;
        size_t length = ZSTD_compress(room, bound, data, size, level == CODEC_LEVEL_DEFAULT ? ZSTD_CLEVEL_DEFAULT : level);
        if (ZSTD_isError(length))
                return -ENOMEM;
        out->size -= bound - length;
        return 0;
}

static int zstd_decompress(const void *data, size_t size, size_t size_max, Buffer *out) {
        ZSTD_DCtx *context = ZSTD_createDCtx();
        if (!context)
                return -ENOMEM;
        ZSTD_inBuffer in = { .src = data, .size = size };
        size_t start = out->size, left = 1;
        int r = 0;
        while (!r && (left || in.pos < in.size)) {
                size_t room, before = in.pos;
                uint8_t *to = step_begin(out, start, size_max, &room);
                if (!to) {
                        r = -ENOMEM;
                        break;
                }
                ZSTD_outBuffer step = { .dst = to, .size = room };
                left = ZSTD_decompressStream(context, &step, &in);
                r = step_end(out, start, size_max, room - step.pos);
                if (ZSTD_isError(left) || (!r && left && !step.pos && in.pos == before))
                        r = KAFKA_CORRUPT_MESSAGE;
        }
        ZSTD_freeDCtx(context);
        return r;
}

int codec_compress(int codec, int32_t level, const void *data, size_t size, Buffer *out) {
        switch (codec) {
        case CODEC_NONE:
                buffer_append(out, data, size);
                return out->failed ? -ENOMEM : 0;
        case CODEC_GZIP:
                return gzip_compress(level, data, size, out);
        case CODEC_SNAPPY:
                return xerial_compress(data, size, out);
        case CODEC_LZ4:
                return lz4_compress(level, data, size, out);
        case CODEC_ZSTD:
                return zstd_compress(level, data, size, out);
        default:
                return -EINVAL;
        }
}

int codec_decompress(int codec, const void *data, size_t size, size_t size_max, Buffer *out) {
        switch (codec) {
        case CODEC_NONE:
                if (size > size_max)
                        return KAFKA_MESSAGE_TOO_LARGE;
                buffer_append(out, data, size);
                return out->failed ? -ENOMEM : 0;
        case CODEC_GZIP:
                return gzip_decompress(data, size, size_max, out);
        case CODEC_SNAPPY:
                return snappy_decompress(data, size, size_max, out);
        case CODEC_LZ4:
                return lz4_decompress(data, size, size_max, out);
        case CODEC_ZSTD:
                return zstd_decompress(data, size, size_max, out);
        default:
                return KAFKA_CORRUPT_MESSAGE;
        }
}
