/* What is published arrives once, and a table reads it back. */
#include "broker.h"

#include "publisher.h"
#include "table_follow.h"

struct scene {
    struct broker broker;
    struct vd_publisher *publisher;
    const char *topic;
    bool is_closed, is_follower_closed;
};

static void on_closed(void *arg)
{
    bool *is_closed = arg;

    *is_closed = true;
}

static void scene_init(struct scene *at, int64_t partitions)
{
    *at = (struct scene){0};
    broker_init(&at->broker);
    at->topic = broker_topic(&at->broker, "published", partitions, "compact")->name;
    broker_ensure(&at->broker);
    at->publisher =
        vd_publisher_new(at->broker.kafka, &at->broker.loop, at->broker.log, at->broker.metrics);
}

static void scene_close(struct scene *at, int timeout_ms)
{
    vd_publisher_close(at->publisher, timeout_ms, on_closed, &at->is_closed);
    broker_wait(&at->broker, at->is_closed);
}

static enum vd_status try_publish(struct scene *at, int32_t partition, const char *key,
                                  const char *value, struct vd_err *err)
{
    const struct vd_publication record = {.topic = at->topic,
                                          .partition = partition,
                                          .key = key,
                                          .key_len = strlen(key),
                                          .value = value,
                                          .value_len = value == NULL ? 0 : strlen(value)};

    return vd_publisher_send(at->publisher, &record, err);
}

static enum vd_status publish(struct scene *at, int32_t partition, const char *key,
                              const char *value)
{
    return try_publish(at, partition, key, value, NULL);
}

static int64_t count(const struct scene *at, enum vd_metric_type type, const char *name)
{
    return vd_metric_value(vd_metric_get(at->broker.metrics, type, name, NULL, ""));
}

TEST(what_is_published_is_read_back_by_a_table)
{
    struct scene at;
    struct vd_follower *follower;
    struct vd_table *table;
    size_t len = 0;

    scene_init(&at, 2);
    follower = vd_follower_new(at.broker.kafka, &at.broker.loop, at.broker.log, at.broker.metrics);
    table = vd_follower_table(follower, at.topic);
    assert_int_equal(vd_follower_start(follower, at.broker.list, at.broker.topic_count, NULL),
                     VD_OK);
    for (int i = 0; i < 5000; i++) {
        char text[16];

        snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(publish(&at, i % 2, text, text), VD_OK);
    }
    assert_int_equal(publish(&at, 0, "0", NULL), VD_OK);
    assert_int_equal(publish(&at, 1, "1", "one"), VD_OK);
    assert_int_equal(vd_publisher_waiting(at.publisher), 5002);
    broker_wait(&at.broker, vd_publisher_waiting(at.publisher) == 0);
    assert_int_equal(count(&at, VD_COUNTER, "votingd_published_total"), 5002);
    broker_wait(&at.broker, vd_table_rows(table) == 4999);
    broker_wait(&at.broker, vd_table_get(table, "1", 1, &len) != NULL && len == 3);
    scene_close(&at, 20000);
    vd_follower_close(follower, on_closed, &at.is_follower_closed);
    broker_wait(&at.broker, at.is_follower_closed);
    broker_fini(&at.broker);
}

TEST(a_new_topic_does_not_wait_for_the_library_to_look_around)
{
    enum { TOPICS = 10, WAIT_MS = 400 }; /* each would wait for a second, or half of one */
    struct scene at = {0};
    int quick = 0;

    broker_init(&at.broker);
    for (int i = 0; i < TOPICS; i++) {
        (void)broker_topic(&at.broker, "published", 1, "compact");
    }
    broker_ensure(&at.broker);
    at.publisher =
        vd_publisher_new(at.broker.kafka, &at.broker.loop, at.broker.log, at.broker.metrics);
    for (int i = 0; i < TOPICS; i++) {
        int64_t begin_ms = vd_mono_ms();

        at.topic = at.broker.topics[i].name;
        assert_int_equal(publish(&at, 0, "key", "value"), VD_OK);
        broker_wait(&at.broker, vd_publisher_waiting(at.publisher) == 0);
        quick += vd_mono_ms() - begin_ms < WAIT_MS;
    }
    assert_in_range(quick, TOPICS / 3, TOPICS); /* the others met a busy machine */
    scene_close(&at, 20000);
    broker_fini(&at.broker);
}

TEST(a_close_waits_for_what_is_queued)
{
    struct scene at;

    scene_init(&at, 1);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(publish(&at, 0, "k", "v"), VD_OK);
    }
    scene_close(&at, 20000);
    assert_int_equal(count(&at, VD_COUNTER, "votingd_published_total"), 100);
    assert_int_equal(count(&at, VD_COUNTER, "votingd_publish_failed_total"), 0);
    broker_fini(&at.broker);
}

TEST(a_publisher_that_sent_nothing_closes_at_once)
{
    struct scene at;

    scene_init(&at, 1);
    scene_close(&at, 20000);
    broker_fini(&at.broker);
}

TEST(a_partition_that_is_not_there_fails_the_record_and_is_counted)
{
    struct scene at;
    enum vd_status status;

    scene_init(&at, 1);
    status = publish(&at, 7, "k", "v");
    if (status == VD_OK) { /* the topic was not known yet; the report tells */
        broker_wait(&at.broker, vd_publisher_waiting(at.publisher) == 0);
        assert_int_equal(count(&at, VD_COUNTER, "votingd_publish_failed_total"), 1);
    }
    assert_int_equal(publish(&at, 7, "k", "v"), VD_FAILED);
    assert_int_equal(publish(&at, 0, "k", "v"), VD_OK);
    broker_wait(&at.broker, count(&at, VD_COUNTER, "votingd_published_total") == 1);
    scene_close(&at, 20000);
    broker_fini(&at.broker);
}

TEST(without_a_broker_the_queue_fills_up_and_a_close_gives_up_in_time)
{
    struct scene at;
    struct vd_err err = {0};
    int64_t start_ns;
    int taken = 0;

    scene_init(&at, 1);
    free(at.broker.conf.brokers);
    at.broker.conf.brokers = vd_strdup("127.0.0.1:1");
    while (publish(&at, 0, "k", "v") == VD_OK) {
        taken++;
    }
    assert_int_equal(taken, 10000);
    assert_int_equal(try_publish(&at, 0, "k", NULL, &err), VD_AGAIN);
    assert_non_null(strstr(err.msg, ": the queue is full"));
    assert_int_equal(count(&at, VD_COUNTER, "votingd_publish_full_total"), 2);
    start_ns = vd_mono_ns();
    scene_close(&at, 300);
    assert_true(vd_mono_ns() - start_ns < IN_TIME_MS * 1000000LL);
    assert_int_equal(count(&at, VD_COUNTER, "votingd_publish_failed_total"), 10000);
    free(at.broker.conf.brokers);
    at.broker.conf.brokers = vd_strdup(getenv("KAFKA_BROKERS"));
    broker_fini(&at.broker);
}

RUN_BROKER_TESTS(cmocka_unit_test(what_is_published_is_read_back_by_a_table),
                 cmocka_unit_test(a_new_topic_does_not_wait_for_the_library_to_look_around),
                 cmocka_unit_test(a_close_waits_for_what_is_queued),
                 cmocka_unit_test(a_publisher_that_sent_nothing_closes_at_once),
                 cmocka_unit_test(a_partition_that_is_not_there_fails_the_record_and_is_counted),
                 cmocka_unit_test(without_a_broker_the_queue_fills_up_and_a_close_gives_up_in_time))
