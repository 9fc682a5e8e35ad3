/* odradek check: what is wrong with a data directory, for a person or as JSON. */
#include "broker/commands/commands.h"

#include <inttypes.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/commands/inspection.h"
#include "broker/state/data_dir.h"
#include "storage/base/time.h"
#include "storage/base/trace.h"

static const char *const kind_names[] = { [CHECK_TORN] = "torn", [CHECK_ROT] = "rot", [CHECK_DERIVED] = "derived", [CHECK_ODD] = "odd" };

typedef struct Output {
        FILE *out;
        int64_t count; /* of findings that were written */
} Output;

static void print_finding(Inspection *inspection, const CheckFinding *finding, const char *remedy) {
        Output *output = inspection->data;
        char path[PATH_MAX];
        fprintf(output->out, "%s: %s", kind_names[finding->kind], str_escape(str_of(finding->path), path, sizeof(path)));
        if (finding->position >= 0)
                fprintf(output->out, " at byte %" PRId64, finding->position);
        if (finding->offset >= 0)
                fprintf(output->out, "%s offset %" PRId64, finding->position >= 0 ? "," : " at", finding->offset);
        fprintf(output->out, ": %s", finding->what);
        if (finding->bytes >= 0)
                fprintf(output->out, " (%" PRId64 " bytes from there on)", finding->bytes);
        fprintf(output->out, "; %s\n", remedy);
}

/* Paths are bytes of any kind; what is no plain ASCII is written as \u00XX. */
static void print_json_string(FILE *out, const char *text) {
        fputc('"', out);
        for (const unsigned char *at = (const unsigned char *)text; *at; at++)
                if (*at == '"' || *at == '\\')
                        fprintf(out, "\\%c", *at);
                else if (*at < 0x20 || *at > 0x7e)
                        fprintf(out, "\\u%04x", *at);
                else
                        fputc(*at, out);
        fputc('"', out);
}

static void print_json_finding(Inspection *inspection, const CheckFinding *finding, const char *remedy) {
        Output *output = inspection->data;
        fprintf(output->out, "%s\n    {\"kind\": \"%s\", \"file\": ", output->count++ ? "," : "", kind_names[finding->kind]);
        print_json_string(output->out, finding->path);
        if (finding->position >= 0)
                fprintf(output->out, ", \"position\": %" PRId64, finding->position);
        if (finding->offset >= 0)
                fprintf(output->out, ", \"offset\": %" PRId64, finding->offset);
        if (finding->bytes >= 0)
                fprintf(output->out, ", \"bytes\": %" PRId64, finding->bytes);
        fputs(", \"what\": ", output->out);
        print_json_string(output->out, finding->what);
        fputs(", \"remedy\": ", output->out);
        print_json_string(output->out, remedy);
        fputc('}', output->out);
}

static void print_summary(const Inspection *inspection, FILE *out) {
        fprintf(out, "%s: %s\n", inspection->config->data_dir, !inspection_is_fine(inspection) ? "damaged" : "fine");
        fprintf(out, "last stop %s; %" PRId64 " partitions, %" PRId64 " segments, %" PRId64 " batches, %" PRId64 " records, %" PRId64 " bytes\n",
                inspection->clean_shutdown ? "clean" : "not clean", inspection->partition_count, inspection->segment_count,
                inspection->batch_count, inspection->record_count, inspection->size_bytes);
        fprintf(out, "torn %" PRId64 ", rot %" PRId64 ", derived %" PRId64 ", odd %" PRId64 "\n", inspection->counts[CHECK_TORN],
                inspection->counts[CHECK_ROT], inspection->counts[CHECK_DERIVED], inspection->counts[CHECK_ODD]);
}

static void print_json_summary(const Inspection *inspection, FILE *out, int64_t findings) {
        fprintf(out, "%s],\n  \"directory\": ", findings ? "\n  " : "");
        print_json_string(out, inspection->config->data_dir);
        fprintf(out, ",\n  \"verdict\": \"%s\",\n  \"clean_shutdown\": %s,\n", inspection_is_fine(inspection) ? "fine" : "damaged",
                inspection->clean_shutdown ? "true" : "false");
        fprintf(out, "  \"partitions\": %" PRId64 ", \"segments\": %" PRId64 ", \"batches\": %" PRId64 ", \"records\": %" PRId64
                ", \"bytes\": %" PRId64 ",\n",
                inspection->partition_count, inspection->segment_count, inspection->batch_count, inspection->record_count, inspection->size_bytes);
        fprintf(out, "  \"torn\": %" PRId64 ", \"rot\": %" PRId64 ", \"derived\": %" PRId64 ", \"odd\": %" PRId64 "\n}\n",
                inspection->counts[CHECK_TORN], inspection->counts[CHECK_ROT], inspection->counts[CHECK_DERIVED], inspection->counts[CHECK_ODD]);
}

/* JSON is begun by done(), so that nothing is on stdout where the directory cannot be looked at. */
static int check(Config *config, bool json, FILE *out) {
        Output output = { .out = out };
        char *text = NULL;
        size_t size = 0;
        Inspection inspection = { .config = config, .found = json ? print_json_finding : print_finding, .data = &output };
        output.out = open_memstream(&text, &size);
        int r = output.out ? inspection_run(&inspection, time_wall_ms()) : -ENOMEM;
        if (output.out)
                fclose(output.out);
        if (r == 0) {
                fprintf(out, "%s%s", json ? "{\n  \"findings\": [" : "", text);
                if (json)
                        print_json_summary(&inspection, out, output.count);
                else
                        print_summary(&inspection, out);
        }
        free(text);
        return r > 0 ? COMMAND_FOREIGN : r ? COMMAND_DAMAGE : inspection_is_fine(&inspection) ? COMMAND_FINE : COMMAND_DAMAGE;
}

int command_check(int argc, char **argv, FILE *out) {
        static const char *const flags[] = { "--json", NULL };
        Config config;
        unsigned given;
        int lock_fd, r = command_config("check", argc, argv, flags, &config, &given);
        if (r)
                return r;
        r = data_dir_hold(config.data_dir, &lock_fd);
        if (r < 0)
                data_dir_complain("look at the lock of", config.data_dir, r);
        int code = r > 0 ? COMMAND_FOREIGN : r ? COMMAND_DAMAGE : check(&config, given & 1, out);
        if (lock_fd >= 0)
                close(lock_fd);
        config_deinit(&config);
        return code;
}
