#include "broker/state/groups/protocol_tally.h"

#include <errno.h>
#include <stdlib.h>

int protocol_tally_reserve(ProtocolTally *tally, int32_t name_count) {
        tally->rows = calloc((size_t)name_count + 1, sizeof(*tally->rows));
        return tally->rows ? 0 : -ENOMEM;
}

void protocol_tally_deinit(ProtocolTally *tally) {
        hashmap_deinit(&tally->by_name);
        free(tally->rows);
}

int protocol_tally_add(ProtocolTally *tally, Str name) {
        if (hashmap_find(&tally->by_name, name))
                return 0;
        return hashmap_insert(&tally->by_name, name, &tally->rows[tally->count++].node);
}

/* Most members name the same protocols in the same order. */
static TalliedProtocol *find_row(const ProtocolTally *tally, Str name, int32_t likely) {
        if (likely < tally->count && str_equal(tally->rows[likely].node.key, name))
                return &tally->rows[likely];
        HashNode *node = hashmap_find(&tally->by_name, name);
        return node ? container_of(node, TalliedProtocol, node) : NULL;
}

void protocol_tally_count(ProtocolTally *tally, const MemberProtocol *protocols, int32_t protocol_count) {
        tally->member_count++;
        for (int32_t i = 0; i < protocol_count; i++) {
                TalliedProtocol *row = find_row(tally, str_of(protocols[i].name), i);
                if (!row || row->last == tally->member_count)
                        continue;
                row->last = tally->member_count;
                row->supporters++;
        }
}

TalliedProtocol *protocol_tally_find(const ProtocolTally *tally, Str name) {
        TalliedProtocol *row = find_row(tally, name, 0);
        return row && row->supporters == tally->member_count ? row : NULL;
}

bool protocol_tally_has_common(const ProtocolTally *tally) {
        for (int32_t i = 0; i < tally->count; i++)
                if (tally->rows[i].supporters == tally->member_count)
                        return true;
        return false;
}
