/* Heartbeats of the consumer protocol. */
#include "broker/state/groups/consumer_heartbeat.h"

#include <errno.h>
#include <stdio.h>

#include "broker/state/groups/assignor.h"
#include "broker/state/groups/consumer_journal.h"
#include "broker/state/groups/consumer_migration.h"
#include "broker/state/groups/consumer_reconcile.h"
#include "broker/state/groups/consumer_regex.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"
#include "storage/base/uuid.h"

/* One heartbeat on its way. */
typedef struct Beat {
        State *state;
        const ConsumerHeartbeat *args;
        Arena *arena;
        Journal *journal;
        ConsumerHeartbeatResult *ret;
        Group *group;             /* NULL: to be made */
        ConsumerGroup *consumer;  /* of the group; or prepared and not attached yet */
        bool is_upgrade, is_new_consumer;
        ConsumerMember *member;   /* NULL: to be made */
        ConsumerMember *replaced; /* the static member whose place is taken; it is renamed */
        Str member_id;
} Beat;

#define REFUSE(beat, code, ...) ((beat)->ret->message = arena_printf((beat)->arena, __VA_ARGS__), (code))

/* ---- the request by itself */

static bool is_blank(Str text) {
        for (size_t i = 0; i < text.len; i++)
                if ((uint8_t)text.data[i] > ' ')
                        return false;
        return !str_is_null(text);
}

static int check_joining(Beat *b) {
        const ConsumerHeartbeat *args = b->args;
        if (args->rebalance_timeout_ms == -1)
                return REFUSE(b, KAFKA_INVALID_REQUEST, "RebalanceTimeoutMs must be provided in first request.");
        if (!args->owned || args->owned->count > 0)
                return REFUSE(b, KAFKA_INVALID_REQUEST, "TopicPartitions must be empty when (re-)joining.");
        if (args->topic_count < 0 && str_is_null(args->regex))
                return REFUSE(b, KAFKA_INVALID_REQUEST,
                              "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
        return 0;
}

static bool is_supported(const Config *config, Str assignor) {
        Str list = config_str(config, "group.consumer.assignors"), item;
        while (config_next_item(&list, &item))
                if (str_equal(item, assignor) && assignor_find(item))
                        return true;
        return false;
}

static int check_assignor(Beat *b) {
        Buffer names = BUFFER_INIT;
        Str list = config_str(b->state->config, "group.consumer.assignors"), item;
        if (str_is_null(b->args->assignor) || is_supported(b->state->config, b->args->assignor))
                return 0;
        while (config_next_item(&list, &item))
                buffer_printf(&names, "%s%.*s", names.size ? ", " : "", STR_ARG(item));
        int r = REFUSE(b, KAFKA_UNSUPPORTED_ASSIGNOR, "ServerAssignor %.*s is not supported. Supported assignors: %.*s.",
                       STR_ARG(b->args->assignor), (int)names.size, names.data ? (const char *)names.data : "");
        buffer_deinit(&names);
        return r;
}

static int check_request(Beat *b) {
        const ConsumerHeartbeat *args = b->args;
        if ((args->needs_member_id || args->epoch > 0 || args->epoch == CONSUMER_EPOCH_LEAVE) && is_blank(args->member_id))
                return REFUSE(b, KAFKA_INVALID_REQUEST, "MemberId can't be empty.");
        if (is_blank(args->group_id))
                return REFUSE(b, KAFKA_INVALID_REQUEST, "GroupId can't be empty.");
        if (is_blank(args->instance_id))
                return REFUSE(b, KAFKA_INVALID_REQUEST, "InstanceId can't be empty.");
        if (is_blank(args->rack_id))
                return REFUSE(b, KAFKA_INVALID_REQUEST, "RackId can't be empty.");
        if (args->epoch == CONSUMER_EPOCH_JOIN) {
                int r = check_joining(b);
                if (r)
                        return r;
        }
        if (args->epoch == MEMBER_EPOCH_LEFT_FOR_A_WHILE && str_is_null(args->instance_id))
                return REFUSE(b, KAFKA_INVALID_REQUEST, "InstanceId can't be null.");
        if (args->epoch < MEMBER_EPOCH_LEFT_FOR_A_WHILE)
                return REFUSE(b, KAFKA_INVALID_REQUEST, "MemberEpoch is invalid.");
        return check_assignor(b);
}

/* ---- the group and the member, found and checked but not changed */

static int find_group(Beat *b) {
        const ConsumerHeartbeat *args = b->args;
        Group *group = b->group = group_find(b->state, args->group_id);
        if (group && group->consumer) {
                b->consumer = group->consumer;
                return 0;
        }
        if (args->epoch != CONSUMER_EPOCH_JOIN)
                return group ? REFUSE(b, KAFKA_GROUP_ID_NOT_FOUND, "Group %.*s is not a consumer group.", STR_ARG(args->group_id))
                             : REFUSE(b, KAFKA_GROUP_ID_NOT_FOUND, "%sroup %.*s not found.", args->epoch < 0 ? "G" : "Consumer g",
                                      STR_ARG(args->group_id));
        if (!group && groups_check_room(b->state))
                return REFUSE(b, KAFKA_POLICY_VIOLATION, "There are as many groups as odradek.max.groups allows.");
        if (!group || group->state == GROUP_EMPTY) {
                b->is_new_consumer = true;
                return 0;
        }
        b->is_upgrade = true;
        return group_upgrade_prepare(b->state, group, b->arena, &b->consumer, &b->ret->message);
}

static bool is_subset(const PartitionSet *owned, const PartitionSet *assigned) {
        if (!owned)
                return false;
        for (int32_t i = 0; i < owned->count; i++)
                if (!partition_set_find(assigned, &owned->items[i].topic, owned->items[i].index))
                        return false;
        return true;
}

/* A member may join again at any time: that is how it recovers after it was fenced. The epoch before is accepted from one that may not have
 * seen the answer which raised it. */
static int check_epoch(Beat *b, const ConsumerMember *member) {
        int32_t epoch = b->args->epoch;
        if (epoch == CONSUMER_EPOCH_JOIN)
                return 0;
        if (epoch > member->epoch)
                return REFUSE(b, KAFKA_FENCED_MEMBER_EPOCH,
                              "The consumer group member has a greater member epoch (%d) than the one known by the group coordinator "
                              "(%d). The member must abandon all its partitions and rejoin.", epoch, member->epoch);
        if (epoch < member->epoch && (epoch != member->previous_epoch || !is_subset(b->args->owned, &member->assigned)))
                return REFUSE(b, KAFKA_FENCED_MEMBER_EPOCH,
                              "The consumer group member has a smaller member epoch (%d) than the one known by the group coordinator "
                              "(%d). The member must abandon all its partitions and rejoin.", epoch, member->epoch);
        return 0;
}

static int unknown_member(Beat *b, Str id) {
        return REFUSE(b, KAFKA_UNKNOWN_MEMBER_ID, "Member %.*s is not a member of group %.*s.", STR_ARG(id), STR_ARG(b->args->group_id));
}

/* The member that has the instance id, if it is the one that speaks. */
static int find_instance(Beat *b, ConsumerMember **ret_member) {
        const ConsumerHeartbeat *args = b->args;
        ConsumerMember *member = consumer_find_instance(b->consumer, args->instance_id);
        if (!member)
                return REFUSE(b, KAFKA_UNKNOWN_MEMBER_ID, "Instance id %.*s is unknown.", STR_ARG(args->instance_id));
        if (!str_equal(str_of(member->id), args->member_id))
                return REFUSE(b, KAFKA_FENCED_INSTANCE_ID, "Static member %.*s with instance id %.*s was fenced by member %s.",
                              STR_ARG(args->member_id), STR_ARG(args->instance_id), member->id);
        *ret_member = member;
        return 0;
}

static int find_static(Beat *b) {
        const ConsumerHeartbeat *args = b->args;
        if (args->epoch != CONSUMER_EPOCH_JOIN) {
                int r = find_instance(b, &b->member);
                return r ? r : check_epoch(b, b->member);
        }
        ConsumerMember *owner = consumer_find_instance(b->consumer, args->instance_id);
        b->member = owner ? NULL : consumer_find(b->consumer, b->member_id);
        b->replaced = owner;
        if (owner && !owner->classic && owner->epoch != MEMBER_EPOCH_LEFT_FOR_A_WHILE)
                return REFUSE(b, KAFKA_UNRELEASED_INSTANCE_ID,
                              "Static member %.*s with instance id %.*s cannot join the group because the instance id is owned by %s "
                              "member.", STR_ARG(b->member_id), STR_ARG(args->instance_id), owner->id);
        return 0;
}

static int find_member(Beat *b) {
        const ConsumerHeartbeat *args = b->args;
        int64_t size_max = config_int(b->state->config, "group.consumer.max.size");
        if (b->consumer && b->consumer->member_count >= size_max && !consumer_find(b->consumer, args->member_id))
                return REFUSE(b, KAFKA_GROUP_MAX_SIZE_REACHED, "The consumer group has reached its maximum capacity of %lld members.",
                              (long long)size_max);
        if (!b->consumer)
                return 0;
        if (!str_is_null(args->instance_id))
                return find_static(b);
        b->member = consumer_find(b->consumer, b->member_id);
        if (!b->member)
                return args->epoch == CONSUMER_EPOCH_JOIN ? 0 : unknown_member(b, b->member_id);
        return check_epoch(b, b->member);
}

/* What is said, or where nothing is said, what was. */
static Str text_after(Str said, const char *before) {
        return str_is_null(said) ? str_of(before) : said;
}

/* The memory of the member once it is what the request says; known is what it is now, or NULL. */
static int64_t bytes_after(const Beat *b, const ConsumerMember *known) {
        const ConsumerHeartbeat *args = b->args;
        int64_t topics = args->topic_count >= 0 ? consumer_topic_bytes(args->topics, args->topic_count) : known ? known->topic_bytes : 0;
        const Str texts[] = { b->member_id,
                              args->client_id,
                              args->client_host,
                              text_after(args->instance_id, known ? known->instance_id : NULL),
                              text_after(args->rack_id, known ? known->rack_id : NULL),
                              text_after(args->assignor, known ? known->assignor : NULL),
                              text_after(args->regex, known ? known->regex : NULL) };
        return consumer_member_bytes(texts, sizeof(texts) / sizeof(texts[0]), topics);
}

static int check_room(Beat *b) {
        const ConsumerMember *known = b->replaced ? b->replaced : b->member;
        if (consumer_has_room(b->state, b->consumer, known, bytes_after(b, known)))
                return 0;
        return REFUSE(b, KAFKA_GROUP_MAX_SIZE_REACHED, "The members of the group take as much memory as odradek.group.max.member.bytes allows.");
}

static int check_regex(Beat *b) {
        const ConsumerMember *member = b->replaced ? b->replaced : b->member;
        Str pattern = b->args->regex;
        if (pattern.len == 0 || (member && str_equal(pattern, str_of(member->regex))))
                return 0;
        if (b->consumer && !consumer_regex(b->consumer, pattern) &&
            (int64_t)b->consumer->regexes.count >= config_int(b->state->config, "odradek.group.max.patterns"))
                return REFUSE(b, KAFKA_GROUP_MAX_SIZE_REACHED, "The group has as many patterns as odradek.group.max.patterns allows.");
        return regex_check(b->consumer, pattern, b->arena, &b->ret->message);
}

/* ---- the change */

static int ensure_consumer(Beat *b) {
        if (b->is_upgrade) {
                group_upgrade(b->state, b->group, b->consumer, b->journal);
                b->is_upgrade = false;
                return 0;
        }
        if (!b->is_new_consumer)
                return 0;
        if (b->group)
                journal_add_group_tombstone(b->journal, b->args->group_id);
        Group *group = b->group = group_get(b->state, b->args->group_id);
        b->consumer = group ? consumer_new(group) : NULL;
        if (!b->consumer)
                return -ENOMEM;
        group_clear_members(group);
        consumer_attach(group, b->consumer);
        return 0;
}

/* The place of a static member is taken: its target stays, and what it has until the new one takes it over. */
static bool replace(Beat *b) {
        ConsumerMember *member = b->replaced;
        consumer_journal_member_end(b->journal, member);
        consumer_stop_timers(b->state, member);
        if (!consumer_rename(member, b->member_id))
                return false;
        member->epoch = member->previous_epoch = 0;
        member->has_target = true;
        consumer_journal_member(b->journal, member);
        consumer_journal_target(b->journal, member);
        consumer_journal_current(b->journal, member);
        b->member = member;
        return true;
}

/* Puts what the request says into the member, but for its pattern. False without memory. */
static bool update_member(Beat *b, bool is_new, bool *ret_changed, bool *ret_topics_changed) {
        const ConsumerHeartbeat *args = b->args;
        ConsumerMember *member = b->member;
        bool changed = is_new, topics_changed = false;
        if (args->topic_count >= 0) {
                NameSet topics;
                if (!name_set_of(args->topics, args->topic_count, &topics))
                        return false;
                topics_changed = consumer_set_topics(member, &topics);
        }
        if (!str_is_null(args->instance_id))
                changed |= consumer_set_text(&member->instance_id, args->instance_id);
        if (!str_is_null(args->rack_id))
                changed |= consumer_set_text(&member->rack_id, args->rack_id);
        if (!str_is_null(args->assignor))
                changed |= consumer_set_text(&member->assignor, args->assignor);
        changed |= consumer_set_text(&member->client_id, str_is_null(args->client_id) ? STR("") : args->client_id);
        changed |= consumer_set_text(&member->client_host, args->client_host);
        changed |= consumer_set_classic(member, NULL);
        if (args->rebalance_timeout_ms != -1 && args->rebalance_timeout_ms != member->rebalance_timeout_ms) {
                member->rebalance_timeout_ms = args->rebalance_timeout_ms;
                changed = true;
        }
        changed |= !str_is_null(args->regex) && !str_equal(args->regex, str_of(member->regex));
        *ret_topics_changed = topics_changed;
        *ret_changed = changed || topics_changed;
        return true;
}

static void answer(Beat *b, const Reconciled *done) {
        const ConsumerHeartbeat *args = b->args;
        bool is_full = args->rebalance_timeout_ms != -1 && (args->topic_count >= 0 || !str_is_null(args->regex)) && args->owned;
        b->ret->member_id = str_of(b->member->id);
        b->ret->epoch = b->member->epoch;
        b->ret->heartbeat_interval_ms = group_consumer_setting(b->state, b->group, "consumer.heartbeat.interval.ms");
        b->ret->assignment = args->epoch == CONSUMER_EPOCH_JOIN || is_full || done->is_assigned_changed ? &b->member->assigned : NULL;
}

static int apply(Beat *b) {
        bool member_changed = false, topics_changed = false;
        Reconciled done = { .is_changed = false };
        int r = ensure_consumer(b);
        if (r || (b->replaced && !replace(b)))
                return r ? r : -ENOMEM;
        bool is_new = !b->member;
        if (is_new && !(b->member = consumer_add(b->consumer, b->member_id)))
                return -ENOMEM;
        if (!update_member(b, is_new, &member_changed, &topics_changed))
                return -ENOMEM;
        RegexChange regex = regex_update(b->state, b->member, b->args->regex, b->journal);
        if (member_changed) {
                consumer_count_bytes(b->member);
                consumer_journal_member(b->journal, b->member);
        }
        group_consumer_check_metadata(b->state, b->consumer, topics_changed || regex == REGEX_UPDATED_AND_RESOLVED, b->journal);
        r = group_consumer_update_target(b->state, b->consumer, b->journal);
        if (!r)
                r = group_reconcile(b->state, b->member, topics_changed || regex != REGEX_NO_CHANGE, b->args->owned, b->journal, &done);
        if (r == KAFKA_FENCED_MEMBER_EPOCH)
                return REFUSE(b, r, "The consumer group member is in a unknown state. The member must abandon all its partitions and "
                                    "rejoin.");
        if (r)
                return r;
        group_consumer_touch(b->state, b->member);
        if (journal_count(b->journal))
                consumer_update_state(b->consumer);
        answer(b, &done);
        return 0;
}

static int beat(Beat *b) {
        char buffer[UUID_TEXT_SIZE];
        b->member_id = b->args->member_id;
        if (b->member_id.len == 0) {
                Uuid uuid = uuid_random();
                b->member_id = arena_str(b->arena, str_of(uuid_to_text(&uuid, buffer)));
        }
        int r = groups_ensure_topic(b->state) ? KAFKA_COORDINATOR_NOT_AVAILABLE : 0;
        if (!r)
                r = find_group(b);
        if (!r)
                r = find_member(b);
        if (!r)
                r = check_room(b);
        if (!r)
                r = check_regex(b);
        if (!r)
                r = apply(b);
        if (r && b->is_upgrade)
                consumer_free(b->state, b->consumer); /* was only prepared */
        return r;
}

/* ---- leaving */

/* A static member that will be back keeps its partitions until its session ends. */
static void leave_for_a_while(Beat *b) {
        ConsumerMember *member = b->member;
        PartitionSet assigned = PARTITION_SET_INIT, none = PARTITION_SET_INIT;
        partition_set_copy(&member->assigned, &assigned);
        for (int32_t i = 0; i < assigned.count; i++)
                assigned.items[i].epoch = 0;
        member->epoch = MEMBER_EPOCH_LEFT_FOR_A_WHILE;
        consumer_set_current(member, &assigned, &none);
        consumer_journal_current(b->journal, member);
        consumer_update_state(b->consumer);
}

static int leave(Beat *b) {
        const ConsumerHeartbeat *args = b->args;
        int r = find_group(b);
        if (r)
                return r;
        if (!str_is_null(args->instance_id)) {
                r = find_instance(b, &b->member);
                if (r)
                        return r;
        } else if (!(b->member = consumer_find(b->consumer, args->member_id))) {
                return unknown_member(b, args->member_id);
        }
        b->ret->member_id = args->member_id;
        b->ret->epoch = args->epoch;
        if (args->epoch == MEMBER_EPOCH_LEFT_FOR_A_WHILE && !str_is_null(args->instance_id))
                leave_for_a_while(b);
        else
                group_consumer_fence(b->state, b->consumer, &b->member, 1, b->journal);
        return 0;
}

int group_consumer_heartbeat(State *state, const ConsumerHeartbeat *args, Arena *arena, JournalWrite *write,
                             void (*done)(JournalWrite *write, State *state, int16_t code), ConsumerHeartbeatResult *ret) {
        Journal journal;
        Beat b = { .state = state, .args = args, .arena = arena, .journal = &journal, .ret = ret };
        *ret = (ConsumerHeartbeatResult){ .message = STR_NULL, .member_id = STR_NULL };
        journal_begin(&journal, state->now_ms);
        int r = check_request(&b);
        if (!r)
                r = args->epoch < 0 ? leave(&b) : beat(&b);
        if (journal_count(&journal) == 0) {
                batch_builder_deinit(&journal.batch);
                if (r || !group_is_unsettled(b.group))
                        return r;
                if (b.group->is_ahead)
                        return KAFKA_COORDINATOR_NOT_AVAILABLE;
                journal_follow(state, args->group_id, write, done);
                ret->is_pending = true;
                return 0;
        }
        int written = group_consumer_append(state, b.group, &journal, r ? NULL : write, done);
        ret->is_pending = !r && !written;
        return r ? r : written == KAFKA_MESSAGE_TOO_LARGE ? written : written ? KAFKA_COORDINATOR_NOT_AVAILABLE : 0;
}
