/* What is done to an election, and when: a pure function of a seed. */
#ifndef VD_TEST_CHAOS_SCHEDULE_H
#define VD_TEST_CHAOS_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum act {
    ACT_KILL,     /* kill -9 of a node; start it again at once */
    ACT_STOP,     /* stop a node's process for 'ms': a zombie when it goes on */
    ACT_LEAVE,    /* end a node in good order; start it again after 'ms' */
    ACT_SPARE,    /* the spare node joins; or, if it is there, leaves: killed or in good order */
    ACT_BROKER,   /* kill -9 of Kafka, and start it after 'ms' */
    ACT_DATABASE, /* kill -9 or immediate stop of PostgreSQL, and start it after 'ms' */
    ACT_DISK,     /* Kafka's disk is full; it ends over it; start it after 'ms' */
    ACT_LINK,     /* a link fails, in one of the ways of enum failure, for 'ms' */
    ACT_CLOCK,    /* a node's wall clock jumps by an hour, for good */
    ACT_FOUL,     /* repeats and poison among the voters */
    ACTS
};

enum failure {
    FAILURE_CUT,       /* no connections */
    FAILURE_RESET,     /* those there are end with RST */
    FAILURE_DELAY,     /* by 500 ms */
    FAILURE_HOLD_UP,   /* half-open: what nodes send does not arrive */
    FAILURE_HOLD_DOWN, /* half-open: what servers answer does not arrive */
    FAILURES
};

struct event {
    enum act act;
    int pause_ms; /* before it */
    int node;
    int ms;
    bool is_aimed; /* a kill: while a transaction is open; of a server: kill 'node' in its absence;
                      else: which of two ways, links or directions */
    enum failure failure;
};

#define STEADY_NODES 2 /* they are always there, or come back at once */
#define SPARE 2        /* this one comes and goes */
#define NODES 3
#define EVENTS_MAX 8192

/* The next number of a sequence (splitmix64). */
uint64_t schedule_next(uint64_t *state);

/* Fill in 'events': so many kills of nodes, all else in proportion, with so many seconds of pauses
 * between them. Returns: how many there are. */
size_t schedule_make(uint64_t seed, int kills, int seconds, struct event *events);

#endif
