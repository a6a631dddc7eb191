/* The steps of a check, each of which ends in a callback: progress, perhaps a search of the rows,
 * perhaps votes put back into the table, the answer. Whatever comes between, such as a lost
 * connection, the check begins again: nothing of it is kept but what is in the table. */
#include "takeover.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "election/vote.h"
#include "unit.h"

#define RETRY_MS 1000
#define SEARCH_MS 600000 /* a search reads the whole table once */

enum { INPUT_VOTERS };
enum { OUTPUT_VOTES };
enum { ALARM_TABLE, ALARM_TOPIC, ALARM_OFFSETS, ALARMS };

struct question {
    struct question *next;
    struct vd_assign *assign;
    bool is_passed_on; /* asked about anew: another question follows */
};

/* What is known of a partition from its last check. */
struct place {
    int64_t progress;
    bool is_suspect; /* its progress was past the end, where another node may have moved it */
};

/* A vote that is put back; its texts are at the same place in 'texts'. */
struct refill {
    size_t id_at, id_len, candidate_at, candidate_len;
    int64_t second, offset;
};

struct voting_takeover {
    struct vd_stage *stage;
    struct vd_pg *pg;                   /* NULL: not ready */
    const char *tag;                    /* borrowed */
    struct question *questions, **last; /* open; the first one is being checked */
    bool is_busy;                       /* a callback is to come */
    bool has_answered;                  /* by what the present connection said */
    struct vd_timer *turn;              /* the next step */
    struct place *places;               /* by partition */
    size_t place_count;

    /* Of the first question. */
    struct voting_facts facts;
    struct voting_decision decision;
    bool is_refilling;
    int64_t refill_from; /* source offset of the next vote to be put back */
    int64_t refilled;
    struct refill *refills; /* of the part that was read last */
    size_t refill_count, refill_cap;
    struct vd_buf texts, scratch;
    struct voting_unit unit;
    char generation[8], partition[16], below[24]; /* values of statements */
    struct vd_metric *alarms[ALARMS];
};

/* ---- questions ----------------------------------------------------------------------------- */

static void take_turn(struct voting_takeover *takeover)
{
    vd_timer_start(takeover->turn, 0);
}

static int32_t partition_of(const struct voting_takeover *takeover)
{
    return vd_assign_partition(takeover->questions->assign);
}

static struct place *place_of(struct voting_takeover *takeover, int32_t partition)
{
    size_t wanted = (size_t)partition + 1;

    if (wanted > takeover->place_count) {
        takeover->places = vd_realloc(takeover->places, wanted * sizeof(*takeover->places));
        memset(&takeover->places[takeover->place_count], 0,
               (wanted - takeover->place_count) * sizeof(*takeover->places));
        takeover->place_count = wanted;
    }
    return &takeover->places[partition];
}

int64_t voting_takeover_progress(const struct voting_takeover *takeover, int32_t partition)
{
    return (size_t)partition < takeover->place_count ? takeover->places[partition].progress : 0;
}

static struct vd_assign *take_first(struct voting_takeover *takeover)
{
    struct question *first = takeover->questions;
    struct vd_assign *assign = first->assign;

    takeover->questions = first->next;
    if (takeover->questions == NULL) {
        takeover->last = &takeover->questions;
    }
    takeover->is_refilling = false;
    free(first);
    take_turn(takeover);
    return assign;
}

void voting_takeover_ask(struct voting_takeover *takeover, struct vd_assign *assign)
{
    *takeover->last = vd_alloc(sizeof(**takeover->last));
    (*takeover->last)->assign = assign;
    takeover->last = &(*takeover->last)->next;
    take_turn(takeover);
}

/* A callback is there. False if the check cannot go on with it: it begins again, soon or
 * in a while. */
static bool go_on(struct voting_takeover *takeover, const struct vd_err *err)
{
    takeover->is_busy = false;
    if (err == NULL && takeover->pg != NULL && vd_assign_is_current(takeover->questions->assign)) {
        return true;
    }
    takeover->is_refilling = false;
    if (err == NULL || takeover->pg == NULL) {
        take_turn(takeover);
        return false;
    }
    vd_warn(vd_stage_log(takeover->stage),
            "partition %" PRId32 ": could not check: %s; trying again", partition_of(takeover),
            err->msg);
    vd_timer_start(takeover->turn, RETRY_MS);
    return false;
}

static void run(struct voting_takeover *takeover, const struct vd_pg_stmt *stmts, size_t count,
                vd_pg_done_fn *on_done)
{
    struct vd_err err = {0};

    takeover->is_busy = true;
    if (vd_pg_run(takeover->pg, stmts, count, on_done, takeover, &err) != VD_OK) {
        (void)go_on(takeover, &err); /* false: there is an error */
    }
}

/* ---- answers ------------------------------------------------------------------------------- */

static void start(struct voting_takeover *takeover)
{
    const struct voting_facts *facts = &takeover->facts;
    struct place *place = place_of(takeover, partition_of(takeover));
    bool is_beginning =
        facts->committed == VD_NO_OFFSET && takeover->decision.start == facts->begin;

    place->progress = facts->progress;
    place->is_suspect = false;
    takeover->has_answered = true;
    vd_assign_start(take_first(takeover), is_beginning ? VD_NO_OFFSET : takeover->decision.start,
                    facts->emitted);
}

static void stop(struct voting_takeover *takeover, const char *reason)
{
    int32_t partition = partition_of(takeover);

    takeover->has_answered = true;
    vd_assign_stop(take_first(takeover), "partition %" PRId32 ": %s", partition, reason);
}

/* Another node that has lost the partition, and does not know yet, may have moved the progress
 * since the end was asked for: only who finds it past the end twice may believe it. */
static bool pass_on(struct voting_takeover *takeover)
{
    struct place *place = place_of(takeover, partition_of(takeover));

    if (takeover->decision.finding != VOTING_PROGRESS_PAST_END || place->is_suspect) {
        place->is_suspect = false;
        return false;
    }
    place->is_suspect = true;
    takeover->questions->is_passed_on = true;
    vd_stage_recheck(takeover->stage);
    return true;
}

/* ---- votes put back ------------------------------------------------------------------------ */

static struct voting_row row_of(const struct voting_takeover *takeover, size_t i)
{
    const struct refill *refill = &takeover->refills[i];

    return (struct voting_row){.voter_id = takeover->texts.data + refill->id_at,
                               .voter_id_len = refill->id_len,
                               .candidate_id = takeover->texts.data + refill->candidate_at,
                               .candidate_id_len = refill->candidate_len,
                               .second = refill->second,
                               .partition = partition_of(takeover),
                               .offset = refill->offset};
}

static int16_t generation_of(const struct voting_takeover *takeover)
{
    return vd_stage_input_generation(takeover->stage, INPUT_VOTERS);
}

/* The next part, or after the last one the progress. */
static void put(struct voting_takeover *takeover, int64_t progress, vd_pg_done_fn *on_done)
{
    struct voting_unit *unit = &takeover->unit;

    voting_unit_begin(unit, generation_of(takeover));
    voting_unit_add_progress(unit, partition_of(takeover), progress);
    for (size_t i = 0; i < takeover->refill_count; i++) {
        struct voting_row row = row_of(takeover, i);

        voting_unit_add(unit, &row);
    }
    run(takeover, unit->stmts, voting_unit_end(unit, false), on_done);
}

static void on_progress_put(void *arg, const struct vd_pg_reply *reply)
{
    struct voting_takeover *takeover = arg;

    if (!go_on(takeover, vd_pg_reply_err(reply))) {
        return;
    }
    if (takeover->decision.is_table_lost) {
        vd_info(vd_stage_log(takeover->stage),
                "partition %" PRId32 ": put %" PRId64 " votes back into PostgreSQL, which has all "
                "below offset %" PRId64 " again",
                partition_of(takeover), takeover->refilled, takeover->decision.start);
    }
    start(takeover);
}

/* Every vote must now be the row of its voter. */
static bool is_put(struct voting_takeover *takeover, const struct vd_pg_reply *reply)
{
    char text[VD_ERR_MSG_BYTES];

    for (size_t i = 0; i < takeover->refill_count; i++) {
        struct voting_row row = row_of(takeover, i);
        struct voting_answer answer = voting_answer_of(reply, i);

        if (voting_judge(&answer, i, &row) == VOTING_ACCEPTED) {
            continue;
        }
        (void)snprintf(text, sizeof(text),
                       "PostgreSQL had lost votes, and voter \"%.*s\", whose "
                       "vote for offset %" PRId64 " is in %s, has another row there now: a second "
                       "vote was counted, or rows were changed by hand. Delete that row, or "
                       "restore the database as it was, then restart",
                       (int)row.voter_id_len, row.voter_id, row.offset,
                       vd_stage_output_topic(takeover->stage, OUTPUT_VOTES));
        stop(takeover, text);
        return false;
    }
    return true;
}

static void on_votes_put(void *arg, const struct vd_pg_reply *reply)
{
    struct voting_takeover *takeover = arg;

    if (go_on(takeover, vd_pg_reply_err(reply)) && is_put(takeover, reply)) {
        takeover->refilled += (int64_t)takeover->refill_count;
        take_turn(takeover); /* for the next part */
    }
}

/* False if the record is no vote, which stops the partition. */
static bool add_refill(struct voting_takeover *takeover, const struct vd_record *record)
{
    struct el_vote vote = {0};
    struct refill *refill = NULL;
    char text[VD_ERR_MSG_BYTES];

    if (!el_vote_read(record->value, record->value_len, &takeover->scratch, &vote) ||
        vote.candidate_len == 0 || vote.second < 0) {
        (void)snprintf(text, sizeof(text),
                       "PostgreSQL has lost votes, and %s[%" PRId32 "] offset %" PRId64
                       " is none that could be put back: restore the database, "
                       "or the topic",
                       vd_stage_output_topic(takeover->stage, OUTPUT_VOTES), record->partition,
                       record->offset);
        stop(takeover, text);
        return false;
    }
    if (takeover->refill_count == takeover->refill_cap) {
        takeover->refill_cap = takeover->refill_cap * 2 + 256;
        takeover->refills =
            vd_realloc(takeover->refills, takeover->refill_cap * sizeof(*takeover->refills));
    }
    refill = &takeover->refills[takeover->refill_count++];
    *refill = (struct refill){.id_at = takeover->texts.len,
                              .id_len = vote.id_len,
                              .candidate_at = takeover->texts.len + vote.id_len,
                              .candidate_len = vote.candidate_len,
                              .second = vote.second,
                              .offset = record->position.offset};
    vd_buf_add(&takeover->texts, vote.id, vote.id_len);
    vd_buf_add(&takeover->texts, vote.candidate, vote.candidate_len);
    return true;
}

static void on_votes_read(void *arg, const struct vd_record *records, size_t count,
                          const struct vd_err *err)
{
    struct voting_takeover *takeover = arg;

    if (err != NULL && err->status == VD_INVALID) {
        takeover->is_busy = false;
        stop(takeover, err->msg);
        return;
    }
    if (!go_on(takeover, NULL)) { /* any other error: the question is not current any more */
        return;
    }
    takeover->refill_count = 0;
    vd_buf_clear(&takeover->texts);
    for (size_t i = 0; i < count; i++) {
        if (!add_refill(takeover, &records[i])) {
            return;
        }
        takeover->refill_from = records[i].position.offset + 1;
    }
    if (count > 0) {
        put(takeover, takeover->facts.progress, on_votes_put);
    } else {
        put(takeover, takeover->decision.start, on_progress_put);
    }
}

static void read_votes(struct voting_takeover *takeover)
{
    takeover->is_busy = true;
    vd_assign_reread(takeover->questions->assign, takeover->refill_from, on_votes_read, takeover);
}

/* ---- findings ------------------------------------------------------------------------------ */

static void sound_alarms(struct voting_takeover *takeover)
{
    const struct voting_facts *facts = &takeover->facts;
    const struct voting_decision *decision = &takeover->decision;
    const char *votes = vd_stage_output_topic(takeover->stage, OUTPUT_VOTES);
    struct vd_log *log = vd_stage_log(takeover->stage);
    int32_t partition = partition_of(takeover);

    if (decision->is_table_lost) {
        vd_metric_add(takeover->alarms[ALARM_TABLE], 1);
        vd_error(log,
                 "partition %" PRId32 ": PostgreSQL has lost votes: offset %" PRId64
                 " is committed, and it ends at %" PRId64 "; putting back what %s has from there",
                 partition, facts->committed, facts->progress, votes);
    }
    if (decision->finding == VOTING_TOPIC_LOST) {
        vd_metric_add(takeover->alarms[ALARM_TOPIC], 1);
        vd_error(log,
                 "partition %" PRId32 ": %s has lost votes: its last one is for offset %" PRId64
                 ", and one for offset %" PRId64 " was emitted; emitting them again from offset "
                 "%" PRId64,
                 partition, votes, facts->emitted, facts->is_ours ? facts->last : facts->stored,
                 decision->start);
    }
    if (decision->finding == VOTING_OFFSETS_BACK) {
        vd_metric_add(takeover->alarms[ALARM_OFFSETS], 1);
        vd_error(log,
                 "partition %" PRId32 ": the committed offset went back to %" PRId64
                 " (-1: it was deleted), and %s has votes up to offset %" PRId64
                 "; reading it again, and emitting nothing twice",
                 partition, facts->committed, votes, facts->emitted);
    }
}

static void act(struct voting_takeover *takeover)
{
    char text[VD_ERR_MSG_BYTES];

    if (takeover->decision.finding > VOTING_OFFSETS_BACK) {
        if (!pass_on(takeover)) {
            voting_check_describe(&takeover->facts, &takeover->decision, text);
            stop(takeover, text);
        }
        return;
    }
    sound_alarms(takeover);
    if (!takeover->decision.is_behind) {
        start(takeover);
        return;
    }
    takeover->is_refilling = true;
    takeover->refill_from = takeover->facts.progress;
    takeover->refilled = 0;
    read_votes(takeover);
}

static struct vd_pg_value text_value(const char *text)
{
    return (struct vd_pg_value){.data = text, .len = strlen(text)};
}

/* The number in the first row, or 'none'. */
static int64_t number_in(const struct vd_pg_reply *reply, int64_t none)
{
    const char *text =
        vd_pg_reply_rows(reply, 0) > 0 ? vd_pg_reply_get(reply, 0, 0, 0, NULL) : NULL;

    return text != NULL ? strtoll(text, NULL, 10) : none;
}

static void on_search(void *arg, const struct vd_pg_reply *reply)
{
    struct voting_takeover *takeover = arg;

    if (takeover->pg != NULL) {
        vd_pg_set_limits(takeover->pg, 0, 0);
    }
    if (!go_on(takeover, vd_pg_reply_err(reply))) {
        return;
    }
    takeover->facts.is_searched = true;
    takeover->facts.stored = number_in(reply, VD_NO_OFFSET);
    takeover->decision = voting_check(&takeover->facts);
    act(takeover);
}

static void search(struct voting_takeover *takeover)
{
    const struct vd_pg_value values[] = {text_value(takeover->generation),
                                         text_value(takeover->partition),
                                         text_value(takeover->below)};
    const struct vd_pg_stmt stmt = {
        .sql = "SELECT max(source_offset) FROM votes WHERE source_gen = $1::smallint"
               " AND source_partition = $2::int AND source_offset < $3::bigint",
        .values = values,
        .count = 3};

    vd_pg_set_limits(takeover->pg, 0, SEARCH_MS);
    run(takeover, &stmt, 1, on_search);
}

static void on_progress(void *arg, const struct vd_pg_reply *reply)
{
    struct voting_takeover *takeover = arg;

    if (!go_on(takeover, vd_pg_reply_err(reply))) {
        return;
    }
    takeover->facts.progress = number_in(reply, 0);
    takeover->decision = voting_check(&takeover->facts);
    if (takeover->decision.finding == VOTING_SEARCH) {
        search(takeover);
    } else {
        act(takeover);
    }
}

static void ask_progress(struct voting_takeover *takeover)
{
    const struct vd_pg_value values[] = {text_value(takeover->generation),
                                         text_value(takeover->partition)};
    const struct vd_pg_stmt stmt = {.sql = "SELECT next_offset FROM vote_progress WHERE source_gen "
                                           "= $1::smallint AND source_partition = $2::int",
                                    .values = values,
                                    .count = 2};

    run(takeover, &stmt, 1, on_progress);
}

/* ---- steps --------------------------------------------------------------------------------- */

/* Offsets that stand for another election stop the whole stage, or partitions without a committed
 * offset would vote in the wrong one. */
static bool is_other_election(const struct voting_takeover *takeover)
{
    const struct vd_assign *assign = takeover->questions->assign;
    const char *tag = vd_assign_tag(assign);

    if (tag[0] == '\0' || strcmp(tag, takeover->tag) == 0) {
        return false;
    }
    vd_stage_halt(takeover->stage,
                  "partition %" PRId32 ": offset %" PRId64
                  " was committed under ballot %s, but seed, candidates and weights make ballot "
                  "%s: put them back as they were, or begin a new election with new topics and "
                  "tables",
                  vd_assign_partition(assign), vd_assign_committed(assign), tag, takeover->tag);
    return true;
}

static void begin(struct voting_takeover *takeover)
{
    const struct vd_assign *assign = takeover->questions->assign;

    if (is_other_election(takeover)) {
        return; /* the question stays open: nothing is read any more */
    }
    takeover->facts = (struct voting_facts){.begin = vd_assign_begin(assign),
                                            .end = vd_assign_end(assign),
                                            .committed = vd_assign_committed(assign),
                                            .is_ours = vd_assign_tag(assign)[0] != '\0',
                                            .last = vd_assign_last(assign),
                                            .emitted = vd_assign_emitted(assign)};
    (void)snprintf(takeover->below, sizeof(takeover->below), "%" PRId64,
                   takeover->facts.committed); /* fits */
    (void)snprintf(takeover->generation, sizeof(takeover->generation), "%d",
                   generation_of(takeover)); /* fits */
    (void)snprintf(takeover->partition, sizeof(takeover->partition), "%" PRId32,
                   vd_assign_partition(assign)); /* fits */
    ask_progress(takeover);
}

static void on_turn(void *arg)
{
    struct voting_takeover *takeover = arg;

    if (takeover->is_busy) {
        return;
    }
    while (takeover->questions != NULL && !vd_assign_is_current(takeover->questions->assign)) {
        vd_assign_start(take_first(takeover), VD_NO_OFFSET, VD_NO_OFFSET); /* without effect */
    }
    if (takeover->questions == NULL || takeover->pg == NULL || takeover->questions->is_passed_on) {
        return;
    }
    if (takeover->is_refilling) {
        read_votes(takeover);
    } else {
        begin(takeover);
    }
}

void voting_takeover_set_ready(struct voting_takeover *takeover, struct vd_pg *pg, const char *tag)
{
    bool is_back = pg != NULL && takeover->pg == NULL;

    takeover->pg = pg;
    takeover->tag = tag;
    if (is_back && takeover->has_answered) {
        takeover->has_answered = false;
        vd_stage_recheck(takeover->stage);
    }
    take_turn(takeover);
}

static struct vd_metric *alarm_metric(struct vd_stage *stage, const char *labels)
{
    return vd_stage_metric(stage, VD_COUNTER, "self_check_alarms_total", labels,
                           "times that a partition was taken over with something lost");
}

struct voting_takeover *voting_takeover_new(struct vd_stage *stage)
{
    struct voting_takeover *takeover = vd_alloc(sizeof(*takeover));

    takeover->stage = stage;
    takeover->last = &takeover->questions;
    takeover->turn = vd_timer_new(vd_stage_loop(stage), on_turn, takeover);
    takeover->alarms[ALARM_TABLE] = alarm_metric(stage, "lost=\"rows\"");
    takeover->alarms[ALARM_TOPIC] = alarm_metric(stage, "lost=\"votes\"");
    takeover->alarms[ALARM_OFFSETS] = alarm_metric(stage, "lost=\"offsets\"");
    return takeover;
}

void voting_takeover_free(struct voting_takeover *takeover)
{
    if (takeover == NULL) {
        return;
    }
    while (takeover->questions != NULL) {
        vd_assign_start(take_first(takeover), VD_NO_OFFSET, VD_NO_OFFSET); /* without effect */
    }
    vd_timer_close(takeover->turn);
    voting_unit_fini(&takeover->unit);
    vd_buf_fini(&takeover->texts);
    vd_buf_fini(&takeover->scratch);
    free(takeover->refills);
    free(takeover->places);
    free(takeover);
}
