/* Who is asked for metrics, and what is remembered of it. */
#include "broker/state/telemetry.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/state/metadata/resource_configs.h"
#include "broker/state/state.h"
#include "storage/base/endian.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

#define NOW 1700000000000
#define INTERVAL_MS 300000

static char dir[64];
static Config config;
static State *state;
static Arena arena;
static List connection;

static void setup(void) {
        snprintf(dir, sizeof(dir), "/tmp/odradek-telemetry-XXXXXX");
        cr_assert(mkdtemp(dir));
        config = (Config){ .data_dir = dir };
        arena = ARENA_INIT(0);
        trace_level = TRACE_ERROR;
        list_init(&connection);
        cr_assert_eq(state_open(&config, NOW, 1000, &state), 0);
}

static void teardown(void) {
        state_close(state);
        arena_deinit(&arena);
        config_map_deinit(&config.broker);
        char command[128];
        snprintf(command, sizeof(command), "rm -rf '%s'", dir);
        cr_assert_eq(system(command), 0);
}

TestSuite(telemetry, .init = setup, .fini = teardown);

static TelemetryClient client_of(uint64_t number) {
        TelemetryClient client = { .client_id = STR("c"), .software_name = STR("s"), .software_version = STR("1"),
                                   .source_address = STR("127.0.0.1"), .source_port = 5, .instances = &connection };
        store_be64(client.instance_id.bytes + 8, number);
        return client;
}

static int subscribe(uint64_t number, TelemetrySubscription *ret_subscription) {
        TelemetryClient client = client_of(number);
        return telemetry_subscribe(state, &client, &arena, ret_subscription);
}

static int push(uint64_t number, int32_t subscription_id) {
        TelemetryClient client = client_of(number);
        return telemetry_push(state, &client, &(TelemetryPush){ .subscription_id = subscription_id, .metrics = STR("m") });
}

static void configure(const char *name, const char *key, const char *value) {
        ConfigMap map = CONFIG_MAP_INIT;
        cr_assert_eq(config_map_set(&map, config_find_key(CONFIG_RESOURCE_CLIENT_METRICS, str_of(key)), str_of(value),
                                    CONFIG_SOURCE_CLIENT_METRICS), 0);
        cr_assert_eq(resource_config_set(state, CONFIG_RESOURCE_CLIENT_METRICS, str_of(name), &map), 0);
        config_map_deinit(&map);
}

Test(telemetry, a_client_asks_and_pushes_once_an_interval) {
        TelemetrySubscription got;
        cr_assert_eq(subscribe(7, &got), 0);
        cr_assert_eq(got.push_interval_ms, INTERVAL_MS);
        cr_assert_eq(push(7, got.id), 0);
        state->mono_ms += INTERVAL_MS - 1;
        cr_assert_eq(push(7, got.id), KAFKA_THROTTLING_QUOTA_EXCEEDED);
        cr_assert_eq(subscribe(7, &got), KAFKA_THROTTLING_QUOTA_EXCEEDED);
        state->mono_ms++;
        cr_assert_eq(push(7, got.id), 0);
        state->mono_ms += INTERVAL_MS;
        cr_assert_eq(subscribe(7, &got), 0);
}

static int end(uint64_t number, int32_t subscription_id) {
        TelemetryClient client = client_of(number);
        return telemetry_push(state, &client, &(TelemetryPush){ .subscription_id = subscription_id, .terminating = true });
}

Test(telemetry, a_client_that_ended_is_forgotten_when_it_was_silent) {
        TelemetrySubscription got;
        cr_assert_eq(subscribe(7, &got), 0);
        cr_assert_eq(end(7, got.id), 0);
        state->mono_ms += 3 * INTERVAL_MS;
        cr_assert_eq(end(7, got.id), KAFKA_INVALID_REQUEST);
        state->mono_ms += 3 * INTERVAL_MS + 1;
        cr_assert_eq(push(7, got.id), 0);
}

Test(telemetry, a_closed_connection_forgets_its_clients) {
        TelemetrySubscription got;
        cr_assert_eq(subscribe(7, &got), 0);
        cr_assert_eq(subscribe(8, &got), 0);
        cr_assert_eq(subscribe(7, &got), KAFKA_THROTTLING_QUOTA_EXCEEDED);
        telemetry_forget(state, &connection);
        cr_assert(list_is_empty(&connection));
        cr_assert_eq(subscribe(7, &got), 0);
        cr_assert_eq(subscribe(8, &got), 0);
}

Test(telemetry, many_clients_take_the_place_of_the_oldest) {
        TelemetrySubscription got;
        const ConfigKey *limit = config_find_key(CONFIG_RESOURCE_BROKER, STR("odradek.max.telemetry.instances"));
        cr_assert_eq(config_map_set(&config.broker, limit, STR("100"), CONFIG_SOURCE_STATIC_BROKER), 0);
        for (uint64_t i = 0; i <= 100; i++)
                cr_assert_eq(subscribe(i, &got), 0);
        cr_assert_eq(subscribe(100, &got), KAFKA_THROTTLING_QUOTA_EXCEEDED);
        cr_assert_eq(subscribe(1, &got), KAFKA_THROTTLING_QUOTA_EXCEEDED);
        cr_assert_eq(subscribe(0, &got), 0);
        cr_assert_eq(subscribe(2, &got), 0);
}

Test(telemetry, subscriptions_survive_a_restart_with_their_ids) {
        TelemetrySubscription before, after;
        configure("a", "metrics", "org.b,org.a");
        configure("b", "interval.ms", "1000");
        cr_assert_eq(subscribe(7, &before), 0);
        cr_assert_eq(before.metric_count, 2);
        cr_assert(str_equal(before.metrics[0], STR("org.a")) && str_equal(before.metrics[1], STR("org.b")));
        cr_assert_eq(before.push_interval_ms, 1000);
        telemetry_forget(state, &connection);
        cr_assert_eq(state_close(state), 0);
        cr_assert_eq(state_open(&config, NOW, 0, &state), 0);
        cr_assert_eq(subscribe(7, &after), 0);
        cr_assert_eq(after.id, before.id);
        cr_assert_eq(push(7, after.id), 0);
}

Test(telemetry, a_change_is_told_at_once) {
        TelemetrySubscription got;
        cr_assert_eq(subscribe(7, &got), 0);
        int32_t id = got.id;
        configure("a", "metrics", "org.a");
        cr_assert_eq(push(7, id), KAFKA_UNKNOWN_SUBSCRIPTION_ID);
        cr_assert_eq(subscribe(8, &got), 0);
        configure("a", "metrics", "org.b");
        cr_assert_eq(subscribe(8, &got), 0);
        cr_assert(str_equal(got.metrics[0], STR("org.b")));
}

Test(telemetry, only_who_matches_is_asked) {
        TelemetrySubscription got;
        ConfigMap map = CONFIG_MAP_INIT;
        config_map_set(&map, config_find_key(CONFIG_RESOURCE_CLIENT_METRICS, STR("metrics")), STR("*"), CONFIG_SOURCE_CLIENT_METRICS);
        config_map_set(&map, config_find_key(CONFIG_RESOURCE_CLIENT_METRICS, STR("match")),
                       STR("client_source_port=5 , client_instance_id=AAAAAAAAAAAAAAAAAAAABw"), CONFIG_SOURCE_CLIENT_METRICS);
        cr_assert_eq(resource_config_set(state, CONFIG_RESOURCE_CLIENT_METRICS, STR("m"), &map), 0);
        cr_assert_eq(subscribe(7, &got), 0);
        cr_assert_eq(got.metric_count, 1);
        cr_assert_eq(subscribe(8, &got), 0);
        cr_assert_eq(got.metric_count, 0);
}
