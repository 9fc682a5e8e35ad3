/* A whole data directory: checked, opened by a broker's state that then lives for some hours, opened again, repaired. Byte 0: whether
 * checksums are put right. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "broker/commands/commands.h"
#include "storage/base/trace.h"
#include "tests/fuzz/files.h"
#include "tests/fuzz/life.h"

#define SETTINGS_BYTES 8

enum { FLAG_SEAL = 1 };

/* With must_be_fine what it said is shown if it is not. */
static int run(const char *command, char *dir, bool must_be_fine) {
        char *argv[] = { (char *)(uintptr_t)"odradek", (char *)(uintptr_t)command, dir, NULL };
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        FUZZ_CHECK(out);
        int code = command_run(3, argv, out);
        fclose(out);
        FUZZ_CHECK(code == COMMAND_FINE || code == COMMAND_DAMAGE || code == COMMAND_FOREIGN);
        if (must_be_fine && code != COMMAND_FINE)
                fputs(text, stderr);
        FUZZ_CHECK(!must_be_fine || code == COMMAND_FINE);
        free(text);
        return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char dir[FILES_PATH_MAX];
        if (size < SETTINGS_BYTES)
                return 0;
        trace_level = TRACE_NONE;
        bool seal = data[0] & FLAG_SEAL;
        data += SETTINGS_BYTES;
        size -= SETTINGS_BYTES;
        snprintf(dir, sizeof(dir), "%s/data", files_root());
        mkdir(dir, 0755);
        files_unpack(dir, data, size, seal);
        uint64_t before = files_digest(dir, false);
        bool is_fine = run("check", dir, false) == COMMAND_FINE;
        FUZZ_CHECK(files_digest(dir, false) == before);
        life_lead(dir, is_fine);
        files_unpack(dir, data, size, seal);
        if (run("repair", dir, false) == COMMAND_FINE) {
                run("check", dir, true);
                life_lead(dir, true);
                run("check", dir, true);
        }
        return 0;
}
