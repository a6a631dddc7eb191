#include "delays.h"

#include <time.h>

void delays_add(struct delays *delays, int64_t ms)
{
    ms = ms < 0 ? 0 : ms;
    delays->bins[ms < DELAYS_MS_MAX ? ms : DELAYS_MS_MAX]++;
    delays->count++;
    delays->max_ms = ms > delays->max_ms ? ms : delays->max_ms;
}

int64_t delays_quantile(const struct delays *delays, int per_mille)
{
    int64_t wanted = (delays->count * per_mille + 999) / 1000;
    int64_t sum = 0;

    for (int ms = 0; ms <= DELAYS_MS_MAX && delays->count > 0; ms++) {
        sum += delays->bins[ms];
        if (sum >= wanted) {
            return ms;
        }
    }
    return -1;
}

int64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
