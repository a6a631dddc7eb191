/* The counts of one partition of the votes, as its owner keeps them: what is committed (base), what
 * came since (delta), and the position up to which all is counted (exactly-once protocol, 6.2). No
 * part of the engine: a pure store. */
#ifndef VD_AGGREGATION_TALLY_H
#define VD_AGGREGATION_TALLY_H

#include "groups.h"
#include "partial.h"
#include "record.h"
#include "vote.h"

struct agg_tally;

struct agg_tally *agg_tally_new(int32_t partition);
void agg_tally_free(struct agg_tally *tally);

/* ---- takeover: fill an empty tally from the partials ---------------------------------------- */

void agg_tally_load(struct agg_tally *tally, size_t group, const struct agg_partial_key *key,
                    const struct agg_total *total);
void agg_tally_load_meta(struct agg_tally *tally, const struct agg_meta *meta);

/* Do the sums fit: of each group's totals and the votes (6.6)? Counts what is committed only.
 * Fails: VD_INVALID with the numbers. */
enum vd_status agg_tally_check(const struct agg_tally *tally, struct vd_err *err) VD_MUST_CHECK;

/* ---- a batch -------------------------------------------------------------------------------- */

enum agg_step {
    AGG_STEP_COUNT,   /* its turn: count it, or bury it */
    AGG_STEP_SEEN,    /* own offset counted before */
    AGG_STEP_REPEAT,  /* a vote counted before, sent again */
    AGG_STEP_STALE,   /* of an earlier generation of the voters */
    AGG_STEP_GAP,     /* the vote before it is missing */
    AGG_STEP_FOREIGN, /* the vote of another partition */
    AGG_STEP_UNKNOWN, /* a replay of what a recount may have counted: only another one can say */
};

/* Take the next record of the partition: move on to it and say what it is. After a gap, a foreign
 * or an unknown one nothing has moved. 'replay_of': the offset of the record that it repeats
 * (VD_NO_OFFSET: none); if a recount has counted that one, or another replay of it, this is a
 * repeat. */
enum agg_step agg_tally_step(struct agg_tally *tally, const struct vd_record *record,
                             int64_t replay_of);

/* Past what is no vote: all before 'offset' is dealt with. */
void agg_tally_pass(struct agg_tally *tally, int64_t offset);

/* Count a vote in every group: the record of the last step. */
void agg_tally_add(struct agg_tally *tally, const struct agg_vote *vote);

/* Nothing has come for long: the partition leaves the watermark, until its next vote. */
void agg_tally_set_idle(struct agg_tally *tally);

/* True if there is something to write: it has moved since the last fold, has become idle or is to
 * be rewritten; never in a recount. */
bool agg_tally_is_due(const struct agg_tally *tally);

/* Every total that changed since the last fold, in the order of their first change (all of them in
 * a rewrite); then META, with the commit number of the transaction that is to hold them. */
typedef void agg_tally_fn(void *arg, size_t group, const struct agg_partial_key *key,
                          const struct agg_total *total);
void agg_tally_each(struct agg_tally *tally, agg_tally_fn *on_total, void *arg);
struct agg_meta agg_tally_meta(const struct agg_tally *tally);

/* The transaction is durable; or it is void, and so is all since the last fold. */
void agg_tally_fold(struct agg_tally *tally);
void agg_tally_forget(struct agg_tally *tally);

/* Write every total again, until it is durable. */
void agg_tally_rewrite(struct agg_tally *tally);
bool agg_tally_is_rewriting(const struct agg_tally *tally);

/* What is committed; in a recount, what is counted so far. */
const struct agg_meta *agg_tally_base(const struct agg_tally *tally);

/* ---- recount -------------------------------------------------------------------------------- */

/* Forget all counts and begin at offset 0, under the next rebuild number. Nothing is due until the
 * end: what is published stays as it was, and a crash in the middle has changed nothing. Which
 * offsets it counts is remembered as long as the tally lives, one bit each, for the sake of
 * replays: a record that was set aside once, and replayed, may be a vote to this version. META
 * keeps how far it went, so that later on a replay from there is told. */
void agg_tally_recount(struct agg_tally *tally);

/* The offset up to which all was counted before; VD_NO_OFFSET: no recount is under way. */
int64_t agg_tally_recount_end(const struct agg_tally *tally);

/* It has come that far, or all there is was read: write every total, those that are gone as 0. */
void agg_tally_end_recount(struct agg_tally *tally);

#endif
