/* Units of statements on a pipeline.
 *
 * A unit is one segment: its statements and a Sync. PostgreSQL runs a segment without BEGIN as one
 * transaction that the Sync commits; after an error it skips to the Sync and rolls back. So a unit
 * that was sent behind a failed one neither sees nor shares its fate, which an explicit BEGIN could
 * not promise: in an aborted block everything up to a ROLLBACK is refused.
 *
 * A statement is prepared in a segment of its own, in front of the unit that first needs it: within
 * the unit, an earlier error would skip the Parse that later units rely on. */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "failpoint.h"
#include "pg_impl.h"

#define SQLSTATE_LOST "08006"
#define SQLSTATE_NO_STATEMENT "26000"
#define SQLSTATE_CHANGED "0A000" /* "cached plan must not change result type" */

/* A prepared statement; lives as long as the client. */
struct statement {
    const char *sql; /* the literal */
    char *copy;      /* to find out a text that changed, which no literal does */
    unsigned serial; /* makes its name on the server */
    bool is_sent;    /* on this connection */
    char sqlstate[VD_PG_SQLSTATE_BYTES]; /* of the last attempt to prepare it; "" if it worked */
    struct vd_err err;                   /* likewise */
};

struct step {
    struct statement *statement;
    unsigned serial; /* of the statement when it was sent */
    PGresult *result;
};

/* A segment of the pipeline, which for a unit is also what its callback gets. */
struct vd_pg_reply {
    struct vd_pg_reply *next;
    struct statement *preparing; /* NULL: a unit */
    vd_pg_done_fn *on_done;
    void *arg;
    size_t at;       /* the step whose result is read */
    bool has_result; /* of that step, so that the NULL behind it is next */
    char sqlstate[VD_PG_SQLSTATE_BYTES];
    struct vd_err err; /* VD_OK until something failed */
    size_t count;
    struct step steps[];
};

/* ---- statements ------------------------------------------------------------------------------ */

static struct statement *statement_of(struct vd_pg *pg, const char *sql)
{
    struct statement *statement = vd_map_find(&pg->statements, &sql, sizeof(sql));

    if (statement == NULL) {
        statement = vd_alloc(sizeof(*statement));
        statement->sql = sql;
        statement->copy = vd_strdup(sql);
        statement->serial = ++pg->statement_serial;
        (void)vd_map_put(&pg->statements, &sql, sizeof(sql), statement); /* there was none */
    }
    assert(strcmp(statement->copy, sql) == 0);
    return statement;
}

void vd_pg_statements_forget(struct vd_pg *pg)
{
    const struct vd_map_slot *slot;
    size_t at = 0;

    while ((slot = vd_map_next(&pg->statements, &at)) != NULL) {
        ((struct statement *)slot->value)->is_sent = false;
    }
}

static void free_statement(void *value)
{
    struct statement *statement = value;

    free(statement->copy);
    free(statement);
}

void vd_pg_statements_fini(struct vd_pg *pg)
{
    vd_map_fini(&pg->statements, free_statement);
}

#define NAME_BYTES 16

static const char *name_of(unsigned serial, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "vd%u", serial); /* fits */
    return name;
}

/* ---- segments -------------------------------------------------------------------------------- */

static struct vd_pg_reply *add_segment(struct vd_pg *pg, size_t count)
{
    struct vd_pg_reply *segment = vd_alloc(sizeof(*segment) + count * sizeof(struct step));

    segment->count = count;
    if (pg->last != NULL) {
        pg->last->next = segment;
    } else {
        pg->first = segment;
    }
    pg->last = segment;
    return segment;
}

static void free_segment(struct vd_pg_reply *segment)
{
    for (size_t i = 0; i < segment->count; i++) {
        PQclear(segment->steps[i].result);
    }
    free(segment);
}

/* Take the oldest segment off and, if it is a unit, answer it. The callback may run and close. */
static void finish_first(struct vd_pg *pg)
{
    struct vd_pg_reply *segment = pg->first;

    pg->first = segment->next;
    if (pg->first == NULL) {
        pg->last = NULL;
    }
    if (segment->preparing == NULL) {
        pg->unit_count--;
        (void)VD_FAILPOINT(pg->log, pg_answered);
        segment->on_done(segment->arg, segment);
    }
    free_segment(segment);
}

void vd_pg_units_fail(struct vd_pg *pg, const struct vd_err *err)
{
    while (pg->first != NULL) {
        struct vd_pg_reply *segment = pg->first;

        if (segment->err.status == VD_OK) {
            segment->err = *err;
            memcpy(segment->sqlstate, SQLSTATE_LOST, VD_PG_SQLSTATE_BYTES);
        }
        finish_first(pg);
    }
}

/* ---- sending --------------------------------------------------------------------------------- */

static enum vd_status check_values(const struct vd_pg_stmt *stmt, struct vd_err *err)
{
    assert(stmt->count <= VD_PG_VALUES_MAX);
    for (size_t i = 0; i < stmt->count; i++) {
        const struct vd_pg_value *value = &stmt->values[i];

        if (value->len > VD_PG_VALUE_BYTES_MAX) {
            return vd_fail(err, VD_INVALID, "value $%zu: must be at most %zu bytes, got %zu", i + 1,
                           VD_PG_VALUE_BYTES_MAX, value->len);
        }
        if (value->data != NULL && !value->is_binary &&
            memchr(value->data, '\0', value->len) != NULL) {
            return vd_fail(err, VD_INVALID, "value $%zu: a text cannot contain a zero byte", i + 1);
        }
    }
    return VD_OK;
}

/* libpq wants texts with an end: those are copied, binary values are not. */
static bool send_step(struct vd_pg *pg, const struct vd_pg_stmt *stmt, const struct step *step)
{
    VD_AUTO(buf) struct vd_buf texts = {0};
    const char *values[VD_PG_VALUES_MAX];
    int lens[VD_PG_VALUES_MAX], formats[VD_PG_VALUES_MAX];
    char name[NAME_BYTES];
    size_t bytes = 0;

    for (size_t i = 0; i < stmt->count; i++) {
        bytes += stmt->values[i].is_binary ? 0 : stmt->values[i].len + 1;
    }
    vd_buf_reserve(&texts, bytes); /* at once: the pointers below must stay */
    for (size_t i = 0; i < stmt->count; i++) {
        const struct vd_pg_value *value = &stmt->values[i];

        values[i] = value->data;
        lens[i] = (int)value->len;
        formats[i] = value->is_binary ? 1 : 0;
        if (value->data != NULL && !value->is_binary) {
            values[i] = texts.data + texts.len;
            vd_buf_add(&texts, value->data, value->len);
            vd_buf_add_char(&texts, '\0');
        }
    }
    return PQsendQueryPrepared(pg->conn, name_of(step->serial, name), (int)stmt->count, values,
                               lens, formats, stmt->is_binary_result ? 1 : 0) == 1;
}

static bool send_prepare(struct vd_pg *pg, struct statement *statement)
{
    struct vd_pg_reply *segment = add_segment(pg, 1);
    char name[NAME_BYTES];

    segment->preparing = statement;
    statement->is_sent = true;
    return PQsendPrepare(pg->conn, name_of(statement->serial, name), statement->sql, 0, NULL) ==
               1 &&
           PQpipelineSync(pg->conn) == 1;
}

#ifdef VD_FAILPOINTS
static void flush_now(struct vd_pg *pg)
{
    while (PQflush(pg->conn) > 0) {
    }
}
#endif

static bool send_unit(struct vd_pg *pg, const struct vd_pg_stmt *stmts, size_t count,
                      struct vd_pg_reply *unit)
{
    for (size_t i = 0; i < count; i++) {
        if (!send_step(pg, &stmts[i], &unit->steps[i])) {
            return false;
        }
    }
    (void)VD_FAILPOINT_AFTER(pg->log, pg_sync, flush_now(pg));
    return PQpipelineSync(pg->conn) == 1;
}

static bool prepare_all(struct vd_pg *pg, const struct vd_pg_stmt *stmts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct statement *statement = statement_of(pg, stmts[i].sql);

        if (!statement->is_sent && !send_prepare(pg, statement)) {
            return false;
        }
    }
    return true;
}

enum vd_status vd_pg_run(struct vd_pg *pg, const struct vd_pg_stmt *stmts, size_t count,
                         vd_pg_done_fn *on_done, void *arg, struct vd_err *err)
{
    struct vd_pg_reply *unit;
    bool is_prepared;

    assert(count > 0 && on_done != NULL);
    if (pg->state != VD_PG_READY) {
        return vd_fail(err, VD_FAILED, "no connection to PostgreSQL");
    }
    if (pg->unit_count >= VD_PG_UNITS_MAX) {
        return vd_fail(err, VD_AGAIN, "%d units are under way in PostgreSQL", VD_PG_UNITS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (check_values(&stmts[i], err) != VD_OK) {
            return vd_fail_in(err, "statement %zu", i + 1);
        }
    }
    is_prepared = prepare_all(pg, stmts, count);
    unit = add_segment(pg, count);
    unit->on_done = on_done;
    unit->arg = arg;
    for (size_t i = 0; i < count; i++) {
        unit->steps[i].statement = statement_of(pg, stmts[i].sql);
        unit->steps[i].serial = unit->steps[i].statement->serial;
    }
    pg->unit_count++;
    if (is_prepared && send_unit(pg, stmts, count, unit)) {
        (void)VD_FAILPOINT_AFTER(pg->log, pg_sent, flush_now(pg));
        vd_pg_flush(pg);
    } else {
        vd_pg_break(pg, "could not send to PostgreSQL"); /* half a unit went out: start afresh */
    }
    return VD_OK;
}

/* ---- results --------------------------------------------------------------------------------- */

static enum vd_status status_of(const char *sqlstate)
{
    if (strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0) {
        return VD_INVALID;
    }
    if (strncmp(sqlstate, "40", 2) == 0 || strcmp(sqlstate, "55P03") == 0) {
        return VD_AGAIN;
    }
    return VD_FAILED;
}

/* The server does not know the statement: it could not be prepared, or someone dropped it, or a
 * table changed under it. Blame the former, and prepare it under a new name next time. */
static void mend_statement(struct vd_pg *pg, struct vd_pg_reply *unit)
{
    struct step *step = &unit->steps[unit->at];
    struct statement *statement = step->statement;
    bool is_unknown = strcmp(unit->sqlstate, SQLSTATE_NO_STATEMENT) == 0;

    if (is_unknown && statement->sqlstate[0] != '\0') {
        memcpy(unit->sqlstate, statement->sqlstate, sizeof(unit->sqlstate));
        unit->err = statement->err;
        (void)vd_fail_in(&unit->err, "statement %zu", unit->at + 1);
    } else if ((is_unknown || strcmp(unit->sqlstate, SQLSTATE_CHANGED) == 0) &&
               statement->serial == step->serial) {
        statement->serial = ++pg->statement_serial;
        statement->is_sent = false;
    }
}

/* Only the primary message is kept: the detail may hold a whole row. */
static void take_error(struct vd_pg *pg, struct vd_pg_reply *segment, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);

    if (segment->err.status != VD_OK) {
        return; /* the first one is the cause */
    }
    sqlstate = sqlstate != NULL && strlen(sqlstate) == 5 ? sqlstate : "XX000";
    message = message != NULL ? message : PQresStatus(PQresultStatus(result));
    memcpy(segment->sqlstate, sqlstate, VD_PG_SQLSTATE_BYTES);
    (void)vd_fail(&segment->err, status_of(sqlstate), "%s (SQLSTATE %s)", message, sqlstate);
    vd_debug(pg->log, "PostgreSQL refused: %s: %s", segment->err.msg, detail != NULL ? detail : "");
    if (segment->preparing != NULL) {
        (void)vd_fail_in(&segment->err, "could not prepare");
    } else if (segment->at < segment->count) {
        (void)vd_fail_in(&segment->err, "statement %zu", segment->at + 1);
        mend_statement(pg, segment);
    } else {
        (void)vd_fail_in(&segment->err, "could not commit");
    }
}

static void finish_prepare(struct vd_pg_reply *segment)
{
    struct statement *statement = segment->preparing;

    memcpy(statement->sqlstate, segment->sqlstate, sizeof(statement->sqlstate));
    statement->err = segment->err;
    if (segment->err.status != VD_OK) {
        statement->is_sent = false;
    }
}

/* False: the result is none that a pipeline gives, so we no longer know where we are. */
static bool take_result(struct vd_pg *pg, struct vd_pg_reply *segment, PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_PIPELINE_SYNC:
        PQclear(result);
        if (segment->at != segment->count) {
            return false;
        }
        if (segment->preparing != NULL) {
            finish_prepare(segment);
        }
        finish_first(pg);
        return true;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        if (segment->at == segment->count || segment->has_result) {
            PQclear(result);
            return false;
        }
        segment->steps[segment->at].result = result;
        break;
    case PGRES_FATAL_ERROR:
        take_error(pg, segment, result);
        PQclear(result);
        break;
    case PGRES_PIPELINE_ABORTED:
        PQclear(result);
        break;
    default:
        PQclear(result);
        return false;
    }
    segment->has_result = true;
    return true;
}

/* One step forward; false when there is nothing more to read. */
static bool read_one(struct vd_pg *pg, int *nulls)
{
    struct vd_pg_reply *segment = pg->first;
    PGresult *result = PQgetResult(pg->conn);

    if (result == NULL) {
        if (segment->has_result && segment->at < segment->count) {
            segment->at++;
        }
        segment->has_result = false;
        return ++*nulls < 2;
    }
    *nulls = 0;
    if (PQstatus(pg->conn) != CONNECTION_OK &&
        PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL) {
        PQclear(result); /* libpq's own words for the loss, which the caller has */
        return false;
    }
    if (!take_result(pg, segment, result)) {
        vd_pg_break(pg, "lost track of the answers of PostgreSQL");
    }
    return true;
}

void vd_pg_units_read(struct vd_pg *pg)
{
    int nulls = 0;

    while (pg->state == VD_PG_READY && pg->first != NULL && !PQisBusy(pg->conn)) {
        if (!read_one(pg, &nulls)) {
            return;
        }
    }
}

/* ---- the reply ------------------------------------------------------------------------------- */

const struct vd_err *vd_pg_reply_err(const struct vd_pg_reply *reply)
{
    return reply->err.status != VD_OK ? &reply->err : NULL;
}

const char *vd_pg_reply_sqlstate(const struct vd_pg_reply *reply)
{
    return reply->sqlstate;
}

/* NULL where there are no rows to show. */
static const PGresult *rows_of(const struct vd_pg_reply *reply, size_t stmt)
{
    assert(stmt < reply->count);
    return reply->err.status == VD_OK ? reply->steps[stmt].result : NULL;
}

size_t vd_pg_reply_rows(const struct vd_pg_reply *reply, size_t stmt)
{
    return (size_t)PQntuples(rows_of(reply, stmt)); /* 0 of NULL */
}

int64_t vd_pg_reply_affected(const struct vd_pg_reply *reply, size_t stmt)
{
    const PGresult *result = rows_of(reply, stmt);

    /* PQcmdTuples only reads, in spite of its type; "" where nothing is counted. */
    return result != NULL ? strtoll(PQcmdTuples((PGresult *)(uintptr_t)result), NULL, 10) : 0;
}

const char *vd_pg_reply_get(const struct vd_pg_reply *reply, size_t stmt, size_t row, size_t column,
                            size_t *len)
{
    const PGresult *result = rows_of(reply, stmt);

    assert(result != NULL && row < (size_t)PQntuples(result) && column < (size_t)PQnfields(result));
    if (PQgetisnull(result, (int)row, (int)column)) {
        return NULL;
    }
    if (len != NULL) {
        *len = (size_t)PQgetlength(result, (int)row, (int)column);
    }
    return PQgetvalue(result, (int)row, (int)column);
}
