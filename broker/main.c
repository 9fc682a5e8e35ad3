/* odradek: argv -> Config -> Broker -> exit code; or a command on a data directory. */
#include "broker/broker.h"
#include "broker/commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "storage/base/trace.h"

/* Where a standard descriptor is closed, the next file or socket would get its number, and what is said there would be written into it. */
static void fill_standard_descriptors(void) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
                        (void)open("/", O_PATH);
}

/* What could not be written was not done. */
static int answered(int code) {
        if (fflush(stdout) == 0 && !ferror(stdout))
                return code;
        trace_error("cannot write to standard output: %s", strerror(errno));
        return code ? code : BROKER_EXIT_FATAL;
}

int main(int argc, char **argv) {
        fill_standard_descriptors();
        int command = command_run(argc, argv, stdout);
        if (command >= 0)
                return answered(command);
        Config config;
        int r = config_parse(argc, argv, stdout, &config);
        if (r)
                return r == 1 ? answered(BROKER_EXIT_CLEAN) : r < 0 ? BROKER_EXIT_FATAL : BROKER_EXIT_USAGE;
        Broker *broker = NULL;
        BrokerExit code = broker_start(&config, true, stdout, &broker);
        if (code == BROKER_EXIT_CLEAN) {
                broker_run(broker);
                code = broker_free(broker);
        }
        config_deinit(&config);
        return code;
}
