/* How a deleted topic goes, step by step: however far a crash lets it come, it is there, or it is gone. */
#include "broker/state/deletion.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/state/checkpoints.h"
#include "broker/state/groups/offsets_write.h"
#include "tests/lib/state_fixture.h"

static StateFixture fixture;
static Partition *partition;

static void setup(void) {
        state_fixture_start(&fixture);
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(deletion, .init = setup, .fini = teardown);

static void make_durable(void) {
        fixture.config.durable = true;
        state_fixture_reopen(&fixture);
}

static void make_topic(void) {
        Topic *topic;
        cr_assert_eq(state_fixture_create(&fixture, STR("a"), 2, &topic), 0);
        partition = topic->partitions[0];
        state_drain(fixture.state);
}

static void crash(void) {
        state_fixture_crash(&fixture);
        Topic *topic = topic_find(fixture.state, STR("a"));
        partition = topic ? topic->partitions[0] : NULL;
}

static void append(void) {
        state_append_one(fixture.state, partition, STR("v"));
        state_drain(fixture.state);
}

/* With such records, of which those before the start were deleted; the checkpoint files do not say so yet. */
static void make_durable_topic(int count, int64_t start_offset) {
        make_durable();
        make_topic();
        for (int i = 0; i < count; i++)
                append();
        cr_assert_eq(partition_delete_records(fixture.state, partition, start_offset), 0);
}

/* Nothing is left of the topic that had its name before, also after a crash. */
static void assert_holds_one_record(void) {
        crash();
        cr_assert_not_null(partition->log);
        cr_assert_eq(partition_start_offset(partition), 0);
        cr_assert_eq(log_end_offset(partition->log), 1);
}

/* However far the deletion got: its record was written, synced, or the directories have their new names. */
Test(deletion, a_deleted_topic_s_directories_go_later_or_at_the_next_start) {
        for (int step = 0; step < 3; step++) {
                make_topic();
                cr_assert_eq(topic_delete(fixture.state, partition->topic), 0);
                if (step)
                        state_commit(fixture.state), worker_drain(&fixture.state->flusher);
                if (step == 2)
                        state_commit(fixture.state), worker_wait(&fixture.state->worker), worker_collect(&fixture.state->worker);
                cr_assert_eq(state_fixture_count(&fixture, "a-[01]"), step < 2 ? 2 : 0);
                cr_assert_eq(state_fixture_count(&fixture, "a-?.*-delete"), step < 2 ? 0 : 2);
                state_fixture_crash(&fixture);
                cr_assert_null(topic_find(fixture.state, STR("a")));
                cr_assert_eq(state_fixture_count(&fixture, "a-[01]"), 0);
                state_drain(fixture.state);
                cr_assert_eq(state_fixture_count(&fixture, "a-*"), 0);
                state_fixture_reopen(&fixture);
        }
}

static bool is_in_file(const char *file, const char *line) {
        char command[256];
        snprintf(command, sizeof(command), "grep -q '^%s' '%s/%s'", line, fixture.dir, file);
        return system(command) == 0;
}

/* Until then a power cut would bring it back, and it would not know what of its log is sound, nor which records were deleted. */
Test(deletion, the_checkpoint_files_keep_a_topic_until_its_deletion_is_on_disk) {
        make_durable_topic(3, 2);
        cr_assert_eq(topic_delete(fixture.state, partition->topic), 0);
        checkpoints_now(fixture.state);
        worker_drain(&fixture.state->worker);
        cr_assert_eq(state_write_starts(fixture.state), 0);
        cr_assert(is_in_file("recovery-point-offset-checkpoint", "a 0 3") && is_in_file("log-start-offset-checkpoint", "a 0 2"));
        state_drain(fixture.state);
        checkpoints_now(fixture.state);
        state_drain(fixture.state);
        cr_assert_not(is_in_file("recovery-point-offset-checkpoint", "a ") || is_in_file("log-start-offset-checkpoint", "a "));
        cr_assert_eq(fixture.state->deletions.count, 0);
}

Test(deletion, a_new_topic_inherits_no_checkpoint_of_a_deleted_one) {
        make_durable_topic(5, 3);
        cr_assert_eq(state_write_starts(fixture.state), 0);
        checkpoints_soon(fixture.state, 0);
        state_run_timers(fixture.state);
        state_drain(fixture.state);
        cr_assert_eq(topic_delete(fixture.state, partition->topic), 0);
        make_topic(); /* has to wait */
        append();
        assert_holds_one_record();
}

/* Not even when the broker died before it could write new ones. */
Test(deletion, a_new_topic_inherits_no_checkpoint_of_one_that_was_deleted_before_a_crash) {
        make_durable_topic(5, 3);
        cr_assert_eq(state_write_starts(fixture.state), 0);
        checkpoints_now(fixture.state);
        state_drain(fixture.state);
        cr_assert_eq(topic_delete(fixture.state, partition->topic), 0);
        state_drain(fixture.state);
        crash();
        make_topic();
        append();
        assert_holds_one_record();
}

/* ---- what groups committed */

static void on_written(OffsetsWait *wait, State *state, int16_t code) {
        cr_assert_eq(code, 0);
}

/* Of both partitions. */
static void commit_offsets(Str group) {
        OffsetsWait wait = { .done = on_written };
        OffsetToCommit offsets[] = { { .topic = STR("a"), .metadata = STR(""), .partition = 0, .offset = 7, .leader_epoch = -1, .expire_ms = -1 },
                                     { .topic = STR("a"), .metadata = STR(""), .partition = 1, .offset = 8, .leader_epoch = -1, .expire_ms = -1 } };
        for (size_t i = 0; i < 2; i++) {
                cr_assert_eq(offsets_write(fixture.state, group, &offsets[i], 1, NULL, &wait), 0);
                state_drain(fixture.state);
        }
}

static int count_offsets(Str group) {
        const Group *found = group_find(fixture.state, group);
        return found ? (int)found->offsets.count : 0;
}

/* The record of the deletion is on disk, and nothing followed yet. */
static void delete_up_to_the_offsets(void) {
        cr_assert_eq(topic_delete(fixture.state, partition->topic), 0);
        state_commit(fixture.state);
        worker_wait(&fixture.state->flusher);
}

Test(deletion, offsets_go_with_their_topic) {
        make_topic();
        commit_offsets(STR("g"));
        cr_assert_eq(topic_delete(fixture.state, partition->topic), 0);
        state_drain(fixture.state);
        cr_assert_eq(count_offsets(STR("g")), 0);
        crash();
        cr_assert_eq(count_offsets(STR("g")), 0);
}

Test(deletion, offsets_go_though_a_crash_came_between) {
        make_topic();
        commit_offsets(STR("g"));
        delete_up_to_the_offsets();
        crash();
        cr_assert_eq(count_offsets(STR("g")), 0);
        make_topic();
        crash();
        cr_assert_eq(count_offsets(STR("g")), 0);
}

static int create(void) {
        int r;
        while ((r = topic_create(fixture.state, STR("a"), 2, &CONFIG_MAP_INIT, NULL)) == -EBUSY)
                state_drain(fixture.state);
        return r;
}

/* On a full disk, say: the files go all the same, they may be what fills it. */
Test(deletion, nothing_takes_the_name_while_offsets_are_left) {
        make_topic();
        commit_offsets(STR("g"));
        delete_up_to_the_offsets();
        state_fixture_fail_writes(true);
        state_drain(fixture.state);
        cr_assert_eq(state_fixture_count(&fixture, "a-*"), 0);
        cr_assert_eq(count_offsets(STR("g")), 2);
        cr_assert_eq(create(), -EIO);
        cr_assert_eq(create(), -EIO);
        state_fixture_fail_writes(false);
        cr_assert_eq(create(), 0);
        cr_assert_eq(count_offsets(STR("g")), 0);
        crash();
        cr_assert_eq(count_offsets(STR("g")), 0);
}

Test(deletion, offsets_that_were_left_go_with_the_next_checkpoint) {
        make_topic();
        commit_offsets(STR("g"));
        delete_up_to_the_offsets();
        state_fixture_fail_writes(true);
        state_drain(fixture.state);
        state_fixture_fail_writes(false);
        checkpoints_now(fixture.state);
        state_drain(fixture.state);
        cr_assert_eq(count_offsets(STR("g")), 0);
        cr_assert_eq(fixture.state->deletions.count, 0);
        crash();
        cr_assert_eq(count_offsets(STR("g")), 0);
}

/* Their tombstones need not fit a batch. */
Test(deletion, offsets_of_a_long_group_id_go_too) {
        static char id[32000];
        memset(id, 'g', sizeof(id));
        Str group = { id, sizeof(id) };
        Topic *topic;
        cr_assert_eq(state_fixture_create(&fixture, STR("a"), 40, &topic), 0);
        partition = topic->partitions[0];
        OffsetsWait wait = { .done = on_written };
        for (int32_t i = 0; i < 40; i++) {
                OffsetToCommit offset = { .topic = STR("a"), .metadata = STR(""), .partition = i, .offset = i, .leader_epoch = -1, .expire_ms = -1 };
                cr_assert_eq(offsets_write(fixture.state, group, &offset, 1, NULL, &wait), 0);
                state_commit(fixture.state);
        }
        cr_assert_eq(count_offsets(group), 40);
        cr_assert_eq(topic_delete(fixture.state, topic), 0);
        state_drain(fixture.state);
        cr_assert_eq(count_offsets(group), 0);
        crash();
        cr_assert_eq(count_offsets(group), 0);
}

/* Or the new topic could be on disk, and the tombstones not. */
Test(deletion, the_name_is_free_when_the_tombstones_are_on_disk) {
        make_durable();
        make_topic();
        commit_offsets(STR("g"));
        delete_up_to_the_offsets();
        worker_collect(&fixture.state->flusher);
        state_commit(fixture.state); /* the tombstones: written */
        cr_assert_eq(count_offsets(STR("g")), 0);
        checkpoints_now(fixture.state);
        for (int i = 0; i < 3; i++)
                worker_drain(&fixture.state->worker);
        cr_assert_eq(state_fixture_count(&fixture, "a-[01]"), 2);
        cr_assert_eq(topic_create(fixture.state, STR("a"), 2, &CONFIG_MAP_INIT, NULL), -EBUSY);
        state_drain(fixture.state);
        cr_assert_eq(create(), 0);
}
