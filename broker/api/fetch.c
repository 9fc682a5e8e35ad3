/* Fetch: v4-18
 * Reads record batches, waiting up to max_wait_ms until min_bytes are there. Batches go out as pieces of the segment file.
 * v5 adds log_start_offset; v7 sessions (KIP-227; a request for one is answered in full, with session 0); v9 the leader epoch;
 * v12 is flexible and detects divergence; v13 names topics by id; v15 moves replica_id to a tag. */
#include "broker/api/api.h"

typedef struct Fetch Fetch;

typedef struct FetchHook {
        PartitionWait wait;
        Fetch *fetch;
} FetchHook;

struct Fetch {
        Timer timer;
        Call *call;
        FetchHook *hooks; /* one for each partition waited for */
        int32_t hook_count;
};

/* What one pass over the request found. */
typedef struct Pass {
        FetchResponse response;
        int64_t bytes;
        int64_t budget_bytes;
        bool has_error;
} Pass;

static bool check_epoch(const Partition *partition, int32_t current_leader_epoch, int16_t *ret_code) {
        *ret_code = 0;
        if (current_leader_epoch >= 0 && current_leader_epoch != partition->leader_epoch)
                *ret_code = current_leader_epoch < partition->leader_epoch ? KAFKA_FENCED_LEADER_EPOCH
                                                                           : KAFKA_UNKNOWN_LEADER_EPOCH;
        return *ret_code == 0;
}

/* A reader whose last epoch ended elsewhere has read records that are gone (KIP-595). */
static bool find_divergence(const Partition *partition, const FetchRequestPartition *want, FetchResponsePartition *row) {
        if (want->last_fetched_epoch < 0)
                return false;
        int32_t epoch;
        int64_t end_offset;
        log_epoch_end(partition->log, want->last_fetched_epoch, &epoch, &end_offset);
        if (epoch < 0 || (epoch == want->last_fetched_epoch && end_offset >= want->fetch_offset))
                return false;
        row->diverging_epoch.epoch = epoch;
        row->diverging_epoch.end_offset = end_offset;
        return true;
}

static int16_t read_partition(Call *call, Pass *pass, Topic *topic, const FetchRequestPartition *want,
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
        row->high_watermark = partition_high_watermark(partition);
        row->last_stable_offset = partition_last_stable_offset(partition);
        row->log_start_offset = partition_start_offset(partition);
        row->aborted_transactions_count = request->isolation_level == 1 ? 0 : -1;
        if (find_divergence(partition, want, row))
                return 0;
        int64_t size_max = want->partition_max_bytes < pass->budget_bytes ? want->partition_max_bytes : pass->budget_bytes;
        FileSpan span = FILE_SPAN_INIT;
        int r = partition_read(partition, want->fetch_offset, size_max > 0 ? (int32_t)size_max : 0, pass->bytes == 0, &span);
        if (r)
                return call_code(call, r);
        row->records.span = span;
        pass->bytes += span.size;
        pass->budget_bytes -= span.size;
        return 0;
}

static void fail_row(FetchResponsePartition *row, int16_t code) {
        row->error_code = code;
        row->high_watermark = row->last_stable_offset = row->log_start_offset = -1;
}

static Topic *find_topic(Call *call, const FetchRequestTopic *want, int16_t *ret_code) {
        bool by_id = call_version(call) >= 13;
        Topic *topic = by_id ? topic_find_id(call->state, &want->topic_id) : topic_find(call->state, want->topic);
        *ret_code = topic ? 0 : by_id ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return topic;
}

static bool read_topic(Call *call, Pass *pass, const FetchRequestTopic *want, FetchResponseResponse *answer) {
        int16_t unknown;
        Topic *topic = find_topic(call, want, &unknown);
        answer->topic = want->topic;
        answer->topic_id = want->topic_id;
        answer->partitions = call_array(call, FetchResponsePartition, want->partitions_count);
        if (!answer->partitions)
                return false;
        answer->partitions_count = want->partitions_count;
        for (int32_t i = 0; i < want->partitions_count; i++) {
                FetchResponsePartition *row = &answer->partitions[i];
                row->partition_index = want->partitions[i].partition;
                row->records.bytes = STR("");
                int16_t code = topic ? read_partition(call, pass, topic, &want->partitions[i], row) : unknown;
                if (code)
                        fail_row(row, code);
                if (code && code != KAFKA_UNKNOWN_TOPIC_OR_PARTITION && code != unknown)
                        row->aborted_transactions_count = -1; /* as Kafka: an empty list only where there is no partition */
                pass->has_error |= code != 0 || row->diverging_epoch.epoch >= 0;
        }
        return true;
}

static void pass_release(Pass *pass) {
        for (int32_t i = 0; i < pass->response.responses_count; i++)
                for (int32_t j = 0; j < pass->response.responses[i].partitions_count; j++)
                        file_span_release(&pass->response.responses[i].partitions[j].records.span);
}

static bool run_pass(Call *call, Pass *pass) {
        const FetchRequest *request = call->request;
        *pass = (Pass){ .response = FetchResponse_INIT, .budget_bytes = request->max_bytes };
        pass->response.responses = call_array(call, FetchResponseResponse, request->topics_count);
        if (!pass->response.responses)
                return false;
        pass->response.responses_count = request->topics_count;
        for (int32_t i = 0; i < request->topics_count; i++)
                if (!read_topic(call, pass, &request->topics[i], &pass->response.responses[i])) {
                        pass_release(pass);
                        return false;
                }
        return true;
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
        Call *call = fetch->call;
        Pass pass;
        unhook(fetch);
        if (run_pass(call, &pass))
                call_reply(call, &pass.response);
        else
                call_close(call);
}

static void on_wake(PartitionWait *wait, State *state) {
        Fetch *fetch = container_of(wait, FetchHook, wait)->fetch;
        Call *call = fetch->call;
        const FetchRequest *request = call->request;
        Pass pass;
        bool ok = run_pass(call, &pass);
        if (ok && !pass.has_error && pass.bytes < request->min_bytes) {
                pass_release(&pass);
                return;
        }
        unhook(fetch);
        if (ok)
                call_reply(call, &pass.response);
        else
                call_close(call);
}

static void hook(Fetch *fetch, Partition *partition) {
        FetchHook *h = &fetch->hooks[fetch->hook_count++];
        h->fetch = fetch;
        h->wait.wake = on_wake;
        list_append(&partition->fetch_waits, &h->wait.node);
}

static void park(Call *call) {
        const FetchRequest *request = call->request;
        size_t count = 0;
        for (int32_t i = 0; i < request->topics_count; i++)
                count += (size_t)request->topics[i].partitions_count;
        Fetch *fetch = arena_alloc(&call->arena, sizeof(*fetch));
        FetchHook *hooks = arena_alloc_array(&call->arena, count, sizeof(*hooks));
        if (!fetch || !hooks) {
                call_close(call);
                return;
        }
        *fetch = (Fetch){ .timer = { .fire = on_timer }, .call = call, .hooks = hooks };
        for (int32_t i = 0; i < request->topics_count; i++) {
                int16_t unknown;
                Topic *topic = find_topic(call, &request->topics[i], &unknown);
                for (int32_t j = 0; j < request->topics[i].partitions_count; j++)
                        hook(fetch, topic_partition(topic, request->topics[i].partitions[j].partition));
        }
        call->park = fetch;
        call->cancel = cancel;
        if (timer_set(call->state, &fetch->timer, call->state->mono_ms + request->max_wait_ms) < 0) {
                unhook(fetch);
                call_close(call);
        }
}

void api_fetch(Call *call) {
        const FetchRequest *request = call->request;
        if (request->session_id != 0) {
                FetchResponse refusal = FetchResponse_INIT;
                refusal.error_code = KAFKA_FETCH_SESSION_ID_NOT_FOUND;
                call_reply(call, &refusal);
                return;
        }
        Pass pass;
        if (!run_pass(call, &pass)) {
                call_close(call);
                return;
        }
        if (pass.has_error || pass.bytes >= request->min_bytes || request->max_wait_ms <= 0 || request->topics_count == 0) {
                call_reply(call, &pass.response);
                return;
        }
        pass_release(&pass);
        park(call);
}
