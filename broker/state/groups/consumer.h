/* Groups of the consumer protocol (KIP-848): what is in memory, and in __consumer_offsets.
 *
 * The group has an epoch, which rises with every change of its members or topics; the target assignment, who shall have which
 * partitions, was computed at some epoch; each member moves towards it by itself, and has reached an epoch of its own. What is
 * decided stands in consumer_heartbeat.h and the files that it names. */
#pragma once

#include "broker/state/groups/groups.h"
#include "broker/state/groups/name_set.h"
#include "broker/state/groups/partition_set.h"

typedef struct ConsumerGroup ConsumerGroup;
typedef struct ConsumerMember ConsumerMember;

/* Numbers of the log's records. */
typedef enum MemberState {
        MEMBER_STABLE = 0,                /* has all of its target, or as of an older target */
        MEMBER_UNREVOKED_PARTITIONS = 1,  /* has yet to give something up */
        MEMBER_UNRELEASED_PARTITIONS = 2, /* waits for what others have yet to give up */
        MEMBER_UNKNOWN = 127,
} MemberState;

/* What a member that speaks the classic protocol brought in its JoinGroup. */
typedef struct ClassicSide {
        int32_t session_timeout_ms;
        MemberProtocol *protocols; /* in order of preference */
        int32_t protocol_count;
        int64_t protocol_bytes; /* memory that they take */
} ClassicSide;

struct ConsumerMember {
        HashNode by_id;
        ListNode node; /* in consumer->members, in the order of joining */
        ConsumerGroup *consumer;
        char *id;
        char *instance_id, *rack_id; /* NULL: none */
        char *client_id, *client_host;
        int32_t rebalance_timeout_ms;
        NameSet topics;
        int64_t bytes, topic_bytes; /* memory that the member takes, its classic side apart; of that for the names of topics */
        char *regex;          /* empty: none */
        char *assignor;       /* NULL: whichever the group prefers */
        ClassicSide *classic; /* NULL: speaks the consumer protocol */
        int32_t epoch, previous_epoch;
        MemberState state;
        PartitionSet assigned, revoking; /* with the epochs at which they were assigned */
        PartitionSet target;
        bool has_target;        /* the log has a record of it */
        int32_t rebalance_epoch; /* at which the rebalance timer was started */
        Timer session, rebalance, join, sync;
};

/* One topic name that somebody reads. */
typedef struct SubscribedTopic {
        HashNode node;
        char *name;
        int32_t by_name, by_regex; /* members that name it; patterns that match it */
} SubscribedTopic;

/* One pattern that somebody reads by. */
typedef struct GroupRegex {
        HashNode node;
        char *pattern;
        int32_t member_count;
        bool is_resolved;
        NameSet topics;
        int64_t version; /* of the metadata when it was resolved */
        int64_t resolved_ms;
} GroupRegex;

/* Who has the partitions of one topic, until they are given up. */
typedef struct TopicHolders {
        HashNode node;
        Uuid id;
        ConsumerMember **holders; /* by partition; NULL: nobody */
        int32_t count, held;
} TopicHolders;

typedef struct RegexScan RegexScan;

struct ConsumerGroup {
        Group *group;
        int32_t epoch;
        int32_t target_epoch;
        int64_t target_ms;      /* when it was computed; 0: not yet */
        uint64_t metadata_hash; /* of the topics and their partitions, as of the epoch */
        int64_t metadata_version; /* at which that was compared last; -1: never */
        bool has_partition_metadata; /* a record of Kafka 4.0, to be taken away */
        List members;
        HashMap by_id;
        int32_t member_count;
        int64_t protocol_bytes; /* of the members' classic sides */
        int64_t member_bytes;   /* of the members, without those */
        HashMap topics;  /* of SubscribedTopic */
        HashMap regexes; /* of GroupRegex */
        HashMap holders; /* of TopicHolders */
        RegexScan *scan; /* while patterns are being resolved */
};

/* What a new group has, as in Kafka. */
#define CONSUMER_GROUP_FIRST_EPOCH 1
#define MEMBER_EPOCH_LEFT_FOR_A_WHILE (-2) /* a static member that will be back */

/* ---- groups */

ConsumerGroup *consumer_new(Group *group); /* not attached to the group yet; NULL without memory */
void consumer_free(State *state, ConsumerGroup *consumer);
/* Makes the group, which has no members, one of this protocol. The group owns it from now on. */
void consumer_attach(Group *group, ConsumerGroup *consumer);
/* Makes it a classic group without members; its offsets stay. */
void consumer_detach(State *state, Group *group);
/* Sets group->state after a change. */
void consumer_update_state(ConsumerGroup *consumer);
/* Whether all members read the same topics, which assignors ask. */
bool consumer_is_homogeneous(const ConsumerGroup *consumer);
/* XXH3 over the topics that are read and exist, as in Kafka's records. */
uint64_t consumer_metadata_hash(const State *state, const ConsumerGroup *consumer);
/* Members that speak the classic protocol. */
int32_t consumer_classic_count(const ConsumerGroup *consumer);

/* ---- members */

ConsumerMember *consumer_find(const ConsumerGroup *consumer, Str id);
ConsumerMember *consumer_find_instance(const ConsumerGroup *consumer, Str instance_id);
/* A member in the group, as Kafka's are before their first record. NULL without memory. */
ConsumerMember *consumer_add(ConsumerGroup *consumer, Str id);
void consumer_remove(State *state, ConsumerMember *member);
void consumer_stop_timers(State *state, ConsumerMember *member);
/* False without memory. */
bool consumer_rename(ConsumerMember *member, Str id);
bool consumer_is_reconciled(const ConsumerMember *member, int32_t epoch);

/* Each returns whether that is a change. */
bool consumer_set_topics(ConsumerMember *member, NameSet *topics /* taken over */);
bool consumer_set_regex(ConsumerMember *member, Str regex);
bool consumer_set_text(char **text, Str value);
bool consumer_set_classic(ConsumerMember *member, ClassicSide *classic /* taken over; NULL: none */);

/* The memory that a member takes for the names of these topics. */
int64_t consumer_topic_bytes(const Str *topics, int32_t count);
/* The memory that a member takes which says these texts of itself, null ones among them, and such topics. */
int64_t consumer_member_bytes(const Str *texts, size_t count, int64_t topic_bytes);
/* Whether a member may take so much: the group (NULL: a new one) stays within odradek.group.max.member.bytes, or it takes no more than
 * before. known is what it is now, or NULL. */
bool consumer_has_room(const State *state, const ConsumerGroup *consumer, const ConsumerMember *known, int64_t member_bytes);
/* Counts the memory of a member anew, after what it says was changed. */
void consumer_count_bytes(ConsumerMember *member);

/* Replaces what the member has and what it has yet to give up; both sets are taken over. */
void consumer_set_current(ConsumerMember *member, PartitionSet *assigned, PartitionSet *revoking);
/* Who has the partition, or NULL. */
ConsumerMember *consumer_holder(const ConsumerGroup *consumer, const Uuid *topic, int32_t partition);
/* Whether the member reads the topic: by name, or by a pattern that is resolved. */
bool consumer_reads(const ConsumerMember *member, Str topic);

ClassicSide *classic_side_new(int32_t session_timeout_ms, const JoinProtocol *protocols, int32_t count);
void classic_side_free(ClassicSide *classic);

/* ---- patterns */
GroupRegex *consumer_regex(const ConsumerGroup *consumer, Str pattern); /* or NULL */
/* Puts a result into memory; topics are taken over. 0 or -ENOMEM. */
int consumer_resolve(ConsumerGroup *consumer, Str pattern, NameSet *topics, int64_t version, int64_t resolved_ms);
void consumer_unresolve(ConsumerGroup *consumer, Str pattern);
/* Members that read by it. */
int32_t consumer_regex_members(const ConsumerGroup *consumer, Str pattern);
