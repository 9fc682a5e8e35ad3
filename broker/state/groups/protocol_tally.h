/* Which protocols all members of a group have. A client may name as many as fit a request: what is told here takes time in proportion to
 * the names, never to their product. */
#pragma once

#include "broker/state/groups/groups.h"

typedef struct TalliedProtocol {
        HashNode node;
        int32_t supporters; /* members that have it */
        int32_t last;       /* the last of those, by number */
        int32_t votes;      /* for its user */
} TalliedProtocol;

typedef struct ProtocolTally {
        HashMap by_name;
        TalliedProtocol *rows;
        int32_t count, member_count;
} ProtocolTally;

#define PROTOCOL_TALLY_INIT ((ProtocolTally){ .by_name = HASHMAP_INIT, .rows = NULL, .count = 0, .member_count = 0 })

/* Makes room for so many names. 0 or -ENOMEM. */
int protocol_tally_reserve(ProtocolTally *tally, int32_t name_count);
void protocol_tally_deinit(ProtocolTally *tally);
/* A protocol to look for; the name is not copied. 0 or -ENOMEM. */
int protocol_tally_add(ProtocolTally *tally, Str name);
/* A member that has these. */
void protocol_tally_count(ProtocolTally *tally, const MemberProtocol *protocols, int32_t protocol_count);
/* The row of a protocol that is looked for, and that all counted members have; otherwise NULL. */
TalliedProtocol *protocol_tally_find(const ProtocolTally *tally, Str name);
/* Whether there is one. */
bool protocol_tally_has_common(const ProtocolTally *tally);
