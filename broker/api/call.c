/* Replies and errors of one request. */
#include "broker/api/call.h"

#include <errno.h>

#include "broker/api/api.h"
#include "broker/state/creation.h"
#include "storage/base/endian.h"
#include "storage/base/trace.h"

#define REPLY_BYTES_KEPT 512 /* of a reset call */

static void finish(Call *call) {
        call->is_done = true;
        call->cancel = NULL;
        if (call->on_done)
                call->on_done(call);
}

/* What has to be on disk before a request is answered. */
typedef struct Rest {
        const MessageSchema *request;
        int64_t (*mark)(const State *state);
} Rest;

/* What the coordinators answer rests on records of internal topics, their own or those that others wrote just before: where these
 * have to be durable, the answer waits until they are. What changes the metadata, or tells of it, rests on its log. */
static int64_t find_mark(const Call *call) {
        static const Rest rests[] = {
                { &OffsetCommitRequest_message, state_sync_mark },
                { &OffsetFetchRequest_message, state_sync_mark },
                { &OffsetDeleteRequest_message, state_sync_mark },
                { &JoinGroupRequest_message, state_sync_mark },
                { &SyncGroupRequest_message, state_sync_mark },
                { &DeleteGroupsRequest_message, state_sync_mark },
                { &InitProducerIdRequest_message, state_sync_mark },
                { &AddPartitionsToTxnRequest_message, state_sync_mark },
                { &AddOffsetsToTxnRequest_message, state_sync_mark },
                { &EndTxnRequest_message, state_sync_mark },
                { &TxnOffsetCommitRequest_message, state_sync_mark },
                { &WriteTxnMarkersRequest_message, state_sync_mark },
                { &CreateTopicsRequest_message, state_metadata_mark },
                { &DeleteTopicsRequest_message, state_metadata_mark },
                { &CreatePartitionsRequest_message, state_metadata_mark },
                { &AlterConfigsRequest_message, state_metadata_mark },
                { &IncrementalAlterConfigsRequest_message, state_metadata_mark },
                { &UpdateFeaturesRequest_message, state_metadata_mark },
                { &MetadataRequest_message, state_metadata_mark },
                { &DescribeTopicPartitionsRequest_message, state_metadata_mark },
                { &DescribeConfigsRequest_message, state_metadata_mark },
        };
        if (state_sync_is_past(call->state, call->state->flushes_wanted))
                return 0;
        for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++)
                if (rests[i].request == call->api->request)
                        return rests[i].mark(call->state);
        return 0;
}

static void stop_holding(Call *call) {
        list_remove(&call->hold.node);
}

/* After a failed sync nothing is surely true. */
static void on_sync(CommitWait *hold, State *state) {
        Call *call = container_of(hold, Call, hold);
        if (state->failed)
                call_close(call);
        else if (state_sync_is_past(state, call->hold_mark))
                finish(call);
        else
                state_wait_sync(state, hold, on_sync);
}

static void on_change(CommitWait *hold, State *state) {
        Call *call = container_of(hold, Call, hold);
        call->cancel = NULL;
        if (state->failed)
                call_close(call);
        else
                call->api->handle(call);
}

void call_handle_later(Call *call) {
        call->cancel = stop_holding;
        state_wait_sync(call->state, &call->hold, on_change);
}

bool call_awaits_creation(Call *call, int (*plan)(Call *call, Creation **creation)) {
        Creation *creation = NULL;
        int r = creation_is_made_for(call->state, &call->hold) ? 0 : plan(call, &creation);
        if (r) {
                creation_free(creation);
                if (r == -EBUSY)
                        call_handle_later(call);
                else
                        call_close(call);
        } else if (creation) {
                call->cancel = stop_holding;
                creation_start(call->state, creation, &call->hold, on_change);
        }
        return r || creation;
}

/* KIP-511: the header of an ApiVersions response is always v0, since the client cannot know better yet. */
static bool has_tagged_header(const Call *call) {
        return call->api->response != &ApiVersionsResponse_message &&
               message_is_flexible(call->api->response, call_version(call));
}

void call_reply(Call *call, const void *response) {
        Reply *reply = &call->reply;
        uint8_t *head = buffer_extend(&reply->bytes, 8);
        if (head && has_tagged_header(call))
                buffer_append(&reply->bytes, "", 1);
        reply->bytes_max = call->state->request_memory_max; /* the same long string may be in it many times */
        int r = codec_encode(call->api->response, call_version(call), response, reply);
        size_t size = reply_size(reply);
        if (!head || r < 0 || size > INT32_MAX) {
                call_close(call);
                return;
        }
        store_be32(reply->bytes.data, (uint32_t)(size - 4));
        store_be32(reply->bytes.data + 4, (uint32_t)call->header.correlation_id);
        call->hold_mark = find_mark(call);
        if (call->hold_mark) {
                call->cancel = stop_holding;
                state_wait_sync(call->state, &call->hold, on_sync);
                return;
        }
        finish(call);
}

void call_finish_silently(Call *call) {
        call->no_reply = true;
        finish(call);
}

void call_close(Call *call) {
        call->close = true;
        reply_deinit(&call->reply);
        call_finish_silently(call);
}

int16_t call_code(Call *call, int result) {
        if (result >= 0)
                return (int16_t)result;
        trace_error("%s of %s failed: %s", call->api->request->name, call->client_host, strerror(-result));
        return result == -ENOMEM || result == -EINVAL || result == -EBADMSG ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_KAFKA_STORAGE_ERROR;
}

void call_reset(Call *call) {
        if (call->cancel)
                call->cancel(call);
        Buffer bytes = call->reply.bytes;
        call->reply.bytes = BUFFER_INIT;
        reply_deinit(&call->reply);
        if (bytes.capacity > REPLY_BYTES_KEPT)
                buffer_deinit(&bytes);
        buffer_clear(&bytes);
        arena_reset(&call->arena);
        *call = (Call){ .arena = call->arena, .reply = { .bytes = bytes } };
}

void call_deinit(Call *call) {
        call_reset(call);
        reply_deinit(&call->reply);
        arena_deinit(&call->arena);
}

void call_client_init(CallClient *client, int32_t port) {
        *client = (CallClient){ .software_name = "unknown", .software_version = "unknown", .port = port };
        list_init(&client->telemetry);
}

void call_client_deinit(CallClient *client, State *state) {
        telemetry_forget(state, &client->telemetry);
}

TelemetryClient call_telemetry_client(const Call *call, Uuid instance_id) {
        TelemetryClient client = { .instance_id = instance_id, .client_id = call->header.client_id };
        if (call->client_host)
                client.source_address = str_of(call->client_host + (call->client_host[0] == '/'));
        if (call->client) {
                client.software_name = str_of(call->client->software_name);
                client.software_version = str_of(call->client->software_version);
                client.source_port = call->client->port;
                client.instances = &call->client->telemetry;
        }
        return client;
}

Str call_describe_bad_topic(Call *call, Str name) {
        size_t size = name.len + 512; /* another topic's name is in it, too */
        char *message = arena_alloc(&call->arena, size);
        if (!message)
                return STR_NULL;
        topic_validate_name(call->state, name, message, size);
        return str_of(message);
}
