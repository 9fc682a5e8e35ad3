/* What the metadata log says, as records: for each thing the newest one, and nothing of what is gone.
 *
 * Made from the records alone, so that a worker can do it, and so that records of kinds that mean nothing here, which a Kafka left
 * in its log, go into our snapshots all the same: those of known keys replace one another, others are all kept, in order. */
#pragma once

#include "broker/state/metadata/metadata_replay.h"
#include "storage/base/list.h"

typedef struct MetadataImage {
        MetadataReplay replay; /* feed it: metadata_replay_bytes(), metadata_replay_snapshot() */
        HashMap by_key;
        List records;       /* in the order of their first appearance */
        Str kraft_version, voters; /* values of the newest control records of these kinds, owned; null: none */
} MetadataImage;

/* In place: it points to itself. */
void metadata_image_init(MetadataImage *image);
void metadata_image_deinit(MetadataImage *image);

/* Calls each for every record; a negative result of each ends it. */
int metadata_image_each(const MetadataImage *image, int (*each)(Str record, void *data), void *data);
