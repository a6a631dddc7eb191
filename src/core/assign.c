/* The questions of an assignment: what a stage may know before a partition is read, and its answers
 * (exactly-once protocol, 2.5 and 4.5). */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "stage_impl.h"

/* One assignment being answered. Its questions may outlive it: then it is not stage->rebalance. */
struct vd_rebalance {
    struct vd_stage *stage;
    struct vd_rebalance *next; /* in stage->rebalances */
    struct vd_assign *questions;
    size_t count;
    size_t open; /* questions without answer, jobs under way, and one while it is being asked */
};

struct vd_assign {
    struct vd_rebalance *rebalance;
    size_t input;
    int32_t partition;
    int64_t committed;
    struct vd_commit_note note;
    struct vd_extent extent;
    bool is_answered;
    int64_t offset, last; /* the answer; */
    char *stopped;        /* or why the partition is not to be read; owned */
    /* Its chained output being read again; the next part begins at source offset 'read_from' and at
     * 'read_at' there. */
    int64_t read_from, read_at;
    vd_reread_fn *on_read; /* while a part is being read */
    void *arg;
};

static bool is_current(const struct vd_rebalance *rebalance)
{
    return rebalance->stage->rebalance == rebalance && rebalance->stage->life == VD_LIFE_RUNNING;
}

static void rebalance_free(struct vd_rebalance *rebalance)
{
    struct vd_rebalance **at = &rebalance->stage->rebalances;

    while (*at != rebalance) {
        at = &(*at)->next;
    }
    *at = rebalance->next;
    for (size_t i = 0; i < rebalance->count; i++) {
        free(rebalance->questions[i].stopped);
    }
    free(rebalance->questions);
    free(rebalance);
}

void vd_assign_fini(struct vd_stage *stage)
{
    while (stage->rebalances != NULL) {
        rebalance_free(stage->rebalances);
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

/* The offset to read from, as a number. */
static int64_t start_of(const struct vd_assign *answer)
{
    return answer->offset >= 0 ? answer->offset : answer->extent.begin;
}

static bool goes_back(const struct vd_assign *answer)
{
    return answer->stopped == NULL && answer->committed != VD_NO_OFFSET &&
           start_of(answer) < answer->committed;
}

/* Those that the stage does not want to read; they come in the order of the questions. */
static void stop_parts(const struct vd_rebalance *rebalance)
{
    for (size_t i = 0; i < rebalance->count; i++) {
        if (rebalance->questions[i].stopped != NULL) {
            vd_stage_stop_part(rebalance->stage, rebalance->stage->parts[i], "%s",
                               rebalance->questions[i].stopped);
        }
    }
}

/* All is answered, and nothing goes back any more: read on from there. What is to be stopped is not
 * read, but is ours all the same. */
static void open_parts(struct vd_rebalance *rebalance)
{
    struct vd_stage *stage = rebalance->stage;
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)rebalance->count);
    struct vd_err err = {0};

    stage->rebalance = NULL;
    stage->parts = vd_alloc_array(rebalance->count + 1, sizeof(struct vd_part *));
    for (size_t i = 0; i < rebalance->count; i++) {
        const struct vd_assign *answer = &rebalance->questions[i];

        stage->parts[stage->part_count++] =
            vd_part_new(answer->input, answer->partition, start_of(answer), answer->last);
        if (answer->stopped == NULL) {
            rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(
                list, stage->conf->inputs[answer->input]->name, answer->partition);

            /* What "the beginning" is may move on until it is read. */
            at->offset = answer->offset >= 0 ? answer->offset : RD_KAFKA_OFFSET_BEGINNING;
        }
    }
    if (vd_consumer_read(stage->consumer, list, &err) == VD_OK) {
        vd_stage_fail(stage, NULL);
        stop_parts(rebalance);
        vd_cycle_offer(stage); /* the batch that was asked for meanwhile */
    } else {
        vd_warn(stage->log, "assignment is void: %s; waiting for the next one", err.msg);
        vd_rebalance_drop(stage);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* Commit the starts that lie before the committed offsets, before anything is read from there: a
 * batch of the replay that ends in doubt would find the old offsets ahead of itself, and pass for
 * committed. */
static struct vd_txn_job *rewind_job(struct vd_rebalance *rebalance)
{
    struct vd_stage *stage = rebalance->stage;
    struct vd_txn_job *job = NULL;

    for (size_t i = 0; i < rebalance->count; i++) {
        const struct vd_assign *answer = &rebalance->questions[i];
        struct vd_commit_note note = {.last = answer->last};

        if (!goes_back(answer)) {
            continue;
        }
        if (job == NULL) {
            job = vd_txn_job_new(VD_TXN_REWIND, rebalance);
            job->group = vd_group_ref(stage->group);
            job->run = stage->run;
        }
        memcpy(note.tag, stage->tag, sizeof(note.tag));
        vd_txn_job_add_offset(job, stage->conf->inputs[answer->input]->name, answer->partition,
                              start_of(answer), &note);
    }
    return job;
}

/* The last answer has come. */
static void finish(struct vd_rebalance *rebalance)
{
    struct vd_txn_job *job = rewind_job(rebalance);

    if (job == NULL) {
        open_parts(rebalance);
        return;
    }
    rebalance->open++; /* until the job is back */
    vd_txn_submit(rebalance->stage->txn, job);
}

/* One that was waited for is here; after the last one the answers count,
 * if they are still wanted. */
static void close_one(struct vd_rebalance *rebalance)
{
    if (--rebalance->open == 0 && is_current(rebalance)) {
        finish(rebalance);
    }
    if (rebalance->open == 0) {
        rebalance_free(rebalance);
    }
}

void vd_assign_on_rewind(struct vd_stage *stage, struct vd_txn_job *job)
{
    struct vd_rebalance *rebalance = job->owner;

    if (job->outcome == VD_TXN_FENCED) {
        stage->host->on_fenced(stage->host->arg, stage->conf->name, job->err.msg);
    }
    if (is_current(rebalance) && job->outcome == VD_TXN_DONE) {
        open_parts(rebalance);
    } else if (is_current(rebalance)) {
        vd_warn(stage->log, "could not put offsets back: %s; looking again", job->err.msg);
        vd_stage_fail(stage, &job->err);
        vd_rebalance_again(stage);
    }
    rebalance->open--;
    assert(rebalance->open == 0); /* it was the last that was waited for */
    rebalance_free(rebalance);
    vd_txn_job_free(job);
}

void vd_assign_stop(struct vd_assign *assign, const char *format, ...)
{
    char reason[VD_ERR_MSG_BYTES];
    va_list args;

    assert(!assign->is_answered && assign->on_read == NULL);
    va_start(args, format);
    (void)vsnprintf(reason, sizeof(reason), format, args); /* cut to fit */
    va_end(args);
    assign->is_answered = true;
    assign->offset = assign->committed; /* shows as its lag */
    assign->last = VD_NO_OFFSET;
    assign->stopped = vd_strdup(reason);
    close_one(assign->rebalance);
}

void vd_assign_start(struct vd_assign *assign, int64_t offset, int64_t last)
{
    const struct vd_stage *stage = assign->rebalance->stage;
    const struct vd_extent *extent = &assign->extent;

    if (offset >= 0 && (offset < extent->begin || offset > extent->end)) {
        vd_assign_stop(assign,
                       "%s[%d]: offset %lld is not in the log, which goes from %lld to %lld: the "
                       "topic was truncated or recreated; restore it, or raise its generation and "
                       "start anew",
                       stage->conf->inputs[assign->input]->name, assign->partition,
                       (long long)offset, (long long)extent->begin, (long long)extent->end);
        return;
    }
    assert(!assign->is_answered && assign->on_read == NULL);
    assign->is_answered = true;
    assign->offset = offset;
    assign->last = last;
    close_one(assign->rebalance);
}

/* ---- questions ------------------------------------------------------------------------------- */

static size_t input_of(const struct vd_stage *stage, const char *topic)
{
    size_t input = 0;

    while (strcmp(stage->conf->inputs[input]->name, topic) != 0) {
        input++;
        assert(input < stage->input_count);
    }
    return input;
}

static void fill_question(struct vd_assign *question, const struct vd_txn_job *job, int i)
{
    const rd_kafka_topic_partition_t *at = &job->offsets->elems[i];
    struct vd_stage *stage = question->rebalance->stage;
    struct vd_err err = {0};

    question->input = input_of(stage, at->topic);
    question->partition = at->partition;
    question->committed = at->offset < 0 ? VD_NO_OFFSET : at->offset;
    question->extent = job->extents[i];
    question->note.last = VD_NO_OFFSET;
    question->read_at = VD_NO_OFFSET;
    if (at->metadata_size == 0) {
        return;
    }
    switch (vd_commit_note_parse(at->metadata, at->metadata_size, &question->note, &err)) {
    case VD_OK:
        break;
    case VD_FAILED:
        (void)vd_fail(&question->extent.err, VD_FAILED,
                      "%s[%d]: offset %lld: %s: run the same version on all nodes", at->topic,
                      at->partition, (long long)at->offset, err.msg);
        break;
    default:
        vd_warn(stage->log, "%s[%d]: offset %lld was committed by another program: %s", at->topic,
                at->partition, (long long)at->offset, err.msg);
        break;
    }
}

static void ask_one(struct vd_stage *stage, struct vd_assign *question)
{
    if (question->extent.err.status != VD_OK) {
        vd_assign_stop(question, "%s", question->extent.err.msg);
    } else if (stage->desc->assign != NULL && question->input == 0) {
        stage->desc->assign(stage, stage->state, question);
    } else {
        vd_assign_start(question, question->committed, question->note.last);
    }
}

void vd_assign_ask(struct vd_stage *stage, const struct vd_txn_job *job)
{
    struct vd_rebalance *rebalance = vd_alloc(sizeof(*rebalance));
    size_t count = (size_t)job->offsets->cnt;

    rebalance->stage = stage;
    rebalance->next = stage->rebalances;
    stage->rebalances = rebalance;
    rebalance->questions = vd_alloc_array(count + 1, sizeof(*rebalance->questions));
    rebalance->count = count;
    rebalance->open = count + 1; /* one for ourselves: answers may come at once */
    stage->rebalance = rebalance;
    for (size_t i = 0; i < count; i++) {
        rebalance->questions[i].rebalance = rebalance;
        fill_question(&rebalance->questions[i], job, (int)i);
    }
    for (size_t i = 0; i < count && is_current(rebalance); i++) {
        ask_one(stage, &rebalance->questions[i]);
    }
    close_one(rebalance);
}

int32_t vd_assign_partition(const struct vd_assign *assign)
{
    return assign->partition;
}

int64_t vd_assign_committed(const struct vd_assign *assign)
{
    return assign->committed;
}

int64_t vd_assign_last(const struct vd_assign *assign)
{
    return assign->note.last;
}

const char *vd_assign_tag(const struct vd_assign *assign)
{
    return assign->note.tag;
}

int64_t vd_assign_begin(const struct vd_assign *assign)
{
    return assign->extent.begin;
}

int64_t vd_assign_end(const struct vd_assign *assign)
{
    return assign->extent.end;
}

int64_t vd_assign_emitted(const struct vd_assign *assign)
{
    return assign->extent.emitted;
}

bool vd_assign_is_current(const struct vd_assign *assign)
{
    return is_current(assign->rebalance);
}

/* ---- what was emitted ------------------------------------------------------------------------ */

void vd_assign_reread(struct vd_assign *assign, int64_t from, vd_reread_fn *on_read, void *arg)
{
    struct vd_stage *stage = assign->rebalance->stage;
    const struct vd_topic_conf *chained = vd_stage_chained_topic(stage);
    struct vd_txn_job *job = vd_txn_job_new(VD_TXN_READ, assign);

    assert(chained != NULL && assign->input == 0);
    assert(!assign->is_answered && assign->on_read == NULL && !stage->is_rereading);
    if (from < assign->read_from) {
        assign->read_at = VD_NO_OFFSET;
    }
    assign->read_from = from;
    assign->on_read = on_read;
    assign->arg = arg;
    assign->rebalance->open++; /* until the job is back */
    stage->is_rereading = true;
    job->range = vd_alloc(sizeof(*job->range));
    job->range->topic = chained->name;
    job->range->partition = assign->partition;
    job->range->generation = (int16_t)stage->conf->inputs[0]->generation;
    job->range->from = from;
    job->range->at = assign->read_at;
    vd_txn_submit(stage->txn, job);
}

void vd_assign_on_read(struct vd_stage *stage, struct vd_txn_job *job)
{
    struct vd_assign *assign = job->owner;
    struct vd_rebalance *rebalance = assign->rebalance;
    vd_reread_fn *on_read = vd_take(assign->on_read);
    const struct vd_range *range = job->range;
    struct vd_err err = job->err;

    stage->is_rereading = false;
    assign->read_at = range->at;
    if (!is_current(rebalance)) {
        (void)vd_fail(&err, VD_AGAIN, "partition %d was given up", assign->partition);
        on_read(assign->arg, NULL, 0, &err);
    } else if (job->outcome != VD_TXN_DONE) {
        on_read(assign->arg, NULL, 0, &err);
    } else {
        on_read(assign->arg, range->records, range->count, NULL);
    }
    close_one(rebalance);
    vd_txn_job_free(job);
}
