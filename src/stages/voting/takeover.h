/* Before a partition is read: the self-check, and what it mends (exactly-once protocol, 4.5). One
 * partition after the other; each waits until there are a ballot and a database. */
#ifndef VD_VOTING_TAKEOVER_H
#define VD_VOTING_TAKEOVER_H

#include "stage.h"

struct voting_takeover;

/* Owns: the caller, who ends it with voting_takeover_free in the stage's stop. */
struct voting_takeover *voting_takeover_new(struct vd_stage *stage);
void voting_takeover_free(struct voting_takeover *takeover); /* NULL is accepted */

/* The stage's answer to a question. */
void voting_takeover_ask(struct voting_takeover *takeover, struct vd_assign *assign);

/* There is a database with its tables, and the election's ballot with this tag; or not any more,
 * with NULL for 'pg'. When it comes back, whatever was answered before is asked anew: another
 * database may stand in its place, or the same one as it was a while ago. */
void voting_takeover_set_ready(struct voting_takeover *takeover, struct vd_pg *pg, const char *tag);

/* What PostgreSQL had judged of a partition when it was checked:
 * below this offset nothing is new. */
int64_t voting_takeover_progress(const struct voting_takeover *takeover, int32_t partition);

#endif
