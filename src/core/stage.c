/* The life of a stage, from its section in the topology to its last callback, and the engine's side
 * of the plugin interface. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "stage_impl.h"

#define TXN_SLOW_MS 5000      /* a transaction under way for longer shows in readiness */
#define UNREADY_GRACE_MS 5000 /* a start takes some time; what lasts longer is told */
#define REFUSAL_LOOK_MS 2000  /* how often it is asked whether a broker still refuses */

static bool has_transactions(const struct vd_stage *stage)
{
    for (size_t i = 0; i < stage->output_count; i++) {
        if ((stage->desc->outputs[i].flags & VD_PORT_PLAIN) == 0) {
            return true;
        }
    }
    return stage->input_count > 0;
}

/* The legal steps of a stage's life. */
static bool is_step(enum vd_stage_life from, enum vd_stage_life to)
{
    switch (to) {
    case VD_LIFE_STARTED:
        return from == VD_LIFE_NEW;
    case VD_LIFE_RUNNING:
        return from == VD_LIFE_STARTED;
    case VD_LIFE_HALTED:
        return from == VD_LIFE_STARTED || from == VD_LIFE_RUNNING;
    case VD_LIFE_DRAINING:
        return from == VD_LIFE_STARTED || from == VD_LIFE_RUNNING || from == VD_LIFE_HALTED;
    case VD_LIFE_CLOSING:
        return from == VD_LIFE_DRAINING;
    case VD_LIFE_STOPPED:
        return from == VD_LIFE_CLOSING;
    default:
        return false;
    }
}

const char *vd_stage_life_name(enum vd_stage_life life)
{
    static const char *const names[] = {"new",      "started", "running", "halted",
                                        "draining", "closing", "stopped"};

    return names[life];
}

void vd_stage_set_life(struct vd_stage *stage, enum vd_stage_life life)
{
    assert(is_step(stage->life, life));
    vd_debug(stage->log, "%s -> %s", vd_stage_life_name(stage->life), vd_stage_life_name(life));
    stage->life = life;
}

static void open_metrics(struct vd_stage *stage)
{
    stage->metrics.in = vd_stage_metric(stage, VD_COUNTER, "records_in_total", NULL,
                                        "records read from the inputs");
    stage->metrics.out = vd_alloc_array(stage->output_count + 1, sizeof(*stage->metrics.out));
    for (size_t i = 0; i < stage->output_count; i++) {
        VD_AUTO(mem) char *labels = vd_format("output=\"%s\"", stage->desc->outputs[i].name);

        stage->metrics.out[i] =
            vd_stage_metric(stage, VD_COUNTER, "records_out_total", labels,
                            "records emitted to the output, repeated attempts included");
    }
    stage->metrics.dead = vd_stage_metric(stage, VD_COUNTER, "dead_letters_total", NULL,
                                          "records sent to the dead-letter topic");
    stage->metrics.batches =
        vd_stage_metric(stage, VD_COUNTER, "batches_total", NULL, "batches offered to the stage");
    stage->metrics.retries = vd_stage_metric(stage, VD_COUNTER, "retries_total", NULL,
                                             "batches or transactions begun again");
    stage->metrics.commit = vd_stage_metric(stage, VD_HISTOGRAM, "commit_seconds", NULL,
                                            "duration of one Kafka transaction, begin to commit");
    stage->metrics.latency = vd_stage_metric(
        stage, VD_HISTOGRAM, "record_seconds", NULL,
        "from a record's timestamp until what came of it was committed, record by record");
    stage->metrics.dropped = vd_stage_metric(stage, VD_COUNTER, "records_dropped_total", NULL,
                                             "records of partitions not ours or already seen");
    stage->metrics.buffered = vd_stage_metric(stage, VD_GAUGE, "records_buffered", NULL,
                                              "records read and not yet committed");
    stage->metrics.pauses = vd_stage_metric(stage, VD_COUNTER, "pauses_total", NULL,
                                            "times that buffer.records was reached");
    stage->metrics.recycled = vd_stage_metric(stage, VD_COUNTER, "producer_recycled_total", NULL,
                                              "times the producer was replaced after a doubt");
    stage->metrics.stopped =
        vd_stage_metric(stage, VD_GAUGE, "partitions_stopped", NULL,
                        "partitions of this node that are not read, since a person must act");
}

struct vd_stage *vd_stage_open(const struct vd_stage_conf *conf, const struct vd_host *host,
                               struct vd_err *err)
{
    struct vd_stage *stage = vd_alloc(sizeof(*stage));
    char *name = vd_format("stage.%s", conf->name);

    stage->conf = conf;
    stage->desc = conf->desc;
    stage->host = host;
    stage->log = vd_log_new(name);
    free(name);
    stage->state = vd_alloc(stage->desc->state_size > 0 ? stage->desc->state_size : 1);
    stage->input_count = vd_port_count(stage->desc->inputs);
    stage->output_count = vd_port_count(stage->desc->outputs);
    stage->batches_end = &stage->batches;
    stage->run = 1;
    stage->batch_limit = (size_t)conf->batch.records;
    stage->unready.grace_ms = UNREADY_GRACE_MS;
    stage->wait = vd_timer_new(host->loop, vd_cycle_on_timer, stage);
    stage->retry = vd_timer_new(host->loop, vd_cycle_on_timer, stage);
    stage->revoke_deadline = vd_timer_new(host->loop, vd_rebalance_on_deadline, stage);
    open_metrics(stage);
    if (vd_topology_stage_state(conf, stage->state, err) != VD_OK) {
        vd_stage_free(stage);
        return NULL;
    }
    return stage;
}

void vd_stage_free(struct vd_stage *stage)
{
    if (stage == NULL) {
        return;
    }
    if (stage->life == VD_LIFE_STOPPED && stage->desc->stop != NULL) {
        stage->desc->stop(stage, stage->state);
    }
    vd_assign_fini(stage);
    vd_timer_close(stage->wait);
    vd_timer_close(stage->retry);
    vd_timer_close(stage->revoke_deadline);
    if (stage->desc->opts != NULL) {
        vd_opt_fini(stage->desc->opts, stage->state);
    }
    free(stage->state);
    free(stage->topics);
    free(stage->metrics.out);
    vd_log_free(stage->log);
    free(stage);
}

enum vd_status vd_stage_start(struct vd_stage *stage, struct vd_err *err)
{
    if (stage->desc->start != NULL && stage->desc->start(stage, stage->state, err) != VD_OK) {
        if (stage->desc->stop != NULL) {
            stage->desc->stop(stage, stage->state);
        }
        return vd_fail_in(err, "%s:%d: stage \"%s\"", stage->conf->source, stage->conf->line,
                          stage->conf->name);
    }
    vd_stage_set_life(stage, VD_LIFE_STARTED);
    return VD_OK;
}

static void on_job(void *arg, struct vd_txn_job *job)
{
    struct vd_stage *stage = arg;

    switch (job->kind) {
    case VD_TXN_COMMIT:
        vd_cycle_on_job(stage, job);
        break;
    case VD_TXN_REWIND:
        vd_assign_on_rewind(stage, job);
        break;
    case VD_TXN_TAKEOVER:
        vd_rebalance_on_takeover(stage, job);
        break;
    case VD_TXN_READ:
        vd_assign_on_read(stage, job);
        break;
    }
}

static void on_refusal(struct vd_stage *stage, const struct vd_err *err)
{
    if (stage->refusal[0] == '\0') {
        stage->refusal_look_ms = vd_loop_now_ms(stage->host->loop);
    }
    memcpy(stage->refusal, err->msg, sizeof(stage->refusal));
    for (size_t i = 0; i < stage->part_count; i++) {
        stage->parts[i]->is_heard = false;
    }
}

static void on_fault(void *arg, const struct vd_err *err, bool is_fenced)
{
    struct vd_stage *stage = arg;

    if (err->status == VD_AGAIN) {
        on_refusal(stage, err);
        return;
    }
    if (is_fenced) {
        stage->host->on_fenced(stage->host->arg, stage->conf->name, err->msg);
    }
    vd_stage_halt(stage, "%s", err->msg);
}

static void open_txn(struct vd_stage *stage)
{
    const struct vd_host *host = stage->host;
    /* A source has no group to fence it, so its id is the same on every node. */
    char *id = stage->input_count > 0
                   ? vd_format("%s.%s.%s", host->application, stage->conf->name, host->node)
                   : vd_format("%s.%s", host->application, stage->conf->name);
    struct vd_txn_conf conf = {.transactional_id = id, .on_done = on_job, .arg = stage};

    stage->topics = vd_alloc_array(stage->output_count + 1, sizeof(char *));
    for (size_t i = 0; i < stage->output_count; i++) {
        /* An optional output that is left out keeps its index; nothing is sent there. */
        stage->topics[i] =
            stage->conf->outputs[i] != NULL ? stage->conf->outputs[i]->name : "unmapped";
    }
    stage->topic_count = stage->output_count;
    if (stage->conf->dead_topic != NULL) {
        stage->topics[stage->topic_count++] = stage->conf->dead_topic->name;
    }
    conf.topics = stage->topics;
    conf.topic_count = stage->topic_count;
    stage->txn = vd_txn_new(host->kafka, host->loop, &conf, stage->log);
    free(id);
}

static enum vd_status open_consumer(struct vd_stage *stage, struct vd_err *err)
{
    const struct vd_host *host = stage->host;
    VD_AUTO(mem) char *group = vd_format("%s.%s", host->application, stage->conf->name);
    VD_AUTO(mem) char *instance = vd_format("%s.%s", group, host->node);
    VD_AUTO(mem) const char **topics = vd_alloc_array(stage->input_count, sizeof(char *));
    const struct vd_consumer_conf conf = {.group = group,
                                          .instance = instance,
                                          .topics = topics,
                                          .topic_count = stage->input_count,
                                          .errands = host->errands,
                                          .log = stage->log,
                                          .events = {.on_assign = vd_rebalance_on_assign,
                                                     .on_revoke = vd_rebalance_on_revoke,
                                                     .on_message = vd_cycle_on_message,
                                                     .on_end = vd_cycle_on_end,
                                                     .on_fault = on_fault,
                                                     .arg = stage}};

    for (size_t i = 0; i < stage->input_count; i++) {
        topics[i] = stage->conf->inputs[i]->name;
    }
    if (vd_consumer_new(host->kafka, host->loop, &conf, &stage->consumer, err) != VD_OK) {
        return vd_fail_in(err, "stage \"%s\"", stage->conf->name);
    }
    vd_txn_set_consumer(stage->txn, vd_consumer_handle(stage->consumer));
    return vd_consumer_start(stage->consumer, err);
}

enum vd_status vd_stage_run(struct vd_stage *stage, struct vd_err *err)
{
    if (stage->life != VD_LIFE_STARTED) {
        return VD_OK; /* halted or draining already */
    }
    vd_stage_set_life(stage, VD_LIFE_RUNNING);
    if (has_transactions(stage)) {
        open_txn(stage);
    }
    if (stage->input_count > 0) {
        return open_consumer(stage, err);
    }
    vd_cycle_offer(stage);
    return VD_OK;
}

static void on_stopped(void *arg)
{
    struct vd_stage *stage = arg;

    vd_stage_set_life(stage, VD_LIFE_STOPPED);
    stage->on_stopped(stage->stopped_arg);
}

static void on_consumer_closed(void *arg)
{
    struct vd_stage *stage = arg;

    stage->consumer = NULL;
    on_stopped(stage);
}

/* The producer asks the consumer for offsets, so it ends first. */
static void on_txn_closed(void *arg)
{
    struct vd_stage *stage = arg;

    stage->txn = NULL;
    vd_rebalance_drop(stage);
    if (stage->consumer != NULL) {
        vd_consumer_close(stage->consumer, on_consumer_closed, stage);
    } else {
        on_stopped(stage);
    }
}

void vd_stage_continue_drain(struct vd_stage *stage)
{
    if (stage->life != VD_LIFE_DRAINING || !vd_cycle_is_idle(stage) || stage->is_held) {
        return;
    }
    vd_stage_set_life(stage, VD_LIFE_CLOSING);
    if (stage->txn != NULL) {
        vd_txn_close(stage->txn, on_txn_closed, stage);
    } else {
        on_txn_closed(stage);
    }
}

void vd_stage_drain(struct vd_stage *stage, void (*stopped)(void *arg), void *arg)
{
    stage->on_stopped = stopped;
    stage->stopped_arg = arg;
    vd_stage_set_life(stage, VD_LIFE_DRAINING);
    if (stage->txn != NULL) {
        vd_txn_leave(stage->txn);
    }
    if (stage->desc->drain != NULL) {
        stage->desc->drain(stage, stage->state);
    }
    vd_stage_continue_drain(stage);
}

static struct vd_metric *lag_metric(struct vd_stage *stage, const struct vd_part *part)
{
    VD_AUTO(mem)
    char *labels = vd_format("topic=\"%s\",partition=\"%d\"",
                             stage->conf->inputs[part->input]->name, part->partition);

    return vd_stage_metric(stage, VD_GAUGE, "consumer_lag", labels,
                           "offsets of the partition that are not yet committed, transaction "
                           "markers on the way included; 0 where it is another node's");
}

/* Consumer lag: what the broker has beyond what was committed, from the library's last answers. */
static void update_lag(struct vd_stage *stage)
{
    for (size_t i = 0; i < stage->part_count; i++) {
        struct vd_part *part = stage->parts[i];
        const char *topic = stage->conf->inputs[part->input]->name;
        int64_t low = 0;
        int64_t high = 0;
        int64_t next;

        if (rd_kafka_get_watermark_offsets(vd_consumer_handle(stage->consumer), topic,
                                           part->partition, &low,
                                           &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
            high < 0) { /* nothing was fetched yet */
            continue;
        }
        part->lag = part->lag != NULL ? part->lag : lag_metric(stage, part);
        next = part->next_offset > part->seen_end ? part->next_offset : part->seen_end;
        vd_metric_set(part->lag, (high > next ? high - next : 0) + (int64_t)part->held_count);
    }
}

static void count_stopped(struct vd_stage *stage)
{
    int64_t stopped = 0;

    for (size_t i = 0; i < stage->part_count; i++) {
        stopped += stage->parts[i]->stopped != NULL;
    }
    vd_metric_set(stage->metrics.stopped, stopped);
}

/* What the producer waits for, if it does. A call of the library that blocks in the middle of a
 * transaction says nothing: its time does. */
static bool is_txn_waiting(const struct vd_stage *stage, char *text, size_t bytes)
{
    int64_t busy_ms = vd_loop_now_ms(stage->host->loop) - stage->job_since_ms;

    if (vd_txn_is_waiting(stage->txn, text, bytes)) {
        return true;
    }
    if (stage->jobs == 0 || busy_ms < TXN_SLOW_MS) {
        return false;
    }
    (void)snprintf(text, bytes, "a transaction has not ended for %lld s",
                   (long long)busy_ms / 1000);
    return true;
}

void vd_stage_fail(struct vd_stage *stage, const struct vd_err *err)
{
    if (stage->life == VD_LIFE_HALTED) {
        return; /* the first reason stays */
    }
    (void)snprintf(stage->fault, sizeof(stage->fault), "%s", err != NULL ? err->msg : "");
}

static void add_reason(char *reason, size_t bytes, const char *words)
{
    size_t len = strlen(reason);

    if (words[0] != '\0') {
        (void)snprintf(reason + len, bytes - len, "%s%s", len > 0 ? "; " : "",
                       words); /* cut to fit */
    }
}

bool vd_stage_is_ready(const struct vd_stage *stage, char *reason, size_t bytes)
{
    const char *words = NULL;

    reason[0] = '\0';
    add_reason(reason, bytes, stage->fault);
    add_reason(reason, bytes, stage->refusal);
    add_reason(reason, bytes, stage->trouble);
    if (reason[0] != '\0') {
        return false;
    }
    if (stage->life != VD_LIFE_RUNNING) {
        words = stage->life < VD_LIFE_RUNNING ? "starting" : "stopping";
    } else if (stage->rebalance != NULL || stage->is_taking_over) {
        words = "taking partitions over";
    } else if (stage->consumer != NULL && stage->group == NULL) {
        words = "joining the consumer group";
    }
    for (size_t i = 0; i < stage->part_count && words == NULL; i++) {
        words = stage->parts[i]->stopped;
    }
    (void)snprintf(reason, bytes, "%s", words != NULL ? words : ""); /* cut to fit */
    return words == NULL;
}

/* Say what lasts, unless it was said already: of a stage that stopped for good when it did, of a
 * server that is away by the node. */
static void tell_readiness(struct vd_stage *stage)
{
    const struct vd_host *host = stage->host;
    int64_t now_ms = vd_loop_now_ms(host->loop);
    char reason[VD_ERR_MSG_BYTES];
    char lasted[VD_DURATION_BYTES];
    bool is_ready = vd_stage_is_ready(stage, reason, sizeof(reason));
    bool is_told = stage->life >= VD_LIFE_HALTED || (host->broker != NULL && host->broker->is_on) ||
                   (host->database != NULL && host->database->is_on);

    vd_trouble_set(&stage->unready, is_ready ? NULL : reason, now_ms);
    if (is_ready && !stage->was_ready) {
        stage->was_ready = true;
        stage->unready.is_told = false;
        vd_info(stage->log, "ready");
    }
    if (!is_ready && is_told) {
        stage->unready.next_ms = now_ms + UNREADY_GRACE_MS; /* for when the server is back */
        return;
    }
    switch (vd_trouble_news(&stage->unready, now_ms)) {
    case VD_TROUBLE_NO_NEWS:
        break;
    case VD_TROUBLE_BEGUN:
    case VD_TROUBLE_LASTS:
        vd_duration_format(stage->unready.lasted_ms, lasted);
        vd_warn(stage->log, "not ready for %s: %s", lasted, reason);
        break;
    case VD_TROUBLE_OVER:
        vd_duration_format(stage->unready.lasted_ms, lasted);
        vd_info(stage->log, "ready again after %s", lasted);
        break;
    }
}

/* Has every partition that is read been heard of? */
static bool is_heard(const struct vd_stage *stage)
{
    if (stage->group == NULL || stage->is_taking_over || stage->rebalance != NULL) {
        return false;
    }
    for (size_t i = 0; i < stage->part_count; i++) {
        if (!stage->parts[i]->is_heard && stage->parts[i]->stopped == NULL) {
            return false;
        }
    }
    return true;
}

/* The library says once that a broker refuses, and never that it does so no more (2.0.2): a
 * partition with nothing new stays silent. So all are asked for anew until each has answered. */
static void watch_refusal(struct vd_stage *stage)
{
    int64_t now_ms = vd_loop_now_ms(stage->host->loop);

    if (stage->refusal[0] == '\0' || stage->life != VD_LIFE_RUNNING) {
        return;
    }
    if (is_heard(stage)) {
        stage->refusal[0] = '\0';
    } else if (now_ms - stage->refusal_look_ms >= REFUSAL_LOOK_MS) {
        stage->refusal_look_ms = now_ms;
        vd_cycle_refetch(stage);
    }
}

void vd_stage_tick(struct vd_stage *stage)
{
    char text[VD_ERR_MSG_BYTES];

    watch_refusal(stage);
    tell_readiness(stage);
    vd_metric_set(stage->metrics.buffered, (int64_t)stage->buffered);
    if (stage->txn == NULL || stage->life == VD_LIFE_CLOSING) {
        return;
    }
    vd_metric_set(stage->metrics.recycled, vd_txn_recycled(stage->txn));
    if (stage->consumer != NULL) {
        update_lag(stage);
        count_stopped(stage);
    }
    if (is_txn_waiting(stage, text, sizeof(text))) {
        struct vd_err err = {0};

        (void)vd_fail(&err, VD_AGAIN, "waiting for Kafka: %s", text); /* cut to fit */
        vd_stage_fail(stage, &err);
        stage->is_txn_waiting = true;
    } else if (stage->is_txn_waiting) {
        stage->is_txn_waiting = false;
        vd_stage_fail(stage, NULL);
    }
}
