/* The results over all partitions, merged from their partials by difference, and what of them the
 * public topics show (exactly-once protocol, 6.4). No part of the engine: a pure store. */
#ifndef VD_AGGREGATION_MERGE_H
#define VD_AGGREGATION_MERGE_H

#include "groups.h"
#include "partial.h"

#define AGG_REPEAT_MS 10000 /* published and not read back for so long: published again */

struct agg_merge;

/* 'generation' of the partials' topic: sequences of a later one are higher. */
struct agg_merge *agg_merge_new(int16_t generation);
void agg_merge_free(struct agg_merge *merge);

/* The partial of a partition is this now; a count of 0 for one that was deleted. */
void agg_merge_put(struct agg_merge *merge, size_t group, const struct agg_partial_key *key,
                   const struct agg_total *total);

/* The rebuild number of a partition is this now. */
void agg_merge_set_rebuilds(struct agg_merge *merge, int32_t partition, uint32_t rebuilds);

/* The public topic shows 'sequence' under a key; 0: the key is not there. */
void agg_merge_shown(struct agg_merge *merge, size_t group, const char *key, size_t len,
                     uint64_t sequence);

/* The sequence of a public record's value; 0 if it has none that can be read. */
uint64_t agg_sequence_of(const char *value, size_t len);

enum agg_publish {
    AGG_PUBLISHED, /* sent; expected back */
    AGG_NOT_OURS,  /* another node's key */
    AGG_FULL,      /* not now; nothing further either */
};

/* Publish one result. 'key' is the public key; all borrowed for the call. */
typedef enum agg_publish agg_publish_fn(void *arg, size_t group, const char *key, size_t key_len,
                                        const struct agg_public *result);

/* Call 'publish' for the results of a group that the public topic does not show yet, but for those
 * sent less than AGG_REPEAT_MS ago; at most 'max' and a sixteenth of those waiting are published,
 * so that a large group costs less per result and still is never far behind.
 * Returns the number published. */
struct agg_round {
    int64_t now_ms; /* of any clock that only goes forward */
    size_t max;
    bool is_read_back; /* a table of the public topic says what is shown; else what was sent is */
    agg_publish_fn *publish;
    void *arg;
};
size_t agg_merge_publish(struct agg_merge *merge, size_t group, const struct agg_round *round);

/* The merged count under a group's keys; for tests and checks. */
uint64_t agg_merge_count(const struct agg_merge *merge, size_t group, const char *keys, size_t len);

/* The sum of all merged counts of a group. */
uint64_t agg_merge_sum(const struct agg_merge *merge, size_t group);

/* Results held in memory, of all groups together, and the group that has the most of them. */
size_t agg_merge_results(const struct agg_merge *merge);
size_t agg_merge_largest_group(const struct agg_merge *merge);

#endif
