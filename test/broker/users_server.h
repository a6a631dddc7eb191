/* A stub of the randomuser API in a process of its own, for tests: documents of its shape, a pure
 * function of page and row, and every way in which it goes wrong. */
#ifndef VD_TEST_BROKER_USERS_SERVER_H
#define VD_TEST_BROKER_USERS_SERVER_H

#include <stddef.h>
#include <sys/types.h>

enum users_answer {
    USERS_GOOD,
    USERS_SLOW_DOWN, /* 429 and {"error"} */
    USERS_OUTAGE,    /* 200 and {"error"} */
    USERS_FORBIDDEN, /* 403 and HTML */
    USERS_REDIRECT,  /* 301 */
    USERS_HALF,      /* the connection ends in the middle of the body */
    USERS_FEWER,     /* one user less than asked for */
    USERS_ENDLESS,   /* a body without end */
};

struct users_server {
    pid_t pid;
    int port;           /* of 127.0.0.1 */
    int volatile *seen; /* requests so far, shared with the process */
};

/* Answer the first 'count' requests as 'script' says, all others well. */
void users_server_start(struct users_server *server, const enum users_answer *script, size_t count);
void users_server_stop(struct users_server *server);

#endif
