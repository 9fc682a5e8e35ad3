/* A sync that failed is known to the next start, which has the logs write again what may not be on disk. */
#include "broker/state/last_stop.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/base/file.h"
#include "tests/lib/state_fixture.h"

static StateFixture fixture;

static void setup(void) {
        state_fixture_start(&fixture);
}

static void teardown(void) {
        file_ops = FILE_OPS_SYSTEM;
        state_fixture_end(&fixture);
}

TestSuite(last_stop, .init = setup, .fini = teardown);

static const char *path_of(const char *name) {
        static char path[128];
        snprintf(path, sizeof(path), "%s/%s", fixture.dir, name);
        return path;
}

static bool exists(const char *name) {
        return access(path_of(name), F_OK) == 0;
}

static int failing_sync(int fd) {
        return errno = EIO, -1;
}

static void fail_syncs(bool fail) {
        file_ops.fdatasync = fail ? failing_sync : fdatasync;
}

static int sync_that_fails_once(int fd) {
        file_ops.fdatasync = fdatasync;
        return failing_sync(fd);
}

static int try_open(void) {
        fixture.state = NULL;
        return state_open(&fixture.config, FIXTURE_NOW, 1000, &fixture.state);
}

/* What is written to the metadata log from here on; the broker fails. */
static void fail_a_sync(void) {
        fail_syncs(true);
        cr_assert_eq(topic_create(fixture.state, STR("a"), 1, &CONFIG_MAP_INIT, NULL), 0);
        state_drain(fixture.state);
        cr_assert(fixture.state->failed);
        fail_syncs(false);
}

Test(last_stop, a_failed_sync_is_known_until_a_clean_stop) {
        cr_assert(!fixture.state->writes_again && !exists(FAILED_SYNC_NAME));
        fail_a_sync();
        cr_assert(exists(FAILED_SYNC_NAME), "it is there before anybody stops");
        cr_assert_lt(state_close(fixture.state), 0);
        cr_assert(exists(FAILED_SYNC_NAME) && !exists(CLEAN_STOP_NAME));
        cr_assert_eq(try_open(), 0);
        cr_assert(fixture.state->writes_again && topic_find(fixture.state, STR("a")));
        state_fixture_crash(&fixture);
        cr_assert(fixture.state->writes_again, "the one before was killed");
        cr_assert_eq(state_close(fixture.state), 0);
        cr_assert(exists(CLEAN_STOP_NAME) && !exists(FAILED_SYNC_NAME));
        cr_assert_eq(try_open(), 0);
        cr_assert(!fixture.state->writes_again);
}

/* Nor is what it was for acknowledged; only it fails. */
Test(last_stop, a_failed_sync_leaves_no_marker) {
        fixture.config.durable = true;
        state_fixture_reopen(&fixture);
        Topic *topic;
        cr_assert_eq(topic_create(fixture.state, STR("a"), 2, &CONFIG_MAP_INIT, &topic), 0);
        state_drain(fixture.state);
        file_ops.fdatasync = sync_that_fails_once;
        Ack ack;
        state_append_acked(fixture.state, topic->partitions[0], &ack);
        state_drain(fixture.state);
        cr_assert(fixture.state->failed && !ack.count);
        cr_assert_lt(state_close(fixture.state), 0);
        cr_assert(!exists(CLEAN_STOP_NAME));
        cr_assert_eq(try_open(), 0);
}

Test(last_stop, a_sync_that_fails_at_a_start_is_known_too) {
        cr_assert_eq(state_close(fixture.state), 0);
        cr_assert_eq(try_open(), 0);
        cr_assert_eq(topic_create(fixture.state, STR("a"), 1, &CONFIG_MAP_INIT, NULL), 0);
        state_abandon(fixture.state);
        fail_syncs(true);
        cr_assert_lt(try_open(), 0);
        fail_syncs(false);
        cr_assert(exists(FAILED_SYNC_NAME));
        cr_assert_eq(try_open(), 0);
}

Test(last_stop, and_one_at_a_stop) {
        cr_assert_eq(topic_create(fixture.state, STR("a"), 1, &CONFIG_MAP_INIT, NULL), 0);
        fail_syncs(true);
        cr_assert_lt(state_close(fixture.state), 0);
        fail_syncs(false);
        cr_assert(exists(FAILED_SYNC_NAME) && !exists(CLEAN_STOP_NAME));
        cr_assert_eq(try_open(), 0);
}

/* Nothing of it was read, let alone written again. */
Test(last_stop, it_stays_while_a_partition_is_not_served) {
        Topic *topic;
        cr_assert_eq(topic_create(fixture.state, STR("a"), 1, &CONFIG_MAP_INIT, &topic), 0);
        state_drain(fixture.state);
        char command[256];
        snprintf(command, sizeof(command), "cd %s/a-0 && echo rot > partition.metadata && touch ../" FAILED_SYNC_NAME, fixture.dir);
        cr_assert_eq(system(command), 0);
        state_fixture_crash(&fixture);
        cr_assert_null(topic_find(fixture.state, STR("a"))->partitions[0]->log);
        cr_assert_eq(state_close(fixture.state), 0);
        cr_assert(exists(FAILED_SYNC_NAME) && !exists(CLEAN_STOP_NAME));
        cr_assert_eq(try_open(), 0);
}

/* As when an older odradek, or a Kafka, ran in between. */
Test(last_stop, it_outweighs_the_marker_of_a_clean_stop) {
        bool clean = true;
        cr_assert_eq(state_close(fixture.state), 0);
        cr_assert(last_stop_was_clean(fixture.dir));
        file_close(file_open(path_of(FAILED_SYNC_NAME), O_WRONLY | O_CREAT));
        cr_assert_not(last_stop_was_clean(fixture.dir));
        State state = { .config = &fixture.config };
        cr_assert_eq(last_stop_take(&state, &clean), 0);
        cr_assert(!clean && state.writes_again && exists(FAILED_SYNC_NAME) && !exists(CLEAN_STOP_NAME));
        cr_assert_eq(try_open(), 0);
}

static int full_open(const char *path, int flags, mode_t mode) {
        return flags & O_CREAT ? (errno = ENOSPC, -1) : open(path, flags, mode);
}

Test(last_stop, a_failure_that_cannot_be_noted_is_said) {
        cr_assert_str_eq(last_stop_note_failure(fixture.state), "");
        cr_assert(!exists(FAILED_SYNC_NAME), "no sync has failed");
        atomic_store(&file_sync_has_failed, true);
        file_ops.open = full_open;
        cr_assert(strstr(last_stop_note_failure(fixture.state), "restart the machine"));
        file_ops.open = FILE_OPS_SYSTEM.open;
        cr_assert_str_eq(last_stop_note_failure(fixture.state), "");
        cr_assert(exists(FAILED_SYNC_NAME));
}
