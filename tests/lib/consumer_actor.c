/* Members of groups of the consumer protocol. */
#include "tests/lib/consumer_actor.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "storage/base/error.h"

#define SESSION_MS 45000 /* group.consumer.session.timeout.ms */

ConsumerActor consumer_actor_new(StateFixture *fixture, const char *id) {
        ConsumerActor actor = { .fixture = fixture, .group = "g", .rebalance_ms = 30000, .owned = PARTITION_SET_INIT };
        snprintf(actor.id, sizeof(actor.id), "%s", id);
        return actor;
}

void consumer_actor_free(ConsumerActor *actor) {
        partition_set_deinit(&actor->owned);
        partition_set_deinit(&actor->wanted);
}

void consumer_actor_read(ConsumerActor *actor, const char *topic) {
        actor->topics[actor->topic_count++] = str_of(topic);
        actor->says_all = true;
}

typedef struct Written {
        JournalWrite write;
        int16_t code;
        bool is_done;
} Written;

static void on_written(JournalWrite *write, State *state, int16_t code) {
        Written *written = container_of(write, Written, write);
        written->code = code;
        written->is_done = true;
}

static void take_answer(ConsumerActor *actor, int32_t epoch, const PartitionSet *assignment) {
        int64_t now_ms = actor->fixture->state->mono_ms;
        bool was_giving_up = false, gives_up = false;
        for (int32_t i = 0; i < actor->owned.count; i++)
                was_giving_up |= !partition_set_find(&actor->wanted, &actor->owned.items[i].topic, actor->owned.items[i].index);
        actor->epoch = epoch;
        if (assignment)
                partition_set_copy(assignment, &actor->wanted);
        for (int32_t i = 0; i < actor->owned.count; i++)
                gives_up |= !partition_set_find(&actor->wanted, &actor->owned.items[i].topic, actor->owned.items[i].index);
        if (gives_up && !was_giving_up)
                actor->told_ms = now_ms;
        if (!gives_up)
                actor->told_ms = 0;
        actor->beat_ms = now_ms;
        actor->says_all = false;
}

static int send(ConsumerActor *actor, int32_t epoch, ConsumerHeartbeatResult *ret) {
        State *state = actor->fixture->state;
        Arena arena = ARENA_INIT(0);
        Written written = { .is_done = false };
        PartitionSet none = PARTITION_SET_INIT, assignment = PARTITION_SET_INIT;
        bool says_all = epoch == CONSUMER_EPOCH_JOIN || actor->says_all;
        ConsumerHeartbeat args = {
                .group_id = str_of(actor->group),
                .member_id = str_of(actor->id),
                .instance_id = str_of(actor->instance),
                .rack_id = STR_NULL,
                .client_id = STR("client"),
                .client_host = STR("/127.0.0.1"),
                .regex = says_all && actor->pattern ? str_of(actor->pattern) : STR_NULL,
                .assignor = says_all && actor->assignor ? str_of(actor->assignor) : STR_NULL,
                .epoch = epoch,
                .rebalance_timeout_ms = says_all ? actor->rebalance_ms : -1,
                .topics = actor->topics,
                .topic_count = says_all ? actor->topic_count : -1,
                .owned = epoch == CONSUMER_EPOCH_JOIN ? &none : &actor->owned,
                .needs_member_id = true,
        };
        int r = group_consumer_heartbeat(state, &args, &arena, &written.write, on_written, ret);
        snprintf(actor->message, sizeof(actor->message), "%.*s", STR_ARG(ret->message));
        bool is_pending = r == 0 && ret->is_pending, has_assignment = r == 0 && ret->assignment;
        if (has_assignment) /* it may be gone after the commit */
                partition_set_copy(ret->assignment, &assignment);
        state_commit(state);
        cr_assert(!is_pending || written.is_done);
        r = r ? r : written.code;
        if (r == 0 && epoch >= 0)
                take_answer(actor, ret->epoch, has_assignment ? &assignment : NULL);
        partition_set_deinit(&assignment);
        arena_deinit(&arena);
        actor->answers++;
        return r;
}

void consumer_actor_lose(ConsumerActor *actor) {
        partition_set_deinit(&actor->owned);
        partition_set_deinit(&actor->wanted);
        actor->epoch = 0;
        actor->told_ms = 0;
}

void consumer_actor_notice_time(ConsumerActor *actor) {
        int64_t now_ms = actor->fixture->state->mono_ms;
        if (actor->epoch && (now_ms >= actor->beat_ms + SESSION_MS || (actor->told_ms && now_ms >= actor->told_ms + actor->rebalance_ms)))
                consumer_actor_lose(actor);
}

int consumer_actor_beat(ConsumerActor *actor) {
        ConsumerHeartbeatResult result;
        int r = send(actor, actor->epoch, &result);
        if (r == KAFKA_FENCED_MEMBER_EPOCH || r == KAFKA_UNKNOWN_MEMBER_ID || r == KAFKA_GROUP_ID_NOT_FOUND || r == KAFKA_FENCED_INSTANCE_ID)
                consumer_actor_lose(actor);
        else if (r)
                actor->says_all = true;
        return r;
}

void consumer_actor_beat_ok(ConsumerActor *actor) {
        int r = consumer_actor_beat(actor);
        cr_assert_eq(r, 0, "%s: %s", kafka_error_name(r), actor->message);
}

void consumer_actor_reconcile(ConsumerActor *actor) {
        partition_set_copy(&actor->wanted, &actor->owned);
        actor->told_ms = 0;
}

int consumer_actor_leave(ConsumerActor *actor, int32_t epoch) {
        ConsumerHeartbeatResult result;
        int r = send(actor, epoch, &result);
        consumer_actor_lose(actor);
        return r;
}

ConsumerGroup *consumer_actor_group(const ConsumerActor *actor) {
        Group *group = group_find(actor->fixture->state, str_of(actor->group));
        return group ? group->consumer : NULL;
}

const ConsumerMember *consumer_actor_member(const ConsumerActor *actor) {
        ConsumerGroup *consumer = consumer_actor_group(actor);
        return consumer ? consumer_find(consumer, str_of(actor->id)) : NULL;
}
