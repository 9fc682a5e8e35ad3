/* FindCoordinator: v0-6
 * The coordinator of every group and transactional id is this node. v1 adds key types; v3 is flexible; v4 takes several keys (KIP-699);
 * v6 knows share groups (key type 2), which are not served. Errors are worded as Kafka words them. */
#include "broker/api/api.h"
#include "broker/api/internal_topics.h"
#include "broker/state/groups/groups.h"
#include "broker/state/journal.h"
#include "broker/state/transactions/transactions.h"

enum { KEY_GROUP = 0, KEY_TRANSACTION = 1, KEY_SHARE = 2 };

static int16_t check(Call *call, int8_t type, Str key, Str *ret_message) {
        if (type == KEY_SHARE && call_version(call) >= 4)
                return KAFKA_INVALID_REQUEST;
        if (type != KEY_GROUP && type != KEY_TRANSACTION) {
                *ret_message = STR("This most likely occurs because of a request being malformed by the client library or the message "
                                   "was sent to an incompatible broker. See the broker logs for more details.");
                return KAFKA_INVALID_REQUEST;
        }
        Str topic = type == KEY_GROUP ? STR(TOPIC_NAME_OFFSETS) : STR(TOPIC_NAME_TRANSACTIONS);
        if ((type == KEY_GROUP ? groups_ensure_topic(call->state) : transactions_ensure_topic(call->state)) ||
            !journal_is_readable(call->state, topic, key)) {
                *ret_message = call_version(call) >= 4 ? *ret_message : STR("The coordinator is not available.");
                return KAFKA_COORDINATOR_NOT_AVAILABLE;
        }
        return 0;
}

static void answer_one(Call *call, FindCoordinatorResponse *response) {
        const FindCoordinatorRequest *request = call->request;
        response->error_message = call_version(call) >= 1 ? STR("NONE") : STR_NULL;
        response->error_code = check(call, request->key_type, request->key, &response->error_message);
        if (response->error_code) {
                response->node_id = -1;
                response->port = -1;
                return;
        }
        response->node_id = call->state->node_id;
        response->host = str_of(call->listener->advertised_host);
        response->port = call->listener->advertised_port ? call->listener->advertised_port : call->listener->port;
}

void api_find_coordinator(Call *call) {
        const FindCoordinatorRequest *request = call->request;
        FindCoordinatorResponse response = FindCoordinatorResponse_INIT;
        if ((request->key_type == KEY_GROUP && internal_topics_await_offsets(call)) ||
            (request->key_type == KEY_TRANSACTION && internal_topics_await_transactions(call)))
                return;
        if (call_version(call) < 4) {
                answer_one(call, &response);
                call_reply(call, &response);
                return;
        }
        response.coordinators = call_array(call, FindCoordinatorResponseCoordinator, request->coordinator_keys_count);
        response.coordinators_count = request->coordinator_keys_count;
        if (!response.coordinators) {
                call_close(call);
                return;
        }
        for (int32_t i = 0; i < request->coordinator_keys_count; i++) {
                FindCoordinatorResponseCoordinator *row = &response.coordinators[i];
                row->key = request->coordinator_keys[i];
                row->error_message = STR("");
                row->error_code = check(call, request->key_type, row->key, &row->error_message);
                row->node_id = row->error_code ? -1 : call->state->node_id;
                row->host = row->error_code ? STR("") : str_of(call->listener->advertised_host);
                row->port = row->error_code ? -1
                            : call->listener->advertised_port ? call->listener->advertised_port
                                                              : call->listener->port;
        }
        call_reply(call, &response);
}
