/* Each value costs few bytes of input, so that small changes of it lead from one meaningful request to another. */
#include "tests/fuzz/request_maker.h"

#include "storage/batch.h"
#include "tests/fuzz/fuzz.h"

#define RAW 0xc0 /* choices from here on: bytes as they come */
#define ANY 0xa0 /* from here on: of all that is known */
#define NONE 0xff

uint8_t maker_byte(Maker *maker) {
        return maker->at < maker->end ? *maker->at++ : 0;
}

static const char *const words[] = {
        "t", "c", "g", "u", "", "consumer", "range", "m", "x", "h", "1", "compact", "delete", "cleanup.policy", "retention.ms",
        "segment.bytes", "1024", "max.message.bytes", "0", "-1", "message.timestamp.type", "LogAppendTime", "__consumer_offsets",
        "__transaction_state", "flush.messages", "retention.bytes", "min.insync.replicas", "2", "log.retention.ms", "connect",
        "group.version", "transaction.version", "metadata.version", "Stable", "Empty", "consumer.session.timeout.ms", "60000",
        "compression.type", "gzip", "compact,delete", "segment.ms", "../x", ".", "t,c", "interval.ms", "metrics",
};

/* What fields of these names mostly hold. */
#define KNOWN 8
static const struct {
        const char *field;
        const char *words[KNOWN]; /* up to the first NULL */
} field_words[] = {
        { "group_id", { "g", "h" } },
        { "groups", { "g", "h", "x" } },
        { "group_instance_id", { "i", "j" } },
        { "transactional_id", { "x", "y" } },
        { "transactional_ids", { "x", "y" } },
        { "protocol_type", { "consumer", "consumer", "connect" } },
        { "protocol_name", { "range" } },
        { "topic", { "t", "c", "u" } },
        { "topic_names", { "t", "c", "u" } },
        { "resource_name", { "t", "1", "", "g", "m", "c" } },
        { "coordinator_keys", { "g", "x" } },
        { "key", { "g", "x" } },
};

static const struct {
        const char *field;
        int64_t numbers[KNOWN];
} field_numbers[] = {
        { "resource_type", { 2, 4, 4, 8, 16, 32, 2, 2 } },
        { "config_operation", { 0, 1, 2, 3, 0, 0, 2, 3 } },
        { "acks", { -1, 1, 0, -1, 1, -1, -1, 1 } },
        { "partition", { 0, 1, 0, 0, 0, 0, 0, 0 } },
        { "partitions", { 0, 1, 0, 0, 0, 0, 0, 0 } },
        { "partition_index", { 0, 1, 0, 0, 0, 0, 0, 0 } },
        { "partition_indexes", { 0, 1, 0, 0, 0, 0, 0, 0 } },
        { "index", { 0, 1, 0, 0, 0, 0, 0, 0 } },
        { "key_type", { 0, 1, 0, 1, 2, 0, 1, 0 } },
        { "session_timeout_ms", { 30000, 6000, 10000, 30000, 30000, 30000, 30000, 30000 } },
        { "current_leader_epoch", { -1, 0, -1, -1, -1, 1, 0, 0 } },
        { "num_partitions", { 1, 2, -1, 3, 1, 1, 1, 1 } },
        { "replication_factor", { 1, -1, 1, 1, 1, 1, 1, 1 } },
        { "partition_max_bytes", { 1 << 20, 1 << 20, 100, 0, 1 << 20, 1 << 20, 1 << 20, 1 << 20 } },
        { "max_bytes", { 1 << 20, 1 << 20, 100, 0, 1 << 20, 1 << 20, 1 << 20, 1 << 20 } },
};

static Str make_raw(Maker *maker) {
        size_t size = maker_byte(maker) % 40;
        char *data = arena_alloc(maker->arena, size + 1);
        FUZZ_CHECK(data);
        for (size_t i = 0; i < size; i++)
                data[i] = (char)maker_byte(maker);
        return (Str){ data, size };
}

static Str make_str(Maker *maker, const FieldSchema *f, bool nullable) {
        uint8_t choice = maker_byte(maker);
        if (choice == NONE && nullable)
                return STR_NULL;
        if (choice >= RAW)
                return make_raw(maker);
        if (choice % 8 == 7 || (choice < ANY && strcmp(f->name, "member_id") == 0))
                return str_of(maker->member_id);
        for (size_t i = 0; choice < ANY && i < sizeof(field_words) / sizeof(field_words[0]); i++) {
                size_t count = 0;
                while (count < KNOWN && field_words[i].words[count])
                        count++;
                if (strcmp(f->name, field_words[i].field) == 0)
                        return nullable && choice % 4 == 3 ? STR_NULL : str_of(field_words[i].words[choice % count]);
        }
        return str_of(words[choice % (sizeof(words) / sizeof(words[0]))]);
}

/* A subscription to "t", an assignment of it, or anything. */
static Str make_bytes(Maker *maker, bool nullable) {
        uint8_t choice = maker_byte(maker);
        if (choice == NONE && nullable)
                return STR_NULL;
        if (choice >= RAW)
                return make_raw(maker);
        return choice % 2 ? (Str){ "\0\0\0\0\0\1\0\1t\0\0\0\0", 13 } : (Str){ "\0\0\0\0\0\1\0\1t\0\0\0\1\0\0\0\0\0\0\0\0", 21 };
}

static bool known_number(const Maker *maker, const char *field, uint8_t choice, int64_t *ret_value) {
        for (size_t i = 0; i < sizeof(field_numbers) / sizeof(field_numbers[0]); i++)
                if (strcmp(field, field_numbers[i].field) == 0)
                        return *ret_value = field_numbers[i].numbers[choice % KNOWN], true;
        if (strncmp(field, "generation_id", 13) == 0)
                return *ret_value = choice % 4 ? maker->generation : -1, true;
        if (strcmp(field, "producer_id") == 0)
                return *ret_value = maker->producer_id, true;
        if (strcmp(field, "producer_epoch") == 0)
                return *ret_value = maker->producer_epoch, true;
        return false;
}

static int64_t make_number(Maker *maker, const char *field, size_t size) {
        static const int64_t numbers[] = { 0, 1, -1, 2, 3, 5, 7, -2, 10, 100, 1000, 6000, 30000, 60000, 1 << 20, 1700000000000,
                                           INT64_MAX, INT64_MIN, INT32_MAX, INT32_MIN, -3, -4, -5, -6 };
        uint8_t choice = maker_byte(maker);
        int64_t value = 0;
        if (choice < ANY && known_number(maker, field, choice, &value))
                return value;
        if (choice < RAW) {
                int64_t known[] = { maker->generation, maker->producer_id, maker->producer_epoch, maker->state->now_ms };
                size_t count = sizeof(numbers) / sizeof(numbers[0]), i = choice % (count + 4);
                return i < count ? numbers[i] : known[i - count];
        }
        for (size_t i = 0; i < size; i++)
                value = (int64_t)((uint64_t)value << 8 | maker_byte(maker));
        return value;
}

static Uuid make_uuid(Maker *maker) {
        uint8_t choice = maker_byte(maker);
        Uuid id = UUID_ZERO;
        if (choice >= RAW) {
                for (size_t i = 0; i < sizeof(id.bytes); i++)
                        id.bytes[i] = maker_byte(maker);
                return id;
        }
        Topic *topic = topic_find(maker->state, str_of(words[choice % 4]));
        return topic ? topic->id : id;
}

/* One batch, or two, mostly right. */
static Str make_records(Maker *maker, bool nullable) {
        uint8_t choice = maker_byte(maker), how = maker_byte(maker);
        if (choice == NONE && nullable)
                return STR_NULL;
        if (choice >= RAW)
                return make_raw(maker);
        BatchBuilder builder;
        bool idempotent = how & 1;
        batch_builder_init(&builder, how & 2 ? BATCH_TRANSACTIONAL : 0, idempotent ? maker->producer_id : -1,
                           (int16_t)(idempotent ? maker->producer_epoch : -1), idempotent ? choice % 8 : -1);
        for (int i = 0; i <= choice % 5; i++)
                batch_builder_add(&builder, maker->state->now_ms - i, how & 4 ? STR("key") : STR_NULL, i % 2 ? STR_NULL : STR("value"),
                                  NULL, 0);
        FUZZ_CHECK(batch_builder_finish(&builder, (how >> 4) % 6 == 5 ? 0 : (how >> 4) % 6) == 0);
        Str bytes = arena_str(maker->arena, (Str){ (char *)builder.out.data, builder.out.size });
        if (how & 8) {
                size_t at = maker_byte(maker);
                ((char *)(uintptr_t)bytes.data)[at % bytes.len] ^= (char)(1 + maker_byte(maker));
        }
        batch_builder_deinit(&builder);
        return bytes;
}

static void store_number(uint8_t *to, size_t size, int64_t value) {
        switch (size) {
        case 1:
                *to = (uint8_t)value;
                return;
        case 2:
                *(uint16_t *)(void *)to = (uint16_t)value;
                return;
        case 4:
                *(uint32_t *)(void *)to = (uint32_t)value;
                return;
        default:
                *(uint64_t *)(void *)to = (uint64_t)value;
        }
}

static void make_value(Maker *maker, const FieldSchema *f, uint8_t *to, bool nullable) {
        switch ((FieldType)f->type) {
        case FIELD_BOOL:
                *(bool *)to = maker_byte(maker) & 1;
                return;
        case FIELD_STRING:
                *(Str *)(void *)to = make_str(maker, f, nullable);
                return;
        case FIELD_BYTES:
                *(Str *)(void *)to = make_bytes(maker, nullable);
                return;
        case FIELD_RECORDS:
                *(Records *)(void *)to = (Records){ .bytes = make_records(maker, nullable), .span = FILE_SPAN_INIT };
                return;
        case FIELD_STRUCT:
                maker_fill(maker, f->sub, to);
                return;
        case FIELD_UUID:
                *(Uuid *)(void *)to = make_uuid(maker);
                return;
        default:
                store_number(to, f->value_size, make_number(maker, f->name, f->value_size));
        }
}

static void make_array(Maker *maker, const FieldSchema *f, uint8_t *base, bool nullable) {
        uint8_t choice = maker_byte(maker);
        int32_t count = choice == NONE && nullable ? -1 : maker->at == maker->end ? 0 : choice < RAW ? 1 : choice % 4;
        uint8_t *elements = count > 0 ? arena_alloc_array(maker->arena, (size_t)count, f->value_size) : NULL;
        FUZZ_CHECK(count <= 0 || elements);
        for (int32_t i = 0; i < count; i++)
                make_value(maker, f, elements + (size_t)i * f->value_size, false);
        *(uint8_t **)(void *)(base + f->offset) = elements;
        *(int32_t *)(void *)(base + f->count_offset) = count;
}

void maker_fill(Maker *maker, const StructSchema *schema, void *ret_value) {
        uint8_t *base = ret_value;
        memcpy(base, schema->default_value, schema->size);
        for (const FieldSchema *f = schema->fields; f < schema->fields + schema->field_count; f++) {
                if (!field_in_version(f, maker->version))
                        continue;
                bool nullable = field_is_nullable(f, maker->version);
                if (f->flags & FIELD_ARRAY) {
                        make_array(maker, f, base, nullable);
                } else if (f->flags & FIELD_POINTER) {
                        uint8_t *sub = maker_byte(maker) & 1 ? arena_alloc(maker->arena, f->sub->size) : NULL;
                        if (sub)
                                maker_fill(maker, f->sub, sub);
                        *(uint8_t **)(void *)(base + f->offset) = sub;
                } else {
                        make_value(maker, f, base + f->offset, nullable);
                }
        }
}

static void learn_member(Maker *maker, Str id, int32_t generation) {
        if (id.len == 0 || id.len >= sizeof(maker->member_id))
                return;
        memcpy(maker->member_id, id.data, id.len);
        maker->member_id[id.len] = '\0';
        maker->generation = generation;
}

void maker_learn(Maker *maker, const MessageSchema *response, const void *value) {
        if (response == &JoinGroupResponse_message) {
                const JoinGroupResponse *answer = value;
                learn_member(maker, answer->member_id, answer->generation_id);
        } else if (response == &InitProducerIdResponse_message) {
                const InitProducerIdResponse *answer = value;
                maker->producer_id = answer->producer_id;
                maker->producer_epoch = answer->producer_epoch;
        }
}
