/* The recount runs through the same tallies as the count did, from the first vote to the one that
 * META names last: what is counted since then is nothing that could differ yet. */
#include "aggregation/audit.h"

#include <inttypes.h>
#include <string.h>

#include "aggregation.h"
#include "election/json.h"

/* What agg_partials says of a partition. */
struct recount_part {
    struct agg_tally *tally; /* the recount */
    struct agg_meta meta;
    bool has_meta;
};

/* A TOTAL of agg_partials. */
struct partial {
    uint64_t count;
    bool is_recounted;
};

/* A public result. */
struct result {
    uint64_t counted; /* recount, all partitions */
    uint64_t shown;   /* of the record with the highest sequence */
    uint64_t sequence;
    bool is_stale; /* a lower sequence stands behind it */
};

struct recount {
    struct vd_audit *audit;
    struct recount_part *parts;
    int32_t part_count;
    struct vd_map partials;                 /* key -> struct partial */
    struct vd_map results[AGG_GROUP_COUNT]; /* public key -> struct result */
    struct vd_map letters;                  /* place of a record that was set aside -> nothing */
    struct vd_map undecodable;              /* place of a record that is no vote -> bool: has a
                                               dead letter */
    struct vd_buf scratch, key;
    size_t group; /* whose public topic is being read */
    int64_t buried, repeats, strange, waiting;
    int64_t totals_equal;
    struct vd_audit_claim *metas, *totals, *dead, *last;
    struct vd_audit_claim *shown[AGG_GROUP_COUNT]; /* NULL: not mapped */
};

/* ---- the partials ---------------------------------------------------------------------------- */

static void *get(struct vd_map *map, const char *key, size_t len, size_t bytes)
{
    void *value = vd_map_find(map, key, len);

    if (value == NULL) {
        value = vd_alloc(bytes);
        (void)vd_map_put(map, key, len, value); /* there was none */
    }
    return value;
}

/* Records are read in order, so the last of a key counts, as after compaction. */
static void on_partial(void *arg, const struct vd_record *record)
{
    struct recount *self = arg;
    struct agg_partial_key key = {0};
    struct agg_total total = {0};
    struct partial *partial = NULL;
    enum vd_status status = VD_INVALID;

    if (record->key != NULL) {
        status = agg_partial_key_parse(record->key, record->key_len, &key, NULL);
    }
    if (status == VD_OK && key.partition != record->partition) {
        status = VD_INVALID;
    } else if (status == VD_OK && key.kind == AGG_META) {
        struct recount_part *part = &self->parts[record->partition];

        status = agg_meta_parse(record->value, record->value_len, &part->meta, NULL);
        part->has_meta = status == VD_OK;
    } else if (status == VD_OK && key.kind == AGG_TOTAL) {
        status = record->value == NULL
                     ? VD_OK
                     : agg_total_parse(record->value, record->value_len, &total, NULL);
        partial = get(&self->partials, record->key, record->key_len, sizeof(*partial));
        partial->count = total.count;
    }
    self->strange += status != VD_OK;
}

/* The tallies run as in a recount up to where the count stands, which knows replays (tally.h). */
static void begin_tallies(struct recount *self)
{
    for (int32_t p = 0; p < self->part_count; p++) {
        agg_tally_load_meta(self->parts[p].tally, &self->parts[p].meta);
        self->parts[p].meta.recounted = agg_tally_base(self->parts[p].tally)->recounted;
        agg_tally_recount(self->parts[p].tally);
    }
}

/* ---- the votes ------------------------------------------------------------------------------- */

static char *format_place(int32_t partition, int64_t offset)
{
    return vd_format("[%" PRId32 "] %" PRId64, partition, offset);
}

/* A vote may be set aside twice, if it was offered again after offsets were lost. */
static void on_dead(void *arg, const struct vd_record *record)
{
    struct recount *self = arg;

    if (record->has_position) {
        VD_AUTO(mem)
        char *place = format_place(record->position.partition, record->position.offset);

        (void)get(&self->letters, place, strlen(place), sizeof(bool));
    }
}

static bool has_letter(const struct recount *self, const struct vd_record *record)
{
    VD_AUTO(mem) char *place = format_place(record->partition, record->offset);

    return vd_map_find(&self->letters, place, strlen(place)) != NULL;
}

static void bury(struct recount *self, const struct vd_record *record)
{
    VD_AUTO(mem) char *place = format_place(record->partition, record->offset);
    bool *is_buried = get(&self->undecodable, place, strlen(place), sizeof(bool));

    *is_buried = has_letter(self, record);
    self->buried += *is_buried;
}

/* Gaps and strangers are what the voting stage's audit reports: here the vote counts. */
static enum agg_step step_over(struct agg_tally *tally, const struct vd_record *record,
                               int64_t replay_of)
{
    struct vd_record forced = *record;
    enum agg_step step = agg_tally_step(tally, record, replay_of);

    if (step == AGG_STEP_GAP) {
        const struct agg_meta now = agg_tally_meta(tally);

        forced.position.previous =
            record->position.generation == now.last_generation ? now.last_offset : VD_NO_OFFSET;
        step = agg_tally_step(tally, &forced, replay_of);
    }
    if (step == AGG_STEP_GAP || step == AGG_STEP_FOREIGN) {
        forced.has_position = false;
        step = agg_tally_step(tally, &forced, replay_of);
    }
    return step;
}

/* A record that was set aside by an older version, and is a vote to this one, is counted by its
 * replay; without one it waits for that, unless a recount came past it. */
static bool is_waiting(const struct recount *self, const struct vd_record *record)
{
    return self->letters.count > 0 &&
           record->offset >= self->parts[record->partition].meta.recounted &&
           has_letter(self, record);
}

static void on_vote(void *arg, const struct vd_record *record)
{
    struct recount *self = arg;
    struct recount_part *part = &self->parts[record->partition];
    struct agg_vote vote;

    if (!part->has_meta || record->offset >= part->meta.next_offset) {
        return; /* still to be counted */
    }
    if (!vd_audit_is_sound(self->audit)) {
        bury(self, record);
    } else if (step_over(part->tally, record, vd_audit_replay_of(self->audit)) != AGG_STEP_COUNT) {
        self->repeats++;
    } else if (agg_vote_parse(record->value, record->value_len, &self->scratch, &vote, NULL) !=
               VD_OK) {
        bury(self, record);
    } else if (is_waiting(self, record)) {
        self->waiting++;
    } else {
        agg_tally_add(part->tally, &vote);
    }
}

/* ---- the count and the recount --------------------------------------------------------------- */

static void on_total(void *arg, size_t group, const struct agg_partial_key *key,
                     const struct agg_total *total)
{
    struct recount *self = arg;
    struct partial *partial = NULL;
    struct result *result = NULL;
    VD_AUTO(mem) char *name = NULL;

    vd_buf_clear(&self->key);
    agg_partial_key_format(key, &self->key);
    partial = get(&self->partials, self->key.data, self->key.len, sizeof(*partial));
    partial->is_recounted = true;
    self->totals_equal += partial->count == total->count;
    vd_buf_clear(&self->key);
    agg_public_key(key->keys, key->keys_len, &self->key);
    if (partial->count != total->count) {
        name = vd_format("%s \"%s\", partition %" PRId32, agg_groups[group].name,
                         vd_buf_text(&self->key), key->partition);
        vd_audit_differ(self->totals, name, "total %" PRIu64 ", recount %" PRIu64, partial->count,
                        total->count);
    }
    result = get(&self->results[group], vd_buf_text(&self->key), self->key.len, sizeof(*result));
    result->counted += total->count;
}

/* Totals of values that no vote has. */
static void check_leftovers(struct recount *self)
{
    const struct vd_map_slot *slot = NULL;
    size_t at = 0;

    while ((slot = vd_map_next(&self->partials, &at)) != NULL) {
        const struct partial *partial = slot->value;
        struct agg_partial_key key = {0};
        VD_AUTO(mem) char *name = NULL;

        if (partial->is_recounted || partial->count == 0) {
            self->totals_equal += !partial->is_recounted;
            continue;
        }
        (void)!agg_partial_key_parse(slot->key, slot->key_len, &key, NULL); /* it was read before */
        vd_buf_clear(&self->key);
        agg_public_key(key.keys, key.keys_len, &self->key);
        name = vd_format("%.*s \"%s\", partition %" PRId32, (int)key.dimension_len, key.dimension,
                         vd_buf_text(&self->key), key.partition);
        vd_audit_differ(self->totals, name, "total %" PRIu64 ", recount 0", partial->count);
    }
}

/* Letters may have been purged. */
static void check_dead(struct recount *self)
{
    const char *topic = vd_audit_topic(self->audit, VD_AUDIT_INPUT, INPUT_VOTES);
    const int64_t all = (int64_t)self->undecodable.count;
    const bool are_purged = all - self->buried <= vd_audit_deleted(self->audit, VD_AUDIT_DEAD, 0);
    const struct vd_map_slot *slot = NULL;
    size_t at = 0;

    while ((slot = vd_map_next(&self->undecodable, &at)) != NULL) {
        if (!*(const bool *)slot->value && !are_purged) {
            vd_audit_differ(self->dead, topic, "at %s: no vote, and no dead letter", slot->key);
        }
    }
    vd_audit_compare(self->dead, all, are_purged ? all : self->buried);
}

static void compare_metas(struct recount *self)
{
    int64_t counted = 0;
    int64_t votes = 0;

    for (int32_t p = 0; p < self->part_count; p++) {
        const struct recount_part *part = &self->parts[p];
        const struct agg_meta recount = agg_tally_meta(part->tally);
        VD_AUTO(mem) char *key = vd_format("partition %" PRId32, p);

        counted += (int64_t)part->meta.votes;
        votes += (int64_t)recount.votes;
        if (part->meta.votes != recount.votes || part->meta.checksum != recount.checksum) {
            vd_audit_differ(self->metas, key,
                            "up to offset %" PRId64 ": %" PRIu64 " votes (checksum %016" PRIx64
                            "), recount %" PRIu64 " (%016" PRIx64 ")",
                            part->meta.next_offset, part->meta.votes, part->meta.checksum,
                            recount.votes, recount.checksum);
        }
        agg_tally_each(part->tally, on_total, self);
    }
    vd_audit_compare(self->metas, counted, votes);
    check_leftovers(self);
    vd_audit_compare(self->totals, (int64_t)self->partials.count, self->totals_equal);
    check_dead(self);
}

/* ---- what is published ----------------------------------------------------------------------- */

static void on_shown(void *arg, const struct vd_record *record)
{
    struct recount *self = arg;
    struct el_json_field fields[] = {{.path = agg_groups[self->group].count}, {.path = "sequence"}};
    struct result *result = NULL;
    int64_t count = -1;
    int64_t sequence = 0;

    if (record->key == NULL) {
        return;
    }
    result = get(&self->results[self->group], record->key, record->key_len, sizeof(*result));
    if (record->value == NULL ||
        el_json_scan(record->value, record->value_len, fields, 2, NULL) != VD_OK ||
        el_json_int(&fields[0], &count, NULL) != VD_OK || count < 0 ||
        el_json_int(&fields[1], &sequence, NULL) != VD_OK || sequence < 0) {
        result->is_stale = true;
        return;
    }
    result->is_stale = (uint64_t)sequence < result->sequence;
    if (!result->is_stale) {
        result->sequence = (uint64_t)sequence;
        result->shown = (uint64_t)count;
    }
}

/* Compare one group's public topic; what is stale adds to the counts of the claim about all. */
static void compare_results(struct recount *self, int64_t *keys, int64_t *fresh)
{
    struct vd_audit_claim *claim = self->shown[self->group];
    const struct vd_map_slot *slot = NULL;
    uint64_t shown = 0;
    uint64_t counted = 0;
    size_t at = 0;

    while ((slot = vd_map_next(&self->results[self->group], &at)) != NULL) {
        const struct result *result = slot->value;

        shown += result->shown;
        counted += result->counted;
        ++*keys;
        *fresh += !result->is_stale;
        if (result->shown != result->counted) {
            vd_audit_differ(claim, slot->key, "published %" PRIu64 ", recount %" PRIu64,
                            result->shown, result->counted);
        }
        if (result->is_stale) {
            vd_audit_differ(self->last, slot->key, "by %s: an older record stands behind it",
                            agg_groups[self->group].name);
        }
    }
    vd_audit_compare(claim, (int64_t)shown, (int64_t)counted);
}

static enum vd_status check_results(struct recount *self, struct vd_err *err)
{
    int64_t keys = 0;
    int64_t fresh = 0;

    for (self->group = 0; self->group < AGG_GROUP_COUNT; self->group++) {
        if (self->shown[self->group] == NULL) {
            continue;
        }
        if (vd_audit_read(self->audit, VD_AUDIT_OUTPUT, PORT_FIRST_GROUP + self->group, on_shown,
                          self, err) != VD_OK) {
            return err->status;
        }
        compare_results(self, &keys, &fresh);
    }
    vd_audit_compare(self->last, keys, fresh);
    return VD_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static struct vd_audit_claim *claim(struct recount *self, const char *topic, const char *what,
                                    const char *right)
{
    VD_AUTO(mem) char *left = vd_format("%s: %s", topic, what);

    return vd_audit_claim(self->audit, left, right);
}

static void make_claims(struct recount *self)
{
    const char *votes = vd_audit_topic(self->audit, VD_AUDIT_INPUT, INPUT_VOTES);
    const char *partials = vd_audit_topic(self->audit, VD_AUDIT_OUTPUT, PORT_PARTIALS);

    self->metas = claim(self, partials, "votes", "recount");
    self->totals = claim(self, partials, "totals", "as recounted");
    self->dead = claim(self, votes, "undecodable", "of these dead letters");
    for (size_t i = 0; i < AGG_GROUP_COUNT; i++) {
        const char *topic = vd_audit_topic(self->audit, VD_AUDIT_OUTPUT, PORT_FIRST_GROUP + i);

        self->shown[i] = topic == NULL ? NULL : vd_audit_claim(self->audit, topic, "recount");
    }
    self->last = vd_audit_claim(self->audit, "published keys", "last record is the newest");
}

static enum vd_status recount(struct recount *self, struct vd_err *err)
{
    if (vd_audit_read(self->audit, VD_AUDIT_OUTPUT, PORT_PARTIALS, on_partial, self, err) !=
            VD_OK ||
        vd_audit_read(self->audit, VD_AUDIT_DEAD, 0, on_dead, self, err) != VD_OK) {
        return err->status;
    }
    begin_tallies(self);
    if (vd_audit_read(self->audit, VD_AUDIT_INPUT, INPUT_VOTES, on_vote, self, err) != VD_OK) {
        return err->status;
    }
    if (self->repeats > 0) {
        vd_audit_note(self->audit, "%" PRId64 " repeated votes are not counted", self->repeats);
    }
    if (self->waiting > 0) {
        vd_audit_note(self->audit, "%" PRId64 " votes were set aside as dead letters",
                      self->waiting);
    }
    if (self->strange > 0) {
        vd_audit_note(self->audit, "%" PRId64 " records of the partials are none of ours",
                      self->strange);
    }
    compare_metas(self);
    return check_results(self, err);
}

static void fini(struct recount *self)
{
    for (int32_t p = 0; p < self->part_count; p++) {
        agg_tally_free(self->parts[p].tally);
    }
    free(self->parts);
    vd_map_fini(&self->partials, free);
    for (size_t i = 0; i < AGG_GROUP_COUNT; i++) {
        vd_map_fini(&self->results[i], free);
    }
    vd_map_fini(&self->letters, free);
    vd_map_fini(&self->undecodable, free);
    vd_buf_fini(&self->scratch);
    vd_buf_fini(&self->key);
}

enum vd_status agg_audit(struct vd_audit *audit, void *state, struct vd_err *err)
{
    struct recount self = {
        .audit = audit,
        .part_count = vd_audit_partitions(audit, VD_AUDIT_INPUT, INPUT_VOTES),
    };
    enum vd_status status;

    (void)state; /* no option says how votes are counted */
    if (self.part_count != vd_audit_partitions(audit, VD_AUDIT_OUTPUT, PORT_PARTIALS)) {
        return vd_fail(err, VD_INVALID,
                       "votes and partials must have the same number of partitions");
    }
    self.parts = vd_alloc_array((size_t)self.part_count, sizeof(*self.parts));
    for (int32_t p = 0; p < self.part_count; p++) {
        self.parts[p].tally = agg_tally_new(p);
    }
    make_claims(&self);
    status = recount(&self, err);
    fini(&self);
    return status;
}
