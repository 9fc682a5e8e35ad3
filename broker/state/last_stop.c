/* The markers' files. */
#include "broker/state/last_stop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/checkpoint.h"

/* 0, -ENOENT, or another -errno. */
static int find(const char *dir, const char *name, char path[static PATH_MAX]) {
        struct stat st;
        int n = snprintf(path, PATH_MAX, "%s/%s", dir, name);
        return n < PATH_MAX ? file_lstat(path, &st) : -ENAMETOOLONG;
}

static bool is_there(const char *dir, const char *name) {
        char path[PATH_MAX];
        return find(dir, name, path) == 0;
}

bool last_stop_failed_sync(const char *dir) {
        return is_there(dir, FAILED_SYNC_NAME);
}

bool last_stop_was_clean(const char *dir) {
        return is_there(dir, CLEAN_STOP_NAME) && !last_stop_failed_sync(dir);
}

int last_stop_take(State *state, bool *ret_clean) {
        const char *dir = state->config->data_dir;
        char path[PATH_MAX];
        int r = find(dir, FAILED_SYNC_NAME, path);
        if (r && r != -ENOENT)
                return r;
        state->writes_again = r == 0;
        if (state->writes_again)
                trace_warn("an earlier run could not sync '%s': what is not known to be on disk is written again", dir);
        r = find(dir, CLEAN_STOP_NAME, path);
        *ret_clean = r == 0 && !state->writes_again;
        if (r)
                return r == -ENOENT ? 0 : r;
        r = file_unlink(path);
        return r ? r : file_sync_directory(dir);
}

/* It is not synced: a power cut may take it along, as it does with what only passes for written. */
const char *last_stop_note_failure(const State *state) {
        char path[PATH_MAX];
        if (!atomic_load(&file_sync_has_failed) || find(state->config->data_dir, FAILED_SYNC_NAME, path) == 0)
                return "";
        int fd = file_open(path, O_WRONLY | O_CREAT);
        file_close(fd);
        return fd >= 0 ? "" : "; that could not be noted there, so restart the machine first: the next start would read from memory what is not on "
                              "disk, and take it for written";
}

int last_stop_write_clean(const State *state) {
        const char *dir = state->config->data_dir;
        char path[PATH_MAX], text[64];
        int r = find(dir, FAILED_SYNC_NAME, path);
        if (r == 0)
                r = file_unlink(path);
        if (r && r != -ENOENT)
                return r;
        snprintf(text, sizeof(text), "{\"version\":0,\"brokerEpoch\":%lld}", (long long)state->broker_epoch);
        return checkpoint_write_text(dir, CLEAN_STOP_NAME, str_of(text));
}
