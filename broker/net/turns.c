#include "broker/net/turns.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "storage/base/time.h"
#include "storage/base/trace.h"

/* How long the thread had to wait for a processor, ever. */
static int64_t read_queued_ns(Turns *turns) {
        char text[128];
        int64_t queued_ns;
        if (turns->schedstat_fd < 0)
                turns->schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
        ssize_t size = turns->schedstat_fd < 0 ? -1 : pread(turns->schedstat_fd, text, sizeof(text) - 1, 0);
        text[size > 0 ? size : 0] = 0;
        return sscanf(text, "%*d %" SCNd64, &queued_ns) == 1 ? queued_ns : 0;
}

static TurnUsage usage_now(Turns *turns) {
        struct timespec cpu = { 0 };
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
        struct rusage usage = { 0 };
        getrusage(RUSAGE_THREAD, &usage);
        return (TurnUsage){ .own_ns = time_monotonic_ns() - read_queued_ns(turns), .cpu_ns = (int64_t)cpu.tv_sec * 1000000000 + cpu.tv_nsec,
                            .waits = usage.ru_nvcsw };
}

/* Who gave up nothing was kept from running also where the kernel does not say so: by interrupts, or by the host of a virtual machine. */
static TurnUsage usage_since(const TurnUsage *begun, const TurnUsage *now) {
        TurnUsage used = { .own_ns = now->own_ns - begun->own_ns, .cpu_ns = now->cpu_ns - begun->cpu_ns, .waits = now->waits - begun->waits };
        if (used.waits == 0)
                used.own_ns = used.cpu_ns;
        return used;
}

void turns_deinit(Turns *turns) {
        if (turns->schedstat_fd >= 0)
                close(turns->schedstat_fd);
        *turns = TURNS_INIT;
}

void turns_begin(Turns *turns, int64_t now_ns) {
        turns->begun_ns = now_ns;
        turns->is_told = trace_level >= TRACE_DEBUG;
        if (!turns->is_told)
                return;
        turns->begun = usage_now(turns);
        turns->step = turns->longest_step = NULL;
        turns->longest = (TurnUsage){ 0 };
}

void turns_tell(Turns *turns, const char *step) {
        TurnUsage now = usage_now(turns), used = usage_since(&turns->step_begun, &now);
        if (turns->step && used.own_ns > turns->longest.own_ns) {
                turns->longest = used;
                turns->longest_step = turns->step;
        }
        turns->step = step;
        turns->step_begun = now;
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
        TurnUsage used = usage_since(&turns->begun, &turns->step_begun);
        trace_debug("a turn took %.1f ms, %.1f ms of them its own, %.1f ms on a processor; longest step: %s, %.1f ms, %.1f ms on a processor",
                    ms(took_ns), ms(used.own_ns), ms(used.cpu_ns), turns->longest_step ? turns->longest_step : "none",
                    ms(turns->longest.own_ns), ms(turns->longest.cpu_ns));
}

void turns_report(const Turns *turns) {
        trace_debug("%lld turns, %lld of them longer than %.0f ms, the longest %.1f ms", (long long)turns->count,
                    (long long)turns->long_count, ms(TURN_LONG_NS), ms(turns->longest_ns));
}
