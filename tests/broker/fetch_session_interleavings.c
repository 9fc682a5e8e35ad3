/* Clients with fetch sessions, by name and by id, that open, change, misuse, forget and leave them in random order, while topics
 * come, go, grow, are written to and lose their oldest records, sessions are pushed out and the broker restarts; the same seeds in
 * every run. Each answer of a session is compared with that to a full request at the same moment: what it leaves out must be what
 * the client knows already, and nothing that it tells may be old. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "broker/state/fetch_sessions.h"
#include "storage/base/error.h"
#include "tests/lib/ask.h"
#include "tests/lib/requests.h"
#include "tests/lib/state_fixture.h"

#define CLIENTS 5
#define SLOTS 3
#define TOPICS 4
#define PARTITIONS_MAX 4
#define WANTS (TOPICS * 3 * PARTITIONS_MAX)
#define STEPS 400
#define SEEDS 20

typedef struct Row {
        int16_t code;
        int64_t high_watermark, log_start_offset;
        size_t record_bytes;
} Row;

typedef struct Want {
        int name;     /* of the topics */
        Uuid id;      /* that the topic had, or has; by name: zero */
        int32_t partition;
        int64_t offset;
        bool is_told; /* the client knows row */
        Row row;
} Want;

typedef struct Client {
        int16_t version;
        int32_t session, epoch; /* session 0: none */
        Want wants[WANTS];
        int count;
} Client;

static StateFixture fixture;
static Client clients[CLIENTS];
static uint64_t seed;
static Uuid old_ids[TOPICS];
static const char *const names[TOPICS] = { "a", "b", "c", "never" };

static void setup(void) {
        state_fixture_start(&fixture);
        state_fixture_set(&fixture, "max.incremental.fetch.session.cache.slots", "3");
        for (int i = 0; i < TOPICS; i++)
                old_ids[i] = uuid_random();
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(fetch_session_interleavings, .init = setup, .fini = teardown, .timeout = 200);

static uint32_t random_below(uint32_t limit) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (uint32_t)(seed >> 32) % limit;
}

/* ---- requests */

typedef struct Request {
        FetchRequestTopic topics[WANTS];
        FetchRequestPartition partitions[WANTS];
        FetchRequestForgottenTopicsData forgotten[WANTS];
        int32_t forgotten_partitions[WANTS];
        int32_t count, forgotten_count;
} Request;

static bool is_by_id(const Client *client) {
        return client->version >= 13;
}

static void name_want(Request *request, const Want *want) {
        FetchRequestPartition *partition = &request->partitions[request->count];
        *partition = FetchRequestPartition_INIT;
        partition->partition = want->partition;
        partition->fetch_offset = want->offset;
        partition->partition_max_bytes = 1 << 20;
        request->topics[request->count++] = (FetchRequestTopic){ .topic = str_of(names[want->name]), .topic_id = want->id,
                                                                 .partitions = partition, .partitions_count = 1 };
}

static void name_forgotten(Request *request, const Want *want) {
        int32_t at = request->forgotten_count++;
        request->forgotten_partitions[at] = want->partition;
        request->forgotten[at] = (FetchRequestForgottenTopicsData){ .topic = str_of(names[want->name]), .topic_id = want->id,
                                                                    .partitions = &request->forgotten_partitions[at], .partitions_count = 1 };
}

static const FetchResponse *send(const Client *client, Request *request, int32_t session, int32_t epoch) {
        return ASK(fixture.state, Fetch, fetch, client->version, .replica_id = -1, .replica_state.replica_id = -1, .max_wait_ms = 0,
                   .min_bytes = 0, .max_bytes = 100 << 20, .session_id = session, .session_epoch = epoch, .topics = request->topics, .topics_count = request->count,
                   .forgotten_topics_data = request->forgotten, .forgotten_topics_data_count = request->forgotten_count);
}

static bool is_row_of(const Client *client, const FetchResponseResponse *topic, const FetchResponsePartition *row, const Want *want) {
        bool same = is_by_id(client) ? uuid_equal(&topic->topic_id, &want->id) : str_equal(topic->topic, str_of(names[want->name]));
        return same && row->partition_index == want->partition;
}

/* The row of an answer, of which there may be one; false when there is none. */
static bool find_row(const Client *client, const FetchResponse *response, const Want *want, Row *ret_row) {
        int found = 0;
        for (int32_t i = 0; i < response->responses_count; i++)
                for (int32_t j = 0; j < response->responses[i].partitions_count; j++) {
                        const FetchResponsePartition *row = &response->responses[i].partitions[j];
                        if (!is_row_of(client, &response->responses[i], row, want))
                                continue;
                        *ret_row = (Row){ row->error_code, row->high_watermark, row->log_start_offset, row->records.bytes.len };
                        found++;
                }
        cr_assert_leq(found, 1);
        return found;
}

static int count_rows(const FetchResponse *response) {
        int count = 0;
        for (int32_t i = 0; i < response->responses_count; i++)
                count += response->responses[i].partitions_count;
        return count;
}

/* ---- what must hold */

/* The client takes the answer in, and then knows as much as a full answer would tell it. */
static void take(Client *client, const FetchResponse *response, bool is_full) {
        static Request request;
        int told = 0;
        request.count = request.forgotten_count = 0;
        for (int i = 0; i < client->count; i++)
                name_want(&request, &client->wants[i]);
        const FetchResponse *full = send(client, &request, 0, -1);
        for (int i = 0; i < client->count; i++) {
                Want *want = &client->wants[i];
                Row now, row;
                cr_assert(find_row(client, full, want, &now));
                if (!find_row(client, response, want, &row)) {
                        cr_assert(!is_full && want->is_told && !now.code && !now.record_bytes, "%s-%d is left out, seed %llu", names[want->name],
                                  want->partition, (unsigned long long)seed);
                        cr_assert(want->row.high_watermark == now.high_watermark && want->row.log_start_offset == now.log_start_offset);
                        continue;
                }
                told++;
                cr_assert(row.code == now.code && row.high_watermark == now.high_watermark && row.log_start_offset == now.log_start_offset &&
                          row.record_bytes == now.record_bytes, "%s-%d is told otherwise, seed %llu", names[want->name], want->partition,
                          (unsigned long long)seed);
                cr_assert(is_full || !want->is_told || row.code || row.record_bytes || want->row.code ||
                          row.high_watermark != want->row.high_watermark || row.log_start_offset != want->row.log_start_offset,
                          "%s-%d is no news, seed %llu", names[want->name], want->partition, (unsigned long long)seed);
                want->is_told = true;
                want->row = row;
        }
        cr_assert_eq(told, count_rows(response), "rows that nobody asked for");
}

/* ---- steps */

static Want random_want(const Client *client) {
        Want want = { .name = (int)random_below(TOPICS), .partition = (int32_t)random_below(PARTITIONS_MAX), .offset = random_below(12) };
        const Topic *topic = topic_find(fixture.state, str_of(names[want.name]));
        if (is_by_id(client))
                want.id = topic && random_below(5) ? topic->id : old_ids[want.name];
        return want;
}

static Want *find_want(Client *client, const Want *like) {
        for (int i = 0; i < client->count; i++)
                if (client->wants[i].name == like->name && client->wants[i].partition == like->partition &&
                    uuid_equal(&client->wants[i].id, &like->id))
                        return &client->wants[i];
        return NULL;
}

static void remember(Client *client, const Want *want) {
        Want *found = find_want(client, want);
        if (found)
                found->offset = want->offset;
        else if (client->count < WANTS)
                client->wants[client->count++] = *want;
}

static void drop(Client *client, const Want *want) {
        Want *found = find_want(client, want);
        if (found)
                *found = client->wants[--client->count];
}

static void open_session(Client *client) {
        static Request request;
        request.count = request.forgotten_count = client->count = 0;
        for (uint32_t n = 1 + random_below(8); n; n--) {
                Want want = random_want(client);
                if (!find_want(client, &want)) {
                        remember(client, &want);
                        name_want(&request, &want);
                }
        }
        const FetchResponse *response = send(client, &request, client->session, 0);
        cr_assert_eq(response->error_code, 0);
        client->session = response->session_id;
        client->epoch = 1;
        take(client, response, true);
}

static void lose(Client *client) {
        client->session = 0;
        client->count = 0;
}

static void go_on(Client *client) {
        static Request request;
        request.count = request.forgotten_count = 0;
        for (uint32_t n = random_below(4); n; n--) { /* perhaps a partition twice: the last word counts */
                Want want = client->count && random_below(2) ? client->wants[random_below((uint32_t)client->count)] : random_want(client);
                want.offset = random_below(12);
                want.is_told = false;
                remember(client, &want);
                name_want(&request, &want);
        }
        for (uint32_t n = random_below(3); n; n--) { /* perhaps one that was just named: forgetting comes last */
                Want want = client->count && random_below(4) ? client->wants[random_below((uint32_t)client->count)] : random_want(client);
                drop(client, &want);
                name_forgotten(&request, &want);
        }
        const FetchResponse *response = send(client, &request, client->session, client->epoch);
        if (response->error_code) {
                cr_assert_eq(response->error_code, KAFKA_FETCH_SESSION_ID_NOT_FOUND, "pushed out, or lost with the broker");
                lose(client);
                return;
        }
        cr_assert_eq(response->session_id, client->count ? client->session : 0);
        client->epoch++;
        if (client->count)
                take(client, response, false);
        else
                lose(client); /* an emptied session has ended, and what was named and forgotten at once is answered without it */
}

static void misuse(Client *client) {
        static Request request;
        static const int32_t steps[] = { -1, 1, 7 };
        request.count = request.forgotten_count = 0;
        Client stranger = *client;
        int32_t epoch = client->epoch + steps[random_below(3)], session = client->session;
        int16_t expected = KAFKA_INVALID_FETCH_SESSION_EPOCH;
        if (random_below(3) == 0) {
                epoch = client->epoch;
                stranger.version = is_by_id(client) ? 12 : 13;
                expected = KAFKA_FETCH_SESSION_TOPIC_ID_ERROR;
        } else if (random_below(2)) {
                session ^= 5;
                expected = KAFKA_FETCH_SESSION_ID_NOT_FOUND;
        }
        if (epoch <= 0)
                return;
        int16_t code = send(&stranger, &request, session, epoch)->error_code;
        cr_assert(code == expected || code == KAFKA_FETCH_SESSION_ID_NOT_FOUND, "%s, not %s", kafka_error_name(code), kafka_error_name(expected));
}

static void leave(Client *client) {
        static Request request;
        request.count = request.forgotten_count = 0;
        cr_assert_eq(send(client, &request, client->session, -1)->error_code, 0);
        lose(client);
}

static void change_topic(void) {
        int at = (int)random_below(TOPICS - 1);
        Topic *topic = topic_find(fixture.state, str_of(names[at]));
        if (!topic) {
                cr_assert_eq(state_fixture_create(&fixture, str_of(names[at]), 1 + (int32_t)random_below(3), &topic), 0);
        } else if (topic->partition_count < PARTITIONS_MAX && random_below(2)) {
                cr_assert_eq(topic_add_partitions(fixture.state, topic, topic->partition_count + 1), 0);
        } else {
                old_ids[at] = topic->id;
                cr_assert_eq(topic_delete(fixture.state, topic), 0);
        }
}

static Partition *random_partition(void) {
        return partition_find(fixture.state, str_of(names[random_below(TOPICS)]), (int32_t)random_below(PARTITIONS_MAX));
}

static void append(void) {
        Partition *partition = random_partition();
        Buffer bytes = make_batch(1 + (int)random_below(3), true);
        LogAppend result;
        if (partition)
                cr_assert_eq(partition_append_owned(fixture.state, partition, &bytes, LOG_ORIGIN_CLIENT, &result), 0);
        buffer_deinit(&bytes);
        state_commit(fixture.state);
}

static void delete_records(void) {
        Partition *partition = random_partition();
        if (partition)
                cr_assert_eq(partition_delete_records(fixture.state, partition, random_below((uint32_t)partition_high_watermark(partition) + 1)), 0);
}

static void step(void) {
        Client *client = &clients[random_below(CLIENTS)];
        uint32_t what = random_below(100);
        if (what < 50)
                client->session ? go_on(client) : open_session(client);
        else if (what < 60 && client->session)
                misuse(client);
        else if (what < 63)
                leave(client);
        else if (what < 66)
                open_session(client); /* ends the one that it has */
        else if (what < 74)
                change_topic();
        else if (what < 90)
                append();
        else if (what < 95)
                delete_records();
        else if (what < 99)
                state_fixture_advance(&fixture, random_below(100000));
        else
                state_fixture_reopen(&fixture);
}

Test(fetch_session_interleavings, a_session_knows_what_a_full_fetch_tells) {
        for (uint64_t run = 1; run <= SEEDS; run++) {
                seed = run * 0x9e3779b97f4a7c15;
                for (int i = 0; i < CLIENTS; i++) {
                        if (clients[i].session)
                                leave(&clients[i]);
                        clients[i] = (Client){ .version = i % 2 ? 12 : 13 + i };
                }
                for (int i = 0; i < STEPS; i++) {
                        int open = 0;
                        step();
                        for (int c = 0; c < CLIENTS; c++)
                                open += clients[c].session && fetch_session_find(fixture.state, clients[c].session, clients[c].epoch);
                        cr_assert_leq(open, SLOTS);
                }
        }
}

/* Sessions of long names that stand for nothing: refused before they take all memory, and the room is there again afterwards. */
Test(fetch_session_interleavings, memory_is_bounded) {
        static char name[30000];
        state_fixture_set(&fixture, "odradek.fetch.sessions.max.bytes", "1000000");
        state_fixture_reopen(&fixture);
        FetchSession *session = fetch_session_new(fixture.state, false, 1);
        FetchWant want = { .topic = { name, sizeof(name) } };
        int r = 0;
        memset(name, 'x', sizeof(name));
        cr_assert_not_null(session);
        while ((r = fetch_session_want(session, &want)) == 0)
                want.partition++;
        cr_assert_eq(r, -ENOSPC);
        cr_assert(want.partition > 20 && (size_t)want.partition * sizeof(name) <= 1000000);
        cr_assert_eq(fetch_session_want(session, &(FetchWant){ .topic = want.topic, .partition = 0 }), 0, "it is there already");
        fetch_session_remove(fixture.state, fetch_session_id(session));
        session = fetch_session_new(fixture.state, false, 1);
        cr_assert_eq(fetch_session_want(session, &want), 0);
}

Test(fetch_session_interleavings, partitions_are_bounded) {
        state_fixture_set(&fixture, "odradek.fetch.session.max.partitions", "2");
        state_fixture_reopen(&fixture);
        cr_assert_null(fetch_session_new(fixture.state, false, 3));
        FetchSession *session = fetch_session_new(fixture.state, false, 2);
        for (int32_t i = 0; i < 3; i++)
                cr_assert_eq(fetch_session_want(session, &(FetchWant){ .topic = STR("x"), .partition = i }), i < 2 ? 0 : -ENOSPC);
}
