/* The data directory around the logs, laid out as Kafka's (KRaft). */
#include "broker/state/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "broker/state/adoption.h"
#include "broker/state/checkpoints.h"
#include "broker/state/deletion.h"
#include "broker/state/last_stop.h"
#include "broker/state/metadata/metadata.h"
#include "storage/base/ballast.h"
#include "storage/base/descriptors.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/checkpoint.h"

#define META_NAME "meta.properties"

static int entry_path(const State *state, const char *name, char path[static PATH_MAX]) {
        return snprintf(path, PATH_MAX, "%s/%s", state->config->data_dir, name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* mkdir -p. */
static int make_dirs(const char *dir) {
        char path[PATH_MAX];
        size_t size = strlen(dir);
        if (size == 0 || size >= sizeof(path))
                return size ? -ENAMETOOLONG : -EINVAL;
        memcpy(path, dir, size + 1);
        for (size_t i = 1; i <= size; i++) {
                if (path[i] != '/' && path[i] != '\0')
                        continue;
                path[i] = '\0';
                int r = file_make_directory(path);
                if (r == 0)
                        r = file_sync_parent(path);
                if (r && r != -EEXIST)
                        return r;
                path[i] = i < size ? '/' : '\0';
        }
        return 0;
}

static bool ends_with(const char *name, const char *tail) {
        size_t size = strlen(name), tail_size = strlen(tail);
        return size > tail_size && strcmp(name + size - tail_size, tail) == 0;
}

/* Names that a directory which was never ours may hold, or that our own first start may have left. */
static int is_somebodys(const struct dirent *entry, void *data) {
        static const char *const names[] = { ".lock", "lost+found", META_NAME ".tmp" };
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (strcmp(entry->d_name, names[i]) == 0)
                        return 0;
        return 1;
}

static int32_t configured_node_id(const Config *config, bool *ret_given) {
        static const char *const names[] = { "node.id", "broker.id" };
        for (size_t i = 0; i < 2; i++) {
                const ConfigKey *key = config_find_key(CONFIG_RESOURCE_BROKER, str_of(names[i]));
                const ConfigEntry *entry = key ? config_map_find(&config->broker, key) : NULL;
                int64_t value;
                if (entry && str_to_int64(str_of(entry->value), 0, INT32_MAX, &value)) {
                        *ret_given = true;
                        return (int32_t)value;
                }
        }
        *ret_given = false;
        return 1;
}

static int foreign(const State *state, const char *what) {
        trace_error("'%s' %s; name an empty or new directory, or the directory of an earlier run, as the data directory",
                    state->config->data_dir, what);
        return STATE_OPEN_FOREIGN;
}

/* A directory that anybody may write to is anybody's. */
static void check_mode(const State *state) {
        struct stat st;
        if (stat(state->config->data_dir, &st) == 0 && st.st_mode & S_IWOTH)
                trace_warn("anybody on this machine can write to data directory '%s'; chmod o-w closes it", state->config->data_dir);
}

/* 0, -ENOENT, or another -errno. */
static int find_metadata_log(const State *state) {
        char path[PATH_MAX];
        struct stat st;
        int r = entry_path(state, TOPIC_NAME_METADATA "-0", path);
        return r ? r : file_lstat(path, &st);
}

/* Without meta.properties: a new directory, or none of ours, or half of one. */
static int check_unnamed(State *state) {
        int r = file_each_entry(state->config->data_dir, is_somebodys, NULL);
        if (r <= 0)
                return r;
        r = find_metadata_log(state);
        if (r && r != -ENOENT)
                return r;
        if (r)
                return foreign(state, "is not empty and has no " META_NAME ", so it is not a broker's data directory");
        trace_error("'%s/" META_NAME "' is missing, though there is a metadata log; copy it, too, from where the directory is from",
                    state->config->data_dir);
        return STATE_OPEN_FOREIGN;
}

static int check_kind(const State *state, const char *name, mode_t kind) {
        char path[PATH_MAX];
        struct stat st;
        int r = entry_path(state, name, path);
        if (r || lstat(path, &st) || (st.st_mode & S_IFMT) == kind)
                return r;
        trace_error("'%s' is %s; put the %s itself there, or name another directory with --data. Nothing was changed", path,
                    file_alien(st.st_mode, kind), kind == S_IFDIR ? "directory" : "file");
        return STATE_OPEN_FOREIGN;
}

/* The metadata log is read before it is opened as a log. */
static int check_metadata_kinds(const State *state) {
        char path[PATH_MAX], name[NAME_MAX + sizeof(TOPIC_NAME_METADATA "-0/")];
        int r = entry_path(state, TOPIC_NAME_METADATA "-0", path);
        DIR *dir = r ? NULL : opendir(path);
        if (!dir)
                return r;
        for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
                snprintf(name, sizeof(name), TOPIC_NAME_METADATA "-0/%s", entry->d_name);
                if (ends_with(name, ".log") || ends_with(name, ".checkpoint"))
                        r = check_kind(state, name, S_IFREG);
        }
        closedir(dir);
        return r;
}

static int check_kinds(const State *state) {
        static const char *const names[] = { META_NAME, CLEAN_STOP_NAME, FAILED_SYNC_NAME, CHECKPOINT_RECOVERY_NAME, CHECKPOINT_START_NAME,
                                             CHECKPOINT_CLEANER_NAME, CHECKPOINT_REPLICATION_NAME, ".lock" };
        int r = check_kind(state, TOPIC_NAME_METADATA "-0", S_IFDIR);
        for (size_t i = 0; r == 0 && i < sizeof(names) / sizeof(names[0]); i++)
                r = check_kind(state, names[i], S_IFREG);
        return r ? r : check_metadata_kinds(state);
}

/* Looks before anything is written, so that a directory of somebody else stays as it is. */
static int check_ownership(State *state) {
        MetaProperties meta;
        const char *reason = NULL;
        int r = check_kinds(state);
        if (r)
                return r;
        r = checkpoint_read_meta(state->config->data_dir, &meta, &reason);
        if (r == -EUCLEAN) {
                char what[256];
                snprintf(what, sizeof(what), "has a " META_NAME " that cannot be used (%s)", reason ? reason : "malformed");
                return foreign(state, what);
        }
        if (r == -ENOENT)
                return check_unnamed(state);
        return r ? r : adoption_check(state->config->data_dir, &meta);
}

static int locked(const char *dir) {
        trace_error("data directory '%s' is in use by another broker; stop that one, or name another directory", dir);
        return STATE_OPEN_LOCKED;
}

/* flock() keeps other brokers of this kind out, the open-file lock a Kafka, which uses the POSIX kind. */
int data_dir_lock(State *state) {
        char path[PATH_MAX];
        int r = entry_path(state, ".lock", path);
        if (r)
                return r;
        int fd = file_open(path, O_RDWR | O_CREAT);
        if (fd < 0)
                return fd;
        state->lock_fd = fd;
        struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fcntl(fd, F_OFD_SETLK, &whole) == 0)
                return 0;
        if (errno != EWOULDBLOCK && errno != EACCES && errno != EAGAIN)
                return -errno;
        return locked(state->config->data_dir);
}

int data_dir_hold(const char *dir, int *ret_fd) {
        char path[PATH_MAX];
        *ret_fd = -1;
        if (snprintf(path, sizeof(path), "%s/.lock", dir) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        int fd = file_open(path, O_RDONLY);
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        struct flock whole = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
        if (flock(fd, LOCK_SH | LOCK_NB) == 0 && fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type == F_UNLCK) {
                *ret_fd = fd;
                return 0;
        }
        file_close(fd);
        return locked(dir);
}

static void take_meta(State *state, const MetaProperties *meta) {
        state->node_id = meta->node_id;
        state->directory_id = meta->directory_id;
        memcpy(state->cluster_id, meta->cluster_id, sizeof(state->cluster_id));
}

static int read_or_write_meta(State *state) {
        const char *dir = state->config->data_dir, *reason = NULL;
        MetaProperties meta;
        bool given;
        int32_t node_id = configured_node_id(state->config, &given);
        int r = checkpoint_read_meta(dir, &meta, &reason);
        if (r == -ENOENT) {
                Uuid cluster_id = uuid_random();
                meta = (MetaProperties){ .node_id = node_id, .directory_id = uuid_random() };
                uuid_to_text(&cluster_id, meta.cluster_id);
                r = checkpoint_write_meta(dir, &meta);
        }
        if (r)
                return r == -EUCLEAN ? STATE_OPEN_FOREIGN : r;
        if (given && meta.node_id != node_id) {
                trace_error("data directory '%s' belongs to node %d, but node.id is %d; set node.id=%d, or name another directory",
                            dir, meta.node_id, node_id, meta.node_id);
                return STATE_OPEN_FOREIGN;
        }
        take_meta(state, &meta);
        return 0;
}

int data_dir_inspect(State *state, bool *ret_clean_shutdown) {
        MetaProperties meta;
        const char *reason = NULL;
        int r = check_ownership(state);
        if (r == 0)
                r = checkpoint_read_meta(state->config->data_dir, &meta, &reason);
        if (r == -ENOENT)
                return foreign(state, "is no data directory");
        if (r)
                return r;
        take_meta(state, &meta);
        *ret_clean_shutdown = last_stop_was_clean(state->config->data_dir);
        return 0;
}

const char *data_dir_remedy(int r) {
        switch (r) {
        case -ENOSPC:
        case -EDQUOT:
                return "make room on its disk, or name a directory on another with --data";
        case -EACCES:
        case -EPERM:
        case -EROFS:
                return "let this user read and write there, or name another directory with --data";
        case -EMFILE:
        case -ENFILE:
                return "raise ulimit -n";
        default:
                return "name another directory with --data";
        }
}

void data_dir_complain(const char *what, const char *dir, int r) {
        const char *path = file_failed_path(r);
        size_t size = strlen(dir);
        if (path && strncmp(path, dir, size) == 0 && path[size] == '/')
                trace_error("cannot %s '%s': %s for '%s' in it; %s", what, dir, strerror(-r), path + size + 1, data_dir_remedy(r));
        else
                trace_error("cannot %s '%s': %s; %s", what, dir, strerror(-r), data_dir_remedy(r));
}

int data_dir_open(State *state) {
        int r = make_dirs(state->config->data_dir);
        if (r == 0)
                check_mode(state);
        if (r == 0)
                r = check_ownership(state);
        if (r == 0)
                r = data_dir_lock(state);
        if (r == 0)
                r = read_or_write_meta(state);
        if (r == 0)
                ballast_open(state->config->data_dir);
        if (r == 0)
                descriptors_keep();
        if (r < 0)
                data_dir_complain("open data directory", state->config->data_dir, r);
        return r;
}

static bool is_locked_one(const State *state) {
        char path[PATH_MAX];
        struct stat locked, found;
        if (state->lock_fd < 0 || fstat(state->lock_fd, &locked) || entry_path(state, ".lock", path))
                return true;
        int r = file_lstat(path, &found);
        return r ? r != -ENOENT && r != -ENOTDIR : found.st_ino == locked.st_ino && found.st_dev == locked.st_dev;
}

void data_dir_check(State *state) {
        if (state->failed || is_locked_one(state))
                return;
        state->failed = true;
        trace_error("data directory '%s' was removed or replaced (its .lock is not the one that was locked), so nothing more is acknowledged; "
                    "put it back, then start again", state->config->data_dir);
}

void data_dir_close(State *state) {
        if (state->lock_fd < 0)
                return;
        ballast_close();
        file_close(state->lock_fd);
        state->lock_fd = -1;
}

static bool is_directory(const State *state, const char *name, unsigned char type) {
        char path[PATH_MAX];
        struct stat st;
        if (type != DT_UNKNOWN)
                return type == DT_DIR;
        return entry_path(state, name, path) == 0 && file_lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* "TOPIC-PARTITION" of a directory that no topic owns. */
static bool is_stray(const State *state, const char *name) {
        const char *dash = strrchr(name, '-');
        int64_t index;
        return dash && str_to_int64(str_of(dash + 1), 0, INT32_MAX, &index) && strcmp(name, TOPIC_NAME_METADATA "-0") != 0 &&
               !partition_find(state, (Str){ name, (size_t)(dash - name) }, (int32_t)index);
}

/* Does the first half of a deletion that a crash cut short. */
static int doom_entry(const struct dirent *entry, void *data) {
        State *state = data;
        char path[PATH_MAX], *doomed;
        Uuid id;
        if (!is_stray(state, entry->d_name) || !is_directory(state, entry->d_name, entry->d_type) ||
            entry_path(state, entry->d_name, path) || checkpoint_read_partition_metadata(path, &id) || !deletion_was_replayed(state, &id))
                return 0;
        int r = log_doom_directory(path, &doomed);
        if (r == 0)
                free(doomed);
        return r;
}

static int check_entry(const struct dirent *entry, void *data) {
        State *state = data;
        char path[PATH_MAX], escaped[NAME_MAX + 1];
        const char *name = entry->d_name;
        if (name[0] == '.' || !strchr(name, '-') || !is_directory(state, name, entry->d_type) || entry_path(state, name, path))
                return 0;
        if (ends_with(name, "-delete"))
                state_remove_directory(state, strdup(path));
        else if (is_stray(state, name))
                trace_warn("stray partition directory '%s': no topic of the metadata log owns it; it is left alone",
                           str_escape(str_of(name), escaped, sizeof(escaped)));
        return 0;
}

void data_dir_check_strays(State *state) {
        int r = state->replayed_deletions.count ? file_each_entry(state->config->data_dir, doom_entry, state) : 0;
        if (r == 0)
                r = file_each_entry(state->config->data_dir, check_entry, state);
        if (r)
                trace_warn("cannot look for stray directories in '%s': %s", state->config->data_dir, strerror(-r));
}

static int64_t blocks_to_bytes(fsblkcnt_t blocks, unsigned long block_size) {
        int64_t bytes;
        return __builtin_mul_overflow(blocks, block_size, &bytes) ? INT64_MAX : bytes;
}

int data_dir_space(const State *state, int64_t *ret_total_bytes, int64_t *ret_usable_bytes) {
        struct statvfs fs;
        if (statvfs(state->config->data_dir, &fs))
                return -errno;
        *ret_total_bytes = blocks_to_bytes(fs.f_blocks, fs.f_frsize);
        *ret_usable_bytes = blocks_to_bytes(fs.f_bavail, fs.f_frsize);
        return 0;
}
