/* The load generator of tools/bench: loadgen MODE [--option value]... prints one JSON object. */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "tools/loadgen/common.h"
#include "tools/loadgen/workloads.h"

typedef struct Mode {
        const char *name;
        void (*run)(const Options *options);
} Mode;

static const Mode modes[] = {
        { "produce", workload_produce },     { "fetch", workload_fetch },   { "end-to-end", workload_end_to_end },
        { "idle", workload_idle },           { "parked", workload_parked }, { "groups", workload_groups },
        { "metadata", workload_metadata },   { "first", workload_first },   { "awake", workload_awake },
        { "echo-server", floor_echo_server },
        { "echo", floor_echo },              { "receive", floor_receive },  { "storage", floor_storage },
        { "fdatasync", floor_fdatasync },    { "files", floor_files },
        { "checksum", floor_checksum },
};

static void raise_descriptor_limit(void) {
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
}

int main(int argc, char **argv) {
        signal(SIGPIPE, SIG_IGN);
        raise_descriptor_limit();
        for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
                if (strcmp(modes[i].name, argv[1]) == 0) {
                        Options options = options_parse(argc - 2, argv + 2);
                        modes[i].run(&options);
                        return 0;
                }
        fprintf(stderr, "usage: loadgen MODE [--option value]..., see tools/loadgen/options.h and workloads.h; modes:");
        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
                fprintf(stderr, " %s", modes[i].name);
        fputc('\n', stderr);
        return 2;
}
