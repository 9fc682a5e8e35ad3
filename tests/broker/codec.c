/* What holds for every message in every version, good bytes and bad: the codec is one interpreter, so one suite. */
#include "broker/protocol/codec.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "broker/protocol/messages.h"
#include "storage/base/error.h"
#include "storage/base/varint.h"
#include "tests/lib/filler.h"

#define SEEDS 3

/* One message of one version, filled and encoded. */
typedef struct Sample {
        const MessageSchema *message;
        int16_t version;
        Arena arena;
        void *value;
        Reply reply;
} Sample;

static void sample_encode(Sample *sample) {
        reply_deinit(&sample->reply);
        cr_assert_eq(codec_encode(sample->message, sample->version, sample->value, &sample->reply), 0);
}

static void sample_init(Sample *sample, const MessageSchema *message, int16_t version, uint64_t seed) {
        *sample = (Sample){ .message = message, .version = version, .arena = ARENA_INIT(0), .reply = REPLY_INIT };
        sample->value = arena_alloc(&sample->arena, message->body->size);
        Filler filler = { .arena = &sample->arena, .seed = seed * 1000003 + (uint64_t)version, .version = version };
        filler_fill(&filler, message->body, sample->value);
        sample_encode(sample);
}

static void sample_deinit(Sample *sample) {
        reply_deinit(&sample->reply);
        arena_deinit(&sample->arena);
}

/* Every message in every version, with several seeds; seed SEEDS - 1 comes last. */
static void each_sample(void (*check)(Sample *)) {
        for (const MessageSchema *const *m = all_messages; *m; m++)
                for (int16_t version = (*m)->version_min; version <= (*m)->version_max; version++)
                        for (uint64_t seed = 0; seed < SEEDS; seed++) {
                                Sample sample;
                                sample_init(&sample, *m, version, seed);
                                check(&sample);
                                sample_deinit(&sample);
                        }
}

/* Decodes a copy of exactly that size, so that a sanitizer sees the first byte read past it. If it decodes, it must
 * encode again to bytes that decode to the same bytes. */
static int decode_copy(const MessageSchema *message, int16_t version, const uint8_t *bytes, size_t size, Arena *arena,
                       Reply *reply) {
        char *copy = malloc(size ? size : 1);
        cr_assert(copy);
        if (size)
                memcpy(copy, bytes, size);
        void *value = malloc(message->body->size);
        cr_assert(value);
        size_t used;
        int r = codec_decode(message, version, (Str){ .data = copy, .len = size }, arena, value, &used);
        if (r == 0) {
                cr_assert_leq(used, size);
                cr_assert_eq(codec_encode(message, version, value, reply), 0);
        }
        free(value);
        free(copy);
        return r;
}

static int decode_only(const Sample *sample, const uint8_t *bytes, size_t size) {
        Arena arena = ARENA_INIT(0);
        Reply reply = REPLY_INIT;
        int r = decode_copy(sample->message, sample->version, bytes, size, &arena, &reply);
        reply_deinit(&reply);
        arena_deinit(&arena);
        return r;
}

#define assert_refused(r, sample) \
        cr_assert_eq((r), KAFKA_INVALID_REQUEST, "%s v%d: %d", (sample)->message->name, (sample)->version, (r))

static void check_round_trip(Sample *sample) {
        Arena arena = ARENA_INIT(0);
        Reply again = REPLY_INIT;
        const Buffer *bytes = &sample->reply.bytes;
        int r = decode_copy(sample->message, sample->version, bytes->data, bytes->size, &arena, &again);
        cr_assert_eq(r, 0, "%s v%d: %d", sample->message->name, sample->version, r);
        cr_assert_eq(again.bytes.size, bytes->size, "%s v%d", sample->message->name, sample->version);
        cr_assert(bytes->size == 0 || memcmp(again.bytes.data, bytes->data, bytes->size) == 0, "%s v%d",
                  sample->message->name, sample->version);
        reply_deinit(&again);
        arena_deinit(&arena);
}

Test(codec, every_version_round_trips) {
        each_sample(check_round_trip);
}

static void check_truncations(Sample *sample) {
        for (size_t size = 0; size < sample->reply.bytes.size; size++)
                assert_refused(decode_only(sample, sample->reply.bytes.data, size), sample);
}

Test(codec, every_version_cut_at_any_byte_is_refused) {
        each_sample(check_truncations);
}

static void check_trailing_bytes(Sample *sample) {
        Buffer *bytes = &sample->reply.bytes;
        size_t size = bytes->size, used = 0;
        buffer_append(bytes, "\xff\x01", 2);
        void *value = arena_alloc(&sample->arena, sample->message->body->size);
        Str all = { .data = (const char *)bytes->data, .len = bytes->size };
        cr_assert_eq(codec_decode(sample->message, sample->version, all, &sample->arena, value, &used), 0);
        cr_assert_eq(used, size, "%s v%d", sample->message->name, sample->version);
}

Test(codec, bytes_after_a_message_are_left_to_the_caller) {
        each_sample(check_trailing_bytes);
}

/* The most arena bytes that a byte of a message can cost: at each level of nesting, the one array whose count
 * could promise the most, with its alignment. */
static size_t arena_bytes_per_byte(const StructSchema *schema) {
        size_t most = 0;
        for (const FieldSchema *f = schema->fields; f < schema->fields + schema->field_count; f++) {
                size_t cost = f->sub ? arena_bytes_per_byte(f->sub) : 0;
                if (f->flags & FIELD_ARRAY)
                        cost += f->value_size / f->wire_bytes_min + 16;
                if (f->flags & FIELD_POINTER)
                        cost += f->value_size + 16;
                if (cost > most)
                        most = cost;
        }
        return most;
}

Test(codec, a_byte_never_costs_more_than_a_few_hundred_bytes_of_memory) {
        for (const MessageSchema *const *m = all_messages; *m; m++)
                cr_assert_leq(arena_bytes_per_byte((*m)->body), 256, "%s", (*m)->name);
}

static void check_overwritten(Sample *sample, size_t at, const char *with, size_t with_size) {
        const Buffer *good = &sample->reply.bytes;
        uint8_t *bad = malloc(good->size);
        cr_assert(bad);
        memcpy(bad, good->data, good->size);
        memcpy(bad + at, with, with_size < good->size - at ? with_size : good->size - at);
        Arena arena = ARENA_INIT(0);
        Reply again = REPLY_INIT;
        int r = decode_copy(sample->message, sample->version, bad, good->size, &arena, &again);
        cr_assert(r == 0 || r == KAFKA_INVALID_REQUEST);
        cr_assert_leq(arena.used_bytes, arena_bytes_per_byte(sample->message->body) * good->size, "%s v%d",
                      sample->message->name, sample->version);
        if (r == 0)
                cr_assert_eq(decode_only(sample, again.bytes.data, again.bytes.size), 0);
        reply_deinit(&again);
        arena_deinit(&arena);
        free(bad);
}

/* Whatever lies at a place, a count or a length among them, becomes huge, negative or zero. */
static void check_bombs(Sample *sample) {
        for (size_t at = 0; at < sample->reply.bytes.size; at++) {
                check_overwritten(sample, at, "\x7f\xff\xff\xff", 4);
                check_overwritten(sample, at, "\xff\xff\xff\xff\x07", 5);
                check_overwritten(sample, at, "\xff\xff\xff\xff\x0f", 5);
                check_overwritten(sample, at, "\x80\x00", 2);
                check_overwritten(sample, at, "\x7f", 1);
                check_overwritten(sample, at, "\x00", 1);
        }
}

Test(codec, no_count_or_length_allocates_more_than_the_bytes_justify) {
        each_sample(check_bombs);
}

static void append_varuint(Buffer *out, uint64_t value) {
        uint8_t bytes[VARINT_BYTES_MAX];
        buffer_append(out, bytes, varuint_write(bytes, value));
}

typedef struct Tag {
        uint32_t tag, size;
} Tag;

/* Decodes the default message followed by those tagged fields, each of `size` zeros. */
static int decode_with_tags(const Sample *sample, uint32_t count, const Tag *tags, size_t tag_count, Reply *again) {
        Reply bytes = REPLY_INIT;
        cr_assert_eq(codec_encode(sample->message, sample->version, sample->message->body->default_value, &bytes), 0);
        cr_assert_eq(bytes.bytes.data[--bytes.bytes.size], 0); /* no tagged fields */
        append_varuint(&bytes.bytes, count);
        for (size_t i = 0; i < tag_count; i++) {
                append_varuint(&bytes.bytes, tags[i].tag);
                append_varuint(&bytes.bytes, tags[i].size);
                buffer_append(&bytes.bytes, "\0\0\0\0", tags[i].size < 4 ? tags[i].size : 4);
        }
        Arena arena = ARENA_INIT(0);
        int r = decode_copy(sample->message, sample->version, bytes.bytes.data, bytes.bytes.size, &arena, again);
        reply_deinit(&bytes);
        arena_deinit(&arena);
        return r;
}

static int decode_tags_only(const Sample *sample, uint32_t count, const Tag *tags, size_t tag_count) {
        Reply again = REPLY_INIT;
        int r = decode_with_tags(sample, count, tags, tag_count, &again);
        reply_deinit(&again);
        return r;
}

/* Whether the default message ends in a count of no tags: it does, unless it writes a null. */
static bool can_be_tagged(const Sample *sample) {
        for (const FieldSchema *f = sample->message->body->fields, *end = f + sample->message->body->field_count; f < end; f++)
                if (f->flags & FIELD_EMPTY)
                        return false;
        return message_is_flexible(sample->message, sample->version);
}

static void check_unknown_tags(Sample *sample) {
        if (!can_be_tagged(sample))
                return;
        Reply plain = REPLY_INIT, again = REPLY_INIT;
        cr_assert_eq(decode_with_tags(sample, 0, NULL, 0, &plain), 0);
        int r = decode_with_tags(sample, 5, (Tag[]){ { 1000, 0 }, { UINT32_MAX, 4 }, { 1001, 3 }, { 1001, 1 }, { 1000, 2 } }, 5, &again);
        cr_assert_eq(r, 0, "%s v%d: %d", sample->message->name, sample->version, r);
        cr_assert_eq(again.bytes.size, plain.bytes.size);
        cr_assert(memcmp(again.bytes.data, plain.bytes.data, plain.bytes.size) == 0);
        reply_deinit(&plain);
        reply_deinit(&again);
}

Test(codec, unknown_tagged_fields_are_skipped_in_any_order) {
        each_sample(check_unknown_tags);
}

static void check_bad_tags(Sample *sample) {
        if (!can_be_tagged(sample))
                return;
        assert_refused(decode_tags_only(sample, 1, (Tag[]){ { 1000, 5 } }, 1), sample);
        assert_refused(decode_tags_only(sample, 1, (Tag[]){ { 1000, UINT32_MAX } }, 1), sample);
        assert_refused(decode_tags_only(sample, UINT32_MAX, (Tag[]){ { 1000, 0 } }, 1), sample);
}

Test(codec, tagged_fields_that_are_missing_or_too_long_are_refused) {
        each_sample(check_bad_tags);
}

Test(codec, tagged_field_must_fill_its_size) {
        /* finalized_features_epoch, eight bytes */
        Sample sample = { .message = &ApiVersionsResponse_message, .version = 4 };
        assert_refused(decode_tags_only(&sample, 1, (Tag[]){ { 1, 4 } }, 1), &sample);
        /* zk_migration_ready, one byte */
        assert_refused(decode_tags_only(&sample, 1, (Tag[]){ { 3, 2 } }, 1), &sample);
        cr_assert_eq(decode_tags_only(&sample, 1, (Tag[]){ { 3, 1 } }, 1), 0);
}

Test(codec, null_that_is_not_the_default_is_written_as_kafka_writes_it) {
        Reply bytes = REPLY_INIT;
        ConsumerGroupMemberMetadataValue value = ConsumerGroupMemberMetadataValue_INIT, again;
        cr_assert_eq(codec_encode(&ConsumerGroupMemberMetadataValue_message, 0, &value, &bytes), 0);
        /* empty strings, no topics, the timeout; then one tag, 0, of one byte, which says null */
        static const uint8_t expected[] = { 1, 1, 1, 1, 1, 1, 0xff, 0xff, 0xff, 0xff, 1, 1, 0, 1, 0 };
        cr_assert_eq(bytes.bytes.size, sizeof(expected));
        cr_assert(memcmp(bytes.bytes.data, expected, sizeof(expected)) == 0);
        Arena arena = ARENA_INIT(0);
        Str all = { .data = (const char *)bytes.bytes.data, .len = bytes.bytes.size };
        cr_assert_eq(codec_decode(&ConsumerGroupMemberMetadataValue_message, 0, all, &arena, &again, NULL), 0);
        cr_assert_null(again.classic_member_metadata);
        arena_deinit(&arena);
        reply_deinit(&bytes);
}

/* The same table, but everything may be null: it encodes what the real one must refuse. */
static const StructSchema *lenient(Arena *arena, const StructSchema *schema) {
        FieldSchema *fields = arena_alloc_array(arena, schema->field_count, sizeof(*fields));
        StructSchema *copy = arena_alloc(arena, sizeof(*copy));
        *copy = *schema;
        copy->fields = fields;
        for (size_t i = 0; i < schema->field_count; i++) {
                fields[i] = schema->fields[i];
                fields[i].null_min = 0;
                fields[i].null_max = INT16_MAX;
                if (fields[i].sub)
                        fields[i].sub = lenient(arena, fields[i].sub);
        }
        return copy;
}

static void check_null(Sample *sample, const MessageSchema *nullable, const FieldSchema *f, uint8_t *base) {
        uint8_t saved[sizeof(Records)];
        uint8_t *to = base + (f->flags & FIELD_ARRAY ? f->count_offset : f->offset);
        size_t size = f->flags & FIELD_ARRAY ? sizeof(int32_t) : f->value_size;
        memcpy(saved, to, size);
        if (f->flags & FIELD_ARRAY)
                *(int32_t *)(void *)to = -1;
        else if (f->type == FIELD_RECORDS)
                *(Records *)(void *)to = RECORDS_INIT;
        else
                *(Str *)(void *)to = STR_NULL;
        Reply bad = REPLY_INIT;
        cr_assert_eq(codec_encode(nullable, sample->version, sample->value, &bad), 0);
        assert_refused(decode_only(sample, bad.bytes.data, bad.bytes.size), sample);
        reply_deinit(&bad);
        memcpy(to, saved, size);
}

static void check_nulls_in(Sample *sample, const MessageSchema *nullable, const StructSchema *schema, uint8_t *base) {
        for (const FieldSchema *f = schema->fields; f < schema->fields + schema->field_count; f++) {
                if (!field_in_version(f, sample->version))
                        continue;
                bool has_length = (f->flags & FIELD_ARRAY) || f->type == FIELD_STRING || f->type == FIELD_BYTES ||
                                  f->type == FIELD_RECORDS;
                if (has_length && !field_is_nullable(f, sample->version))
                        check_null(sample, nullable, f, base);
                if (f->type != FIELD_STRUCT)
                        continue;
                uint8_t *at = f->flags ? *(uint8_t **)(void *)(base + f->offset) : base + f->offset;
                int32_t count = f->flags & FIELD_ARRAY ? *(int32_t *)(void *)(base + f->count_offset) : at != NULL;
                for (int32_t i = 0; i < count; i++)
                        check_nulls_in(sample, nullable, f->sub, at + (size_t)i * f->value_size);
        }
}

static void check_nulls(Sample *sample) {
        MessageSchema nullable = *sample->message;
        nullable.body = lenient(&sample->arena, sample->message->body);
        check_nulls_in(sample, &nullable, sample->message->body, sample->value);
}

Test(codec, null_is_refused_wherever_the_version_has_none) {
        each_sample(check_nulls);
}

Test(codec, strings_end_at_32767_bytes_in_flexible_versions_too) {
        static char text[40000];
        Buffer bytes = BUFFER_INIT;
        Sample sample = { .message = &FindCoordinatorRequest_message, .version = 3 };
        append_varuint(&bytes, 32769); /* 32768 bytes */
        buffer_append(&bytes, text, 32768 + 2);
        assert_refused(decode_only(&sample, bytes.data, bytes.size), &sample);
        buffer_clear(&bytes);
        append_varuint(&bytes, 32768);
        buffer_append(&bytes, text, 32767 + 2);
        cr_assert_eq(decode_only(&sample, bytes.data, bytes.size), 0);
        buffer_deinit(&bytes);
}

Test(codec, any_negative_length_is_null) {
        Sample sample = { .message = &MetadataRequest_message, .version = 1 };
        cr_assert_eq(decode_only(&sample, (const uint8_t *)"\xff\xff\xff\xff", 4), 0);
        cr_assert_eq(decode_only(&sample, (const uint8_t *)"\x80\x00\x00\x00", 4), 0);
}

Test(codec, arena_cap_ends_a_decode) {
        Arena arena = ARENA_INIT(64);
        MetadataRequest request;
        Str bytes = { .data = "\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", .len = 20 };
        cr_assert_eq(codec_decode(&MetadataRequest_message, 0, bytes, &arena, &request, NULL), -ENOMEM);
        arena_deinit(&arena);
}
