/* Looking at a connection string, and at the server behind it, before anything runs. */
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "pg_impl.h"

/* libpq quotes the piece it stumbled over, which may be one of a password. */
static bool may_hold_password(const char *conninfo)
{
    return strcasestr(conninfo, "pass") != NULL || strchr(conninfo, '@') != NULL;
}

enum vd_status vd_pg_check_conninfo(const char *conninfo, struct vd_err *err)
{
    char *words = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &words);

    if (options != NULL) {
        PQconninfoFree(options);
        return VD_OK;
    }
    if (words == NULL || may_hold_password(conninfo)) {
        (void)vd_fail(err, VD_INVALID, "not a connection string of PostgreSQL");
    } else {
        (void)vd_pg_words(err, "not a connection string of PostgreSQL", words);
    }
    PQfreemem(words);
    if (err != NULL) {
        err->status = VD_INVALID;
    }
    return VD_INVALID;
}

enum vd_status vd_pg_check_server(const char *conninfo, int64_t timeout_ms, struct vd_err *err)
{
    static const char *const names[] = {"fallback_application_name", "connect_timeout",
                                        "gssencmode", "dbname", NULL};
    char timeout_s[24];
    const char *const values[] = {"votingd/check", timeout_s, "disable", conninfo, NULL};
    enum vd_status status = VD_OK;
    PGconn *conn;

    if (vd_pg_check_conninfo(conninfo, err) != VD_OK) {
        return VD_INVALID;
    }
    (void)snprintf(timeout_s, sizeof(timeout_s), "%lld", (long long)((timeout_ms + 999) / 1000));
    conn = PQconnectdbParams(names, values, 1);
    if (PQstatus(conn) != CONNECTION_OK) {
        status = vd_pg_words(err, "could not connect to PostgreSQL", PQerrorMessage(conn));
    }
    PQfinish(conn);
    return status;
}
