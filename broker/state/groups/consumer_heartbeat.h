/* What the consumer protocol decides (KIP-848): heartbeats, leaving, fencing. The rest stands in consumer_target.c (who shall have
 * what), consumer_reconcile.h (how a member gets there), consumer_regex.h, consumer_migration.h (from the classic protocol and back) and
 * consumer_mixed.c (members of such a group that speak the classic protocol). */
#pragma once

#include "broker/protocol/codec.h"
#include "broker/state/groups/consumer.h"
#include "broker/state/journal.h"

/* ---- ConsumerGroupHeartbeat */

#define CONSUMER_EPOCH_JOIN 0
#define CONSUMER_EPOCH_LEAVE (-1)

typedef struct ConsumerHeartbeat {
        Str group_id, member_id, instance_id, rack_id, client_id, client_host; /* instance_id, rack_id: may be null */
        Str regex, assignor;       /* null: as before */
        int32_t epoch;
        int32_t rebalance_timeout_ms; /* -1: as before */
        const Str *topics;
        int32_t topic_count;       /* -1: as before */
        const PartitionSet *owned; /* NULL: as before */
        bool needs_member_id;      /* v1+ */
} ConsumerHeartbeat;

typedef struct ConsumerHeartbeatResult {
        Str message;   /* of an error; null: none */
        Str member_id; /* lives until the next change, as assignment does */
        int32_t epoch, heartbeat_interval_ms;
        const PartitionSet *assignment; /* NULL: as before */
        bool is_pending; /* records are on their way: write->done() will be called */
} ConsumerHeartbeatResult;

/* Takes effect in memory at once; the answer has to wait for the log if it is pending. 0, a positive code, or -errno. */
int group_consumer_heartbeat(State *state, const ConsumerHeartbeat *args, Arena *arena, JournalWrite *write,
                             void (*done)(JournalWrite *write, State *state, int16_t code), ConsumerHeartbeatResult *ret);

/* ---- commits */

/* As group_check_commit(), of a group of this protocol. has_epochs: OffsetCommit v9+, or TxnOffsetCommit. *ret_late is a member whose
 * commit is of an older epoch: then each partition is to be asked for. */
int16_t consumer_check_commit(const ConsumerGroup *consumer, Str member_id, int32_t epoch, bool has_epochs,
                              const ConsumerMember **ret_late);
/* Whether the member had the partition at that epoch already. 0 or a code. */
int16_t consumer_check_late_commit(const ConsumerMember *member, int32_t epoch, const Uuid *topic, int32_t partition);
/* Of OffsetFetch v9+; member_id may be null. */
int16_t consumer_check_fetch(const ConsumerGroup *consumer, Str member_id, int32_t epoch);

/* ---- members that speak the classic protocol (consumer_mixed.c) */

void consumer_join(State *state, const JoinArgs *args, JoinWait *wait);
/* Never waits: the assignment was made when the member joined. It is appended to ret_assignment. 0 or a code. */
int16_t consumer_sync(State *state, Group *group, const SyncArgs *args, Reply *ret_assignment);
int16_t consumer_classic_heartbeat(State *state, Group *group, Str member_id, Str instance_id, int32_t generation);

typedef struct LeavingMember {
        Str member_id, instance_id; /* instance_id may be null */
        int16_t code;               /* the answer */
} LeavingMember;

void consumer_leave(State *state, Str group_id, LeavingMember *members, int32_t count);

/* ---- inside the layer */

/* After the replay: sessions begin anew. */
void group_consumer_loaded(State *state, Group *group);
void group_consumer_init_timers(ConsumerMember *member);
/* (Re)starts the session, as long as the group's config says, or the classic member's own. */
void group_consumer_touch(State *state, ConsumerMember *member);
/* Raises the group's epoch: members or topics are others than before. */
void group_consumer_bump(State *state, ConsumerGroup *consumer, Journal *journal);
/* Raises it if bump says so, or the topics that are read changed since that was looked at last. */
void group_consumer_check_metadata(State *state, ConsumerGroup *consumer, bool bump, Journal *journal);
/* Computes the target assignment anew if the group's epoch is higher, and consumer.assignment.interval.ms is over (consumer_target.c).
 * 0 or -ENOMEM. */
int group_consumer_update_target(State *state, ConsumerGroup *consumer, Journal *journal);
/* Takes members out for good. Where only classic members are left, the group becomes a classic one, and consumer is gone. */
void group_consumer_fence(State *state, ConsumerGroup *consumer, ConsumerMember *const *members, int32_t count, Journal *journal);
/* The assignor that is used where no member asks for one; and the one that a group uses. */
Str consumer_default_assignor(const Config *config);
Str consumer_preferred_assignor(const State *state, const ConsumerGroup *consumer);
/* Queues what was journaled, if anything; a failure is traced. */
void group_consumer_write(State *state, Group *group, Journal *journal);

/* ---- consumer_settle.c: memory changes first, and follows the log again where that could not be written */

/* As journal_append(), after which the group may be another one at the end of the turn, or gone. */
int group_consumer_append(State *state, Group *group, Journal *journal, JournalWrite *write,
                          void (*done)(JournalWrite *write, State *state, int16_t code));
/* The same, committed at once. 0, a positive code, or -errno. */
int group_consumer_commit(State *state, Group *group, Journal *journal);
/* What is told of the group has to wait for the log, too. */
static inline bool group_is_unsettled(const Group *group) {
        return group && list_node_is_linked(&group->unsettled);
}
/* One of the configs consumer.*, the group's own or the broker's. */
int32_t group_consumer_setting(const State *state, const Group *group, const char *key);
