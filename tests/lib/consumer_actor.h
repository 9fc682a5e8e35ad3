/* A member of a group of the consumer protocol, as a real client is one: it remembers its epoch, gives up what it is told to, takes what
 * it gets, and gives itself up when it was silent for too long. */
#pragma once

#include "broker/state/groups/consumer_heartbeat.h"
#include "tests/lib/state_fixture.h"

typedef struct ConsumerActor {
        StateFixture *fixture;
        const char *group, *instance /* NULL: dynamic */, *assignor, *pattern /* NULL: none */;
        Str topics[8];
        int32_t topic_count;
        int32_t rebalance_ms;
        char id[64];
        int32_t epoch;          /* 0: not in the group */
        PartitionSet owned;     /* what it consumes */
        PartitionSet wanted;    /* what it was told last */
        bool says_all;          /* the next heartbeat is a full one: the last one failed, or something changed */
        int64_t beat_ms, told_ms; /* monotonic: its last heartbeat; when it was told to give something up */
        int answers;            /* so far */
        char message[256];      /* of the last error */
} ConsumerActor;

/* Of group "g", reading no topic yet; rebalance timeout 30 s. */
ConsumerActor consumer_actor_new(StateFixture *fixture, const char *id);
void consumer_actor_free(ConsumerActor *actor);
void consumer_actor_read(ConsumerActor *actor, const char *topic);

/* One heartbeat, committed; joins where it is not in the group. Returns the code. */
int consumer_actor_beat(ConsumerActor *actor);
/* The same, and fails the test on an error. */
void consumer_actor_beat_ok(ConsumerActor *actor);
/* Gives up and takes what it was told. */
void consumer_actor_reconcile(ConsumerActor *actor);
/* Leaves with epoch -1 or -2, and forgets. Returns the code. */
int consumer_actor_leave(ConsumerActor *actor, int32_t epoch);
/* Forgets what it owns and its epoch: fenced, or silent for too long. */
void consumer_actor_lose(ConsumerActor *actor);
/* Loses itself if the broker must have given it up by now. */
void consumer_actor_notice_time(ConsumerActor *actor);

ConsumerGroup *consumer_actor_group(const ConsumerActor *actor);
const ConsumerMember *consumer_actor_member(const ConsumerActor *actor);
