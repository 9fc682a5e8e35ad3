/* Transactions during a walk over the log. Records of aborted ones go at once; a marker stays until all
 * records of its transaction are gone, since readers need it as long as they meet one of them. */
#include <errno.h>
#include <stdlib.h>

#include "storage/base/list.h"
#include "storage/compaction.h"

/* A producer in a transaction. */
typedef struct Ongoing {
        HashNode node;
        int64_t id;
        const AbortedTxn *aborted; /* NULL: it will be committed */
        bool has_records;          /* a batch of the aborted transaction was met */
} Ongoing;

static Ongoing *ongoing_find(const TxnWalk *walk, int64_t id) {
        Str key = { (const char *)&id, sizeof(id) };
        HashNode *node = walk->ongoing.count ? hashmap_find(&walk->ongoing, key) : NULL;
        return node ? container_of(node, Ongoing, node) : NULL;
}

static Ongoing *ongoing_add(TxnWalk *walk, int64_t id) {
        Ongoing *ongoing = calloc(1, sizeof(*ongoing));
        if (!ongoing)
                return NULL;
        ongoing->id = id;
        if (hashmap_insert(&walk->ongoing, (Str){ (const char *)&ongoing->id, sizeof(id) }, &ongoing->node) < 0) {
                free(ongoing);
                return NULL;
        }
        return ongoing;
}

static void ongoing_remove(TxnWalk *walk, Ongoing *ongoing) {
        hashmap_remove(&walk->ongoing, &ongoing->node);
        free(ongoing);
}

void txn_walk_deinit(TxnWalk *walk) {
        HASHMAP_FOREACH(&walk->ongoing, node)
                ongoing_remove(walk, container_of(node, Ongoing, node));
        hashmap_deinit(&walk->ongoing);
        *walk = (TxnWalk){ 0 };
}

/* Begins the aborted transactions whose first offset has come. */
static int begin_aborted(TxnWalk *walk, int64_t offset) {
        for (; walk->aborted_next < walk->aborted_count; walk->aborted_next++) {
                const AbortedTxn *txn = &walk->aborted[walk->aborted_next];
                if (txn->first_offset > offset)
                        break;
                if (txn->last_offset < walk->from_offset)
                        continue;
                Ongoing *ongoing = ongoing_find(walk, txn->producer_id);
                if (!ongoing)
                        ongoing = ongoing_add(walk, txn->producer_id);
                if (!ongoing)
                        return -ENOMEM;
                if (!ongoing->aborted) {
                        ongoing->aborted = txn;
                        ongoing->has_records = false;
                }
        }
        return 0;
}

int txn_walk_batch(TxnWalk *walk, const BatchHeader *header) {
        int r = begin_aborted(walk, batch_last_offset(header));
        if (r || !(header->attributes & BATCH_TRANSACTIONAL))
                return r;
        Ongoing *ongoing = ongoing_find(walk, header->producer_id);
        if (!ongoing)
                ongoing = ongoing_add(walk, header->producer_id);
        if (!ongoing)
                return -ENOMEM;
        ongoing->has_records = true;
        return ongoing->aborted != NULL;
}

int txn_walk_control(TxnWalk *walk, const BatchHeader *header, const uint8_t *data) {
        int r = begin_aborted(walk, batch_last_offset(header));
        if (r)
                return r;
        if (!header->record_count)
                return 1;
        BatchMarker marker;
        r = batch_read_marker(data, header, &marker);
        if (r != 1)
                return r;
        Ongoing *ongoing = ongoing_find(walk, header->producer_id);
        if (!ongoing || marker.commit != !ongoing->aborted)
                return 1;
        bool empty = !ongoing->has_records;
        if (!marker.commit && !empty && walk->kept)
                r = txn_index_append(walk->kept, ongoing->aborted);
        ongoing_remove(walk, ongoing);
        return r < 0 ? r : empty;
}
