/* What the topics say, and the whole. */
#include "voting/audit.h"

#include <inttypes.h>
#include <string.h>

#include "decode.h"
#include "election/json.h"
#include "election/vote.h"
#include "work.h"

int64_t voting_audit_committed(const struct voting_audit *self, int32_t partition)
{
    int64_t offset = vd_audit_committed(self->audit, VOTING_INPUT_VOTERS, partition);

    return offset == VD_NO_OFFSET ? 0 : offset;
}

/* ---- voters ---------------------------------------------------------------------------------- */

struct voting_cast *voting_audit_cast(struct voting_audit *self, uint32_t voter)
{
    while (voter >= self->cast_cap) {
        size_t cap = self->cast_cap == 0 ? 1024 : self->cast_cap + self->cast_cap / 2;

        self->casts = vd_realloc(self->casts, cap * sizeof(*self->casts));
        memset(self->casts + self->cast_cap, 0, (cap - self->cast_cap) * sizeof(*self->casts));
        self->cast_cap = cap;
    }
    return &self->casts[voter];
}

static void on_voter(void *arg, const struct vd_record *record)
{
    struct voting_audit *self = arg;
    struct voting_part *part = &self->parts[record->partition];
    struct voting_voter voter = {0};
    struct voting_source *source = NULL;
    int64_t at = 0;

    part->first = part->count == 0 ? record->offset : part->first;
    at = record->offset - part->first;
    if (at >= part->cap) {
        int64_t cap = (at + 1) * 3 / 2 + 1024;

        part->sources = vd_realloc(part->sources, (size_t)cap * sizeof(*part->sources));
        memset(part->sources + part->cap, 0, (size_t)(cap - part->cap) * sizeof(*part->sources));
        part->cap = cap;
    }
    part->count = at + 1;
    source = &part->sources[at];
    *source = (struct voting_source){.voter = EL_NO_ID, .is_there = true};
    if (voting_decode(record, &self->scratch, &voter, NULL) == VD_OK) {
        source->second = voter.second;
        source->voter = el_ids_add(&self->ids, voter.key.id, voter.key.id_len);
    }
}

/* The voter's record that a record names as its source; NULL if there is none. */
static struct voting_source *source_of(const struct voting_audit *self,
                                       const struct vd_record *record)
{
    const struct vd_position *position = &record->position;
    const struct voting_part *part = NULL;
    int64_t at = 0;

    if (!record->has_position || position->generation != self->generation ||
        position->partition < 0 || position->partition >= self->part_count) {
        return NULL;
    }
    part = &self->parts[position->partition];
    at = position->offset - part->first;
    return at >= 0 && at < part->count && part->sources[at].is_there ? &part->sources[at] : NULL;
}

/* ---- votes ----------------------------------------------------------------------------------- */

bool voting_audit_vote(struct voting_audit *self, const struct vd_record *record,
                       struct el_vote *vote)
{
    return el_vote_read(record->value, record->value_len, &self->scratch, vote);
}

char *voting_audit_key(const char *id, size_t len)
{
    return vd_format("voter %.*s", (int)(len < 255 ? len : 255), id);
}

/* "votes_topic[2] 17" */
static char *place_key(const char *topic, int32_t partition, int64_t offset)
{
    return vd_format("%s[%" PRId32 "] %" PRId64, topic, partition, offset);
}

static char *record_key(const struct voting_audit *self, enum vd_audit_port port, size_t i,
                        const struct vd_record *record)
{
    return place_key(vd_audit_topic(self->audit, port, i), record->partition, record->offset);
}

static void check_order(struct voting_audit *self, const struct vd_record *record)
{
    const struct vd_position *position = &record->position;
    struct voting_part *part = &self->parts[record->partition];
    VD_AUTO(mem) char *key = NULL;

    self->positions++;
    if (position->generation > part->last_generation) { /* its chain begins anew */
        part->last_generation = position->generation;
        part->last_vote = VD_NO_OFFSET;
    }
    if (position->partition == record->partition && position->generation == part->last_generation &&
        position->offset > part->last_vote && position->previous == part->last_vote) {
        self->in_order++;
    } else {
        key = record_key(self, VD_AUDIT_OUTPUT, VOTING_OUTPUT_VOTES, record);
        vd_audit_differ(self->claims.chain, key,
                        "from [%" PRId32 "] %" PRId64 " after %" PRId64
                        ", but the vote before it is from %" PRId64,
                        position->partition, position->offset, position->previous, part->last_vote);
    }
    part->last_vote = position->offset > part->last_vote ? position->offset : part->last_vote;
}

/* Is a vote that of its voter's record? */
static void check_faith(struct voting_audit *self, const struct vd_record *record,
                        const struct el_vote *vote, uint32_t voter)
{
    struct voting_source *source = source_of(self, record);
    VD_AUTO(mem) char *key = NULL;

    self->present++;
    if (source != NULL) {
        source->accepted += source->accepted < UINT8_MAX ? 1 : 0;
    }
    if (source != NULL && source->voter == voter && source->second == vote->second &&
        record->key_len == vote->id_len && memcmp(record->key, vote->id, vote->id_len) == 0) {
        self->faithful++;
        return;
    }
    key = voting_audit_key(vote->id, vote->id_len);
    vd_audit_differ(self->claims.faithful, key,
                    source == NULL           ? "no record at [%" PRId32 "] %" PRId64
                    : source->voter != voter ? "another voter's record at [%" PRId32 "] %" PRId64
                                             : "another time or key than at [%" PRId32 "] %" PRId64,
                    record->position.partition, record->position.offset);
}

static void take_vote(struct voting_audit *self, const struct vd_record *record,
                      const struct el_vote *vote, uint32_t voter)
{
    struct voting_cast *cast = voting_audit_cast(self, voter);
    VD_AUTO(mem) char *key = NULL;

    if (cast->is_there) {
        key = voting_audit_key(vote->id, vote->id_len);
        vd_audit_differ(self->claims.once, key, "votes again at [%" PRId32 "] %" PRId64,
                        record->partition, record->offset);
        return;
    }
    *cast = (struct voting_cast){
        .second = vote->second,
        .offset = record->has_position ? record->position.offset : VD_NO_OFFSET,
        .partition = record->has_position ? record->position.partition : -1,
        .generation = record->position.generation,
        .candidate = el_ids_add(&self->candidates, vote->candidate, vote->candidate_len),
        .is_there = true,
    };
    self->voters++;
}

static void on_vote(void *arg, const struct vd_record *record)
{
    struct voting_audit *self = arg;
    struct el_vote vote = {0};
    uint32_t voter = 0;
    VD_AUTO(mem) char *key = NULL;

    self->votes++;
    if (record->has_position) {
        self->parts[record->partition].votes++;
        check_order(self, record);
    }
    if (!voting_audit_vote(self, record, &vote)) {
        key = record_key(self, VD_AUDIT_OUTPUT, VOTING_OUTPUT_VOTES, record);
        vd_audit_differ(self->claims.once, key, "no vote of a voter");
        return;
    }
    voter = el_ids_add(&self->ids, vote.id, vote.id_len);
    if (record->has_position && record->position.generation == self->generation) {
        check_faith(self, record, &vote, voter);
    }
    take_vote(self, record, &vote, voter);
}

/* ---- rejects and dead letters ---------------------------------------------------------------- */

/* A reject may stand twice, after votes_topic had lost its tail: positions count. */
static void on_rejected(void *arg, const struct vd_record *record)
{
    struct voting_audit *self = arg;
    struct voting_source *source = source_of(self, record);
    const struct voting_cast *cast = NULL;
    VD_AUTO(mem) char *key = NULL;

    if (!record->has_position) {
        return; /* another program's */
    }
    if (source != NULL && source->is_rejected) {
        self->again++;
        return;
    }
    self->rejects++;
    if (source != NULL && source->voter != EL_NO_ID) {
        source->is_rejected = true;
        cast = voting_audit_cast(self, source->voter);
    }
    if (cast != NULL && cast->is_there &&
        (cast->partition != record->position.partition ||
         cast->offset != record->position.offset)) {
        self->rightly++;
        return;
    }
    key = record_key(self, VD_AUDIT_OUTPUT, VOTING_OUTPUT_REJECTED, record);
    vd_audit_differ(self->claims.rejects, key,
                    "from [%" PRId32 "] %" PRId64 ", whose voter has not voted elsewhere",
                    record->position.partition, record->position.offset);
}

static void on_dead(void *arg, const struct vd_record *record)
{
    struct voting_audit *self = arg;
    struct voting_source *source = source_of(self, record);

    if (source != NULL) {
        source->is_dead = true;
    }
}

/* ---- what became of the records -------------------------------------------------------------- */

/* The outcome of a record at a place of its partition: how many it has,
 * and how many it must have. */
struct outcome {
    int found, wanted;
};

static struct outcome outcome_of(const struct voting_audit *self, int32_t partition, int64_t at)
{
    const struct voting_part *part = &self->parts[partition];
    const struct voting_source *source = &part->sources[at];

    return (struct outcome){
        .found = source->accepted + source->is_rejected + source->is_dead,
        .wanted =
            source->is_there && part->first + at < voting_audit_committed(self, partition) ? 1 : 0};
}

static void tell_outcome(struct voting_audit *self, int32_t partition, int64_t at)
{
    const struct voting_source *source = &self->parts[partition].sources[at];
    VD_AUTO(mem)
    char *key = place_key(vd_audit_topic(self->audit, VD_AUDIT_INPUT, VOTING_INPUT_VOTERS),
                          partition, self->parts[partition].first + at);

    vd_audit_differ(self->claims.outcomes, key, "accepted %d times, rejected %d, dead %d%s",
                    source->accepted, source->is_rejected, source->is_dead,
                    outcome_of(self, partition, at).wanted == 1 ? "" : ", but not committed");
}

/* Letters may have been purged, so that their records show no outcome any more. */
static void compare_outcomes(struct voting_audit *self)
{
    const int64_t deleted = vd_audit_deleted(self->audit, VD_AUDIT_DEAD, 0) +
                            vd_audit_deleted(self->audit, VD_AUDIT_OUTPUT, VOTING_OUTPUT_REJECTED);
    int64_t wanted = 0;
    int64_t found = 0;
    int64_t missing = 0;

    for (int32_t p = 0; p < self->part_count; p++) {
        for (int64_t i = 0; i < self->parts[p].count; i++) {
            const struct outcome outcome = outcome_of(self, p, i);

            wanted += outcome.wanted;
            found += outcome.found;
            missing += outcome.wanted > outcome.found;
        }
    }
    for (int32_t p = 0; p < self->part_count; p++) {
        for (int64_t i = 0; i < self->parts[p].count; i++) {
            const struct outcome outcome = outcome_of(self, p, i);

            if (outcome.found > outcome.wanted ||
                (outcome.found < outcome.wanted && missing > deleted)) {
                tell_outcome(self, p, i);
            }
        }
    }
    if (missing > 0 && missing <= deleted) {
        vd_audit_note(self->audit, "of %" PRId64 " records the letters were purged", missing);
        found += missing;
    }
    vd_audit_compare(self->claims.outcomes, wanted, found);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static struct vd_audit_claim *claim(struct voting_audit *self, const char *topic, const char *what,
                                    const char *right)
{
    VD_AUTO(mem) char *left = vd_format("%s: %s", topic, what);

    return vd_audit_claim(self->audit, left, right);
}

static void make_claims(struct voting_audit *self)
{
    const char *voters = vd_audit_topic(self->audit, VD_AUDIT_INPUT, VOTING_INPUT_VOTERS);
    const char *votes = vd_audit_topic(self->audit, VD_AUDIT_OUTPUT, VOTING_OUTPUT_VOTES);
    const char *rejected = vd_audit_topic(self->audit, VD_AUDIT_OUTPUT, VOTING_OUTPUT_REJECTED);
    struct voting_claims *claims = &self->claims;

    claims->outcomes = claim(self, voters, "records", "accepted + rejected + dead");
    claims->rejects = claim(self, rejected, "records", "of voters who voted before");
    claims->once = claim(self, votes, "votes", "voters in it");
    claims->chain = claim(self, votes, "votes", "in order, none left out");
    claims->faithful = claim(self, votes, "votes", "as their voter's record says");
    claims->rows = claim(self, votes, "votes", "rows of votes");
    claims->same = vd_audit_claim(self->audit, "table votes: rows", "the same vote in the topic");
    claims->progress = vd_audit_claim(self->audit, "table vote_progress: offsets", "as committed");
}

static enum vd_status read_topics(struct voting_audit *self, struct vd_err *err)
{
    static const struct {
        enum vd_audit_port port;
        size_t i;
        vd_audit_record_fn *on_record;
    } readings[] = {
        {VD_AUDIT_INPUT, VOTING_INPUT_VOTERS,
         on_voter}, /* first: the others are about its records */
        {VD_AUDIT_OUTPUT, VOTING_OUTPUT_VOTES, on_vote},
        {VD_AUDIT_OUTPUT, VOTING_OUTPUT_REJECTED, on_rejected},
        {VD_AUDIT_DEAD, 0, on_dead},
    };

    for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
        if (vd_audit_read(self->audit, readings[i].port, readings[i].i, readings[i].on_record, self,
                          err) != VD_OK) {
            return err->status;
        }
    }
    vd_audit_compare(self->claims.once, self->votes, self->voters);
    vd_audit_compare(self->claims.chain, self->positions, self->in_order);
    vd_audit_compare(self->claims.faithful, self->present, self->faithful);
    vd_audit_compare(self->claims.rejects, self->rejects, self->rightly);
    if (self->again > 0) {
        vd_audit_note(self->audit,
                      "%" PRId64 " records are rejected a second time: votes or offsets "
                      "were lost once",
                      self->again);
    }
    if (self->votes > self->positions) {
        vd_audit_note(self->audit, "%" PRId64 " votes are another program's",
                      self->votes - self->positions);
    }
    return VD_OK;
}

static void fini(struct voting_audit *self)
{
    for (int32_t p = 0; p < self->part_count; p++) {
        free(self->parts[p].sources);
    }
    free(self->parts);
    free(self->next_offsets);
    free(self->casts);
    el_ids_fini(&self->ids);
    el_ids_fini(&self->candidates);
    vd_buf_fini(&self->scratch);
}

enum vd_status voting_audit(struct vd_audit *audit, void *state, struct vd_err *err)
{
    struct voting_audit self = {
        .audit = audit,
        .generation = vd_audit_generation(audit, VD_AUDIT_INPUT, VOTING_INPUT_VOTERS),
        .part_count = vd_audit_partitions(audit, VD_AUDIT_INPUT, VOTING_INPUT_VOTERS),
    };
    enum vd_status status;

    (void)state; /* no option says how votes are compared */
    if (self.part_count != vd_audit_partitions(audit, VD_AUDIT_OUTPUT, VOTING_OUTPUT_VOTES)) {
        return vd_fail(err, VD_INVALID, "voters and votes must have the same number of partitions");
    }
    el_ids_init(&self.ids);
    el_ids_init(&self.candidates);
    self.parts = vd_alloc_array((size_t)self.part_count, sizeof(*self.parts));
    self.next_offsets = vd_alloc_array((size_t)self.part_count, sizeof(*self.next_offsets));
    for (int32_t p = 0; p < self.part_count; p++) {
        self.parts[p].last_vote = VD_NO_OFFSET;
    }
    make_claims(&self);
    status = read_topics(&self, err);
    if (status == VD_OK) {
        compare_outcomes(&self);
        status = voting_audit_rows(&self, err);
    }
    fini(&self);
    return status;
}
