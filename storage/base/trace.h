/* Messages for the person who runs the broker, on stderr. ("log" means a partition's log here.)
 *
 * An error is traced once, where it stops. Client-supplied strings go through str_escape() first. */
#pragma once

typedef enum TraceLevel {
        TRACE_NONE = -1,
        TRACE_ERROR,
        TRACE_WARN,
        TRACE_INFO,
        TRACE_DEBUG,
} TraceLevel;

/* Messages above this level are dropped; TRACE_INFO unless set. */
extern TraceLevel trace_level;

/* One line: time, level, text. */
void trace_line(TraceLevel level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define trace_error(...) trace_line(TRACE_ERROR, __VA_ARGS__)
#define trace_warn(...) trace_line(TRACE_WARN, __VA_ARGS__)
#define trace_info(...) trace_line(TRACE_INFO, __VA_ARGS__)
#define trace_debug(...) (trace_level >= TRACE_DEBUG ? trace_line(TRACE_DEBUG, __VA_ARGS__) : (void)0)
