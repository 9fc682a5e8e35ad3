/* The whole broker: state and net, started in that order and stopped in reverse. */
#pragma once

#include <stdio.h>

#include "broker/config.h"

typedef struct Broker Broker;

/* Exit codes of the process. */
typedef enum BrokerExit {
        BROKER_EXIT_CLEAN = 0,
        BROKER_EXIT_FATAL = 1,          /* a damaged metadata log among it, as for the check command */
        BROKER_EXIT_USAGE = 2,
        BROKER_EXIT_PORT_IN_USE = 3,
        BROKER_EXIT_DATA_DIRECTORY = 4, /* in use by another process, or not ours */
} BrokerExit;

/* Takes the ports, opens the data directory, listens, and prints "ready HOST:PORT" on ready (NULL: nowhere). The config must outlive
 * the broker; its listeners get their real ports. handle_signals: SIGTERM, SIGINT and SIGHUP end broker_run(). BROKER_EXIT_CLEAN, or
 * the exit code after the reason was traced; then an ephemeral data directory is gone again. */
BrokerExit broker_start(Config *config, bool handle_signals, FILE *ready, Broker **ret_broker);

/* Serves until it is told to stop or has to. */
void broker_run(Broker *broker);

/* Ends broker_run(). Any thread may call it. */
void broker_stop(Broker *broker);

/* A clean stop: drops the connections, closes the state, removes an ephemeral data directory. NULL is fine. The exit code. */
BrokerExit broker_free(Broker *broker);
