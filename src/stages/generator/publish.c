/* The generator's rounds: a page of the source into the table, then into one transaction. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "generator/generator.h"

#define REPORT_MS 5000
#define REJECT_LINES_MAX 20 /* bad records that get a line of their own */
#define SLICE_MS 100        /* a rate is kept in steps of this */

/* ---- pace ---------------------------------------------------------------------------------- */

void gen_on_pace(void *arg)
{
    struct generator *generator = arg;

    vd_stage_wake(generator->stage);
}

/* How many voters may be made now; 0: on_pace comes when it is time. */
static int64_t allowance(struct generator *generator)
{
    double rate = generator->conf.rate, due, step;
    int64_t now = vd_loop_now_ms(vd_stage_loop(generator->stage));
    int64_t most = generator->conf.batch_voters;

    if (rate <= 0) {
        return most;
    }
    if (generator->paced_from_ms == 0) {
        generator->paced_from_ms = now;
    }
    due = (double)(now - generator->paced_from_ms) * rate / 1000 - generator->paced;
    if (due > rate + 1) {
        generator->paced += due - rate; /* after an outage: no flood, a second's worth at most */
        due = rate;
    }
    step = rate * SLICE_MS / 1000;
    step = step < 1 ? 1 : step > (double)most ? (double)most : step;
    if (due >= step) {
        return due < (double)most ? (int64_t)due : most;
    }
    vd_timer_start(generator->pace, (int64_t)((step - due) * 1000 / rate) + 1);
    return 0;
}

/* ---- emitting ------------------------------------------------------------------------------ */

static void emit(struct vd_batch *batch, enum gen_output output, const char *key, size_t key_len,
                 const struct vd_buf *value)
{
    struct vd_msg msg = {.key = key,
                         .key_len = key_len,
                         .value = value->data,
                         .value_len = value->len,
                         .partition = VD_BY_KEY};

    vd_batch_emit(batch, (size_t)output, VD_NO_SOURCE, &msg);
}

static void emit_progress(struct generator *generator, struct vd_batch *batch, bool is_complete)
{
    struct gen_progress progress = {
        .place = generator->place,
        .target = is_complete ? generator->place.voters : generator->ops->target(generator->source),
        .is_complete = is_complete,
        .definition = generator->definition};
    VD_AUTO(buf) struct vd_buf text = {.data = NULL};

    gen_progress_format(&progress, &text);
    emit(batch, GEN_OUT_PROGRESS, generator->key, strlen(generator->key), &text);
}

static void emit_voters(struct generator *generator, struct vd_batch *batch)
{
    const struct gen_page *page = &generator->page;

    for (size_t i = 0; i < page->message_count; i++) {
        const struct gen_message *message = &page->messages[i];
        struct vd_msg msg = {.key = page->text.data + message->key.at,
                             .key_len = message->key.len,
                             .value = page->text.data + message->value.at,
                             .value_len = message->value.len,
                             .partition = VD_BY_KEY};

        vd_batch_emit(batch, GEN_OUT_VOTERS, VD_NO_SOURCE, &msg);
    }
}

/* A bad record goes to the output `rejected` as it stood there, under its line number. */
static void emit_rejects(struct generator *generator, struct vd_batch *batch)
{
    const struct gen_page *page = &generator->page;

    for (size_t i = 0; i < page->reject_count; i++) {
        const struct gen_reject *reject = &page->rejects[i];
        char key[24];
        struct vd_msg msg = {.key = key,
                             .value = page->text.data + reject->item.raw.at,
                             .value_len = reject->item.raw.len,
                             .partition = VD_BY_KEY,
                             .reason = reject->reason};

        msg.key_len = (size_t)snprintf(key, sizeof(key), "%lld", (long long)reject->item.number);
        vd_batch_emit(batch, GEN_OUT_REJECTED, VD_NO_SOURCE, &msg);
        if (generator->reject_lines < REJECT_LINES_MAX) {
            generator->reject_lines++;
            vd_warn(generator->log, "%s %lld left out: %s",
                    generator->ops == &gen_randomuser_source ? "user" : "line",
                    (long long)reject->item.number, reject->reason);
        } else {
            generator->rejected_quietly++;
        }
    }
}

static void emit_candidates(struct generator *generator, struct vd_batch *batch)
{
    const struct gen_candidates *candidates = &generator->candidates;
    VD_AUTO(buf) struct vd_buf text = {.data = NULL};

    for (size_t i = 0; i < candidates->count; i++) {
        const struct el_candidate *one = &candidates->one[i];

        vd_buf_clear(&text);
        el_candidate_format(one, &text);
        emit(batch, GEN_OUT_CANDIDATES, one->id, strlen(one->id), &text);
    }
    vd_buf_clear(&text);
    gen_candidates_note(candidates, &text);
    emit(batch, GEN_OUT_PROGRESS, GEN_CANDIDATES_KEY, strlen(GEN_CANDIDATES_KEY), &text);
    vd_info(generator->log, "publishing %zu candidates", candidates->count);
}

/* ---- answering ----------------------------------------------------------------------------- */

/* Nothing this time: the engine asks again after vd_stage_wake. Last thing in every caller, as are
 * all answers: the engine may offer the next batch from within. */
static void answer_nothing(struct vd_batch *batch)
{
    vd_batch_end(batch);
}

static void push_pending(struct generator *generator, size_t voters, size_t rejected)
{
    assert(generator->pending_count < GEN_PENDING_MAX);
    generator->pending[generator->pending_count++] =
        (struct gen_pending){.voters = voters, .rejected = rejected};
}

static void publish_page(struct generator *generator, struct vd_batch *batch)
{
    struct gen_page *page = &generator->page;
    bool is_last = page->is_last;

    if (is_last && page->message_count == 0 && page->reject_count == 0 &&
        generator->is_known_complete) {
        gen_set_state(generator, GEN_COMPLETE);
        answer_nothing(batch);
        return;
    }
    emit_voters(generator, batch);
    emit_rejects(generator, batch);
    page->after.voters = generator->place.voters + (int64_t)page->message_count;
    page->after.rejected = generator->place.rejected + (int64_t)page->reject_count;
    generator->place = page->after;
    generator->is_known_complete = is_last;
    generator->paced += (double)page->message_count;
    emit_progress(generator, batch, is_last);
    push_pending(generator, page->message_count, page->reject_count);
    if (is_last) {
        gen_set_state(generator, GEN_COMPLETE);
        vd_batch_end(batch);
    } else {
        vd_batch_done(batch);
    }
}

static void on_inserted(void *arg, const struct vd_pg_reply *reply)
{
    struct generator *generator = arg;
    struct vd_batch *batch = vd_take(generator->batch);
    const struct vd_err *fault = vd_pg_reply_err(reply);
    struct vd_err err = {.status = VD_OK};
    enum vd_status status = VD_OK;

    if (fault != NULL) {
        /* a bad value is no fault of one record: all were checked. So a person has to look, and the
         * batch is tried again until then */
        status = vd_fail(&err, fault->status == VD_INVALID ? VD_FAILED : fault->status,
                         "could not insert voters: %s", fault->msg);
    } else if (generator->ops->is_import) {
        status = gen_page_read_back(&generator->page, reply, 1, &err);
    }
    if (status != VD_OK) {
        vd_batch_fail(batch, &err);
    } else {
        publish_page(generator, batch);
    }
}

static void insert_page(struct generator *generator, struct vd_batch *batch)
{
    struct vd_pg_value values[EL_VOTER_COLUMNS + 1];
    struct vd_pg_stmt stmts[GEN_PAGE_STMTS];
    size_t count = gen_page_stmts(&generator->page, values, stmts);
    struct vd_err err = {.status = VD_OK};

    if (count == 0) {
        publish_page(generator, batch);
        return;
    }
    generator->batch = batch;
    if (vd_pg_run(generator->pg, stmts, count, on_inserted, generator, &err) != VD_OK) {
        generator->batch = NULL;
        vd_batch_fail(batch, &err);
    }
}

static void read_page(struct generator *generator, struct vd_batch *batch, int64_t max)
{
    struct vd_err err = {.status = VD_OK};
    enum vd_status status;

    gen_page_clear(&generator->page);
    status =
        generator->ops->read(generator->source, &generator->place, max, &generator->page, &err);
    generator->source_trouble = status == VD_FAILED ? err : (struct vd_err){.status = VD_OK};
    switch (status) {
    case VD_OK:
        insert_page(generator, batch);
        break;
    case VD_INVALID:
        gen_set_state(generator, GEN_HALTED);
        vd_stage_halt(generator->stage, "%s", err.msg);
        answer_nothing(batch);
        break;
    default:
        answer_nothing(batch);
        gen_show_trouble(generator);
        break;
    }
}

void gen_on_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    struct generator *generator = state;
    int64_t max;

    (void)stage;
    if (generator->state != GEN_RUNNING) {
        answer_nothing(batch);
        return;
    }
    if (generator->are_candidates_due) {
        if (generator->conf.shard != 0) {
            answer_nothing(batch); /* shard 0 publishes them; its note wakes us */
            return;
        }
        generator->are_candidates_due = false;
        emit_candidates(generator, batch);
        push_pending(generator, 0, 0);
        vd_batch_done(batch);
        return;
    }
    max = allowance(generator);
    if (max > 0) {
        read_page(generator, batch, max);
    } else {
        answer_nothing(batch);
    }
}

/* ---- what happened ------------------------------------------------------------------------- */

static void report(struct generator *generator)
{
    int64_t now = vd_loop_now_ms(vd_stage_loop(generator->stage));
    int64_t ms = now - generator->reported_ms;
    int64_t target = gen_target(generator);
    char of[32] = "";

    if (target >= 0) {
        (void)snprintf(of, sizeof(of), " of %lld", (long long)target); /* fits */
    }
    vd_info(generator->log, "%lld%s voters, %lld a second",
            (long long)vd_metric_value(generator->metrics.reached), of,
            (long long)(ms > 0 ? (generator->committed - generator->reported) * 1000 / ms : 0));
    if (generator->rejected_quietly > 0) {
        vd_warn(generator->log, "%lld more bad records left out",
                (long long)generator->rejected_quietly);
    }
    generator->rejected_quietly = 0;
    generator->reported_ms = now;
    generator->reported = generator->committed;
}

void gen_on_report(void *arg)
{
    struct generator *generator = arg;

    if (generator->state == GEN_RUNNING && generator->committed != generator->reported) {
        report(generator);
    }
    vd_timer_start(generator->report, REPORT_MS);
}

static void report_end(struct generator *generator)
{
    int64_t ms = vd_loop_now_ms(vd_stage_loop(generator->stage)) - generator->started_ms;

    if (generator->rejected_quietly > 0) {
        vd_warn(generator->log, "%lld more bad records left out",
                (long long)generator->rejected_quietly);
        generator->rejected_quietly = 0;
    }
    vd_info(generator->log,
            "complete: %lld voters, %lld bad records, %lld of them in the last %lld.%01lld s",
            (long long)generator->place.voters, (long long)generator->place.rejected,
            (long long)generator->committed, (long long)ms / 1000, (long long)ms / 100 % 10);
}

void gen_on_committed(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    struct generator *generator = state;
    struct gen_pending done = generator->pending[0];

    (void)stage;
    (void)batch; /* they come in the order of the answers */
    assert(generator->pending_count > 0);
    generator->pending_count--;
    memmove(generator->pending, generator->pending + 1,
            generator->pending_count * sizeof(generator->pending[0]));
    vd_metric_add(generator->metrics.voters, (int64_t)done.voters);
    vd_metric_add(generator->metrics.rejected, (int64_t)done.rejected);
    vd_metric_set(generator->metrics.reached,
                  vd_metric_value(generator->metrics.reached) + (int64_t)done.voters);
    generator->committed += (int64_t)done.voters;
    if (generator->state == GEN_COMPLETE && generator->pending_count == 0) {
        report_end(generator);
    }
}
