/* The SQL schema of the election: the reference's three tables, and what the protocol adds
 * (exactly-once protocol, 4.2). */
#ifndef VD_ELECTION_SCHEMA_H
#define VD_ELECTION_SCHEMA_H

#include <stddef.h>

#include "pg.h"

/* Statements that create what is missing, to be run as one unit; safe to repeat and safe from
 * several nodes at once (an advisory lock comes first). A repetition locks no table. */
extern const struct vd_pg_stmt el_schema[];
extern const size_t el_schema_count;

/* The first statement of any transaction that must not run beside el_schema, or twice at a time. */
extern const char el_schema_lock_sql[];

#endif
