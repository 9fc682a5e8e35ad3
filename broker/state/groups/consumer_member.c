/* Members of a group of the consumer protocol. */
#include <stdlib.h>

#include "broker/state/groups/classic_members.h"
#include "broker/state/groups/consumer.h"
#include "broker/state/groups/consumer_heartbeat.h"
#include "storage/base/trace.h"

ClassicSide *classic_side_new(int32_t session_timeout_ms, const JoinProtocol *protocols, int32_t count) {
        ClassicSide *classic = calloc(1, sizeof(*classic));
        if (!classic)
                return NULL;
        classic->session_timeout_ms = session_timeout_ms;
        classic->protocol_bytes = join_protocol_bytes(protocols, count);
        classic->protocols = calloc((size_t)count + 1, sizeof(*classic->protocols));
        for (int32_t i = 0; classic->protocols && i < count; i++) {
                MemberProtocol *protocol = &classic->protocols[classic->protocol_count++];
                protocol->name = str_dup(protocols[i].name);
                protocol->metadata = (Str){ str_dup(str_is_null(protocols[i].metadata) ? STR("") : protocols[i].metadata),
                                            protocols[i].metadata.len };
                if (!protocol->name || !protocol->metadata.data) {
                        classic_side_free(classic);
                        return NULL;
                }
        }
        if (classic->protocols)
                return classic;
        free(classic);
        return NULL;
}

void classic_side_free(ClassicSide *classic) {
        for (int32_t i = 0; classic && i < classic->protocol_count; i++) {
                free(classic->protocols[i].name);
                free((char *)(uintptr_t)classic->protocols[i].metadata.data);
        }
        if (classic)
                free(classic->protocols);
        free(classic);
}

static bool same_classic(const ClassicSide *a, const ClassicSide *b) {
        if (!a || !b || a->session_timeout_ms != b->session_timeout_ms || a->protocol_count != b->protocol_count)
                return a == b;
        for (int32_t i = 0; i < a->protocol_count; i++)
                if (strcmp(a->protocols[i].name, b->protocols[i].name) != 0 ||
                    !str_equal(a->protocols[i].metadata, b->protocols[i].metadata))
                        return false;
        return true;
}

bool consumer_set_classic(ConsumerMember *member, ClassicSide *classic) {
        bool changed = !same_classic(member->classic, classic);
        member->consumer->protocol_bytes += (classic ? classic->protocol_bytes : 0) - (member->classic ? member->classic->protocol_bytes : 0);
        classic_side_free(member->classic);
        member->classic = classic;
        return changed;
}

bool consumer_set_text(char **text, Str value) {
        if (str_is_null(value) == (*text == NULL) && str_equal(str_of(*text), value))
                return false;
        group_set_text(text, value);
        return true;
}

ConsumerMember *consumer_find(const ConsumerGroup *consumer, Str id) {
        HashNode *node = hashmap_find(&consumer->by_id, id);
        return node ? container_of(node, ConsumerMember, by_id) : NULL;
}

ConsumerMember *consumer_find_instance(const ConsumerGroup *consumer, Str instance_id) {
        if (str_is_null(instance_id))
                return NULL;
        LIST_FOREACH(&consumer->members, node) {
                ConsumerMember *member = container_of(node, ConsumerMember, node);
                if (member->instance_id && str_equal(str_of(member->instance_id), instance_id))
                        return member;
        }
        return NULL;
}

#define TOPIC_BYTES 32 /* the least that a name takes beside its text */

int64_t consumer_topic_bytes(const Str *topics, int32_t count) {
        int64_t bytes = 0;
        for (int32_t i = 0; i < count; i++)
                bytes += (int64_t)topics[i].len + TOPIC_BYTES;
        return bytes;
}

int64_t consumer_member_bytes(const Str *texts, size_t count, int64_t topic_bytes) {
        int64_t bytes = (int64_t)sizeof(ConsumerMember) + topic_bytes;
        for (size_t i = 0; i < count; i++)
                bytes += (int64_t)texts[i].len;
        return bytes;
}

bool consumer_has_room(const State *state, const ConsumerGroup *consumer, const ConsumerMember *known, int64_t member_bytes) {
        int64_t before = known ? known->bytes : 0, others = consumer ? consumer->member_bytes - before : 0;
        return member_bytes <= before || others + member_bytes <= config_int(state->config, "odradek.group.max.member.bytes");
}

void consumer_count_bytes(ConsumerMember *member) {
        const Str texts[] = { str_of(member->id),          str_of(member->instance_id), str_of(member->rack_id), str_of(member->client_id),
                              str_of(member->client_host), str_of(member->regex),       str_of(member->assignor) };
        member->consumer->member_bytes -= member->bytes;
        member->topic_bytes = 0;
        for (int32_t i = 0; i < member->topics.count; i++)
                member->topic_bytes += (int64_t)strlen(member->topics.names[i]) + TOPIC_BYTES;
        member->bytes = consumer_member_bytes(texts, sizeof(texts) / sizeof(texts[0]), member->topic_bytes);
        member->consumer->member_bytes += member->bytes;
}

static void free_member(ConsumerMember *member) {
        member->consumer->member_bytes -= member->bytes;
        name_set_deinit(&member->topics);
        partition_set_deinit(&member->assigned);
        partition_set_deinit(&member->revoking);
        partition_set_deinit(&member->target);
        consumer_set_classic(member, NULL);
        free(member->id);
        free(member->instance_id);
        free(member->rack_id);
        free(member->client_id);
        free(member->client_host);
        free(member->regex);
        free(member->assignor);
        free(member);
}

ConsumerMember *consumer_add(ConsumerGroup *consumer, Str id) {
        ConsumerMember *member = calloc(1, sizeof(*member));
        if (!member)
                return NULL;
        member->consumer = consumer;
        member->id = str_dup(id);
        member->client_id = str_dup(STR(""));
        member->client_host = str_dup(STR(""));
        member->regex = str_dup(STR(""));
        member->rebalance_timeout_ms = -1;
        member->previous_epoch = -1;
        group_consumer_init_timers(member);
        if (!member->id || !member->client_id || !member->client_host || !member->regex ||
            hashmap_insert(&consumer->by_id, str_of(member->id), &member->by_id) < 0) {
                free_member(member);
                return NULL;
        }
        list_append(&consumer->members, &member->node);
        consumer->member_count++;
        return member;
}

void consumer_stop_timers(State *state, ConsumerMember *member) {
        timer_stop(state, &member->session);
        timer_stop(state, &member->rebalance);
        timer_stop(state, &member->join);
        timer_stop(state, &member->sync);
}

void consumer_remove(State *state, ConsumerMember *member) {
        NameSet none = NAME_SET_INIT;
        consumer_stop_timers(state, member);
        consumer_set_topics(member, &none);
        consumer_set_regex(member, STR(""));
        consumer_set_current(member, &PARTITION_SET_INIT, &PARTITION_SET_INIT);
        hashmap_remove(&member->consumer->by_id, &member->by_id);
        list_remove(&member->node);
        member->consumer->member_count--;
        free_member(member);
}

bool consumer_rename(ConsumerMember *member, Str id) {
        char *fresh = str_dup(id);
        if (!fresh)
                return false;
        hashmap_remove(&member->consumer->by_id, &member->by_id);
        free(member->id);
        member->id = fresh;
        return hashmap_insert(&member->consumer->by_id, str_of(fresh), &member->by_id) == 0;
}

bool consumer_is_reconciled(const ConsumerMember *member, int32_t epoch) {
        return member->state == MEMBER_STABLE && member->epoch == epoch;
}

/* ---- who has what */

static TopicHolders *find_holders(const ConsumerGroup *consumer, const Uuid *topic) {
        HashNode *node = hashmap_find(&consumer->holders, uuid_key(topic));
        return node ? container_of(node, TopicHolders, node) : NULL;
}

static TopicHolders *get_holders(ConsumerGroup *consumer, const Uuid *topic, int32_t count) {
        TopicHolders *holders = find_holders(consumer, topic);
        if (!holders) {
                if (!(holders = calloc(1, sizeof(*holders))))
                        return NULL;
                holders->id = *topic;
                if (hashmap_insert(&consumer->holders, uuid_key(&holders->id), &holders->node) < 0) {
                        free(holders);
                        return NULL;
                }
        }
        if (count > holders->count) {
                ConsumerMember **more = realloc(holders->holders, (size_t)count * sizeof(*more));
                if (!more)
                        return NULL;
                memset(&more[holders->count], 0, (size_t)(count - holders->count) * sizeof(*more));
                holders->holders = more;
                holders->count = count;
        }
        return holders;
}

ConsumerMember *consumer_holder(const ConsumerGroup *consumer, const Uuid *topic, int32_t partition) {
        const TopicHolders *holders = find_holders(consumer, topic);
        return holders && partition >= 0 && partition < holders->count ? holders->holders[partition] : NULL;
}

/* What another member took meanwhile (in a log that was cut) stays with it. */
static void let_go(ConsumerMember *member, const PartitionSet *set) {
        for (int32_t at = 0, run; at < set->count; at += run) {
                TopicHolders *holders = find_holders(member->consumer, &set->items[at].topic);
                run = partition_set_run(set, at);
                for (int32_t i = at; holders && i < at + run; i++)
                        if (set->items[i].index < holders->count && holders->holders[set->items[i].index] == member) {
                                holders->holders[set->items[i].index] = NULL;
                                holders->held--;
                        }
                if (!holders || holders->held)
                        continue;
                hashmap_remove(&member->consumer->holders, &holders->node);
                free(holders->holders);
                free(holders);
        }
}

static void hold(ConsumerMember *member, const PartitionSet *set) {
        for (int32_t at = 0, run; at < set->count; at += run) {
                run = partition_set_run(set, at);
                TopicHolders *holders = get_holders(member->consumer, &set->items[at].topic, set->items[at + run - 1].index + 1);
                if (!holders)
                        trace_error("out of memory");
                for (int32_t i = at; holders && i < at + run; i++) {
                        ConsumerMember **holder = &holders->holders[set->items[i].index];
                        holders->held += *holder == NULL;
                        *holder = member;
                }
        }
}

void consumer_set_current(ConsumerMember *member, PartitionSet *assigned, PartitionSet *revoking) {
        let_go(member, &member->assigned);
        let_go(member, &member->revoking);
        partition_set_deinit(&member->assigned);
        partition_set_deinit(&member->revoking);
        member->assigned = *assigned;
        member->revoking = *revoking;
        *assigned = *revoking = PARTITION_SET_INIT;
        hold(member, &member->assigned);
        hold(member, &member->revoking);
}
