/* Made voters: a pure function of (seed, country, election day, sequence). */
#ifndef VD_GENERATOR_SOURCE_SYNTHETIC_H
#define VD_GENERATOR_SOURCE_SYNTHETIC_H

#include <stdint.h>

#include "election/date.h"
#include "election/voter.h"
#include "err.h"
#include "generator/conf.h"

struct gen_synthetic;

/* Fails: VD_INVALID for an election day that is none.
 * Owns: the caller, who ends it with gen_synthetic_free. */
enum vd_status gen_synthetic_new(const struct gen_conf *conf, struct gen_synthetic **synthetic,
                                 struct vd_err *err) VD_MUST_CHECK;
void gen_synthetic_free(struct gen_synthetic *synthetic);

/* What a voter's texts that are not in a table are written to. */
#define GEN_SCRATCH_BYTES 768
struct gen_scratch {
    char bytes[GEN_SCRATCH_BYTES];
    size_t len;
};

/* The voter with number 'sequence', 0 to GEN_SEQUENCE_MAX; it borrows from 'scratch'. */
#define GEN_SEQUENCE_MAX 9999999999
void gen_synthetic_voter(const struct gen_synthetic *synthetic, int64_t sequence,
                         struct gen_scratch *scratch, struct el_voter *voter);

#endif
