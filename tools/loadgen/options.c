/* The one table of options. */
#include "tools/loadgen/options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/str.h"
#include "tools/loadgen/common.h"

typedef struct OptionRow {
        const char *name;
        size_t offset;
        bool is_text;
} OptionRow;

#define TEXT(name, field) { name, offsetof(Options, field), true }
#define NUMBER(name, field) { name, offsetof(Options, field), false }

static const OptionRow rows[] = {
        TEXT("--host", host), TEXT("--topic", topic), TEXT("--group", group), TEXT("--directory", directory), TEXT("--file", file),
        NUMBER("--port", port), NUMBER("--pid", pid), NUMBER("--topics", topics), NUMBER("--partitions", partitions),
        NUMBER("--records", records), NUMBER("--record-bytes", record_bytes), NUMBER("--acks", acks),
        NUMBER("--connections", connections), NUMBER("--in-flight", in_flight), NUMBER("--requests", requests),
        NUMBER("--rate", rate), NUMBER("--poll", poll), NUMBER("--unmeasured", unmeasured),
        NUMBER("--bytes", bytes), NUMBER("--groups", groups), NUMBER("--wait-ms", wait_ms),
        NUMBER("--check-every", check_every), NUMBER("--expect", expect), NUMBER("--rounds", rounds), NUMBER("--create", create),
};

static const OptionRow *find_row(const char *name) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (strcmp(rows[i].name, name) == 0)
                        return &rows[i];
        die("no option %s", name);
}

Options options_parse(int argc, char **argv) {
        Options options = OPTIONS_INIT;
        for (int i = 0; i < argc; i += 2) {
                const OptionRow *row = find_row(argv[i]);
                void *field = (char *)&options + row->offset;
                if (i + 1 == argc)
                        die("%s needs a value", argv[i]);
                if (row->is_text)
                        *(const char **)field = argv[i + 1];
                else if (!str_to_int64(str_of(argv[i + 1]), -1, INT64_MAX, field))
                        die("%s %s is no number", argv[i], argv[i + 1]);
        }
        if (options.topics < 1 || options.partitions < 1 || options.records < 1 || options.connections < 1 || options.in_flight < 1 ||
            options.requests < 1 || options.unmeasured < 0 || options.unmeasured >= options.requests || options.rate < 0 || options.groups < 1 || options.check_every < 1 || options.rounds < 1)
                die("a number is out of its range");
        return options;
}
