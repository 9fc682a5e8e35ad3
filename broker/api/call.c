/* Replies and errors of one request. */
#include "broker/api/call.h"

#include <errno.h>

#include "broker/api/api.h"
#include "storage/base/endian.h"
#include "storage/base/trace.h"

#define REPLY_BYTES_KEPT 512 /* of a reset call */

static void finish(Call *call) {
        call->is_done = true;
        call->cancel = NULL;
        if (call->on_done)
                call->on_done(call);
}

/* What the coordinators answer rests on records of internal topics, their own or those that others wrote just before: where these
 * have to be durable, the answer waits until they are. */
static bool rests_on_internal_topics(const Call *call) {
        static const MessageSchema *const requests[] = {
                &OffsetCommitRequest_message,        &OffsetFetchRequest_message,       &OffsetDeleteRequest_message,
                &JoinGroupRequest_message,           &SyncGroupRequest_message,         &DeleteGroupsRequest_message,
                &InitProducerIdRequest_message,      &AddPartitionsToTxnRequest_message, &AddOffsetsToTxnRequest_message,
                &EndTxnRequest_message,              &TxnOffsetCommitRequest_message,   &WriteTxnMarkersRequest_message,
        };
        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
                if (requests[i] == call->api->request)
                        return true;
        return false;
}

static void stop_holding(Call *call) {
        list_remove(&call->hold.node);
}

static void on_sync(CommitWait *hold, State *state) {
        Call *call = container_of(hold, Call, hold);
        if (state_sync_is_past(state, call->hold_mark))
                finish(call);
        else
                state_wait_sync(state, hold, on_sync);
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
        int r = codec_encode(call->api->response, call_version(call), response, reply);
        size_t size = reply_size(reply);
        if (!head || r < 0 || size > INT32_MAX) {
                call_close(call);
                return;
        }
        store_be32(reply->bytes.data, (uint32_t)(size - 4));
        store_be32(reply->bytes.data + 4, (uint32_t)call->header.correlation_id);
        call->hold_mark = rests_on_internal_topics(call) ? state_sync_mark(call->state) : 0;
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
