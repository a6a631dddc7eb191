/* A voter's message is a function of the row, so both are compared by the hash of what that
 * function says: 17 bytes a voter, and no text. */
#include "generator/audit.h"

#include <inttypes.h>
#include <string.h>

#include "election/candidate.h"
#include "election/ids.h"
#include "election/json.h"
#include "election/voter.h"
#include "generator/generator.h"

/* What is known of a voter, by number. */
struct voter {
    uint64_t hash;  /* of the record */
    bool is_varied; /* its records differ: another program sent one */
    bool is_row;
};

struct gen_audit {
    struct vd_audit *audit;
    struct el_ids ids;
    struct voter *voters;
    size_t voter_cap;
    struct vd_map candidates; /* id -> owned text: value of the last record */
    struct vd_map progress;   /* key -> owned text, likewise */
    bool is_complete;         /* no source has more to give */
    struct vd_buf scratch;
    int64_t rows, same, ahead, nameless;
    int64_t candidates_same;
    struct vd_audit_claim *in_table, *in_topic, *both;
};

/* ---- topics ---------------------------------------------------------------------------------- */

static void on_voter(void *arg, const struct vd_record *record)
{
    struct gen_audit *self = arg;
    struct el_json_field field = {.path = "voter_id"};
    const size_t known = self->ids.count;
    const char *id = NULL;
    size_t len = 0;
    uint32_t number = 0;
    uint64_t hash = 0;

    if (record->value == NULL ||
        el_json_scan(record->value, record->value_len, &field, 1, NULL) != VD_OK ||
        field.type != EL_JSON_STRING || field.len == 0) {
        self->nameless++;
        return;
    }
    id = field.text;
    len = field.len;
    if (field.is_escaped) {
        vd_buf_clear(&self->scratch);
        (void)el_json_unescape(&field, &self->scratch); /* half a pair matches no row */
        id = self->scratch.data;
        len = self->scratch.len;
    }
    number = el_ids_add(&self->ids, id, len);
    hash = vd_siphash(&self->ids.key, record->value, record->value_len);
    if (number == self->voter_cap) {
        self->voter_cap = self->voter_cap == 0 ? 1024 : self->voter_cap + self->voter_cap / 2;
        self->voters = vd_realloc(self->voters, self->voter_cap * sizeof(*self->voters));
    }
    if (number == known) {
        self->voters[number] = (struct voter){.hash = hash};
    } else if (self->voters[number].hash != hash) {
        self->voters[number].is_varied = true;
    }
}

/* Keep the last value of each key. */
static void keep_last(struct vd_map *map, const struct vd_record *record)
{
    if (record->key == NULL) {
        return;
    }
    free(record->value == NULL ? vd_map_remove(map, record->key, record->key_len)
                               : vd_map_put(map, record->key, record->key_len,
                                            vd_strndup(record->value, record->value_len)));
}

static void on_candidate(void *arg, const struct vd_record *record)
{
    struct gen_audit *self = arg;

    keep_last(&self->candidates, record);
}

static void on_progress(void *arg, const struct vd_record *record)
{
    struct gen_audit *self = arg;

    if (record->key_len != strlen(GEN_CANDIDATES_KEY) ||
        memcmp(record->key, GEN_CANDIDATES_KEY, record->key_len) != 0) {
        keep_last(&self->progress, record);
    }
}

static void look_at_progress(struct gen_audit *self)
{
    const struct vd_map_slot *slot = NULL;
    size_t at = 0;

    self->is_complete = true;
    while ((slot = vd_map_next(&self->progress, &at)) != NULL) {
        struct gen_progress progress = {.target = -1};
        const char *text = slot->value;

        if (gen_progress_parse(text, strlen(text), &progress, NULL) != VD_OK) {
            continue; /* none of ours */
        }
        if (!progress.is_complete) {
            self->is_complete = false;
            vd_audit_note(self->audit, "%s is not complete: %" PRId64 " voters so far", slot->key,
                          progress.place.voters);
        }
        gen_progress_fini(&progress);
    }
}

/* ---- tables ---------------------------------------------------------------------------------- */

static struct el_text text_in(const struct vd_audit_row *row, size_t column)
{
    struct el_text text = {.data = "", .len = 0};
    const char *data = vd_audit_field(row, column, &text.len);

    text.data = data != NULL ? data : "";
    return text;
}

/* What is wrong with a row, NULL: nothing. */
static const char *judge_row(struct gen_audit *self, const struct vd_audit_row *row)
{
    struct el_voter voter = {.registered_age = 0};
    struct voter *known = NULL;
    uint32_t number = 0;

    for (size_t i = 0; i < EL_VOTER_TEXTS; i++) {
        voter.text[i] = text_in(row, i);
    }
    voter.registered_age = (int32_t)strtol(text_in(row, EL_VOTER_TEXTS).data, NULL, 10);
    number = el_ids_find(&self->ids, voter.text[EL_VOTER_ID].data, voter.text[EL_VOTER_ID].len);
    if (number == EL_NO_ID) {
        return "a row, but no record in the topic";
    }
    known = &self->voters[number];
    known->is_row = true;
    vd_buf_clear(&self->scratch);
    el_voter_format(&voter, &self->scratch);
    if (!known->is_varied &&
        known->hash != vd_siphash(&self->ids.key, self->scratch.data, self->scratch.len)) {
        return "row and record differ";
    }
    return NULL;
}

static void on_voter_row(void *arg, const struct vd_audit_row *row)
{
    struct gen_audit *self = arg;
    const struct el_text id = text_in(row, EL_VOTER_ID);
    const char *fault = judge_row(self, row);
    VD_AUTO(mem) char *key = NULL;

    self->rows++;
    if (fault == NULL) {
        self->same++;
    } else if (!self->is_complete && el_ids_find(&self->ids, id.data, id.len) == EL_NO_ID) {
        self->ahead++; /* of a page whose transaction did not come to its end */
    } else {
        key = vd_format("voter %.*s", (int)(id.len < 255 ? id.len : 255), id.data);
        vd_audit_differ(self->in_topic, key, "%s", fault);
    }
}

/* Voters without a row have no name any more: look for them once more. */
static void on_lonely_voter(void *arg, const struct vd_record *record)
{
    struct gen_audit *self = arg;
    struct el_json_field field = {.path = "voter_id"};
    uint32_t number = EL_NO_ID;
    VD_AUTO(mem) char *key = NULL;

    if (record->value == NULL ||
        el_json_scan(record->value, record->value_len, &field, 1, NULL) != VD_OK) {
        return;
    }
    number = el_ids_find(&self->ids, field.text, field.type == EL_JSON_STRING ? field.len : 0);
    if (number != EL_NO_ID && !self->voters[number].is_row) {
        self->voters[number].is_row = true; /* once is enough */
        key = vd_format("voter %.*s", (int)(field.len < 255 ? field.len : 255), field.text);
        vd_audit_differ(self->in_table, key, "a record at [%" PRId32 "] %" PRId64 ", but no row",
                        record->partition, record->offset);
    }
}

static void on_candidate_row(void *arg, const struct vd_audit_row *row)
{
    struct gen_audit *self = arg;
    char *const texts[] = {
        (char *)(uintptr_t)text_in(row, 0).data, (char *)(uintptr_t)text_in(row, 1).data,
        (char *)(uintptr_t)text_in(row, 2).data, (char *)(uintptr_t)text_in(row, 3).data,
        (char *)(uintptr_t)text_in(row, 4).data, (char *)(uintptr_t)text_in(row, 5).data};
    const struct el_candidate candidate = {.id = texts[0],
                                           .name = texts[1],
                                           .party = texts[2],
                                           .biography = texts[3],
                                           .platform = texts[4],
                                           .photo_url = texts[5]};
    VD_AUTO(mem) char *found = vd_map_remove(&self->candidates, texts[0], strlen(texts[0]));
    VD_AUTO(mem) char *key = vd_format("candidate %s", texts[0]);

    vd_buf_clear(&self->scratch);
    el_candidate_format(&candidate, &self->scratch);
    if (found == NULL) {
        vd_audit_differ(self->both, key, "a row, but no record in the topic");
    } else if (strcmp(found, vd_buf_text(&self->scratch)) != 0) {
        vd_audit_differ(self->both, key, "row and record differ");
    } else {
        self->candidates_same++;
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum vd_status compare_voters(struct gen_audit *self, struct vd_err *err)
{
    VD_AUTO(buf) struct vd_buf sql = {0};
    int64_t in_table = 0;

    vd_buf_add_text(&sql, "SELECT ");
    for (size_t i = 0; i < EL_VOTER_TEXTS; i++) {
        vd_buf_printf(&sql, "%s, ", el_voter_text_name((enum el_voter_text)i));
    }
    vd_buf_add_text(&sql, "registered_age FROM voters");
    if (vd_audit_query(self->audit, vd_buf_text(&sql), on_voter_row, self, err) != VD_OK) {
        return err->status;
    }
    for (size_t i = 0; i < self->ids.count; i++) {
        in_table += self->voters[i].is_row;
    }
    vd_audit_compare(self->in_table, (int64_t)self->ids.count, in_table);
    vd_audit_compare(self->in_topic, self->rows - self->ahead, self->same);
    if (self->nameless > 0) {
        vd_audit_note(self->audit, "%" PRId64 " records are no voters", self->nameless);
    }
    if (self->ahead > 0) {
        vd_audit_note(self->audit, "%" PRId64 " rows of voters are ahead of the topic",
                      self->ahead);
    }
    return in_table == (int64_t)self->ids.count
               ? VD_OK
               : vd_audit_read(self->audit, VD_AUDIT_OUTPUT, GEN_OUT_VOTERS, on_lonely_voter, self,
                               err);
}

static enum vd_status compare_candidates(struct gen_audit *self, struct vd_err *err)
{
    static const char sql[] = "SELECT candidate_id, candidate_name, party_affiliation, biography,"
                              " campaign_platform, photo_url FROM candidates";
    const int64_t published = (int64_t)self->candidates.count;
    const struct vd_map_slot *slot = NULL;
    size_t at = 0;

    if (vd_audit_query(self->audit, sql, on_candidate_row, self, err) != VD_OK) {
        return err->status;
    }
    while ((slot = vd_map_next(&self->candidates, &at)) != NULL) {
        VD_AUTO(mem) char *key = vd_format("candidate %s", slot->key);

        vd_audit_differ(self->both, key, "a record, but no row");
    }
    vd_audit_compare(self->both, published, self->candidates_same);
    return VD_OK;
}

static void make_claims(struct gen_audit *self)
{
    const char *voters = vd_audit_topic(self->audit, VD_AUDIT_OUTPUT, GEN_OUT_VOTERS);
    const char *candidates = vd_audit_topic(self->audit, VD_AUDIT_OUTPUT, GEN_OUT_CANDIDATES);
    VD_AUTO(mem) char *left = vd_format("%s: voters", voters);
    VD_AUTO(mem) char *other = vd_format("%s: candidates", candidates);

    self->in_table = vd_audit_claim(self->audit, left, "of these in table voters");
    self->in_topic = vd_audit_claim(self->audit, "table voters: rows", "the same in the topic");
    self->both = vd_audit_claim(self->audit, other, "the same in the table");
}

enum vd_status gen_audit(struct vd_audit *audit, void *state, struct vd_err *err)
{
    struct gen_audit self = {.audit = audit};
    enum vd_status status = VD_OK;

    (void)state; /* whatever made them: topic and table say the same */
    el_ids_init(&self.ids);
    make_claims(&self);
    status = vd_audit_read(audit, VD_AUDIT_OUTPUT, GEN_OUT_PROGRESS, on_progress, &self, err);
    if (status == VD_OK) {
        look_at_progress(&self);
        status = vd_audit_read(audit, VD_AUDIT_OUTPUT, GEN_OUT_VOTERS, on_voter, &self, err);
    }
    if (status == VD_OK) {
        status = compare_voters(&self, err);
    }
    if (status == VD_OK) {
        status =
            vd_audit_read(audit, VD_AUDIT_OUTPUT, GEN_OUT_CANDIDATES, on_candidate, &self, err);
    }
    if (status == VD_OK) {
        status = compare_candidates(&self, err);
    }
    el_ids_fini(&self.ids);
    vd_map_fini(&self.candidates, free);
    vd_map_fini(&self.progress, free);
    vd_buf_fini(&self.scratch);
    free(self.voters);
    return status;
}
