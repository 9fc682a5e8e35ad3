/* The replayer of metadata records. Types that say nothing about what is served here (registrations, no-ops, ACLs ...) are
 * passed over, so that a directory which Kafka left can be opened. */
#include "broker/state/metadata/metadata_replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "broker/state/metadata/resource_configs.h"
#include "broker/state/producer_ids.h"
#include "storage/base/endian.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/base/varint.h"
#include "storage/batch.h"

#define INFLATED_BYTES_MAX (256 << 20)

enum { RECORD_ABORT_TRANSACTION = 25, RECORD_BEGIN_TRANSACTION = 23, RECORD_END_TRANSACTION = 24 };

static int apply_topic(State *state, const void *message) {
        const TopicRecord *record = message;
        return topic_replay(state, record->name, &record->topic_id);
}

static int apply_partition(State *state, const void *message) {
        const PartitionRecord *record = message;
        return topic_replay_partition(state, &record->topic_id, record->partition_id,
                                      record->leader_epoch < 0 ? 0 : record->leader_epoch);
}

/* A change of leader, or losing it, is a new epoch. */
static int apply_partition_change(State *state, const void *message) {
        const PartitionChangeRecord *record = message;
        Topic *topic = topic_find_id(state, &record->topic_id);
        Partition *partition = topic ? topic_partition(topic, record->partition_id) : NULL;
        if (!partition)
                return -EUCLEAN;
        if (record->leader >= -1)
                partition->leader_epoch++;
        return 0;
}

static int apply_remove_topic(State *state, const void *message) {
        topic_replay_remove(state, &((const RemoveTopicRecord *)message)->topic_id);
        return 0;
}

static int apply_broker_config(State *state, const ConfigRecord *record) {
        char node[16];
        snprintf(node, sizeof(node), "%d", state->node_id);
        bool all = record->resource_name.len == 0;
        if (!all && !str_equal(record->resource_name, str_of(node)))
                return 0;
        ConfigSource source = all ? CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER : CONFIG_SOURCE_DYNAMIC_BROKER;
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_BROKER, record->name);
        if (key)
                return config_map_set(&state->config->broker, key, record->value, source);
        char *name = str_dup(record->name);
        if (!name)
                return -ENOMEM;
        ConfigKey custom = config_custom_key(name);
        int r = config_map_set(&state->config->broker, &custom, record->value, source);
        free(name);
        return r;
}

/* Kafka lets nothing of the kind in, but bytes can be anything. It stays in the log. */
static bool pass_over(const ConfigRecord *record) {
        char value[256], resource[256];
        const ConfigKey *key = config_find_key((ConfigResource)record->resource_type, record->name);
        if (!key || str_is_null(record->value) || config_is_readable(key, record->value))
                return false;
        trace_warn("config %s of '%s' has the value '%s' in the metadata log, which is no number: the default holds; set it anew", key->name,
                   str_escape(record->resource_name, resource, sizeof(resource)), str_escape(record->value, value, sizeof(value)));
        return true;
}

static int apply_config(State *state, const void *message) {
        const ConfigRecord *record = message;
        if (pass_over(record))
                return 0;
        if (record->resource_type == CONFIG_RESOURCE_TOPIC)
                return topic_replay_config(state, record->resource_name, record->name, record->value);
        if (record->resource_type == CONFIG_RESOURCE_BROKER)
                return apply_broker_config(state, record);
        if (record->resource_type == CONFIG_RESOURCE_GROUP || record->resource_type == CONFIG_RESOURCE_CLIENT_METRICS)
                return resource_config_replay(state, record->resource_type, record->resource_name, record->name, record->value);
        return 0;
}

static int apply_feature_level(State *state, const void *message) {
        const FeatureLevelRecord *record = message;
        features_replay(state, record->name, record->feature_level);
        return 0;
}

static int apply_producer_ids(State *state, const void *message) {
        producer_ids_replay(state, ((const ProducerIdsRecord *)message)->next_producer_id);
        return 0;
}

/* A Kafka that ran here before: its next start asks whether the stop was clean, and knows its run by this number. */
static int apply_register_broker(State *state, const void *message) {
        const RegisterBrokerRecord *record = message;
        if (record->broker_id == state->node_id)
                state->broker_epoch = record->broker_epoch;
        return 0;
}

static const struct {
        const MessageSchema *message;
        int (*apply)(State *state, const void *message);
} replayed[] = {
        { &TopicRecord_message, apply_topic },
        { &PartitionRecord_message, apply_partition },
        { &ConfigRecord_message, apply_config },
        { &PartitionChangeRecord_message, apply_partition_change },
        { &RemoveTopicRecord_message, apply_remove_topic },
        { &ProducerIdsRecord_message, apply_producer_ids },
        { &FeatureLevelRecord_message, apply_feature_level },
        { &RegisterBrokerRecord_message, apply_register_broker },
};

bool metadata_read_frame(Str value, MetadataFrame *ret_frame) {
        if (str_is_null(value))
                return false;
        const uint8_t *at = (const uint8_t *)value.data, *end = at + value.len;
        uint32_t fields[3];
        for (int i = 0; i < 3; i++) {
                size_t n = varuint32_read(at, end, &fields[i]);
                if (n == 0)
                        return false;
                at += n;
        }
        *ret_frame = (MetadataFrame){ fields[1], fields[2], { (const char *)at, (size_t)(end - at) }, value };
        return fields[0] <= 1;
}

static int apply_frame(MetadataReplay *replay, const MetadataFrame *frame) {
        for (size_t i = 0; i < sizeof(replayed) / sizeof(replayed[0]); i++) {
                const MessageSchema *message = replayed[i].message;
                if ((uint32_t)message->key != frame->type)
                        continue;
                if (frame->version > (uint32_t)message->version_max) {
                        trace_error("the metadata log holds %s version %u, which is newer than this program", message->name,
                                    frame->version);
                        return -EUCLEAN;
                }
                Arena arena = ARENA_INIT(0);
                void *record = arena_alloc(&arena, message->body->size);
                int r = record ? codec_decode(message, (int16_t)frame->version, frame->body, &arena, record, NULL) : -ENOMEM;
                if (r == 0)
                        r = replayed[i].apply(replay->state, record);
                arena_deinit(&arena);
                return r > 0 ? -EUCLEAN : r;
        }
        return 0;
}

void metadata_replay_init(MetadataReplay *replay, State *state) {
        *replay = (MetadataReplay){ .state = state, .each = apply_frame, .pending = BUFFER_INIT };
}

void metadata_replay_deinit(MetadataReplay *replay) {
        buffer_deinit(&replay->pending);
}

/* The transaction's records become true. */
static int apply_pending(MetadataReplay *replay) {
        int r = 0;
        for (size_t at = 0; r == 0 && at < replay->pending.size;) {
                size_t size;
                memcpy(&size, replay->pending.data + at, sizeof(size));
                at += sizeof(size);
                MetadataFrame frame;
                Str value = { (const char *)replay->pending.data + at, size };
                r = metadata_read_frame(value, &frame) ? replay->each(replay, &frame) : -EUCLEAN;
                at += size;
        }
        buffer_clear(&replay->pending);
        return r;
}

static int apply_value(MetadataReplay *replay, Str value) {
        MetadataFrame frame;
        if (!metadata_read_frame(value, &frame))
                return -EUCLEAN;
        replay->record_count++;
        switch (frame.type) {
        case RECORD_BEGIN_TRANSACTION:
                replay->in_transaction = true;
                buffer_clear(&replay->pending);
                return 0;
        case RECORD_END_TRANSACTION:
                replay->in_transaction = false;
                return apply_pending(replay);
        case RECORD_ABORT_TRANSACTION:
                replay->in_transaction = false;
                buffer_clear(&replay->pending);
                return 0;
        }
        if (!replay->in_transaction)
                return replay->each(replay, &frame);
        buffer_append(&replay->pending, &value.len, sizeof(value.len));
        buffer_append_str(&replay->pending, value);
        return replay->pending.failed ? -ENOMEM : 0;
}

static int apply_record(MetadataReplay *replay, const BatchHeader *header, const Record *record) {
        if (!(header->attributes & BATCH_CONTROL))
                return apply_value(replay, record->value);
        if (!replay->control || record->key.len < 4)
                return 0;
        return replay->control(replay, (int16_t)load_be16(record->key.data + 2), record->value);
}

static int apply_batch(MetadataReplay *replay, const uint8_t *data, const BatchHeader *header, int64_t offset) {
        BatchReader reader;
        int r = batch_reader_init(&reader, data, header, INFLATED_BYTES_MAX);
        Record record;
        int more = 0;
        while (r == 0 && (more = batch_reader_next(&reader, &record)) == 1)
                if (record.offset >= offset)
                        r = apply_record(replay, header, &record);
        batch_reader_deinit(&reader);
        if (r == 0 && more != 0)
                r = -EUCLEAN;
        return r > 0 ? -EUCLEAN : r;
}

int metadata_replay_bytes(MetadataReplay *replay, const uint8_t *data, size_t size, int64_t offset, int64_t *ret_offset) {
        int64_t next = offset;
        for (size_t at = 0; at < size;) {
                BatchHeader header;
                int r = batch_read_header(data + at, size - at, &header);
                if (r == 0 && !batch_check_crc(data + at, &header))
                        r = -EUCLEAN;
                if (r == 0)
                        r = apply_batch(replay, data + at, &header, offset);
                if (r)
                        return r == -ENOMEM ? r : -EUCLEAN;
                next = batch_next_offset(&header);
                at += batch_size(&header);
        }
        *ret_offset = next;
        return 0;
}

/* A snapshot was renamed to its name when it was whole: its offsets count from 0, and a footer ends it. Anything else is damage. */
static int replay_snapshot_bytes(MetadataReplay *replay, const uint8_t *data, size_t size) {
        bool ended = false;
        int64_t offset = 0;
        for (size_t at = 0; at < size;) {
                BatchHeader header;
                if (batch_read_header(data + at, size - at, &header) || !batch_check_crc(data + at, &header) ||
                    header.base_offset != offset)
                        return -EUCLEAN;
                int r = apply_batch(replay, data + at, &header, 0);
                if (r)
                        return r;
                ended = header.attributes & BATCH_CONTROL && offset > 0;
                offset = batch_next_offset(&header);
                at += batch_size(&header);
        }
        return ended ? 0 : -EUCLEAN;
}

int metadata_replay_snapshot(MetadataReplay *replay, const char *path) {
        FileMap file;
        int r = file_map(path, &file);
        if (r)
                return r;
        r = replay_snapshot_bytes(replay, file.data, file.size);
        file_unmap(&file);
        return r == 0 && replay->in_transaction ? -EUCLEAN : r;
}
