/* Fetches that wait. */
#include <criterion/criterion.h>

#include "storage/base/error.h"
#include "storage/batch.h"
#include "tests/lib/ask.h"
#include "tests/lib/requests.h"
#include "tests/lib/state_fixture.h"

static StateFixture fixture;

static void setup(void) {
        state_fixture_start(&fixture);
        cr_assert_eq(topic_create(fixture.state, STR("t"), 1, &CONFIG_MAP_INIT, NULL), 0);
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(fetch, .init = setup, .fini = teardown);

static void append(void) {
        Buffer bytes = make_batch(1, true);
        LogAppend result;
        cr_assert_eq(partition_append_owned(fixture.state, partition_find(fixture.state, STR("t"), 0), &bytes, LOG_ORIGIN_CLIENT,
                                            &result), 0);
        state_commit(fixture.state);
}

static Asked *wait_for_records(int32_t bytes_min) {
        FetchRequestPartition partition = FetchRequestPartition_INIT;
        partition.partition_max_bytes = 1 << 20;
        FetchRequestTopic topic = { .topic = STR("t"), .partitions = &partition, .partitions_count = 1 };
        return ASK_START(fixture.state, Fetch, fetch, 12, .replica_id = -1, .replica_state.replica_id = -1, .max_wait_ms = INT32_MAX,
                         .min_bytes = bytes_min, .max_bytes = 1 << 20, .session_epoch = -1, .topics = &topic, .topics_count = 1);
}

Test(fetch, waiting_takes_no_memory_however_often_it_is_woken) {
        Asked *asked = wait_for_records(1 << 20);
        append();
        size_t before = asked_arena_bytes(asked);
        for (int i = 0; i < 100; i++)
                append();
        cr_assert(!asked_is_done(asked));
        cr_expect_eq(asked_arena_bytes(asked), before);
        asked_drop(asked);
}
