/* Only a session with our own name, which the voting stages of all nodes share, that has written
 * and waits for its client: a unit is sent in one piece, so no living node keeps it waiting. What a
 * session waits for is a better sign than whom it blocks: by the time we know that a lock is held,
 * we no longer wait for it. */
#include "blocker.h"

static const struct vd_pg_stmt end_stmt = {
    .sql = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
           " WHERE datname = current_database() AND pid <> pg_backend_pid()"
           " AND application_name = current_setting('application_name')"
           " AND wait_event_type = 'Client' AND backend_xid IS NOT NULL"
           " AND xact_start < clock_timestamp() - interval '10 seconds'"};

static void on_ended(void *arg, const struct vd_pg_reply *reply)
{
    struct vd_log *log = arg;

    for (size_t i = 0; i < vd_pg_reply_rows(reply, 0); i++) {
        vd_warn(log,
                "ended the PostgreSQL session of another node, server process %s: it held locks "
                "for 10 s in the middle of its work",
                vd_pg_reply_get(reply, 0, i, 0, NULL));
    }
}

void voting_end_blockers(struct vd_pg *pg, struct vd_log *log)
{
    (void)!vd_pg_run(pg, &end_stmt, 1, on_ended, log, NULL); /* if not, at the next lock missed */
}
