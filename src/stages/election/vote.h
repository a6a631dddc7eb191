/* A vote in the reference system's words: the voter's members as they came, then those of the
 * candidate, voting_time and vote. */
#ifndef VD_ELECTION_VOTE_H
#define VD_ELECTION_VOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "election/candidate.h"
#include "err.h"

/* voting_time is whole seconds, UTC, without a zone: "2024-11-05 12:00:00". */
#define EL_VOTE_TIME_BYTES 19
#define EL_VOTE_TIME_MAX INT64_C(253402300799) /* 9999-12-31 23:59:59: four digits hold no more */

/* The last second that was written out. Zeroed is empty. */
struct el_vote_clock {
    int64_t second;
    char text[EL_VOTE_TIME_BYTES + 1];
};

/* 'second' since 1970, 0 to EL_VOTE_TIME_MAX, as text; borrowed until the next call. */
const char *el_vote_time_format(struct el_vote_clock *clock, int64_t second);

/* False if the text is no voting_time from 1970 on. */
bool el_vote_time_parse(const char *text, size_t len, int64_t *second);

/* What a vote says; borrowed. */
struct el_vote {
    const char *id, *candidate; /* of the voter, of the candidate; "" if there is none */
    size_t id_len, candidate_len;
    int64_t second; /* voting_time; -1: none */
};

/* Read a vote; what is escaped in it is resolved in 'scratch'.
 * False for what is none of a voter. */
bool el_vote_read(const char *json, size_t len, struct vd_buf *scratch, struct el_vote *vote);

/* What the votes for a candidate have in common, to be handed to el_vote_append. */
void el_vote_fragment(const struct el_candidate *candidate, struct vd_buf *out);

/* Append the vote of a voter, whose JSON was scanned: an object with at least one member and none
 * named as the vote's own. Whatever else it has is kept as it stands. */
void el_vote_append(struct vd_buf *out, const char *voter, size_t len,
                    const struct vd_buf *fragment, const char *voting_time);

/* Bytes of the vote of a voter whose JSON has 'len', at most: white space behind it is left out. */
size_t el_vote_bytes(size_t len, const struct vd_buf *fragment);

#endif
