/* AddRaftVoter: v0-1
 * Makes a controller a voter (KIP-853): the quorum is this node and cannot change, as in a Kafka with kraft.version 0. v1 may ask for an answer
 * before the change is committed. */
#include "broker/api/api.h"
#include "broker/api/cluster.h"

void api_add_raft_voter(Call *call) {
        const AddRaftVoterRequest *request = call->request;
        AddRaftVoterResponse response = AddRaftVoterResponse_INIT;
        if (!cluster_check_id(call, request->cluster_id, &response.error_message)) {
                response.error_code = KAFKA_INCONSISTENT_CLUSTER_ID;
        } else if (request->voter_id < 0 || uuid_is_zero(&request->voter_directory_id)) {
                response.error_code = KAFKA_INVALID_REQUEST;
                response.error_message = STR("Add voter request didn't include a valid voter");
        } else if (request->listeners_count == 0) {
                response.error_code = KAFKA_INVALID_REQUEST;
                response.error_message = STR("Add voter request didn't include the endpoint (Endpoints(endpoints={})) for the default "
                                             "listener ListenerName(CONTROLLER)");
        } else {
                response.error_code = KAFKA_UNSUPPORTED_VERSION;
                response.error_message = STR("Cluster doesn't support adding voter because the kraft.version feature is 0");
        }
        call_reply(call, &response);
}
