/* SyncGroup: v0-5
 * Brings the leader's assignment, and waits for it. v3 adds static members; v4 is flexible; v5 checks protocol type and name. */
#include "broker/api/api.h"
#include "broker/state/groups/consumer_heartbeat.h"

typedef struct Sync {
        SyncWait wait;
        Call *call;
        bool is_answered;
} Sync;

static void on_done(SyncWait *wait, int16_t code, const Member *member) {
        Sync *sync = container_of(wait, Sync, wait);
        SyncGroupResponse response = SyncGroupResponse_INIT;
        sync->is_answered = true;
        response.error_code = code;
        response.protocol_type = response.protocol_name = STR_NULL;
        response.assignment = STR("");
        if (member) {
                response.protocol_type = str_of(member->group->protocol_type);
                response.protocol_name = str_of(member->group->protocol);
                if (!str_is_null(member->assignment))
                        response.assignment = member->assignment;
        }
        call_reply(sync->call, &response);
}

static void cancel(Call *call) {
        sync_wait_cancel(&((Sync *)call->park)->wait);
}

/* v5 must name what it follows. */
static bool lacks_protocol(const Call *call) {
        const SyncGroupRequest *request = call->request;
        return call_version(call) >= 5 && (str_is_null(request->protocol_type) || str_is_null(request->protocol_name));
}

static void sync_consumer_group(Call *call, Group *group, const SyncArgs *args) {
        SyncGroupResponse response = SyncGroupResponse_INIT;
        Reply assignment = REPLY_INIT;
        response.error_code = consumer_sync(call->state, group, args, &assignment);
        response.protocol_type = response.error_code ? STR_NULL : args->protocol_type;
        response.protocol_name = response.error_code ? STR_NULL : args->protocol;
        response.assignment = (Str){ assignment.bytes.data ? (const char *)assignment.bytes.data : "", assignment.bytes.size };
        call_reply(call, &response);
        reply_deinit(&assignment);
}

void api_sync_group(Call *call) {
        const SyncGroupRequest *request = call->request;
        Sync *sync = arena_alloc(&call->arena, sizeof(*sync));
        SyncAssignment *assignments = arena_alloc_array(&call->arena, (size_t)request->assignments_count, sizeof(*assignments));
        if (!sync || !assignments) {
                call_close(call);
                return;
        }
        *sync = (Sync){ .wait = { .done = on_done }, .call = call };
        if (lacks_protocol(call)) {
                on_done(&sync->wait, KAFKA_INCONSISTENT_GROUP_PROTOCOL, NULL);
                return;
        }
        for (int32_t i = 0; i < request->assignments_count; i++)
                assignments[i] = (SyncAssignment){ request->assignments[i].member_id, request->assignments[i].assignment };
        SyncArgs args = {
                .group_id = request->group_id,
                .member_id = request->member_id,
                .instance_id = request->group_instance_id,
                .protocol_type = request->protocol_type,
                .protocol = request->protocol_name,
                .generation = request->generation_id,
                .assignments = assignments,
                .assignment_count = request->assignments_count,
        };
        Group *group = args.group_id.len ? group_find(call->state, args.group_id) : NULL;
        if (group && group->consumer) {
                sync_consumer_group(call, group, &args);
                return;
        }
        group_sync(call->state, &args, &sync->wait);
        if (sync->is_answered)
                return;
        call->park = sync;
        call->cancel = cancel;
}
