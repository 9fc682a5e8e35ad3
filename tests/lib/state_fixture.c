/* Opening, crashing, and the clock. */
#include "tests/lib/state_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/state/checkpoints.h"
#include "broker/state/producer_ids.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/batch.h"

void state_fixture_start(StateFixture *fixture) {
        *fixture = (StateFixture){ .dir = "/tmp/odradek-state-XXXXXX" };
        cr_assert(mkdtemp(fixture->dir));
        fixture->config = (Config){ .data_dir = fixture->dir };
        trace_level = TRACE_ERROR;
        state_fixture_set(fixture, "offsets.topic.num.partitions", "4");
        cr_assert_eq(state_open(&fixture->config, FIXTURE_NOW, 1000, &fixture->state), 0);
}

void state_fixture_end(StateFixture *fixture) {
        state_fixture_fail_writes(false);
        state_close(fixture->state);
        config_map_deinit(&fixture->config.broker);
        char command[128];
        snprintf(command, sizeof(command), "rm -rf '%s'", fixture->dir);
        cr_assert_eq(system(command), 0);
}

static void open_again(StateFixture *fixture, int64_t now_ms, int64_t mono_ms) {
        fixture->state = NULL;
        cr_assert_eq(state_open(&fixture->config, now_ms, mono_ms, &fixture->state), 0);
}

void state_fixture_reopen(StateFixture *fixture) {
        int64_t now_ms = fixture->state->now_ms, mono_ms = fixture->state->mono_ms;
        cr_assert_eq(state_close(fixture->state), 0);
        open_again(fixture, now_ms, mono_ms);
}

void state_fixture_crash(StateFixture *fixture) {
        int64_t now_ms = fixture->state->now_ms, mono_ms = fixture->state->mono_ms;
        state_abandon(fixture->state);
        state_fixture_fail_writes(false);
        open_again(fixture, now_ms, mono_ms);
}

int state_fixture_count(const StateFixture *fixture, const char *pattern) {
        char command[256];
        snprintf(command, sizeof(command), "ls -d %s/%s 2>/dev/null | wc -l", fixture->dir, pattern);
        FILE *out = popen(command, "r");
        int count = -1;
        cr_assert_eq(fscanf(out, "%d", &count), 1);
        pclose(out);
        return count;
}

int state_fixture_create(StateFixture *fixture, Str name, int32_t partition_count, Topic **ret_topic) {
        return state_create_patiently(fixture->state, name, partition_count, &CONFIG_MAP_INIT, ret_topic);
}

int state_create_patiently(State *state, Str name, int32_t partition_count, const ConfigMap *config, Topic **ret_topic) {
        int r = topic_create(state, name, partition_count, config, ret_topic);
        if (r != -EBUSY)
                return r;
        state_drain(state);
        return topic_create(state, name, partition_count, config, ret_topic);
}

int64_t state_append_one(State *state, Partition *partition, Str value) {
        BatchBuilder builder;
        LogAppend result;
        batch_builder_init(&builder, 0, -1, -1, -1);
        batch_builder_add(&builder, FIXTURE_NOW, STR_NULL, value, NULL, 0);
        cr_assert_eq(batch_builder_finish(&builder, 0), 0);
        cr_assert_eq(partition_append_owned(state, partition, &builder.out, LOG_ORIGIN_BROKER, &result), 0);
        return result.last_offset + 1;
}

void ack_on_commit(CommitWait *wait, State *state) {
        Ack *ack = container_of(wait, Ack, wait);
        if (!partition_is_settled(ack->partition, ack->end_offset)) {
                state_wait_sync(state, wait, ack_on_commit);
                return;
        }
        ack->count++;
        if (ack->on_done)
                ack->on_done();
}

void state_append_acked(State *state, Partition *partition, Ack *ack) {
        *ack = (Ack){ .partition = partition, .end_offset = state_append_one(state, partition, STR("v")) };
        state_wait_commit(state, &ack->wait, ack_on_commit);
}

typedef struct Starts {
        StartsWait wait;
        int result;
} Starts;

static void on_starts(StartsWait *wait, State *state, int result) {
        container_of(wait, Starts, wait)->result = result;
}

int state_write_starts(State *state) {
        Starts starts = { .wait.done = on_starts };
        int r = checkpoints_send_starts(state, &starts.wait);
        worker_drain(&state->flusher);
        return r ? r : starts.result;
}

int64_t state_take_producer_id(State *state) {
        int64_t producer_id;
        int r = producer_ids_take(state, &producer_id);
        if (r == -EAGAIN) {
                state_drain(state);
                r = producer_ids_take(state, &producer_id);
        }
        cr_assert_eq(r, 0);
        return producer_id;
}

void state_fixture_set(StateFixture *fixture, const char *name, const char *value) {
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_BROKER, str_of(name));
        cr_assert_not_null(key, "%s", name);
        cr_assert_eq(config_map_set(&fixture->config.broker, key, str_of(value), CONFIG_SOURCE_STATIC_BROKER), 0);
}

static void move_to(State *state, int64_t mono_ms) {
        state->now_ms += mono_ms - state->mono_ms;
        state->mono_ms = mono_ms;
}

void state_fixture_advance(StateFixture *fixture, int64_t ms) {
        State *state = fixture->state;
        int64_t end_ms = state->mono_ms + ms;
        for (int64_t due_ms; (due_ms = state_next_timer_ms(state)) >= 0 && due_ms <= end_ms;) {
                if (due_ms > state->mono_ms)
                        move_to(state, due_ms);
                state_run_timers(state);
                state_commit(state);
        }
        move_to(state, end_ms);
}

static ssize_t fail_write(int fd, const struct iovec *parts, int count, off_t position) {
        errno = EIO;
        return -1;
}

void state_fixture_fail_writes(bool fail) {
        file_ops = FILE_OPS_SYSTEM;
        if (fail)
                file_ops.pwritev = fail_write;
}
