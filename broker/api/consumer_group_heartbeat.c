/* ConsumerGroupHeartbeat: v0-1
 * Joining, staying in and leaving a group of the consumer protocol (KIP-848): the member says what changed, and is told what it has.
 * v1 adds subscriptions by a pattern, and wants the member to make its own id (KIP-1082). */
#include <errno.h>

#include "broker/api/api.h"
#include "broker/api/internal_topics.h"
#include "broker/state/groups/consumer_heartbeat.h"

typedef struct Heartbeat {
        JournalWrite write;
        Call *call;
        ConsumerGroupHeartbeatResponse response;
        PartitionSet owned;
} Heartbeat;

typedef ConsumerGroupHeartbeatResponseTopicPartitions TopicRow;

static bool fill_assignment(Call *call, const PartitionSet *set, ConsumerGroupHeartbeatResponse *response) {
        response->assignment = call_array(call, ConsumerGroupHeartbeatResponseAssignment, 1);
        TopicRow *rows = call_array(call, ConsumerGroupHeartbeatResponseTopicPartitions, partition_set_topics(set));
        if (!response->assignment || !rows)
                return false;
        response->assignment->topic_partitions = rows;
        for (int32_t at = 0, run; at < set->count; at += run) {
                TopicRow *row = &rows[response->assignment->topic_partitions_count++];
                run = partition_set_run(set, at);
                row->topic_id = set->items[at].topic;
                row->partitions = arena_alloc_array(&call->arena, (size_t)run, sizeof(int32_t));
                if (!row->partitions)
                        return false;
                row->partitions_count = run;
                for (int32_t i = 0; i < run; i++)
                        row->partitions[i] = set->items[at + i].index;
        }
        return true;
}

static void refuse(Heartbeat *h, int16_t code, Str message) {
        h->response = ConsumerGroupHeartbeatResponse_INIT;
        h->response.error_code = code;
        h->response.error_message = message;
        call_reply(h->call, &h->response);
}

static void on_written(JournalWrite *write, State *state, int16_t code) {
        Heartbeat *h = container_of(write, Heartbeat, write);
        if (code)
                refuse(h, code, STR_NULL);
        else
                call_reply(h->call, &h->response);
}

/* What was decided stays so: only the answer is not wanted any more. */
static void cancel(Call *call) {
        Heartbeat *h = call->park;
        list_remove(&h->write.wait.node);
}

static void take_owned(const ConsumerGroupHeartbeatRequest *request, PartitionSet *owned) {
        for (int32_t i = 0; i < request->topic_partitions_count; i++)
                for (int32_t p = 0; p < request->topic_partitions[i].partitions_count; p++)
                        partition_set_add(owned, &request->topic_partitions[i].topic_id, request->topic_partitions[i].partitions[p], 0);
}

static int handle(Heartbeat *h, ConsumerHeartbeatResult *result) {
        Call *call = h->call;
        const ConsumerGroupHeartbeatRequest *request = call->request;
        take_owned(request, &h->owned);
        ConsumerHeartbeat args = {
                .group_id = request->group_id,
                .member_id = request->member_id,
                .instance_id = request->instance_id,
                .rack_id = request->rack_id,
                .client_id = call->header.client_id,
                .client_host = str_of(call->client_host),
                .regex = request->subscribed_topic_regex,
                .assignor = request->server_assignor,
                .epoch = request->member_epoch,
                .rebalance_timeout_ms = request->rebalance_timeout_ms,
                .topics = request->subscribed_topic_names,
                .topic_count = request->subscribed_topic_names_count,
                .owned = request->topic_partitions_count < 0 ? NULL : &h->owned,
                .needs_member_id = call_version(call) >= 1,
        };
        int r = h->owned.failed ? -ENOMEM : group_consumer_heartbeat(call->state, &args, &call->arena, &h->write, on_written, result);
        partition_set_deinit(&h->owned);
        return r;
}

void api_consumer_group_heartbeat(Call *call) {
        if (internal_topics_await_offsets(call))
                return;
        Heartbeat *h = arena_alloc(&call->arena, sizeof(*h));
        ConsumerHeartbeatResult result = { .message = STR_NULL };
        if (!h) {
                call_close(call);
                return;
        }
        *h = (Heartbeat){ .call = call, .response = ConsumerGroupHeartbeatResponse_INIT };
        int r = handle(h, &result);
        if (r) {
                refuse(h, r == KAFKA_MESSAGE_TOO_LARGE ? journal_code(r) : call_code(call, r), result.message);
                return;
        }
        h->response.member_id = arena_str(&call->arena, result.member_id);
        h->response.member_epoch = result.epoch;
        h->response.heartbeat_interval_ms = result.heartbeat_interval_ms;
        bool ok = !result.assignment || fill_assignment(call, result.assignment, &h->response);
        if (!ok && result.is_pending)
                list_remove(&h->write.wait.node);
        if (!ok) {
                call_close(call);
        } else if (!result.is_pending) {
                call_reply(call, &h->response);
        } else {
                call->park = h;
                call->cancel = cancel;
        }
}
