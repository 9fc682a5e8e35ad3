/* Everything that happens by itself: timers, transactions' ends, expiry, retention, compaction, checkpoints. */
#include "tests/fuzz/life.h"

#include "broker/state/data_dir.h"
#include "broker/state/groups/groups.h"
#include "broker/state/journal.h"
#include "broker/state/metadata/metadata.h"
#include "broker/state/transactions/transactions.h"
#include "storage/base/xxh3.h"
#include "tests/fuzz/fuzz.h"

#define NOW INT64_C(1700000000000)
#define HOURS_MS (5 * 3600000)
#define TIMERS_MAX 300

static uint64_t hash_text(Str text) {
        return xxh3_64(text.data, text.len);
}

/* What clients are told, added up. */
static uint64_t picture(State *state) {
        uint64_t sum = 0;
        HASHMAP_FOREACH(&state->topics, node) {
                const Topic *topic = container_of(node, Topic, by_name);
                sum += hash_text(str_of(topic->name)) * (uint64_t)(topic->partition_count + 1);
                for (int32_t i = 0; i < topic->partition_count; i++)
                        if (topic->partitions[i]->log)
                                sum += hash_text(str_of(topic->name)) ^ ((uint64_t)i * 77 + (uint64_t)log_end_offset(topic->partitions[i]->log));
        }
        HASHMAP_FOREACH(&state->groups->by_id, node) {
                const Group *group = container_of(node, Group, node);
                if (!journal_is_readable(state, STR(TOPIC_NAME_OFFSETS), str_of(group->id)))
                        continue; /* nobody gets an answer from it */
                sum += hash_text(str_of(group->id)) * ((uint64_t)group->generation + 3);
                HASHMAP_FOREACH(&group->offsets, each)
                        sum += hash_text(each->key) ^ (uint64_t)container_of(each, CommittedOffset, node)->offset;
        }
        HASHMAP_FOREACH(&state->transactions->by_id, node) {
                const Transaction *txn = container_of(node, Transaction, node);
                sum += hash_text(str_of(txn->id)) ^ ((uint64_t)txn->facts.producer_id * 8 + txn->facts.status);
        }
        return sum;
}

/* A log that is damaged after a clean stop is a torn one for the next start, if no checkpoint says how far it was on disk. */
static bool serves_all(const State *state) {
        HASHMAP_FOREACH(&state->topics, node) {
                const Topic *topic = container_of(node, Topic, by_name);
                for (int32_t i = 0; i < topic->partition_count; i++)
                        if (!topic->partitions[i]->log)
                                return false;
        }
        return true;
}

/* Timers that come back for ever are a fault of their own, but not one that this could tell from many. */
static void pass_hours(State *state) {
        int64_t end_ms = state->mono_ms + HOURS_MS;
        for (int i = 0; i < TIMERS_MAX; i++) {
                int64_t due_ms = state_next_timer_ms(state);
                if (due_ms < 0 || due_ms > end_ms)
                        break;
                if (due_ms > state->mono_ms) {
                        state->now_ms += due_ms - state->mono_ms;
                        state->mono_ms = due_ms;
                }
                state_run_timers(state);
                state_commit(state);
                state_drain(state);
        }
}

static int start(Config *config, char *dir, int64_t now_ms, State **ret_state) {
        *config = (Config){ .data_dir = dir };
        int r = state_open(config, now_ms, 1000, ret_state);
        if (r)
                config_map_deinit(&config->broker);
        return r;
}

int life_lead(char *dir, bool is_fine) {
        Config config;
        State *state;
        int r = start(&config, dir, NOW, &state);
        if (r)
                return r;
        state_commit(state);
        state_drain(state);
        pass_hours(state);
        uint64_t before = picture(state);
        int64_t now_ms = state->now_ms;
        bool comparable = serves_all(state);
        r = state_close(state);
        config_map_deinit(&config.broker);
        if (r)
                return 0;
        r = start(&config, dir, now_ms, &state);
        FUZZ_CHECK(r == 0 || !is_fine); /* rot may be found that the first start had no need to read */
        if (r)
                return 0;
        FUZZ_CHECK(!comparable || picture(state) == before);
        state_abandon(state);
        config_map_deinit(&config.broker);
        return 0;
}
