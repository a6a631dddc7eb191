/* A histogram of times, one bin a millisecond. */
#ifndef VD_TEST_BENCH_DELAYS_H
#define VD_TEST_BENCH_DELAYS_H

#include <stdint.h>

#define DELAYS_MS_MAX 60000

struct delays {
    uint32_t bins[DELAYS_MS_MAX + 1]; /* the last one holds all that is longer */
    int64_t count;
    int64_t max_ms;
};

void delays_add(struct delays *delays, int64_t ms);

/* So many thousandths do not exceed it; -1 of none. */
int64_t delays_quantile(const struct delays *delays, int per_mille);

/* Since 1970. */
int64_t wall_ms(void);

#endif
