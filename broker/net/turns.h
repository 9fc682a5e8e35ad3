/* Turns of the loop that took too long: while one runs, nobody else is served.
 *
 * Their number and the longest are always counted, at the price of a clock reading a turn. With --verbose each is told, with the time that
 * was its own: that in which it ran or, having given the processor up, waited for a disk. For the rest of it the machine gave the processor
 * to others. The same is told of the step that had the most: a turn of many short steps keeps nobody waiting, since answers leave in
 * between. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TURN_LONG_NS 2000000 /* a turn that takes longer is counted */

typedef struct TurnUsage {
        int64_t own_ns, cpu_ns, waits;
} TurnUsage;

typedef struct Turns {
        int64_t count, long_count, longest_ns;
        int64_t begun_ns;  /* of the present turn */
        TurnUsage begun;   /* likewise, where it is told in full */
        const char *step;  /* the present one, since step_begun; NULL: none */
        TurnUsage step_begun;
        const char *longest_step;
        TurnUsage longest;
        bool is_told;      /* turns are told in full */
        int schedstat_fd;  /* where the kernel says how long the thread waited for a processor; only if it is_told */
} Turns;

#define TURNS_INIT ((Turns){ .schedstat_fd = -1 })

void turns_deinit(Turns *turns);

/* A turn begins, at that time of the monotonic clock, in ns. */
void turns_begin(Turns *turns, int64_t now_ns);
void turns_end(Turns *turns);
/* The turn's next step begins. step is a literal, or lives as long. */
void turns_tell(Turns *turns, const char *step);
static inline void turns_step(Turns *turns, const char *step) {
        if (turns->is_told)
                turns_tell(turns, step);
}
/* What the present step turned out to be. */
static inline void turns_name_step(Turns *turns, const char *step) {
        turns->step = step;
}
/* Says how many were too long. */
void turns_report(const Turns *turns);
