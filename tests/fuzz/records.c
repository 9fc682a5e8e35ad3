/* Records of the internal topics as a log may hold them, in a batch with the right checksum: byte 0 chooses metadata, offsets, or
 * transactions, byte 1 the batch's attributes; then keys and values, each behind its length in two bytes (0xffff: null). */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/state/groups/groups.h"
#include "broker/state/metadata/metadata.h"
#include "broker/state/transactions/transactions.h"
#include "storage/base/endian.h"
#include "storage/base/trace.h"
#include "storage/batch.h"
#include "tests/fuzz/files.h"
#include "tests/fuzz/life.h"

#define NOW INT64_C(1700000000000)
#define SETTINGS_BYTES 2
#define RECORDS_MAX 100
#define PRODUCER_ID 1000
#define NULL_LENGTH 0xffff

static const char *const logs[] = { TOPIC_NAME_METADATA, TOPIC_NAME_OFFSETS, TOPIC_NAME_TRANSACTIONS };
#define LOGS (sizeof(logs) / sizeof(logs[0]))

static Buffer packed_template; /* of a directory as a crash leaves it */
static int64_t end_offsets[LOGS];

static void set(Config *config, const char *name, const char *value) {
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_BROKER, str_of(name));
        FUZZ_CHECK(key && config_map_set(&config->broker, key, str_of(value), CONFIG_SOURCE_STATIC_BROKER) == 0);
}

static void log_name(const char *dir, size_t i, char path[static FILES_PATH_MAX]) {
        FUZZ_CHECK(snprintf(path, FILES_PATH_MAX, "%s/%s-0/00000000000000000000.log", dir, logs[i]) < FILES_PATH_MAX);
}

static int64_t end_of(const char *path) {
        uint8_t data[16384];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t size = read(fd, data, sizeof(data));
        BatchHeader header = { .base_offset = -1 };
        FUZZ_CHECK(size >= 0 && size < (ssize_t)sizeof(data));
        for (size_t at = 0; at < (size_t)size; at += batch_size(&header))
                FUZZ_CHECK(batch_read_header(data + at, (size_t)size - at, &header) == 0);
        close(fd);
        return batch_next_offset(&header);
}

/* A topic, and both internal ones. */
static void make_template(char *dir) {
        Config config = { .data_dir = dir };
        State *state;
        char path[FILES_PATH_MAX];
        set(&config, "offsets.topic.num.partitions", "1");
        set(&config, "transaction.state.log.num.partitions", "1");
        FUZZ_CHECK(state_open(&config, NOW, 1000, &state) == 0);
        FUZZ_CHECK(topic_create(state, STR("events"), 2, &CONFIG_MAP_INIT, NULL) == 0);
        FUZZ_CHECK(groups_ensure_topic(state) == 0 && transactions_ensure_topic(state) == 0);
        state_drain(state);
        state_abandon(state);
        config_map_deinit(&config.broker);
        files_pack(dir, &packed_template);
        for (size_t i = 0; i < LOGS; i++) {
                log_name(dir, i, path);
                end_offsets[i] = end_of(path);
        }
}

/* The next key or value; false at the end. */
static bool next_part(const uint8_t **at, const uint8_t *end, Str *ret_part) {
        if (end - *at < 2)
                return false;
        size_t length = load_be16(*at), left = (size_t)(end - *at - 2);
        *at += 2;
        *ret_part = STR_NULL;
        if (length == NULL_LENGTH)
                return true;
        length = length < left ? length : left;
        *ret_part = (Str){ (const char *)*at, length };
        *at += length;
        return true;
}

static void append_batch(const char *path, int64_t base_offset, int32_t epoch, int16_t attributes, const uint8_t *data, size_t size) {
        const uint8_t *at = data, *end = data + size;
        BatchBuilder builder;
        Str key, value;
        bool transactional = attributes & BATCH_TRANSACTIONAL;
        batch_builder_init(&builder, attributes & (BATCH_TRANSACTIONAL | BATCH_CONTROL), transactional ? PRODUCER_ID : -1,
                           transactional ? 0 : -1, -1);
        for (int i = 0; i < RECORDS_MAX && next_part(&at, end, &key) && next_part(&at, end, &value); i++)
                batch_builder_add(&builder, NOW, key, value, NULL, 0);
        if (batch_builder_finish(&builder, 0) == 0) {
                int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
                batch_set_base_offset(builder.out.data, base_offset);
                batch_set_leader_epoch(builder.out.data, epoch);
                FUZZ_CHECK(write(fd, builder.out.data, builder.out.size) == (ssize_t)builder.out.size);
                close(fd);
        }
        batch_builder_deinit(&builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char dir[FILES_PATH_MAX], path[FILES_PATH_MAX];
        if (size <= SETTINGS_BYTES)
                return 0;
        trace_level = TRACE_NONE;
        snprintf(dir, sizeof(dir), "%s/data", files_root());
        if (!packed_template.size) {
                mkdir(dir, 0755);
                make_template(dir);
        }
        size_t i = data[0] % LOGS;
        files_unpack(dir, packed_template.data, packed_template.size, false);
        log_name(dir, i, path);
        append_batch(path, end_offsets[i], i == 0 ? METADATA_LEADER_EPOCH : 0, data[1], data + SETTINGS_BYTES, size - SETTINGS_BYTES);
        life_lead(dir, true);
        return 0;
}
