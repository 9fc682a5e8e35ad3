/* odradek: argv -> Config -> Broker -> exit code. */
#include "broker/broker.h"

int main(int argc, char **argv) {
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
