/* One batch on its way through PostgreSQL: records become votes to be tried, those a unit of
 * statements, and its reply what is emitted (exactly-once protocol, 4.3). */
#ifndef VD_VOTING_WORK_H
#define VD_VOTING_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "election/ballot.h"
#include "election/vote.h"
#include "stage.h"
#include "takeover.h"
#include "unit.h"

enum voting_output { VOTING_OUTPUT_VOTES, VOTING_OUTPUT_REJECTED };

/* A voter's record on its way through PostgreSQL. */
struct voting_pending {
    size_t record;    /* index in the batch */
    size_t candidate; /* index in the ballot */
    int64_t second;   /* voting_time */
    const char *id;   /* in the record; NULL: it was escaped and is in 'ids' */
    size_t id_at;     /* there */
    size_t id_len;
};

/* How far a batch goes in one partition. */
struct voting_progress {
    int32_t partition;
    int64_t next_offset;
};

/* What became of the records. */
struct voting_outcome {
    int64_t accepted, rejected, dead;
};

/* Zeroed is empty; the memory is used again and again. */
struct voting_work {
    const struct el_ballot *ballot; /* borrowed */
    const struct vd_buf *fragments; /* borrowed; per candidate, what its votes have in common */
    size_t vote_max;                /* bytes of a vote and its key that the producer takes */
    const struct voting_takeover *takeover; /* borrowed */
    struct vd_batch *batch;                 /* the one under way, or NULL */
    bool is_replay;                         /* some of it was judged before */
    struct voting_unit unit;
    struct voting_outcome outcome;
    struct voting_pending *pending;
    size_t pending_count, pending_cap;
    struct voting_progress *progress;
    size_t progress_count, progress_cap;
    struct vd_buf scratch, ids, value;
    struct el_vote_clock clock;
};

/* Sort the records of a batch into votes to be tried and dead letters, and fill the unit.
 * Returns the number of statements to run. */
size_t voting_work_begin(struct voting_work *work, struct vd_batch *batch, int16_t generation);

/* Emit what the rows say.
 * Fails: VD_INVALID with the numbers, if they say what must not be;
 * '*partition' is to be stopped. */
enum vd_status voting_work_emit(struct voting_work *work, const struct vd_pg_reply *reply,
                                int32_t *partition, struct vd_err *err) VD_MUST_CHECK;

void voting_work_fini(struct voting_work *work);

#endif
