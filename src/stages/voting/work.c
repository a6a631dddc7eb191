/* From records to statements, and from their answers to votes and rejects. */
#include "work.h"

#include <string.h>

#include "decode.h"

/* Remember that all of a partition up to this record is in the batch; partitions in order. */
static void note_progress(struct voting_work *work, const struct vd_record *record)
{
    size_t at = work->progress_count;

    while (at > 0 && work->progress[at - 1].partition > record->partition) {
        at--;
    }
    if (at > 0 && work->progress[at - 1].partition == record->partition) {
        work->progress[at - 1].next_offset = record->offset + 1;
        return;
    }
    if (work->progress_count == work->progress_cap) {
        work->progress_cap = work->progress_cap * 2 + 8;
        work->progress = vd_realloc(work->progress, work->progress_cap * sizeof(*work->progress));
    }
    memmove(&work->progress[at + 1], &work->progress[at],
            (work->progress_count - at) * sizeof(*work->progress));
    work->progress[at] =
        (struct voting_progress){.partition = record->partition, .next_offset = record->offset + 1};
    work->progress_count++;
}

static const char *pending_id(const struct voting_work *work, const struct voting_pending *vote)
{
    return vote->id != NULL ? vote->id : work->ids.data + vote->id_at;
}

static struct voting_row row_of(const struct voting_work *work, const struct voting_pending *vote)
{
    const struct vd_record *record = vd_batch_record(work->batch, vote->record);
    const char *candidate = el_ballot_candidate(work->ballot, vote->candidate)->id;

    return (struct voting_row){.voter_id = pending_id(work, vote),
                               .voter_id_len = vote->id_len,
                               .candidate_id = candidate,
                               .candidate_id_len = strlen(candidate),
                               .second = vote->second,
                               .partition = record->partition,
                               .offset = record->offset};
}

static void add_pending(struct voting_work *work, size_t i, const struct voting_voter *voter,
                        size_t candidate)
{
    struct voting_pending *vote = NULL;

    if (work->pending_count == work->pending_cap) {
        work->pending_cap = work->pending_cap * 2 + 256;
        work->pending = vd_realloc(work->pending, work->pending_cap * sizeof(*work->pending));
    }
    vote = &work->pending[work->pending_count++];
    *vote = (struct voting_pending){.record = i,
                                    .candidate = candidate,
                                    .second = voter->second,
                                    .id = voter->key.id,
                                    .id_len = voter->key.id_len};
    if (voter->key.id == work->scratch.data) { /* escaped: the next one is resolved there too */
        vote->id = NULL;
        vote->id_at = work->ids.len;
        vd_buf_add(&work->ids, voter->key.id, voter->key.id_len);
    }
}

static enum vd_status add_voter(struct voting_work *work, size_t i, struct vd_err *err)
{
    const struct vd_record *record = vd_batch_record(work->batch, i);
    struct voting_voter voter = {0};
    size_t candidate = 0;

    if (voting_decode(record, &work->scratch, &voter, err) != VD_OK) {
        return err->status;
    }
    candidate = el_ballot_choose(work->ballot, &voter.key);
    if (voting_check_size(record, &voter, &work->fragments[candidate], work->vote_max, err) !=
        VD_OK) {
        return err->status;
    }
    add_pending(work, i, &voter, candidate);
    return VD_OK;
}

/* Sort the batch into votes to be tried and dead letters. */
static void decode(struct voting_work *work)
{
    struct vd_err err = {0};

    work->pending_count = 0;
    work->progress_count = 0;
    work->is_replay = false;
    work->outcome = (struct voting_outcome){0};
    vd_buf_clear(&work->ids);
    for (size_t i = 0; i < vd_batch_count(work->batch); i++) {
        const struct vd_record *record = vd_batch_record(work->batch, i);

        note_progress(work, record);
        work->is_replay =
            work->is_replay ||
            record->offset < voting_takeover_progress(work->takeover, record->partition);
        if (add_voter(work, i, &err) != VD_OK) {
            vd_batch_dead(work->batch, i, err.msg);
            work->outcome.dead++;
        }
    }
}

size_t voting_work_begin(struct voting_work *work, struct vd_batch *batch, int16_t generation)
{
    work->batch = batch;
    decode(work);
    voting_unit_begin(&work->unit, generation);
    for (size_t i = 0; i < work->progress_count; i++) {
        voting_unit_add_progress(&work->unit, work->progress[i].partition,
                                 work->progress[i].next_offset);
    }
    for (size_t i = 0; i < work->pending_count; i++) {
        struct voting_row row = row_of(work, &work->pending[i]);

        voting_unit_add(&work->unit, &row);
    }
    return voting_unit_end(&work->unit, work->is_replay);
}

/* ---- a batch: and back --------------------------------------------------------------------- */

static void accept(struct voting_work *work, const struct voting_pending *vote)
{
    const struct vd_record *record = vd_batch_record(work->batch, vote->record);
    struct vd_msg msg = {
        .key = pending_id(work, vote), .key_len = vote->id_len, .partition = VD_SAME};

    vd_buf_clear(&work->value);
    el_vote_append(&work->value, record->value, record->value_len,
                   &work->fragments[vote->candidate],
                   el_vote_time_format(&work->clock, vote->second));
    msg.value = work->value.data;
    msg.value_len = work->value.len;
    vd_batch_emit(work->batch, VOTING_OUTPUT_VOTES, vote->record, &msg);
    work->outcome.accepted++;
}

static void reject(struct voting_work *work, const struct voting_pending *vote)
{
    const struct vd_record *record = vd_batch_record(work->batch, vote->record);
    const struct vd_msg msg = {.key = record->key,
                               .key_len = record->key_len,
                               .value = record->value,
                               .value_len = record->value_len,
                               .partition = VD_SAME,
                               .reason = "this voter has voted before"};

    vd_batch_emit(work->batch, VOTING_OUTPUT_REJECTED, vote->record, &msg);
    work->outcome.rejected++;
}

static enum vd_status fail_missing(const struct voting_work *work, const struct voting_row *row,
                                   size_t rows, struct vd_err *err)
{
    return vd_fail(
        err, VD_INVALID,
        "partition %d, offset %lld: PostgreSQL has no row for voter \"%.*s\" right after "
        "the insert (%zu rows for %zu votes): rows of votes are being deleted, or a "
        "trigger or rule drops them; stop that, then restart",
        row->partition, (long long)row->offset, (int)row->voter_id_len, row->voter_id, rows,
        work->pending_count);
}

static enum vd_status fail_differing(const struct voting_row *row,
                                     const struct voting_answer *stored, struct vd_err *err)
{
    struct el_vote_clock clock = {0};

    return vd_fail(err, VD_INVALID,
                   "partition %d, offset %lld: voter \"%.*s\" votes for \"%.*s\" at %s, but votes "
                   "has candidate \"%.*s\" or another time for this very record: it was written "
                   "under another ballot, or changed by hand; restore the row or the settings",
                   row->partition, (long long)row->offset, (int)row->voter_id_len, row->voter_id,
                   (int)row->candidate_id_len, row->candidate_id,
                   el_vote_time_format(&clock, row->second), (int)stored->candidate_id_len,
                   stored->candidate_id != NULL ? stored->candidate_id : "");
}

/* What was judged before has its row, or is a second vote: it makes no new one. */
static enum vd_status check_replay(const struct voting_work *work, const struct vd_pg_reply *reply,
                                   int32_t *partition, struct vd_err *err)
{
    int64_t offset = 0;

    for (size_t i = 0; voting_inserted(reply, i, partition, &offset); i++) {
        int64_t progress = voting_takeover_progress(work->takeover, *partition);

        if (offset < progress) {
            return vd_fail(err, VD_INVALID,
                           "partition %d: offset %lld had no row, though vote_progress stood at "
                           "%lld: the topic was recreated under the same generation, or rows of "
                           "votes were deleted; restore what is missing, or begin a new election: "
                           "new topics with a higher generation, and empty tables",
                           *partition, (long long)offset, (long long)progress);
        }
    }
    return VD_OK;
}

enum vd_status voting_work_emit(struct voting_work *work, const struct vd_pg_reply *reply,
                                int32_t *partition, struct vd_err *err)
{
    if (work->is_replay && check_replay(work, reply, partition, err) != VD_OK) {
        return err->status;
    }
    for (size_t i = 0; i < work->pending_count; i++) {
        const struct voting_pending *vote = &work->pending[i];
        struct voting_row row = row_of(work, vote);
        struct voting_answer stored = voting_answer_of(reply, i);

        *partition = row.partition;
        switch (voting_judge(&stored, i, &row)) {
        case VOTING_ACCEPTED:
            accept(work, vote);
            break;
        case VOTING_REJECTED:
            reject(work, vote);
            break;
        case VOTING_DIFFERS:
            return fail_differing(&row, &stored, err);
        case VOTING_MISSING:
            return fail_missing(work, &row, vd_pg_reply_rows(reply, VOTING_STMT_CLASSIFY), err);
        }
    }
    return VD_OK;
}

void voting_work_fini(struct voting_work *work)
{
    voting_unit_fini(&work->unit);
    vd_buf_fini(&work->scratch);
    vd_buf_fini(&work->ids);
    vd_buf_fini(&work->value);
    free(work->pending);
    free(work->progress);
}
