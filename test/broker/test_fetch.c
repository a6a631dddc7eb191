/* What is read faster than the library likes to fetch still comes without its second of sleep. */
#include "broker.h"

#include "scan.h"
#include "table_follow.h"

/* A fetch brings about one portion, which is more than the library wants to hold: it sleeps after
 * each, for a second if nobody wakes it. */
enum { PORTIONS = 32, PORTION = 1500, PATIENCE_MS = PORTIONS * 1000 / 2 };

static char queue_name[] = "queued.min.messages", queue_max[] = "500";
static char fetch_name[] = "fetch.message.max.bytes", fetch_max[] = "10000";
static struct vd_kafka_prop narrow[] = {{queue_name, queue_max}, {fetch_name, fetch_max}};

struct fetch {
    struct broker broker;
    const char *topic;
    int64_t begin_ms;
};

static void fetch_init(struct fetch *at)
{
    rd_kafka_t *producer;

    *at = (struct fetch){0};
    broker_init(&at->broker);
    at->topic = broker_topic(&at->broker, "fetch", 1, "compact")->name;
    broker_ensure(&at->broker);
    producer = broker_producer(&at->broker, at->topic);
    for (int i = 0; i < PORTIONS; i++) {
        broker_expect(rd_kafka_begin_transaction(producer));
        for (int k = 0; k < PORTION; k++) {
            char key[16];

            (void)snprintf(key, sizeof(key), "%d", k);
            broker_send(producer, at->topic, 0, key, "value");
        }
        broker_expect(rd_kafka_commit_transaction(producer, 30000));
    }
    rd_kafka_destroy(producer);
    at->broker.conf.props = narrow;
    at->broker.conf.prop_count = sizeof(narrow) / sizeof(narrow[0]);
    at->begin_ms = vd_mono_ns() / 1000000;
}

static void fetch_fini(struct fetch *at)
{
    assert_in_range(vd_mono_ns() / 1000000 - at->begin_ms, 0, PATIENCE_MS);
    at->broker.conf.props = NULL;
    at->broker.conf.prop_count = 0;
    broker_fini(&at->broker);
}

static void set_true(void *arg)
{
    *(bool *)arg = true;
}

TEST(a_table_that_comes_in_portions_is_read_without_pauses)
{
    struct fetch at;
    struct vd_follower *follower;
    struct vd_table *table;
    bool is_closed = false;

    fetch_init(&at);
    follower = vd_follower_new(at.broker.kafka, &at.broker.loop, at.broker.log, at.broker.metrics);
    table = vd_follower_table(follower, at.topic);
    assert_int_equal(vd_follower_start(follower, at.broker.list, at.broker.topic_count, NULL),
                     VD_OK);
    broker_wait(&at.broker, vd_table_is_current(table));
    assert_int_equal(vd_table_rows(table), PORTION);
    vd_follower_close(follower, set_true, &is_closed);
    broker_wait(&at.broker, is_closed);
    fetch_fini(&at);
}

TEST(a_scan_that_comes_in_portions_is_read_without_pauses)
{
    struct fetch at;
    struct vd_scan scan;
    struct vd_err err = {0};
    rd_kafka_t *rk;
    int count = 0;

    fetch_init(&at);
    rk = vd_scan_client(at.broker.kafka, "error", &err);
    assert_non_null(rk);
    assert_int_equal(vd_scan_open(&scan, rk, at.topic, WAIT_MAX_MS, &err), VD_OK);
    assert_int_equal(vd_scan_begin(&scan, 0, RD_KAFKA_OFFSET_BEGINNING, &err), VD_OK);
    for (bool is_end = false; !is_end;) {
        rd_kafka_message_t *message = vd_scan_next(&scan, WAIT_MAX_MS);

        assert_non_null(message);
        is_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        assert_true(is_end || message->err == RD_KAFKA_RESP_ERR_NO_ERROR);
        count += !is_end;
        rd_kafka_message_destroy(message);
    }
    assert_int_equal(count, PORTIONS * PORTION);
    vd_scan_close(&scan);
    vd_scan_client_free(rk);
    fetch_fini(&at);
}

TEST(a_scan_from_an_offset_that_is_not_there_says_so)
{
    struct fetch at = {0};
    struct vd_scan scan;
    struct vd_err err = {0};
    rd_kafka_message_t *message;
    rd_kafka_t *rk;

    broker_init(&at.broker);
    at.topic = broker_topic(&at.broker, "fetch", 1, "compact")->name;
    broker_ensure(&at.broker);
    rk = vd_scan_client(at.broker.kafka, "error", &err);
    assert_int_equal(vd_scan_open(&scan, rk, at.topic, WAIT_MAX_MS, &err), VD_OK);
    assert_int_equal(vd_scan_begin(&scan, 0, 1000, &err), VD_OK);
    message = vd_scan_next(&scan, WAIT_MAX_MS);
    assert_non_null(message);
    assert_int_equal(message->err, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET);
    rd_kafka_message_destroy(message);
    vd_scan_close(&scan);
    vd_scan_client_free(rk);
    broker_fini(&at.broker);
}

RUN_BROKER_TESTS(cmocka_unit_test(a_table_that_comes_in_portions_is_read_without_pauses),
                 cmocka_unit_test(a_scan_that_comes_in_portions_is_read_without_pauses),
                 cmocka_unit_test(a_scan_from_an_offset_that_is_not_there_says_so))
