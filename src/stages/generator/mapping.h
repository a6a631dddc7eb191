/* Which column of a register is which member of a voter, and what makes a voter of its values. */
#ifndef VD_GENERATOR_MAPPING_H
#define VD_GENERATOR_MAPPING_H

#include <stdbool.h>
#include <stddef.h>

#include "election/date.h"
#include "election/voter.h"
#include "err.h"

/* The texts of el_voter_text, then registered_age. */
#define GEN_MEMBER_AGE EL_VOTER_TEXTS
#define GEN_MEMBERS (EL_VOTER_TEXTS + 1)

struct gen_mapping {
    char *column[GEN_MEMBERS];   /* owned: what the member is called in the register */
    bool is_chosen[GEN_MEMBERS]; /* the option names it: it must be there */
};

/* Read the option: "MEMBER:COLUMN, ..." with the reference's names of members, "" for these names
 * alone. Fails: VD_INVALID. Owns: the caller, who ends it with gen_mapping_fini in every case. */
enum vd_status gen_mapping_parse(const char *text, struct gen_mapping *mapping,
                                 struct vd_err *err) VD_MUST_CHECK;
void gen_mapping_fini(struct gen_mapping *mapping);

/* "voter_id", ..., "registered_age". */
const char *gen_member_name(size_t member);

/* Where a completed voter's texts are kept that are not the register's own. */
struct gen_completion {
    char birth[40];
};

/* Make a voter of the register's values (empty: none). A date without a time gets midnight; M, F,
 * Male and the like become male and female; the age is that on 'election_day' if there is a date of
 * birth, else the register's. 'voter' borrows from 'values' and 'completion'. Fails: VD_INVALID for
 * what no voter can have (el_voter_check, too). */
enum vd_status gen_voter_complete(const struct el_text values[GEN_MEMBERS],
                                  const struct el_date *election_day,
                                  struct gen_completion *completion, struct el_voter *voter,
                                  struct vd_err *err) VD_MUST_CHECK;

#endif
