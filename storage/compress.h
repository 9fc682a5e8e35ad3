/* The four codecs of record batches, by Kafka's numbers: 1 gzip, 2 snappy (in xerial's framing, or raw), 3 lz4
 * (frame format), 4 zstd. 0 is no compression. All come from libraries. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "storage/base/buffer.h"

enum { CODEC_NONE = 0, CODEC_GZIP = 1, CODEC_SNAPPY = 2, CODEC_LZ4 = 3, CODEC_ZSTD = 4, CODEC_COUNT = 5 };

/* "none" "gzip" "snappy" "lz4" "zstd"; NULL for another number. */
const char *codec_name(int codec);

/* The codec's own level: in Kafka's numbers -1 of gzip, 9 of lz4, 3 of zstd; snappy has none. */
#define CODEC_LEVEL_DEFAULT INT32_MIN

/* Appends the compressed form of data to out, at a level in Kafka's numbers. 0 or -errno (-EINVAL: no such codec). */
int codec_compress(int codec, int32_t level, const void *data, size_t size, Buffer *out);

/* Appends the inflated form to out, which grows step by step, never past size_max bytes.
 * 0; KAFKA_CORRUPT_MESSAGE; KAFKA_MESSAGE_TOO_LARGE past size_max; -ENOMEM. */
int codec_decompress(int codec, const void *data, size_t size, size_t size_max, Buffer *out);
