/* A clock that only goes forward, and a pause, for programs that wait for others. */
#ifndef VD_TEST_WAIT_H
#define VD_TEST_WAIT_H

#include <stdint.h>
#include <time.h>

static inline int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void pause_ms(int64_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&pause, NULL); /* woken early: whoever waits looks once more */
}

#endif
