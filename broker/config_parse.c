/* The command line, the properties file and the environment. */
#include "broker/config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "storage/base/trace.h"

#ifndef ODRADEK_VERSION
#define ODRADEK_VERSION "0.1.0"
#endif

#define FILE_BYTES_MAX ((size_t)1 << 20)

/* Leaves room for the names of partitions, of their files, and of what these are while they are deleted. */
#define DATA_DIR_LENGTH_MAX (PATH_MAX - 512)

/* Where a value was read, for messages. */
typedef struct Source {
        const char *name;
        int line; /* 0: none */
} Source;

static void complain(TraceLevel level, Source from, const char *text, const char *detail) {
        if (from.line)
                trace_line(level, "%s:%d: %s%s", from.name, from.line, text, detail);
        else
                trace_line(level, "%s: %s%s", from.name, text, detail);
}

/* Edits that turn a into b, at most limit. */
static size_t edit_distance(const char *a, const char *b, size_t limit) {
        size_t n = strlen(a), m = strlen(b), row[128];
        if (n > m + limit || m > n + limit || m >= 127)
                return limit + 1;
        for (size_t j = 0; j <= m; j++)
                row[j] = j;
        for (size_t i = 1; i <= n; i++) {
                size_t diagonal = row[0];
                row[0] = i;
                for (size_t j = 1; j <= m; j++) {
                        size_t best = diagonal + (a[i - 1] != b[j - 1]);
                        diagonal = row[j];
                        if (row[j] + 1 < best)
                                best = row[j] + 1;
                        if (row[j - 1] + 1 < best)
                                best = row[j - 1] + 1;
                        row[j] = best;
                }
        }
        return row[m];
}

const char *config_suggest(const char *name) {
        const char *best = NULL;
        size_t best_distance = 4;
        for (size_t i = 0; i < broker_config_key_count; i++) {
                size_t distance = edit_distance(name, broker_config_keys[i].name, 3);
                if (distance < best_distance) {
                        best_distance = distance;
                        best = broker_config_keys[i].name;
                }
        }
        return best;
}

static int no_memory(void) {
        trace_error("no memory");
        return -ENOMEM;
}

static int set_value(Config *config, Source from, const char *name, const char *value) {
        char message[512], shown[128];
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_BROKER, str_of(name));
        if (!key) {
                const char *better = config_suggest(name);
                snprintf(message, sizeof(message), "%s%s%s%s", str_escape(str_of(name), shown, sizeof(shown)),
                         better ? "; did you mean '" : "", better ? better : "", better ? "'?" : "");
                complain(TRACE_WARN, from, "unknown key ", message);
                return 0;
        }
        if (!config_validate(key, str_of(value), message, sizeof(message))) {
                complain(TRACE_ERROR, from, "", message);
                return 2;
        }
        return config_map_set(&config->broker, key, str_of(value), CONFIG_SOURCE_STATIC_BROKER) < 0 ? no_memory() : 0;
}

/* The number behind "u", or -1. */
static int read_code(const char *from) {
        if (*from != 'u' || strspn(from + 1, "0123456789abcdefABCDEF") < 4)
                return -1;
        char digits[5] = { from[1], from[2], from[3], from[4], 0 };
        return (int)strtoul(digits, NULL, 16);
}

static void write_utf8(unsigned code, char **to) {
        int more = code >= 0x10000 ? 3 : code >= 0x800 ? 2 : code >= 0x80 ? 1 : 0;
        static const unsigned char first[] = { 0, 0xc0, 0xe0, 0xf0 };
        *(*to)++ = (char)(first[more] | code >> 6 * more);
        while (more-- > 0)
                *(*to)++ = (char)(0x80 | (code >> 6 * more & 0x3f));
}

/* One escape of a properties file: from stands behind the backslash, on a character. Writes what it means (never more than was read)
 * and returns where to go on. */
static char *unescape(char *from, char **to) {
        int code = read_code(from);
        if (code >= 0) {
                int second = code >> 10 == 0xd800 >> 10 && from[5] == '\\' ? read_code(from + 6) : -1;
                bool is_pair = second >> 10 == 0xdc00 >> 10; /* UTF-16, as Java counts */
                write_utf8(is_pair ? 0x10000 + ((unsigned)(code & 0x3ff) << 10 | (unsigned)(second & 0x3ff)) : (unsigned)code, to);
                return from + (is_pair ? 11 : 5);
        }
        *(*to)++ = *from == 'n' ? '\n' : *from == 't' ? '\t' : *from == 'r' ? '\r' : *from == 'f' ? '\f' : *from;
        return from + 1;
}

/* Splits a logical line in place: key, then one of '=', ':' or blanks, then the value. */
static void split_property(char *line, char **ret_key, char **ret_value) {
        char *from = line, *to = line;
        *ret_key = line;
        while (*from && *from != '=' && *from != ':' && !isblank((unsigned char)*from))
                if (*from == '\\' && from[1])
                        from = unescape(from + 1, &to);
                else
                        *to++ = *from++;
        while (isblank((unsigned char)*from))
                from++;
        if (*from == '=' || *from == ':')
                from++;
        while (isblank((unsigned char)*from))
                from++;
        *to = '\0';
        *ret_value = to = from;
        while (*from)
                if (*from == '\\' && from[1])
                        from = unescape(from + 1, &to);
                else
                        *to++ = *from++;
        *to = '\0';
        while (to > *ret_value && isspace((unsigned char)to[-1]))
                *--to = '\0';
}

static bool ends_with_continuation(const char *line, size_t length) {
        size_t slashes = 0;
        while (slashes < length && line[length - 1 - slashes] == '\\')
                slashes++;
        return slashes % 2 == 1;
}

/* A logical line without its end, joined where it goes on; NULL at the end. Freed by the caller. */
static char *read_logical_line(FILE *file, int *line_number) {
        char *whole = NULL, *line = NULL;
        size_t capacity = 0, used = 0;
        ssize_t n;
        while ((n = getline(&line, &capacity, file)) >= 0) {
                ++*line_number;
                while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
                        line[--n] = '\0';
                char *start = line;
                while (isblank((unsigned char)*start))
                        start++;
                size_t length = (size_t)(line + n - start);
                bool is_comment = !whole && (*start == '#' || *start == '!');
                bool goes_on = !is_comment && ends_with_continuation(start, length);
                char *bigger = realloc(whole, used + length + 1);
                if (!bigger)
                        break;
                whole = bigger;
                memcpy(whole + used, start, length + 1);
                used += length - goes_on;
                whole[used] = '\0';
                if (!goes_on)
                        break;
        }
        free(line);
        return whole;
}

static int unreadable(const char *path, const char *why) {
        trace_error("cannot read the properties file '%s': %s", path, why);
        return 2;
}

/* All of it at once, in text, which has room for one byte more than a file may have: a device without end is none. */
static int read_file(const char *path, char *text, size_t *ret_size) {
        FILE *file = fopen(path, "re");
        if (!file)
                return unreadable(path, strerror(errno));
        *ret_size = fread(text, 1, FILE_BYTES_MAX + 1, file);
        const char *why = ferror(file) ? strerror(errno) : *ret_size > FILE_BYTES_MAX ? "it is larger than a megabyte" :
                          memchr(text, 0, *ret_size) ? "it holds zero bytes; save it as plain text (not UTF-16)" : NULL;
        fclose(file);
        return why ? unreadable(path, why) : 0;
}

static int parse_lines(Config *config, const char *path, char *text, size_t size) {
        FILE *file = fmemopen(text, size, "r");
        int r = file ? 0 : no_memory(), line_number = 0;
        for (char *line; !r && (line = read_logical_line(file, &line_number)); free(line)) {
                char *key, *value;
                if (!*line || *line == '#' || *line == '!')
                        continue;
                split_property(line, &key, &value);
                r = set_value(config, (Source){ path, line_number }, key, value);
        }
        if (file)
                fclose(file);
        return r;
}

static int parse_file(Config *config, const char *path) {
        char *text = malloc(FILE_BYTES_MAX + 1);
        size_t size = 0;
        int r = text ? read_file(path, text, &size) : no_memory();
        if (r == 0 && size)
                r = parse_lines(config, path, text, size);
        free(text);
        return r;
}

#define VARIABLE_PREFIX "ODRADEK_"
#define VARIABLE_BYTES_MAX 128

/* ODRADEK_LOG_RETENTION_MS sets log.retention.ms, and ODRADEK_MAX_GROUPS odradek.max.groups. */
static void variable_of(const char *key, char ret_name[static VARIABLE_BYTES_MAX]) {
        size_t used = strlen(strcpy(ret_name, VARIABLE_PREFIX));
        for (const char *p = str_starts_with(str_of(key), STR("odradek.")) ? key + strlen("odradek.") : key; *p && used < VARIABLE_BYTES_MAX - 1; p++)
                ret_name[used++] = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
        ret_name[used] = '\0';
}

static bool is_variable(const char *name) {
        char known[VARIABLE_BYTES_MAX];
        for (size_t i = 0; i < broker_config_key_count; i++) {
                variable_of(broker_config_keys[i].name, known);
                if (strcmp(name, known) == 0)
                        return true;
        }
        return false;
}

/* Others may have variables of that prefix too: only what is nearly one of ours is worth a word. */
static void warn_of_misspelt(const char *entry) {
        char name[VARIABLE_BYTES_MAX], key[VARIABLE_BYTES_MAX], better[VARIABLE_BYTES_MAX], message[512];
        size_t len = strcspn(entry, "="), prefix = strlen(VARIABLE_PREFIX);
        if (strncmp(entry, VARIABLE_PREFIX, prefix) != 0 || len >= sizeof(name))
                return;
        snprintf(name, sizeof(name), "%.*s", (int)len, entry);
        for (size_t i = prefix; i <= len; i++)
                key[i - prefix] = name[i] == '_' ? '.' : (char)tolower((unsigned char)name[i]);
        const char *suggestion = is_variable(name) ? NULL : config_suggest(key);
        if (!suggestion)
                return;
        variable_of(suggestion, better);
        snprintf(message, sizeof(message), "did you mean '%s'?", better);
        complain(TRACE_WARN, (Source){ name, 0 }, "unknown variable; ", message);
}

static int parse_environment(Config *config) {
        for (char **entry = environ; *entry; entry++)
                warn_of_misspelt(*entry);
        for (size_t i = 0; i < broker_config_key_count; i++) {
                char name[VARIABLE_BYTES_MAX];
                variable_of(broker_config_keys[i].name, name);
                const char *value = getenv(name);
                int r = value ? set_value(config, (Source){ name, 0 }, broker_config_keys[i].name, value) : 0;
                if (r)
                        return r;
        }
        return 0;
}

static void print_help(FILE *out) {
        fputs("usage: odradek [server.properties] [--override KEY=VALUE]... [options]\n"
              "       odradek check DIR [--json]\n"
              "       odradek repair DIR\n"
              "       odradek graduate DIR [server.properties] [options]\n\n"
              "A Kafka broker on this machine. Prints `ready HOST:PORT` on stdout as soon as it accepts connections;\n"
              "everything else goes to stderr. SIGTERM, SIGINT and SIGHUP stop it cleanly.\n\n"
              "  --port N                  listen on localhost, port N (0: a free one); default 9092\n"
              "  --data DIR                data directory; default $XDG_DATA_HOME/odradek or ~/.local/share/odradek\n"
              "  --ephemeral               a temporary data directory that is gone at exit\n"
              "  --exit-with-stdin         stop when standard input is closed\n"
              "  --any-replication-factor  accept replication factors above 1, and store 1\n"
              "  --durable                 sync before each acknowledgement\n"
              "  --override KEY=VALUE      a property, as in server.properties\n"
              "  --verbose                 say more\n"
              "  --help, --version\n\n"
              "While no broker runs on it:\n"
              "  check DIR       verifies a data directory and changes nothing: 0 fine, 1 damaged, 4 in use or foreign\n"
              "  repair DIR      cuts damaged partitions where they are good no longer, and keeps what it cuts beside them\n"
              "  graduate DIR    readies it for Apache Kafka, and prints the server.properties with which that runs on it\n\n"
              "Exit codes: 0 clean, 1 fatal, 2 usage or configuration, 3 port in use, 4 data directory in use or foreign.\n\n"
              "Properties (also as environment, ODRADEK_LOG_RETENTION_MS for log.retention.ms, ODRADEK_MAX_GROUPS for\n"
              "odradek.max.groups; flags win over the environment, which wins over the file). Kafka's other\n"
              "properties are accepted and mean nothing on one node.\n\n",
              out);
        for (size_t i = 0; i < broker_config_key_count; i++) {
                const ConfigKey *key = &broker_config_keys[i];
                if (key->documentation)
                        fprintf(out, "  %-38s %s%s%s%s\n", key->name, key->documentation, key->default_value ? " [" : "",
                                key->default_value ? key->default_value : "", key->default_value ? "]" : "");
        }
}

static int usage_error(const char *text, const char *detail) {
        trace_error("%s%s; odradek --help says what there is", text, detail);
        return 2;
}

static int set_flag(Config *config, const char *flag, const char *key, const char *value) {
        return set_value(config, (Source){ flag, 0 }, key, value);
}

static int parse_override(Config *config, const char *text) {
        char *copy = strdup(text), *equals = copy ? strchr(copy, '=') : NULL;
        int r = !copy ? no_memory() : equals ? 0 : usage_error("--override takes KEY=VALUE, not ", text);
        if (!r) {
                *equals = '\0';
                r = set_flag(config, "--override", copy, equals + 1);
        }
        free(copy);
        return r;
}

static int parse_port(Config *config, const char *text) {
        int64_t port;
        char listeners[64];
        if (!str_to_int64(str_of(text), 0, 65535, &port))
                return usage_error("--port takes a number from 0 to 65535, not ", text);
        snprintf(listeners, sizeof(listeners), "PLAINTEXT://localhost:%d", (int)port);
        return set_flag(config, "--port", "listeners", listeners);
}

/* Flags that take a value. */
static int parse_valued(Config *config, const char *flag, const char *value) {
        if (strcmp(flag, "--override") == 0)
                return parse_override(config, value);
        if (strcmp(flag, "--port") == 0)
                return parse_port(config, value);
        if (!*value) /* likely a variable that is not set: not a wish for the default */
                return usage_error(flag, " names no directory");
        return set_flag(config, flag, "log.dirs", value);
}

static bool parse_switch(Config *config, const char *flag) {
        if (strcmp(flag, "--ephemeral") == 0)
                return config->ephemeral = true;
        if (strcmp(flag, "--exit-with-stdin") == 0)
                return config->exit_with_stdin = true;
        if (strcmp(flag, "--any-replication-factor") == 0)
                return config->any_replication_factor = true;
        if (strcmp(flag, "--durable") == 0)
                return config->durable = true;
        if (strcmp(flag, "--verbose") == 0 || strcmp(flag, "-v") == 0)
                return trace_level = TRACE_DEBUG, true;
        return false;
}

static bool is_valued(const char *flag) {
        return strcmp(flag, "--override") == 0 || strcmp(flag, "--port") == 0 || strcmp(flag, "--data") == 0;
}

/* First pass: the file, --help and --version. Second pass: flags, which win. */
static int parse_arguments(Config *config, int argc, char **argv, FILE *out, bool flags) {
        const char *file = NULL;
        for (int i = 1; i < argc; i++) {
                char *flag = argv[i], *value = strchr(flag, '=');
                char name[32] = "";
                if (flag[0] == '-' && value && value - flag < (ptrdiff_t)sizeof(name)) {
                        memcpy(name, flag, (size_t)(value - flag)); /* --port=N */
                        value++;
                } else if (is_valued(flag)) {
                        snprintf(name, sizeof(name), "%s", flag);
                        if (!(value = argv[i + 1]))
                                return usage_error(flag, " needs a value");
                        i++;
                }
                int r = 0;
                if (is_valued(name))
                        r = flags ? parse_valued(config, name, value) : 0;
                else if (strcmp(flag, "--help") == 0 || strcmp(flag, "-h") == 0)
                        return print_help(out), 1;
                else if (strcmp(flag, "--version") == 0)
                        return fprintf(out, "odradek " ODRADEK_VERSION "\n"), 1;
                else if (flag[0] == '-')
                        r = parse_switch(config, flag) ? 0 : usage_error("unknown option ", flag);
                else if (file)
                        r = usage_error("a second properties file: ", flag);
                else
                        r = flags ? 0 : parse_file(config, file = flag);
                if (flags && flag[0] != '-')
                        file = flag;
                if (r)
                        return r;
        }
        return 0;
}

/* "PLAINTEXT://host:port" or "NAME://[v6]:port": splits into parts; false when malformed. */
static bool split_listener(Str text, Str *ret_name, Listener *ret_listener, bool advertised) {
        const char *scheme = text.len > 3 ? memmem(text.data, text.len, "://", 3) : NULL;
        if (!scheme)
                return false;
        *ret_name = (Str){ .data = text.data, .len = (size_t)(scheme - text.data) };
        Str address = { .data = scheme + 3, .len = text.len - ret_name->len - 3 };
        const char *colon = address.len ? memrchr(address.data, ':', address.len) : NULL;
        int64_t port;
        if (!colon || !str_to_int64((Str){ .data = colon + 1, .len = (size_t)(address.data + address.len - colon - 1) }, 0, 65535, &port))
                return false;
        Str host = { .data = address.data, .len = (size_t)(colon - address.data) };
        if (host.len > 1 && host.data[0] == '[' && host.data[host.len - 1] == ']')
                host = (Str){ .data = host.data + 1, .len = host.len - 2 };
        if (host.len >= sizeof(ret_listener->host))
                return false;
        snprintf(advertised ? ret_listener->advertised_host : ret_listener->host, sizeof(ret_listener->host), "%.*s", STR_ARG(host));
        *(advertised ? &ret_listener->advertised_port : &ret_listener->port) = (int32_t)port;
        return true;
}

static bool is_listed(Str list, Str wanted) {
        Str item;
        while (config_next_item(&list, &item))
                if (str_equal(item, wanted))
                        return true;
        return false;
}

/* The security protocol of a listener name: itself, or what listener.security.protocol.map says. */
static bool is_plaintext(const Config *config, Str name) {
        Str map = config_str(config, "listener.security.protocol.map"), item;
        while (config_next_item(&map, &item)) {
                const char *colon = item.len ? memchr(item.data, ':', item.len) : NULL;
                if (!colon || !str_equal((Str){ .data = item.data, .len = (size_t)(colon - item.data) }, name))
                        continue;
                return str_equal((Str){ .data = colon + 1, .len = (size_t)(item.data + item.len - colon - 1) }, STR("PLAINTEXT"));
        }
        return str_equal(name, STR("PLAINTEXT"));
}

static int listener_error(const char *key, Str item, const char *text) {
        char shown[300];
        trace_error("%s: %s %s", key, str_escape(item, shown, sizeof(shown)), text);
        return 2;
}

static int parse_listeners(Config *config) {
        Str names[LISTENERS_MAX], name, item;
        Str controllers = config_str(config, "controller.listener.names");
        Str rest = config_str(config, "listeners");
        if (!config_map_find(&config->broker, config_find_key(CONFIG_RESOURCE_BROKER, STR("listeners"))))
                rest = STR("PLAINTEXT://localhost:9092");
        while (config_next_item(&rest, &item)) {
                Listener listener = { 0 };
                if (!split_listener(item, &name, &listener, false))
                        return listener_error("listeners", item, "is not of the form NAME://HOST:PORT");
                if (is_listed(controllers, name))
                        continue; /* there is no separate controller on one node */
                if (!is_plaintext(config, name))
                        return listener_error("listeners", item, "is not PLAINTEXT, the only security protocol served");
                if (config->listener_count == LISTENERS_MAX)
                        return listener_error("listeners", item, "is one too many; 8 are served");
                snprintf(listener.advertised_host, sizeof(listener.advertised_host), "%s",
                         listener.host[0] && strcmp(listener.host, "0.0.0.0") != 0 && strcmp(listener.host, "::") != 0
                                 ? listener.host : "localhost");
                names[config->listener_count] = name;
                config->listeners[config->listener_count++] = listener;
        }
        rest = config_str(config, "advertised.listeners");
        while (config_next_item(&rest, &item)) {
                Listener scratch = { 0 };
                int32_t i = 0;
                if (!split_listener(item, &name, &scratch, true))
                        return listener_error("advertised.listeners", item, "is not of the form NAME://HOST:PORT");
                while (i < config->listener_count && !str_equal(names[i], name))
                        i++;
                if (is_listed(controllers, name))
                        continue;
                if (i == config->listener_count)
                        return listener_error("advertised.listeners", item, "has no listener of that name");
                split_listener(item, &name, &config->listeners[i], true);
        }
        return config->listener_count ? 0 : usage_error("listeners: there must be one", "");
}

/* Takes over path: NULL when there was no memory for it. */
static int take_data_dir(Config *config, char *path) {
        config->data_dir = path;
        if (!path)
                return no_memory();
        if (strlen(path) <= DATA_DIR_LENGTH_MAX)
                return 0;
        trace_error("the path of the data directory has %zu bytes, %d more than can be served; name a shorter one with --data. It begins with '%.200s'",
                    strlen(path), (int)(strlen(path) - DATA_DIR_LENGTH_MAX), path);
        return 2;
}

/* To be freed; NULL without memory. */
static char *join(const char *dir, const char *name) {
        char *path;
        return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static int make_ephemeral(Config *config) {
        const char *tmp = getenv("TMPDIR");
        int r = take_data_dir(config, join(tmp && *tmp ? tmp : "/tmp", "odradek-XXXXXX"));
        if (r || mkdtemp(config->data_dir))
                return r;
        trace_error("cannot make an ephemeral data directory '%s': %s; set TMPDIR to a directory where this user may write", config->data_dir,
                    strerror(errno));
        return 2;
}

static int take_named(Config *config, const char *name) {
        if (strchr(name, ','))
                return usage_error("log.dirs names several directories; odradek keeps all in one: ", name);
        if (*name == '/')
                return take_data_dir(config, strdup(name));
        char *here = getcwd(NULL, 0);
        int r = here ? take_data_dir(config, join(here, name))
                     : usage_error("the current directory is unknown; name the data directory in full: ", name);
        free(here);
        return r;
}

static int parse_data_dir(Config *config) {
        const ConfigEntry *several = config_map_find(&config->broker, config_find_key(CONFIG_RESOURCE_BROKER, STR("log.dirs")));
        const ConfigEntry *single = config_map_find(&config->broker, config_find_key(CONFIG_RESOURCE_BROKER, STR("log.dir")));
        const char *home = getenv("HOME"), *data_home = getenv("XDG_DATA_HOME");
        const char *given = several ? several->value : single ? single->value : "";
        if (config->ephemeral)
                return make_ephemeral(config);
        if (*given)
                return take_named(config, given);
        if (data_home && *data_home == '/')
                return take_data_dir(config, join(data_home, "odradek"));
        if (home && *home == '/')
                return take_data_dir(config, join(home, ".local/share/odradek"));
        return usage_error("HOME is not set", ", so the data directory must be named with --data");
}

int config_parse(int argc, char **argv, FILE *out, Config *ret_config) {
        Config config = { .broker = CONFIG_MAP_INIT };
        int r = parse_arguments(&config, argc, argv, out, false);
        if (!r)
                r = parse_environment(&config);
        if (!r)
                r = parse_arguments(&config, argc, argv, out, true);
        if (!r)
                r = parse_listeners(&config);
        if (!r)
                r = parse_data_dir(&config);
        if (r) {
                config_deinit(&config);
                return r;
        }
        *ret_config = config;
        return 0;
}
