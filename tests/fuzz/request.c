/* The whole dispatch: frames of several clients, the end of turns, the clock, crashes, disks that fill up. Whatever comes, each answer
 * decodes as what was asked for, memory stays within bounds, and the directory opens again.
 *
 * An input is a row of steps, one byte each with what they need behind it. Every input has a state of its own, on which nothing
 * is random but ids. Jobs of other threads run where a step says so. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/endian.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "tests/fuzz/request_maker.h"

#define NOW 1700000000000
#define STEPS_MAX 64
#define CLIENTS 4
#define REPLY_BYTES_MAX (256u << 20)
#define DIRECTORIES_MAX 64 /* then the disk is full: a request may ask for thousands of partitions */

typedef struct Client {
        CallClient client;
        Call call;
        bool is_waiting;
        uint8_t *frame; /* of a Produce: until the turn in which it was done or dropped has ended, as net keeps it */
} Client;

static char dir[64];
static Config config;
static State *state;
static Client clients[CLIENTS];
static Maker maker;
static Listener listener = { .host = "127.0.0.1", .port = 9092, .advertised_host = "localhost" };
static uint8_t *retired[STEPS_MAX + CLIENTS];
static int retired_count;
static bool disk_is_full, disk_was_full;
static int directories;

/* In the place of storage/base/trace.c: what is wrong with made-up requests is of interest to nobody. */
TraceLevel trace_level = TRACE_ERROR;

void trace_line(TraceLevel level, const char *format, ...) {
        if (!getenv("FUZZ_TRACE"))
                return;
        va_list args;
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
}

static int sync_nothing(int fd) {
        return 0;
}

static int reserve_nothing(int fd, int mode, off_t position, off_t size) {
        errno = EOPNOTSUPP;
        return -1;
}

static ssize_t write_or_refuse(int fd, const struct iovec *parts, int count, off_t position) {
        if (!disk_is_full)
                return FILE_OPS_SYSTEM.pwritev(fd, parts, count, position);
        disk_was_full = true;
        errno = ENOSPC;
        return -1;
}

static int make_or_refuse(const char *path, mode_t mode) {
        if (!disk_is_full && directories++ < DIRECTORIES_MAX)
                return FILE_OPS_SYSTEM.mkdir(path, mode);
        disk_was_full = true;
        errno = ENOSPC;
        return -1;
}

static void set(const char *name, const char *value) {
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_BROKER, str_of(name));
        FUZZ_CHECK(key && config_map_set(&config.broker, key, str_of(value), CONFIG_SOURCE_STATIC_BROKER) == 0);
}

static void open_state(int64_t now_ms, int64_t mono_ms) {
        disk_is_full = false;
        directories = 0;
        FUZZ_CHECK(state_open(&config, now_ms, mono_ms, &state) == 0);
        maker.state = state;
}

static void start(void) {
        file_ops = FILE_OPS_SYSTEM;
        file_ops.fsync = file_ops.fdatasync = sync_nothing;
        file_ops.fallocate = reserve_nothing;
        file_ops.pwritev = write_or_refuse;
        file_ops.mkdir = make_or_refuse;
        snprintf(dir, sizeof(dir), "%s/odradek-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        FUZZ_CHECK(mkdtemp(dir));
        config = (Config){ .data_dir = dir };
        set("offsets.topic.num.partitions", "2");
        set("transaction.state.log.num.partitions", "2");
        set("group.initial.rebalance.delay.ms", "0");
        open_state(NOW, 1000);
        ConfigMap compact = CONFIG_MAP_INIT;
        FUZZ_CHECK(config_map_set(&compact, config_find_key(CONFIG_RESOURCE_TOPIC, STR("cleanup.policy")), STR("compact"),
                                  CONFIG_SOURCE_TOPIC) == 0);
        FUZZ_CHECK(topic_create(state, STR("t"), 2, &CONFIG_MAP_INIT, NULL) == 0);
        FUZZ_CHECK(topic_create(state, STR("c"), 1, &compact, NULL) == 0);
        config_map_deinit(&compact);
        for (int i = 0; i < CLIENTS; i++)
                call_client_init(&clients[i].client, 40000 + i);
}

/* The answer's bytes without those of its header. */
static Str answer_bytes(Call *call, Buffer *bytes) {
        size_t at = 0;
        for (int32_t i = 0; i < call->reply.span_count; i++) {
                const ReplySpan *span = &call->reply.spans[i];
                buffer_append(bytes, call->reply.bytes.data + at, span->at - at);
                at = span->at;
                FUZZ_CHECK(file_span_copy(&span->span, bytes) == 0);
        }
        buffer_append(bytes, call->reply.bytes.data + at, call->reply.bytes.size - at);
        bool has_tags = message_is_flexible(call->api->response, call_version(call)) && call->api->response != &ApiVersionsResponse_message;
        size_t head = has_tags ? 9 : 8;
        FUZZ_CHECK(bytes->size >= head && load_be32(bytes->data) == bytes->size - 4);
        FUZZ_CHECK(load_be32(bytes->data + 4) == (uint32_t)call->header.correlation_id);
        return (Str){ (char *)bytes->data + head, bytes->size - head };
}

static void check_answer(Call *call) {
        const MessageSchema *response = call->api->response;
        Arena arena = ARENA_INIT(0);
        Buffer bytes = BUFFER_INIT;
        Str body = answer_bytes(call, &bytes);
        size_t used;
        void *value = arena_alloc(&arena, response->body->size);
        FUZZ_CHECK(value && body.len <= REPLY_BYTES_MAX);
        FUZZ_CHECK(codec_decode(response, call_version(call), body, &arena, value, &used) == 0 && used == body.len);
        maker_learn(&maker, response, value);
        buffer_deinit(&bytes);
        arena_deinit(&arena);
}

static void end_call(Client *client) {
        client->is_waiting = false;
        call_reset(&client->call);
        if (client->frame)
                retired[retired_count++] = client->frame;
        client->frame = NULL;
}

static void free_retired(void) {
        while (retired_count > 0)
                free(retired[--retired_count]);
}

static void leave(Client *client) {
        end_call(client);
        int32_t port = client->client.port;
        call_client_deinit(&client->client, state);
        call_client_init(&client->client, port);
}

static void end_turn(void) {
        state_commit(state);
        for (int i = 0; i < CLIENTS; i++) {
                Client *client = &clients[i];
                if (!client->is_waiting || !client->call.is_done)
                        continue;
                if (!client->call.close && !client->call.no_reply)
                        check_answer(&client->call);
                if (client->call.close)
                        leave(client);
                else
                        end_call(client);
        }
        state_commit(state); /* of what a cancelled call led to */
        free_retired();
}

/* A client with a request in flight waits for the turn's end, then for the disk, or gives up. The frame is freed as early as net would. */
static void dispatch(Client *client, const uint8_t *bytes, size_t size) {
        if (client->is_waiting)
                end_turn();
        if (client->is_waiting) {
                state_drain(state);
                end_turn();
        }
        if (client->is_waiting)
                leave(client);
        client->frame = malloc(size ? size : 1);
        FUZZ_CHECK(client->frame);
        memcpy(client->frame, bytes, size);
        client->call.state = state;
        client->call.client_host = "/127.0.0.1";
        client->call.client = &client->client;
        client->call.listener = &listener;
        client->is_waiting = true;
        bool is_produce = api_can_pipeline((Str){ (char *)client->frame, size });
        DispatchResult result = api_dispatch(&client->call, client->frame, size);
        if (!is_produce) {
                free(client->frame);
                client->frame = NULL;
        }
        FUZZ_CHECK(client->call.arena.used_bytes <= REPLY_BYTES_MAX);
        if (result == DISPATCH_CLOSE)
                leave(client);
        else
                FUZZ_CHECK((result == DISPATCH_DONE) == client->call.is_done);
}

static void made_request(Client *client, bool damage) {
        const Api *api = &api_table[maker_byte(&maker) % api_count];
        const MessageSchema *request = api->request;
        Arena arena = ARENA_INIT(0);
        Reply frame = REPLY_INIT;
        maker.arena = &arena;
        maker.version = (int16_t)(request->version_min + maker_byte(&maker) % (request->version_max - request->version_min + 1));
        RequestHeader header = { request->key, maker.version, 7, STR("client") };
        void *value = arena_alloc(&arena, request->body->size);
        FUZZ_CHECK(value);
        maker_fill(&maker, request->body, value);
        codec_encode_request_header(&header, message_is_flexible(request, maker.version), &frame.bytes);
        FUZZ_CHECK(codec_encode(request, maker.version, value, &frame) == 0);
        size_t size = frame.bytes.size;
        if (damage) {
                size_t at = (size_t)maker_byte(&maker) << 8 | maker_byte(&maker);
                uint8_t how = maker_byte(&maker);
                if (how == 0)
                        size = at % size;
                else
                        frame.bytes.data[at % size] ^= how;
        }
        dispatch(client, frame.bytes.data, size);
        reply_deinit(&frame);
        arena_deinit(&arena);
}

static void raw_request(Client *client) {
        size_t size = (size_t)maker_byte(&maker) << 8 | maker_byte(&maker);
        size_t left = (size_t)(maker.end - maker.at);
        size = size < left ? size : left;
        const uint8_t *bytes = maker.at;
        maker.at += size;
        dispatch(client, bytes, size);
}

static void advance(int64_t ms) {
        int64_t end_ms = state->mono_ms + ms;
        for (int fired = 0; fired < 1000; fired++) {
                int64_t due_ms = state_next_timer_ms(state);
                if (due_ms < 0 || due_ms > end_ms)
                        break;
                if (due_ms > state->mono_ms) {
                        state->now_ms += due_ms - state->mono_ms;
                        state->mono_ms = due_ms;
                }
                state_run_timers(state);
                end_turn();
        }
        state->now_ms += end_ms - state->mono_ms;
        state->mono_ms = end_ms;
}

/* A crash keeps what was written; the clock goes on. */
static void reopen(bool crash) {
        int64_t now_ms = state->now_ms, mono_ms = state->mono_ms;
        for (int i = 0; i < CLIENTS; i++)
                leave(&clients[i]);
        if (crash) {
                state_commit(state);
                free_retired();
                state_abandon(state);
        } else {
                disk_is_full = false;
                FUZZ_CHECK(state_close(state) == 0 || disk_was_full);
        }
        open_state(now_ms, mono_ms);
}

static void step(void) {
        static const int64_t waits_ms[] = { 1, 100, 1000, 10000, 60000, 600000, 3600000, 90000000 };
        uint8_t what = maker_byte(&maker);
        Client *client = &clients[what >> 4 & 3];
        switch (what & 15) {
        default: /* most */
                made_request(client, false);
                return;
        case 7:
                made_request(client, true);
                return;
        case 8:
                raw_request(client);
                return;
        case 9:
                end_turn();
                return;
        case 10:
                state_drain(state);
                end_turn();
                return;
        case 11:
                leave(client);
                return;
        case 12:
        case 13:
                advance(waits_ms[what >> 4 & 7]);
                return;
        case 14:
                disk_is_full = what >> 4 & 1;
                return;
        case 15:
                reopen(what >> 4 & 1);
        }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk) {
        return remove(path);
}

static void finish(void) {
        end_turn();
        for (int i = 0; i < CLIENTS; i++) {
                end_call(&clients[i]);
                call_deinit(&clients[i].call);
                call_client_deinit(&clients[i].client, state);
        }
        disk_is_full = false;
        FUZZ_CHECK(state_close(state) == 0 || disk_was_full);
        free_retired();
        config_map_deinit(&config.broker);
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        maker = (Maker){ .at = data, .end = data + size, .producer_id = -1, .producer_epoch = -1, .generation = -1 };
        disk_was_full = false;
        start();
        for (int steps = 0; steps < STEPS_MAX && maker.at < maker.end && !state->failed; steps++)
                step();
        finish();
        return 0;
}
