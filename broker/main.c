/* odradek: argv -> Config -> Broker -> exit code; or a command on a data directory. */
#include "broker/broker.h"
#include "broker/commands/commands.h"

int main(int argc, char **argv) {
        int command = command_run(argc, argv, stdout);
        if (command >= 0)
                return command;
        Config config;
        int r = config_parse(argc, argv, stdout, &config);
        if (r)
                return r == 1 ? BROKER_EXIT_CLEAN : BROKER_EXIT_USAGE;
        Broker *broker = NULL;
        BrokerExit code = broker_start(&config, true, stdout, &broker);
        if (code == BROKER_EXIT_CLEAN) {
                broker_run(broker);
                code = broker_free(broker);
        }
        config_deinit(&config);
        return code;
}
