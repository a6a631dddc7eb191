/* From a record of voters_topic to what the voting stage must know of the voter. */
#ifndef VD_VOTING_DECODE_H
#define VD_VOTING_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "election/ballot.h"
#include "err.h"
#include "record.h"

#define VOTING_ID_CHARS_MAX 255 /* votes.voter_id is a VARCHAR(255) */

struct voting_voter {
    struct el_voter_key key; /* borrows from the record or the scratch buffer */
    int64_t second;          /* voting_time */
};

/* Check a record and find the voter in it. 'scratch' is cleared and takes what was escaped.
 * Fails: VD_INVALID with the reason for the dead-letter topic. */
enum vd_status voting_decode(const struct vd_record *record, struct vd_buf *scratch,
                             struct voting_voter *voter, struct vd_err *err) VD_MUST_CHECK;

/* Check that the vote, with the fragment of its candidate, has at most 'max' bytes with its key.
 * One that no producer takes must not become a row: the voter could never vote again. Fails:
 * VD_INVALID with the reason for the dead-letter topic. */
enum vd_status voting_check_size(const struct vd_record *record, const struct voting_voter *voter,
                                 const struct vd_buf *fragment, size_t max,
                                 struct vd_err *err) VD_MUST_CHECK;

#endif
