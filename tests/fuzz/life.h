/* A broker's state on a directory, without sockets: from its start over some hours to its end, and once more. */
#pragma once

#include <stdbool.h>

/* What the second start finds is what the first one left; with is_fine it finds no damage, either. 0, or what state_open() said. */
int life_lead(char *dir, bool is_fine);
