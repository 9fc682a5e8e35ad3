/* How the last run ended, as files in the data directory say: Kafka's marker of a clean stop, and one of our own after a failed sync.
 *
 * What a failed sync was to write the kernel keeps as if it were on disk. A start that finds the marker has the logs write again what is not
 * known to be there (LogOpen.writes_again). The marker goes at the next clean stop, which has synced all of it; until then each start does
 * the same, which costs time only. Kafka ignores it. */
#pragma once

#include "broker/state/state.h"

#define CLEAN_STOP_NAME ".kafka_cleanshutdown"
#define FAILED_SYNC_NAME ".failed_sync"

/* Whether the last stop was clean; the marker that says so is gone for good when this returns 0. Sets state->writes_again. 0 or -errno. */
int last_stop_take(State *state, bool *ret_clean);
/* The same of a directory that stays as it is. */
bool last_stop_was_clean(const char *dir);
bool last_stop_failed_sync(const char *dir);

/* When something has failed for good: leaves the marker of a failed sync, if there was one. On any thread. Returns the end of the log line: "",
 * or what to do since the next start will not know. */
const char *last_stop_note_failure(const State *state);
/* The end of a clean stop. 0 or -errno. */
int last_stop_write_clean(const State *state);
