/* What part of a process's CPU time the system spends in receiving: on loopback a sender's system
 * does the receiver's half in the middle of the sender's call. By the samples of perf, which needs
 * to be installed and allowed to see the kernel (root). */
#ifndef VD_TEST_BENCH_PROFILE_H
#define VD_TEST_BENCH_PROFILE_H

#include <sys/types.h>

struct profile {
    pid_t perf; /* 0: could not be started */
    char path[64];
};

/* Start to take samples of the whole machine for 'seconds'. */
void profile_start(struct profile *profile, int seconds);

/* Wait for the end. Returns: the part of the time of 'pid' that went into receiving, without what
 * acknowledgements of its own data took; -1 if perf does not tell. */
double profile_end(struct profile *profile, pid_t pid);

#endif
