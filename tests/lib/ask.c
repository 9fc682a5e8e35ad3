/* The life of a call, without net. */
#include "tests/lib/ask.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct Asked {
        Api api;
        Call call;
        Listener listener;
        char *bytes; /* of the request */
};

Asked *ask_start(State *state, const MessageSchema *request, const MessageSchema *response, void (*handle)(Call *call),
                 int16_t version, const void *body) {
        Asked *asked = calloc(1, sizeof(*asked));
        Reply bytes = REPLY_INIT;
        cr_assert(asked);
        asked->api = (Api){ request, response, handle };
        asked->listener = (Listener){ .host = "127.0.0.1", .port = 9092, .advertised_host = "me", .advertised_port = 1234 };
        asked->call = (Call){ .state = state, .api = &asked->api, .header.api_version = version, .header.client_id = STR("client"),
                              .client_host = "/127.0.0.1", .listener = &asked->listener };
        cr_assert_eq(codec_encode(request, version, body, &bytes), 0);
        Str slice = { str_dup((Str){ (char *)bytes.bytes.data, bytes.bytes.size }), bytes.bytes.size };
        asked->bytes = (char *)(uintptr_t)slice.data;
        reply_deinit(&bytes);
        asked->call.request = arena_alloc(&asked->call.arena, request->body->size);
        cr_assert_eq(codec_decode(request, version, slice, &asked->call.arena, asked->call.request, NULL), 0);
        asked->call.arena.cap_bytes = asked->call.arena.used_bytes + state->request_memory_max;
        handle(&asked->call);
        return asked;
}

bool asked_is_done(const Asked *asked) {
        return asked->call.is_done;
}

bool asked_is_closed(const Asked *asked) {
        return asked->call.is_done && asked->call.close;
}

size_t asked_arena_bytes(const Asked *asked) {
        return asked->call.arena.used_bytes;
}

void asked_drop(Asked *asked) {
        call_deinit(&asked->call);
        free(asked->bytes);
        free(asked);
}

/* With the pieces of files in their places. */
static Buffer flatten(const Reply *reply) {
        Buffer out = BUFFER_INIT;
        size_t at = 0;
        for (int32_t i = 0; i < reply->span_count; at = reply->spans[i++].at) {
                buffer_append(&out, reply->bytes.data + at, reply->spans[i].at - at);
                cr_assert_eq(file_span_copy(&reply->spans[i].span, &out), 0);
        }
        buffer_append(&out, reply->bytes.data + at, reply->bytes.size - at);
        return out;
}

void *asked_end(Asked *asked) {
        static Arena answers; /* with the test's process */
        const Call *call = &asked->call;
        const MessageSchema *response = asked->api.response;
        size_t head = message_is_flexible(response, call_version(call)) && response != &ApiVersionsResponse_message ? 9 : 8, used;
        cr_assert(call->is_done && !call->close && !call->no_reply);
        Buffer bytes = flatten(&call->reply);
        Str reply = arena_str(&answers, (Str){ (char *)bytes.data + head, bytes.size - head });
        buffer_deinit(&bytes);
        void *answer = arena_alloc(&answers, response->body->size);
        cr_assert_eq(codec_decode(response, call_version(call), reply, &answers, answer, &used), 0);
        cr_assert_eq(used, reply.len);
        asked_drop(asked);
        return answer;
}

void *ask(State *state, const MessageSchema *request, const MessageSchema *response, void (*handle)(Call *call), int16_t version,
          const void *body) {
        Asked *asked = ask_start(state, request, response, handle, version, body);
        if (!asked_is_done(asked))
                state_commit(state);
        if (!asked_is_done(asked))
                state_drain(state); /* what it rests on is on its way to the disk */
        return asked_end(asked);
}
