/* Consumer groups: what a replay of __consumer_offsets gives, and the classic group protocol.
 *
 * https://kafka.apache.org/protocol (JoinGroup ... OffsetDelete), KIP-62, KIP-345 (static members), KIP-394 (member ids), KIP-211
 * (expiry). One group's membership costs O(its members); nothing costs anything by the number of groups. */
#pragma once

#include "broker/state/state.h"
#include "storage/base/arena.h"

typedef enum GroupState {
        GROUP_EMPTY,
        GROUP_PREPARING_REBALANCE,
        GROUP_COMPLETING_REBALANCE,
        GROUP_STABLE,
        GROUP_DEAD,
        GROUP_ASSIGNING,   /* of the consumer protocol: the members changed, the target assignment did not yet */
        GROUP_RECONCILING, /* likewise: members are on their way to it */
        GROUP_STATE_COUNT,
} GroupState;

/* "Empty" "PreparingRebalance" ... as Kafka names them. */
const char *group_state_name(GroupState state);

typedef struct Group Group;
typedef struct Member Member;
typedef struct JoinWait JoinWait;
typedef struct SyncWait SyncWait;

typedef struct MemberProtocol {
        char *name;
        Str metadata; /* owned */
} MemberProtocol;

struct Member {
        HashNode by_id;
        ListNode node; /* in group->members, in the order of joining */
        Group *group;
        char *id;
        char *instance_id; /* NULL: dynamic */
        char *client_id, *client_host;
        int32_t session_timeout_ms, rebalance_timeout_ms;
        MemberProtocol *protocols; /* in order of preference */
        int32_t protocol_count;
        int64_t protocol_bytes; /* memory that they take */
        int64_t bytes;    /* memory of the member without them */
        Str assignment;   /* owned */
        JoinWait *join;   /* while JoinGroup is parked */
        SyncWait *sync;   /* while SyncGroup is parked */
        Timer session;
        bool is_pending;  /* was given an id, has not joined with it yet (KIP-394) */
        bool is_new;      /* has not been in a generation yet: does not wait for one without limit */
        bool has_synced;  /* in this generation */
};

/* Of either protocol: consumer says which. */
struct Group {
        HashNode node;
        State *state_owner;
        char *id;
        GroupState state;
        char *protocol_type;   /* NULL: none */
        char *protocol;        /* chosen; NULL: none */
        Member *leader;
        int32_t generation;
        int64_t state_since_ms; /* wall clock of the last change; -1: not known */
        List members;
        HashMap by_id;          /* members and pending members */
        int32_t member_count;   /* without pending ones */
        int32_t pending_count;
        int64_t protocol_bytes; /* of all members */
        int64_t member_bytes;   /* of those that are pending, too */
        Timer join;             /* end of the joining phase */
        Timer pending_sync;     /* end of the syncing phase */
        bool is_initial_delay;
        bool has_new_member;    /* during the initial delay */
        int32_t initial_left_ms;
        struct ConsumerGroup *consumer; /* a group of the consumer protocol (state/groups/consumer.h), or NULL: a classic one */
        HashMap offsets;        /* of CommittedOffset, by "topic\0partition" */
        ListNode in_turn;       /* in groups->in_turn */
        ListNode unsettled;     /* in groups->unsettled, while records of the consumer protocol are not known to be written */
        bool is_ahead;          /* of the log: some of them were not even queued */
};

/* All that any group committed for one topic. */
typedef struct OffsetTopic {
        HashNode node; /* in groups->offset_topics, by name */
        List offsets;  /* CommittedOffset.by_topic; never empty */
} OffsetTopic;

typedef struct CommittedOffset {
        HashNode node;
        Group *group;
        OffsetTopic *of;
        ListNode by_topic;
        char *topic; /* of's name */
        int32_t partition;
        int64_t offset;
        int32_t leader_epoch; /* -1: unknown */
        Str metadata; /* owned */
        int64_t commit_timestamp_ms;
        int64_t expire_timestamp_ms; /* -1: by offsets.retention.minutes */
} CommittedOffset;

struct Groups {
        HashMap by_id;
        HashMap offset_topics;
        Timer expiry;
        List in_turn;  /* all groups; whose offsets were looked at last, for their expiry, comes last */
        size_t to_expire; /* how many of them are left of the look that is under way */
        List unsettled;
        CommitWait settle;
};

/* Replays __consumer_offsets if it is there. 0 or -errno. */
int groups_open(State *state);
/* Forgets everything; the logs have it. */
void groups_close(State *state);

/* Creates __consumer_offsets on first use. 0, a positive code, or -errno. */
int groups_ensure_topic(State *state);
/* As creation_add(), for what that would create. */
int groups_plan_topic(State *state, Creation **creation);

/* NULL when there is none. */
Group *group_find(State *state, Str id);
/* Whether odradek.max.groups leaves room for one that a client wants to create: 0 or KAFKA_POLICY_VIOLATION. Commits that are on their way
 * are not counted. */
int16_t groups_check_room(const State *state);
/* Finds or creates; NULL without memory. */
Group *group_get(State *state, Str id);

/* Removes an empty group and its offsets, and commits the turn. 0, KAFKA_GROUP_ID_NOT_FOUND, KAFKA_NON_EMPTY_GROUP, the codes of a
 * failed write, -errno. */
int group_delete(State *state, Str id);

/* ---- JoinGroup */

typedef struct JoinProtocol {
        Str name, metadata;
} JoinProtocol;

typedef struct JoinArgs {
        Str group_id, member_id, instance_id /* may be null */, client_id, client_host, protocol_type;
        int32_t session_timeout_ms, rebalance_timeout_ms;
        const JoinProtocol *protocols;
        int32_t protocol_count;
        bool requires_known_member_id; /* v4+ */
        bool can_skip_assignment;      /* v9 */
} JoinArgs;

typedef struct JoinResult {
        int16_t code;
        Str member_id;
        Group *group;    /* with code 0, as all that follows */
        int32_t generation;
        Str protocol_type, protocol;
        Str leader_id;
        bool is_leader;  /* gets the list of members */
        bool skip_assignment;
} JoinResult;

/* done() is called exactly once, perhaps before group_join() returns, unless the wait is cancelled: then the member has its session
 * timeout to come back. */
struct JoinWait {
        Member *member;
        void (*done)(JoinWait *wait, const JoinResult *result);
};

/* Lets a member into the group, which is made where there is none, and waits for the others; args may go when it returns. */
void group_join(State *state, const JoinArgs *args, JoinWait *wait);
void join_wait_cancel(JoinWait *wait);

/* ---- SyncGroup */

typedef struct SyncAssignment {
        Str member_id, assignment;
} SyncAssignment;

typedef struct SyncArgs {
        Str group_id, member_id, instance_id, protocol_type /* null: not checked */, protocol /* likewise */;
        int32_t generation;
        const SyncAssignment *assignments;
        int32_t assignment_count;
} SyncArgs;

struct SyncWait {
        Member *member;
        void (*done)(SyncWait *wait, int16_t code, const Member *member); /* member: NULL with an error */
};

/* Gives a member its assignment, once the leader has sent all of them. done() as with group_join(). */
void group_sync(State *state, const SyncArgs *args, SyncWait *wait);
void sync_wait_cancel(SyncWait *wait);

/* ---- Heartbeat, LeaveGroup: codes */
int16_t group_heartbeat(State *state, Str group_id, Str member_id, Str instance_id, int32_t generation);
/* An empty member id stands for any member with that instance id. */
int16_t group_leave(State *state, Str group_id, Str member_id, Str instance_id);

/* ---- offsets (offsets.c) */

/* Whether a commit by that member, or (generation < 0, no member id) by a consumer that assigns itself, is allowed. group is NULL when there is
 * none. 0 or the code for every partition. */
int16_t group_check_commit(State *state, Group *group, Str member_id, Str instance_id, int32_t generation);

/* The same inside a transaction: a producer need not know of the group (KIP-447). */
int16_t group_check_transactional_commit(State *state, Group *group, Str member_id, Str instance_id, int32_t generation);

/* Puts a committed offset into memory. 0 or -ENOMEM. */
int offset_store(Group *group, Str topic, int32_t partition, int64_t offset, int32_t leader_epoch, Str metadata,
                 int64_t commit_timestamp_ms, int64_t expire_timestamp_ms);
const CommittedOffset *offset_find(const Group *group, Str topic, int32_t partition);
void offset_forget(Group *group, Str topic, int32_t partition);
void offset_free(CommittedOffset *offset);
/* Restarts the look-out for expired offsets and forgotten groups, while there are any groups. */
void offsets_watch(State *state);

/* Whether a member of the group subscribes to the topic (its subscription is a consumer's). */
bool group_subscribes(const Group *group, Str topic);

/* ---- inside the layer */
/* After a restart or a heartbeat: the member has its session timeout from now on. */
void member_touch(State *state, Member *member);
Member *member_find(const Group *group, Str id);
Member *member_find_instance(const Group *group, Str instance_id);
/* A member that was in the log; it joins the group as it was. NULL without memory. */
Member *group_add_replayed(Group *group, Str id, Str instance_id, Str client_id, Str client_host, int32_t session_timeout_ms,
                           int32_t rebalance_timeout_ms, Str protocol, Str metadata, Str assignment);
/* Frees a group; requests that are parked there are forgotten. */
void group_free(State *state, Group *group);
void group_clear_members(Group *group);
void group_init_timers(Group *group);
void group_set_text(char **text, Str value);
const MemberProtocol *member_protocol(const Member *member, const char *name);
