/* The connection: connecting, session, loss, and trying again.
 *
 * A socket is watched only while libpq waits for it. The watch ends before every PQconnectPoll,
 * which may close the socket and open the next one under the same number, and with the call in
 * which an established connection is found lost: the loop must never poll a descriptor that is not
 * ours. */
#include "pg.h"

#include <assert.h>
#include <string.h>

#include "alloc.h"
#include "loop_uv.h"
#include "pg_impl.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 2000
#define GOOD_MS 5000 /* a connection that lasted as long was no mistake: begin with short waits */

struct vd_pg_watch {
    uv_poll_t poll;
    struct vd_pg *pg;
    int fd;
    int events;
};

static bool is_legal_step(enum vd_pg_state from, enum vd_pg_state to)
{
    switch (to) {
    case VD_PG_WAITING:
        return from != VD_PG_WAITING && from != VD_PG_CLOSED;
    case VD_PG_CONNECTING:
        return from == VD_PG_WAITING;
    case VD_PG_SESSION:
        return from == VD_PG_CONNECTING;
    case VD_PG_READY:
        return from == VD_PG_SESSION;
    case VD_PG_BROKEN:
        return from == VD_PG_READY;
    case VD_PG_CLOSED:
        return from != VD_PG_CLOSED;
    }
    return false;
}

static const char *state_name(enum vd_pg_state state)
{
    static const char *const names[] = {"waiting", "connecting", "session",
                                        "ready",   "broken",     "closed"};

    return names[state];
}

static void set_state(struct vd_pg *pg, enum vd_pg_state state)
{
    assert(is_legal_step(pg->state, state));
    vd_debug(pg->log, "PostgreSQL connection: %s after %s", state_name(state),
             state_name(pg->state));
    pg->state = state;
}

enum vd_status vd_pg_words(struct vd_err *err, const char *goal, const char *words)
{
    char line[VD_ERR_MSG_BYTES / 2];
    size_t len = 0;

    while (*words != '\0' && len + 3 < sizeof(line)) {
        if (*words != '\n') {
            line[len++] = *words++;
            continue;
        }
        words += strspn(words, " \t\n");
        if (*words != '\0') {
            line[len++] = ';';
            line[len++] = ' ';
        }
    }
    line[len] = '\0';
    return vd_fail(err, VD_FAILED, "%s: %s", goal, line);
}

/* ---- watching the socket --------------------------------------------------------------------- */

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void unwatch(struct vd_pg *pg)
{
    struct vd_pg_watch *watch = vd_take(pg->watch);

    if (watch != NULL) {
        watch->pg = NULL;
        uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
    }
}

/* False: the descriptor cannot be watched, so the connection is of no use. */
static bool watch(struct vd_pg *pg, int events)
{
    int fd = PQsocket(pg->conn);

    if (pg->watch != NULL && pg->watch->fd != fd) {
        unwatch(pg);
    }
    if (pg->watch == NULL) {
        struct vd_pg_watch *fresh = vd_alloc(sizeof(*fresh));

        if (fd < 0 || uv_poll_init(&pg->loop->uv, &fresh->poll, fd) != 0) {
            free(fresh); /* a failed init leaves nothing to close */
            return false;
        }
        fresh->poll.data = fresh;
        fresh->pg = pg;
        fresh->fd = fd;
        pg->watch = fresh;
    }
    if (pg->watch->events == events) {
        return true;
    }
    pg->watch->events = events;
    return uv_poll_start(&pg->watch->poll, events, pg->on_poll) == 0;
}

static void start_timer(struct vd_pg *pg, int64_t ms)
{
    (void)uv_timer_start(&pg->timer, pg->on_timer, (uint64_t)ms, 0); /* refused only when closed */
}

/* ---- loss ------------------------------------------------------------------------------------ */

/* Half of the wait is fixed, half is chance: nodes that lost the same server return one by one. */
static int64_t next_backoff(struct vd_pg *pg)
{
    int64_t half = pg->backoff_ms / 2;
    uint32_t chance = 0;

    (void)uv_random(NULL, NULL, &chance, sizeof(chance), 0, NULL); /* without, no jitter */
    pg->backoff_ms = pg->backoff_ms * 2 < BACKOFF_MAX_MS ? pg->backoff_ms * 2 : BACKOFF_MAX_MS;
    return half + (int64_t)(chance % (uint32_t)(half + 1));
}

static void drop(struct vd_pg *pg)
{
    unwatch(pg);
    PQfinish(vd_take(pg->conn));
    vd_pg_statements_forget(pg);
}

static void report(struct vd_pg *pg, const char *cause)
{
    if (pg->server != NULL) {
        vd_trouble_tell(pg->server, &pg->witness, cause, vd_loop_now_ms(pg->loop));
    }
}

/* 'err' must not be in 'pg': callbacks may close it. */
static void lose(struct vd_pg *pg, const struct vd_err *err)
{
    if (pg->ready_at_ms > 0 && vd_loop_now_ms(pg->loop) - pg->ready_at_ms >= GOOD_MS) {
        pg->backoff_ms = BACKOFF_MIN_MS;
    }
    pg->ready_at_ms = 0;
    set_state(pg, VD_PG_WAITING);
    drop(pg);
    start_timer(pg, next_backoff(pg));
    vd_debug(pg->log, "%s", err->msg);
    report(pg, err->msg);
    vd_pg_units_fail(pg, err);
    if (pg->state == VD_PG_WAITING && pg->events.on_lost != NULL) {
        pg->events.on_lost(pg->events.arg, err);
    }
}

static void lose_with_words(struct vd_pg *pg, const char *goal)
{
    struct vd_err err = {0};

    (void)vd_pg_words(&err, goal, PQerrorMessage(pg->conn));
    lose(pg, &err);
}

void vd_pg_break(struct vd_pg *pg, const char *goal)
{
    if (pg->state != VD_PG_READY) {
        return;
    }
    (void)vd_pg_words(&pg->trouble, goal, PQerrorMessage(pg->conn));
    set_state(pg, VD_PG_BROKEN);
    unwatch(pg);
    start_timer(pg, 0);
}

void vd_pg_flush(struct vd_pg *pg)
{
    int left;

    if (pg->state != VD_PG_READY) {
        return;
    }
    left = PQflush(pg->conn);
    if (left < 0 || PQstatus(pg->conn) != CONNECTION_OK ||
        !watch(pg, UV_READABLE | (left > 0 ? UV_WRITABLE : 0))) {
        vd_pg_break(pg, "lost the connection to PostgreSQL");
    } else if (pg->unit_count > 0 && !uv_is_active((uv_handle_t *)&pg->timer)) {
        pg->progress_at_ms = vd_loop_now_ms(pg->loop);
        start_timer(pg, pg->reply_ms);
    }
}

/* ---- ready ----------------------------------------------------------------------------------- */

static void become_ready(struct vd_pg *pg)
{
    if (PQenterPipelineMode(pg->conn) != 1 || !watch(pg, UV_READABLE)) {
        lose_with_words(pg, "could not set up the PostgreSQL session");
        return;
    }
    uv_timer_stop(&pg->timer);
    pg->ready_at_ms = vd_loop_now_ms(pg->loop);
    set_state(pg, VD_PG_READY);
    report(pg, NULL);
    vd_log_write(pg->log, pg->was_ready ? VD_LOG_DEBUG : VD_LOG_INFO,
                 "connected to PostgreSQL %s at %s, database \"%s\", server process %d",
                 PQparameterStatus(pg->conn, "server_version"), PQhost(pg->conn), PQdb(pg->conn),
                 PQbackendPID(pg->conn));
    pg->was_ready = true;
    if (pg->events.on_ready != NULL) {
        pg->events.on_ready(pg->events.arg);
    }
}

static void step_ready(struct vd_pg *pg, int events)
{
    struct vd_err err = {0};
    bool is_gone;

    pg->progress_at_ms = vd_loop_now_ms(pg->loop);
    is_gone = (events & UV_READABLE) != 0 && PQconsumeInput(pg->conn) != 1;
    if (is_gone || PQstatus(pg->conn) != CONNECTION_OK) {
        is_gone = true;
        unwatch(pg); /* libpq has closed the socket */
        (void)vd_pg_words(&err, "lost the connection to PostgreSQL", PQerrorMessage(pg->conn));
    }
    vd_pg_units_read(pg); /* also what came before the end */
    if (pg->state == VD_PG_READY && is_gone) {
        lose(pg, &err);
    } else {
        vd_pg_flush(pg);
    }
}

/* The silence has lasted as long as it may, or has been broken since the timer was set. */
static void check_silence(struct vd_pg *pg)
{
    int64_t silent_ms = vd_loop_now_ms(pg->loop) - pg->progress_at_ms;
    struct vd_err err = {0};

    if (pg->unit_count == 0) {
        return;
    }
    if (silent_ms < pg->reply_ms) {
        start_timer(pg, pg->reply_ms - silent_ms);
        return;
    }
    (void)vd_fail(&err, VD_FAILED, "lost the connection to PostgreSQL: no answer for %lld ms",
                  (long long)silent_ms);
    lose(pg, &err);
}

/* ---- session --------------------------------------------------------------------------------- */

static void note_session_result(struct vd_pg *pg, const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        return;
    default:
        if (pg->trouble.status == VD_OK) {
            (void)vd_pg_words(&pg->trouble, "could not set up the PostgreSQL session",
                              PQresultErrorMessage(result));
        }
    }
}

/* True when the last result was read. A COPY never ends, but is noted as trouble at once. */
static bool read_session(struct vd_pg *pg)
{
    while (!PQisBusy(pg->conn)) {
        PGresult *result = PQgetResult(pg->conn);

        if (result == NULL) {
            return true;
        }
        note_session_result(pg, result);
        PQclear(result);
        if (pg->trouble.status != VD_OK) {
            return true;
        }
    }
    return false;
}

static void step_session(struct vd_pg *pg)
{
    struct vd_err err;
    int left = PQflush(pg->conn);

    if (left < 0 || PQconsumeInput(pg->conn) != 1 ||
        !watch(pg, UV_READABLE | (left > 0 ? UV_WRITABLE : 0))) {
        lose_with_words(pg, "could not set up the PostgreSQL session");
    } else if (read_session(pg)) {
        err = pg->trouble;
        if (err.status == VD_OK) {
            become_ready(pg);
        } else {
            lose(pg, &err);
        }
    }
}

static void begin_session(struct vd_pg *pg)
{
    set_state(pg, VD_PG_SESSION);
    start_timer(pg, pg->reply_ms);
    pg->trouble = (struct vd_err){0};
    if (PQsetnonblocking(pg->conn, 1) != 0) {
        lose_with_words(pg, "could not set up the PostgreSQL session");
    } else if (pg->session_sql == NULL) {
        become_ready(pg);
    } else if (PQsendQuery(pg->conn, pg->session_sql) != 1) {
        lose_with_words(pg, "could not set up the PostgreSQL session");
    } else {
        step_session(pg);
    }
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void step_connecting(struct vd_pg *pg)
{
    PostgresPollingStatusType wanted;

    unwatch(pg);
    wanted = PQconnectPoll(pg->conn);
    if (wanted == PGRES_POLLING_OK) {
        begin_session(pg);
    } else if (wanted == PGRES_POLLING_FAILED ||
               !watch(pg, wanted == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE)) {
        lose_with_words(pg, "could not connect to PostgreSQL");
    }
}

static void on_notice(void *arg, const PGresult *result)
{
    struct vd_pg *pg = arg;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    vd_debug(pg->log, "PostgreSQL says %s: %s", severity != NULL ? severity : "",
             message != NULL ? message : "");
}

/* The first names are defaults, which 'conninfo' overrides; what follows it is fixed. A dead peer
 * is noticed by TCP: after 25 s of silence while idle, after 15 s with bytes on their way. */
static PGconn *start_conn(const struct vd_pg *pg)
{
    static const char *const names[] = {"fallback_application_name",
                                        "gssencmode",
                                        "keepalives_idle",
                                        "keepalives_interval",
                                        "keepalives_count",
                                        "tcp_user_timeout",
                                        "dbname",
                                        "client_encoding",
                                        NULL};
    const char *const values[] = {pg->application,
                                  "disable", /* looks for tickets, which may block */
                                  "10",
                                  "5",
                                  "3",
                                  "15000",
                                  pg->conninfo,
                                  "UTF8",
                                  NULL};

    return PQconnectStartParams(names, values, 1);
}

static void start_connecting(struct vd_pg *pg)
{
    set_state(pg, VD_PG_CONNECTING);
    pg->conn = start_conn(pg);
    start_timer(pg, pg->connect_ms);
    if (PQstatus(pg->conn) == CONNECTION_BAD || !watch(pg, UV_WRITABLE)) {
        lose_with_words(pg, "could not connect to PostgreSQL");
        return;
    }
    (void)PQsetNoticeReceiver(pg->conn, on_notice, pg); /* returns the one before */
}

/* ---- the loop's side ------------------------------------------------------------------------- */

static void wake(struct vd_pg *pg, int events)
{
    switch (pg->state) {
    case VD_PG_CONNECTING:
        step_connecting(pg);
        break;
    case VD_PG_SESSION:
        step_session(pg);
        break;
    case VD_PG_READY:
        step_ready(pg, events);
        break;
    case VD_PG_WAITING:
    case VD_PG_BROKEN:
    case VD_PG_CLOSED:
        assert(false); /* nothing is watched */
    }
}

static void on_poll(uv_poll_t *handle, int error, int events)
{
    struct vd_pg_watch *watching = handle->data;

    /* A socket with an error, such as a reset, may still have bytes to read, the server's last
     * words for instance. libuv stops polling it; forgetting what was asked for makes watch() go
     * on. */
    if (error != 0) {
        watching->events = 0;
        events = UV_READABLE;
    }
    wake(watching->pg, events);
}

static void run_out(struct vd_pg *pg)
{
    struct vd_err err = {0};

    switch (pg->state) {
    case VD_PG_WAITING:
        start_connecting(pg);
        break;
    case VD_PG_CONNECTING:
    case VD_PG_SESSION:
        (void)vd_fail(&err, VD_FAILED, "could not connect to PostgreSQL: no answer for %lld ms",
                      (long long)(pg->state == VD_PG_SESSION ? pg->reply_ms : pg->connect_ms));
        lose(pg, &err);
        break;
    case VD_PG_READY:
        check_silence(pg);
        break;
    case VD_PG_BROKEN:
        err = pg->trouble;
        lose(pg, &err);
        break;
    case VD_PG_CLOSED:
        assert(false); /* the timer is closed */
    }
}

static void on_timer(uv_timer_t *handle)
{
    run_out(handle->data);
}

struct vd_pg *vd_pg_new(struct vd_loop *loop, const char *conninfo, const char *session_sql,
                        struct vd_log *log, const struct vd_pg_events *events)
{
    struct vd_pg *pg = vd_alloc(sizeof(*pg));

    pg->loop = loop;
    pg->log = log;
    pg->events = events != NULL ? *events : (struct vd_pg_events){0};
    pg->conninfo = vd_strdup(conninfo);
    pg->session_sql = vd_strdup(session_sql);
    pg->application = vd_format("votingd/%s", vd_log_name(log));
    pg->backoff_ms = BACKOFF_MIN_MS;
    pg->on_timer = on_timer;
    pg->on_poll = on_poll;
    vd_pg_set_limits(pg, 0, 0);
    (void)uv_timer_init(&loop->uv, &pg->timer); /* always 0 */
    pg->timer.data = pg;
    start_timer(pg, 0);
    return pg;
}

void vd_pg_set_limits(struct vd_pg *pg, int64_t connect_ms, int64_t reply_ms)
{
    pg->connect_ms = connect_ms > 0 ? connect_ms : VD_PG_CONNECT_MS;
    pg->reply_ms = reply_ms > 0 ? reply_ms : VD_PG_REPLY_MS;
}

void vd_pg_report_to(struct vd_pg *pg, struct vd_trouble *server)
{
    pg->server = server;
}

bool vd_pg_is_ready(const struct vd_pg *pg)
{
    return pg->state == VD_PG_READY;
}

static void on_pg_closed(uv_handle_t *handle)
{
    struct vd_pg *pg = handle->data;

    vd_pg_statements_fini(pg);
    free(pg->conninfo);
    free(pg->session_sql);
    free(pg->application);
    free(pg);
}

void vd_pg_close(struct vd_pg *pg)
{
    struct vd_err err = {0};

    if (pg == NULL) {
        return;
    }
    set_state(pg, VD_PG_CLOSED);
    report(pg, NULL);
    drop(pg);
    (void)vd_fail(&err, VD_FAILED, "the connection to PostgreSQL is being closed");
    vd_pg_units_fail(pg, &err);
    uv_close((uv_handle_t *)&pg->timer, on_pg_closed);
}
