/* A vote as the aggregation reads it. */
#ifndef VD_AGGREGATION_VOTE_H
#define VD_AGGREGATION_VOTE_H

#include "buf.h"
#include "groups.h"

struct agg_text {
    const char *text;
    size_t len; /* 0: none */
};

struct agg_vote {
    struct agg_text texts[AGG_FIELDS]; /* of the string fields; borrowed */
    struct agg_text age;               /* in decimal; none if it is no whole number */
    struct agg_text age_group;
    char age_digits[24];
    int64_t event_s;   /* voting_time since 1970; -1: none that can be read */
    uint64_t checksum; /* hash of (voter_id, candidate_id) */
};

/* Read a vote, ours or another program's. Members that only serve a group-by may be missing: the
 * vote then counts in the group without that value. 'scratch' holds what was escaped. Fails:
 * VD_INVALID, for what is no vote: not JSON, no voter_id or candidate_id, a `vote` that is not 1, a
 * value too long for a key. */
enum vd_status agg_vote_parse(const char *json, size_t len, struct vd_buf *scratch,
                              struct agg_vote *vote, struct vd_err *err) VD_MUST_CHECK;

/* Append the group's keys (or attributes) of the vote as texts. */
void agg_vote_texts(const struct agg_vote *vote, const struct agg_group *group, bool is_key,
                    struct vd_buf *out);

#endif
