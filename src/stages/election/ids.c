/* Linear probing over numbers; the hashes stand apart, so that a set of a million takes 16 MiB. */
#include "election/ids.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

#include "alloc.h"

#define SLOTS_MIN 1024

void el_ids_init(struct el_ids *ids)
{
    *ids = (struct el_ids){0};
    /* Without a seed ids could be chosen that collide; with a constant one they still differ. */
    (void)!getrandom(&ids->key, sizeof(ids->key), 0);
}

void el_ids_fini(struct el_ids *ids)
{
    free(ids->hashes);
    free(ids->slots);
    ids->hashes = NULL;
    ids->slots = NULL;
    ids->count = 0;
    ids->cap = 0;
    ids->slot_count = 0;
}

/* The slot where a hash is, or belongs. */
static size_t slot_of(const struct el_ids *ids, uint64_t hash)
{
    size_t slot = hash & (ids->slot_count - 1);

    while (ids->slots[slot] != 0 && ids->hashes[ids->slots[slot] - 1] != hash) {
        slot = (slot + 1) & (ids->slot_count - 1);
    }
    return slot;
}

static void grow(struct el_ids *ids)
{
    free(ids->slots);
    ids->slot_count = ids->slot_count == 0 ? SLOTS_MIN : 2 * ids->slot_count;
    ids->slots = vd_alloc_array(ids->slot_count, sizeof(*ids->slots));
    for (size_t i = 0; i < ids->count; i++) {
        ids->slots[slot_of(ids, ids->hashes[i])] = (uint32_t)i + 1;
    }
}

uint32_t el_ids_add(struct el_ids *ids, const char *id, size_t len)
{
    const uint64_t hash = vd_siphash(&ids->key, id, len);
    size_t slot = 0;

    if (4 * ids->count >= 3 * ids->slot_count) {
        grow(ids);
    }
    slot = slot_of(ids, hash);
    if (ids->slots[slot] == 0) {
        assert(ids->count < EL_IDS_MAX - 1);
        if (ids->count == ids->cap) {
            ids->cap = ids->cap == 0 ? SLOTS_MIN : ids->cap + ids->cap / 2;
            ids->hashes = vd_realloc(ids->hashes, ids->cap * sizeof(*ids->hashes));
        }
        ids->hashes[ids->count++] = hash;
        ids->slots[slot] = (uint32_t)ids->count;
    }
    return ids->slots[slot] - 1;
}

uint32_t el_ids_find(const struct el_ids *ids, const char *id, size_t len)
{
    size_t slot = 0;

    if (ids->slot_count == 0) {
        return EL_NO_ID;
    }
    slot = slot_of(ids, vd_siphash(&ids->key, id, len));
    return ids->slots[slot] != 0 ? ids->slots[slot] - 1 : EL_NO_ID;
}
