/* RemoveRaftVoter: v0
 * Takes a controller out of the quorum (KIP-853), which is this node and cannot change. */
#include "broker/api/api.h"
#include "broker/api/cluster.h"

void api_remove_raft_voter(Call *call) {
        const RemoveRaftVoterRequest *request = call->request;
        RemoveRaftVoterResponse response = RemoveRaftVoterResponse_INIT;
        if (!cluster_check_id(call, request->cluster_id, &response.error_message)) {
                response.error_code = KAFKA_INCONSISTENT_CLUSTER_ID;
        } else if (request->voter_id < 0 || uuid_is_zero(&request->voter_directory_id)) {
                response.error_code = KAFKA_INVALID_REQUEST;
                response.error_message = STR("Remove voter request didn't include a valid voter");
        } else {
                response.error_code = KAFKA_UNSUPPORTED_VERSION;
                response.error_message = STR("Cluster doesn't support removing voter because the kraft.version feature is 0");
        }
        call_reply(call, &response);
}
