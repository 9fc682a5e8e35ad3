/* One write(2) per line, so that lines of several threads never mix. */
#include "storage/base/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 4096 /* the longest path of a data directory, and what to do about it; a pipe takes that at once */

TraceLevel trace_level = TRACE_INFO;

/* Paths may hold anything: a line stays one, and a terminal gets no orders. */
static void tame(char *text, size_t size) {
        for (size_t i = 0; i < size; i++)
                if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
                        text[i] = '?';
}

void trace_line(TraceLevel level, const char *format, ...) {
        static const char *const names[] = { "ERROR", "WARN", "INFO", "DEBUG" };
        if (level > trace_level)
                return;
        struct timespec now;
        struct tm tm;
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &tm);
        char line[LINE_BYTES_MAX];
        size_t used = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
        used += (size_t)snprintf(line + used, sizeof(line) - used, ".%03ldZ %s ", now.tv_nsec / 1000000, names[level]);
        va_list args;
        va_start(args, format);
        int n = vsnprintf(line + used, sizeof(line) - used, format, args);
        va_end(args);
        used += n > 0 ? (size_t)n : 0;
        if (used > sizeof(line) - 1)
                used = sizeof(line) - 1;
        tame(line, used);
        line[used++] = '\n';
        if (write(STDERR_FILENO, line, used) < 0)
                return; /* nobody listens; nothing better can be done */
}
