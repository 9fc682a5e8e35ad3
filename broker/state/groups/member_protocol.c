/* Subscriptions and assignments of classic consumers. */
#include "broker/state/groups/member_protocol.h"

#include "broker/state/topics.h"
#include "storage/base/endian.h"
#include "storage/base/error.h"

static int read_versioned(const MessageSchema *message, Str bytes, Arena *arena, void *ret_message) {
        int16_t version = bytes.len < 2 ? -1 : (int16_t)load_be16(bytes.data);
        if (version < 0)
                return KAFKA_INVALID_REQUEST;
        if (version > message->version_max)
                version = message->version_max;
        return codec_decode(message, version, (Str){ bytes.data + 2, bytes.len - 2 }, arena, ret_message, NULL);
}

int member_protocol_subscription(Str bytes, Arena *arena, ConsumerProtocolSubscription *ret_subscription) {
        return read_versioned(&ConsumerProtocolSubscription_message, bytes, arena, ret_subscription);
}

int member_protocol_assignment(Str bytes, Arena *arena, ConsumerProtocolAssignment *ret_assignment) {
        return read_versioned(&ConsumerProtocolAssignment_message, bytes, arena, ret_assignment);
}

static bool fill(const State *state, const PartitionSet *set, Arena *arena, ConsumerProtocolAssignment *out) {
        out->assigned_partitions = arena_alloc_array(arena, (size_t)partition_set_topics(set), sizeof(*out->assigned_partitions));
        if (!out->assigned_partitions)
                return false;
        for (int32_t at = 0, run; at < set->count; at += run) {
                const Topic *topic = topic_find_id(state, &set->items[at].topic);
                run = partition_set_run(set, at);
                if (!topic)
                        continue;
                ConsumerProtocolAssignmentAssignedPartition *row = &out->assigned_partitions[out->assigned_partitions_count++];
                row->topic = str_of(topic->name);
                row->partitions = arena_alloc_array(arena, (size_t)run, sizeof(int32_t));
                if (!row->partitions)
                        return false;
                row->partitions_count = run;
                for (int32_t i = 0; i < run; i++)
                        row->partitions[i] = set->items[at + i].index;
        }
        return true;
}

bool member_protocol_write(const State *state, const PartitionSet *set, Str subscription, Reply *out) {
        int16_t version = subscription.len < 2 ? 0 : (int16_t)load_be16(subscription.data);
        int16_t version_max = ConsumerProtocolAssignment_message.version_max;
        ConsumerProtocolAssignment message = ConsumerProtocolAssignment_INIT;
        Arena arena = ARENA_INIT(0);
        version = version < 0 ? 0 : version > version_max ? version_max : version;
        uint8_t *head = buffer_extend(&out->bytes, 2);
        if (head)
                store_be16(head, (uint16_t)version);
        bool ok = head && fill(state, set, &arena, &message) &&
                  codec_encode(&ConsumerProtocolAssignment_message, version, &message, out) == 0;
        arena_deinit(&arena);
        return ok;
}
