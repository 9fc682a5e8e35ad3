/* What follows the deletion of a topic, on other threads, while the broker goes on: nobody waits for the disk.
 *
 * First its record reaches the disk; until then everything stays as it is there, or a power cut would leave half of a topic that
 * nobody was told is gone. Then the groups' offsets of it are dropped; when their tombstones are as durable as offsets are, and no
 * sync or compaction under way needs its files any more, the directories are renamed, durably, and unlinked; and with the next
 * checkpoint the last rows about it go. Until then nothing can take its name: what is left would be taken for the new topic's. */
#pragma once

#include "broker/state/state.h"

typedef struct Deletion Deletion;

/* Before the record is written. 0 or -ENOMEM. */
int deletion_new(State *state, Topic *topic, Deletion **ret_deletion);
/* It was not. */
void deletion_cancel(State *state, Deletion *deletion);
/* It was, and the topic is in no map any more: takes the topic over, and closes its logs. */
void deletion_start(State *state, Deletion *deletion);

/* Whether a name has to be waited for, and makes haste then; who waits with state_wait_sync() is to ask again. */
bool deletion_holds_name(State *state, Str name);
/* What keeps a name from being taken: 0 nothing; -EBUSY as above; another -errno: what could not be cleared away. */
int deletion_check_name(State *state, Str name);

/* After the replay: drops the offsets of topics that are not there, where a crash came first. */
void deletions_resume(State *state);

/* The topic of a node of state->deletions, where the checkpoint files have to keep its rows; or NULL. */
const Topic *deletion_keeps_rows(const HashNode *node);
/* The checkpoint files were written, or not. */
void deletion_checkpointed(State *state, int result);

/* For the start: the replay has seen the end of that topic, and a directory of it is one that a crash left. */
void deletion_replayed(State *state, const Uuid *topic_id);
bool deletion_was_replayed(const State *state, const Uuid *topic_id);
void deletion_forget_replayed(State *state);

/* Frees what is still on its way. */
void deletions_close(State *state);
