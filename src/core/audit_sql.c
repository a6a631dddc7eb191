/* The database, read in one snapshot: rows come one by one, so that millions need no memory. */
#include <string.h>

#include "audit_run.h"
#include "pg_impl.h"

#define CONNECT_S "10"

struct vd_audit_row {
    const PGresult *result;
};

static enum vd_status fail_sql(const struct vd_audit_run *run, const char *goal, struct vd_err *err)
{
    return vd_pg_words(err, goal, PQerrorMessage(run->sql));
}

static enum vd_status begin(struct vd_audit_run *run, struct vd_err *err)
{
    static const char sql[] =
        "SET TIME ZONE 'UTC'; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    PGresult *result = PQexec(run->sql, sql);
    const ExecStatusType state = PQresultStatus(result);

    PQclear(result);
    return state == PGRES_COMMAND_OK ? VD_OK : fail_sql(run, "could not read the database", err);
}

enum vd_status vd_audit_connect(struct vd_audit_run *run, struct vd_err *err)
{
    static const char *const names[] = {"fallback_application_name", "connect_timeout",
                                        "gssencmode", "dbname", NULL};
    const char *const values[] = {"votingd/audit", CONNECT_S, "disable",
                                  run->topology->postgres.conninfo, NULL};

    run->sql = PQconnectdbParams(names, values, 1);
    if (PQstatus(run->sql) != CONNECTION_OK) {
        return fail_sql(run, "could not connect to PostgreSQL", err);
    }
    return begin(run, err);
}

/* Hand over the rows of the query under way. Libpq wants every result taken, also after a fault. */
static enum vd_status take_rows(struct vd_audit_run *run, vd_audit_row_fn *on_row, void *arg,
                                struct vd_err *err)
{
    enum vd_status status = VD_OK;
    int64_t count = 0;

    for (PGresult *result = PQgetResult(run->sql); result != NULL; result = PQgetResult(run->sql)) {
        const ExecStatusType state = PQresultStatus(result);

        if (state == PGRES_SINGLE_TUPLE) {
            on_row(arg, &(struct vd_audit_row){.result = result});
            vd_audit_tell(run, "PostgreSQL", ++count);
        } else if (state != PGRES_TUPLES_OK && status == VD_OK) {
            status = vd_pg_words(err, "could not read the database", PQresultErrorMessage(result));
        }
        PQclear(result);
    }
    vd_audit_tell(run, NULL, 0);
    return status;
}

enum vd_status vd_audit_query(struct vd_audit *audit, const char *sql, vd_audit_row_fn *on_row,
                              void *arg, struct vd_err *err)
{
    struct vd_audit_run *run = audit->run;

    if (run->sql == NULL && vd_audit_connect(run, err) != VD_OK) {
        return err->status;
    }
    if (PQsendQuery(run->sql, sql) != 1 || PQsetSingleRowMode(run->sql) != 1) {
        return fail_sql(run, "could not read the database", err);
    }
    return take_rows(run, on_row, arg, err);
}

const char *vd_audit_field(const struct vd_audit_row *row, size_t column, size_t *len)
{
    if (len != NULL) {
        *len = (size_t)PQgetlength(row->result, 0, (int)column);
    }
    return PQgetisnull(row->result, 0, (int)column) == 1 ? NULL
                                                         : PQgetvalue(row->result, 0, (int)column);
}
