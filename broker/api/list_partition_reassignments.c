/* ListPartitionReassignments: v0
 * Reassignments under way (KIP-455), of which one node never has any. */
#include "broker/api/api.h"

void api_list_partition_reassignments(Call *call) {
        ListPartitionReassignmentsResponse response = ListPartitionReassignmentsResponse_INIT;
        response.error_message = STR_NULL;
        call_reply(call, &response);
}
