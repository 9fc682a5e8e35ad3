/* What is looked at before anything of a request is appended. Without a thread: a check that takes long runs when the test drains it. */
#include "broker/state/batch_checks.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "storage/batch.h"
#include "storage/compress.h"
#include "tests/lib/state_fixture.h"

static StateFixture fixture;
static Partition *partition;
static BatchChecks *checks;

static void setup(void) {
        Topic *topic;
        state_fixture_start(&fixture);
        cr_assert_eq(topic_create(fixture.state, STR("t"), 1, &CONFIG_MAP_INIT, &topic), 0);
        partition = topic->partitions[0];
        checks = NULL;
}

static void teardown(void) {
        batch_checks_free(checks);
        state_fixture_end(&fixture);
}

TestSuite(batch_checks, .init = setup, .fini = teardown);

/* One record of so many zeros. */
static Buffer zeros(size_t size, int codec) {
        BatchBuilder builder;
        char *value = calloc(1, size);
        batch_builder_init(&builder, 0, -1, -1, -1);
        batch_builder_add(&builder, FIXTURE_NOW, STR("key"), (Str){ value, size }, NULL, 0);
        cr_assert_eq(batch_builder_finish(&builder, codec), 0);
        free(value);
        return builder.out;
}

static void add(const Buffer *batches, int32_t count) {
        for (int32_t i = 0; i < count; i++) {
                Str records = { (const char *)batches[i].data, batches[i].size };
                cr_assert(batch_checks_concern(fixture.state, records));
                cr_assert_eq(batch_checks_add(&checks, fixture.state, partition, i, records), 0);
        }
}

static void forget(void) {
        batch_checks_free(checks);
        checks = NULL;
}

static void free_all(Buffer *batches, int32_t count) {
        for (int32_t i = 0; i < count; i++)
                buffer_deinit(&batches[i]);
}

Test(batch_checks, the_check_of_a_batch_is_found_behind_ones_that_nobody_asked_for) {
        Buffer batches[] = { zeros(100, CODEC_ZSTD), zeros(200, CODEC_ZSTD), zeros(300, CODEC_ZSTD) };
        add(batches, 3);
        cr_assert_not(batch_checks_take_long(checks));
        BatchCheck *check = batch_checks_take(checks, 2, (Str){ (const char *)batches[2].data, batches[2].size });
        cr_assert_not_null(check);
        cr_expect_eq(check->place, 2);
        cr_expect_eq(check->log.result, 0);
        batch_check_free(check);
        free_all(batches, 3);
}

static void note_end(CheckWait *wait, State *state) {
        wait->done = NULL;
}

Test(batch_checks, many_small_batches_may_not_inflate_to_much_at_once) {
        Buffer batches[8];
        for (int32_t i = 0; i < 8; i++)
                batches[i] = zeros(100000, CODEC_ZSTD);
        add(batches, 1);
        cr_expect_not(batch_checks_take_long(checks));
        forget();
        fixture.state->mono_ms++;
        add(batches, 8);
        cr_assert(batch_checks_take_long(checks));
        CheckWait wait;
        cr_assert_eq(batch_checks_start(checks, fixture.state, &wait, note_end), 0);
        state_drain(fixture.state);
        cr_assert_null(wait.done);
        for (int32_t i = 0; i < 8; i++) {
                BatchCheck *check = batch_checks_take(checks, i, (Str){ (const char *)batches[i].data, batches[i].size });
                cr_assert_not_null(check);
                cr_expect_eq(check->log.result, 0);
                batch_check_free(check);
        }
        free_all(batches, 8);
}

/* A byte of gzip takes longest. */
Test(batch_checks, what_inflates_quickly_may_inflate_to_more_at_once) {
        static const int most[CODEC_COUNT] = { [CODEC_GZIP] = 128, [CODEC_SNAPPY] = 256, [CODEC_LZ4] = 256, [CODEC_ZSTD] = 256 };
        for (int codec = CODEC_GZIP; codec < CODEC_COUNT; codec++) {
                for (int more = 0; more < 2; more++) {
                        Buffer batch = zeros(((size_t)most[codec] << 10) - 100 + 100 * (size_t)more, codec);
                        fixture.state->mono_ms++;
                        add(&batch, 1);
                        cr_expect_eq(batch_checks_take_long(checks), more, "codec %d", codec);
                        forget();
                        buffer_deinit(&batch);
                }
        }
}

Test(batch_checks, what_was_inflated_in_vain_counts) {
        Buffer batches[] = { zeros(1000000, CODEC_ZSTD), zeros(100, CODEC_ZSTD) };
        for (int i = 0; i < 2; i++) { /* the second while the first has used up this millisecond */
                add(&batches[i], 1);
                cr_assert(batch_checks_take_long(checks));
                forget();
        }
        fixture.state->mono_ms++;
        add(&batches[1], 1);
        cr_assert_not(batch_checks_take_long(checks));
        free_all(batches, 2);
}

Test(batch_checks, what_comes_uncompressed_concerns_nobody_while_logs_take_it_as_it_comes) {
        Buffer batch = zeros(100, CODEC_NONE);
        cr_expect_not(batch_checks_concern(fixture.state, (Str){ (const char *)batch.data, batch.size }));
        buffer_deinit(&batch);
}

/* In one request or in several: a millisecond's worth of compressing, and then no more of it. */
Test(batch_checks, the_loop_compresses_no_more_in_a_millisecond_than_it_can) {
        ConfigMap gzip = CONFIG_MAP_INIT;
        cr_assert_eq(config_map_set(&gzip, config_find_key(CONFIG_RESOURCE_TOPIC, STR("compression.type")), STR("gzip"), CONFIG_SOURCE_TOPIC), 0);
        cr_assert_eq(topic_set_config(fixture.state, partition->topic, &gzip), 0);
        Buffer batch = zeros(250, CODEC_NONE);
        int32_t before = 0;
        for (; before < 100 && !batch_checks_take_long(checks); before++) {
                forget();
                add(&batch, 1);
        }
        cr_expect(before > 5 && before < 10, "%d", before);
        forget();
        fixture.state->mono_ms++;
        add(&batch, 1);
        cr_expect_not(batch_checks_take_long(checks));
        buffer_deinit(&batch);
}
