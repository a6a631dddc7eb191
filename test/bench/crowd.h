/* Many websocket clients of one dashboard on one thread: most behave as the page does, a share of
 * them stalls, vanishes or dawdles from some time on. */
#ifndef VD_TEST_BENCH_CROWD_H
#define VD_TEST_BENCH_CROWD_H

#include <stdint.h>

#include "delays.h"

enum crowd_kind {
    CROWD_HEALTHY,
    CROWD_STALLED,   /* takes nothing any more; its system fills its buffer */
    CROWD_UNPLUGGED, /* hears nothing and says nothing, in the middle of a frame */
    CROWD_SLOW,      /* reads SLOW_BYTES each SWEEP_MS */
    CROWD_KINDS
};

/* What the healthy ones saw since the last crowd_begin, but for the two counts. */
struct crowd_seen {
    int clients[CROWD_KINDS];
    int closed[CROWD_KINDS]; /* by the server */
    int64_t frames, bytes;
    int64_t pictures, skipped; /* a gap of n in "seq" counts n */
    uint64_t first_seq, last_seq;
    int behind;          /* that do not have the newest picture */
    struct delays delay; /* from the making of a frame to its reading */
    struct delays age;   /* from the arrival of its newest total at the dashboard */
    char farewell[96];   /* the last "bye" that a healthy one was told */
};

struct crowd;

/* Start the thread. 'bad' of the 'clients' to come are going to misbehave, a third each way. */
struct crowd *crowd_new(int port, int clients, int bad);

/* Open one more client. Returns: the status of the handshake, 0 if there was no answer. */
int crowd_open(struct crowd *crowd);

/* From now on those who are to misbehave do. */
void crowd_spoil(struct crowd *crowd);

/* Forget what was seen; what has been seen since then. */
void crowd_begin(struct crowd *crowd);
void crowd_look(struct crowd *crowd, struct crowd_seen *seen);

/* Hang up all of them. */
void crowd_free(struct crowd *crowd);

#endif
