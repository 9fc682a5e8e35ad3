/* ListTransactions: v0-2
 * Transactional ids, by state, producer, and (v1) how long they have been open; v2 by a pattern of the id (KIP-664, KIP-994, KIP-1152). */
#include <regex.h>

#include "broker/api/api.h"
#include "broker/state/transactions/transactions.h"

static bool is_known(Str name) {
        for (int i = 0; i < TRANSACTION_STATUS_COUNT; i++)
                if (str_equal(name, str_of(transaction_status_name((TransactionStatus)i))))
                        return true;
        return false;
}

static bool has_state(const ListTransactionsRequest *request, const Transaction *txn) {
        for (int32_t i = 0; i < request->state_filters_count; i++)
                if (str_equal(request->state_filters[i], str_of(transaction_status_name(txn->facts.status))))
                        return true;
        return request->state_filters_count == 0;
}

static bool has_producer(const ListTransactionsRequest *request, const Transaction *txn) {
        for (int32_t i = 0; i < request->producer_id_filters_count; i++)
                if (request->producer_id_filters[i] == txn->facts.producer_id)
                        return true;
        return request->producer_id_filters_count == 0;
}

static bool is_wanted(const Call *call, const Transaction *txn, const regex_t *pattern) {
        const ListTransactionsRequest *request = call->request;
        if (txn->facts.status == TRANSACTION_DEAD || !has_state(request, txn) || !has_producer(request, txn))
                return false;
        if (request->duration_filter >= 0 && call->state->now_ms - txn->facts.start_ms <= request->duration_filter)
                return false; /* what has not begun counts as old, as in Kafka */
        return !pattern || regexec(pattern, txn->id, 0, NULL, 0) == 0;
}

/* The whole id has to match. */
static int compile(Call *call, Str text, regex_t *ret_pattern) {
        Str anchored = arena_printf(&call->arena, "^(%.*s)$", STR_ARG(text));
        return str_is_null(anchored) ? REG_ESPACE : regcomp(ret_pattern, anchored.data, REG_EXTENDED | REG_NOSUB);
}

static bool fill(Call *call, const regex_t *pattern, ListTransactionsResponse *response) {
        const ListTransactionsRequest *request = call->request;
        response->transaction_states = call_array(call, ListTransactionsResponseState, call->state->transactions->by_id.count);
        response->unknown_state_filters = arena_alloc_array(&call->arena, (size_t)request->state_filters_count, sizeof(Str));
        if (!response->transaction_states || !response->unknown_state_filters)
                return false;
        for (int32_t i = 0; i < request->state_filters_count; i++)
                if (!is_known(request->state_filters[i]))
                        response->unknown_state_filters[response->unknown_state_filters_count++] = request->state_filters[i];
        HASHMAP_FOREACH(&call->state->transactions->by_id, node) {
                const Transaction *txn = container_of(node, Transaction, node);
                if (is_wanted(call, txn, pattern))
                        response->transaction_states[response->transaction_states_count++] = (ListTransactionsResponseState){
                                .transactional_id = str_of(txn->id),
                                .producer_id = txn->facts.producer_id,
                                .transaction_state = str_of(transaction_status_name(txn->facts.status)),
                        };
        }
        return true;
}

void api_list_transactions(Call *call) {
        const ListTransactionsRequest *request = call->request;
        ListTransactionsResponse response = ListTransactionsResponse_INIT;
        regex_t pattern;
        bool has_pattern = request->transactional_id_pattern.len > 0;
        if (has_pattern && compile(call, request->transactional_id_pattern, &pattern)) {
                response.error_code = KAFKA_INVALID_REGULAR_EXPRESSION;
                call_reply(call, &response);
                return;
        }
        bool ok = fill(call, has_pattern ? &pattern : NULL, &response);
        if (has_pattern)
                regfree(&pattern);
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
