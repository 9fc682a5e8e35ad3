/* The table of APIs, and dispatch. Adding one: a schema, a file, a row in api.c. */
#pragma once

#include "broker/api/call.h"

struct Api {
        const MessageSchema *request, *response; /* key, name and served versions stand there */
        void (*handle)(Call *call);
};

/* All rows, by key. */
extern const Api api_table[];
extern const size_t api_count;
const Api *api_find(int16_t key);

/* The lowest version in ApiVersions: the lowest served one, but 0 for Produce, without which librdkafka before 2.11.1
 * does not compress. */
int16_t api_advertised_min(const Api *api);

/* Answers ApiVersions of an unknown version: error 35 and the range of key 18. The header's version is 0. */
void api_versions_refuse(Call *call);

typedef enum DispatchResult {
        DISPATCH_DONE,   /* call->is_done */
        DISPATCH_PARKED, /* on_done() will be called */
        DISPATCH_CLOSE,  /* malformed, unknown API or version: close the connection */
} DispatchResult;

/* Whether the frame's API may be handled while earlier requests of the same connection still wait for the turn's
 * commit (Produce behind Produce). */
bool api_can_pipeline(Str frame);

/* Whether the call, while it is parked, only waits for what others do, so that it ends with its client. Any other one changes something,
 * or will soon, and is carried out whoever is gone, as in Kafka. */
bool api_ends_with_client(const Call *call);

/* Decodes the frame (without its length prefix) into an initialised call (state, client_host, listener, on_done,
 * owner set; all else zero) and handles it. A Produce's frame must stay, and is changed, until the end of the round's
 * commit; others are copied. */
DispatchResult api_dispatch(Call *call, uint8_t *frame, size_t size);

/* Cancels a parked call (connection closed) and makes a zeroed call of it, which keeps a little memory for its next request. */
void call_reset(Call *call);
/* As call_reset(), and frees that memory too. */
void call_deinit(Call *call);

/* Handlers, one file each. */
void api_produce(Call *call);
void api_fetch(Call *call);
void api_list_offsets(Call *call);
void api_metadata(Call *call);
void api_offset_commit(Call *call);
void api_offset_fetch(Call *call);
void api_find_coordinator(Call *call);
void api_join_group(Call *call);
void api_heartbeat(Call *call);
void api_leave_group(Call *call);
void api_sync_group(Call *call);
void api_describe_groups(Call *call);
void api_list_groups(Call *call);
void api_api_versions(Call *call);
void api_create_topics(Call *call);
void api_delete_topics(Call *call);
void api_delete_records(Call *call);
void api_init_producer_id(Call *call);
void api_offset_for_leader_epoch(Call *call);
void api_describe_configs(Call *call);
void api_alter_configs(Call *call);
void api_create_partitions(Call *call);
void api_delete_groups(Call *call);
void api_incremental_alter_configs(Call *call);
void api_offset_delete(Call *call);
void api_describe_cluster(Call *call);
void api_consumer_group_heartbeat(Call *call);
void api_consumer_group_describe(Call *call);
void api_list_config_resources(Call *call);
void api_describe_topic_partitions(Call *call);
void api_add_partitions_to_txn(Call *call);
void api_add_offsets_to_txn(Call *call);
void api_end_txn(Call *call);
void api_write_txn_markers(Call *call);
void api_txn_offset_commit(Call *call);
void api_describe_transactions(Call *call);
void api_list_transactions(Call *call);
void api_alter_replica_log_dirs(Call *call);
void api_describe_log_dirs(Call *call);
void api_elect_leaders(Call *call);
void api_alter_partition_reassignments(Call *call);
void api_list_partition_reassignments(Call *call);
void api_describe_quorum(Call *call);
void api_update_features(Call *call);
void api_describe_producers(Call *call);
void api_unregister_broker(Call *call);
void api_get_telemetry_subscriptions(Call *call);
void api_push_telemetry(Call *call);
void api_add_raft_voter(Call *call);
void api_remove_raft_voter(Call *call);
