/* What every test against a real broker includes: a node's Kafka, topics of its own, a producer
 * that opens, commits and aborts transactions. The broker is KAFKA_BROKERS; without it tests are
 * skipped. */
#ifndef VD_TEST_BROKER_BROKER_H
#define VD_TEST_BROKER_BROKER_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../unit/test.h"
#include "alloc.h"
#include "kafka.h"
#include "loop_uv.h"

#define WAIT_MAX_MS 60000
#define IN_TIME_MS 20000 /* what must not wait for the broker may be slow, as the machine is */
#define TOPICS_MAX 32

struct broker {
    struct vd_loop loop;
    struct vd_kafka_conf conf;
    struct vd_log *log;
    struct vd_metrics *metrics;
    struct vd_kafka *kafka;
    struct vd_topic_conf topics[TOPICS_MAX];
    struct vd_topic_conf *list[TOPICS_MAX];
    size_t topic_count;
    uv_timer_t tick; /* keeps a loop that waits from sleeping for ever */
};

static inline void broker_init(struct broker *at)
{
    *at = (struct broker){0};
    vd_loop_init(&at->loop);
    vd_opt_defaults(vd_kafka_opts, &at->conf);
    at->conf.brokers = vd_strdup(getenv("KAFKA_BROKERS"));
    at->log = vd_log_new("kafka");
    at->metrics = vd_metrics_new();
    at->conf.application = "trial";
    at->conf.node = "one";
    at->kafka = vd_kafka_new(&at->loop, &at->conf, at->log, at->metrics);
}

/* Declare a topic whose name no other run uses. */
static inline struct vd_topic_conf *broker_topic(struct broker *at, const char *stem,
                                                 int64_t partitions, const char *cleanup)
{
    static int nth;
    struct vd_topic_conf *topic = &at->topics[at->topic_count];

    assert_true(at->topic_count < TOPICS_MAX);
    at->list[at->topic_count++] = topic;
    vd_opt_defaults(vd_topic_opts, topic);
    topic->name =
        vd_format("trial-%s-%d-%lld-%d", stem, (int)getpid(), (long long)vd_wall_ms(), nth++);
    topic->partitions = partitions;
    free(topic->cleanup);
    topic->cleanup = vd_strdup(cleanup);
    return topic;
}

static inline void broker_on_tick(uv_timer_t *timer)
{
    (void)timer; /* the turn is all that was wanted */
}

/* Turn the loop until *is_true, or fail. */
#define broker_wait(at, is_true)                                        \
    do {                                                                \
        const int64_t deadline_ = vd_mono_ns() / 1000000 + WAIT_MAX_MS; \
                                                                        \
        uv_timer_init(&(at)->loop.uv, &(at)->tick);                     \
        uv_timer_start(&(at)->tick, broker_on_tick, 20, 20);            \
        while (!(is_true) && vd_mono_ns() / 1000000 < deadline_) {      \
            uv_run(&(at)->loop.uv, UV_RUN_ONCE);                        \
        }                                                               \
        uv_close((uv_handle_t *)&(at)->tick, NULL);                     \
        uv_run(&(at)->loop.uv, UV_RUN_NOWAIT);                          \
        assert_true(is_true);                                           \
    } while (0)

struct broker_answer {
    bool is_done;
    int waited;
    struct vd_err err; /* status VD_OK: none */
    struct vd_err waiting;
};

static inline void broker_on_waiting(void *arg, const struct vd_err *err)
{
    struct broker_answer *answer = arg;

    answer->waited++;
    answer->waiting = *err;
}

static inline void broker_on_done(void *arg, const struct vd_err *err)
{
    struct broker_answer *answer = arg;

    assert_false(answer->is_done);
    answer->is_done = true;
    answer->err = err != NULL ? *err : (struct vd_err){0};
}

/* Create the declared topics. */
static inline void broker_ensure(struct broker *at)
{
    struct broker_answer answer = {0};

    vd_topics_ensure(at->kafka, at->list, at->topic_count,
                     &(struct vd_topics_events){broker_on_waiting, broker_on_done, &answer});
    broker_wait(at, answer.is_done);
    assert_string_equal(answer.err.msg, "");
}

static inline void broker_delete_topics(struct broker *at)
{
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER,
                                  vd_kafka_client_conf(at->kafka, "linger.ms", "0", NULL), NULL, 0);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteTopic_t *gone[TOPICS_MAX];
    rd_kafka_event_t *event;

    for (size_t i = 0; i < at->topic_count; i++) {
        gone[i] = rd_kafka_DeleteTopic_new(at->topics[i].name);
    }
    rd_kafka_DeleteTopics(rk, gone, at->topic_count, NULL, queue);
    event = rd_kafka_queue_poll(queue, 10000);
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_DeleteTopic_destroy_array(gone, at->topic_count);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

/* Whatever uses 'kafka' or the loop is closed by then. */
static inline void broker_fini(struct broker *at)
{
    if (at->topic_count > 0) {
        broker_delete_topics(at);
    }
    vd_kafka_free(at->kafka);
    for (size_t i = 0; i < at->topic_count; i++) {
        free(at->topics[i].name);
        vd_opt_fini(vd_topic_opts, &at->topics[i]);
    }
    vd_metrics_free(at->metrics);
    vd_log_free(at->log);
    vd_opt_fini(vd_kafka_opts, &at->conf);
    uv_run(&at->loop.uv, UV_RUN_DEFAULT);
    vd_loop_fini(&at->loop);
}

/* ---- a transactional producer, blocking ------------------------------------------------------ */

static inline void broker_expect(rd_kafka_error_t *error)
{
    if (error != NULL) {
        fail_msg("%s", rd_kafka_error_string(error));
    }
}

static inline rd_kafka_t *broker_producer(struct broker *at, const char *transactional_id)
{
    char text[256];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER,
                                  vd_kafka_client_conf(at->kafka, "transactional.id",
                                                       transactional_id, "linger.ms", "0",
                                                       "transaction.timeout.ms", "300000", NULL),
                                  text, sizeof(text));

    assert_non_null(rk);
    broker_expect(rd_kafka_init_transactions(rk, WAIT_MAX_MS));
    return rk;
}

/* Send one record; 'value' NULL: a tombstone. */
static inline void broker_send(rd_kafka_t *rk, const char *topic, int32_t partition,
                               const char *key, const char *value)
{
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key ? strlen(key) : 0),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value ? strlen(value) : 0), RD_KAFKA_V_END);

    assert_int_equal(error, RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* A program's main: skipped without a broker. */
#define RUN_BROKER_TESTS(...)                                       \
    int main(void)                                                  \
    {                                                               \
        const struct CMUnitTest tests[] = {__VA_ARGS__};            \
                                                                    \
        if (getenv("KAFKA_BROKERS") == NULL) {                      \
            fprintf(stderr, "skipped: KAFKA_BROKERS is not set\n"); \
            return 77;                                              \
        }                                                           \
        return cmocka_run_group_tests(tests, NULL, NULL);           \
    }

#endif
