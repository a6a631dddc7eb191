/* One hash map per group; what changed is strung on a list. */
#include "tally.h"

#include <string.h>

#include "alloc.h"
#include "map.h"

struct entry {
    struct entry *next_changed;
    struct entry *next; /* of all */
    bool is_changed;
    size_t group;
    uint64_t base, delta;
    size_t attributes_len;
    char *attributes; /* owned; texts */
    size_t keys_len;
    char keys[]; /* texts */
};

struct agg_tally {
    int32_t partition;
    struct vd_map entries[AGG_GROUP_COUNT]; /* keys -> struct entry */
    struct entry *all;
    struct entry *changed, **changed_end;
    struct agg_meta base, now;
    bool is_rewriting;   /* every total is due */
    bool is_emitted;     /* META and what changed is in the transaction under way ... */
    bool is_all_emitted; /* ... and all else */
    int64_t recount_end; /* VD_NO_OFFSET: none is under way */
    /* What a recount has counted, by itself or by a replay of it: a bit for each offset. */
    uint8_t *counted; /* NULL: there was none */
    int64_t counted_end;
    struct vd_buf counted_new; /* int64_t each: bits set since the last fold */
    int64_t origin;            /* of the last step: the offset that its record stands for */
    struct vd_buf scratch;
};

struct agg_tally *agg_tally_new(int32_t partition)
{
    struct agg_tally *tally = vd_alloc(sizeof(*tally));

    tally->partition = partition;
    tally->changed_end = &tally->changed;
    tally->base.last_offset = VD_NO_OFFSET;
    tally->base.event_s = -1;
    tally->base.watermark_s = -1;
    tally->now = tally->base;
    tally->recount_end = VD_NO_OFFSET;
    return tally;
}

void agg_tally_free(struct agg_tally *tally)
{
    struct entry *next = NULL;

    if (tally == NULL) {
        return;
    }
    for (struct entry *entry = tally->all; entry != NULL; entry = next) {
        next = entry->next;
        free(entry->attributes);
        free(entry);
    }
    for (size_t i = 0; i < AGG_GROUP_COUNT; i++) {
        vd_map_fini(&tally->entries[i], NULL);
    }
    free(tally->counted);
    vd_buf_fini(&tally->counted_new);
    vd_buf_fini(&tally->scratch);
    free(tally);
}

static struct entry *get_entry(struct agg_tally *tally, size_t group, const char *keys, size_t len)
{
    struct entry *entry = vd_map_find(&tally->entries[group], keys, len);

    if (entry == NULL) {
        entry = vd_alloc(sizeof(*entry) + len);
        entry->group = group;
        entry->keys_len = len;
        memcpy(entry->keys, keys, len);
        entry->next = tally->all;
        tally->all = entry;
        (void)vd_map_put(&tally->entries[group], keys, len, entry); /* there was none */
    }
    return entry;
}

static void set_attributes(struct entry *entry, const char *attributes, size_t len)
{
    if (entry->attributes_len == len &&
        (len == 0 || memcmp(entry->attributes, attributes, len) == 0)) {
        return;
    }
    if (entry->attributes_len > 0 && !agg_texts_are_whole(attributes, len)) {
        return;
    }
    entry->attributes = vd_realloc(entry->attributes, len > 0 ? len : 1);
    memcpy(entry->attributes, attributes, len);
    entry->attributes_len = len;
}

static void mark(struct agg_tally *tally, struct entry *entry)
{
    if (!entry->is_changed) {
        entry->is_changed = true;
        entry->next_changed = NULL;
        *tally->changed_end = entry;
        tally->changed_end = &entry->next_changed;
    }
}

void agg_tally_load(struct agg_tally *tally, size_t group, const struct agg_partial_key *key,
                    const struct agg_total *total)
{
    struct entry *entry = get_entry(tally, group, key->keys, key->keys_len);

    entry->base = total->count;
    set_attributes(entry, total->attributes, total->attributes_len);
}

void agg_tally_load_meta(struct agg_tally *tally, const struct agg_meta *meta)
{
    tally->base = *meta;
    if (meta->recounted == 0 && meta->rebuilds > 0) { /* version 1 does not say how far it went */
        tally->base.recounted = meta->next_offset;
    }
    tally->now = tally->base;
}

enum vd_status agg_tally_check(const struct agg_tally *tally, struct vd_err *err)
{
    uint64_t sums[AGG_GROUP_COUNT] = {0};

    for (const struct entry *entry = tally->all; entry != NULL; entry = entry->next) {
        sums[entry->group] += entry->base;
    }
    for (size_t i = 0; i < AGG_GROUP_COUNT; i++) {
        if (sums[i] != tally->base.votes) {
            return vd_fail(err, VD_INVALID,
                           "partition %d: %llu votes up to offset %lld, but the totals by \"%s\" "
                           "add up to %llu",
                           tally->partition, (unsigned long long)tally->base.votes,
                           (long long)tally->base.next_offset, agg_groups[i].name,
                           (unsigned long long)sums[i]);
        }
    }
    return VD_OK;
}

/* Where a position stands to the last one counted. */
static enum agg_step place(const struct agg_meta *now, const struct vd_position *position)
{
    bool is_first = now->last_offset == VD_NO_OFFSET;

    if (!is_first && position->generation < now->last_generation) {
        return AGG_STEP_STALE;
    }
    if (is_first || position->generation > now->last_generation) {
        return position->previous == VD_NO_OFFSET ? AGG_STEP_COUNT : AGG_STEP_GAP;
    }
    if (position->offset <= now->last_offset) {
        return AGG_STEP_REPEAT;
    }
    return position->previous == now->last_offset ? AGG_STEP_COUNT : AGG_STEP_GAP;
}

static bool has_bit(const struct agg_tally *tally, int64_t offset)
{
    return offset >= 0 && offset < tally->counted_end;
}

static bool is_counted(const struct agg_tally *tally, int64_t offset)
{
    return has_bit(tally, offset) && (tally->counted[offset / 8] >> (offset % 8) & 1) != 0;
}

static void flip_counted(struct agg_tally *tally, int64_t offset)
{
    tally->counted[offset / 8] ^= (uint8_t)(1U << (offset % 8));
}

static void set_counted(struct agg_tally *tally, int64_t offset)
{
    if (has_bit(tally, offset) && !is_counted(tally, offset)) {
        flip_counted(tally, offset);
        vd_buf_add(&tally->counted_new, &offset, sizeof(offset));
    }
}

static void settle_counted(struct agg_tally *tally, bool is_durable)
{
    for (size_t at = 0; at < tally->counted_new.len && !is_durable; at += sizeof(int64_t)) {
        int64_t offset;

        memcpy(&offset, tally->counted_new.data + at, sizeof(offset));
        flip_counted(tally, offset);
    }
    vd_buf_clear(&tally->counted_new);
}

enum agg_step agg_tally_step(struct agg_tally *tally, const struct vd_record *record,
                             int64_t replay_of)
{
    enum agg_step step = AGG_STEP_COUNT;

    if (record->offset < tally->now.next_offset) {
        return AGG_STEP_SEEN;
    }
    if (record->has_position) {
        step = record->position.partition != tally->partition
                   ? AGG_STEP_FOREIGN
                   : place(&tally->now, &record->position);
    }
    if (step == AGG_STEP_FOREIGN || step == AGG_STEP_GAP) {
        return step;
    }
    if (replay_of != VD_NO_OFFSET && replay_of < tally->now.recounted &&
        !has_bit(tally, replay_of)) {
        return AGG_STEP_UNKNOWN;
    }
    tally->now.next_offset = record->offset + 1;
    tally->now.is_idle = false;
    tally->origin = replay_of == VD_NO_OFFSET ? record->offset : replay_of;
    if (replay_of != VD_NO_OFFSET && is_counted(tally, replay_of)) {
        return AGG_STEP_REPEAT;
    }
    if (record->has_position && step == AGG_STEP_COUNT) {
        tally->now.last_generation = record->position.generation;
        tally->now.last_offset = record->position.offset;
    }
    return step;
}

void agg_tally_pass(struct agg_tally *tally, int64_t offset)
{
    if (offset > tally->now.next_offset) {
        tally->now.next_offset = offset;
    }
}

void agg_tally_add(struct agg_tally *tally, const struct agg_vote *vote)
{
    struct vd_buf *scratch = &tally->scratch;

    for (size_t i = 0; i < AGG_GROUP_COUNT; i++) {
        struct entry *entry = NULL;

        vd_buf_clear(scratch);
        agg_vote_texts(vote, &agg_groups[i], true, scratch);
        entry = get_entry(tally, i, scratch->data, scratch->len);
        vd_buf_clear(scratch);
        agg_vote_texts(vote, &agg_groups[i], false, scratch);
        set_attributes(entry, scratch->data, scratch->len);
        entry->delta++;
        mark(tally, entry);
    }
    set_counted(tally, tally->origin);
    tally->now.votes++;
    tally->now.checksum += vote->checksum;
    if (vote->event_s > tally->now.event_s) {
        tally->now.event_s = vote->event_s;
    }
}

void agg_tally_set_idle(struct agg_tally *tally)
{
    tally->now.is_idle = true;
}

bool agg_tally_is_due(const struct agg_tally *tally)
{
    return tally->recount_end == VD_NO_OFFSET &&
           (tally->is_rewriting || tally->now.next_offset != tally->base.next_offset ||
            tally->now.is_idle != tally->base.is_idle);
}

void agg_tally_each(struct agg_tally *tally, agg_tally_fn *on_total, void *arg)
{
    if (tally->is_rewriting) {
        for (struct entry *entry = tally->all; entry != NULL; entry = entry->next) {
            mark(tally, entry);
        }
    }
    tally->is_emitted = true;
    tally->is_all_emitted = tally->is_rewriting;
    for (const struct entry *entry = tally->changed; entry != NULL; entry = entry->next_changed) {
        const char *dimension = agg_groups[entry->group].name;

        on_total(arg, entry->group,
                 &(struct agg_partial_key){.kind = AGG_TOTAL,
                                           .partition = tally->partition,
                                           .dimension = dimension,
                                           .dimension_len = strlen(dimension),
                                           .keys = entry->keys,
                                           .keys_len = entry->keys_len},
                 &(struct agg_total){.count = entry->base + entry->delta,
                                     .attributes = entry->attributes,
                                     .attributes_len = entry->attributes_len});
    }
}

struct agg_meta agg_tally_meta(const struct agg_tally *tally)
{
    struct agg_meta meta = tally->now;

    meta.commits = tally->base.commits + 1;
    return meta;
}

/* Take all entries off the list of changes. */
static void settle(struct agg_tally *tally, bool is_durable)
{
    for (struct entry *entry = tally->changed; entry != NULL; entry = entry->next_changed) {
        entry->base += is_durable ? entry->delta : 0;
        entry->delta = 0;
        entry->is_changed = false;
    }
    settle_counted(tally, is_durable);
    tally->changed = NULL;
    tally->changed_end = &tally->changed;
    tally->is_emitted = false;
    tally->is_all_emitted = false;
}

void agg_tally_fold(struct agg_tally *tally)
{
    bool was_idle = tally->base.is_idle;
    bool is_written = tally->is_emitted; /* a recount emits nothing */

    tally->now.commits += is_written ? 1 : 0;
    tally->is_rewriting = tally->is_rewriting && !tally->is_all_emitted;
    settle(tally, true);
    tally->base = tally->now;
    if (!is_written) { /* it may have become idle since: that is still to be said */
        tally->base.is_idle = was_idle;
    }
}

void agg_tally_forget(struct agg_tally *tally)
{
    settle(tally, false);
    tally->now = tally->base;
}

void agg_tally_rewrite(struct agg_tally *tally)
{
    tally->is_rewriting = true;
}

bool agg_tally_is_rewriting(const struct agg_tally *tally)
{
    return tally->is_rewriting;
}

const struct agg_meta *agg_tally_base(const struct agg_tally *tally)
{
    return &tally->base;
}

void agg_tally_recount(struct agg_tally *tally)
{
    const struct agg_meta empty = {.last_offset = VD_NO_OFFSET,
                                   .event_s = -1,
                                   .watermark_s = tally->base.watermark_s,
                                   .commits = tally->base.commits,
                                   .rebuilds = tally->base.rebuilds + 1,
                                   .recounted = tally->base.next_offset};

    agg_tally_forget(tally);
    for (struct entry *entry = tally->all; entry != NULL; entry = entry->next) {
        entry->base = 0;
    }
    tally->recount_end = tally->base.next_offset;
    tally->counted_end = tally->recount_end;
    free(tally->counted);
    tally->counted = vd_alloc_array((size_t)tally->counted_end / 8 + 1, 1);
    tally->base = empty;
    tally->now = empty;
}

int64_t agg_tally_recount_end(const struct agg_tally *tally)
{
    return tally->recount_end;
}

void agg_tally_end_recount(struct agg_tally *tally)
{
    tally->recount_end = VD_NO_OFFSET;
    tally->is_rewriting = true;
}
