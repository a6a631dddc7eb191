/* The consumer queue of librdkafka served from the loop: its callback only wakes us, everything is
 * polled without waiting. One message per event: batch calls of this version swallow rebalances
 * (H9). */
#include "consumer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "loop_uv.h"
#include "nudge.h"

#define EVENTS_PER_TURN 2000 /* then the loop has its turn; about 2 ms */
#define CLOSE_POLL_MS 20
/* An idle or paused consumer that is not polled for max.poll.interval.ms is put out of its group.
 */
#define PULSE_MS 1000

struct vd_consumer {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    uv_async_t wake;
    uv_timer_t pulse; /* polls when nothing wakes us; while closing, looks whether it can end */
    int handles_open;
    struct vd_consumer_events events;
    struct vd_log *log;
    rd_kafka_topic_partition_list_t *topics;
    struct vd_errands *errands;
    struct vd_nudge nudge; /* of what is resumed */
    bool is_closing;
    void (*on_closed)(void *arg);
    void *closed_arg;
};

/* On a thread of the library. */
static void on_queue_ready(rd_kafka_t *rk, void *opaque)
{
    struct vd_consumer *consumer = opaque;

    uv_async_send(&consumer->wake);
}

static void on_rebalance(struct vd_consumer *consumer, rd_kafka_event_t *event)
{
    rd_kafka_topic_partition_list_t *parts = rd_kafka_event_topic_partition_list(event);

    if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        vd_info(consumer->log, "assigned %d partitions", parts->cnt);
        consumer->events.on_assign(consumer->events.arg, parts);
        return;
    }
    vd_info(consumer->log, "revoked %d partitions", parts->cnt);
    consumer->events.on_revoke(consumer->events.arg, rd_kafka_assignment_lost(consumer->rk) != 0);
}

/* The broker answers, and says no; unlike a broker that is away, this does not pass by itself. */
static bool is_refusal(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
           code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
}

static void on_error_event(struct vd_consumer *consumer, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    struct vd_err err = {0};
    char text[256];

    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(consumer->rk, text, sizeof(text));

        (void)vd_fail(&err, VD_INVALID, "%s", text);
        consumer->events.on_fault(consumer->events.arg, &err,
                                  fatal == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
        return;
    }
    if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
        rd_kafka_topic_partition_t *at = rd_kafka_event_topic_partition(event);

        (void)vd_fail(
            &err, VD_FAILED,
            "%s[%d]: offset %lld is not in the log: the topic was truncated or recreated; "
            "restore it, or raise its generation and start anew",
            at != NULL ? at->topic : "?", at != NULL ? at->partition : -1,
            at != NULL ? (long long)at->offset : -1LL);
        if (at != NULL) {
            rd_kafka_topic_partition_destroy(at);
        }
        consumer->events.on_fault(consumer->events.arg, &err, false);
        return;
    }
    if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        rd_kafka_topic_partition_t *at = rd_kafka_event_topic_partition(event);

        consumer->events.on_end(consumer->events.arg, at);
        rd_kafka_topic_partition_destroy(at);
        return;
    }
    if (is_refusal(code)) {
        (void)vd_fail(&err, VD_AGAIN, "could not read: %s", rd_kafka_event_error_string(event));
        consumer->events.on_fault(consumer->events.arg, &err, false);
        return;
    }
    vd_debug(consumer->log, "%s", rd_kafka_event_error_string(event));
}

/* Takes the event. */
static void on_fetch(struct vd_consumer *consumer, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *message = rd_kafka_event_message_next(event);

    if (message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        consumer->events.on_message(consumer->events.arg, event, message);
        return;
    }
    rd_kafka_event_destroy(event);
}

static void serve(struct vd_consumer *consumer)
{
    for (int n = 0; n < EVENTS_PER_TURN && !consumer->is_closing; n++) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(consumer->queue, 0);

        if (event == NULL) {
            return;
        }
        switch (rd_kafka_event_type(event)) {
        case RD_KAFKA_EVENT_FETCH:
            on_fetch(consumer, event);
            continue;
        case RD_KAFKA_EVENT_REBALANCE:
            on_rebalance(consumer, event);
            break;
        case RD_KAFKA_EVENT_ERROR:
            on_error_event(consumer, event);
            break;
        default:
            break;
        }
        rd_kafka_event_destroy(event);
    }
    uv_async_send(&consumer->wake); /* more may wait: come back after the others */
}

static void on_wake(uv_async_t *wake)
{
    struct vd_consumer *consumer = wake->data;

    serve(consumer);
}

static rd_kafka_t *create_client(struct vd_kafka *kafka, const struct vd_consumer_conf *conf,
                                 struct vd_err *err)
{
    char text[512];
    rd_kafka_t *rk;
    rd_kafka_conf_t *client = vd_kafka_client_conf(
        kafka, "group.id", conf->group, "group.instance.id", conf->instance, "enable.auto.commit",
        "false", "enable.auto.offset.store", "false", "isolation.level", "read_committed",
        "auto.offset.reset", "error", "enable.partition.eof", "true", "session.timeout.ms", "10000",
        "heartbeat.interval.ms", "2000", "max.poll.interval.ms", "60000",
        "partition.assignment.strategy", "range", "fetch.wait.max.ms", "50", "check.crcs", "true",
        "queued.max.messages.kbytes", "65536", "max.partition.fetch.bytes", "262144", NULL);

    rd_kafka_conf_set_events(client, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_ERROR |
                                         RD_KAFKA_EVENT_FETCH);
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, client, text, sizeof(text));
    if (rk == NULL) {
        rd_kafka_conf_destroy(client);
        (void)vd_fail(err, VD_INVALID, "could not create a consumer: %s", text);
    }
    return rk;
}

enum vd_status vd_consumer_new(struct vd_kafka *kafka, struct vd_loop *loop,
                               const struct vd_consumer_conf *conf, struct vd_consumer **out,
                               struct vd_err *err)
{
    struct vd_consumer *consumer;
    rd_kafka_t *rk = create_client(kafka, conf, err);

    if (rk == NULL) {
        return err->status;
    }
    consumer = vd_alloc(sizeof(*consumer));
    consumer->rk = rk;
    consumer->events = conf->events;
    consumer->log = conf->log;
    consumer->errands = conf->errands;
    consumer->topics = rd_kafka_topic_partition_list_new((int)conf->topic_count);
    for (size_t i = 0; i < conf->topic_count; i++) {
        rd_kafka_topic_partition_list_add(consumer->topics, conf->topics[i], RD_KAFKA_PARTITION_UA);
    }
    uv_async_init(&loop->uv, &consumer->wake, on_wake);
    uv_timer_init(&loop->uv, &consumer->pulse);
    consumer->wake.data = consumer;
    consumer->pulse.data = consumer;
    consumer->handles_open = 2;
    rd_kafka_poll_set_consumer(rk);
    consumer->queue = rd_kafka_queue_get_consumer(rk);
    rd_kafka_queue_cb_event_enable(consumer->queue, on_queue_ready, consumer);
    *out = consumer;
    return VD_OK;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct vd_consumer *consumer = handle->data;

    if (--consumer->handles_open == 0) {
        consumer->on_closed(consumer->closed_arg);
        free(consumer);
    }
}

static void on_pulse(uv_timer_t *timer)
{
    struct vd_consumer *consumer = timer->data;

    serve(consumer);
}

enum vd_status vd_consumer_start(struct vd_consumer *consumer, struct vd_err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_subscribe(consumer->rk, consumer->topics);

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return vd_fail(err, VD_FAILED, "could not subscribe: %s", rd_kafka_err2str(code));
    }
    uv_timer_start(&consumer->pulse, on_pulse, 0, PULSE_MS);
    return VD_OK;
}

rd_kafka_t *vd_consumer_handle(struct vd_consumer *consumer)
{
    return consumer->rk;
}

enum vd_status vd_consumer_read(struct vd_consumer *consumer,
                                const rd_kafka_topic_partition_list_t *parts, struct vd_err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_assign(consumer->rk, parts);

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return vd_fail(err, VD_AGAIN, "could not assign: %s", rd_kafka_err2str(code));
    }
    return VD_OK;
}

enum vd_status vd_consumer_accept(struct vd_consumer *consumer, struct vd_group **out,
                                  struct vd_err *err)
{
    rd_kafka_topic_partition_list_t *nothing = rd_kafka_topic_partition_list_new(0);
    enum vd_status status = vd_consumer_read(consumer, nothing, err);
    struct vd_group *group;
    char *member;

    rd_kafka_topic_partition_list_destroy(nothing);
    if (status != VD_OK) {
        return status;
    }
    member = rd_kafka_memberid(consumer->rk);
    if (member == NULL || member[0] == '\0') {
        /* Without a member id the broker would take our offsets unchecked (H1). */
        rd_kafka_mem_free(consumer->rk, member);
        return vd_fail(err, VD_AGAIN, "the group forgot this member");
    }
    rd_kafka_mem_free(consumer->rk, member);
    group = vd_alloc(sizeof(*group));
    atomic_store(&group->refs, 1);
    group->md = rd_kafka_consumer_group_metadata(consumer->rk);
    *out = group;
    return VD_OK;
}

void vd_consumer_unassign(struct vd_consumer *consumer)
{
    rd_kafka_resp_err_t code = rd_kafka_assign(consumer->rk, NULL);

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        vd_warn(consumer->log, "could not give partitions up: %s", rd_kafka_err2str(code));
    }
}

static void set_paused(struct vd_consumer *consumer, const rd_kafka_topic_partition_list_t *parts,
                       bool is_paused)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(parts);
    rd_kafka_resp_err_t code = is_paused ? rd_kafka_pause_partitions(consumer->rk, list)
                                         : rd_kafka_resume_partitions(consumer->rk, list);

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        vd_warn(consumer->log, "could not %s partitions: %s", is_paused ? "pause" : "resume",
                rd_kafka_err2str(code));
    }
    rd_kafka_topic_partition_list_destroy(list);
}

void vd_consumer_pause(struct vd_consumer *consumer, const rd_kafka_topic_partition_list_t *parts)
{
    set_paused(consumer, parts, true);
}

void vd_consumer_resume(struct vd_consumer *consumer, const rd_kafka_topic_partition_list_t *parts)
{
    set_paused(consumer, parts, false);
    vd_nudge(&consumer->nudge, consumer->errands, consumer->rk, parts);
}

/* Without rd_kafka_consumer_close: it lets go of a rebalance that still waits in the queue, and
 * whoever answers that one waits for ever (librdkafka #4884). A static member that commits nothing
 * by itself loses nothing thereby: it does not leave its group either way (KIP-345). */
static void destroy(uv_timer_t *timer)
{
    struct vd_consumer *consumer = timer->data;

    if (vd_nudge_is_busy(&consumer->nudge)) {
        return;
    }
    rd_kafka_queue_cb_event_enable(consumer->queue, NULL, NULL);
    rd_kafka_queue_destroy(vd_take(consumer->queue));
    rd_kafka_destroy_flags(vd_take(consumer->rk), RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    rd_kafka_topic_partition_list_destroy(vd_take(consumer->topics));
    uv_close((uv_handle_t *)&consumer->wake, on_handle_closed);
    uv_close((uv_handle_t *)&consumer->pulse, on_handle_closed);
}

void vd_consumer_close(struct vd_consumer *consumer, void (*on_closed)(void *arg), void *arg)
{
    assert(!consumer->is_closing);
    consumer->is_closing = true;
    vd_nudge_drop(&consumer->nudge);
    consumer->on_closed = on_closed;
    consumer->closed_arg = arg;
    uv_timer_start(&consumer->pulse, destroy, 0, CLOSE_POLL_MS);
}
