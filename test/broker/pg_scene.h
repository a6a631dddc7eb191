/* A PostgreSQL server for the tests, named by DATABASE_URL, and clients on it. Everything happens
 * in a schema of the program's own, which is dropped at the end. */
#ifndef VD_TEST_BROKER_PG_SCENE_H
#define VD_TEST_BROKER_PG_SCENE_H

#include "loop_uv.h"
#include "pg.h"

#include "../unit/test.h"

/* A client and what became of it. */
struct client {
    struct vd_pg *pg;
    struct vd_loop *loop;
    int ready, lost;
    char lost_msg[VD_ERR_MSG_BYTES];
};

/* A unit's answer, copied out of the reply. */
struct answer {
    int count;
    enum vd_status status;
    char msg[VD_ERR_MSG_BYTES];
    char sqlstate[6];
    size_t rows;
    int64_t affected;
    char text[256]; /* first field of the last statement; "NULL" */
    size_t len;
    size_t stmts;         /* to be set before: how many there are */
    struct client *close; /* to be set before: closed in the callback */
};

/* The server's URL; SQL that a session in the schema begins with. */
extern const char *scene_url;
extern char scene_session[128];

/* Turn the loop until *counter is at least 'wanted'; fails the test after 30 s. */
void scene_turn_until(struct vd_loop *loop, const int *counter, int wanted);

/* Turn until nothing is left and close the loop, which must succeed. */
void scene_close(struct vd_loop *loop);

void client_open_at(struct client *client, struct vd_loop *loop, const char *conninfo,
                    const char *session_sql);

/* At the server, in the schema, ready. */
void client_open(struct client *client, struct vd_loop *loop);

/* A vd_pg_done_fn that fills in the struct answer behind 'arg'. */
void client_on_answer(void *arg, const struct vd_pg_reply *reply);

/* Start a unit of 'count' statements without values. */
void client_start(struct client *client, const char *const *sql, size_t count,
                  struct answer *answer);

/* Run one statement and wait for its answer. */
void client_run_values(struct client *client, const char *sql, const struct vd_pg_value *values,
                       size_t count, struct answer *answer);

/* Run one statement without values and expect that it works. */
struct answer client_run(struct client *client, const char *sql);

/* False, with a word on standard output, if DATABASE_URL is not set: then main returns 77. */
bool scene_find(const char *program);

/* The group's setup and teardown. */
int scene_make(void **state);
int scene_drop(void **state);

#endif
