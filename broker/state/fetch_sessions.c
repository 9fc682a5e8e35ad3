/* The cache of fetch sessions, and what each has told its client. */
#include "broker/state/fetch_sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/state/state.h"
#include "storage/base/error.h"

#define NOTHING_TOLD (-1)
#define SHARDS 8 /* of Kafka */

typedef struct SessionPartition {
        HashNode node; /* keyed by topic and partition */
        ListNode order;
        FetchWant want;
        int64_t high_watermark, log_start_offset; /* as told last */
        char key[];
} SessionPartition;

struct FetchSession {
        HashNode node; /* keyed by id */
        ListNode age;  /* in FetchSessions.by_age */
        int32_t id;
        int32_t epoch;
        bool by_id;
        int64_t created_ms, used_ms;
        HashMap partitions;
        List order;
        FetchSessions *owner;
};

struct FetchSessions {
        HashMap by_id;
        List by_age; /* longest unused first */
        size_t bytes; /* of all sessions' partitions */
        size_t bytes_max, partitions_max; /* the latter of one session */
};

int fetch_sessions_open(State *state) {
        FetchSessions *sessions = calloc(1, sizeof(*sessions));
        if (!sessions)
                return -ENOMEM;
        sessions->by_id = HASHMAP_INIT;
        sessions->bytes_max = (size_t)config_int(state->config, "odradek.fetch.sessions.max.bytes");
        sessions->partitions_max = (size_t)config_int(state->config, "odradek.fetch.session.max.partitions");
        list_init(&sessions->by_age);
        state->fetch_sessions = sessions;
        return 0;
}

static size_t key_size(const FetchWant *want) {
        return (want->topic.len ? want->topic.len : sizeof(want->topic_id)) + sizeof(want->partition);
}

static void partition_forget(FetchSession *session, SessionPartition *partition) {
        session->owner->bytes -= sizeof(*partition) + key_size(&partition->want);
        hashmap_remove(&session->partitions, &partition->node);
        list_remove(&partition->order);
        free(partition);
}

static void session_free(FetchSessions *sessions, FetchSession *session) {
        LIST_FOREACH(&session->order, node)
                partition_forget(session, container_of(node, SessionPartition, order));
        hashmap_deinit(&session->partitions);
        hashmap_remove(&sessions->by_id, &session->node);
        list_remove(&session->age);
        free(session);
}

void fetch_sessions_close(State *state) {
        FetchSessions *sessions = state->fetch_sessions;
        if (!sessions)
                return;
        LIST_FOREACH(&sessions->by_age, node)
                session_free(sessions, container_of(node, FetchSession, age));
        hashmap_deinit(&sessions->by_id);
        free(sessions);
        state->fetch_sessions = NULL;
}

static Str id_key(const int32_t *id) {
        return (Str){ (const char *)id, sizeof(*id) };
}

static FetchSession *find(const State *state, int32_t id) {
        HashNode *node = hashmap_find(&state->fetch_sessions->by_id, id_key(&id));
        return node ? container_of(node, FetchSession, node) : NULL;
}

/* Whose place a session of partition_count may take, or NULL. */
static FetchSession *find_victim(const State *state, int32_t partition_count) {
        FetchSession *smallest = NULL;
        LIST_FOREACH(&state->fetch_sessions->by_age, node) {
                FetchSession *session = container_of(node, FetchSession, age);
                if (state->mono_ms - session->used_ms > FETCH_SESSION_IDLE_MS)
                        return session;
                if (state->mono_ms - session->created_ms > FETCH_SESSION_IDLE_MS &&
                    (!smallest || session->partitions.count < smallest->partitions.count))
                        smallest = session;
        }
        return smallest && smallest->partitions.count < (size_t)partition_count ? smallest : NULL;
}

static bool make_room(State *state, int32_t partition_count) {
        int64_t slots = config_int(state->config, "max.incremental.fetch.session.cache.slots");
        if ((int64_t)state->fetch_sessions->by_id.count < slots)
                return true;
        FetchSession *victim = slots > 0 ? find_victim(state, partition_count) : NULL;
        if (victim)
                session_free(state->fetch_sessions, victim);
        return victim != NULL;
}

bool fetch_session_id_is_sound(int32_t id) {
        int32_t shard = id / (INT32_MAX / SHARDS);
        return shard >= 0 && shard < SHARDS;
}

/* A random positive number, so that a client of an earlier process does not hit a stranger's session. */
static int32_t new_id(const State *state) {
        for (;;) {
                Uuid random = uuid_random();
                int32_t id;
                memcpy(&id, random.bytes, sizeof(id));
                id &= INT32_MAX;
                if (id && fetch_session_id_is_sound(id) && !find(state, id))
                        return id;
        }
}

FetchSession *fetch_session_new(State *state, bool by_id, int32_t partition_count) {
        if ((size_t)partition_count > state->fetch_sessions->partitions_max || !make_room(state, partition_count))
                return NULL;
        FetchSession *session = calloc(1, sizeof(*session));
        if (!session)
                return NULL;
        *session = (FetchSession){ .id = new_id(state), .epoch = 1, .by_id = by_id, .created_ms = state->mono_ms,
                                   .used_ms = state->mono_ms, .partitions = HASHMAP_INIT, .owner = state->fetch_sessions };
        list_init(&session->order);
        if (hashmap_insert(&state->fetch_sessions->by_id, id_key(&session->id), &session->node)) {
                free(session);
                return NULL;
        }
        list_append(&state->fetch_sessions->by_age, &session->age);
        return session;
}

int fetch_session_take(State *state, int32_t id, int32_t epoch, bool by_id, FetchSession **ret_session) {
        FetchSession *session = find(state, id);
        if (!session)
                return KAFKA_FETCH_SESSION_ID_NOT_FOUND;
        if (session->epoch != epoch)
                return KAFKA_INVALID_FETCH_SESSION_EPOCH;
        if (session->by_id != by_id)
                return KAFKA_FETCH_SESSION_TOPIC_ID_ERROR;
        session->epoch = epoch == INT32_MAX ? 1 : epoch + 1;
        session->used_ms = state->mono_ms;
        list_remove(&session->age);
        list_append(&state->fetch_sessions->by_age, &session->age);
        *ret_session = session;
        return 0;
}

FetchSession *fetch_session_find(State *state, int32_t id, int32_t epoch) {
        FetchSession *session = find(state, id);
        return session && session->epoch == epoch ? session : NULL;
}

void fetch_session_remove(State *state, int32_t id) {
        FetchSession *session = find(state, id);
        if (session)
                session_free(state->fetch_sessions, session);
}

int32_t fetch_session_id(const FetchSession *session) {
        return session->id;
}

int32_t fetch_session_epoch(const FetchSession *session) {
        return session->epoch;
}

int32_t fetch_session_count(const FetchSession *session) {
        return (int32_t)session->partitions.count;
}

#define KEY_BYTES_MAX (INT16_MAX + 4) /* a topic's name has at most as many bytes as its length can say */

static void write_key(const FetchWant *want, char *to) {
        size_t size = key_size(want) - sizeof(want->partition);
        memcpy(to, &want->partition, sizeof(want->partition));
        memcpy(to + sizeof(want->partition), want->topic.len ? want->topic.data : (const char *)want->topic_id.bytes, size);
}

static SessionPartition *find_partition(const FetchSession *session, const FetchWant *want) {
        char key[KEY_BYTES_MAX];
        if (key_size(want) > sizeof(key))
                return NULL;
        write_key(want, key);
        HashNode *node = hashmap_find(&session->partitions, (Str){ key, key_size(want) });
        return node ? container_of(node, SessionPartition, node) : NULL;
}

static int add_partition(FetchSession *session, const FetchWant *want) {
        size_t size = key_size(want);
        FetchSessions *owner = session->owner;
        size_t bytes = owner->bytes + sizeof(SessionPartition) + size;
        if (session->partitions.count >= owner->partitions_max || size > KEY_BYTES_MAX || bytes > owner->bytes_max)
                return -ENOSPC;
        SessionPartition *partition = calloc(1, sizeof(*partition) + size);
        if (!partition)
                return -ENOMEM;
        write_key(want, partition->key);
        partition->want = *want;
        if (want->topic.len)
                partition->want.topic.data = partition->key + sizeof(want->partition);
        partition->high_watermark = partition->log_start_offset = NOTHING_TOLD;
        if (hashmap_insert(&session->partitions, (Str){ partition->key, size }, &partition->node)) {
                free(partition);
                return -ENOMEM;
        }
        list_append(&session->order, &partition->order);
        owner->bytes = bytes;
        return 0;
}

int fetch_session_want(FetchSession *session, const FetchWant *want) {
        SessionPartition *partition = find_partition(session, want);
        if (!partition)
                return add_partition(session, want);
        Str topic = partition->want.topic;
        partition->want = *want;
        partition->want.topic = topic;
        return 0;
}

void fetch_session_forget(FetchSession *session, const FetchWant *want) {
        SessionPartition *partition = find_partition(session, want);
        if (partition)
                partition_forget(session, partition);
}

void fetch_session_wants(const FetchSession *session, FetchWant *ret_wants) {
        LIST_FOREACH(&session->order, node)
                *ret_wants++ = container_of(node, SessionPartition, order)->want;
}

bool fetch_session_tell(FetchSession *session, const FetchWant *want, const FetchNews *news) {
        SessionPartition *partition = find_partition(session, want);
        if (!partition)
                return true;
        bool must = news->has_records || news->has_error || news->diverges ||
                    partition->high_watermark != news->high_watermark || partition->log_start_offset != news->log_start_offset;
        /* after an error everything is news */
        partition->high_watermark = news->has_error ? NOTHING_TOLD : news->high_watermark;
        partition->log_start_offset = news->log_start_offset;
        if (news->has_records && !news->opens) {
                list_remove(&partition->order);
                list_append(&session->order, &partition->order);
        }
        return must;
}
