/* Fail points: steps of the exactly-once protocol at which a test makes this process die, sleep or
 * leave the step out. Nothing of it is there unless built with -Dfailpoints=true; then the variable
 * VOTINGD_FAILPOINTS arms some: "voting.txn_offsets=kill@3;voting.pg_sent=stop".
 *
 *   STAGE.POINT=kill[@N]   SIGKILL to itself, the N-th time the point is reached (default: 1)
 *   STAGE.POINT=stop[@N]   SIGSTOP likewise; whoever watches continues it
 *   STAGE.POINT=skip[@N]   leave the step out; without @N every time
 *
 * What stands behind a ">" instead of a ";" counts only once that before it has acted. */
#ifndef VD_CORE_FAILPOINT_H
#define VD_CORE_FAILPOINT_H

#ifdef VD_FAILPOINTS

#include <stdbool.h>

#include "err.h"
#include "log.h"

/* X(name, whether it can be left out), in the order in which a batch comes by. */
#define VD_FAILPOINT_LIST(X)                                                              \
    X(polled, false)       /* a record was read */                                        \
    X(pg_sync, false)      /* statements are at PostgreSQL, the Sync that commits not */  \
    X(pg_sent, false)      /* the Sync is sent, too */                                    \
    X(pg_answered, false)  /* PostgreSQL has committed, the stage does not know */        \
    X(txn_begun, false)    /* a transaction, without records */                           \
    X(txn_some, false)     /* half of its records are at the broker */                    \
    X(txn_offsets, true)   /* all of them; offsets come next */                           \
    X(txn_end, true)       /* offsets too; EndTxn comes next */                           \
    X(txn_end_sent, false) /* on its way to the coordinator */                            \
    X(txn_answered, true)  /* the coordinator's answer; left out: it is taken for lost */ \
    X(txn_doubt, true)     /* about to ask what became of it; left out: "nothing" */      \
    X(committed, false)    /* the loop is about to take note of a commit */               \
    X(publish, false)      /* a record outside of transactions */

enum vd_failpoint {
#define X(name, can_skip) VD_FAILPOINT_##name,
    VD_FAILPOINT_LIST(X)
#undef X
        VD_FAILPOINT_COUNT
};

/* Arm what 'text' says; NULL: nothing. Call it before threads are started.
 * Fails: VD_INVALID: no such stage, point or action; the message lists those that there are. */
enum vd_status vd_failpoints_arm(const char *text, const char *const *stages, size_t stage_count,
                                 struct vd_err *err) VD_MUST_CHECK;

/* Will the next vd_failpoint_hit act? Thread: any. */
bool vd_failpoint_is_due(const struct vd_log *log, enum vd_failpoint point);

/* The stage that 'log' is named after has reached a point. Returns: true if the step is to be left
 * out. Thread: any. */
bool vd_failpoint_hit(const struct vd_log *log, enum vd_failpoint point);

#define VD_FAILPOINT(log, name) vd_failpoint_hit(log, VD_FAILPOINT_##name)

/* The same; only if it is due, first do 'what', which would be done a little later anyway. */
#define VD_FAILPOINT_AFTER(log, name, what)                  \
    __extension__({                                          \
        if (vd_failpoint_is_due(log, VD_FAILPOINT_##name)) { \
            what;                                            \
        }                                                    \
        vd_failpoint_hit(log, VD_FAILPOINT_##name);          \
    })

#else
#define VD_FAILPOINT(log, name) false
#define VD_FAILPOINT_AFTER(log, name, what) false
#endif

#endif
