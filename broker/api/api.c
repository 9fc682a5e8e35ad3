/* The table of APIs, decoding and dispatch. */
#include "broker/api/api.h"

#include <errno.h>

#include "storage/base/endian.h"

/* What a request may cost in decoded form: its structs are larger than their bytes, by a bounded factor. */
#define DECODE_BYTES_BASE ((size_t)64 * 1024)
#define DECODE_BYTES_FACTOR 64

#define APIS(X)                                                                 \
        X(Produce, produce)                                                     \
        X(Fetch, fetch)                                                         \
        X(ListOffsets, list_offsets)                                            \
        X(Metadata, metadata)                                                   \
        X(OffsetCommit, offset_commit)                                          \
        X(OffsetFetch, offset_fetch)                                            \
        X(FindCoordinator, find_coordinator)                                    \
        X(JoinGroup, join_group)                                                \
        X(Heartbeat, heartbeat)                                                 \
        X(LeaveGroup, leave_group)                                              \
        X(SyncGroup, sync_group)                                                \
        X(DescribeGroups, describe_groups)                                      \
        X(ListGroups, list_groups)                                              \
        X(ApiVersions, api_versions)                                            \
        X(CreateTopics, create_topics)                                          \
        X(DeleteTopics, delete_topics)                                          \
        X(DeleteRecords, delete_records)                                        \
        X(InitProducerId, init_producer_id)                                     \
        X(OffsetForLeaderEpoch, offset_for_leader_epoch)                        \
        X(AddPartitionsToTxn, add_partitions_to_txn)                            \
        X(AddOffsetsToTxn, add_offsets_to_txn)                                  \
        X(EndTxn, end_txn)                                                      \
        X(WriteTxnMarkers, write_txn_markers)                                   \
        X(TxnOffsetCommit, txn_offset_commit)                                   \
        X(DescribeConfigs, describe_configs)                                    \
        X(AlterConfigs, alter_configs)                                          \
        X(AlterReplicaLogDirs, alter_replica_log_dirs)                          \
        X(DescribeLogDirs, describe_log_dirs)                                   \
        X(CreatePartitions, create_partitions)                                  \
        X(DeleteGroups, delete_groups)                                          \
        X(ElectLeaders, elect_leaders)                                          \
        X(IncrementalAlterConfigs, incremental_alter_configs)                   \
        X(AlterPartitionReassignments, alter_partition_reassignments)           \
        X(ListPartitionReassignments, list_partition_reassignments)             \
        X(OffsetDelete, offset_delete)                                          \
        X(DescribeQuorum, describe_quorum)                                      \
        X(UpdateFeatures, update_features)                                      \
        X(DescribeCluster, describe_cluster)                                    \
        X(DescribeTransactions, describe_transactions)                          \
        X(ListTransactions, list_transactions)                                  \
        X(DescribeProducers, describe_producers)                                \
        X(UnregisterBroker, unregister_broker)                                  \
        X(ConsumerGroupHeartbeat, consumer_group_heartbeat)                     \
        X(ConsumerGroupDescribe, consumer_group_describe)                       \
        X(GetTelemetrySubscriptions, get_telemetry_subscriptions)               \
        X(PushTelemetry, push_telemetry)                                        \
        X(ListConfigResources, list_config_resources)                           \
        X(DescribeTopicPartitions, describe_topic_partitions)                   \
        X(AddRaftVoter, add_raft_voter)                                         \
        X(RemoveRaftVoter, remove_raft_voter)

const Api api_table[] = {
#define X(Name, name) { &Name##Request_message, &Name##Response_message, api_##name },
        APIS(X)
#undef X
};
const size_t api_count = sizeof(api_table) / sizeof(api_table[0]);

const Api *api_find(int16_t key) {
        for (size_t i = 0; i < api_count; i++)
                if (api_table[i].request->key == key)
                        return &api_table[i];
        return NULL;
}

int16_t api_advertised_min(const Api *api) {
        return api->request->key == ProduceRequest_message.key ? 0 : api->request->version_min;
}

bool api_can_pipeline(Str frame) {
        return frame.len >= 2 && (int16_t)load_be16(frame.data) == ProduceRequest_message.key;
}

bool api_ends_with_client(const Call *call) {
        const MessageSchema *request = call->api->request;
        return request == &FetchRequest_message || request == &JoinGroupRequest_message || request == &SyncGroupRequest_message;
}

/* A client newer than we are learns from a v0 answer which versions to use. */
static DispatchResult dispatch_unknown_version(Call *call) {
        if (call->api->request != &ApiVersionsRequest_message)
                return DISPATCH_CLOSE;
        call->header.api_version = 0;
        api_versions_refuse(call);
        return call->close ? DISPATCH_CLOSE : DISPATCH_DONE;
}

/* Produce's records are used where the socket put them; everything else may outlive its bytes. */
static uint8_t *own_frame(Call *call, uint8_t *frame, size_t size) {
        if (call->api->request == &ProduceRequest_message)
                return frame;
        uint8_t *copy = arena_alloc(&call->arena, size);
        if (copy)
                memcpy(copy, frame, size);
        return copy;
}

static int decode_request(Call *call, uint8_t *frame, size_t size) {
        const MessageSchema *message = call->api->request;
        int16_t version = (int16_t)load_be16(frame + 2);
        size_t used;
        if (!(frame = own_frame(call, frame, size)))
                return -ENOMEM;
        Str bytes = { .data = (const char *)frame, .len = size };
        int r = codec_decode_request_header(bytes, message_is_flexible(message, version), &call->header, &used);
        if (r)
                return r;
        call->arena.cap_bytes = call->arena.used_bytes + DECODE_BYTES_BASE + size * DECODE_BYTES_FACTOR;
        call->request = arena_alloc(&call->arena, message->body->size);
        if (!call->request)
                return -ENOMEM;
        r = codec_decode(message, version, (Str){ .data = bytes.data + used, .len = size - used }, &call->arena,
                         call->request, NULL);
        /* what a handler takes depends on our state, but a request can ask for the same thing many times over */
        call->arena.cap_bytes = call->arena.used_bytes + call->state->request_memory_max;
        return r;
}

DispatchResult api_dispatch(Call *call, uint8_t *frame, size_t size) {
        if (size < 8)
                return DISPATCH_CLOSE;
        call->header = (RequestHeader){
                .api_key = (int16_t)load_be16(frame),
                .api_version = (int16_t)load_be16(frame + 2),
                .correlation_id = (int32_t)load_be32(frame + 4),
        };
        call->api = api_find(call->header.api_key);
        if (!call->api)
                return DISPATCH_CLOSE;
        const MessageSchema *message = call->api->request;
        if (call->header.api_version < message->version_min || call->header.api_version > message->version_max)
                return dispatch_unknown_version(call);
        if (decode_request(call, frame, size))
                return DISPATCH_CLOSE;
        call->api->handle(call);
        if (call->close)
                return DISPATCH_CLOSE;
        return call->is_done ? DISPATCH_DONE : DISPATCH_PARKED;
}
