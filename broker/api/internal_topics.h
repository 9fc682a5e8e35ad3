/* The topics that coordinators keep their state in: made when they are first needed, for which handlers wait before they do anything. */
#pragma once

#include "broker/api/call.h"

/* As call_awaits_creation(). */
bool internal_topics_await_offsets(Call *call);
bool internal_topics_await_transactions(Call *call);
