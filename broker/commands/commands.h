/* What is done to a data directory while no broker runs on it: odradek check, repair, graduate. */
#pragma once

#include <stdio.h>

#include "broker/config.h"

enum {
        COMMAND_FINE = 0,
        COMMAND_DAMAGE = 1, /* there is some; or the command could not be done */
        COMMAND_USAGE = 2,
        COMMAND_FOREIGN = 4, /* no directory of ours, or a broker runs on it */
};

/* Each gets the arguments behind its name, answers on out and returns the exit code. */
int command_check(int argc, char **argv, FILE *out);
int command_repair(int argc, char **argv, FILE *out);
int command_graduate(int argc, char **argv, FILE *out);

/* Runs the command that argv[1] names; -1 when it names none. */
int command_run(int argc, char **argv, FILE *out);

/* "DIR" and more arguments: a Config whose data directory is DIR, from the same places as the broker's. flags is a list that ends with
 * NULL of those that may be given; *ret_flags gets a bit for each that was. 0 or an exit code, with *ret_config unset. */
int command_config(const char *name, int argc, char **argv, const char *const *flags, Config *ret_config, unsigned *ret_flags);
