/* Feeds every file of a directory to a fuzz target, in the order of their names: replay DIRECTORY. An empty or
 * missing corpus is an error, since it would test nothing. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static int replay_file(const char *directory, const char *name) {
        char *path;
        if (asprintf(&path, "%s/%s", directory, name) < 0)
                return 1;
        FILE *file = fopen(path, "rb");
        static uint8_t bytes[1 << 20];
        size_t size = file ? fread(bytes, 1, sizeof(bytes), file) : 0;
        if (!file || ferror(file)) {
                perror(path);
                return 1;
        }
        fclose(file);
        uint8_t *copy = malloc(size ? size : 1); /* exactly that long: a sanitizer sees the first byte past it */
        if (!copy)
                abort();
        for (size_t i = 0; i < size; i++)
                copy[i] = bytes[i];
        LLVMFuzzerTestOneInput(copy, size);
        free(copy);
        free(path);
        return 0;
}

int main(int argc, char **argv) {
        struct dirent **entries;
        int count = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1;
        int failed = 0, replayed = 0;
        for (int i = 0; i < count; i++) {
                if (entries[i]->d_name[0] != '.') {
                        failed += replay_file(argv[1], entries[i]->d_name);
                        replayed++;
                }
                free(entries[i]);
        }
        if (count >= 0)
                free(entries);
        printf("%d inputs replayed\n", replayed - failed);
        return failed || !replayed;
}
