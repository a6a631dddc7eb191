/* Another node that holds locks and does not go on: it was stopped, or cut off, between the first
 * statement of a unit and its end (exactly-once protocol, 4.3). */
#ifndef VD_VOTING_BLOCKER_H
#define VD_VOTING_BLOCKER_H

#include "log.h"
#include "pg.h"

#define VOTING_LOCKED "55P03" /* SQLSTATE: lock_timeout has passed */

/* End the sessions of such nodes, after 10 s; asked again while the lock is missed. What their
 * process was at is rolled back, and it does that again when it lives on. */
void voting_end_blockers(struct vd_pg *pg, struct vd_log *log);

#endif
