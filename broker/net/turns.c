#include "broker/net/turns.h"

#include <stddef.h>
#include <sys/resource.h>

#include "storage/base/time.h"
#include "storage/base/trace.h"

static TurnUsage usage_now(void) {
        struct rusage usage = { 0 };
        getrusage(RUSAGE_THREAD, &usage);
        int64_t cpu_us = (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
                         usage.ru_stime.tv_usec;
        return (TurnUsage){ .cpu_ns = cpu_us * 1000, .waits = usage.ru_nvcsw };
}

void turns_begin(Turns *turns, int64_t now_ns) {
        turns->begun_ns = now_ns;
        turns->is_told = trace_level >= TRACE_DEBUG;
        if (!turns->is_told)
                return;
        turns->begun = usage_now();
        turns->step = turns->longest_step = NULL;
        turns->longest_step_ns = 0;
}

void turns_tell(Turns *turns, const char *step) {
        int64_t now_ns = time_monotonic_ns();
        if (turns->step && now_ns - turns->step_ns > turns->longest_step_ns) {
                turns->longest_step_ns = now_ns - turns->step_ns;
                turns->longest_step = turns->step;
        }
        turns->step = step;
        turns->step_ns = now_ns;
}

static double ms(int64_t ns) {
        return (double)ns / 1e6;
}

void turns_end(Turns *turns) {
        int64_t took_ns = time_monotonic_ns() - turns->begun_ns;
        turns->count++;
        if (took_ns > turns->longest_ns)
                turns->longest_ns = took_ns;
        if (took_ns <= TURN_LONG_NS)
                return;
        turns->long_count++;
        if (!turns->is_told)
                return;
        turns_tell(turns, NULL);
        TurnUsage now = usage_now();
        trace_debug("a turn took %.1f ms, %.1f ms of them on a processor, and waited %lld times; longest step: %s, %.1f ms",
                    ms(took_ns), ms(now.cpu_ns - turns->begun.cpu_ns), (long long)(now.waits - turns->begun.waits),
                    turns->longest_step ? turns->longest_step : "none", ms(turns->longest_step_ns));
}

void turns_report(const Turns *turns) {
        trace_debug("%lld turns, %lld of them longer than %.0f ms, the longest %.1f ms", (long long)turns->count,
                    (long long)turns->long_count, ms(TURN_LONG_NS), ms(turns->longest_ns));
}
