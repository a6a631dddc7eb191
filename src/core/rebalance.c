/* Partitions come and go: takeover of what a predecessor left, and giving partitions up
 * (exactly-once protocol, 1.3 steps 7 and 8, and 2.4).
 *
 * An assignment is accepted at once, without reading anything: the group must not wait for what a
 * takeover waits for. The snapshot of the group is taken then too, so it is of the very generation
 * that gave us the partitions, however late they are read; if they were taken away meanwhile, it is
 * an old one and commits nothing. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "stage_impl.h"

#define REVOKE_WAIT_MS 5000 /* for work under way; below half of max.poll.interval.ms */

/* ---- takeover -------------------------------------------------------------------------------- */

static bool is_first_input(const struct vd_stage *stage, const rd_kafka_topic_partition_t *at)
{
    return strcmp(at->topic, stage->conf->inputs[0]->name) == 0;
}

/* Where a partition is settled: every output that keeps the input's partition numbers. */
static rd_kafka_topic_partition_list_t *settle_list(const struct vd_stage *stage)
{
    const rd_kafka_topic_partition_list_t *parts = stage->assigned;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(parts->cnt);

    for (int i = 0; i < parts->cnt; i++) {
        for (size_t o = 0; o < stage->output_count; o++) {
            unsigned flags = stage->desc->outputs[o].flags;

            if ((flags & (VD_PORT_CHAINED | VD_PORT_COPARTITIONED)) != 0 &&
                stage->conf->outputs[o] != NULL && is_first_input(stage, &parts->elems[i])) {
                rd_kafka_topic_partition_list_add(list, stage->conf->outputs[o]->name,
                                                  parts->elems[i].partition);
            }
        }
    }
    return list;
}

static void submit_takeover(struct vd_stage *stage)
{
    struct vd_txn_job *job = vd_txn_job_new(VD_TXN_TAKEOVER, stage);
    const struct vd_topic_conf *chained = vd_stage_chained_topic(stage);

    job->run = stage->run;
    job->offsets = rd_kafka_topic_partition_list_copy(stage->assigned);
    job->settle = settle_list(stage);
    job->chained = chained != NULL ? chained->name : NULL;
    job->generation = (int16_t)stage->conf->inputs[0]->generation;
    job->extents = vd_alloc_array((size_t)job->offsets->cnt + 1, sizeof(*job->extents));
    for (int i = 0; i < job->offsets->cnt; i++) {
        job->extents[i].is_chained =
            chained != NULL && is_first_input(stage, &job->offsets->elems[i]);
    }
    stage->is_takeover_running = true;
    vd_txn_submit(stage->txn, job);
}

/* Forget the partitions that are read, and questions that are open. */
static void drop_parts(struct vd_stage *stage)
{
    stage->rebalance = NULL; /* the answers no longer count; the last one frees it */
    stage->is_taking_over = false;
    vd_cycle_rewind(stage);
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
}

void vd_rebalance_drop(struct vd_stage *stage)
{
    drop_parts(stage);
    stage->is_rechecking = false;
    if (stage->assigned != NULL) {
        rd_kafka_topic_partition_list_destroy(vd_take(stage->assigned));
    }
    vd_group_unref(vd_take(stage->group));
}

void vd_rebalance_again(struct vd_stage *stage)
{
    drop_parts(stage);
    stage->is_taking_over = true;
    stage->is_takeover_stale = stage->is_takeover_running;
    if (!stage->is_takeover_running) {
        submit_takeover(stage);
    }
}

void vd_rebalance_on_assign(void *arg, const rd_kafka_topic_partition_list_t *parts)
{
    struct vd_stage *stage = arg;
    struct vd_err err = {0};

    vd_rebalance_drop(stage); /* an assignment of nothing is not revoked before the next one */
    if (vd_consumer_accept(stage->consumer, &stage->group, &err) != VD_OK) {
        vd_warn(stage->log, "assignment is void: %s; waiting for the next one", err.msg);
    } else if (stage->life == VD_LIFE_RUNNING) {
        stage->assigned = rd_kafka_topic_partition_list_copy(parts);
        vd_rebalance_again(stage);
    }
}

void vd_rebalance_on_takeover(struct vd_stage *stage, struct vd_txn_job *job)
{
    stage->is_takeover_running = false;
    if (stage->life != VD_LIFE_RUNNING || !stage->is_taking_over) {
        vd_stage_continue_drain(stage);
    } else if (stage->is_takeover_stale) {
        stage->is_takeover_stale = false;
        submit_takeover(stage);
    } else if (job->outcome == VD_TXN_DONE) {
        stage->is_taking_over = false;
        vd_assign_ask(stage, job);
    }
    vd_txn_job_free(job);
}

/* ---- giving up ------------------------------------------------------------------------------- */

static void finish_revoke(struct vd_stage *stage)
{
    stage->is_revoking = false;
    vd_timer_stop(stage->revoke_deadline);
    vd_rebalance_drop(stage);
    vd_consumer_unassign(stage->consumer);
}

/* Stop reading and take the same partitions over once more. */
static void finish_recheck(struct vd_stage *stage)
{
    rd_kafka_topic_partition_list_t *nothing = rd_kafka_topic_partition_list_new(0);
    struct vd_err err = {0};

    stage->is_rechecking = false;
    if (vd_consumer_read(stage->consumer, nothing, &err) == VD_OK) {
        vd_rebalance_again(stage);
    } else {
        vd_warn(stage->log, "could not stop reading: %s; waiting for the next assignment", err.msg);
        vd_rebalance_drop(stage);
    }
    rd_kafka_topic_partition_list_destroy(nothing);
}

void vd_rebalance_continue(struct vd_stage *stage)
{
    if (!vd_cycle_is_idle(stage)) {
        return;
    }
    if (stage->is_revoking) {
        finish_revoke(stage);
    } else if (stage->is_rechecking && stage->life == VD_LIFE_RUNNING) {
        finish_recheck(stage);
    }
}

void vd_stage_recheck(struct vd_stage *stage)
{
    if (stage->life == VD_LIFE_RUNNING && stage->assigned != NULL) {
        stage->is_rechecking = true;
        vd_cycle_offer(stage);
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
