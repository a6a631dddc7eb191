/* A candidate, as the table `candidates` and candidates_topic hold one. */
#ifndef VD_ELECTION_CANDIDATE_H
#define VD_ELECTION_CANDIDATE_H

#include <stddef.h>

#include "buf.h"
#include "err.h"

struct el_candidate {
    char *id;    /* candidate_id, the key */
    char *name;  /* candidate_name */
    char *party; /* party_affiliation */
    char *biography;
    char *platform; /* campaign_platform */
    char *photo_url;
};

/* Frees the texts and leaves the candidate empty. */
void el_candidate_fini(struct el_candidate *candidate);

/* Append {"candidate_id": ..., six strings}; a missing text becomes "". */
void el_candidate_format(const struct el_candidate *candidate, struct vd_buf *out);

/* Fails: VD_INVALID, naming the member; a member that is missing or null is read as "", except
 * candidate_id. Owns: *candidate is the caller's, written on success only. */
enum vd_status el_candidate_parse(const char *json, size_t len, struct el_candidate *candidate,
                                  struct vd_err *err) VD_MUST_CHECK;

#endif
