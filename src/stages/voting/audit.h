/* The audit of the voting stage: what became of every voter's record, and whether votes_topic and
 * the table votes say the same (exactly-once protocol, 7.2). audit.c reads the topics, audit_rows.c
 * the tables.
 *
 * Voters, votes, rejects and dead letters are read once each; what is kept of them are a few bytes
 * a position and a few a voter. Votes without a position are another program's: they count, and
 * must have a row like the others. */
#ifndef VD_VOTING_AUDIT_H
#define VD_VOTING_AUDIT_H

#include "election/ids.h"
#include "election/vote.h"
#include "stage.h"

#define VOTING_INPUT_VOTERS 0

/* A record of the voters' topic. */
struct voting_source {
    int64_t second; /* its timestamp */
    uint32_t voter; /* EL_NO_ID: not decoded */
    bool is_there;
    uint8_t accepted; /* up to 255; a vote that stands twice says so itself */
    bool is_rejected, is_dead;
};

/* The records of one partition by offset, from the first that is kept. */
struct voting_part {
    struct voting_source *sources;
    int64_t first, count, cap;
    int64_t last_vote; /* source offset of the vote read last ... */
    int16_t last_generation;
    int64_t votes, rows; /* with a position in this partition */
};

/* What a voter's vote says, by the number of the voter. */
struct voting_cast {
    int64_t second;
    int64_t offset;    /* of the source; VD_NO_OFFSET: none was said */
    int32_t partition; /* likewise, -1 */
    uint32_t candidate;
    int16_t generation;
    bool is_there, is_row;
};

struct voting_claims {
    struct vd_audit_claim *outcomes, *once, *chain, *faithful, *rejects, *rows, *same, *progress;
};

struct voting_audit {
    struct vd_audit *audit;
    struct voting_claims claims;
    int16_t generation;
    struct voting_part *parts;
    int32_t part_count;
    struct el_ids ids, candidates;
    struct voting_cast *casts;
    size_t cast_cap;
    struct vd_buf scratch;
    int64_t votes, positions, in_order; /* records of votes_topic; with a position; in order */
    int64_t voters, present, faithful;  /* voters in it; votes of this generation; true to it */
    int64_t rejects, rightly, again;    /* positions; of a voter who voted; records beyond them */
    int64_t rows, ahead, same;          /* rows of votes; not in votes_topic yet; the same there */
    int64_t *next_offsets;              /* of vote_progress, by partition */
};

/* A callback of the descriptor. */
enum vd_status voting_audit(struct vd_audit *audit, void *state, struct vd_err *err);

/* ---- audit.c --------------------------------------------------------------------------------- */

/* Of a voter's number; it may be new. Not to be kept over a further call. */
struct voting_cast *voting_audit_cast(struct voting_audit *self, uint32_t voter);

/* False for what is no vote: then it has no voter. Borrows from the record and from 'self'. */
bool voting_audit_vote(struct voting_audit *self, const struct vd_record *record,
                       struct el_vote *vote);

/* The offset up to which a partition of the voters was read. */
int64_t voting_audit_committed(const struct voting_audit *self, int32_t partition);

/* "voter ID", for a difference. Owns: the caller frees it. */
char *voting_audit_key(const char *id, size_t len);

/* ---- audit_rows.c ---------------------------------------------------------------------------- */

/* Compare the tables with what was read. */
enum vd_status voting_audit_rows(struct voting_audit *self, struct vd_err *err) VD_MUST_CHECK;

#endif
