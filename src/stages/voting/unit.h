/* The PostgreSQL unit of one batch: which statements with which values, and what its answers mean
 * (exactly-once protocol, 4.3). */
#ifndef VD_VOTING_UNIT_H
#define VD_VOTING_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "pg.h"

/* Run on every connection before anything else (4.2): a plan that was cached while the table was
 * small must not go on scanning it. */
extern const char voting_session_sql[];

enum {
    VOTING_STMT_PROGRESS, /* also alone, for a batch without votes */
    VOTING_STMT_INSERT,
    VOTING_STMT_CLASSIFY,
    VOTING_STMTS,
};

/* Arrays and values behind the statements. Zeroed is empty; the memory is used again and again. */
struct voting_unit {
    struct vd_pg_stmt stmts[VOTING_STMTS];
    struct vd_pg_value progress[3], insert[6], classify[4];
    struct vd_buf partitions, nexts;                      /* one element a partition */
    struct vd_buf ids, candidates, times, parts, offsets; /* one element a vote */
    char generation[8];                                   /* as text */
    size_t votes;
};

/* One vote to be inserted. Borrowed texts. */
struct voting_row {
    const char *voter_id;
    size_t voter_id_len;
    const char *candidate_id;
    size_t candidate_id_len;
    int64_t second; /* voting_time */
    int32_t partition;
    int64_t offset;
};

void voting_unit_begin(struct voting_unit *unit, int16_t generation);
/* The next offset of a partition; each partition once, in rising order. */
void voting_unit_add_progress(struct voting_unit *unit, int32_t partition, int64_t next_offset);
void voting_unit_add(struct voting_unit *unit, const struct voting_row *row);
/* Fill in 'stmts'. Returns their number: 1 without votes, else VOTING_STMTS. 'is_replay': the
 * insert shall say which votes are new, see voting_inserted. */
size_t voting_unit_end(struct voting_unit *unit, bool is_replay);
void voting_unit_fini(struct voting_unit *unit);

/* One row of the classification, as it came in binary; a NULL text for SQL NULL. */
struct voting_answer {
    const char *ordinal; /* bigint, from 1 */
    const char *mine;    /* boolean */
    const char *candidate_id;
    size_t candidate_id_len;
    const char *time; /* timestamp: microseconds since 2000 */
};

/* The answer to vote number 'i'; all NULL if there is none. */
struct voting_answer voting_answer_of(const struct vd_pg_reply *reply, size_t i);

/* Row number 'i' of those that a replay's insert made; false if there is none. */
bool voting_inserted(const struct vd_pg_reply *reply, size_t i, int32_t *partition,
                     int64_t *offset);

enum voting_verdict {
    VOTING_ACCEPTED, /* the row is this record's, and says what was worked out */
    VOTING_REJECTED, /* the voter had voted before */
    VOTING_DIFFERS,  /* the row is this record's, but says something else */
    VOTING_MISSING,  /* the answers do not fit the votes: no row for this one */
};

/* What the answer to vote number 'i' (from 0) means for it. */
enum voting_verdict voting_judge(const struct voting_answer *answer, size_t i,
                                 const struct voting_row *expected);

#endif
