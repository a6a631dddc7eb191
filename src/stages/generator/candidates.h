/* The candidates: who stands if nobody does yet, and what the progress topic says of them. */
#ifndef VD_GENERATOR_CANDIDATES_H
#define VD_GENERATOR_CANDIDATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "election/candidate.h"
#include "err.h"
#include "generator/conf.h"
#include "pg.h"

struct gen_candidates {
    struct el_candidate *one; /* owned, by id */
    size_t count;
};

void gen_candidates_fini(struct gen_candidates *candidates);

/* One for each of the three parties, a man first and then in turn;
 * a function of seed and country. */
void gen_candidates_make(const struct gen_conf *conf, struct gen_candidates *candidates);

/* The unit that inserts 'made' where the table is empty, and reads what it then holds. The texts go
 * into 'columns', which the statements borrow. */
#define GEN_CANDIDATE_COLUMNS 6
#define GEN_CANDIDATES_STMTS 3
#define GEN_CANDIDATES_SELECT 2 /* which of them reads */
struct gen_candidates_unit {
    struct vd_buf column[GEN_CANDIDATE_COLUMNS];
    struct vd_pg_value values[GEN_CANDIDATE_COLUMNS];
    struct vd_pg_stmt stmts[GEN_CANDIDATES_STMTS];
};
void gen_candidates_unit_init(struct gen_candidates_unit *unit, const struct gen_candidates *made);
void gen_candidates_unit_fini(struct gen_candidates_unit *unit);

/* The rows that were read. Owns: *candidates is the caller's. */
void gen_candidates_read(const struct vd_pg_reply *reply, struct gen_candidates *candidates);

/* The record under this key in the progress topic says that candidates_topic is complete:
 * {"complete":true,"hash":"16 hex digits","candidates":["id", ...]}. */
#define GEN_CANDIDATES_KEY "candidates"
void gen_candidates_note(const struct gen_candidates *candidates, struct vd_buf *out);

enum gen_candidates_verdict {
    GEN_CANDIDATES_SAME,    /* published as they are */
    GEN_CANDIDATES_CHANGED, /* the same ids, other texts */
    GEN_CANDIDATES_MORE,    /* all that were published, and others */
    GEN_CANDIDATES_OTHER,   /* one that was published is gone, or the note is none of ours */
};
enum gen_candidates_verdict gen_candidates_compare(const struct gen_candidates *candidates,
                                                   const char *note, size_t len);

#endif
