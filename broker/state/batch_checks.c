#include "broker/state/batch_checks.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/state/state.h"
#include "storage/batch.h"
#include "storage/compress.h"

#define AT_ONCE_WORK_MAX ((size_t)256 << 10) /* LogCheck.work in a millisecond, which it takes at the worst */

struct BatchChecks {
        Job job;
        List rows; /* BatchCheck.node, by place */
        CheckWait *wait;
        bool takes_long, is_running;
};

bool batch_checks_concern(const State *state, Str records) {
        return state->compresses || batch_peek_compression((const uint8_t *)records.data, records.len) != 0;
}

bool batch_checks_is_zstd(Str records) {
        BatchHeader header;
        return batch_read_header((const uint8_t *)records.data, records.len, &header) == 0 && batch_compression(&header) == CODEC_ZSTD;
}

static BatchChecks *checks_new(void) {
        BatchChecks *checks = calloc(1, sizeof(*checks));
        if (checks)
                list_init(&checks->rows);
        return checks;
}

/* What was checked at once in this millisecond. */
static size_t *work_now(State *state) {
        if (state->checked_ms != state->mono_ms)
                state->checked_work = 0;
        state->checked_ms = state->mono_ms;
        return &state->checked_work;
}

int batch_checks_add(BatchChecks **checks, State *state, const Partition *partition, int32_t place, Str records) {
        const LogConfig *config = partition->log ? log_config(partition->log) : NULL;
        bool is_plain = batch_peek_compression((const uint8_t *)records.data, records.len) == 0;
        if (!config || (is_plain && config->compression <= 0))
                return 0;
        if (!*checks && !(*checks = checks_new()))
                return -ENOMEM;
        BatchCheck *row = calloc(1, sizeof(*row));
        if (!row)
                return -ENOMEM;
        row->place = place;
        row->config = *config;
        row->log = (LogCheck){ .config = &row->config, .origin = LOG_ORIGIN_CLIENT, .data = (uint8_t *)(uintptr_t)records.data,
                               .size = records.len, .now_ms = state->now_ms, .append = &row->append };
        size_t *work = work_now(state);
        row->log.work_max = *work < AT_ONCE_WORK_MAX ? AT_ONCE_WORK_MAX - *work : 0;
        if ((*checks)->takes_long || !row->log.work_max)
                row->log.result = -E2BIG;
        else
                log_check(&row->log);
        *work += row->log.work;
        (*checks)->takes_long |= row->log.result == -E2BIG;
        list_append(&(*checks)->rows, &row->node);
        return 0;
}

bool batch_checks_take_long(const BatchChecks *checks) {
        return checks && checks->takes_long;
}

static int run(Job *job) {
        BatchChecks *checks = container_of(job, BatchChecks, job);
        LIST_FOREACH(&checks->rows, node) {
                BatchCheck *row = container_of(node, BatchCheck, node);
                if (row->log.result == -E2BIG)
                        log_check(&row->log);
        }
        return 0;
}

static void finish(Job *job, State *state, int result) {
        BatchChecks *checks = container_of(job, BatchChecks, job);
        checks->is_running = false;
        if (checks->wait)
                checks->wait->done(checks->wait, state);
        else
                batch_checks_free(checks);
}

/* The thread works on bytes that nobody else has. */
static int own_bytes(BatchCheck *row) {
        Buffer copy = BUFFER_INIT;
        buffer_append(&copy, row->log.data, row->log.size);
        if (copy.failed)
                return -ENOMEM;
        log_check_own(&row->log, copy);
        row->log.work_max = 0;
        return 0;
}

int batch_checks_start(BatchChecks *checks, State *state, CheckWait *wait, void (*done)(CheckWait *wait, State *state)) {
        LIST_FOREACH(&checks->rows, node) {
                BatchCheck *row = container_of(node, BatchCheck, node);
                if (row->log.result == -E2BIG && own_bytes(row))
                        return -ENOMEM;
        }
        wait->done = done;
        checks->wait = wait;
        checks->is_running = true;
        checks->job.run = run;
        checks->job.done = finish;
        worker_submit(&state->checker, &checks->job);
        return 0;
}

static BatchCheck *first_row(const BatchChecks *checks) {
        ListNode *node = checks ? list_first(&checks->rows) : NULL;
        return node ? container_of(node, BatchCheck, node) : NULL;
}

BatchCheck *batch_checks_take(BatchChecks *checks, int32_t place, Str records) {
        BatchCheck *row = first_row(checks);
        while (row && row->place < place) { /* it was refused before anybody asked for its check */
                list_remove(&row->node);
                batch_check_free(row);
                row = first_row(checks);
        }
        if (!row || row->place != place)
                return NULL;
        list_remove(&row->node);
        if (!row->log.owned.data)
                row->log.data = (uint8_t *)(uintptr_t)records.data;
        return row;
}

void batch_check_free(BatchCheck *check) {
        log_check_deinit(&check->log);
        free(check);
}

void batch_checks_free(BatchChecks *checks) {
        if (!checks)
                return;
        checks->wait = NULL;
        if (checks->is_running)
                return; /* finish() does */
        for (ListNode *node; (node = list_pop(&checks->rows));)
                batch_check_free(container_of(node, BatchCheck, node));
        free(checks);
}
