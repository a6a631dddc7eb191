/* What the tables say of the votes that were read from the topic. */
#include <inttypes.h>
#include <stdlib.h>

#include "voting/audit.h"
#include "work.h"

static int64_t number_in(const struct vd_audit_row *row, size_t column, int64_t none)
{
    const char *text = vd_audit_field(row, column, NULL);

    return text == NULL ? none : strtoll(text, NULL, 10);
}

/* Nothing is wrong with a row whose batch did not get as far as its transaction. */
static bool is_ahead(const struct voting_audit *self, const struct voting_cast *row)
{
    return row->generation == self->generation && row->partition >= 0 &&
           row->partition < self->part_count &&
           row->offset >= voting_audit_committed(self, row->partition);
}

static void on_vote_row(void *arg, const struct vd_audit_row *row)
{
    struct voting_audit *self = arg;
    size_t id_len = 0;
    size_t candidate_len = 0;
    const char *id = vd_audit_field(row, 0, &id_len);
    const char *candidate = vd_audit_field(row, 1, &candidate_len);
    const struct voting_cast found = {.second = number_in(row, 2, -1),
                                      .generation = (int16_t)number_in(row, 3, 0),
                                      .partition = (int32_t)number_in(row, 4, -1),
                                      .offset = number_in(row, 5, VD_NO_OFFSET),
                                      .candidate =
                                          el_ids_find(&self->candidates, candidate, candidate_len)};
    const uint32_t voter = el_ids_find(&self->ids, id, id_len);
    struct voting_cast *cast = voter == EL_NO_ID ? NULL : voting_audit_cast(self, voter);
    VD_AUTO(mem) char *key = NULL;

    self->rows++;
    if ((cast == NULL || !cast->is_there) && is_ahead(self, &found)) {
        self->ahead++;
        return;
    }
    if (found.partition >= 0 && found.partition < self->part_count) {
        self->parts[found.partition].rows++;
    }
    if (cast != NULL && cast->is_there) {
        cast->is_row = true;
        if (cast->second == found.second && cast->candidate == found.candidate &&
            cast->partition == found.partition && cast->offset == found.offset &&
            cast->generation == found.generation) {
            self->same++;
            return;
        }
    }
    key = voting_audit_key(id, id_len);
    if (cast == NULL || !cast->is_there) {
        vd_audit_differ(self->claims.same, key, "a row, but no vote in the topic");
    } else if (cast->candidate != found.candidate) {
        vd_audit_differ(self->claims.same, key, "row for %s, vote for another", candidate);
    } else {
        vd_audit_differ(self->claims.same, key,
                        cast->second != found.second ? "row and vote differ in time"
                                                     : "row and vote come from different records");
    }
}

/* Votes without a row have no name any more: look for them once more. */
static void on_lonely_vote(void *arg, const struct vd_record *record)
{
    struct voting_audit *self = arg;
    struct el_vote vote = {0};
    VD_AUTO(mem) char *key = NULL;

    if (voting_audit_vote(self, record, &vote) &&
        !voting_audit_cast(self, el_ids_find(&self->ids, vote.id, vote.id_len))->is_row) {
        key = voting_audit_key(vote.id, vote.id_len);
        vd_audit_differ(self->claims.rows, key, "a vote at [%" PRId32 "] %" PRId64 ", but no row",
                        record->partition, record->offset);
    }
}

static enum vd_status compare_rows(struct voting_audit *self, struct vd_err *err)
{
    int64_t lonely = 0;

    if (vd_audit_query(
            self->audit,
            "SELECT voter_id, candidate_id, floor(extract(epoch FROM voting_time))::bigint,"
            " source_gen, source_partition, source_offset FROM votes",
            on_vote_row, self, err) != VD_OK) {
        return err->status;
    }
    for (int32_t p = 0; p < self->part_count; p++) {
        VD_AUTO(mem) char *key = vd_format("partition %" PRId32, p);

        if (self->parts[p].votes != self->parts[p].rows) {
            vd_audit_differ(self->claims.rows, key, "%" PRId64 " votes, %" PRId64 " rows",
                            self->parts[p].votes, self->parts[p].rows);
        }
    }
    for (size_t i = 0; i < self->ids.count; i++) {
        const struct voting_cast *cast = voting_audit_cast(self, (uint32_t)i);

        lonely += cast->is_there && !cast->is_row;
    }
    vd_audit_compare(self->claims.rows, self->votes, self->rows - self->ahead);
    vd_audit_compare(self->claims.same, self->rows - self->ahead, self->same);
    if (self->ahead > 0) {
        vd_audit_note(self->audit,
                      "%" PRId64 " rows of votes are ahead of the topic: their records "
                      "will be read again",
                      self->ahead);
    }
    return lonely == 0 ? VD_OK
                       : vd_audit_read(self->audit, VD_AUDIT_OUTPUT, VOTING_OUTPUT_VOTES,
                                       on_lonely_vote, self, err);
}

static void on_progress_row(void *arg, const struct vd_audit_row *row)
{
    struct voting_audit *self = arg;
    int64_t partition = number_in(row, 0, -1);

    if (partition >= 0 && partition < self->part_count) {
        self->next_offsets[partition] = number_in(row, 1, 0);
    }
}

/* Progress is ahead of the committed offset while a batch is under way, never behind it. */
static enum vd_status compare_progress(struct voting_audit *self, struct vd_err *err)
{
    const char *topic = vd_audit_topic(self->audit, VD_AUDIT_INPUT, VOTING_INPUT_VOTERS);
    VD_AUTO(mem)
    char *sql = vd_format("SELECT source_partition, next_offset FROM vote_progress"
                          " WHERE source_gen = %d",
                          self->generation);
    int64_t found = 0;
    int64_t wanted = 0;

    if (vd_audit_query(self->audit, sql, on_progress_row, self, err) != VD_OK) {
        return err->status;
    }
    for (int32_t p = 0; p < self->part_count; p++) {
        const struct voting_part *part = &self->parts[p];
        const int64_t next = self->next_offsets[p];
        const int64_t committed = voting_audit_committed(self, p);
        VD_AUTO(mem) char *key = vd_format("%s[%" PRId32 "]", topic, p);

        found += next;
        wanted += next > committed && next <= part->first + part->count ? next : committed;
        if (next < committed || next > part->first + part->count) {
            vd_audit_differ(self->claims.progress, key,
                            "next offset %" PRId64 ", committed %" PRId64
                            ", behind the last record "
                            "%" PRId64,
                            next, committed, part->first + part->count);
        }
    }
    vd_audit_compare(self->claims.progress, found, wanted);
    return VD_OK;
}

enum vd_status voting_audit_rows(struct voting_audit *self, struct vd_err *err)
{
    if (compare_rows(self, err) != VD_OK) {
        return err->status;
    }
    return compare_progress(self, err);
}
