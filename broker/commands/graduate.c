/* odradek graduate: Apache Kafka takes over the directory.
 *
 * An ordinary start and stop leaves everything recovered and on disk. What Kafka has beside that, and would have to make with a
 * warning, is added; then the properties with which it runs here are printed. */
#include "broker/commands/commands.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/state/state.h"
#include "storage/base/file.h"
#include "storage/base/time.h"
#include "storage/base/trace.h"
#include "storage/checkpoint.h"

#define CONTROLLER_PORT_STEP 1 /* above the broker's */

/* What Kafka's own KRaft log has as its topic's id. */
static const Uuid metadata_topic_id = { .bytes = { [15] = 1 } };

static int add_text(const char *dir, const char *name, const char *text) {
        char path[PATH_MAX];
        int64_t size;
        if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        int r = file_stat(path, &size, NULL);
        return r == -ENOENT ? checkpoint_write_text(dir, name, str_of(text)) : r;
}

/* A log that was never written has no indexes, and no epochs. */
static int add_files(const char *dir, int64_t base_offset, const Uuid *topic_id) {
        char name[64];
        Uuid id;
        int r = checkpoint_read_partition_metadata(dir, &id);
        if (r == -ENOENT)
                r = checkpoint_write_partition_metadata(dir, topic_id, true);
        if (r == 0)
                r = add_text(dir, "leader-epoch-checkpoint", "0\n0\n");
        snprintf(name, sizeof(name), "%020lld.index", (long long)base_offset);
        if (r == 0)
                r = add_text(dir, name, "");
        snprintf(name, sizeof(name), "%020lld.timeindex", (long long)base_offset);
        return r ? r : add_text(dir, name, "");
}

/* Every partition has to be sound: Kafka would stop serving the directory, or lose what lies behind the damage. */
static int add_partitions(const State *state) {
        HASHMAP_FOREACH(&state->topics, node) {
                const Topic *topic = container_of(node, Topic, by_name);
                for (int32_t i = 0; i < topic->partition_count; i++) {
                        const Log *log = topic->partitions[i]->log;
                        int r = log ? add_files(log_path(log), log_active_offset(log), &topic->id) : -EUCLEAN;
                        if (r == 0)
                                continue;
                        trace_error("%s-%d cannot be handed over: %s", topic->name, i,
                                    r == -EUCLEAN ? "it is damaged; odradek check says more, odradek repair cuts it" : strerror(-r));
                        return r;
                }
        }
        return 0;
}

static int add_metadata(const State *state) {
        char path[PATH_MAX];
        Uuid id;
        if (snprintf(path, sizeof(path), "%s/" TOPIC_NAME_METADATA "-0", state->config->data_dir) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        int r = checkpoint_read_partition_metadata(path, &id);
        return r == -ENOENT ? checkpoint_write_partition_metadata(path, &metadata_topic_id, true) : r;
}

static int partition_count(const State *state, const char *name) {
        const Topic *topic = topic_find(state, str_of(name));
        return topic ? topic->partition_count : 0;
}

/* Keys that say where the broker runs are written anew. */
static bool is_place(const char *name) {
        static const char *const names[] = { "log.dir", "log.dirs", "node.id", "broker.id", "listeners", "advertised.listeners", "process.roles",
                                             "controller.quorum.voters", "controller.listener.names", "listener.security.protocol.map",
                                             "offsets.topic.num.partitions", "transaction.state.log.num.partitions" };
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return false;
}

/* Takes a character of several bytes off the text, or else one byte, which UTF-8 does not know or which is ASCII. */
static unsigned next_code(const unsigned char **text) {
        static const unsigned least[] = { 0, 0x80, 0x800, 0x10000 };
        unsigned first = *(*text)++;
        int more = first >= 0xf0 && first < 0xf5 ? 3 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xc2 && first < 0xe0 ? 1 : 0;
        unsigned code = more ? first & 0x3fU >> more : first;
        for (int i = 0; i < more; i++) {
                if (((*text)[i] & 0xc0) != 0x80)
                        return first;
                code = code << 6 | ((*text)[i] & 0x3fU);
        }
        if (code < least[more] || code > 0x10ffff || (more == 2 && code >> 11 == 0xd800 >> 11))
                return first;
        *text += more;
        return code;
}

/* As the properties of Java write a value, whose reader takes each byte for a character of its own: a backslash, a blank at the beginning, and
 * what is no printable ASCII, are escaped. */
static void print_value(FILE *out, const char *value) {
        if (*value == ' ')
                fputc('\\', out);
        for (const unsigned char *at = (const unsigned char *)value; *at;) {
                unsigned code = next_code(&at);
                if (code == '\\')
                        fputs("\\\\", out);
                else if (code >= 0x20 && code < 0x7f)
                        fputc((int)code, out);
                else if (code < 0x10000)
                        fprintf(out, "\\u%04x", code);
                else
                        fprintf(out, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10), 0xdc00 | (code & 0x3ff));
        }
        fputc('\n', out);
}

static void print_place(const State *state, FILE *out) {
        const Config *config = state->config;
        int port = config->listeners[0].port ? config->listeners[0].port : 9092, controller = port + CONTROLLER_PORT_STEP;
        fprintf(out, "process.roles=broker,controller\nnode.id=%d\nlog.dirs=", state->node_id);
        print_value(out, config->data_dir);
        fprintf(out, "listeners=");
        for (int32_t i = 0; i < config->listener_count; i++) {
                const Listener *listener = &config->listeners[i];
                fprintf(out, strchr(listener->host, ':') ? "PLAINTEXT%.*d://[%s]:%d," : "PLAINTEXT%.*d://%s:%d,", i ? 1 : 0, i, listener->host,
                        listener->port ? listener->port : port);
        }
        fprintf(out, "CONTROLLER://localhost:%d\nlistener.security.protocol.map=CONTROLLER:PLAINTEXT", controller);
        for (int32_t i = 0; i < config->listener_count; i++)
                fprintf(out, ",PLAINTEXT%.*d:PLAINTEXT", i ? 1 : 0, i);
        fprintf(out, "\ninter.broker.listener.name=PLAINTEXT\ncontroller.listener.names=CONTROLLER\ncontroller.quorum.voters=%d@localhost:%d\n",
                state->node_id, controller);
}

static void print_properties(const State *state, FILE *out) {
        static const char *const ones[] = { "offsets.topic.replication.factor", "transaction.state.log.replication.factor",
                                            "transaction.state.log.min.isr", "share.coordinator.state.topic.replication.factor",
                                            "share.coordinator.state.topic.min.isr" };
        int offsets = partition_count(state, TOPIC_NAME_OFFSETS), transactions = partition_count(state, TOPIC_NAME_TRANSACTIONS);
        print_place(state, out);
        for (size_t i = 0; i < sizeof(ones) / sizeof(ones[0]); i++)
                fprintf(out, "%s=1\n", ones[i]);
        if (offsets)
                fprintf(out, "offsets.topic.num.partitions=%d\n", offsets);
        if (transactions)
                fprintf(out, "transaction.state.log.num.partitions=%d\n", transactions);
        for (int32_t i = 0; i < state->config->broker.count; i++) {
                const ConfigEntry *entry = &state->config->broker.entries[i];
                bool repeated = is_place(entry->key->name);
                for (size_t k = 0; k < sizeof(ones) / sizeof(ones[0]); k++)
                        repeated = repeated || strcmp(entry->key->name, ones[k]) == 0;
                if (entry->source != CONFIG_SOURCE_STATIC_BROKER || repeated)
                        continue;
                fprintf(out, "%s=", entry->key->name);
                print_value(out, entry->value);
        }
}

static int hand_over(Config *config, FILE *out) {
        State *state = NULL;
        int r = state_open(config, time_wall_ms(), time_monotonic_ms(), &state);
        if (r)
                return r > 0 ? COMMAND_FOREIGN : COMMAND_DAMAGE;
        r = add_partitions(state);
        if (r == 0)
                r = add_metadata(state);
        if (r == 0)
                print_properties(state, out);
        else
                trace_error("'%s' is not ready for Apache Kafka: %s", config->data_dir, strerror(-r));
        int closed = state_close(state);
        return r || closed ? COMMAND_DAMAGE : COMMAND_FINE;
}

int command_graduate(int argc, char **argv, FILE *out) {
        static const char *const flags[] = { NULL };
        Config config;
        unsigned given;
        struct stat st;
        int r = command_config("graduate", argc, argv, flags, &config, &given);
        if (r)
                return r;
        if (stat(config.data_dir, &st)) {
                trace_error("'%s': %s; name the data directory of an odradek", config.data_dir, strerror(errno));
                r = COMMAND_FOREIGN;
        }
        int code = r ? r : hand_over(&config, out);
        config_deinit(&config);
        return code;
}
