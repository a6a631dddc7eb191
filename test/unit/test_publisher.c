/* The publisher against librdkafka's mock cluster: what happens when brokers refuse. */
#include "publisher.h"

#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "loop_uv.h"

#include "test.h"

#define PRODUCE 0 /* Kafka protocol, API key */
#define TURNS_MAX 2000
#define TURN_MS 5

struct fixture {
    rd_kafka_t *host; /* the mock cluster runs in it */
    rd_kafka_mock_cluster_t *cluster;
    struct vd_loop loop;
    struct vd_kafka_conf conf;
    struct vd_log *log;
    struct vd_metrics *metrics;
    struct vd_kafka *kafka;
    struct vd_publisher *publisher;
    uv_timer_t tick;
    bool is_closed;
};

static void on_tick(uv_timer_t *timer)
{
    (void)timer; /* the turn is all that was wanted */
}

static void fixture_init(struct fixture *at)
{
    *at = (struct fixture){0};
    at->host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), NULL, 0);
    at->cluster = rd_kafka_mock_cluster_new(at->host, 1);
    assert_int_equal(rd_kafka_mock_topic_create(at->cluster, "totals", 1, 1), 0);
    vd_loop_init(&at->loop);
    vd_opt_defaults(vd_kafka_opts, &at->conf);
    at->conf.brokers = vd_strdup(rd_kafka_mock_cluster_bootstraps(at->cluster));
    at->log = vd_log_new("kafka");
    at->metrics = vd_metrics_new();
    at->conf.application = "trial";
    at->conf.node = "one";
    at->kafka = vd_kafka_new(&at->loop, &at->conf, at->log, at->metrics);
    at->publisher = vd_publisher_new(at->kafka, &at->loop, at->log, at->metrics);
    uv_timer_init(&at->loop.uv, &at->tick);
    uv_timer_start(&at->tick, on_tick, TURN_MS, TURN_MS);
}

static void on_closed(void *arg)
{
    struct fixture *at = arg;

    at->is_closed = true;
}

static void fixture_fini(struct fixture *at)
{
    vd_publisher_close(at->publisher, 1000, on_closed, at);
    for (int i = 0; i < TURNS_MAX && !at->is_closed; i++) {
        uv_run(&at->loop.uv, UV_RUN_ONCE);
    }
    assert_true(at->is_closed);
    uv_close((uv_handle_t *)&at->tick, NULL);
    uv_run(&at->loop.uv, UV_RUN_DEFAULT);
    vd_kafka_free(at->kafka);
    vd_metrics_free(at->metrics);
    vd_log_free(at->log);
    vd_opt_fini(vd_kafka_opts, &at->conf);
    vd_loop_fini(&at->loop);
    rd_kafka_mock_cluster_destroy(at->cluster);
    rd_kafka_destroy(at->host);
}

static int64_t count(const struct fixture *at, const char *name)
{
    return vd_metric_value(vd_metric_get(at->metrics, VD_COUNTER, name, NULL, ""));
}

static void publish(struct fixture *at)
{
    const struct vd_publication record = {
        .topic = "totals", .key = "k", .key_len = 1, .value = "v", .value_len = 1};
    struct vd_err err = {0};

    assert_int_equal(vd_publisher_send(at->publisher, &record, &err), VD_OK);
    for (int i = 0; i < TURNS_MAX && vd_publisher_waiting(at->publisher) > 0; i++) {
        uv_run(&at->loop.uv, UV_RUN_ONCE);
    }
    assert_int_equal(vd_publisher_waiting(at->publisher), 0);
}

TEST(a_passing_fault_is_retried_by_the_library)
{
    struct fixture at;

    fixture_init(&at);
    rd_kafka_mock_push_request_errors(at.cluster, PRODUCE, 2, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    publish(&at);
    assert_int_equal(count(&at, "votingd_published_total"), 1);
    assert_int_equal(count(&at, "votingd_publish_failed_total"), 0);
    fixture_fini(&at);
}

TEST(a_refused_record_is_counted_and_the_next_one_arrives)
{
    struct fixture at;

    fixture_init(&at);
    rd_kafka_mock_push_request_errors(at.cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    publish(&at);
    assert_int_equal(count(&at, "votingd_publish_failed_total"), 1);
    publish(&at);
    assert_int_equal(count(&at, "votingd_published_total"), 1);
    fixture_fini(&at);
}

TEST(a_producer_that_failed_for_good_is_replaced)
{
    struct fixture at;

    fixture_init(&at);
    publish(&at);
    rd_kafka_mock_push_request_errors(at.cluster, PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    publish(&at);
    for (int i = 0; i < TURNS_MAX && count(&at, "votingd_publisher_replaced_total") == 0; i++) {
        uv_run(&at.loop.uv, UV_RUN_ONCE);
    }
    assert_int_equal(count(&at, "votingd_publisher_replaced_total"), 1);
    assert_int_equal(count(&at, "votingd_publish_failed_total"), 1);
    publish(&at);
    assert_int_equal(count(&at, "votingd_published_total"), 2);
    fixture_fini(&at);
}

TEST(a_record_has_the_time_it_is_given)
{
    const struct vd_publication record = {
        .topic = "totals", .key = "k", .key_len = 1, .timestamp_ms = 1600000000123};
    struct fixture at;
    struct vd_err err = {0};
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(1);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *reader = NULL;
    rd_kafka_message_t *message = NULL;

    fixture_init(&at);
    assert_int_equal(vd_publisher_send(at.publisher, &record, &err), VD_OK);
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", at.conf.brokers, NULL, 0);
    (void)rd_kafka_conf_set(conf, "group.id", "reader", NULL, 0);
    reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, NULL, 0);
    rd_kafka_topic_partition_list_add(all, "totals", 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(reader, all), 0);
    for (int i = 0; i < TURNS_MAX && message == NULL; i++) {
        uv_run(&at.loop.uv, UV_RUN_ONCE);
        message = rd_kafka_consumer_poll(reader, TURN_MS);
    }
    assert_non_null(message);
    assert_int_equal(message->err, 0);
    assert_true(rd_kafka_message_timestamp(message, NULL) == record.timestamp_ms);
    rd_kafka_message_destroy(message);
    rd_kafka_topic_partition_list_destroy(all);
    rd_kafka_destroy(reader);
    fixture_fini(&at);
}

static enum vd_status publish_fleeting(struct fixture *at, struct vd_err *err)
{
    const struct vd_publication record = {.topic = "totals",
                                          .key = "k",
                                          .key_len = 1,
                                          .value = "v",
                                          .value_len = 1,
                                          .is_fleeting = true};

    return vd_publisher_send(at->publisher, &record, err);
}

TEST(fleeting_records_arrive_but_are_not_counted)
{
    struct fixture at;
    struct vd_err err = {0};

    fixture_init(&at);
    for (int sent = 0, turns = 0; sent < 20 && turns < TURNS_MAX; turns++) {
        enum vd_status status = publish_fleeting(&at, &err);

        assert_true(status == VD_OK || status == VD_AGAIN);
        sent += status == VD_OK ? 1 : 0;
        assert_int_equal(vd_publisher_waiting(at.publisher), 0);
        uv_run(&at.loop.uv, UV_RUN_ONCE);
    }
    publish(&at); /* in order: all before it were taken */
    assert_int_equal(count(&at, "votingd_published_total"), 1);
    fixture_fini(&at);
}

TEST(without_a_broker_few_fleeting_records_wait_and_an_end_hardly_does)
{
    struct fixture at;
    struct vd_err err = {0};
    int64_t begin_ns;

    fixture_init(&at);
    assert_int_equal(rd_kafka_mock_broker_set_down(at.cluster, 1), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(publish_fleeting(&at, &err), VD_OK);
    }
    assert_int_equal(publish_fleeting(&at, &err), VD_AGAIN);
    assert_string_equal(err.msg, "could not publish to \"totals\": 4 records wait already");
    begin_ns = vd_mono_ns();
    fixture_fini(&at);
    assert_true(vd_mono_ns() - begin_ns < 5000000000); /* half a second, and a slow machine */
}

RUN_TESTS(cmocka_unit_test(a_record_has_the_time_it_is_given),
          cmocka_unit_test(a_passing_fault_is_retried_by_the_library),
          cmocka_unit_test(a_refused_record_is_counted_and_the_next_one_arrives),
          cmocka_unit_test(a_producer_that_failed_for_good_is_replaced),
          cmocka_unit_test(fleeting_records_arrive_but_are_not_counted),
          cmocka_unit_test(without_a_broker_few_fleeting_records_wait_and_an_end_hardly_does))
