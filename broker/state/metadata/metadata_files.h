/* The metadata log's files, read as they are: no log is opened, nothing is recovered, nothing is changed. */
#pragma once

#include "broker/state/metadata/metadata_replay.h"

/* Feeds the newest snapshot in the directory of the metadata log, and what the segments say behind it, up to the first batch that is
 * not sound. *ret_end is the offset behind the last record. 0; -ENOENT without a log; -EUCLEAN; -errno. */
int metadata_files_replay(MetadataReplay *replay, const char *path, int64_t *ret_end);
