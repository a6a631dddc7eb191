/* What the files of the PostgreSQL client share; not installed. pg.c owns the connection, pg_unit.c
 * what runs on it. */
#ifndef VD_CORE_PG_IMPL_H
#define VD_CORE_PG_IMPL_H

#include <libpq-fe.h>
#include <uv.h>

#include "map.h"
#include "pg.h"
#include "trouble.h"

#define VD_PG_SQLSTATE_BYTES 6

enum vd_pg_state {
    VD_PG_WAITING,    /* no connection; the timer starts one */
    VD_PG_CONNECTING, /* PQconnectPoll is at work */
    VD_PG_SESSION,    /* session_sql runs, outside pipeline mode */
    VD_PG_READY,      /* units run */
    VD_PG_BROKEN,     /* the connection went during a call of ours; the timer tells of it */
    VD_PG_CLOSED,
};

struct vd_pg_watch; /* a uv_poll_t of its own, as a descriptor changes and closing takes time */

struct vd_pg {
    enum vd_pg_state state;
    struct vd_loop *loop;
    struct vd_log *log; /* borrowed */
    struct vd_pg_events events;
    char *conninfo, *session_sql, *application;

    PGconn *conn;
    struct vd_pg_watch *watch; /* NULL: nothing is watched */
    uv_timer_t timer;          /* retry, connect limit, reply limit, or the news of a break */
    uv_timer_cb on_timer;      /* both set once: they stand below their users in pg.c */
    uv_poll_cb on_poll;
    struct vd_err trouble;     /* why it broke; what session_sql failed with */
    struct vd_trouble *server; /* borrowed; hears whether the server answers. NULL: nobody does */
    struct vd_witness witness; /* what it heard of this connection */
    bool was_ready;

    int64_t connect_ms, reply_ms;
    int64_t backoff_ms;
    int64_t ready_at_ms;    /* when this connection became ready */
    int64_t progress_at_ms; /* when bytes last moved */

    struct vd_map statements; /* of struct statement, by the literal's address */
    unsigned statement_serial;
    struct vd_pg_reply *first, *last; /* segments under way, oldest first */
    size_t unit_count;                /* of them units */
};

/* ---- pg.c ------------------------------------------------------------------------------------ */

/* Tell 'server' from now on whether this connection finds its server. */
void vd_pg_report_to(struct vd_pg *pg, struct vd_trouble *server);

/* Send what can be sent, and watch for what the connection waits for. */
void vd_pg_flush(struct vd_pg *pg);

/* The connection cannot be used any more: take its words and tell of it from the loop. */
void vd_pg_break(struct vd_pg *pg, const char *goal);

/* "GOAL: WORDS" with libpq's line ends made into "; ". Returns VD_FAILED. */
enum vd_status vd_pg_words(struct vd_err *err, const char *goal, const char *words);

/* ---- pg_unit.c ------------------------------------------------------------------------------- */

/* Read every result that is there and answer units; the caller looks at 'state' afterwards. */
void vd_pg_units_read(struct vd_pg *pg);

/* Answer every unit: the connection is gone. */
void vd_pg_units_fail(struct vd_pg *pg, const struct vd_err *err);

/* A new connection knows none of the statements. */
void vd_pg_statements_forget(struct vd_pg *pg);
void vd_pg_statements_fini(struct vd_pg *pg);

#endif
