/* Whether a directory, which Apache Kafka may have left, asks for something that is not served here. Reads only. */
#pragma once

#include "broker/state/state.h"
#include "storage/checkpoint.h"

/* Looks at the metadata log of the directory: voters and brokers, feature levels, kinds of records, where partitions are kept. 0 when
 * nothing is in the way, or there is no such log yet; STATE_OPEN_FOREIGN, traced with what to do; -errno. Damage is left to those
 * who open the log. */
int adoption_check(const char *dir, const MetaProperties *meta);
