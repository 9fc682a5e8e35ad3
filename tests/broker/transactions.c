/* The transaction coordinator: what time, failures and restarts do to transactions. */
#include "broker/state/transactions/transactions.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "broker/state/producer_ids.h"
#include "storage/base/error.h"
#include "tests/lib/state_fixture.h"

#define TIMEOUT_MS 60000

static StateFixture fixture;

static void setup(void) {
        state_fixture_start(&fixture);
        state_fixture_set(&fixture, "transaction.state.log.num.partitions", "2");
        cr_assert_eq(topic_create(fixture.state, STR("t"), 2, &CONFIG_MAP_INIT, NULL), 0);
        cr_assert_eq(producer_ids_reserve(fixture.state), -EAGAIN);
        state_drain(fixture.state);
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(transactions, .init = setup, .fini = teardown);

typedef struct Asked {
        TransactionWait wait;
        TransactionResult result;
        int count;
} Asked;

static void on_result(TransactionWait *wait, State *state, const TransactionResult *result) {
        Asked *asked = container_of(wait, Asked, wait);
        asked->result = *result;
        asked->count++;
}

/* Commits the turn and gives the one answer that must have come. */
static TransactionResult answer(Asked *asked) {
        state_commit(fixture.state);
        cr_assert_eq(asked->count, 1);
        return asked->result;
}

static TransactionResult init_of(Str id) {
        Asked asked = { .wait.done = on_result };
        transaction_init(fixture.state, id, TIMEOUT_MS, -1, -1, &asked.wait);
        return answer(&asked);
}

static TransactionResult init(void) {
        return init_of(STR("id"));
}

static int16_t add(TransactionResult who, int32_t partition) {
        Asked asked = { .wait.done = on_result };
        TransactionTarget target = { STR("t"), partition };
        transaction_add(fixture.state, STR("id"), who.producer_id, who.producer_epoch, &target, 1, 2, &asked.wait);
        return answer(&asked).code;
}

static TransactionResult end(TransactionResult who, bool commit, int16_t version) {
        Asked asked = { .wait.done = on_result };
        transaction_end(fixture.state, STR("id"), who.producer_id, who.producer_epoch, commit, version, &asked.wait);
        return answer(&asked);
}

static const Transaction *it(void) {
        const Transaction *txn = transaction_find(fixture.state, STR("id"));
        cr_assert_not_null(txn);
        return txn;
}

static int64_t end_offset(int32_t partition) {
        return log_end_offset(partition_find(fixture.state, STR("t"), partition)->log);
}

static TransactionResult begin(void) {
        TransactionResult who = init();
        cr_assert_eq(who.code, 0);
        cr_assert_eq(add(who, 0), 0);
        return who;
}

Test(transactions, the_end_marks_the_partitions_that_were_added) {
        TransactionResult who = begin();
        cr_assert_eq(end(who, true, 0).code, 0);
        cr_assert_eq(it()->facts.status, TRANSACTION_COMPLETE_COMMIT);
        cr_assert(end_offset(0) == 1 && end_offset(1) == 0);
        cr_assert_eq(it()->facts.producer_epoch, who.producer_epoch);
}

Test(transactions, with_version_2_each_end_takes_an_epoch) {
        TransactionResult who = begin(), next = end(who, false, 2);
        cr_assert(next.code == 0 && next.producer_epoch == who.producer_epoch + 1);
        cr_assert_eq(add(who, 0), KAFKA_PRODUCER_FENCED);
        cr_assert_eq(add(next, 1), 0);
}

Test(transactions, a_new_owner_ends_what_the_old_one_left) {
        TransactionResult old = begin();
        cr_assert_eq(init().code, KAFKA_CONCURRENT_TRANSACTIONS);
        TransactionResult who = init();
        cr_assert(who.code == 0 && who.producer_id == old.producer_id && who.producer_epoch > old.producer_epoch);
        cr_assert_eq(end_offset(0), 1);
        cr_assert_eq(end(old, true, 0).code, KAFKA_PRODUCER_FENCED);
}

Test(transactions, older_levels_fence_as_well_and_are_read_back) {
        for (int16_t level = 0; level <= 2; level++) {
                fixture.state->feature_levels[FEATURE_TRANSACTION] = level;
                TransactionResult old = begin();
                cr_assert_eq(init().code, KAFKA_CONCURRENT_TRANSACTIONS);
                cr_assert_eq(it()->facts.client_version, level);
                state_fixture_crash(&fixture);
                cr_assert_eq(it()->facts.status, TRANSACTION_COMPLETE_ABORT);
                fixture.state->feature_levels[FEATURE_TRANSACTION] = level;
                TransactionResult who = init();
                cr_assert(who.code == 0 && who.producer_id == old.producer_id && who.producer_epoch > old.producer_epoch);
                cr_assert_eq(end(old, true, 0).code, KAFKA_PRODUCER_FENCED);
        }
}

Test(transactions, time_runs_out) {
        TransactionResult who = begin();
        state_fixture_advance(&fixture, TIMEOUT_MS - 1);
        cr_assert_eq(it()->facts.status, TRANSACTION_ONGOING);
        state_fixture_advance(&fixture, 1);
        cr_assert_eq(it()->facts.status, TRANSACTION_COMPLETE_ABORT);
        cr_assert_eq(end(who, true, 0).code, KAFKA_PRODUCER_FENCED);
}

Test(transactions, a_clock_that_goes_back_gives_no_more_time_than_there_was) {
        TransactionResult who = begin();
        fixture.state->now_ms -= 86400000;
        cr_assert_eq(add(who, 1), 0);
        state_fixture_advance(&fixture, TIMEOUT_MS);
        cr_assert_eq(it()->facts.status, TRANSACTION_COMPLETE_ABORT);
}

Test(transactions, what_is_out_of_time_and_cannot_be_written_is_tried_again_later) {
        begin();
        state_fixture_fail_writes(true);
        state_fixture_advance(&fixture, TIMEOUT_MS - 1);
        State *state = fixture.state;
        state->now_ms++;
        state->mono_ms++;
        state_run_timers(state);
        state_commit(state);
        cr_assert_eq(it()->facts.status, TRANSACTION_ONGOING);
        cr_assert_gt(state_next_timer_ms(state), state->mono_ms, "the loop would spin");
        state_fixture_fail_writes(false);
        state_fixture_advance(&fixture, 2000);
        cr_assert_eq(it()->facts.status, TRANSACTION_COMPLETE_ABORT);
}

Test(transactions, an_end_that_could_not_be_written_leaves_the_time_that_was_left) {
        TransactionResult who = begin();
        state_fixture_fail_writes(true);
        cr_assert_eq(end(who, true, 0).code, KAFKA_COORDINATOR_NOT_AVAILABLE);
        state_fixture_fail_writes(false);
        state_fixture_advance(&fixture, TIMEOUT_MS - 1);
        cr_assert_eq(it()->facts.status, TRANSACTION_ONGOING);
        cr_assert_eq(end(who, true, 0).code, 0);
        cr_assert_eq(it()->facts.status, TRANSACTION_COMPLETE_COMMIT);
}

Test(transactions, what_is_open_outlasts_a_restart_with_its_time) {
        TransactionResult who = begin();
        state_fixture_advance(&fixture, 1000);
        state_fixture_crash(&fixture);
        cr_assert(it()->facts.status == TRANSACTION_ONGOING && transaction_has(it(), STR("t"), 0));
        state_fixture_advance(&fixture, TIMEOUT_MS - 1001);
        cr_assert_eq(it()->facts.status, TRANSACTION_ONGOING);
        cr_assert_eq(end(who, true, 0).code, 0);
}

/* Dies between the decision and the markers. */
Test(transactions, a_decision_is_carried_out_after_a_crash) {
        TransactionResult who = begin();
        Asked asked = { .wait.done = on_result };
        transaction_end(fixture.state, STR("id"), who.producer_id, who.producer_epoch, true, 0, &asked.wait);
        Partition *partition = NULL;
        for (int32_t i = 0; i < 2; i++) {
                Partition *each = partition_find(fixture.state, STR(TOPIC_NAME_TRANSACTIONS), i);
                partition = log_is_dirty(each->log) ? each : partition;
        }
        cr_assert_not_null(partition);
        cr_assert_eq(log_commit(partition->log, fixture.state->now_ms), 0);
        state_fixture_crash(&fixture);
        cr_assert_eq(it()->facts.status, TRANSACTION_COMPLETE_COMMIT);
        cr_assert_eq(end_offset(0), 1);
}

Test(transactions, there_are_no_more_ids_than_allowed) {
        state_fixture_set(&fixture, "odradek.max.transactional.ids", "1");
        cr_assert_eq(init().code, 0);
        cr_assert_eq(init_of(STR("other")).code, KAFKA_POLICY_VIOLATION);
        cr_assert_null(transaction_find(fixture.state, STR("other")));
        cr_assert_eq(end(begin(), true, 0).code, 0); /* the one that is there goes on */
        state_fixture_advance(&fixture, 8 * 24 * 3600 * INT64_C(1000));
        cr_assert_eq(init_of(STR("other")).code, 0);
}

Test(transactions, an_id_that_nobody_uses_is_forgotten_for_good) {
        cr_assert_eq(end(begin(), true, 0).code, 0);
        state_fixture_advance(&fixture, 8 * 24 * 3600 * INT64_C(1000));
        cr_assert_null(transaction_find(fixture.state, STR("id")));
        state_fixture_crash(&fixture);
        cr_assert_null(transaction_find(fixture.state, STR("id")));
}

Test(transactions, who_goes_away_changes_nothing) {
        TransactionResult who = begin();
        Asked asked = { .wait.done = on_result };
        transaction_end(fixture.state, STR("id"), who.producer_id, who.producer_epoch, true, 0, &asked.wait);
        transaction_wait_cancel(&asked.wait);
        state_commit(fixture.state);
        cr_assert_eq(asked.count, 0);
        cr_assert_eq(it()->facts.status, TRANSACTION_COMPLETE_COMMIT);
}
