/* An idempotent producer whose delivery reports come as events, drained by the loop. Flush serves
 * none of those in librdkafka 2.0.2, so the end waits for the reports instead, and only the
 * producer's destruction, which blocks, is an errand. */
#include "publisher.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "alloc.h"
#include "errand.h"
#include "loop_uv.h"
#include "timer.h"

#define TURN_EVENTS 64         /* taken in one turn of the loop */
#define COMPLAIN_EVERY_MS 5000 /* between two lines about records that failed */
#define FLEETING_MAX 4         /* so that an outage piles up no more of them */
#define FLEETING_FLUSH_MS 500

static const char fleeting; /* its address is the mark of such a record */

struct vd_publisher {
    struct vd_kafka *kafka; /* borrowed, like the next two */
    struct vd_loop *loop;
    struct vd_log *log;
    uv_async_t async;
    rd_kafka_t *rk; /* NULL: nothing was sent yet */
    rd_kafka_queue_t *queue;
    size_t waiting;   /* for their delivery report */
    size_t fleeting;  /* likewise, those that are not in 'waiting' */
    size_t failed;    /* since the last line about them */
    int64_t quiet_ms; /* on the loop's clock: no such line before it */
    struct vd_timer *deadline;
    bool is_closing, is_ending;
    void (*on_closed)(void *arg);
    void *arg;
    struct vd_metric *sent_metric, *failed_metric, *full_metric, *waiting_metric, *replaced_metric;
};

/* ---- the producer ---------------------------------------------------------------------------- */

/* On a thread of librdkafka. */
static void on_events(rd_kafka_t *rk, void *arg)
{
    struct vd_publisher *publisher = arg;

    (void)uv_async_send(&publisher->async); /* fails only on a handle of another type */
}

/* The reference system's clients know gzip and nothing newer. */
static const char *pick_compression(rd_kafka_conf_t *conf)
{
    char features[512] = "";
    size_t bytes = sizeof(features);

    if (rd_kafka_conf_get(conf, "builtin.features", features, &bytes) == RD_KAFKA_CONF_OK &&
        strstr(features, "gzip") != NULL) {
        return "gzip";
    }
    return "none";
}

static enum vd_status open_producer(struct vd_publisher *publisher, struct vd_err *err)
{
    rd_kafka_conf_t *conf = vd_kafka_client_conf(
        publisher->kafka, "enable.idempotence", "true", "linger.ms", "5",
        "queue.buffering.max.messages", "10000", "queue.buffering.max.kbytes", "16384",
        "message.timeout.ms", "60000", "delivery.report.only.error", "false", NULL);
    char text[512] = "";

    if (rd_kafka_conf_set(conf, "compression.type", pick_compression(conf), text, sizeof(text)) !=
        RD_KAFKA_CONF_OK) {
        vd_warn(publisher->log, "publisher: %s; going on with the topology's", text);
    }
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    publisher->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (publisher->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return vd_fail(err, VD_FAILED, "could not create a Kafka producer: %s", text);
    }
    publisher->queue = rd_kafka_queue_get_main(publisher->rk);
    rd_kafka_queue_cb_event_enable(publisher->queue, on_events, publisher);
    return VD_OK;
}

struct ending {
    struct vd_errand errand;
    rd_kafka_t *rk;
};

static bool run_ending(struct vd_errand *errand)
{
    struct ending *ending = vd_owner(errand, struct ending, errand);

    /* What is still queued goes at once, or the destruction would wait for it. */
    (void)rd_kafka_purge(ending->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy(ending->rk);
    return true;
}

static void on_ending_done(struct vd_errand *errand)
{
    free(vd_owner(errand, struct ending, errand));
}

/* Destroy the producer on a thread; what waits counts as failed. */
static void close_producer(struct vd_publisher *publisher, void (*on_gone)(void *arg), void *arg)
{
    struct vd_errands *errands = vd_errands_new(publisher->loop);
    struct ending *ending = vd_alloc(sizeof(*ending));

    rd_kafka_queue_cb_event_enable(publisher->queue, NULL, NULL);
    rd_kafka_queue_destroy(vd_take(publisher->queue));
    ending->errand.run = run_ending;
    ending->errand.on_done = on_ending_done;
    ending->rk = vd_take(publisher->rk);
    vd_errands_submit(errands, &ending->errand);
    vd_errands_close(errands, on_gone, arg);
    vd_metric_add(publisher->failed_metric, (int64_t)publisher->waiting);
    publisher->failed += publisher->waiting;
    publisher->waiting = 0;
    publisher->fleeting = 0;
    vd_metric_set(publisher->waiting_metric, 0);
}

/* A fatal error ends an idempotent producer for good; the next record gets a new one. */
static void replace_if_fatal(struct vd_publisher *publisher)
{
    char text[512] = "";

    if (rd_kafka_fatal_error(publisher->rk, text, sizeof(text)) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    vd_metric_add(publisher->replaced_metric, 1);
    vd_warn(publisher->log,
            "publisher: %s; replacing the producer, %zu records are sent again by their stages",
            text, publisher->waiting);
    close_producer(publisher, NULL, NULL);
}

/* ---- reports --------------------------------------------------------------------------------- */

static void take_reports(struct vd_publisher *publisher, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *message;

    while ((message = rd_kafka_event_message_next(event)) != NULL) {
        if (message->_private == &fleeting) {
            assert(publisher->fleeting > 0);
            publisher->fleeting--;
            continue;
        }
        assert(publisher->waiting > 0);
        publisher->waiting--;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            vd_metric_add(publisher->sent_metric, 1);
            continue;
        }
        vd_metric_add(publisher->failed_metric, 1);
        publisher->failed++;
        if (vd_loop_now_ms(publisher->loop) >= publisher->quiet_ms) {
            vd_warn(publisher->log,
                    "publisher: %zu records not published, one to \"%s\": %s; their stages send "
                    "them again",
                    publisher->failed, rd_kafka_topic_name(message->rkt),
                    rd_kafka_err2str(message->err));
            publisher->failed = 0;
            publisher->quiet_ms = vd_loop_now_ms(publisher->loop) + COMPLAIN_EVERY_MS;
        }
    }
    vd_metric_set(publisher->waiting_metric, (int64_t)publisher->waiting);
}

static void turn(struct vd_publisher *publisher)
{
    for (int taken = 0;; taken++) {
        rd_kafka_event_t *event;

        if (taken == TURN_EVENTS) {
            (void)uv_async_send(&publisher->async); /* fails only on a handle of another type */
            break;
        }
        event = rd_kafka_queue_poll(publisher->queue, 0);
        if (event == NULL) {
            break;
        }
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
            take_reports(publisher, event);
        } else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) {
            vd_debug(publisher->log, "publisher: %s", rd_kafka_event_error_string(event));
        }
        rd_kafka_event_destroy(event);
    }
    replace_if_fatal(publisher);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_async_closed(uv_handle_t *handle)
{
    struct vd_publisher *publisher = handle->data;
    void (*on_closed)(void *arg) = publisher->on_closed;
    void *arg = publisher->arg;

    vd_timer_close(publisher->deadline);
    free(publisher);
    if (on_closed != NULL) {
        on_closed(arg);
    }
}

static void on_producer_gone(void *arg)
{
    struct vd_publisher *publisher = arg;

    uv_close((uv_handle_t *)&publisher->async, on_async_closed);
}

static bool is_done(const struct vd_publisher *publisher)
{
    return publisher->waiting == 0 && publisher->fleeting == 0;
}

/* All is reported, or the time is over. */
static void end(struct vd_publisher *publisher)
{
    if (publisher->is_ending) {
        return;
    }
    publisher->is_ending = true;
    vd_timer_stop(publisher->deadline);
    if (publisher->waiting > 0) {
        vd_warn(publisher->log, "publisher: giving up %zu records that nobody acknowledged",
                publisher->waiting);
    }
    if (publisher->rk == NULL) {
        on_producer_gone(publisher);
    } else {
        close_producer(publisher, on_producer_gone, publisher);
    }
}

static void on_async(uv_async_t *handle)
{
    struct vd_publisher *publisher = handle->data;

    if (publisher->rk != NULL) {
        turn(publisher);
    }
    if (publisher->is_closing && is_done(publisher)) {
        end(publisher);
    }
}

static void on_deadline(void *arg)
{
    end(arg);
}

struct vd_publisher *vd_publisher_new(struct vd_kafka *kafka, struct vd_loop *loop,
                                      struct vd_log *log, struct vd_metrics *metrics)
{
    struct vd_publisher *publisher = vd_alloc(sizeof(*publisher));
    int error;

    publisher->kafka = kafka;
    publisher->loop = loop;
    publisher->log = log;
    publisher->deadline = vd_timer_new(loop, on_deadline, publisher);
    publisher->sent_metric = vd_metric_get(metrics, VD_COUNTER, "votingd_published_total", NULL,
                                           "published records that brokers acknowledged");
    publisher->failed_metric =
        vd_metric_get(metrics, VD_COUNTER, "votingd_publish_failed_total", NULL,
                      "published records that were not acknowledged in time");
    publisher->full_metric = vd_metric_get(metrics, VD_COUNTER, "votingd_publish_full_total", NULL,
                                           "records not taken because the queue was full");
    publisher->waiting_metric = vd_metric_get(metrics, VD_GAUGE, "votingd_publish_waiting", NULL,
                                              "published records not yet acknowledged");
    publisher->replaced_metric =
        vd_metric_get(metrics, VD_COUNTER, "votingd_publisher_replaced_total", NULL,
                      "times the publishing producer was replaced after a fatal error");
    error = uv_async_init(&loop->uv, &publisher->async, on_async);
    assert(error == 0); /* no descriptors left at the start: nothing else would work either */
    (void)error;
    publisher->async.data = publisher;
    return publisher;
}

enum vd_status vd_publisher_send(struct vd_publisher *publisher,
                                 const struct vd_publication *record, struct vd_err *err)
{
    rd_kafka_topic_t *topic;
    rd_kafka_resp_err_t error;

    assert(record->partition >= 0 && !publisher->is_closing);
    if (record->is_fleeting && publisher->fleeting >= FLEETING_MAX) {
        return vd_fail(err, VD_AGAIN, "could not publish to \"%s\": %zu records wait already",
                       record->topic, publisher->fleeting);
    }
    if (publisher->rk == NULL && open_producer(publisher, err) != VD_OK) {
        return VD_FAILED;
    }
    /* A new one is asked for at once, which a record with a name does not do: it would wait for the
     * library's next look around, up to a second (2.0.2). */
    topic = rd_kafka_topic_new(publisher->rk, record->topic, NULL);
    if (topic == NULL) {
        return vd_fail(err, VD_FAILED, "could not publish to \"%s\": %s", record->topic,
                       rd_kafka_err2str(rd_kafka_last_error()));
    }
    error = rd_kafka_producev(
        publisher->rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(record->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(record->key, record->key_len),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value, record->value_len),
        RD_KAFKA_V_TIMESTAMP(record->timestamp_ms),
        RD_KAFKA_V_OPAQUE(record->is_fleeting ? (void *)(uintptr_t)&fleeting : NULL),
        RD_KAFKA_V_END);
    rd_kafka_topic_destroy(topic);
    switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        if (record->is_fleeting) {
            publisher->fleeting++;
            return VD_OK;
        }
        publisher->waiting++;
        vd_metric_set(publisher->waiting_metric, (int64_t)publisher->waiting);
        return VD_OK;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        vd_metric_add(publisher->full_metric, 1);
        return vd_fail(err, VD_AGAIN, "could not publish to \"%s\": the queue is full",
                       record->topic);
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return vd_fail(err, VD_INVALID, "could not publish to \"%s\": %zu bytes are too many",
                       record->topic, record->key_len + record->value_len);
    default:
        replace_if_fatal(publisher);
        return vd_fail(err, VD_FAILED, "could not publish to \"%s\": %s", record->topic,
                       rd_kafka_err2str(error));
    }
}

size_t vd_publisher_waiting(const struct vd_publisher *publisher)
{
    return publisher->waiting;
}

void vd_publisher_close(struct vd_publisher *publisher, int timeout_ms,
                        void (*on_closed)(void *arg), void *arg)
{
    assert(!publisher->is_closing);
    publisher->is_closing = true;
    publisher->on_closed = on_closed;
    publisher->arg = arg;
    if (publisher->waiting == 0 && timeout_ms > FLEETING_FLUSH_MS) {
        timeout_ms = FLEETING_FLUSH_MS;
    }
    if (is_done(publisher)) {
        end(publisher);
    } else {
        vd_timer_start(publisher->deadline, timeout_ms);
    }
}
