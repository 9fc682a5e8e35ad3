/* The plain, blocking side; the pump has the quick one. */
#include "tools/loadgen/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storage/base/endian.h"
#include "tools/loadgen/common.h"

int client_try_connect(const Options *options) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)options->port) };
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                die("no socket: %m");
        if (inet_pton(AF_INET, options->host, &address.sin_addr) != 1)
                die("%s is no IPv4 address", options->host);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
                close(fd);
                return -1;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        return fd;
}

int client_connect(const Options *options) {
        int fd = client_try_connect(options);
        if (fd < 0)
                die("cannot connect to %s:%d: %m", options->host, (int)options->port);
        return fd;
}

void frame_append(Buffer *out, const MessageSchema *request, int16_t version, int32_t correlation_id, const void *value) {
        RequestHeader header = { .api_key = request->key, .api_version = version, .correlation_id = correlation_id,
                                 .client_id = STR("loadgen") };
        Reply message = REPLY_INIT;
        codec_encode_request_header(&header, message_is_flexible(request, version), &message.bytes);
        uint8_t length[4];
        if (codec_encode(request, version, value, &message) != 0 || message.bytes.failed)
                die("out of memory");
        store_be32(length, (uint32_t)message.bytes.size);
        buffer_append(out, length, sizeof(length));
        buffer_append(out, message.bytes.data, message.bytes.size);
        if (out->failed)
                die("out of memory");
        reply_deinit(&message);
}

void frame_decode(const MessageSchema *response, int16_t version, const uint8_t *frame, size_t size, Arena *arena, void *ret_value) {
        bool has_tags = message_is_flexible(response, version) && response != &ApiVersionsResponse_message;
        size_t head = has_tags ? 5 : 4, used;
        if (size < head)
                die("%s: an answer of %zu bytes", response->name, size);
        Str body = { .data = (const char *)frame + head, .len = size - head };
        if (codec_decode(response, version, body, arena, ret_value, &used) != 0 || used != body.len)
                die("%s v%d: the answer does not decode", response->name, version);
}

bool client_send_all(int fd, const void *data, size_t size) {
        for (size_t at = 0; at < size;) {
                ssize_t n = send(fd, (const uint8_t *)data + at, size - at, MSG_NOSIGNAL);
                if (n <= 0)
                        return false;
                at += (size_t)n;
        }
        return true;
}

bool client_receive_all(int fd, void *data, size_t size) {
        for (size_t at = 0; at < size;) {
                ssize_t n = recv(fd, (uint8_t *)data + at, size - at, MSG_WAITALL);
                if (n <= 0)
                        return false;
                at += (size_t)n;
        }
        return true;
}

bool client_call(int fd, const MessageSchema *request, const MessageSchema *response, int16_t version, const void *value, Arena *arena,
                 void *ret_value) {
        Buffer out = BUFFER_INIT;
        uint8_t length[4];
        frame_append(&out, request, version, 0, value);
        bool ok = client_send_all(fd, out.data, out.size) && client_receive_all(fd, length, sizeof(length));
        buffer_deinit(&out);
        if (!ok)
                return false;
        size_t size = load_be32(length);
        uint8_t *frame = arena_alloc(arena, size);
        if (!frame)
                die("out of memory");
        if (!client_receive_all(fd, frame, size))
                return false;
        frame_decode(response, version, frame, size, arena, ret_value);
        return true;
}

Str topic_name(const Options *options, int64_t index, char name[static 256]) {
        if (options->topics == 1)
                return str_of(options->topic);
        snprintf(name, 256, "%s-%05d", options->topic, (int)index);
        return str_of(name);
}

Buffer fetch_frame(const Options *options, Str topic_, int32_t partition_, int32_t wait_ms, size_t *ret_offset_at) {
        static const uint8_t mark[8] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x08 };
        FetchRequestPartition partition = FetchRequestPartition_INIT;
        partition.partition = partition_;
        partition.fetch_offset = (int64_t)load_be64(mark);
        partition.partition_max_bytes = (int32_t)options->bytes;
        FetchRequestTopic topic = FetchRequestTopic_INIT;
        topic.topic = topic_;
        topic.partitions = &partition;
        topic.partitions_count = 1;
        FetchRequest request = FetchRequest_INIT;
        request.max_wait_ms = wait_ms;
        request.min_bytes = 1;
        request.max_bytes = (int32_t)options->bytes;
        request.topics = &topic;
        request.topics_count = 1;
        Buffer out = BUFFER_INIT;
        frame_append(&out, &FetchRequest_message, FETCH_VERSION, 0, &request);
        *ret_offset_at = (size_t)((uint8_t *)memmem(out.data, out.size, mark, sizeof(mark)) - out.data);
        store_be64(out.data + *ret_offset_at, 0);
        return out;
}
