/* The rounds of a stage (exactly-once protocol, 1.3): take records, let the stage work on them,
 * hand the outcome to the producer, and begin again where a round came to nothing. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "failpoint.h"
#include "letter.h"
#include "stage_impl.h"

#define JOBS_MAX 2          /* commits with the producer: one runs, one waits */
#define PRODUCER_LOOK_MS 20 /* until a source's first producer is ready */

bool vd_cycle_is_idle(const struct vd_stage *stage)
{
    return stage->batches == NULL;
}

/* The partitions that are stopped, or those that are not. */
static rd_kafka_topic_partition_list_t *list_parts(const struct vd_stage *stage, bool is_stopped)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)stage->part_count);

    for (size_t i = 0; i < stage->part_count; i++) {
        const struct vd_part *part = stage->parts[i];

        if ((part->stopped != NULL) == is_stopped) {
            rd_kafka_topic_partition_list_add(list, stage->conf->inputs[part->input]->name,
                                              part->partition);
        }
    }
    return list;
}

void vd_cycle_set_paused(struct vd_stage *stage, bool is_paused)
{
    rd_kafka_topic_partition_list_t *list;

    if (stage->is_paused == is_paused || stage->part_count == 0) {
        return;
    }
    list = list_parts(stage, false);
    stage->is_paused = is_paused;
    if (is_paused) {
        vd_consumer_pause(stage->consumer, list);
        vd_metric_add(stage->metrics.pauses, 1);
    } else {
        vd_consumer_resume(stage->consumer, list);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

void vd_cycle_refetch(struct vd_stage *stage)
{
    rd_kafka_topic_partition_list_t *list = list_parts(stage, false);

    if (!stage->is_paused && list->cnt > 0) { /* a paused one is fetched anew when it goes on */
        vd_consumer_pause(stage->consumer, list);
        vd_consumer_resume(stage->consumer, list);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* Above the high mark, of records or of their bytes, stop fetching; below half of both go on. */
static void check_pressure(struct vd_stage *stage)
{
    size_t records = (size_t)stage->conf->buffer.records;
    size_t bytes = (size_t)stage->conf->buffer.bytes;

    if (stage->buffered >= records || stage->buffered_bytes >= bytes) {
        vd_cycle_set_paused(stage, true);
    } else if (stage->buffered < (records + 1) / 2 && stage->buffered_bytes < bytes / 2 &&
               stage->life == VD_LIFE_RUNNING) {
        vd_cycle_set_paused(stage, false);
    }
}

static void count_buffered(struct vd_stage *stage)
{
    stage->buffered = 0;
    stage->buffered_bytes = 0;
    for (size_t i = 0; i < stage->part_count; i++) {
        const struct vd_part *part = stage->parts[i];

        if (part->stopped == NULL) { /* what a stopped one holds must not hold up the others */
            stage->buffered += part->held_count;
            stage->buffered_bytes += part->held_bytes;
        }
    }
}

void vd_cycle_stop_part(struct vd_stage *stage, struct vd_part *part, const char *reason)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, stage->conf->inputs[part->input]->name,
                                      part->partition);
    vd_consumer_pause(stage->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    part->stopped = vd_strdup(reason);
    count_buffered(stage);
    check_pressure(stage);
}

/* The library keeps the pause of a partition that comes back to us. */
void vd_cycle_release_stopped(struct vd_stage *stage)
{
    rd_kafka_topic_partition_list_t *list = list_parts(stage, true);

    if (list->cnt > 0) {
        vd_consumer_resume(stage->consumer, list);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void unlink_batch(struct vd_stage *stage, struct vd_batch *batch)
{
    struct vd_batch **at = &stage->batches;

    while (*at != batch) {
        at = &(*at)->next;
    }
    *at = batch->next;
    if (stage->batches_end == &batch->next) {
        stage->batches_end = at;
    }
}

/* Nothing of what was under way counts: begin again at the first record not committed. */
static void finish_rewind(struct vd_stage *stage)
{
    if (!stage->is_rewinding || !vd_cycle_is_idle(stage) || stage->life >= VD_LIFE_CLOSING) {
        return;
    }
    stage->is_rewinding = false;
    if (stage->txn != NULL) {
        stage->producer = vd_txn_producer(stage->txn);
    }
    for (size_t i = 0; i < stage->part_count; i++) {
        vd_part_rewind(stage->parts[i]);
    }
    if (stage->desc->rewound != NULL) {
        stage->desc->rewound(stage, stage->state);
    }
}

void vd_cycle_rewind(struct vd_stage *stage)
{
    if (stage->txn != NULL) {
        vd_txn_void(stage->txn, stage->run);
    }
    stage->run++;
    stage->is_rewinding = stage->is_rewinding || !vd_cycle_is_idle(stage);
    for (struct vd_batch *batch = stage->batches; batch != NULL; batch = batch->next) {
        batch->is_void = true;
        stage->is_woken = stage->is_woken || batch->is_woken;
    }
}

void vd_cycle_offer(struct vd_stage *stage)
{
    vd_timer_start(stage->wait, 0);
}

/* A batch is over. What follows waits for the next turn of the loop: the stage may be in the middle
 * of the call that answered it, and must not be called from within. */
static void end_batch(struct vd_stage *stage, struct vd_batch *batch)
{
    unlink_batch(stage, batch);
    vd_batch_free(batch);
    vd_cycle_offer(stage);
}

static void submit(struct vd_stage *stage, struct vd_batch *batch)
{
    if (batch->span_count == 0 && batch->job->record_count == 0) {
        end_batch(stage, batch);
        vd_timer_start(stage->wait, stage->conf->batch.wait_ms); /* a source with nothing as yet */
        return;
    }
    vd_batch_seal(batch);
    if (stage->jobs++ == 0) {
        stage->job_since_ms = vd_loop_now_ms(stage->host->loop);
    }
    vd_txn_submit(stage->txn, batch->job);
    vd_cycle_offer(stage);
}

static void call_stage(struct vd_stage *stage, struct vd_batch *batch)
{
    *stage->batches_end = batch;
    stage->batches_end = &batch->next;
    if (batch->count == 0 && batch->span_count > 0 && !batch->is_woken &&
        (stage->desc->flags & VD_STAGE_KEEPS_POSITION) == 0) {
        submit(stage, batch); /* nothing but dead letters: not the stage's business */
        return;
    }
    stage->at_stage = batch;
    vd_metric_add(stage->metrics.batches, 1);
    stage->desc->batch(stage, stage->state, batch);
}

static bool can_offer(const struct vd_stage *stage)
{
    size_t jobs_max = (stage->desc->flags & VD_STAGE_SERIAL) != 0 ? 1 : JOBS_MAX;

    return stage->life == VD_LIFE_RUNNING && stage->at_stage == NULL && !stage->is_rewinding &&
           !stage->is_revoking && !stage->is_rechecking && stage->trouble[0] == '\0' &&
           stage->jobs < jobs_max && stage->desc->batch != NULL && stage->txn != NULL &&
           !vd_timer_is_active(stage->retry);
}

/* Waiting records of one input, and how long the oldest has waited. */
static size_t count_waiting(const struct vd_stage *stage, size_t input, int64_t *oldest_ms)
{
    size_t waiting = 0;

    *oldest_ms = INT64_MAX;
    for (size_t i = 0; i < stage->part_count; i++) {
        const struct vd_part *part = stage->parts[i];

        if (part->input == input && part->waiting > 0 && part->stopped == NULL) {
            waiting += part->waiting;
            if (part->cursor->arrived_ms < *oldest_ms) {
                *oldest_ms = part->cursor->arrived_ms;
            }
        }
    }
    return waiting;
}

/* Every partition gives its share, beginning with the one whose turn it is; what the others leave
 * goes to those that have more. */
static struct vd_batch *take_records(struct vd_stage *stage, size_t input, size_t waiting)
{
    struct vd_batch *batch = vd_batch_new(stage, input);
    size_t limit = stage->batch_limit < waiting ? stage->batch_limit : waiting;
    size_t left = limit;

    for (size_t n = 0; n < stage->part_count && left > 0; n++) {
        struct vd_part *part = stage->parts[(stage->next_part + n) % stage->part_count];
        size_t share;

        if (part->input != input || part->waiting == 0 || part->stopped != NULL) {
            continue;
        }
        share = (part->waiting * limit + waiting - 1) / waiting;
        share = share < left ? share : left;
        left -= share;
        vd_batch_take(batch, part, share);
    }
    stage->next_part++;
    return batch;
}

/* The batch that the stage has asked for; none while it has no partitions. */
static bool offer_woken(struct vd_stage *stage)
{
    int64_t oldest_ms;
    struct vd_batch *batch = take_records(stage, 0, count_waiting(stage, 0, &oldest_ms));

    for (size_t i = 0; i < stage->part_count; i++) {
        if (stage->parts[i]->input == 0 && stage->parts[i]->stopped == NULL) {
            vd_batch_stand(batch, stage->parts[i]);
        }
    }
    if (batch->span_count == 0) {
        vd_batch_free(batch);
        return false;
    }
    stage->is_woken = false;
    batch->is_woken = true;
    call_stage(stage, batch);
    return true;
}

static void offer_input(struct vd_stage *stage)
{
    int64_t now_ms = vd_loop_now_ms(stage->host->loop);
    int64_t soonest_ms = INT64_MAX;

    if (stage->is_woken && offer_woken(stage)) {
        return;
    }
    for (size_t input = 0; input < stage->input_count; input++) {
        int64_t oldest_ms;
        size_t waiting = count_waiting(stage, input, &oldest_ms);
        int64_t due_ms;

        if (waiting == 0) {
            continue;
        }
        due_ms = oldest_ms + stage->conf->batch.wait_ms;
        if (waiting >= stage->batch_limit || due_ms <= now_ms) {
            call_stage(stage, take_records(stage, input, waiting));
            return;
        }
        soonest_ms = due_ms < soonest_ms ? due_ms : soonest_ms;
    }
    if (soonest_ms != INT64_MAX && !vd_timer_is_active(stage->wait)) {
        vd_timer_start(stage->wait, soonest_ms - now_ms);
    }
}

/* A source goes on from its own progress, which nobody fences but its producer: the one that is
 * ready now must be the one that it was read under. */
static bool check_producer(struct vd_stage *stage)
{
    uint64_t number = vd_txn_producer(stage->txn);

    if (number == 0) {
        vd_timer_start(stage->wait, PRODUCER_LOOK_MS);
        return false;
    }
    if (stage->producer == 0) {
        stage->is_rewinding = true; /* the first one */
        finish_rewind(stage);
    }
    return true;
}

static void offer(struct vd_stage *stage)
{
    if (!can_offer(stage)) {
        return;
    }
    if (stage->input_count > 0) {
        offer_input(stage);
    } else if (!stage->is_ended && !vd_timer_is_active(stage->wait) && check_producer(stage)) {
        call_stage(stage, vd_batch_new(stage, 0));
    }
}

void vd_cycle_on_timer(void *arg)
{
    struct vd_stage *stage = arg;

    finish_rewind(stage);
    vd_rebalance_continue(stage);
    vd_stage_continue_drain(stage);
    offer(stage);
}

static struct vd_part *find_part(const struct vd_stage *stage, const char *topic, int32_t partition)
{
    size_t input = 0;

    while (input < stage->input_count && strcmp(stage->conf->inputs[input]->name, topic) != 0) {
        input++;
    }
    return vd_stage_find_part(stage, input, partition);
}

/* What the headers of a record say to this stage. */
static enum vd_status read_record(const struct vd_stage *stage, const rd_kafka_message_t *message,
                                  struct vd_held *held, struct vd_err *err)
{
    enum vd_status status = vd_record_from_message(message, &held->record, err);
    rd_kafka_headers_t *headers = NULL;
    bool is_ours = true;

    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        held->headers = headers;
    }
    if (status == VD_OK) {
        status = vd_letter_route(held->headers, stage->conf->name, &is_ours, err);
        held->is_passed_by = !is_ours;
    }
    return status;
}

void vd_cycle_on_message(void *arg, rd_kafka_event_t *event, const rd_kafka_message_t *message)
{
    struct vd_stage *stage = arg;
    struct vd_part *part = find_part(stage, rd_kafka_topic_name(message->rkt), message->partition);
    size_t bytes = message->key_len + message->len;
    struct vd_err err = {0};
    struct vd_held *held;
    enum vd_status status;

    if (part == NULL || message->offset < part->next_offset || part->stopped != NULL ||
        stage->life != VD_LIFE_RUNNING) {
        vd_metric_add(stage->metrics.dropped, 1);
        rd_kafka_event_destroy(event);
        return;
    }
    part->next_offset = message->offset + 1;
    part->is_at_end = false;
    part->is_heard = true;
    held = vd_part_push(part, event, bytes, vd_loop_now_ms(stage->host->loop));
    (void)VD_FAILPOINT(stage->log, polled);
    stage->buffered++;
    stage->buffered_bytes += bytes;
    status = read_record(stage, message, held, &err);
    vd_metric_add(stage->metrics.in, 1);
    if (status == VD_INVALID) {
        held->fault = vd_strdup(err.msg);
    } else if (status != VD_OK) {
        vd_stage_stop_part(stage, part, "%s[%d] offset %lld: %s: run the same version on all nodes",
                           rd_kafka_topic_name(message->rkt), message->partition,
                           (long long)message->offset, err.msg);
        return;
    }
    check_pressure(stage);
    offer(stage);
}

void vd_cycle_on_end(void *arg, const rd_kafka_topic_partition_t *at)
{
    struct vd_part *part = find_part(arg, at->topic, at->partition);

    if (part == NULL) {
        return;
    }
    part->is_heard = true;
    if (at->offset >= part->next_offset) {
        part->is_at_end = true;
        part->seen_end = at->offset;
    }
}

static void back_off(struct vd_stage *stage)
{
    int64_t ms = stage->backoff_ms == 0 ? stage->conf->retry.min_ms : 2 * stage->backoff_ms;

    stage->backoff_ms = ms < stage->conf->retry.max_ms ? ms : stage->conf->retry.max_ms;
    vd_metric_add(stage->metrics.retries, 1);
    vd_timer_start(stage->retry, stage->backoff_ms);
}

static void on_committed(struct vd_stage *stage, struct vd_batch *batch)
{
    int64_t now_ms = vd_wall_ms();

    for (size_t i = 0; i < batch->span_count; i++) {
        struct vd_span *span = &batch->spans[i];

        if (span->part->is_owned) {
            vd_span_observe(span, stage->metrics.latency, now_ms);
            vd_part_commit(span->part, span->end);
            span->part->last_committed = span->last;
        }
    }
    stage->attempts = 0;
    stage->backoff_ms = 0;
    if (stage->batch_limit < (size_t)stage->conf->batch.records) {
        stage->batch_limit *= 2; /* past the bad record: grow again */
    }
    if (stage->batch_limit > (size_t)stage->conf->batch.records) {
        stage->batch_limit = (size_t)stage->conf->batch.records;
    }
    vd_metric_observe(stage->metrics.commit, batch->job->seconds);
    vd_stage_fail(stage, NULL);
    count_buffered(stage);
    check_pressure(stage);
    if (batch->is_done && stage->desc->committed != NULL) {
        stage->desc->committed(stage, stage->state, batch);
    }
}

void vd_cycle_on_job(struct vd_stage *stage, struct vd_txn_job *job)
{
    struct vd_batch *batch = job->owner;

    assert(stage->jobs > 0);
    stage->jobs--;
    stage->job_since_ms = vd_loop_now_ms(stage->host->loop);
    if (job->outcome == VD_TXN_FENCED) {
        stage->host->on_fenced(stage->host->arg, stage->conf->name, job->err.msg);
    }
    if (job->outcome == VD_TXN_DONE && !batch->is_void) {
        (void)VD_FAILPOINT(stage->log, committed);
        on_committed(stage, batch);
    } else if (!batch->is_void) {
        /* Repeated under the snapshot that is the present one by then, also after a generation
         * error: an event that brings a newer one may have come before the error did. */
        vd_debug(stage->log, "a transaction failed: %s; trying again", job->err.msg);
        stage->attempts++;
        vd_stage_fail(stage, &job->err);
        vd_cycle_rewind(stage);
        back_off(stage);
    }
    end_batch(stage, batch);
}

static void put_back(struct vd_batch *batch)
{
    for (size_t i = 0; i < batch->span_count; i++) {
        struct vd_span *span = &batch->spans[i];

        if (span->part->is_owned && span->count > 0) {
            vd_part_put_back(span->part, span->first, span->count);
        }
    }
    batch->stage->is_woken = batch->stage->is_woken || batch->is_woken;
}

/* Has a partition of the batch been stopped since it was offered? */
static bool has_stopped(const struct vd_batch *batch)
{
    for (size_t i = 0; i < batch->span_count; i++) {
        if (batch->spans[i].part->stopped != NULL) {
            return true;
        }
    }
    return false;
}

/* A stage has looked at a batch and could not do it; only this one, the newest, is put back. */
static void on_failed(struct vd_stage *stage, struct vd_batch *batch, const struct vd_err *err)
{
    put_back(batch);
    if (err->status == VD_INVALID && batch->count == 1 && !has_stopped(batch)) {
        vd_batch_spoil(batch, 0, err->msg);
    } else if (err->status == VD_INVALID && batch->count > 1) {
        stage->batch_limit = batch->count / 2;
        vd_metric_add(stage->metrics.retries, 1);
    } else {
        stage->attempts++;
        if (err->status == VD_AGAIN) {
            stage->backoff_ms = 0;
        }
        vd_debug(stage->log, "a batch failed (attempt %zu): %s; trying again", stage->attempts,
                 err->msg);
        if (err->status != VD_AGAIN) {
            vd_stage_fail(stage, err);
        }
        back_off(stage);
    }
    end_batch(stage, batch);
}

static bool take_answer(struct vd_batch *batch)
{
    struct vd_stage *stage = batch->stage;

    assert(!batch->is_answered && stage->at_stage == batch);
    batch->is_answered = true;
    stage->at_stage = NULL;
    if (batch->is_void || (stage->life != VD_LIFE_RUNNING && stage->life != VD_LIFE_DRAINING)) {
        end_batch(stage, batch);
        return false;
    }
    return true;
}

void vd_batch_fail(struct vd_batch *batch, const struct vd_err *err)
{
    assert(err->status != VD_OK);
    if (take_answer(batch)) {
        on_failed(batch->stage, batch, err);
    }
}

/* Commit what the stage has answered, or offer it all again without the records whose output would
 * not go through, or whose partition is stopped by now: the stage has counted on them, so it is
 * told. What the producer has already runs to its end before that. */
static void finish_batch(struct vd_batch *batch)
{
    if (batch->has_excess || has_stopped(batch)) {
        batch->stage->is_rewinding = true;
        batch->stage->is_woken = batch->stage->is_woken || batch->is_woken;
        end_batch(batch->stage, batch);
    } else {
        batch->is_done = true;
        submit(batch->stage, batch);
    }
}

void vd_batch_done(struct vd_batch *batch)
{
    if (take_answer(batch)) {
        finish_batch(batch);
    }
}

void vd_batch_end(struct vd_batch *batch)
{
    struct vd_stage *stage = batch->stage;

    if (!take_answer(batch)) {
        return;
    }
    stage->is_ended = true;
    finish_batch(batch);
}

void vd_stage_wake(struct vd_stage *stage)
{
    stage->is_ended = false;
    stage->is_woken = true;
    vd_cycle_offer(stage);
}
