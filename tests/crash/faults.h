/* Faults at the n-th operation of the file seam, or the n-th allocation. */
#pragma once

#include <stdbool.h>

typedef enum FaultMode {
        FAULT_CUT,    /* the process died before the n-th operation that changes the disk */
        FAULT_TORN,   /* the n-th write got half way, or another operation through, then it died */
        FAULT_ONCE,   /* the n-th operation of any kind fails; a write, half way through */
        FAULT_SHORT,  /* the n-th operation that changes the disk, if it is a write, does but half of it, without an error */
        FAULT_ALWAYS, /* it fails, and all after it that change the disk */
        FAULT_MEMORY_ONCE,
        FAULT_MEMORY_ALWAYS, /* allocations, where the program is linked for it */
} FaultMode;

/* Operations are counted from here; n begins with 1. error is what fails with. */
void faults_arm(FaultMode mode, int n, int error);
/* Whether the n-th was reached. Operations work again. */
bool faults_disarm(void);
/* Where a sync of a file whose path contains this failed, what was written to it since the last one that did not is lost now, whatever
 * later ones said, unless it was written again before: the power failed. */
void faults_lose(const char *containing);
/* Whether there is something that can be lost so. */
bool faults_have_lost(void);
/* While held, nothing is counted and nothing fails. */
void faults_hold(bool held);
