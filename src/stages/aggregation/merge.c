/* Every result knows the count of each partition, so that a new one replaces the old one. */
#include "merge.h"

#include <string.h>

#include "alloc.h"
#include "election/json.h"
#include "map.h"

/* Counts stay below 2^40 and JavaScript's safe integers below 2^53:
 * 8192 generations and rebuilds. */
#define SEQUENCE_STEP (UINT64_C(1) << 40)

struct result {
    struct result *next;         /* of all */
    struct result *next_pending; /* of its group */
    bool is_pending;
    char *keys; /* owned; texts; NULL: only shown, not merged from any partial yet */
    size_t keys_len;
    char *attributes; /* owned; texts */
    size_t attributes_len;
    uint64_t *counts; /* by partition */
    size_t count_cap;
    uint64_t total;
    uint64_t shown;  /* sequence in the public topic; 0: none */
    uint64_t sent;   /* sequence sent last; 0: none */
    int64_t sent_ms; /* when */
    size_t key_len;
    char key[]; /* public */
};

struct group_results {
    struct vd_map by_keys; /* texts -> struct result */
    struct vd_map by_key;  /* public key -> struct result */
    struct result *pending, **pending_end;
    size_t pending_count;
    size_t result_count;
    uint64_t sum;
};

struct agg_merge {
    uint64_t generation;
    uint64_t rebuild_sum;
    uint32_t *rebuilds; /* by partition */
    size_t rebuild_cap;
    size_t result_count; /* of all groups */
    struct result *all[AGG_GROUP_COUNT];
    struct group_results groups[AGG_GROUP_COUNT];
    struct vd_buf scratch;
};

struct agg_merge *agg_merge_new(int16_t generation)
{
    struct agg_merge *merge = vd_alloc(sizeof(*merge));

    merge->generation = (uint64_t)generation;
    for (size_t i = 0; i < AGG_GROUP_COUNT; i++) {
        merge->groups[i].pending_end = &merge->groups[i].pending;
    }
    return merge;
}

void agg_merge_free(struct agg_merge *merge)
{
    struct result *next = NULL;

    if (merge == NULL) {
        return;
    }
    for (size_t i = 0; i < AGG_GROUP_COUNT; i++) {
        for (struct result *result = merge->all[i]; result != NULL; result = next) {
            next = result->next;
            free(result->keys);
            free(result->attributes);
            free(result->counts);
            free(result);
        }
        vd_map_fini(&merge->groups[i].by_keys, NULL);
        vd_map_fini(&merge->groups[i].by_key, NULL);
    }
    vd_buf_fini(&merge->scratch);
    free(merge->rebuilds);
    free(merge);
}

static uint64_t sequence(const struct agg_merge *merge, const struct result *result)
{
    return (merge->generation + merge->rebuild_sum) * SEQUENCE_STEP + result->total;
}

/* True if the public topic is behind. A result of 0 replaces an old one, but none is made of it. */
static bool is_due(const struct agg_merge *merge, const struct result *result)
{
    return result->keys != NULL && sequence(merge, result) > result->shown &&
           (result->total > 0 || result->shown > 0);
}

static void set_pending(struct agg_merge *merge, size_t group, struct result *result)
{
    struct group_results *results = &merge->groups[group];

    if (!result->is_pending && is_due(merge, result)) {
        result->is_pending = true;
        results->pending_count++;
        result->next_pending = NULL;
        *results->pending_end = result;
        results->pending_end = &result->next_pending;
    }
}

static struct result *add_result(struct agg_merge *merge, size_t group, const char *key, size_t len)
{
    struct result *result = vd_alloc(sizeof(*result) + len);

    result->key_len = len;
    if (len > 0) {
        memcpy(result->key, key, len);
    }
    result->next = merge->all[group];
    merge->all[group] = result;
    merge->groups[group].result_count++;
    merge->result_count++;
    return result;
}

/* The result of these keys. Where two sets of keys read the same when joined, the first to come
 * owns what is shown under that public key. */
static struct result *get_by_keys(struct agg_merge *merge, size_t group, const char *keys,
                                  size_t len)
{
    struct group_results *results = &merge->groups[group];
    struct result *result = vd_map_find(&results->by_keys, keys, len);
    struct vd_buf *key = &merge->scratch;

    if (result != NULL) {
        return result;
    }
    vd_buf_clear(key);
    agg_public_key(keys, len, key);
    result = vd_map_find(&results->by_key, key->data, key->len);
    if (result == NULL) {
        result = add_result(merge, group, key->data, key->len);
        (void)vd_map_put(&results->by_key, key->data, key->len, result); /* there was none */
    } else if (result->keys != NULL) {
        result = add_result(merge, group, key->data, key->len);
    }
    result->keys = vd_memdup(keys, len);
    result->keys_len = len;
    (void)vd_map_put(&results->by_keys, keys, len, result); /* there was none */
    return result;
}

static void set_attributes(struct result *result, const struct agg_total *total)
{
    if (result->attributes_len == total->attributes_len &&
        (total->attributes_len == 0 ||
         memcmp(result->attributes, total->attributes, total->attributes_len) == 0)) {
        return;
    }
    if (result->attributes_len > 0 &&
        !agg_texts_are_whole(total->attributes, total->attributes_len)) {
        return;
    }
    free(result->attributes);
    result->attributes = vd_memdup(total->attributes, total->attributes_len);
    result->attributes_len = total->attributes_len;
}

/* Make room for index 'at' in an array of 'count' elements of 'bytes'; what is added is zero. */
static void *grow(void *array, size_t *count, size_t at, size_t bytes)
{
    size_t wanted = at + 1;

    if (wanted > *count) {
        array = vd_realloc(array, wanted * bytes);
        memset((char *)array + *count * bytes, 0, (wanted - *count) * bytes);
        *count = wanted;
    }
    return array;
}

void agg_merge_put(struct agg_merge *merge, size_t group, const struct agg_partial_key *key,
                   const struct agg_total *total)
{
    struct result *result = get_by_keys(merge, group, key->keys, key->keys_len);
    size_t partition = (size_t)key->partition;
    uint64_t before = 0;

    result->counts = grow(result->counts, &result->count_cap, partition, sizeof(*result->counts));
    before = result->counts[partition];
    result->counts[partition] = total->count;
    result->total += total->count - before;
    merge->groups[group].sum += total->count - before;
    if (total->attributes_len > 0) {
        set_attributes(result, total);
    }
    set_pending(merge, group, result);
}

void agg_merge_set_rebuilds(struct agg_merge *merge, int32_t partition, uint32_t rebuilds)
{
    size_t at = (size_t)partition;

    merge->rebuilds = grow(merge->rebuilds, &merge->rebuild_cap, at, sizeof(*merge->rebuilds));
    if (merge->rebuilds[at] == rebuilds) {
        return;
    }
    merge->rebuild_sum += (uint64_t)rebuilds - merge->rebuilds[at];
    merge->rebuilds[at] = rebuilds;
    for (size_t group = 0; group < AGG_GROUP_COUNT; group++) {
        for (struct result *result = merge->all[group]; result != NULL; result = result->next) {
            set_pending(merge, group, result);
        }
    }
}

void agg_merge_shown(struct agg_merge *merge, size_t group, const char *key, size_t len,
                     uint64_t shown)
{
    struct group_results *results = &merge->groups[group];
    struct result *result = vd_map_find(&results->by_key, key, len);

    if (result == NULL) {
        result = add_result(merge, group, key, len);
        (void)vd_map_put(&results->by_key, key, len, result); /* there was none */
    }
    result->shown = shown;
    set_pending(merge, group, result);
}

uint64_t agg_sequence_of(const char *value, size_t len)
{
    struct el_json_field field = {.path = "sequence"};
    int64_t read = 0;

    if (value == NULL || el_json_scan(value, len, &field, 1, NULL) != VD_OK ||
        el_json_int(&field, &read, NULL) != VD_OK || read < 0) {
        return 0;
    }
    return (uint64_t)read;
}

/* Try to publish one result that is due. */
static enum agg_publish publish_one(struct agg_merge *merge, size_t group, struct result *result,
                                    const struct agg_round *round)
{
    struct agg_public shown = {.keys = result->keys,
                               .keys_len = result->keys_len,
                               .attributes = result->attributes,
                               .attributes_len = result->attributes_len,
                               .count = result->total,
                               .sequence = sequence(merge, result)};
    enum agg_publish outcome = AGG_NOT_OURS;

    if (result->sent == shown.sequence && round->now_ms - result->sent_ms < AGG_REPEAT_MS) {
        return AGG_NOT_OURS; /* on its way */
    }
    outcome = round->publish(round->arg, group, result->key, result->key_len, &shown);
    if (outcome == AGG_PUBLISHED) {
        result->sent = shown.sequence;
        result->sent_ms = round->now_ms;
        if (!round->is_read_back) {
            result->shown = shown.sequence;
        }
    }
    return outcome;
}

size_t agg_merge_publish(struct agg_merge *merge, size_t group, const struct agg_round *round)
{
    struct group_results *results = &merge->groups[group];
    struct result *next = NULL;
    struct result *served = NULL, **served_end = &served;
    struct result **end = &results->pending;
    enum agg_publish outcome = AGG_NOT_OURS;
    size_t max = round->max + results->pending_count / 16;
    size_t published = 0;

    /* Those that had their turn go behind the others, so that none waits for ever. */
    for (struct result *result = results->pending; result != NULL; result = next) {
        bool is_served = false;

        next = result->next_pending;
        result->next_pending = NULL;
        if (is_due(merge, result) && outcome != AGG_FULL && published < max) {
            outcome = publish_one(merge, group, result, round);
            is_served = outcome == AGG_PUBLISHED;
            published += is_served ? 1 : 0;
        }
        result->is_pending = is_due(merge, result);
        results->pending_count -= result->is_pending ? 0 : 1;
        if (result->is_pending && is_served) {
            *served_end = result;
            served_end = &result->next_pending;
        } else if (result->is_pending) {
            *end = result;
            end = &result->next_pending;
        }
    }
    *end = served;
    results->pending_end = served != NULL ? served_end : end;
    return published;
}

uint64_t agg_merge_count(const struct agg_merge *merge, size_t group, const char *keys, size_t len)
{
    const struct result *result = vd_map_find(&merge->groups[group].by_keys, keys, len);

    return result != NULL ? result->total : 0;
}

uint64_t agg_merge_sum(const struct agg_merge *merge, size_t group)
{
    return merge->groups[group].sum;
}

size_t agg_merge_results(const struct agg_merge *merge)
{
    return merge->result_count;
}

size_t agg_merge_largest_group(const struct agg_merge *merge)
{
    size_t largest = 0;

    for (size_t i = 1; i < AGG_GROUP_COUNT; i++) {
        if (merge->groups[i].result_count > merge->groups[largest].result_count) {
            largest = i;
        }
    }
    return largest;
}
