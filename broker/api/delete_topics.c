/* DeleteTopics: v0-6
 * When the answer is out, the topic is gone. v4 is flexible; v5 adds messages; v6 names topics by name or by id. */
#include "broker/api/api.h"
#include "broker/api/names.h"

/* v6's form of a topic in any version. */
static DeleteTopicsRequestTopic wanted(const Call *call, int32_t i) {
        const DeleteTopicsRequest *request = call->request;
        if (call_version(call) >= 6)
                return request->topics[i];
        return (DeleteTopicsRequestTopic){ .name = request->topic_names[i] };
}

static int32_t wanted_count(const Call *call) {
        const DeleteTopicsRequest *request = call->request;
        return call_version(call) >= 6 ? request->topics_count : request->topic_names_count;
}

static void fail(DeleteTopicsResponseResponse *row, int16_t code, Str message) {
        row->error_code = code;
        row->error_message = message;
}

/* Both, or neither, of name and id: false, and the row says so. */
static bool check_form(const DeleteTopicsRequestTopic *want, DeleteTopicsResponseResponse *row) {
        bool has_name = !str_is_null(want->name), has_id = !uuid_is_zero(&want->topic_id);
        if (has_name && has_id)
                fail(row, KAFKA_INVALID_REQUEST, STR("You may not specify both topic name and topic id."));
        else if (!has_name && !has_id)
                fail(row, KAFKA_INVALID_REQUEST, STR("Neither topic name nor id were specified."));
        return has_name != has_id;
}

static void delete_one(Call *call, const DeleteTopicsRequestTopic *want, DeleteTopicsResponseResponse *row) {
        bool by_id = str_is_null(want->name);
        Topic *topic = by_id ? topic_find_id(call->state, &want->topic_id) : topic_find(call->state, want->name);
        if (!topic && by_id) {
                fail(row, KAFKA_UNKNOWN_TOPIC_ID, STR("This server does not host this topic ID."));
        } else if (!topic) {
                fail(row, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, STR("This server does not host this topic-partition."));
        } else {
                row->name = arena_str(&call->arena, str_of(topic->name));
                row->topic_id = topic->id;
                fail(row, call_code(call, topic_delete(call->state, topic)), STR_NULL);
        }
}

static Str key_of(const DeleteTopicsRequestTopic *want, const DeleteTopicsRequestTopic *stored) {
        return str_is_null(want->name) ? uuid_key(&stored->topic_id) : want->name;
}

/* Counts the forms that are right; the ids' bytes are those of the request. */
static bool count_names(Call *call, Names *names) {
        const DeleteTopicsRequest *request = call->request;
        for (int32_t i = 0; i < wanted_count(call); i++) {
                DeleteTopicsRequestTopic want = wanted(call, i);
                DeleteTopicsResponseResponse unused;
                if (check_form(&want, &unused) && !names_add(names, key_of(&want, request->topics ? &request->topics[i] : NULL)))
                        return false;
        }
        return true;
}

/* Whether the topic is given by its name and by its id; then the row of the name says so, and the id has none. */
static bool is_named_twice(Call *call, const Names *names, const DeleteTopicsRequestTopic *want, DeleteTopicsResponseResponse *row) {
        bool by_id = str_is_null(want->name);
        const Topic *topic = by_id ? topic_find_id(call->state, &want->topic_id) : topic_find(call->state, want->name);
        if (!topic || names_count(names, by_id ? str_of(topic->name) : uuid_key(&topic->id)) == 0)
                return false;
        if (by_id && names_count(names, str_of(topic->name)) > 1)
                return false; /* the name is refused already */
        if (!by_id) {
                row->topic_id = topic->id;
                fail(row, KAFKA_INVALID_REQUEST, STR("The provided topic name maps to an ID that was already supplied."));
        }
        return true;
}

static void answer(Call *call, Names *names, int32_t i, DeleteTopicsResponse *response) {
        const DeleteTopicsRequest *request = call->request;
        DeleteTopicsRequestTopic want = wanted(call, i);
        DeleteTopicsResponseResponse *row = &response->responses[response->responses_count];
        row->name = want.name;
        row->topic_id = want.topic_id;
        if (check_form(&want, row)) {
                Str key = key_of(&want, request->topics ? &request->topics[i] : NULL);
                if (!names_take(names, key))
                        return;
                if (names_count(names, key) > 1)
                        fail(row, KAFKA_INVALID_REQUEST, str_is_null(want.name) ? STR("Duplicate topic id.")
                                                                                : STR("Duplicate topic name."));
                else if (!is_named_twice(call, names, &want, row))
                        delete_one(call, &want, row);
                else if (!row->error_code)
                        return;
        }
        response->responses_count++;
}

static void refuse_all(Call *call, int16_t code, Str message, DeleteTopicsResponse *response) {
        for (int32_t i = 0; i < wanted_count(call); i++) {
                DeleteTopicsRequestTopic want = wanted(call, i);
                DeleteTopicsResponseResponse *row = &response->responses[response->responses_count++];
                row->name = want.name;
                row->topic_id = want.topic_id;
                fail(row, code, message);
        }
}

void api_delete_topics(Call *call) {
        const DeleteTopicsRequest *request = call->request;
        DeleteTopicsResponse response = DeleteTopicsResponse_INIT;
        response.responses = call_array(call, DeleteTopicsResponseResponse, wanted_count(call));
        Names names;
        names_init(&names, call);
        bool ok = response.responses && count_names(call, &names);
        if (ok && !config_bool(call->state->config, "delete.topic.enable"))
                refuse_all(call, call_version(call) < 3 ? KAFKA_INVALID_REQUEST : KAFKA_TOPIC_DELETION_DISABLED,
                           STR("Topic deletion is disabled."), &response);
        else if (ok && request->timeout_ms <= 0 && names_any_once(&names)) /* Kafka's controller takes it for one that came too late */
                refuse_all(call, KAFKA_REQUEST_TIMED_OUT, STR_NULL, &response);
        else
                for (int32_t i = 0; ok && i < wanted_count(call); i++)
                        answer(call, &names, i, &response);
        names_deinit(&names);
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
