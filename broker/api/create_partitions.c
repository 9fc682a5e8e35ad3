/* CreatePartitions: v0-3
 * Grows topics; they never shrink. v2 is flexible; v3 differs in nothing here. */
#include "broker/api/api.h"
#include "broker/api/cluster.h"
#include "broker/api/names.h"
#include "broker/state/creation.h"

#define REQUEST_PARTITIONS_MAX 10000 /* Kafka's bound on the partitions of one request */

static int16_t check_assignments(Call *call, const CreatePartitionsRequestTopic *want, int32_t added, Str *ret_message) {
        if (want->assignments_count < 0)
                return 0;
        if (want->assignments_count != added) {
                *ret_message = arena_printf(&call->arena,
                        "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", added,
                        want->assignments_count);
                return KAFKA_INVALID_REPLICA_ASSIGNMENT;
        }
        for (int32_t i = 0; i < added; i++) {
                const CreatePartitionsRequestAssignment *assignment = &want->assignments[i];
                int16_t code = cluster_check_replicas(call, assignment->broker_ids, assignment->broker_ids_count, ret_message);
                if (code)
                        return code;
        }
        return 0;
}

/* 0, or the code why the topic cannot grow; takes its new partitions off *left. */
static int16_t check(Call *call, const CreatePartitionsRequestTopic *want, int64_t *left, Str *ret_message) {
        Topic *topic = topic_find(call->state, want->name);
        if (!topic)
                return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        if (want->count == topic->partition_count) {
                *ret_message = arena_printf(&call->arena, "Topic already has %d partition(s).", topic->partition_count);
                return KAFKA_INVALID_PARTITIONS;
        }
        if (want->count < topic->partition_count) {
                *ret_message = arena_printf(&call->arena,
                        "The topic %s currently has %d partition(s); %d would not be an increase.", topic->name,
                        topic->partition_count, want->count);
                return KAFKA_INVALID_PARTITIONS;
        }
        int32_t added = want->count - topic->partition_count;
        int16_t code = check_assignments(call, want, added, ret_message);
        if (code)
                return code;
        if (topic->is_internal) {
                *ret_message = arena_printf(&call->arena, "The number of partitions of %s says where the records of a group or a transaction "
                                            "are: it cannot change.", topic->name);
                return KAFKA_POLICY_VIOLATION;
        }
        if (added > *left) {
                *ret_message = STR("Unable to perform excessively large batch operation.");
                return KAFKA_POLICY_VIOLATION;
        }
        if (topics_check_room(call->state, added)) {
                *ret_message = STR("There are as many partitions as odradek.max.partitions allows.");
                return KAFKA_POLICY_VIOLATION;
        }
        *left -= added;
        return 0;
}

static int16_t grow(Call *call, const CreatePartitionsRequestTopic *want, int64_t *left, Str *ret_message) {
        const CreatePartitionsRequest *request = call->request;
        int16_t code = check(call, want, left, ret_message);
        if (code || request->validate_only)
                return code;
        return call_code(call, topic_add_partitions(call->state, topic_find(call->state, want->name), want->count));
}

static int plan_all(Call *call, Creation **creation) {
        const CreatePartitionsRequest *request = call->request;
        int64_t left = REQUEST_PARTITIONS_MAX;
        Str message;
        int r = creation_check_turn(call->state);
        if (request->validate_only || request->timeout_ms <= 0)
                return 0;
        for (int32_t i = 0; r == 0 && i < request->topics_count; i++)
                if (check(call, &request->topics[i], &left, &message) == 0)
                        r = creation_add(call->state, creation, request->topics[i].name, request->topics[i].count);
        return r;
}

/* Kafka's controller takes a request without time for one that came too late, where there is anything to do. */
static void time_out(const CreatePartitionsRequest *request, CreatePartitionsResponse *response) {
        for (int32_t i = 0; i < request->topics_count; i++) {
                CreatePartitionsResponseResult *row = &response->results[response->results_count++];
                row->name = request->topics[i].name;
                row->error_code = KAFKA_REQUEST_TIMED_OUT;
                row->error_message = STR_NULL;
        }
}

void api_create_partitions(Call *call) {
        const CreatePartitionsRequest *request = call->request;
        if (call_awaits_creation(call, plan_all))
                return;
        CreatePartitionsResponse response = CreatePartitionsResponse_INIT;
        response.results = call_array(call, CreatePartitionsResponseResult, request->topics_count);
        int64_t left = REQUEST_PARTITIONS_MAX;
        bool ok = response.results != NULL;
        Names names;
        names_init(&names, call);
        for (int32_t i = 0; ok && i < request->topics_count; i++)
                ok = names_add(&names, request->topics[i].name);
        bool is_late = ok && request->timeout_ms <= 0 && names_any_once(&names);
        if (is_late)
                time_out(request, &response);
        for (int32_t i = 0; ok && !is_late && i < request->topics_count; i++) {
                const CreatePartitionsRequestTopic *want = &request->topics[i];
                if (!names_take(&names, want->name))
                        continue;
                CreatePartitionsResponseResult *row = &response.results[response.results_count++];
                row->name = want->name;
                if (names_count(&names, want->name) > 1) {
                        row->error_code = KAFKA_INVALID_REQUEST;
                        row->error_message = STR("Duplicate topic name.");
                } else {
                        row->error_code = grow(call, want, &left, &row->error_message);
                }
        }
        names_deinit(&names);
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
