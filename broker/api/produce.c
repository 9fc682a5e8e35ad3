/* Produce: v3-13 (advertised from 0)
 * Appends record batches. The answer waits for the turn's write: base offsets are final only then; and, where the configs ask for it,
 * for the sync that follows.
 * v5 adds log_start_offset; v7 takes zstd (KIP-110); v8 adds record_errors and error_message (KIP-467); v9 is flexible; v10 adds the
 * current leader (KIP-951), which is always this node; v11 knows TRANSACTION_ABORTABLE; v12 takes partitions into their transaction
 * (KIP-890); v13 names topics by id (KIP-516). */
#include <inttypes.h>

#include "broker/api/api.h"
#include "broker/state/batch_checks.h"
#include "broker/state/transactions/transactions.h"

typedef struct Appended {
        Partition *partition; /* NULL once the row says what became of it */
        ProduceResponsePartitionResponse *row;
        int64_t base_offset, end_offset;
} Appended;

typedef struct Produce {
        CommitWait wait;
        TransactionWait transaction; /* while partitions are added to it */
        CheckWait checked;   /* while batches are checked that take long */
        BatchChecks *checks; /* of the compressed ones; NULL: there are none */
        int32_t place;       /* of the next batch in the request */
        bool has_added;
        bool is_kept;        /* the request's bytes outlive the turn */
        int16_t add_code; /* why not, for those that were to be added */
        Timer timer; /* of acks=all, while a sync is waited for */
        Call *call;
        ProduceResponse response;
        Appended *appended; /* one for each partition of the request that was queued */
        int32_t appended_count;
        bool has_error;
} Produce;

static void fail_row(Produce *p, ProduceResponsePartitionResponse *row, int16_t code) {
        row->error_code = code;
        row->base_offset = -1;
        row->log_append_time_ms = -1;
        row->log_start_offset = -1;
        p->has_error = true;
}

static void answer(Produce *p) {
        const ProduceRequest *request = p->call->request;
        if (request->acks != 0)
                call_reply(p->call, &p->response);
        else if (p->has_error)
                call_close(p->call); /* the only way to tell a client that waits for nothing */
        else
                call_finish_silently(p->call);
}

/* The row says for good what became of its batch. */
static void settle(Produce *p, Appended *a) {
        if (a->partition->is_deleted) {
                fail_row(p, a->row, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        } else {
                a->row->base_offset = a->base_offset;
                a->row->log_start_offset = partition_start_offset(a->partition);
        }
        a->partition = NULL;
}

/* Whether nothing is left to wait for. */
static bool settle_rows(Produce *p) {
        const ProduceRequest *request = p->call->request;
        bool all = true;
        for (int32_t i = 0; i < p->appended_count; i++) {
                Appended *a = &p->appended[i];
                if (a->partition && (request->acks == 0 || partition_is_settled(a->partition, a->end_offset)))
                        settle(p, a);
                all = all && !a->partition;
        }
        return all;
}

static void on_sync(CommitWait *wait, State *state) {
        Produce *p = container_of(wait, Produce, wait);
        if (!settle_rows(p)) {
                state_wait_sync(state, wait, on_sync);
                return;
        }
        timer_stop(state, &p->timer);
        answer(p);
}

static void on_timeout(Timer *timer, State *state) {
        Produce *p = container_of(timer, Produce, timer);
        list_remove(&p->wait.node);
        for (int32_t i = 0; i < p->appended_count; i++)
                if (p->appended[i].partition)
                        fail_row(p, p->appended[i].row, KAFKA_REQUEST_TIMED_OUT);
        answer(p);
}

static bool keep(Arena *arena, Str *text) {
        if (text->len)
                *text = arena_str(arena, *text);
        return !text->len || text->data;
}

/* The frame's bytes are gone with the turn: what the answer needs of them is copied. */
static bool outlive_turn(Produce *p) {
        Arena *arena = &p->call->arena;
        p->call->header.client_id = STR_NULL;
        for (int32_t i = 0; i < p->response.responses_count; i++)
                if (!keep(arena, &p->response.responses[i].name))
                        return false;
        return true;
}

static void wait_for_sync(Produce *p, State *state) {
        const ProduceRequest *request = p->call->request;
        if (!outlive_turn(p)) {
                call_close(p->call);
                return;
        }
        p->timer.fire = on_timeout;
        if (request->acks == -1)
                timer_set(state, &p->timer, state->mono_ms + (request->timeout_ms > 0 ? request->timeout_ms : 0));
        state_wait_sync(state, &p->wait, on_sync);
}

static void on_commit(CommitWait *wait, State *state) {
        Produce *p = container_of(wait, Produce, wait);
        for (int32_t i = 0; i < p->appended_count; i++) {
                Appended *a = &p->appended[i];
                if (partition_is_written(a->partition, a->end_offset))
                        continue;
                fail_row(p, a->row, KAFKA_KAFKA_STORAGE_ERROR);
                a->partition = NULL;
        }
        if (settle_rows(p))
                answer(p);
        else
                wait_for_sync(p, state);
}

static void cancel(Call *call) {
        Produce *p = call->park;
        list_remove(&p->wait.node);
        transaction_wait_cancel(&p->transaction);
        batch_checks_free(p->checks);
        timer_stop(call->state, &p->timer);
}

static Str describe_refusal(Call *call, const Partition *partition, const LogRefusal *refusal) {
        if (refusal->error == KAFKA_INVALID_RECORD)
                return arena_printf(&call->arena, "Compacted topic cannot accept message without key in topic partition %s-%d",
                                    partition->topic->name, partition->index);
        const LogConfig *config = log_config(partition->log);
        int64_t now_ms = call->state->now_ms;
        int64_t last_ms = config->message_timestamp_after_max_ms > INT64_MAX - now_ms
                                  ? INT64_MAX : now_ms + config->message_timestamp_after_max_ms;
        return arena_printf(&call->arena, "Timestamp %" PRId64 " of message with offset %d is out of range. The timestamp should be "
                            "within [%" PRId64 ", %" PRId64 "]", refusal->timestamp_ms, refusal->batch_index,
                            now_ms - config->message_timestamp_before_max_ms, last_ms);
}

/* What is wrong with single records: all of them listed, up to the log's limit, the first three in words. */
static void explain(Call *call, const Partition *partition, const LogAppend *append, ProduceResponsePartitionResponse *row) {
        int32_t count = append->refusal_count < LOG_REFUSALS_MAX ? append->refusal_count : LOG_REFUSALS_MAX;
        Buffer words = BUFFER_INIT;
        row->record_errors = count ? call_array(call, ProduceResponseRecordError, count) : NULL;
        if (!row->record_errors)
                return;
        row->record_errors_count = count;
        for (int32_t i = 0; i < count; i++) {
                Str message = describe_refusal(call, partition, &append->refusals[i]);
                row->record_errors[i] = (ProduceResponseRecordError){ append->refusals[i].batch_index, message };
                if (i < 3)
                        buffer_append_str(&words, arena_printf(&call->arena, "%sRecordError(batchIndex=%d, message='%.*s')",
                                          i ? ", " : "", append->refusals[i].batch_index, STR_ARG(message)));
        }
        if (row->error_code == KAFKA_INVALID_TIMESTAMP)
                row->error_message = STR("One or more records have been rejected due to invalid timestamp");
        else
                row->error_message = arena_printf(&call->arena, "One or more records have been rejected due to %d record errors in total, "
                                                  "and only showing the first three errors at most: [%.*s]",
                                                  append->refusal_count, (int)words.size, words.data ? (char *)words.data : "");
        buffer_deinit(&words);
}

/* Kafka tells where the log starts, unless the error came before that was looked up. */
static bool tells_start(int16_t code, const LogAppend *append) {
        return !append->unframed && code != KAFKA_MESSAGE_TOO_LARGE && code != KAFKA_RECORD_LIST_TOO_LARGE &&
               code != KAFKA_CORRUPT_MESSAGE && code != KAFKA_KAFKA_STORAGE_ERROR;
}

static void refuse(Produce *p, const Partition *partition, int16_t code, const LogAppend *append,
                   ProduceResponsePartitionResponse *row) {
        fail_row(p, row, code);
        if (tells_start(code, append))
                row->log_start_offset = partition_start_offset(partition);
        explain(p->call, partition, append, row);
}

/* A batch that is not let into its transaction: refused before the log is looked at. */
static void refuse_admission(Produce *p, int16_t code, ProduceResponsePartitionResponse *row) {
        fail_row(p, row, code);
        if (code == KAFKA_INVALID_TXN_STATE)
                row->error_message = STR("Partition was not added to the transaction");
}

/* What a check of the batch found out, if there was one, is used up. */
static void append_batch(Produce *p, Partition *partition, Str records, ProduceResponsePartitionResponse *row) {
        State *state = p->call->state;
        BatchCheck *check = batch_checks_take(p->checks, p->place, records);
        LogAppend here, *append = check ? &check->append : &here;
        if (!check)
                log_append_init(append);
        int r = check ? partition_append_checked(state, partition, &check->log)
                      : partition_append(state, partition, (uint8_t *)(uintptr_t)records.data, records.len, LOG_ORIGIN_CLIENT, append);
        if (r) {
                refuse(p, partition, call_code(p->call, r), append, row);
        } else {
                row->log_append_time_ms = append->log_append_time_ms;
                p->appended[p->appended_count++] = (Appended){ partition, row, append->base_offset, append->last_offset + 1 };
        }
        if (check)
                batch_check_free(check);
}

/* With transactions v2 a producer of which nothing is known begins at 0: what was sent before may have been refused, and come again. */
static bool is_out_of_order(const Partition *partition, const TransactionAdmission *admission) {
        return admission->is_first_v2 && admission->base_sequence != 0 && partition->log &&
               log_producer_epoch(partition->log, admission->producer_id) < 0;
}

static void append_one(Produce *p, Topic *topic, const ProduceRequestPartitionData *data,
                       ProduceResponsePartitionResponse *row) {
        Partition *partition = topic_partition(topic, data->index);
        const ProduceRequest *request = p->call->request;
        if (!partition) {
                fail_row(p, row, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
                return;
        }
        Str records = data->records.bytes;
        if (call_version(p->call) < 7 && batch_checks_is_zstd(records)) {
                fail_row(p, row, KAFKA_UNSUPPORTED_COMPRESSION_TYPE);
                return;
        }
        TransactionAdmission admission = { 0 };
        if (!str_is_null(request->transactional_id)) /* check_request() saw that without one no batch is part of a transaction */
                admission = transaction_admit(p->call->state, request->transactional_id, call_version(p->call), partition, records);
        bool is_added = p->has_added && admission.is_added;
        if (admission.code || (admission.has_to_add && !is_added)) {
                refuse_admission(p, admission.code ? admission.code : p->add_code, row);
                return;
        }
        int code = request->acks < -1 || request->acks > 1 ? KAFKA_INVALID_REQUIRED_ACKS
                   : topic->is_internal                    ? KAFKA_INVALID_TOPIC_EXCEPTION
                                                           : 0;
        if (!code && is_out_of_order(partition, &admission)) {
                fail_row(p, row, KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
                row->log_start_offset = partition_start_offset(partition);
                return;
        }
        if (!code) {
                append_batch(p, partition, records, row);
                return;
        }
        int frame_code = log_check_frame((const uint8_t *)records.data, records.len); /* it matters more */
        fail_row(p, row, (int16_t)(frame_code ? frame_code : code));
}

static Topic *find_topic(const Call *call, const ProduceRequestTopicData *data) {
        return call_version(call) >= 13 ? topic_find_id(call->state, &data->topic_id) : topic_find(call->state, data->name);
}

static int append_topic(Produce *p, const ProduceRequestTopicData *data, ProduceResponseResponse *answer_topic) {
        bool by_id = call_version(p->call) >= 13;
        Topic *topic = find_topic(p->call, data);
        answer_topic->name = data->name;
        answer_topic->topic_id = data->topic_id;
        answer_topic->partition_responses = call_array(p->call, ProduceResponsePartitionResponse, data->partition_data_count);
        answer_topic->partition_responses_count = data->partition_data_count;
        if (!answer_topic->partition_responses)
                return KAFKA_UNKNOWN_SERVER_ERROR;
        for (int32_t i = 0; i < data->partition_data_count; i++, p->place++) {
                ProduceResponsePartitionResponse *row = &answer_topic->partition_responses[i];
                row->index = data->partition_data[i].index;
                row->base_offset = -1;
                if (!topic)
                        fail_row(p, row, by_id ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
                else
                        append_one(p, topic, &data->partition_data[i], row);
        }
        return 0;
}

/* Calls each for every batch until it answers false; whether all answered true. */
static bool each_batch(const ProduceRequest *request, bool (*each)(const ProduceRequestTopicData *topic, ProduceRequestPartitionData *data,
                       void *context), void *context) {
        for (int32_t i = 0; i < request->topic_data_count; i++)
                for (int32_t j = 0; j < request->topic_data[i].partition_data_count; j++)
                        if (!each(&request->topic_data[i], &request->topic_data[i].partition_data[j], context))
                                return false;
        return true;
}

static bool is_not_transactional(const ProduceRequestTopicData *topic, ProduceRequestPartitionData *data, void *context) {
        return !transaction_is_part(data->records.bytes);
}

/* Codes that concern the whole request are repeated for every partition. */
static int16_t check_request(const ProduceRequest *request) {
        if (str_is_null(request->transactional_id) && !each_batch(request, is_not_transactional, NULL))
                return KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        return 0;
}

/* The producers of a request's transactional batches. */
typedef struct Writers {
        const Call *call;
        int64_t producer_id;
        int16_t producer_epoch;
        bool has_one, has_more;
} Writers;

static bool count_writer(const ProduceRequestTopicData *topic_data, ProduceRequestPartitionData *data, void *context) {
        Writers *writers = context;
        BatchHeader header;
        Topic *topic = find_topic(writers->call, topic_data);
        if (!topic || !topic_partition(topic, data->index) || !transaction_read_batch(data->records.bytes, &header) || header.producer_id < 0)
                return true;
        writers->has_more = writers->has_one && (writers->producer_id != header.producer_id || writers->producer_epoch != header.producer_epoch);
        writers->has_one = true;
        writers->producer_id = header.producer_id;
        writers->producer_epoch = header.producer_epoch;
        return !writers->has_more;
}

static bool has_many_writers(const Call *call) {
        Writers writers = { .call = call };
        each_batch(call->request, count_writer, &writers);
        return writers.has_more;
}

static void refuse_all(Produce *p, const ProduceRequest *request, int16_t code, Str message) {
        for (int32_t i = 0; i < request->topic_data_count; i++) {
                const ProduceRequestTopicData *data = &request->topic_data[i];
                ProduceResponseResponse *topic = &p->response.responses[i];
                topic->name = data->name;
                topic->topic_id = data->topic_id;
                topic->partition_responses = call_array(p->call, ProduceResponsePartitionResponse, data->partition_data_count);
                if (!topic->partition_responses)
                        continue;
                topic->partition_responses_count = data->partition_data_count;
                for (int32_t j = 0; j < data->partition_data_count; j++) {
                        topic->partition_responses[j].index = data->partition_data[j].index;
                        fail_row(p, &topic->partition_responses[j], code);
                        topic->partition_responses[j].error_message = message;
                }
        }
}

static int32_t count_partitions(const ProduceRequest *request) {
        int32_t count = 0;
        for (int32_t i = 0; i < request->topic_data_count; i++)
                count += request->topic_data[i].partition_data_count;
        return count;
}

static void append_all(Produce *p) {
        Call *call = p->call;
        const ProduceRequest *request = call->request;
        int r = 0;
        p->place = 0;
        for (int32_t i = 0; !r && i < request->topic_data_count; i++)
                r = append_topic(p, &request->topic_data[i], &p->response.responses[i]);
        batch_checks_free(p->checks);
        p->checks = NULL;
        if (r) {
                call_close(call);
                return;
        }
        if (p->appended_count == 0) {
                answer(p);
                return;
        }
        call->park = p;
        call->cancel = cancel;
        state_wait_commit(call->state, &p->wait, on_commit);
}

/* The partitions that have to be taken into the transaction first. */
typedef struct Adding {
        Call *call;
        TransactionTarget *targets;
        int32_t count;
        int64_t producer_id;
        int16_t producer_epoch;
} Adding;

static bool collect(const ProduceRequestTopicData *topic_data, ProduceRequestPartitionData *data, void *context) {
        Adding *adding = context;
        const ProduceRequest *request = adding->call->request;
        Topic *topic = find_topic(adding->call, topic_data);
        Partition *partition = topic ? topic_partition(topic, data->index) : NULL;
        if (!partition)
                return true;
        TransactionAdmission admission = transaction_admit(adding->call->state, request->transactional_id, call_version(adding->call),
                                                           partition, data->records.bytes);
        if (!admission.has_to_add)
                return true;
        adding->targets[adding->count++] = (TransactionTarget){ str_of(topic->name), data->index };
        adding->producer_id = admission.producer_id;
        adding->producer_epoch = admission.producer_epoch;
        return true;
}

/* While the request is parked, its bytes would be overwritten by the next. */
static bool keep_records(const ProduceRequestTopicData *topic, ProduceRequestPartitionData *data, void *context) {
        return keep(&((Call *)context)->arena, &data->records.bytes);
}

static bool keep_request(Produce *p) {
        Call *call = p->call;
        ProduceRequest *request = call->request;
        bool ok = p->is_kept || (each_batch(request, keep_records, call) && keep(&call->arena, &request->transactional_id));
        for (int32_t i = 0; ok && !p->is_kept && i < request->topic_data_count; i++)
                ok = keep(&call->arena, &request->topic_data[i].name);
        p->is_kept = ok;
        return ok;
}

/* Nothing of the request was done yet, and nothing of the connection's later ones will be. */
static void park_whole(Produce *p) {
        p->call->is_exclusive = true;
        p->call->park = p;
        p->call->cancel = cancel;
}

static bool look(const ProduceRequestTopicData *topic_data, ProduceRequestPartitionData *data, void *context) {
        Produce *p = context;
        int32_t place = p->place++;
        if (!batch_checks_concern(p->call->state, data->records.bytes))
                return true;
        Topic *topic = find_topic(p->call, topic_data);
        Partition *partition = topic && !topic->is_internal ? topic_partition(topic, data->index) : NULL;
        return !partition || batch_checks_add(&p->checks, p->call->state, partition, place, data->records.bytes) == 0;
}

static void on_checked(CheckWait *wait, State *state) {
        append_all(container_of(wait, Produce, checked));
}

static void check_and_append(Produce *p) {
        p->place = 0;
        bool ok = each_batch(p->call->request, look, p);
        if (ok && !batch_checks_take_long(p->checks)) {
                append_all(p);
                return;
        }
        if (ok && keep_request(p) && batch_checks_start(p->checks, p->call->state, &p->checked, on_checked) == 0) {
                park_whole(p);
                return;
        }
        batch_checks_free(p->checks);
        call_close(p->call);
}

static void on_added(TransactionWait *wait, State *state, const TransactionResult *result) {
        Produce *p = container_of(wait, Produce, transaction);
        p->has_added = result->code == 0;
        p->add_code = result->code == KAFKA_PRODUCER_FENCED ? KAFKA_INVALID_PRODUCER_EPOCH
                      : result->code                        ? result->code
                                                            : KAFKA_INVALID_TXN_STATE;
        check_and_append(p);
}

/* Whether the request was parked, or closed, for additions to its transaction. */
static bool add_first(Produce *p) {
        Call *call = p->call;
        const ProduceRequest *request = call->request;
        Adding adding = { .call = call };
        if (str_is_null(request->transactional_id))
                return false;
        adding.targets = arena_alloc_array(&call->arena, (size_t)count_partitions(request), sizeof(*adding.targets));
        if (!adding.targets) {
                call_close(call);
                return true;
        }
        each_batch(request, collect, &adding);
        if (!adding.count)
                return false;
        if (!keep_request(p)) {
                call_close(call);
                return true;
        }
        p->transaction.done = on_added;
        park_whole(p);
        transaction_add(call->state, request->transactional_id, adding.producer_id, adding.producer_epoch, adding.targets, adding.count,
                        TRANSACTION_VERSION, &p->transaction);
        return true;
}

void api_produce(Call *call) {
        const ProduceRequest *request = call->request;
        Produce *p = arena_alloc(&call->arena, sizeof(*p));
        if (!p) {
                call_close(call);
                return;
        }
        *p = (Produce){ .call = call, .response = ProduceResponse_INIT };
        p->appended = arena_alloc_array(&call->arena, (size_t)count_partitions(request), sizeof(Appended));
        p->response.responses = call_array(call, ProduceResponseResponse, request->topic_data_count);
        p->response.responses_count = request->topic_data_count;
        if (!p->appended || !p->response.responses) {
                call_close(call);
                return;
        }
        int16_t code = check_request(request);
        if (code) {
                refuse_all(p, request, code, STR_NULL);
                answer(p);
        } else if (!str_is_null(request->transactional_id) && has_many_writers(call)) {
                refuse_all(p, request, KAFKA_INVALID_PRODUCER_ID_MAPPING, STR("Transactional records contained more than one producer ID"));
                answer(p);
        } else if (!add_first(p)) {
                check_and_append(p);
        }
}
