/* A log-linear histogram of nanoseconds: 64 steps to each power of two, so a value is known within 1.6 %. */
#pragma once

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 6
#define HISTOGRAM_STEPS (1 << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS)

typedef struct Histogram {
        int64_t counts[HISTOGRAM_BUCKETS];
        int64_t count, max;
} Histogram;

static inline int histogram_bucket(int64_t value) {
        uint64_t v = value > 0 ? (uint64_t)value : 0;
        if (v < HISTOGRAM_STEPS)
                return (int)v;
        int shift = 63 - __builtin_clzll(v) - HISTOGRAM_STEP_BITS;
        return (shift + 1) * HISTOGRAM_STEPS + (int)((v >> shift) - HISTOGRAM_STEPS);
}

/* The middle of the values that fall into a bucket. */
static inline int64_t histogram_value(int bucket) {
        if (bucket < HISTOGRAM_STEPS)
                return bucket;
        int shift = bucket / HISTOGRAM_STEPS - 1;
        return ((int64_t)(bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << shift) + ((int64_t)1 << shift) / 2;
}

static inline void histogram_add(Histogram *histogram, int64_t value) {
        histogram->counts[histogram_bucket(value)]++;
        histogram->count++;
        if (value > histogram->max)
                histogram->max = value;
}

/* The value that so large a part (0.5: the median) does not exceed; 0 when nothing was added. */
static inline int64_t histogram_quantile(const Histogram *histogram, double part) {
        int64_t seen = 0;
        for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
                seen += histogram->counts[i];
                if (seen > 0 && (double)seen >= part * (double)histogram->count)
                        return histogram_value(i) < histogram->max ? histogram_value(i) : histogram->max;
        }
        return 0;
}
