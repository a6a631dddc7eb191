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
    ACT_BROKER,   /* kill -9 of Kafka, and start it after 'ms' */
    ACT_DATABASE, /* kill -9 of PostgreSQL, and start it after 'ms' */
    ACT_FOUL,     /* repeats and poison among the voters */
};

struct event {
    enum act act;
    int pause_ms; /* before it */
    int node;
    int ms;
    bool
        is_aimed; /* a kill: while a transaction is open; of a server: kill 'node' in its absence */
};

#define NODES 2
#define EVENTS_MAX 4096

/* The next number of a sequence (splitmix64). */
uint64_t schedule_next(uint64_t *state);

/* Fill in 'events': so many kills and stops of nodes, in proportion to the kills all else, over so
 * many seconds. Returns: how many there are. */
size_t schedule_make(uint64_t seed, int kills, int stops, int seconds, struct event *events);

#endif
