/* ListTransactions: v0-2
 * Transactional ids, by state, producer, and (v1) how long they have been open; v2 by a pattern of the id (KIP-664, KIP-994, KIP-1152). */
#include <stdlib.h>

#include "broker/api/api.h"
#include "broker/api/names.h"
#include "broker/state/regex.h"
#include "broker/state/transactions/transactions.h"

#define COST_MAX 1000000 /* of all matches, in simple ones: what a hostile pattern may take of the loop */

typedef struct Filter {
        bool states[TRANSACTION_STATUS_COUNT]; /* that are wanted */
        Regex *regex; /* NULL: none */
        int cost;     /* so far */
} Filter;

static bool is_known(Str name) {
        for (int i = 0; i < TRANSACTION_STATUS_COUNT; i++)
                if (str_equal(name, str_of(transaction_status_name((TransactionStatus)i))))
                        return true;
        return false;
}

static int compare_ids(const void *a, const void *b) {
        int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
        return left < right ? -1 : left > right;
}

/* A client may name many: they are looked through once, not once for each transaction. */
static void prepare(const ListTransactionsRequest *request, Filter *filter) {
        for (int status = 0; status < TRANSACTION_STATUS_COUNT; status++) {
                Str name = str_of(transaction_status_name((TransactionStatus)status));
                filter->states[status] = request->state_filters_count == 0;
                for (int32_t i = 0; i < request->state_filters_count && !filter->states[status]; i++)
                        filter->states[status] = str_equal(request->state_filters[i], name);
        }
        if (request->producer_id_filters_count)
                qsort(request->producer_id_filters, (size_t)request->producer_id_filters_count, sizeof(int64_t), compare_ids);
}

static bool has_producer(const ListTransactionsRequest *request, const Transaction *txn) {
        return request->producer_id_filters_count == 0 ||
               bsearch(&txn->facts.producer_id, request->producer_id_filters, (size_t)request->producer_id_filters_count, sizeof(int64_t),
                       compare_ids);
}

static bool is_wanted(const Call *call, const Transaction *txn, Filter *filter) {
        const ListTransactionsRequest *request = call->request;
        if (txn->facts.status == TRANSACTION_DEAD || !filter->states[txn->facts.status] || !has_producer(request, txn))
                return false;
        if (request->duration_filter >= 0 && call->state->now_ms - txn->facts.start_ms <= request->duration_filter)
                return false; /* what has not begun counts as old, as in Kafka */
        int cost = 0;
        bool matches = !filter->regex || (filter->cost <= COST_MAX && regex_matches(filter->regex, str_of(txn->id), &cost));
        filter->cost += cost;
        return matches;
}

/* Each once, as often as it may be named. */
static bool list_unknown(Call *call, ListTransactionsResponse *response) {
        const ListTransactionsRequest *request = call->request;
        Names seen;
        names_init(&seen, call);
        response->unknown_state_filters = arena_alloc_array(&call->arena, (size_t)request->state_filters_count, sizeof(Str));
        bool ok = response->unknown_state_filters != NULL;
        for (int32_t i = 0; ok && i < request->state_filters_count; i++) {
                Str name = request->state_filters[i];
                ok = names_add(&seen, name);
                if (ok && names_count(&seen, name) == 1 && !is_known(name))
                        response->unknown_state_filters[response->unknown_state_filters_count++] = name;
        }
        names_deinit(&seen);
        return ok;
}

static bool fill(Call *call, Filter *filter, ListTransactionsResponse *response) {
        response->transaction_states = call_array(call, ListTransactionsResponseState, call->state->transactions->by_id.count);
        if (!response->transaction_states)
                return false;
        if (!list_unknown(call, response))
                return false;
        HASHMAP_FOREACH(&call->state->transactions->by_id, node) {
                const Transaction *txn = container_of(node, Transaction, node);
                if (is_wanted(call, txn, filter))
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
        Filter filter = { .regex = NULL };
        char message[128];
        Str pattern = request->transactional_id_pattern;
        if (pattern.len > 0 && !(filter.regex = regex_new(REGEX_RE2, pattern, message, sizeof(message)))) {
                response.error_code = KAFKA_INVALID_REGULAR_EXPRESSION;
                call_reply(call, &response);
                return;
        }
        prepare(request, &filter);
        bool ok = fill(call, &filter, &response);
        regex_free(filter.regex);
        if (filter.cost > COST_MAX)
                response = (ListTransactionsResponse){ .error_code = KAFKA_REQUEST_TIMED_OUT };
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
