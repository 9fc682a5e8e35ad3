/* Members of a consumer group that join, revoke late or never, change their minds, go silent and come back in random order, while
 * topics come and grow and the broker restarts or crashes; the same seeds in every run. After each step nobody may consume what
 * another one consumes, and no epoch may go back. In the end everything is in somebody's hands. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "storage/base/error.h"
#include "tests/lib/consumer_actor.h"

#define ACTORS 6
#define TOPICS 4
#define STEPS 160
#define SEEDS 30

static StateFixture fixture;
static ConsumerActor actors[ACTORS];
static uint64_t seed;
static int32_t seen_epoch, seen_target_epoch;
static const char *const topic_names[TOPICS] = { "t-0", "t-1", "t-2", "t-3" };

static void setup(void) {
        state_fixture_start(&fixture);
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(group_consumer_interleavings, .init = setup, .fini = teardown, .timeout = 200);

static uint32_t random_below(uint32_t limit) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (uint32_t)(seed >> 32) % limit;
}

/* ---- what must hold */

static void assert_disjoint(const PartitionSet *a, const PartitionSet *b, const char *what) {
        for (int32_t i = 0; i < a->count; i++)
                cr_assert(!partition_set_find(b, &a->items[i].topic, a->items[i].index), "a partition is %s twice, seed %llu", what,
                          (unsigned long long)seed);
}

static void check_holders(const ConsumerGroup *consumer, const ConsumerMember *member) {
        const PartitionSet *sets[] = { &member->assigned, &member->revoking };
        for (int s = 0; s < 2; s++)
                for (int32_t i = 0; i < sets[s]->count; i++)
                        cr_assert_eq(consumer_holder(consumer, &sets[s]->items[i].topic, sets[s]->items[i].index), member);
        assert_disjoint(&member->assigned, &member->revoking, "assigned and revoked");
        bool is_away = member->epoch == MEMBER_EPOCH_LEFT_FOR_A_WHILE; /* has given up all that it was to give up */
        cr_assert(member->state != MEMBER_UNREVOKED_PARTITIONS || is_away || member->revoking.count > 0);
        cr_assert(member->state != MEMBER_UNREVOKED_PARTITIONS || is_away || timer_is_set(&member->rebalance));
        cr_assert(timer_is_set(&member->session));
        cr_assert_leq(member->epoch, consumer->target_epoch);
}

static void check_group(void) {
        Group *group = group_find(fixture.state, STR("g"));
        ConsumerGroup *consumer = group ? group->consumer : NULL;
        if (!consumer)
                return;
        int32_t count = 0;
        cr_assert_leq(consumer->target_epoch, consumer->epoch);
        cr_assert(consumer->epoch >= seen_epoch && consumer->target_epoch >= seen_target_epoch, "an epoch went back");
        seen_epoch = consumer->epoch;
        seen_target_epoch = consumer->target_epoch;
        LIST_FOREACH(&consumer->members, a) {
                const ConsumerMember *member = container_of(a, ConsumerMember, node);
                check_holders(consumer, member);
                count++;
                LIST_FOREACH(&consumer->members, b)
                        if (a != b)
                                assert_disjoint(&member->target, &container_of(b, ConsumerMember, node)->target, "in the target");
        }
        cr_assert_eq(count, consumer->member_count);
        cr_assert_eq(count, (int32_t)consumer->by_id.count);
        cr_assert_eq(count == 0, group->state == GROUP_EMPTY);
}

static void check(void) {
        check_group();
        for (int a = 0; a < ACTORS; a++)
                for (int b = a + 1; b < ACTORS; b++)
                        assert_disjoint(&actors[a].owned, &actors[b].owned, "consumed");
}

/* ---- the group as text, to compare it before and after a restart */

static size_t print_set(char *out, size_t size, const char *title, const PartitionSet *set) {
        size_t n = (size_t)snprintf(out, size, " %s", title);
        for (int32_t i = 0; i < set->count; i++)
                n += (size_t)snprintf(out + n, size - n, " %02x%02x/%d@%d", set->items[i].topic.bytes[14], set->items[i].topic.bytes[15],
                                      set->items[i].index, set->items[i].epoch);
        return n;
}

static void print_group(char *out, size_t size) {
        Group *group = group_find(fixture.state, STR("g"));
        ConsumerGroup *consumer = group ? group->consumer : NULL;
        size_t n = (size_t)snprintf(out, size, "%s", consumer ? group_state_name(group->state) : "none");
        if (!consumer)
                return;
        n += (size_t)snprintf(out + n, size - n, " %d %d %llx\n", consumer->epoch, consumer->target_epoch,
                              (unsigned long long)consumer->metadata_hash);
        for (int a = 0; a < ACTORS; a++) {
                const ConsumerMember *m = consumer_find(consumer, str_of(actors[a].id));
                if (!m)
                        continue;
                n += (size_t)snprintf(out + n, size - n, "%s %s %d %d %d %d %s", m->id, m->instance_id ? m->instance_id : "-", m->epoch,
                                      m->previous_epoch, m->state, m->rebalance_timeout_ms, m->assignor ? m->assignor : "-");
                for (int32_t i = 0; i < m->topics.count; i++)
                        n += (size_t)snprintf(out + n, size - n, " %s", m->topics.names[i]);
                n += print_set(out + n, size - n, "has", &m->assigned);
                n += print_set(out + n, size - n, "revokes", &m->revoking);
                n += print_set(out + n, size - n, "shall have", &m->target);
                n += (size_t)snprintf(out + n, size - n, "\n");
        }
}

static void start_again(void) {
        static char before[65536], after[65536];
        print_group(before, sizeof(before));
        if (random_below(2))
                state_fixture_reopen(&fixture);
        else
                state_fixture_crash(&fixture);
        print_group(after, sizeof(after));
        cr_assert_str_eq(before, after);
        for (int i = 0; i < ACTORS; i++)
                actors[i].beat_ms = fixture.state->mono_ms; /* sessions begin anew */
}

/* What could not be written has not happened. */
static void fail_to_write(ConsumerActor *actor) {
        static char before[65536], after[65536];
        print_group(before, sizeof(before));
        state_fixture_fail_writes(true);
        for (int i = 0; i < 3; i++)
                if (random_below(3))
                        consumer_actor_beat(actor);
                else if (random_below(2))
                        state_fixture_advance(&fixture, 1000);
                else
                        consumer_actor_leave(actor, CONSUMER_EPOCH_LEAVE);
        state_fixture_fail_writes(false);
        print_group(after, sizeof(after));
        cr_assert_str_eq(before, after);
        start_again();
}

/* ---- steps */

static void change_subscription(ConsumerActor *actor) {
        actor->topic_count = 0;
        for (int t = 0; t < TOPICS; t++)
                if (random_below(3))
                        consumer_actor_read(actor, topic_names[t]);
        actor->says_all = true;
}

static void make_topic(void) {
        const char *name = topic_names[random_below(TOPICS)];
        Topic *topic = topic_find(fixture.state, str_of(name));
        if (!topic)
                cr_assert_eq(state_fixture_create(&fixture, str_of(name), 1 + (int32_t)random_below(6), &topic), 0);
        else if (random_below(4) == 0)
                cr_assert_eq(topic_delete(fixture.state, topic), 0);
        else
                cr_assert_eq(topic_add_partitions(fixture.state, topic, topic->partition_count + 1), 0);
}

static void leave(ConsumerActor *actor) {
        if (!actor->epoch)
                return;
        int32_t epoch = actor->instance && random_below(2) ? MEMBER_EPOCH_LEFT_FOR_A_WHILE : CONSUMER_EPOCH_LEAVE;
        consumer_actor_leave(actor, epoch);
}

/* A process that starts again has a new id. */
static void restart(ConsumerActor *actor, int number) {
        static int incarnation;
        consumer_actor_lose(actor);
        snprintf(actor->id, sizeof(actor->id), "member-%d-%d", number, ++incarnation);
        actor->says_all = true;
}

static void pass_time(void) {
        static const int64_t spans[] = { 1, 500, 1000, 3000, 20000, 46000 };
        state_fixture_advance(&fixture, spans[random_below(6)]);
        for (int i = 0; i < ACTORS; i++)
                consumer_actor_notice_time(&actors[i]);
}

static void step(void) {
        int number = (int)random_below(ACTORS);
        ConsumerActor *actor = &actors[number];
        switch (random_below(25)) {
        case 0:
                change_subscription(actor);
                break;
        case 1:
                make_topic();
                break;
        case 2:
                leave(actor);
                break;
        case 3:
                if (!actor->instance)
                        restart(actor, number);
                break;
        case 4:
                start_again();
                break;
        case 24:
                fail_to_write(actor);
                break;
        case 5:
        case 6:
        case 7:
                pass_time();
                break;
        case 8:
                actor->assignor = random_below(2) ? "uniform" : "range";
                actor->says_all = true;
                break;
        case 9:
        case 10:
        case 11:
        case 12:
                consumer_actor_reconcile(actor);
                break;
        default:
                consumer_actor_beat(actor);
        }
}

/* ---- the end: all go on as they should, and everything is in place */

static void assert_complete(void) {
        ConsumerGroup *consumer = consumer_actor_group(&actors[0]);
        cr_assert_eq(consumer->group->state, GROUP_STABLE, "state %s, seed %llu", group_state_name(consumer->group->state),
                     (unsigned long long)seed);
        for (int t = 0; t < TOPICS; t++) {
                const Topic *topic = topic_find(fixture.state, str_of(topic_names[t]));
                for (int32_t p = 0; topic && p < topic->partition_count; p++) {
                        int owners = 0, readers = 0;
                        for (int a = 0; a < ACTORS; a++) {
                                owners += partition_set_find(&actors[a].owned, &topic->id, p) != NULL;
                                readers += consumer_reads(consumer_actor_member(&actors[a]), str_of(topic->name));
                        }
                        cr_assert_eq(owners, readers > 0, "%s-%d has %d owners and %d readers, seed %llu", topic->name, p, owners, readers,
                                     (unsigned long long)seed);
                }
        }
        for (int a = 0; a < ACTORS; a++)
                cr_assert(partition_set_equal(&actors[a].owned, &consumer_actor_member(&actors[a])->target, false));
}

static void settle(void) {
        for (int round = 0; round < 40; round++) {
                for (int a = 0; a < ACTORS; a++) {
                        consumer_actor_beat(&actors[a]);
                        consumer_actor_reconcile(&actors[a]);
                        check();
                }
                state_fixture_advance(&fixture, 2000);
        }
        assert_complete();
}

Test(group_consumer_interleavings, nobody_consumes_what_another_one_does) {
        for (uint64_t run = 1; run <= SEEDS; run++) {
                seed = run * 0x9e3779b97f4a7c15;
                for (int i = 0; i < ACTORS; i++) {
                        char id[32];
                        snprintf(id, sizeof(id), "m-%llu-%d", (unsigned long long)run, i);
                        actors[i] = consumer_actor_new(&fixture, id);
                        actors[i].instance = i == 0 ? "static-0" : i == 1 ? "static-1" : NULL;
                        consumer_actor_read(&actors[i], topic_names[0]);
                }
                for (int i = 0; i < STEPS; i++) {
                        step();
                        check();
                }
                settle();
                for (int i = 0; i < ACTORS; i++) {
                        cr_assert_eq(consumer_actor_leave(&actors[i], CONSUMER_EPOCH_LEAVE), 0);
                        check();
                        consumer_actor_free(&actors[i]);
                }
        }
}
