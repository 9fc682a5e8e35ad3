/* Which command, and on what. */
#include "broker/commands/commands.h"

#include <stdlib.h>
#include <string.h>

#include "storage/base/trace.h"

static const struct {
        const char *name;
        int (*run)(int argc, char **argv, FILE *out);
} commands[] = {
        { "check", command_check },
        { "repair", command_repair },
        { "graduate", command_graduate },
};

int command_run(int argc, char **argv, FILE *out) {
        for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
                if (strcmp(argv[1], commands[i].name) == 0)
                        return commands[i].run(argc - 2, argv + 2, out);
        return -1;
}

static int usage(const char *name, const char *text, const char *detail) {
        trace_error("odradek %s: %s%s; odradek --help says what there is", name, text, detail);
        return COMMAND_USAGE;
}

static bool take_flag(const char *const *flags, const char *text, unsigned *given) {
        for (unsigned i = 0; flags[i]; i++)
                if (strcmp(flags[i], text) == 0) {
                        *given |= 1U << i;
                        return true;
                }
        return false;
}

int command_config(const char *name, int argc, char **argv, const char *const *flags, Config *ret_config, unsigned *ret_flags) {
        char **args = calloc((size_t)argc + 4, sizeof(*args));
        char *dir = NULL;
        int count = 0;
        unsigned given = 0;
        if (!args)
                return COMMAND_DAMAGE;
        args[count++] = (char *)(uintptr_t) "odradek";
        for (int i = 0; i < argc; i++) {
                if (take_flag(flags, argv[i], &given))
                        continue;
                if (!dir && argv[i][0] != '-')
                        dir = argv[i];
                else
                        args[count++] = argv[i]; /* a properties file, --override ... */
        }
        args[count++] = (char *)(uintptr_t) "--data";
        args[count++] = dir;
        int r = dir ? config_parse(count, args, stdout, ret_config) : usage(name, "which directory?", "");
        free(args);
        *ret_flags = given;
        return r == 1 ? COMMAND_USAGE : r < 0 ? COMMAND_DAMAGE : r;
}
