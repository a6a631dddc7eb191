/* A tiny HTTP server on the test's own loop, whose paths name its manners. */
#ifndef VD_TEST_UNIT_HTTP_SERVER_H
#define VD_TEST_UNIT_HTTP_SERVER_H

#include <uv.h>

struct peer;

/* Zeroed by its owner, who keeps it until the loop has turned after server_stop. */
struct server {
    uv_tcp_t tcp;
    struct peer *peers;
    int requests;
};

/* Listen on a free port of 127.0.0.1 and return it. */
int server_start(struct server *server, uv_loop_t *loop);

/* Stop listening, and hang up on everyone. */
void server_stop(struct server *server);

#endif
