/* Fetch sessions (KIP-227): what a client wants of its partitions is remembered, so that its next requests name only
 * what changed, and the answers hold only the partitions with news.
 *
 * A session belongs to no connection. There are at most max.incremental.fetch.session.cache.slots of them; a new one takes the
 * place of one that was silent for FETCH_SESSION_IDLE_MS, or of a smaller one of that age, or is not made. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/base/list.h"
#include "storage/base/str.h"
#include "storage/base/uuid.h"

#define FETCH_SESSION_IDLE_MS 120000

typedef struct State State;
typedef struct FetchSession FetchSession;
typedef struct FetchSessions FetchSessions;

/* What a client wants of one partition. */
typedef struct FetchWant {
        Str topic;     /* empty where topics are named by id */
        Uuid topic_id; /* zero where they are not */
        int32_t partition;
        int32_t current_leader_epoch, last_fetched_epoch; /* -1: not told */
        int32_t partition_max_bytes;
        int64_t fetch_offset;
} FetchWant;

/* What an answer says about one partition. */
typedef struct FetchNews {
        int64_t high_watermark, log_start_offset;
        bool has_records, has_error, diverges;
        bool opens; /* the answer that makes the session */
} FetchNews;

int fetch_sessions_open(State *state);
void fetch_sessions_close(State *state);

/* Whether a session may be called so: Kafka keeps them in shards, by their ids, and fails where there is no shard for one. */
bool fetch_session_id_is_sound(int32_t id);

/* Makes a session; its next request has to come with epoch 1. NULL when there is no room for it (no error: the client goes on
 * without). */
FetchSession *fetch_session_new(State *state, bool by_id, int32_t partition_count);

/* The session whose next request has this epoch, which is counted up. 0, FETCH_SESSION_ID_NOT_FOUND,
 * INVALID_FETCH_SESSION_EPOCH or FETCH_SESSION_TOPIC_ID_ERROR. */
int fetch_session_take(State *state, int32_t id, int32_t epoch, bool by_id, FetchSession **ret_session);

/* The session, if no request after the one that was given this epoch by fetch_session_epoch() has come; otherwise NULL. */
FetchSession *fetch_session_find(State *state, int32_t id, int32_t epoch);

/* Harmless for an id that is unknown. */
void fetch_session_remove(State *state, int32_t id);

int32_t fetch_session_id(const FetchSession *session);
/* The epoch that the next request must have. */
int32_t fetch_session_epoch(const FetchSession *session);

/* Remembers, or changes, what is wanted of a partition. 0, -ENOMEM, or -ENOSPC beyond
 * odradek.fetch.session.max.partitions or odradek.fetch.sessions.max.bytes. */
int fetch_session_want(FetchSession *session, const FetchWant *want);
/* Only topic, topic_id and partition of the want are looked at. */
void fetch_session_forget(FetchSession *session, const FetchWant *want);

int32_t fetch_session_count(const FetchSession *session);
/* Copies the wants to ret_wants[fetch_session_count()] in their order; the strings stay the session's. */
void fetch_session_wants(const FetchSession *session, FetchWant *ret_wants);

/* Whether an answer must name the partition, which is noted then. Those with records go to the end of the order, so that
 * everybody's turn comes; in the answer that makes the session they keep their places. */
bool fetch_session_tell(FetchSession *session, const FetchWant *want, const FetchNews *news);
