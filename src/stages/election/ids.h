/* A set of ids, a number for each in the order they came: for comparing millions of records without
 * keeping their texts. An id is known by 64 bits of a hash that is keyed anew in every process; of
 * a million ids, two have the same one with a probability of 3e-8. */
#ifndef VD_ELECTION_IDS_H
#define VD_ELECTION_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hash.h"

#define EL_IDS_MAX UINT32_MAX /* numbers are 32 bits */
#define EL_NO_ID UINT32_MAX

struct el_ids {
    struct vd_hash_key key;
    uint64_t *hashes; /* by number */
    size_t count, cap;
    uint32_t *slots; /* number + 1 by hash; 0: free */
    size_t slot_count;
};

void el_ids_init(struct el_ids *ids);
void el_ids_fini(struct el_ids *ids);

/* The number of an id, a new one if it is new. */
uint32_t el_ids_add(struct el_ids *ids, const char *id, size_t len);

/* The number of an id, or EL_NO_ID. */
uint32_t el_ids_find(const struct el_ids *ids, const char *id, size_t len);

#endif
