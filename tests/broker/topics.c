/* Topics are what a replay of the metadata log gives. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/state/checkpoints.h"
#include "broker/state/state.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

#include "tests/lib/state_fixture.h"

static StateFixture fixture;

static void reopen(void) {
        state_fixture_reopen(&fixture);
}

static void crash(void) {
        state_fixture_crash(&fixture);
}

static void setup(void) {
        state_fixture_start(&fixture);
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(topics, .init = setup, .fini = teardown);

static Topic *create(const char *name, int32_t partitions) {
        Topic *topic = NULL;
        cr_assert_eq(state_fixture_create(&fixture, str_of(name), partitions, &topic), 0);
        return topic;
}

static bool exists(const char *name) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", fixture.dir, name);
        return access(path, F_OK) == 0;
}

static void append(Partition *partition, const char *value) {
        state_append_one(fixture.state, partition, str_of(value));
}

Test(topics, survive_a_clean_stop_and_a_crash) {
        Uuid id = create("a", 3)->id;
        for (int i = 0; i < 4; i++) {
                i % 2 ? crash() : reopen();
                Topic *topic = topic_find(fixture.state, STR("a"));
                cr_assert(topic && topic->partition_count == 3 && uuid_equal(&topic->id, &id));
                cr_assert_eq(topic_find_id(fixture.state, &id), topic);
                cr_assert(partition_find(fixture.state, STR("a"), 2)->log);
                cr_assert_null(partition_find(fixture.state, STR("a"), 3));
        }
}

Test(topics, a_second_of_the_same_name_is_refused) {
        create("a", 1);
        cr_assert_eq(topic_create(fixture.state, STR("a"), 1, &CONFIG_MAP_INIT, NULL), KAFKA_TOPIC_ALREADY_EXISTS);
}

Test(topics, deleted_ones_stay_deleted) {
        Topic *topic = create("a", 2);
        cr_assert(exists("a-0") && exists("a-1"));
        cr_assert_eq(topic_delete(fixture.state, topic), 0);
        cr_assert(exists("a-0") && exists("a-1"), "the record of that may not be on disk");
        state_drain(fixture.state);
        cr_assert(!exists("a-0") && !exists("a-1"));
        cr_assert_null(topic_find(fixture.state, STR("a")));
        reopen();
        cr_assert_null(topic_find(fixture.state, STR("a")));
        Uuid id = create("a", 1)->id;
        crash();
        cr_assert(uuid_equal(&topic_find(fixture.state, STR("a"))->id, &id));
        cr_assert_eq(topic_find(fixture.state, STR("a"))->partition_count, 1);
}

Test(topics, grow_and_keep_their_records) {
        Topic *topic = create("a", 1);
        append(topic->partitions[0], "x");
        state_commit(fixture.state);
        cr_assert_eq(topic_add_partitions(fixture.state, topic, 4), 0);
        crash();
        topic = topic_find(fixture.state, STR("a"));
        cr_assert_eq(topic->partition_count, 4);
        cr_assert_eq(partition_high_watermark(topic->partitions[0]), 1);
        cr_assert_eq(partition_high_watermark(topic->partitions[3]), 0);
}

Test(topics, configs_are_replaced_as_a_whole) {
        const ConfigKey *retention = config_find_key(CONFIG_RESOURCE_TOPIC, STR("retention.ms"));
        const ConfigKey *policy = config_find_key(CONFIG_RESOURCE_TOPIC, STR("cleanup.policy"));
        ConfigMap map = CONFIG_MAP_INIT;
        Topic *topic = create("a", 1);
        config_map_set(&map, retention, STR("1234"), CONFIG_SOURCE_TOPIC);
        config_map_set(&map, policy, STR("compact"), CONFIG_SOURCE_TOPIC);
        cr_assert_eq(topic_set_config(fixture.state, topic, &map), 0);
        cr_assert_eq(log_config(topic->partitions[0]->log)->retention_ms, 1234);
        map = CONFIG_MAP_INIT;
        config_map_set(&map, retention, STR("99"), CONFIG_SOURCE_TOPIC);
        cr_assert_eq(topic_set_config(fixture.state, topic, &map), 0);
        crash();
        topic = topic_find(fixture.state, STR("a"));
        cr_assert_eq(log_config(topic->partitions[0]->log)->retention_ms, 99);
        cr_assert(!log_config(topic->partitions[0]->log)->cleanup_compact);
        cr_assert_eq(topic->config.count, 1);
}

Test(topics, broker_configs_reach_the_logs_and_survive) {
        create("a", 1);
        ConfigMap map = CONFIG_MAP_INIT;
        config_map_set(&map, config_find_key(CONFIG_RESOURCE_BROKER, STR("log.retention.ms")), STR("77"),
                       CONFIG_SOURCE_DYNAMIC_BROKER);
        cr_assert_eq(state_set_broker_config(fixture.state, true, &map), 0);
        config_map_deinit(&map);
        cr_assert_eq(log_config(partition_find(fixture.state, STR("a"), 0)->log)->retention_ms, 77);
        config_map_deinit(&fixture.config.broker);
        fixture.config.broker = CONFIG_MAP_INIT;
        crash();
        cr_assert_eq(log_config(partition_find(fixture.state, STR("a"), 0)->log)->retention_ms, 77);
        cr_assert_eq(fixture.config.broker.entries[0].source, CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER);
        cr_assert_eq(state_set_broker_config(fixture.state, true, &map), 0);
        cr_assert_eq(fixture.config.broker.count, 0);
}

Test(topics, illegal_names_are_refused_in_kafkas_words) {
        char long_name[252], message[512];
        memset(long_name, 'a', 250);
        long_name[250] = '\0';
        const char *const names[] = { "", ".", "..", "x y", "a/b", long_name };
        for (size_t i = 0; i < 6; i++)
                cr_assert_eq(topic_validate_name(fixture.state, str_of(names[i]), message, sizeof(message)), KAFKA_INVALID_TOPIC_EXCEPTION);
        topic_validate_name(fixture.state, STR("x y"), message, sizeof(message));
        cr_assert_str_eq(message, "Topic name is invalid: 'x y' contains one or more characters other than ASCII alphanumerics, "
                                  "'.', '_' and '-'");
        long_name[249] = '\0';
        cr_assert_eq(topic_validate_name(fixture.state, str_of(long_name), message, sizeof(message)), 0);
}

Test(topics, names_that_differ_in_dots_and_underscores_collide) {
        char message[512];
        Topic *topic = create("a_b", 1);
        cr_assert_eq(topic_validate_name(fixture.state, STR("a.b"), message, sizeof(message)), KAFKA_INVALID_TOPIC_EXCEPTION);
        cr_assert_str_eq(message, "Topic 'a.b' collides with existing topic: a_b");
        topic_delete(fixture.state, topic);
        cr_assert_eq(topic_validate_name(fixture.state, STR("a.b"), message, sizeof(message)), 0);
}

Test(topics, a_stray_directory_does_not_end_up_in_a_new_topic) {
        char path[128];
        snprintf(path, sizeof(path), "%s/a-0", fixture.dir);
        mkdir(path, 0755);
        snprintf(path, sizeof(path), "%s/a-0/keep", fixture.dir);
        close(open(path, O_CREAT | O_WRONLY, 0644));
        create("a", 1);
        cr_assert(!exists("a-0/keep"));
        reopen();
        cr_assert(partition_find(fixture.state, STR("a"), 0)->log);
}

Test(topics, a_directory_of_another_topic_id_is_not_served) {
        create("a", 1);
        create("b", 1);
        cr_assert_eq(state_close(fixture.state), 0);
        char command[256];
        snprintf(command, sizeof(command), "cp '%s/a-0/partition.metadata' '%s/b-0/'", fixture.dir, fixture.dir);
        cr_assert_eq(system(command), 0);
        trace_level = TRACE_ERROR;
        cr_assert_eq(state_open(&fixture.config, FIXTURE_NOW, 0, &fixture.state), 0);
        cr_assert(partition_find(fixture.state, STR("a"), 0)->log);
        cr_assert_null(partition_find(fixture.state, STR("b"), 0)->log);
}

Test(topics, deleted_records_stay_deleted) {
        Partition *partition = create("a", 1)->partitions[0];
        for (int i = 0; i < 3; i++)
                append(partition, "x");
        state_commit(fixture.state);
        cr_assert_eq(partition_delete_records(fixture.state, partition, 4), KAFKA_OFFSET_OUT_OF_RANGE);
        cr_assert_eq(partition_delete_records(fixture.state, partition, 2), 0);
        cr_assert_eq(state_write_starts(fixture.state), 0);
        crash();
        partition = partition_find(fixture.state, STR("a"), 0);
        cr_assert_eq(partition_start_offset(partition), 2);
        cr_assert_eq(partition_delete_records(fixture.state, partition, -1), 0);
        reopen();
        cr_assert_eq(partition_start_offset(partition_find(fixture.state, STR("a"), 0)), 3);
}

Test(topics, dropped_segments_are_renamed_now_and_unlinked_later) {
        Partition *partition = create("a", 2)->partitions[0];
        LogConfig small = *log_config(partition->log);
        small.segment_bytes = 200;
        small.retention_bytes = 200;
        log_set_config(partition->log, &small);
        for (int i = 0; i < 9; i++)
                append(partition, "v"), state_commit(fixture.state);
        state_drain(fixture.state);
        FileSpan span;
        cr_assert_eq(partition_read(partition, 0, false, 1000, true, &span), 0);
        cr_assert_gt(log_retain(partition->log, FIXTURE_NOW), 0);
        cr_assert(!exists("a-0/00000000000000000000.log"));
        cr_assert(exists("a-0/00000000000000000000.log.deleted"));
        state_drain(fixture.state);
        cr_assert(exists("a-0/00000000000000000000.log.deleted"), "a reader still has it");
        Buffer copy = BUFFER_INIT;
        cr_assert_eq(file_span_copy(&span, &copy), 0);
        buffer_deinit(&copy);
        file_span_release(&span);
        state_drain(fixture.state);
        cr_assert(!exists("a-0/00000000000000000000.log.deleted"));
}

Test(topics, internal_topics_are_compacted) {
        Topic *topic = NULL;
        cr_assert_eq(topic_auto_create(fixture.state, STR(TOPIC_NAME_OFFSETS), &topic), 0);
        cr_assert(topic->is_internal);
        cr_assert_eq(topic->partition_count, config_int(&fixture.config, "offsets.topic.num.partitions"));
        cr_assert(log_config(topic->partitions[0]->log)->cleanup_compact);
}

Test(topics, thousands_replay_quickly) {
        char name[32];
        for (int i = 0; i < 300; i++) {
                snprintf(name, sizeof(name), "topic.%d", i);
                create(name, 1);
        }
        reopen();
        cr_assert_eq(fixture.state->topics.count, 300);
        cr_assert_eq(fixture.state->topics_by_collision.count, 300);
}
