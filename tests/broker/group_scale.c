/* Many groups at once: what a rebalance of all of them takes, and whether heartbeats and commits cost more where there are more
 * groups. Figures are printed, and nothing is asserted about them; everything must have worked. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/state/groups/offsets_write.h"
#include "storage/base/error.h"
#include "tests/lib/consumer_actor.h"
#include "tests/lib/group_actor.h"

#define GROUPS_MAX 1000
#define MEMBERS_MAX 2000
#define REQUESTS_PER_TURN 100

static StateFixture fixture;
static char names[GROUPS_MAX][24], clients[MEMBERS_MAX][24];
static int members; /* of each group */

static void setup(void) {
        state_fixture_start(&fixture);
        state_fixture_set(&fixture, "group.initial.rebalance.delay.ms", "3000");
        state_fixture_set(&fixture, "group.consumer.assignment.interval.ms", "0");
        cr_assert_eq(topic_create(fixture.state, STR("t"), 20, &CONFIG_MAP_INIT, NULL), 0);
        for (int i = 0; i < GROUPS_MAX; i++)
                snprintf(names[i], sizeof(names[i]), "group-%d", i);
        for (int i = 0; i < MEMBERS_MAX; i++)
                snprintf(clients[i], sizeof(clients[i]), "client-%d", i);
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(group_scale, .init = setup, .fini = teardown, .timeout = 600);

static double seconds(void) {
        struct timespec now;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print(const char *what, int groups, double took, int requests) {
        fprintf(stderr, "%5d groups of %d: %-36s %8.1f ms, %6.2f us a request\n", groups, members, what, took * 1e3, took * 1e6 / requests);
}

/* A turn of the loop has some requests in it. */
static void count_request(int *requests) {
        if (++*requests % REQUESTS_PER_TURN == 0)
                state_commit(fixture.state);
}

/* ---- commits, of groups of either protocol */

static void on_offsets(OffsetsWait *wait, State *state, int16_t code) {
        cr_assert_eq(code, 0);
}

static void commit_offsets(int groups) {
        enum { COMMITS = 10000 };
        static OffsetsWait waits[COMMITS];
        int requests = 0;
        double start = seconds();
        for (int i = 0; i < COMMITS; i++) {
                OffsetToCommit offset = { .topic = STR("t"), .metadata = STR(""), .partition = i % 20, .leader_epoch = -1, .offset = i,
                                          .commit_ms = FIXTURE_NOW, .expire_ms = -1 };
                waits[i].done = on_offsets;
                cr_assert_eq(offsets_write(fixture.state, str_of(names[i % groups]), &offset, 1, NULL, &waits[i]), 0);
                count_request(&requests);
        }
        state_commit(fixture.state);
        print("commits", groups, seconds() - start, COMMITS);
}

/* ---- the classic protocol */

static Actor *actors;

static Actor *actor_at(int group, int member) {
        return &actors[group * members + member];
}

static void sync_group(int group, int first, int *requests) {
        for (int m = first; m < members; m++) {
                Actor *actor = actor_at(group, m);
                cr_assert(!actor->is_joining && actor->join_code == 0);
                if (!actor->is_leader) {
                        actor_sync(actor);
                        count_request(requests);
                }
        }
        for (int m = first; m < members; m++) {
                Actor *others[MEMBERS_MAX];
                for (int k = first; k < members; k++)
                        others[k - first] = actor_at(group, k);
                if (actor_at(group, m)->is_leader) {
                        actor_assign(actor_at(group, m), others, members - first);
                        count_request(requests);
                }
        }
}

static void classic(int groups, int members_each) {
        members = members_each;
        int requests = 0;
        actors = calloc((size_t)groups * members, sizeof(Actor));
        double start = seconds();
        for (int g = 0; g < groups; g++)
                for (int m = 0; m < members; m++) {
                        *actor_at(g, m) = actor_new(fixture.state, clients[m]);
                        actor_at(g, m)->group = names[g];
                        actor_join(actor_at(g, m));
                        count_request(&requests);
                }
        state_fixture_advance(&fixture, 6000); /* the delay, and once more because there were new members */
        for (int g = 0; g < groups; g++)
                sync_group(g, 0, &requests);
        state_commit(fixture.state);
        print("classic, all join", groups, seconds() - start, requests);

        requests = 0;
        start = seconds();
        for (int g = 0; g < groups; g++) {
                cr_assert_eq(actor_leave(actor_at(g, 0)), 0);
                count_request(&requests);
        }
        for (int g = 0; g < groups; g++)
                for (int m = 1; m < members; m++) {
                        cr_assert_eq(actor_heartbeat(actor_at(g, m)), KAFKA_REBALANCE_IN_PROGRESS);
                        count_request(&requests);
                        actor_join(actor_at(g, m));
                        count_request(&requests);
                }
        for (int g = 0; g < groups; g++)
                sync_group(g, 1, &requests);
        state_commit(fixture.state);
        print("classic, a member leaves each", groups, seconds() - start, requests);

        requests = 0;
        start = seconds();
        for (int i = 0; i < 50000; i++) {
                cr_assert_eq(actor_heartbeat(actor_at(i % groups, 1 + i / groups % (members - 1))), 0);
                count_request(&requests);
        }
        print("classic heartbeats", groups, seconds() - start, requests);
        commit_offsets(groups);
        free(actors);
}

Test(group_scale, classic_with_few_groups) {
        classic(10, 10);
}

Test(group_scale, classic_with_many_groups) {
        classic(GROUPS_MAX, 10);
}

Test(group_scale, classic_with_one_big_group) {
        classic(1, MEMBERS_MAX);
}

/* ---- the consumer protocol */

static ConsumerActor *consumers;

static bool is_stable(int group) {
        return group_find(fixture.state, str_of(names[group]))->state == GROUP_STABLE;
}

/* Heartbeats until every group is stable again; each is a turn of its own. */
static int reconcile(int groups, int first) {
        int requests = 0;
        for (int round = 0; round < 20; round++) {
                bool all = true;
                for (int g = 0; g < groups; g++) {
                        if (round && is_stable(g))
                                continue;
                        all = false;
                        for (int m = first; m < members; m++) {
                                ConsumerActor *actor = &consumers[g * members + m];
                                consumer_actor_beat_ok(actor);
                                consumer_actor_reconcile(actor);
                                requests++;
                        }
                }
                if (all)
                        return requests;
        }
        cr_assert_fail("groups that never get stable");
        return requests;
}

static void consumer(int groups, int members_each) {
        char id[32];
        members = members_each;
        consumers = calloc((size_t)groups * members, sizeof(*consumers));
        for (int i = 0; i < groups * members; i++) {
                snprintf(id, sizeof(id), "member-%d", i);
                consumers[i] = consumer_actor_new(&fixture, id);
                consumers[i].group = names[i / members];
                consumer_actor_read(&consumers[i], "t");
        }
        double start = seconds();
        int requests = reconcile(groups, 0);
        print("consumer, all join", groups, seconds() - start, requests);

        start = seconds();
        for (int g = 0; g < groups; g++)
                cr_assert_eq(consumer_actor_leave(&consumers[g * members], CONSUMER_EPOCH_LEAVE), 0);
        requests = groups + reconcile(groups, 1);
        print("consumer, a member leaves each", groups, seconds() - start, requests);

        start = seconds();
        for (int i = 0; i < 50000; i++)
                consumer_actor_beat_ok(&consumers[i % groups * members + 1 + i / groups % (members - 1)]);
        print("consumer heartbeats", groups, seconds() - start, 50000);
        commit_offsets(groups);
        for (int i = 0; i < groups * members; i++)
                consumer_actor_free(&consumers[i]);
        free(consumers);
}

Test(group_scale, consumer_with_few_groups) {
        consumer(10, 10);
}

Test(group_scale, consumer_with_many_groups) {
        consumer(GROUPS_MAX, 10);
}

Test(group_scale, consumer_with_one_big_group) {
        consumer(1, MEMBERS_MAX);
}
