/* Fetch: v4-18
 * Reads record batches, waiting up to max_wait_ms until min_bytes are there. Batches go out as pieces of the segment file.
 * v5 adds log_start_offset; v7 sessions (KIP-227); v9 the leader epoch; v12 is flexible and detects divergence; v13 names topics by
 * id; v15 moves replica_id to a tag. */
#include <errno.h>

#include "broker/api/api.h"
#include "broker/state/fetch_sessions.h"

typedef struct Fetch Fetch;

typedef struct FetchHook {
        PartitionWait wait;
        Fetch *fetch;
} FetchHook;

struct Fetch {
        Timer timer;
        Call *call;
        FetchWant *wants;
        int32_t want_count;
        bool makes_session;
        int32_t session_id;    /* 0: none */
        int32_t session_epoch; /* of the next request; another one means that this one was overtaken */
        FetchHook *hooks;      /* one for each partition waited for */
        int32_t hook_count;
};

/* What one pass over the wants found. */
typedef struct Pass {
        FetchResponse response;
        int64_t bytes;
        int64_t budget_bytes;
        bool has_error;
        bool has_unknown; /* a topic or partition that there is not */
} Pass;

static bool check_epoch(const Partition *partition, int32_t current_leader_epoch, int16_t *ret_code) {
        *ret_code = 0;
        if (current_leader_epoch >= 0 && current_leader_epoch != partition->leader_epoch)
                *ret_code = current_leader_epoch < partition->leader_epoch ? KAFKA_FENCED_LEADER_EPOCH
                                                                           : KAFKA_UNKNOWN_LEADER_EPOCH;
        return *ret_code == 0;
}

/* Whether a broker asks, as which it would follow this one. */
static bool is_of_replica(const Call *call) {
        const FetchRequest *request = call->request;
        return request->replica_id >= 0 || request->replica_state.replica_id >= 0;
}

/* No other broker has a replica of anything; v16 says who leads. */
static int16_t refuse_replica(const Partition *partition, const Call *call, FetchResponsePartition *row) {
        if (call_version(call) >= 16) {
                row->current_leader.leader_id = call->state->node_id;
                row->current_leader.leader_epoch = partition->leader_epoch;
        }
        return KAFKA_NOT_LEADER_OR_FOLLOWER;
}

/* A reader whose last epoch ended elsewhere has read records that are gone (KIP-595). */
static bool find_divergence(const Partition *partition, const FetchWant *want, FetchResponsePartition *row, int16_t *ret_code) {
        *ret_code = 0;
        if (want->last_fetched_epoch < 0)
                return false;
        int32_t epoch;
        int64_t end_offset;
        log_epoch_end(partition->log, partition->leader_epoch, want->last_fetched_epoch, &epoch, &end_offset);
        if (epoch < 0)
                *ret_code = KAFKA_OFFSET_OUT_OF_RANGE;
        if (epoch < 0 || (epoch == want->last_fetched_epoch && end_offset >= want->fetch_offset))
                return false;
        row->diverging_epoch.epoch = epoch;
        row->diverging_epoch.end_offset = end_offset;
        return true;
}

typedef struct AbortedList {
        Call *call;
        FetchResponseAbortedTransaction *rows;
        int32_t count, capacity;
        bool failed;
} AbortedList;

static void add_aborted(int64_t producer_id, int64_t first_offset, void *data) {
        AbortedList *list = data;
        if (list->count == list->capacity) {
                int32_t capacity = list->capacity ? list->capacity * 2 : 8;
                FetchResponseAbortedTransaction *rows = call_array(list->call, FetchResponseAbortedTransaction, capacity);
                if (!rows) {
                        list->failed = true;
                        return;
                }
                if (list->count)
                        memcpy(rows, list->rows, (size_t)list->count * sizeof(*rows));
                list->rows = rows;
                list->capacity = capacity;
        }
        list->rows[list->count++] = (FetchResponseAbortedTransaction){ .producer_id = producer_id, .first_offset = first_offset };
}

/* A reader of committed records is told which of them were aborted. */
static int list_aborted(Call *call, Partition *partition, int64_t offset, FetchResponsePartition *row) {
        AbortedList list = { .call = call };
        int r = log_aborted_transactions(partition->log, offset, row->last_stable_offset, add_aborted, &list);
        row->aborted_transactions = list.rows;
        row->aborted_transactions_count = list.count;
        return r || !list.failed ? r : -ENOMEM;
}

static int16_t read_partition(Call *call, Pass *pass, Topic *topic, const FetchWant *want,
                              FetchResponsePartition *row) {
        const FetchRequest *request = call->request;
        Partition *partition = topic_partition(topic, want->partition);
        int16_t code;
        if (!partition)
                return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        if (!partition->log)
                return KAFKA_KAFKA_STORAGE_ERROR;
        if (!check_epoch(partition, want->current_leader_epoch, &code))
                return code;
        if (is_of_replica(call))
                return refuse_replica(partition, call, row);
        row->high_watermark = partition_high_watermark(partition);
        row->last_stable_offset = partition_last_stable_offset(partition);
        row->log_start_offset = partition_start_offset(partition);
        bool committed = request->isolation_level == 1;
        row->aborted_transactions_count = committed ? 0 : -1;
        if (find_divergence(partition, want, row, &code) || code)
                return code;
        int64_t size_max = want->partition_max_bytes < pass->budget_bytes ? want->partition_max_bytes : pass->budget_bytes;
        FileSpan span = FILE_SPAN_INIT;
        int r = partition_read(partition, want->fetch_offset, committed, size_max > 0 ? (int32_t)size_max : 0, pass->bytes == 0, &span);
        if (!r && size_max < 0 && want->fetch_offset < (committed ? row->last_stable_offset : row->high_watermark)) {
                file_span_release(&span);
                return KAFKA_UNKNOWN_SERVER_ERROR;
        }
        if (!r && committed && span.size)
                r = list_aborted(call, partition, want->fetch_offset, row);
        if (r) {
                file_span_release(&span);
                return call_code(call, r);
        }
        row->records.span = span;
        pass->bytes += span.size;
        return 0;
}

static void fail_row(FetchResponsePartition *row, int16_t code) {
        row->error_code = code;
        row->high_watermark = row->last_stable_offset = row->log_start_offset = -1;
}

static Topic *find_topic(const Fetch *fetch, const FetchWant *want) {
        State *state = fetch->call->state;
        return call_version(fetch->call) >= 13 ? topic_find_id(state, &want->topic_id) : topic_find(state, want->topic);
}

static bool is_same_topic(const FetchWant *a, const FetchWant *b) {
        return str_equal(a->topic, b->topic) && uuid_equal(&a->topic_id, &b->topic_id);
}

/* How many wants from first on are of one topic: they make one row of the answer. */
static int32_t count_of_topic(const Fetch *fetch, int32_t first) {
        int32_t end = first + 1;
        while (end < fetch->want_count && is_same_topic(&fetch->wants[first], &fetch->wants[end]))
                end++;
        return end - first;
}

/* A request that may have less than nothing lets its first partition fail, as Kafka's does. */
static void spend(Pass *pass, int64_t bytes) {
        pass->budget_bytes = pass->budget_bytes > bytes ? pass->budget_bytes - bytes : 0;
}

static bool read_topic(const Fetch *fetch, Pass *pass, const FetchWant *wants, int32_t count, FetchResponseResponse *answer) {
        Topic *topic = find_topic(fetch, wants);
        int16_t unknown = call_version(fetch->call) >= 13 ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        answer->topic = wants->topic;
        answer->topic_id = wants->topic_id;
        answer->partitions = call_array(fetch->call, FetchResponsePartition, count);
        if (!answer->partitions)
                return false;
        answer->partitions_count = count;
        for (int32_t i = 0; i < count; i++) {
                FetchResponsePartition *row = &answer->partitions[i];
                row->partition_index = wants[i].partition;
                row->records.bytes = STR("");
                int64_t bytes = pass->bytes;
                int16_t code = topic ? read_partition(fetch->call, pass, topic, &wants[i], row) : unknown;
                if (topic && topic_partition(topic, wants[i].partition))
                        spend(pass, pass->bytes - bytes);
                if (code)
                        fail_row(row, code);
                if (code && code != KAFKA_UNKNOWN_TOPIC_OR_PARTITION && code != unknown)
                        row->aborted_transactions_count = -1; /* as Kafka: an empty list only where there is no partition */
                pass->has_unknown |= code == KAFKA_UNKNOWN_TOPIC_OR_PARTITION || code == KAFKA_UNKNOWN_TOPIC_ID;
                pass->has_error |= code != 0 || row->diverging_epoch.epoch >= 0;
        }
        return true;
}

static void pass_release(Pass *pass) {
        for (int32_t i = 0; i < pass->response.responses_count; i++)
                for (int32_t j = 0; j < pass->response.responses[i].partitions_count; j++)
                        file_span_release(&pass->response.responses[i].partitions[j].records.span);
}

static bool run_pass(const Fetch *fetch, Pass *pass) {
        const FetchRequest *request = fetch->call->request;
        int32_t topic_count = 0;
        for (int32_t i = 0; i < fetch->want_count; i += count_of_topic(fetch, i))
                topic_count++;
        *pass = (Pass){ .response = FetchResponse_INIT, .budget_bytes = request->max_bytes };
        pass->response.responses = call_array(fetch->call, FetchResponseResponse, topic_count);
        if (!pass->response.responses)
                return false;
        for (int32_t i = 0, count; i < fetch->want_count; i += count) {
                count = count_of_topic(fetch, i);
                if (!read_topic(fetch, pass, &fetch->wants[i], count, &pass->response.responses[pass->response.responses_count++])) {
                        pass_release(pass);
                        return false;
                }
        }
        return true;
}

/* Kafka answers for what it does not know last. */
static bool put_unknown_last(Fetch *fetch) {
        FetchWant *wants = arena_alloc_array(&fetch->call->arena, (size_t)fetch->want_count, sizeof(*wants));
        int32_t count = 0;
        for (int known = 1; wants && known >= 0; known--)
                for (int32_t i = 0; i < fetch->want_count; i++) {
                        Topic *topic = find_topic(fetch, &fetch->wants[i]);
                        if ((topic && topic_partition(topic, fetch->wants[i].partition)) == known)
                                wants[count++] = fetch->wants[i];
                }
        fetch->wants = wants;
        return wants != NULL;
}

/* The first pass over the wants, which settles their order. */
static bool run_first_pass(Fetch *fetch, Pass *pass) {
        if (!run_pass(fetch, pass))
                return false;
        if (!pass->has_unknown || fetch->want_count == 1)
                return true;
        pass_release(pass);
        return put_unknown_last(fetch) && run_pass(fetch, pass);
}

static bool tell(FetchSession *session, const FetchWant *want, const FetchResponsePartition *row, bool opens) {
        FetchNews news = { .high_watermark = row->high_watermark, .log_start_offset = row->log_start_offset,
                           .has_records = row->records.span.size > 0, .has_error = row->error_code != 0,
                           .diverges = row->diverging_epoch.epoch >= 0, .opens = opens };
        return fetch_session_tell(session, want, &news);
}

/* Drops the rows without news from the answer of a session. Rows are in the order of the wants. */
static void keep_news(const Fetch *fetch, FetchSession *session, FetchResponse *response) {
        const FetchWant *want = fetch->wants;
        int32_t topics = 0;
        for (int32_t i = 0; i < response->responses_count; i++) {
                FetchResponseResponse topic = response->responses[i];
                int32_t kept = 0;
                for (int32_t j = 0; j < topic.partitions_count; j++)
                        if (tell(session, want++, &topic.partitions[j], false))
                                topic.partitions[kept++] = topic.partitions[j];
                topic.partitions_count = kept;
                if (kept)
                        response->responses[topics++] = topic;
        }
        response->responses_count = topics;
}

/* A full request with epoch 0 asks for a session; it is answered in full, with or without one. */
static void make_session(const Fetch *fetch, FetchResponse *response) {
        State *state = fetch->call->state;
        FetchSession *session = fetch_session_new(state, call_version(fetch->call) >= 13, fetch->want_count);
        if (!session)
                return;
        for (int32_t i = 0; i < fetch->want_count; i++)
                if (fetch_session_want(session, &fetch->wants[i])) {
                        fetch_session_remove(state, fetch_session_id(session));
                        return;
                }
        const FetchWant *want = fetch->wants;
        for (int32_t i = 0; i < response->responses_count; i++)
                for (int32_t j = 0; j < response->responses[i].partitions_count; j++)
                        (void)tell(session, want++, &response->responses[i].partitions[j], true);
        response->session_id = fetch_session_id(session);
}

static void refuse(Call *call, int16_t code) {
        FetchResponse refusal = FetchResponse_INIT;
        refusal.error_code = code;
        call_reply(call, &refusal);
}

static void reply(Fetch *fetch, Pass *pass) {
        if (fetch->makes_session) {
                make_session(fetch, &pass->response);
        } else if (fetch->session_id) {
                FetchSession *session = fetch_session_find(fetch->call->state, fetch->session_id, fetch->session_epoch);
                if (!session) {
                        pass_release(pass);
                        refuse(fetch->call, KAFKA_INVALID_FETCH_SESSION_EPOCH);
                        return;
                }
                keep_news(fetch, session, &pass->response);
                pass->response.session_id = fetch->session_id;
        }
        call_reply(fetch->call, &pass->response);
}

static void unhook(Fetch *fetch) {
        timer_stop(fetch->call->state, &fetch->timer);
        for (int32_t i = 0; i < fetch->hook_count; i++)
                list_remove(&fetch->hooks[i].wait.node);
}

static void cancel(Call *call) {
        unhook(call->park);
}

static void on_timer(Timer *timer, State *state) {
        Fetch *fetch = container_of(timer, Fetch, timer);
        Pass pass;
        unhook(fetch);
        if (run_pass(fetch, &pass))
                reply(fetch, &pass);
        else
                call_close(fetch->call);
}

static void on_wake(PartitionWait *wait, State *state) {
        Fetch *fetch = container_of(wait, FetchHook, wait)->fetch;
        const FetchRequest *request = fetch->call->request;
        Pass pass;
        ArenaMark mark = arena_mark(&fetch->call->arena); /* it may be woken any number of times */
        bool ok = run_pass(fetch, &pass);
        if (ok && !pass.has_error && pass.bytes < request->min_bytes) {
                pass_release(&pass);
                arena_rewind(&fetch->call->arena, &mark);
                return;
        }
        unhook(fetch);
        if (ok)
                reply(fetch, &pass);
        else
                call_close(fetch->call);
}

static void hook(Fetch *fetch, Partition *partition) {
        FetchHook *h = &fetch->hooks[fetch->hook_count++];
        h->fetch = fetch;
        h->wait.wake = on_wake;
        list_append(&partition->fetch_waits, &h->wait.node);
}

static void park(Fetch *fetch) {
        Call *call = fetch->call;
        const FetchRequest *request = call->request;
        fetch->hooks = arena_alloc_array(&call->arena, (size_t)fetch->want_count, sizeof(*fetch->hooks));
        if (!fetch->hooks) {
                call_close(call);
                return;
        }
        for (int32_t i = 0, count; i < fetch->want_count; i += count) {
                Topic *topic = find_topic(fetch, &fetch->wants[i]);
                count = count_of_topic(fetch, i);
                for (int32_t j = i; j < i + count; j++)
                        hook(fetch, topic_partition(topic, fetch->wants[j].partition));
        }
        call->park = fetch;
        call->cancel = cancel;
        if (timer_set(call->state, &fetch->timer, call->state->mono_ms + request->max_wait_ms) < 0) {
                unhook(fetch);
                call_close(call);
        }
}

static FetchWant want_of(const FetchRequestTopic *topic, const FetchRequestPartition *p) {
        return (FetchWant){ .topic = topic->topic, .topic_id = topic->topic_id, .partition = p->partition,
                            .current_leader_epoch = p->current_leader_epoch, .last_fetched_epoch = p->last_fetched_epoch,
                            .partition_max_bytes = p->partition_max_bytes, .fetch_offset = p->fetch_offset };
}

static bool take_wants(Fetch *fetch) {
        const FetchRequest *request = fetch->call->request;
        size_t count = 0;
        for (int32_t i = 0; i < request->topics_count; i++)
                count += (size_t)request->topics[i].partitions_count;
        fetch->wants = arena_alloc_array(&fetch->call->arena, count, sizeof(*fetch->wants));
        if (!fetch->wants)
                return false;
        for (int32_t i = 0; i < request->topics_count; i++)
                for (int32_t j = 0; j < request->topics[i].partitions_count; j++)
                        fetch->wants[fetch->want_count++] = want_of(&request->topics[i], &request->topics[i].partitions[j]);
        return true;
}

/* The changes that the request names. */
static int change_session(FetchSession *session, const FetchRequest *request) {
        for (int32_t i = 0; i < request->topics_count; i++)
                for (int32_t j = 0; j < request->topics[i].partitions_count; j++) {
                        FetchWant want = want_of(&request->topics[i], &request->topics[i].partitions[j]);
                        int r = fetch_session_want(session, &want);
                        if (r)
                                return r;
                }
        for (int32_t i = 0; i < request->forgotten_topics_data_count; i++) {
                const FetchRequestForgottenTopicsData *topic = &request->forgotten_topics_data[i];
                for (int32_t j = 0; j < topic->partitions_count; j++)
                        fetch_session_forget(session, &(FetchWant){ .topic = topic->topic, .topic_id = topic->topic_id,
                                                                    .partition = topic->partitions[j] });
        }
        return 0;
}

/* The wants outlive the session, which another request may end while this one waits: its strings are copied. */
static bool take_session_wants(Fetch *fetch, const FetchSession *session) {
        fetch->want_count = fetch_session_count(session);
        fetch->wants = arena_alloc_array(&fetch->call->arena, (size_t)fetch->want_count, sizeof(*fetch->wants));
        if (!fetch->wants)
                return false;
        fetch_session_wants(session, fetch->wants);
        for (int32_t i = 0; i < fetch->want_count; i++) {
                Str *topic = &fetch->wants[i].topic;
                if (i > 0 && str_equal(*topic, fetch->wants[i - 1].topic))
                        *topic = fetch->wants[i - 1].topic;
                else if (topic->len && str_is_null(*topic = arena_str(&fetch->call->arena, *topic)))
                        return false;
        }
        return true;
}

/* An incremental request. A code for the client, 0, or -errno. */
static int go_on(Fetch *fetch) {
        const FetchRequest *request = fetch->call->request;
        State *state = fetch->call->state;
        FetchSession *session;
        int r = fetch_session_take(state, request->session_id, request->session_epoch, call_version(fetch->call) >= 13, &session);
        if (r)
                return r;
        r = change_session(session, request);
        if (r == -ENOSPC || (r == 0 && fetch_session_count(session) == 0)) {
                fetch_session_remove(state, request->session_id);
                if (r)
                        return KAFKA_FETCH_SESSION_ID_NOT_FOUND;
                return take_wants(fetch) ? 0 : -ENOMEM; /* an emptied session has ended: what was added and forgotten is answered without it */
        }
        fetch->session_id = request->session_id;
        fetch->session_epoch = fetch_session_epoch(session);
        return r ? r : take_session_wants(fetch, session) ? 0 : -ENOMEM;
}

/* Epoch 0 is a full request that asks for a session, -1 one that asks for none; both end the one they name. */
static int begin(Fetch *fetch) {
        const FetchRequest *request = fetch->call->request;
        if (request->session_epoch != 0 && request->session_epoch != -1)
                return go_on(fetch);
        if (request->session_id)
                fetch_session_remove(fetch->call->state, request->session_id);
        fetch->makes_session = request->session_epoch == 0 && call_version(fetch->call) >= 7;
        return take_wants(fetch) ? 0 : -ENOMEM;
}

/* Before v13 each partition is told what concerns the whole request. */
static void refuse_all(Call *call, int16_t code) {
        const FetchRequest *request = call->request;
        FetchResponse refusal = FetchResponse_INIT;
        refusal.error_code = code;
        refusal.session_id = request->session_id;
        int32_t count = call_version(call) < 13 ? request->topics_count : 0;
        refusal.responses = call_array(call, FetchResponseResponse, count);
        for (int32_t i = 0; refusal.responses && i < count; i++) {
                FetchResponseResponse *topic = &refusal.responses[refusal.responses_count++];
                topic->topic = request->topics[i].topic;
                topic->partitions = call_array(call, FetchResponsePartition, request->topics[i].partitions_count);
                for (int32_t j = 0; topic->partitions && j < request->topics[i].partitions_count; j++) {
                        FetchResponsePartition *row = &topic->partitions[topic->partitions_count++];
                        row->partition_index = request->topics[i].partitions[j].partition;
                        row->records.bytes = STR("");
                        fail_row(row, code);
                }
        }
        call_reply(call, &refusal);
}

/* Whether there is anything to read at an isolation level that there is not. */
static bool is_unreadable(const Fetch *fetch) {
        const FetchRequest *request = fetch->call->request;
        if (request->isolation_level == 0 || request->isolation_level == 1)
                return false;
        for (int32_t i = 0; i < fetch->want_count; i++) {
                Topic *topic = find_topic(fetch, &fetch->wants[i]);
                if (topic && topic_partition(topic, fetch->wants[i].partition))
                        return true;
        }
        return false;
}

void api_fetch(Call *call) {
        const FetchRequest *request = call->request;
        Fetch *fetch = arena_alloc(&call->arena, sizeof(*fetch));
        Pass pass;
        if (!fetch) {
                call_close(call);
                return;
        }
        *fetch = (Fetch){ .timer = { .fire = on_timer }, .call = call };
        if (!fetch_session_id_is_sound(request->session_id)) {
                refuse_all(call, KAFKA_UNKNOWN_SERVER_ERROR);
                return;
        }
        int r = begin(fetch);
        if (r > 0) {
                refuse(call, (int16_t)r);
        } else if (r == 0 && is_unreadable(fetch)) {
                refuse_all(call, KAFKA_UNKNOWN_SERVER_ERROR);
        } else if (r < 0 || !run_first_pass(fetch, &pass)) {
                call_close(call);
        } else if (pass.has_error || pass.bytes >= request->min_bytes || request->max_wait_ms <= 0 || fetch->want_count == 0) {
                reply(fetch, &pass);
        } else {
                pass_release(&pass);
                park(fetch);
        }
}
