/* Start and stop, in order: ports, data directory, loop, clients. */
#include "broker/broker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/net/net.h"
#include "storage/base/time.h"
#include "storage/base/trace.h"

#define DESCRIPTORS_USUAL 4096

struct Broker {
        Config *config; /* not owned */
        ListenerSet listeners;
        State *state;
        Net *net;
        bool failed;
};

/* Takes fd over. Symbolic links are removed, never followed. */
static int remove_contents(int fd) {
        DIR *dir = fdopendir(fd);
        if (!dir) {
                int r = -errno;
                close(fd);
                return r;
        }
        int r = 0;
        for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (unlinkat(dirfd(dir), entry->d_name, 0) == 0)
                        continue;
                r = -errno;
                if (r != -EISDIR && r != -EPERM)
                        continue;
                int sub = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                r = sub < 0 ? -errno : remove_contents(sub);
                if (r == 0 && unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR) < 0)
                        r = -errno;
        }
        closedir(dir);
        return r;
}

static void remove_data_dir(const Config *config) {
        if (!config->ephemeral || !config->data_dir)
                return;
        int fd = open(config->data_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return;
        int r = fd < 0 ? -errno : remove_contents(fd);
        if (r == 0 && rmdir(config->data_dir) < 0)
                r = -errno;
        if (r < 0)
                trace_error("cannot remove the ephemeral data directory %s: %s", config->data_dir, strerror(-r));
}

/* Partitions and clients take a descriptor each. */
static void raise_descriptor_limit(void) {
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
                limit.rlim_cur = limit.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
}

/* The kernel's table of descriptors grows in steps, for each of which a process with several threads waits milliseconds. This one has no
 * other thread yet. */
static void grow_descriptor_table(void) {
        struct rlimit limit;
        int nothing = getrlimit(RLIMIT_NOFILE, &limit) < 0 ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (nothing < 0)
                return;
        int usual = limit.rlim_cur < DESCRIPTORS_USUAL ? (int)limit.rlim_cur : DESCRIPTORS_USUAL;
        int last = fcntl(nothing, F_DUPFD_CLOEXEC, usual - 1);
        if (last >= 0)
                close(last);
        close(nothing);
}

static BrokerExit open_state(Broker *broker) {
        int r = state_open(broker->config, time_wall_ms(), time_monotonic_ms(), &broker->state);
        if (r == STATE_OPEN_LOCKED || r == STATE_OPEN_FOREIGN)
                return BROKER_EXIT_DATA_DIRECTORY;
        return r ? BROKER_EXIT_FATAL : BROKER_EXIT_CLEAN;
}

static BrokerExit start(Broker *broker, bool handle_signals) {
        int r = listener_bind(broker->config, &broker->listeners);
        if (r)
                return r == LISTENER_PORT_IN_USE ? BROKER_EXIT_PORT_IN_USE : BROKER_EXIT_FATAL;
        BrokerExit code = open_state(broker);
        if (code)
                return code;
        NetOptions options = { .handle_signals = handle_signals };
        if (net_new(broker->state, &options, &broker->net) < 0)
                return BROKER_EXIT_FATAL;
        r = listener_listen(&broker->listeners);
        if (r)
                return r == LISTENER_PORT_IN_USE ? BROKER_EXIT_PORT_IN_USE : BROKER_EXIT_FATAL;
        net_accept(broker->net, &broker->listeners);
        return BROKER_EXIT_CLEAN;
}

static void print_ready(const Config *config, FILE *ready) {
        if (!ready || config->listener_count == 0)
                return;
        const Listener *listener = &config->listeners[0];
        const char *host = *listener->host ? listener->host : "localhost";
        fprintf(ready, strchr(host, ':') ? "ready [%s]:%d\n" : "ready %s:%d\n", host, listener->port);
        fflush(ready);
}

BrokerExit broker_start(Config *config, bool handle_signals, FILE *ready, Broker **ret_broker) {
        Broker *broker = calloc(1, sizeof(*broker));
        if (!broker) {
                trace_error("no memory");
                remove_data_dir(config);
                return BROKER_EXIT_FATAL;
        }
        broker->config = config;
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of that file */
        raise_descriptor_limit();
        grow_descriptor_table();
        BrokerExit code = start(broker, handle_signals);
        if (code) {
                (void)broker_free(broker);
                return code;
        }
        print_ready(config, ready);
        *ret_broker = broker;
        return BROKER_EXIT_CLEAN;
}

void broker_run(Broker *broker) {
        net_run(broker->net);
        broker->failed |= broker->state->failed;
}

void broker_stop(Broker *broker) {
        net_stop(broker->net);
}

BrokerExit broker_free(Broker *broker) {
        if (!broker)
                return BROKER_EXIT_CLEAN;
        bool failed = broker->failed;
        net_free(broker->net);
        listener_deinit(&broker->listeners);
        if (state_close(broker->state) < 0)
                failed = true;
        remove_data_dir(broker->config);
        free(broker);
        return failed ? BROKER_EXIT_FATAL : BROKER_EXIT_CLEAN;
}
