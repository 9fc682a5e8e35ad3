/* Transactional ids: who owns them, and what their transactions hold. How transactions end is in transaction_end.c. */
#include "broker/state/transactions/transactions.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/state/creation.h"
#include "broker/state/journal.h"
#include "broker/state/producer_ids.h"
#include "broker/state/transactions/transaction_log.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"
#include "storage/batch.h"

#define EPOCH_LAST (INT16_MAX - 1) /* clients get none beyond, so that there is always one to fence them with */

const char *transaction_status_name(TransactionStatus status) {
        static const char *const names[] = { "Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort",
                                             "Dead", "PrepareEpochFence" };
        return names[status];
}

/* ---- memory */

Transaction *transaction_find(const State *state, Str id) {
        HashNode *node = hashmap_find(&state->transactions->by_id, id);
        return node ? container_of(node, Transaction, node) : NULL;
}

static void on_timer(Timer *timer, State *state) {
        Transaction *txn = container_of(timer, Transaction, timer);
        TransactionStatus status = txn->facts.status;
        if (status == TRANSACTION_PREPARE_COMMIT || status == TRANSACTION_PREPARE_ABORT)
                transaction_carry_out(state, txn);
        else if (status == TRANSACTION_ONGOING && !txn->is_changing) /* otherwise the end of the change sets the timer */
                transaction_fence(state, txn, NULL);
}

void transaction_set_timer(State *state, Transaction *txn, int64_t at_least_ms) {
        int64_t passed_ms = state->now_ms > txn->facts.start_ms ? state->now_ms - txn->facts.start_ms : 0; /* clocks may go back */
        int64_t left_ms = txn->facts.timeout_ms - passed_ms;
        if (txn->facts.status != TRANSACTION_ONGOING)
                timer_stop(state, &txn->timer);
        else if (timer_set(state, &txn->timer, state->mono_ms + (left_ms > at_least_ms ? left_ms : at_least_ms)) < 0)
                trace_error("no memory for the timeout of a transaction");
}

Transaction *transaction_new(State *state, Str id) {
        Transaction *txn = calloc(1, sizeof(*txn));
        if (!txn || !(txn->id = str_dup(id))) {
                free(txn);
                return NULL;
        }
        txn->previous_producer_id = -1;
        txn->facts = (TransactionFacts){ .producer_id = -1, .next_producer_id = -1, .producer_epoch = -1, .last_producer_epoch = -1,
                                         .start_ms = -1, .update_ms = state->now_ms };
        txn->partitions = HASHMAP_INIT;
        txn->timer.fire = on_timer;
        txn->state_owner = state;
        if (hashmap_insert(&state->transactions->by_id, str_of(txn->id), &txn->node)) {
                free(txn->id);
                free(txn);
                return NULL;
        }
        return txn;
}

void transaction_drop_partition(Transaction *txn, TransactionPartition *partition) {
        hashmap_remove(&txn->partitions, &partition->node);
        free(partition);
}

void transaction_clear_partitions(Transaction *txn) {
        HASHMAP_FOREACH(&txn->partitions, node)
                transaction_drop_partition(txn, container_of(node, TransactionPartition, node));
        hashmap_deinit(&txn->partitions);
        txn->partitions = HASHMAP_INIT;
}

void transaction_free(State *state, Transaction *txn) {
        transaction_clear_partitions(txn);
        timer_stop(state, &txn->timer);
        list_remove(&txn->markers.node);
        hashmap_remove(&state->transactions->by_id, &txn->node);
        free(txn->id);
        free(txn);
}

/* A partition's number and topic, as bytes: in a topic's name there may be anything that a client sends. */
#define KEY_BYTES_MAX (sizeof(int32_t) + TOPIC_NAME_LENGTH_MAX)

static Str write_key(Str topic, int32_t partition, char *to) {
        memcpy(to, &partition, sizeof(partition));
        memcpy(to + sizeof(partition), topic.data, topic.len);
        return (Str){ to, sizeof(partition) + topic.len };
}

bool transaction_has(const Transaction *txn, Str topic, int32_t partition) {
        char key[KEY_BYTES_MAX];
        return topic.len <= TOPIC_NAME_LENGTH_MAX && hashmap_find(&txn->partitions, write_key(topic, partition, key));
}

int transaction_add_partition(Transaction *txn, Str topic, int32_t partition) {
        if (transaction_has(txn, topic, partition))
                return 0;
        if (topic.len > TOPIC_NAME_LENGTH_MAX)
                return KAFKA_INVALID_TOPIC_EXCEPTION;
        TransactionPartition *added = calloc(1, sizeof(*added) + sizeof(partition) + topic.len);
        if (!added)
                return -ENOMEM;
        added->partition = partition;
        added->marker_end = -1;
        Str key = write_key(topic, partition, added->key);
        added->topic = (Str){ added->key + sizeof(partition), topic.len };
        if (hashmap_insert(&txn->partitions, key, &added->node)) {
                free(added);
                return -ENOMEM;
        }
        return 0;
}

static void set_config(ConfigMap *map, const char *key, Str value) {
        if (config_map_set(map, config_find_key(CONFIG_RESOURCE_TOPIC, str_of(key)), value, CONFIG_SOURCE_TOPIC) < 0)
                trace_error("out of memory");
}

static int32_t topic_partition_count(const State *state) {
        return (int32_t)config_int(state->config, "transaction.state.log.num.partitions");
}

int transactions_ensure_topic(State *state) {
        if (topic_find(state, STR(TOPIC_NAME_TRANSACTIONS)))
                return 0;
        Topic *topic;
        ConfigMap map = CONFIG_MAP_INIT;
        set_config(&map, "cleanup.policy", STR("compact"));
        set_config(&map, "compression.type", STR("uncompressed"));
        set_config(&map, "unclean.leader.election.enable", STR("false"));
        set_config(&map, "min.insync.replicas", STR("1"));
        set_config(&map, "segment.bytes", config_str(state->config, "transaction.state.log.segment.bytes"));
        int r = topic_create(state, STR(TOPIC_NAME_TRANSACTIONS), topic_partition_count(state), &map, &topic);
        config_map_deinit(&map);
        return r == KAFKA_TOPIC_ALREADY_EXISTS ? 0 : r;
}

int transactions_plan_topic(State *state, Creation **creation) {
        bool is_there = topic_find(state, STR(TOPIC_NAME_TRANSACTIONS));
        return is_there ? 0 : creation_add(state, creation, STR(TOPIC_NAME_TRANSACTIONS), topic_partition_count(state));
}

/* ---- expiry of transactional ids */

static void on_forgotten(State *state, Transaction *txn, const TransactionFacts *facts, TransactionWait *wait, int16_t code) {
        txn->is_changing = false;
        if (!code)
                transaction_free(state, txn);
}

static bool is_expired(const State *state, const Transaction *txn) {
        TransactionStatus status = txn->facts.status;
        return !txn->is_changing && !txn->unwritten_count &&
               (status == TRANSACTION_EMPTY || status == TRANSACTION_COMPLETE_COMMIT || status == TRANSACTION_COMPLETE_ABORT) &&
               txn->facts.update_ms + config_int(state->config, "transactional.id.expiration.ms") <= state->now_ms;
}

static void watch_expiry(State *state) {
        Timer *timer = &state->transactions->expiry;
        if (!timer_is_set(timer) && state->transactions->by_id.count)
                timer_set(state, timer,
                          state->mono_ms + config_int(state->config, "transaction.remove.expired.transaction.cleanup.interval.ms"));
}

static void on_expiry(Timer *timer, State *state) {
        HASHMAP_FOREACH(&state->transactions->by_id, node) {
                Transaction *txn = container_of(node, Transaction, node);
                if (is_expired(state, txn))
                        txn->is_changing = transaction_log_forget(state, txn, on_forgotten) == 0;
        }
        watch_expiry(state);
}

/* Whether what is not there does not exist: the log that would say so may be damaged. */
static bool is_known(const State *state, Str id) {
        return journal_is_readable(state, STR(TOPIC_NAME_TRANSACTIONS), id);
}

int16_t transaction_missing_code(const State *state, Str id) {
        return is_known(state, id) ? KAFKA_INVALID_PRODUCER_ID_MAPPING : KAFKA_COORDINATOR_NOT_AVAILABLE;
}

int transactions_open(State *state) {
        state->transactions = calloc(1, sizeof(*state->transactions));
        if (!state->transactions)
                return -ENOMEM;
        state->transactions->by_id = HASHMAP_INIT;
        state->transactions->expiry.fire = on_expiry;
        int r = transaction_log_replay(state);
        if (r)
                return r;
        HASHMAP_FOREACH(&state->transactions->by_id, node) {
                Transaction *txn = container_of(node, Transaction, node);
                if (!is_known(state, str_of(txn->id)))
                        transaction_free(state, txn); /* what the sound part says may be over long since: no marker for that */
                else if (txn->facts.status == TRANSACTION_PREPARE_COMMIT || txn->facts.status == TRANSACTION_PREPARE_ABORT)
                        transaction_carry_out(state, txn);
                else
                        transaction_set_timer(state, txn, 0);
        }
        watch_expiry(state);
        return 0;
}

void transactions_close(State *state) {
        if (!state->transactions)
                return;
        HASHMAP_FOREACH(&state->transactions->by_id, node)
                transaction_free(state, container_of(node, Transaction, node));
        timer_stop(state, &state->transactions->expiry);
        hashmap_deinit(&state->transactions->by_id);
        free(state->transactions);
        state->transactions = NULL;
}

/* ---- InitProducerId */

static void on_initialised(State *state, Transaction *txn, const TransactionFacts *facts, TransactionWait *wait, int16_t code) {
        txn->is_changing = false;
        if (code) {
                transaction_refuse(state, wait, code);
                return;
        }
        txn->previous_producer_id = txn->facts.producer_id;
        txn->facts = *facts;
        transaction_clear_partitions(txn);
        transaction_answer(state, wait, 0, facts->producer_id, facts->producer_epoch);
}

static bool is_exhausted(int16_t epoch) {
        return epoch >= EPOCH_LAST;
}

/* Whether a producer that says what it has may be the one that owns the transactional id (KIP-360). */
static bool may_be_owner(const Transaction *txn, int64_t producer_id, int16_t producer_epoch) {
        return producer_id == -1 || txn->facts.producer_epoch < 0 || producer_id == txn->facts.producer_id ||
               (producer_id == txn->previous_producer_id && is_exhausted(producer_epoch));
}

/* The next epoch: of a new owner, of the owner that recovers, or the same again where the answer got lost. 0 or PRODUCER_FENCED. */
static int16_t bump_epoch(const Transaction *txn, int64_t producer_id, int16_t producer_epoch, TransactionFacts *facts) {
        const TransactionFacts *now = &txn->facts;
        if (producer_id != -1 && now->producer_epoch >= 0 && producer_epoch != now->producer_epoch) {
                bool is_retry = producer_epoch == now->last_producer_epoch;
                return is_retry ? 0 : KAFKA_PRODUCER_FENCED;
        }
        facts->producer_epoch = (int16_t)(now->producer_epoch + 1);
        facts->last_producer_epoch = producer_id == -1 ? -1 : now->producer_epoch;
        return 0;
}

static int16_t rotate_id(State *state, const Transaction *txn, bool is_recovery, TransactionFacts *facts) {
        if (producer_ids_take(state, &facts->producer_id))
                return KAFKA_COORDINATOR_NOT_AVAILABLE;
        facts->producer_epoch = 0;
        facts->last_producer_epoch = is_recovery ? txn->facts.producer_epoch : -1;
        return 0;
}

static void init_owner(State *state, Transaction *txn, int32_t timeout_ms, int64_t producer_id, int16_t producer_epoch,
                       TransactionWait *wait) {
        TransactionFacts facts = txn->facts;
        facts.status = TRANSACTION_EMPTY;
        facts.timeout_ms = timeout_ms;
        facts.start_ms = -1;
        facts.update_ms = state->now_ms;
        bool rotates = is_exhausted(txn->facts.producer_epoch) && (producer_id == -1 || producer_epoch == txn->facts.producer_epoch);
        int16_t code = rotates ? rotate_id(state, txn, producer_id != -1, &facts)
                               : bump_epoch(txn, producer_id, producer_epoch, &facts);
        if (!code && transaction_log_write(state, txn, &facts, wait, on_initialised))
                code = KAFKA_COORDINATOR_NOT_AVAILABLE;
        if (code)
                transaction_refuse(state, wait, code);
        else
                txn->is_changing = true;
}

/* A new transactional id, whose producer has no epoch yet. */
static int16_t find_or_make(State *state, Str id, int32_t timeout_ms, Transaction **ret_txn) {
        *ret_txn = transaction_find(state, id);
        if (*ret_txn)
                return 0;
        int64_t producer_id;
        if ((int64_t)state->transactions->by_id.count >= config_int(state->config, "odradek.max.transactional.ids"))
                return KAFKA_POLICY_VIOLATION;
        if (!is_known(state, id) || transactions_ensure_topic(state) || producer_ids_take(state, &producer_id))
                return KAFKA_COORDINATOR_NOT_AVAILABLE;
        Transaction *txn = transaction_new(state, id);
        if (!txn)
                return KAFKA_COORDINATOR_NOT_AVAILABLE;
        txn->facts.producer_id = producer_id;
        txn->facts.timeout_ms = timeout_ms;
        watch_expiry(state);
        *ret_txn = txn;
        return 0;
}

void transaction_init(State *state, Str id, int32_t timeout_ms, int64_t producer_id, int16_t producer_epoch, TransactionWait *wait) {
        Transaction *txn = NULL;
        int16_t code = 0;
        if (id.len == 0)
                code = KAFKA_INVALID_REQUEST;
        else if (timeout_ms <= 0 || timeout_ms > config_int(state->config, "transaction.max.timeout.ms"))
                code = KAFKA_INVALID_TRANSACTION_TIMEOUT;
        else
                code = find_or_make(state, id, timeout_ms, &txn);
        if (!code && txn->is_changing)
                code = KAFKA_CONCURRENT_TRANSACTIONS;
        else if (!code && !may_be_owner(txn, producer_id, producer_epoch))
                code = KAFKA_PRODUCER_FENCED;
        else if (!code && (txn->facts.status == TRANSACTION_PREPARE_COMMIT || txn->facts.status == TRANSACTION_PREPARE_ABORT))
                code = KAFKA_CONCURRENT_TRANSACTIONS;
        if (code)
                transaction_refuse(state, wait, code);
        else if (txn->facts.status == TRANSACTION_ONGOING)
                transaction_fence(state, txn, wait); /* the client asks again when that is done */
        else
                init_owner(state, txn, timeout_ms, producer_id, producer_epoch, wait);
}

/* ---- partitions of a transaction */

static int16_t check_owner(const State *state, Str id, int64_t producer_id, int16_t producer_epoch) {
        const Transaction *txn = transaction_find(state, id);
        if (!txn)
                return transaction_missing_code(state, id);
        if (txn->facts.producer_id != producer_id)
                return KAFKA_INVALID_PRODUCER_ID_MAPPING;
        if (txn->facts.producer_epoch != producer_epoch)
                return KAFKA_PRODUCER_FENCED;
        if (txn->facts.status == TRANSACTION_PREPARE_COMMIT || txn->facts.status == TRANSACTION_PREPARE_ABORT)
                return KAFKA_CONCURRENT_TRANSACTIONS;
        return 0;
}

int16_t transaction_verify(const State *state, Str id, int64_t producer_id, int16_t producer_epoch, Str topic, int32_t partition) {
        if (id.len == 0)
                return KAFKA_INVALID_REQUEST;
        int16_t code = check_owner(state, id, producer_id, producer_epoch);
        return code ? code : transaction_has(transaction_find(state, id), topic, partition) ? 0 : KAFKA_TRANSACTION_ABORTABLE;
}

static void on_added(State *state, Transaction *txn, const TransactionFacts *facts, TransactionWait *wait, int16_t code) {
        if (code)
                transaction_refuse(state, wait, code);
        else
                transaction_answer(state, wait, 0, facts->producer_id, facts->producer_epoch);
}

/* Several additions may be on their way at once, so each is in force for the next at once; should its record not get into the log,
 * a marker too many goes to its partition at the end. */
static int add_all(State *state, Transaction *txn, const TransactionTarget *targets, int32_t count, int16_t client_version,
                   TransactionWait *wait) {
        for (int32_t i = 0; i < count; i++) {
                int r = transaction_add_partition(txn, targets[i].topic, targets[i].partition);
                if (r)
                        return r;
        }
        if (txn->facts.status != TRANSACTION_ONGOING)
                txn->facts.start_ms = state->now_ms;
        txn->facts.status = TRANSACTION_ONGOING;
        txn->facts.update_ms = state->now_ms;
        txn->facts.client_version = client_version;
        transaction_set_timer(state, txn, 0);
        return transaction_log_write(state, txn, &txn->facts, wait, on_added);
}

static bool has_all(const Transaction *txn, const TransactionTarget *targets, int32_t count) {
        for (int32_t i = 0; i < count; i++)
                if (!transaction_has(txn, targets[i].topic, targets[i].partition))
                        return false;
        return txn->facts.status == TRANSACTION_ONGOING;
}

void transaction_add(State *state, Str id, int64_t producer_id, int16_t producer_epoch, const TransactionTarget *targets,
                     int32_t count, int16_t client_version, TransactionWait *wait) {
        Transaction *txn = transaction_find(state, id);
        int16_t code = id.len ? check_owner(state, id, producer_id, producer_epoch) : KAFKA_INVALID_REQUEST;
        if (!code && txn->is_changing)
                code = KAFKA_CONCURRENT_TRANSACTIONS;
        if (code)
                transaction_refuse(state, wait, code);
        else if (has_all(txn, targets, count) && !txn->unwritten_count)
                transaction_answer(state, wait, 0, producer_id, producer_epoch);
        else if (add_all(state, txn, targets, count, client_version, wait))
                transaction_refuse(state, wait, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

/* ---- Produce */

#define PRODUCE_TRANSACTIONS_V2 12 /* from this version on, partitions are added by the broker */
#define PRODUCE_ABORTABLE 11       /* from this one on, clients know TRANSACTION_ABORTABLE */

bool transaction_read_batch(Str records, BatchHeader *ret_header) {
        int r = records.data ? batch_read_header((const uint8_t *)records.data, records.len, ret_header) : -EAGAIN;
        return r == 0 && ret_header->attributes & BATCH_TRANSACTIONAL;
}

bool transaction_is_part(Str records) {
        BatchHeader header;
        return transaction_read_batch(records, &header);
}

static int16_t produce_code(int16_t code, int16_t version) {
        if (code == KAFKA_PRODUCER_FENCED)
                return KAFKA_INVALID_PRODUCER_EPOCH;
        if (code == KAFKA_CONCURRENT_TRANSACTIONS && version < PRODUCE_TRANSACTIONS_V2)
                return KAFKA_NOT_ENOUGH_REPLICAS; /* what older clients try again */
        if (code == KAFKA_TRANSACTION_ABORTABLE && version < PRODUCE_ABORTABLE)
                return KAFKA_INVALID_TXN_STATE;
        return code;
}

TransactionAdmission transaction_admit(const State *state, Str id, int16_t produce_version, const Partition *partition, Str records) {
        BatchHeader header;
        if (!transaction_read_batch(records, &header) || header.producer_id < 0 || log_check_frame((const uint8_t *)records.data, records.len))
                return (TransactionAdmission){ 0 }; /* the log will refuse what is not one whole batch */
        TransactionAdmission admission = { .producer_id = header.producer_id, .producer_epoch = header.producer_epoch,
                                           .base_sequence = header.base_sequence };
        if (partition->log && log_has_open_transaction(partition->log, header.producer_id, header.producer_epoch))
                return admission; /* it was checked when it began */
        bool adds = admission.is_first_v2 = produce_version >= PRODUCE_TRANSACTIONS_V2;
        if (!adds && !config_bool(state->config, "transaction.partition.verification.enable"))
                return admission;
        if (partition->log && log_producer_epoch(partition->log, header.producer_id) > header.producer_epoch) {
                admission.code = KAFKA_INVALID_PRODUCER_EPOCH; /* whoever it says it is */
                return admission;
        }
        int16_t code = transaction_verify(state, id, header.producer_id, header.producer_epoch, str_of(partition->topic->name),
                                          partition->index);
        const Transaction *txn = transaction_find(state, id);
        /* behind an addition that is on its way, batches keep their order */
        admission.has_to_add = adds && (code == KAFKA_TRANSACTION_ABORTABLE || (!code && txn->unwritten_count));
        if (admission.has_to_add)
                admission.is_added = !code;
        else
                admission.code = produce_code(code, produce_version);
        return admission;
}
