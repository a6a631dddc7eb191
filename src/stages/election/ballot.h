/* The ballot: who can be voted for and what decides a voter's choice (exactly-once protocol, 4.1).
 * A choice is a pure function of ballot and voter, so that a vote worked out twice is the same
 * vote. */
#ifndef VD_ELECTION_BALLOT_H
#define VD_ELECTION_BALLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "election/candidate.h"
#include "err.h"

#define EL_BALLOT_CANDIDATES_MAX 1000
#define EL_BALLOT_WEIGHT_MAX INT64_C(1000000000000)
#define EL_BALLOT_TAG_BYTES 17 /* 16 hexadecimal digits and a zero */

/* How the choices are made, as the options of a stage say it. Borrowed texts. */
struct el_ballot_conf {
    const char *choice;   /* "uniform", "weights" or "scenario" */
    const char *weights;  /* "Savior Party:3, CANDIDATE_ID:1": of candidates by id, name or party */
    const char *scenario; /* path of a scenario file, see scenario.h */
    int64_t seed;
};

struct el_ballot;

/* What can be said about the settings before the candidates are known: form, range, the file.
 * Fails: VD_INVALID, naming the option. */
enum vd_status el_ballot_check(const struct el_ballot_conf *conf, struct vd_err *err) VD_MUST_CHECK;

/* A ballot of 'count' candidates, sorted by the bytes of their ids.
 * Weights: a candidate that the list leaves out weighs 1. Scenario: a column belongs to the
 * candidate with that id, name or party, in any case; what is left over on both sides is matched in
 * order. Owns:  takes the candidates' texts (not the array) on VD_OK; *ballot is the caller's.
 * Fails: VD_INVALID for no or too many candidates, an id that stands twice, a weight or column
 *        without a candidate, weights that leave nobody to be voted for. */
enum vd_status el_ballot_new(const struct el_ballot_conf *conf, struct el_candidate *candidates,
                             size_t count, struct el_ballot **ballot,
                             struct vd_err *err) VD_MUST_CHECK;
void el_ballot_free(struct el_ballot *ballot);

size_t el_ballot_count(const struct el_ballot *ballot);
const struct el_candidate *el_ballot_candidate(const struct el_ballot *ballot, size_t i);

/* The hash of seed, ids and weights: what committed offsets are bound to. */
const char *el_ballot_tag(const struct el_ballot *ballot);

/* True if the voter's state matters. */
bool el_ballot_has_states(const struct el_ballot *ballot);

struct el_voter_key {
    const char *id; /* voter_id */
    size_t id_len;
    const char *state; /* address.state; any where it does not matter */
    size_t state_len;
};

/* Index of the candidate that the voter votes for: h is SipHash-2-4 of the id under the seed, W the
 * sum of the weights of the voter's state (of all states where the scenario does not know it); the
 * one whose share holds (h * W) >> 64, shares laid end to end in the order of ids. */
size_t el_ballot_choose(const struct el_ballot *ballot, const struct el_voter_key *voter);

#endif
