/* odradek repair: what a person decides about damage that no start touches. */
#include "broker/commands/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "broker/commands/inspection.h"
#include "broker/state/checkpoints.h"
#include "broker/state/data_dir.h"
#include "storage/base/file.h"
#include "storage/base/time.h"
#include "storage/base/trace.h"
#include "storage/checkpoint.h"

typedef struct Repair {
        FILE *out;
        int64_t cut_count, rebuilt_count;
        bool metadata_cut; /* with topics in it, perhaps */
        bool again; /* the second walk only tells what is left */
} Repair;

static void print_finding(Inspection *inspection, const CheckFinding *finding, const char *remedy) {
        Repair *repair = inspection->data;
        bool stray = finding->kind == CHECK_ODD && repair->again && repair->metadata_cut;
        if (stray)
                remedy = "if its topic was made in what was cut, its records are still there: kafka-dump-log shows them";
        if (finding->kind == CHECK_ROT || finding->kind == CHECK_DERIVED || stray)
                fprintf(repair->out, "%s%s: %s%s%s\n", repair->again ? "left: " : "", finding->path, finding->what, repair->again ? "; " : "",
                        repair->again ? remedy : "");
}

static void limit_points(Inspection *inspection, Partition *partition, int64_t offset) {
        if (!partition) {
                if (inspection->state->metadata_recovery_point > offset)
                        inspection->state->metadata_recovery_point = offset;
                return;
        }
        if (partition->recovery_point > offset)
                partition->recovery_point = offset;
        if (partition->checkpoint_start_offset > offset)
                partition->checkpoint_start_offset = offset;
}

/* The directory, or every segment in it, is gone: the partition goes on where it is known to have been, so that no offset means two records. */
static int begin_anew(Repair *repair, const char *path, Partition *partition) {
        int64_t offset = partition->recovery_point > partition->checkpoint_start_offset ? partition->recovery_point
                                                                                        : partition->checkpoint_start_offset;
        int r = file_make_directory(path);
        if (r == 0)
                r = file_sync_parent(path);
        if (r == 0 || r == -EEXIST)
                r = check_rebuild(path, offset, 0);
        if (r == 0)
                r = checkpoint_write_partition_metadata(path, &partition->topic->id, true);
        if (r)
                return r;
        partition->recovery_point = partition->checkpoint_start_offset = offset;
        repair->cut_count++;
        fprintf(repair->out, "%s: begun anew at offset %" PRId64 "; what was below is lost\n", path, offset);
        return 0;
}

static int cut(Repair *repair, const char *path, const Partition *partition, const CheckedLog *checked) {
        int64_t bytes;
        int r = check_cut(path, checked, &bytes);
        if (r)
                return r;
        repair->cut_count++;
        repair->metadata_cut |= !partition;
        fprintf(repair->out, "%s: cut at offset %" PRId64 "; %" PRId64 " bytes were moved to files *.log.cut-* beside it\n", path,
                checked->good_offset, bytes);
        return 0;
}

static int repair_log(Inspection *inspection, const char *path, Partition *partition, const CheckedLog *checked) {
        Repair *repair = inspection->data;
        bool gone = partition && checked->is_empty;
        int64_t end = checked->good_base >= 0 ? checked->good_offset : checked->end_offset;
        int r = 0;
        if (checked->alien_count)
                return 0; /* to be put right first: what lies behind may be sound then */
        if (gone && checked->rot_count)
                r = begin_anew(repair, path, partition);
        else if (checked->rot_count == 0 && checked->derived_count == 0)
                return 0;
        else if (checked->rot_count && checked->good_base < 0 && end >= (partition ? partition->recovery_point : 0))
                return 0; /* a file that is none: nothing to cut */
        else {
                if (checked->rot_count && checked->good_base >= 0)
                        r = cut(repair, path, partition, checked);
                if (r == 0 && checked->rot_count && checked->good_base < 0) {
                        repair->cut_count++;
                        fprintf(repair->out, "%s: goes on at offset %" PRId64 "\n", path, end);
                }
                if (r == 0 && checked->rot_count)
                        limit_points(inspection, partition, end);
                if (r == 0 && (checked->good_base < 0 || checked->rot_count))
                        r = check_rebuild(path, partition ? partition->checkpoint_start_offset : 0, inspection->state->now_ms);
                if (r == 0 && checked->derived_count) {
                        repair->rebuilt_count++;
                        fprintf(repair->out, "%s: indexes and snapshots were made anew\n", path);
                }
        }
        if (r)
                trace_error("cannot repair '%s': %s", path, strerror(-r));
        return r;
}

/* What the checkpoint files say must not reach beyond what is left. */
static int write_points(Inspection *inspection) {
        const Repair *repair = inspection->data;
        bool malformed = inspection->counts[CHECK_DERIVED] > 0;
        return repair->cut_count || malformed ? checkpoints_write(inspection->state) : 0;
}

/* The caller holds the lock. */
static int repair_all(Config *config, Repair *repair) {
        Inspection inspection = { .config = config, .found = print_finding, .checked = repair_log, .done = write_points, .data = repair };
        int r = inspection_run(&inspection, time_wall_ms());
        if (r)
                return r > 0 ? COMMAND_FOREIGN : COMMAND_DAMAGE;
        fprintf(repair->out, "%s: %" PRId64 " partitions were cut, %" PRId64 " got new indexes\n", config->data_dir, repair->cut_count,
                repair->rebuilt_count);
        if (inspection_is_fine(&inspection) && !repair->metadata_cut)
                return COMMAND_FINE;
        repair->again = true;
        Inspection left = { .config = config, .found = print_finding, .data = repair };
        return inspection_run(&left, time_wall_ms()) == 0 && inspection_is_fine(&left) ? COMMAND_FINE : COMMAND_DAMAGE;
}

static int run(Config *config, FILE *out) {
        Repair repair = { .out = out };
        State lock = { .config = config, .lock_fd = -1 };
        char meta[PATH_MAX];
        int64_t size;
        /* nothing is made in a directory that is nobody's */
        int r = snprintf(meta, sizeof(meta), "%s/meta.properties", config->data_dir) < (int)sizeof(meta) ? file_stat(meta, &size, NULL)
                                                                                                         : -ENAMETOOLONG;
        if (r) {
                trace_error("'%s' is no data directory: it has no meta.properties", config->data_dir);
                return COMMAND_FOREIGN;
        }
        r = data_dir_lock(&lock);
        if (r < 0)
                data_dir_complain("lock", config->data_dir, r);
        int code = r > 0 ? COMMAND_FOREIGN : r ? COMMAND_DAMAGE : repair_all(config, &repair);
        data_dir_close(&lock);
        return code;
}

int command_repair(int argc, char **argv, FILE *out) {
        static const char *const flags[] = { NULL };
        Config config;
        unsigned given;
        int r = command_config("repair", argc, argv, flags, &config, &given);
        if (r)
                return r;
        int code = run(&config, out);
        config_deinit(&config);
        return code;
}
