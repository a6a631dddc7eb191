/* Partitions come and go: takeover of what a predecessor left, the stage's answer to where a
 * partition starts, and giving partitions up (exactly-once protocol, 1.3 steps 7 and 8, and 2.4).
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "stage_impl.h"

#define REVOKE_WAIT_MS 5000 /* for work under way; below half of max.poll.interval.ms */

/* One assignment being answered. Its questions may outlive it: then it is not stage->rebalance. */
struct vd_rebalance {
    struct vd_stage *stage;
    struct vd_rebalance *next; /* in stage->rebalances */
    struct vd_assign *questions;
    size_t count;
    size_t open; /* not yet answered, and one while they are being asked */
};

struct vd_assign {
    struct vd_rebalance *rebalance;
    size_t input;
    int32_t partition;
    int64_t committed;
    struct vd_commit_note note;
    bool is_answered;
    int64_t offset;
    int64_t last;
    char *stopped; /* owned; why the partition is not read; NULL: it is */
};

/* Where a partition is settled: every output that keeps the input's partition numbers. */
static rd_kafka_topic_partition_list_t *settle_list(const struct vd_stage *stage,
                                                    const rd_kafka_topic_partition_list_t *parts)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(parts->cnt);

    for (int i = 0; i < parts->cnt; i++) {
        for (size_t o = 0; o < stage->output_count; o++) {
            unsigned flags = stage->desc->outputs[o].flags;

            if ((flags & (VD_PORT_CHAINED | VD_PORT_COPARTITIONED)) != 0 &&
                stage->conf->outputs[o] != NULL &&
                strcmp(parts->elems[i].topic, stage->conf->inputs[0]->name) == 0) {
                rd_kafka_topic_partition_list_add(list, stage->conf->outputs[o]->name,
                                                  parts->elems[i].partition);
            }
        }
    }
    return list;
}

static void submit_takeover(struct vd_stage *stage, const rd_kafka_topic_partition_list_t *parts)
{
    struct vd_txn_job *job = vd_txn_job_new(VD_TXN_TAKEOVER, stage);

    job->offsets = rd_kafka_topic_partition_list_copy(parts);
    job->settle = settle_list(stage, parts);
    stage->is_takeover_running = true;
    vd_txn_submit(stage->txn, job);
}

void vd_rebalance_drop(struct vd_stage *stage)
{
    stage->rebalance = NULL; /* the answers no longer count; the last one frees it */
    if (stage->assign_next != NULL) {
        rd_kafka_topic_partition_list_destroy(vd_take(stage->assign_next));
    }
    if (!vd_cycle_is_idle(stage)) {
        vd_cycle_rewind(stage);
    }
    /* The library keeps the pause of a partition that comes back to us. */
    vd_cycle_set_paused(stage, false);
    vd_cycle_release_stopped(stage);
    for (size_t i = 0; i < stage->part_count; i++) {
        struct vd_part *part = stage->parts[i];

        part->is_owned = false;
        if (part->lag != NULL) {
            vd_metric_set(part->lag, 0); /* its new owner shows it */
        }
        if (stage->desc->revoke != NULL && part->input == 0) {
            stage->desc->revoke(stage, stage->state, part->partition);
        }
        vd_part_unref(part);
    }
    free(vd_take(stage->parts));
    stage->part_count = 0;
    stage->buffered = 0;
    stage->buffered_bytes = 0;
    stage->is_paused = false;
    vd_group_unref(vd_take(stage->group));
}

/* Accept an assignment, under a fresh snapshot of the group. */
static bool take_parts(struct vd_stage *stage, const rd_kafka_topic_partition_list_t *list)
{
    struct vd_group *group = NULL;
    struct vd_err err = {0};

    if (vd_consumer_assign(stage->consumer, list, &group, &err) != VD_OK) {
        vd_warn(stage->log, "assignment is void: %s; waiting for the next one", err.msg);
        return false;
    }
    vd_group_unref(stage->group);
    stage->group = group;
    return true;
}

/* Without an answer to its assignment this member would hold up the whole group. */
static void assign_nothing(struct vd_stage *stage)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(0);

    (void)take_parts(stage, list); /* if not, the next assignment comes here again */
    rd_kafka_topic_partition_list_destroy(list);
}

void vd_rebalance_on_assign(void *arg, const rd_kafka_topic_partition_list_t *parts)
{
    struct vd_stage *stage = arg;

    vd_rebalance_drop(stage); /* an assignment of nothing is not revoked before the next one */
    if (stage->life != VD_LIFE_RUNNING) {
        assign_nothing(stage);
        return;
    }
    stage->assign_next = rd_kafka_topic_partition_list_copy(parts);
    stage->is_takeover_stale = stage->is_takeover_running;
    if (!stage->is_takeover_running) {
        submit_takeover(stage, stage->assign_next);
    }
}

static size_t input_of(const struct vd_stage *stage, const char *topic)
{
    size_t input = 0;

    while (strcmp(stage->conf->inputs[input]->name, topic) != 0) {
        input++;
        assert(input < stage->input_count);
    }
    return input;
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

/* All questions are answered: read on from there, under a fresh snapshot of the group. */
static void finish_assign(struct vd_rebalance *rebalance)
{
    struct vd_stage *stage = rebalance->stage;
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)rebalance->count);

    stage->parts = vd_alloc_array(rebalance->count + 1, sizeof(struct vd_part *));
    for (size_t i = 0; i < rebalance->count; i++) {
        const struct vd_assign *answer = &rebalance->questions[i];
        int64_t first = answer->offset < 0 ? 0 : answer->offset;
        rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(
            list, stage->conf->inputs[answer->input]->name, answer->partition);

        at->offset = answer->offset < 0 ? RD_KAFKA_OFFSET_BEGINNING : answer->offset;
        stage->parts[stage->part_count++] =
            vd_part_new(answer->input, answer->partition, first, answer->last);
    }
    stage->rebalance = NULL;
    stage->buffered = 0;
    stage->buffered_bytes = 0;
    if (take_parts(stage, list)) {
        vd_stage_fail(stage, NULL);
        stop_parts(rebalance);
    } else {
        vd_rebalance_drop(stage);
    }
    rd_kafka_topic_partition_list_destroy(list);
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

/* One question less; after the last one the answers count, if they are still wanted. */
static void close_question(struct vd_rebalance *rebalance)
{
    if (--rebalance->open > 0) {
        return;
    }
    if (rebalance->stage->rebalance == rebalance) {
        finish_assign(rebalance);
    }
    rebalance_free(rebalance);
}

static void ask(struct vd_stage *stage, const rd_kafka_topic_partition_list_t *committed)
{
    struct vd_rebalance *rebalance = vd_alloc(sizeof(*rebalance));
    size_t count = (size_t)committed->cnt;

    rebalance->stage = stage;
    rebalance->next = stage->rebalances;
    stage->rebalances = rebalance;
    rebalance->questions = vd_alloc_array(count + 1, sizeof(*rebalance->questions));
    rebalance->count = count;
    rebalance->open = count + 1; /* one for ourselves: answers may come at once */
    stage->rebalance = rebalance;
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *at = &committed->elems[i];
        struct vd_assign *question = &rebalance->questions[i];
        struct vd_err err = {0};

        question->rebalance = rebalance;
        question->input = input_of(stage, at->topic);
        question->partition = at->partition;
        question->committed = at->offset < 0 ? VD_NO_OFFSET : at->offset;
        question->note.last = VD_NO_OFFSET;
        if (at->metadata_size > 0 &&
            vd_commit_note_parse(at->metadata, at->metadata_size, &question->note, &err) != VD_OK) {
            vd_warn(stage->log,
                    "%s[%d]: offset %lld was committed by another program: %s; it is used "
                    "as it is",
                    at->topic, at->partition, (long long)at->offset, err.msg);
        }
    }
    for (size_t i = 0; i < count && stage->rebalance == rebalance; i++) {
        struct vd_assign *question = &rebalance->questions[i];

        if (stage->desc->assign != NULL && question->input == 0) {
            stage->desc->assign(stage, stage->state, question);
        } else {
            vd_assign_start(question, question->committed, question->note.last);
        }
    }
    close_question(rebalance);
}

void vd_rebalance_on_takeover(struct vd_stage *stage, struct vd_txn_job *job)
{
    stage->is_takeover_running = false;
    if (stage->life != VD_LIFE_RUNNING || stage->assign_next == NULL) {
        vd_txn_job_free(job);
        vd_stage_continue_drain(stage);
        return;
    }
    if (stage->is_takeover_stale) {
        stage->is_takeover_stale = false;
        submit_takeover(stage, stage->assign_next);
    } else if (job->outcome == VD_TXN_DONE) {
        rd_kafka_topic_partition_list_destroy(vd_take(stage->assign_next));
        ask(stage, job->offsets);
    }
    vd_txn_job_free(job);
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

void vd_assign_start(struct vd_assign *assign, int64_t offset, int64_t last)
{
    assert(!assign->is_answered);
    assign->is_answered = true;
    assign->offset = offset;
    assign->last = last;
    close_question(assign->rebalance);
}

void vd_assign_stop(struct vd_assign *assign, const char *format, ...)
{
    char reason[VD_ERR_MSG_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(reason, sizeof(reason), format, args); /* cut to fit */
    va_end(args);
    assign->stopped = vd_strdup(reason);
    vd_assign_start(assign, VD_NO_OFFSET, VD_NO_OFFSET);
}

bool vd_assign_is_current(const struct vd_assign *assign)
{
    return assign->rebalance->stage->rebalance == assign->rebalance;
}

void vd_rebalance_decline(struct vd_stage *stage)
{
    if (stage->rebalance != NULL || stage->assign_next != NULL) {
        vd_rebalance_drop(stage);
        assign_nothing(stage);
    }
}

void vd_rebalance_fini(struct vd_stage *stage)
{
    while (stage->rebalances != NULL) {
        rebalance_free(stage->rebalances);
    }
}

static void finish_revoke(struct vd_stage *stage)
{
    stage->is_revoking = false;
    vd_timer_stop(stage->revoke_deadline);
    vd_rebalance_drop(stage);
    vd_consumer_unassign(stage->consumer);
}

void vd_rebalance_finish_revoke(struct vd_stage *stage)
{
    if (stage->is_revoking && vd_cycle_is_idle(stage)) {
        finish_revoke(stage);
    }
}

void vd_rebalance_on_deadline(void *arg)
{
    struct vd_stage *stage = arg;

    vd_warn(stage->log, "gave partitions up with work under way; their new owner repeats it");
    finish_revoke(stage);
}

void vd_rebalance_on_revoke(void *arg, bool is_lost)
{
    struct vd_stage *stage = arg;

    stage->is_revoking = true;
    if (is_lost || vd_cycle_is_idle(stage)) {
        finish_revoke(stage);
        return;
    }
    vd_timer_start(stage->revoke_deadline, REVOKE_WAIT_MS);
}
