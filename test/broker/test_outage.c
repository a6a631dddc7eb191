/* A broker that goes away and comes back: tables, publisher and creation of topics go on by
 * themselves. Needs a broker of its own that VOTINGD_TEST_LOCAL ("deploy/local --dir ...") kills
 * and starts. */
#include "broker.h"

#include "publisher.h"
#include "table_follow.h"

struct scene {
    struct broker broker;
    struct vd_follower *follower;
    struct vd_table *table;
    struct vd_publisher *publisher;
    const char *topic;
    int synced;
    bool is_closed, is_follower_closed;
};

static void on_flag(void *arg)
{
    bool *flag = arg;

    *flag = true;
}

static void on_synced(void *arg)
{
    struct scene *at = arg;

    at->synced++;
}

static void local(const char *words)
{
    char *command = vd_format("%s %s >/dev/null", getenv("VOTINGD_TEST_LOCAL"), words);

    assert_int_equal(system(command), 0);
    free(command);
}

static void publish(struct scene *at, const char *key, const char *value)
{
    const struct vd_publication record = {.topic = at->topic,
                                          .key = key,
                                          .key_len = strlen(key),
                                          .value = value,
                                          .value_len = strlen(value)};
    struct vd_err err = {0};

    if (vd_publisher_send(at->publisher, &record, &err) != VD_OK) {
        fail_msg("%s", err.msg);
    }
}

static bool has(const struct scene *at, const char *key, const char *wanted)
{
    size_t len = 0;
    const char *value = vd_table_get(at->table, key, strlen(key), &len);

    return value != NULL && len == strlen(wanted) && memcmp(value, wanted, len) == 0;
}

TEST(tables_publisher_and_topics_survive_a_killed_broker)
{
    struct scene at = {0};
    struct broker_answer answer = {0};

    broker_init(&at.broker);
    at.broker.conf.topic_wait_ms = 0;
    at.topic = broker_topic(&at.broker, "outage", 1, "compact")->name;
    broker_ensure(&at.broker);
    at.publisher =
        vd_publisher_new(at.broker.kafka, &at.broker.loop, at.broker.log, at.broker.metrics);
    at.follower =
        vd_follower_new(at.broker.kafka, &at.broker.loop, at.broker.log, at.broker.metrics);
    at.table = vd_follower_table(at.follower, at.topic);
    assert_int_equal(vd_follower_start(at.follower, at.broker.list, at.broker.topic_count, NULL),
                     VD_OK);
    publish(&at, "a", "1");
    broker_wait(&at.broker, has(&at, "a", "1") && vd_table_is_current(at.table));

    local("kill kafka");
    publish(&at, "a", "2");
    publish(&at, "b", "2");
    vd_table_sync(at.table, on_synced, &at);
    vd_topics_ensure(at.broker.kafka, at.broker.list, at.broker.topic_count,
                     &(struct vd_topics_events){broker_on_waiting, broker_on_done, &answer});
    broker_wait(&at.broker, answer.waited > 0);
    assert_true(has(&at, "a", "1"));
    assert_int_equal(at.synced, 0);

    local("start kafka");
    broker_wait(&at.broker, has(&at, "a", "2") && has(&at, "b", "2"));
    broker_wait(&at.broker, at.synced == 1 && answer.is_done);
    assert_string_equal(answer.err.msg, "");
    broker_wait(&at.broker, vd_publisher_waiting(at.publisher) == 0);

    local("kill kafka");
    publish(&at, "c", "3");
    vd_table_sync(at.table, on_synced, &at);
    vd_publisher_close(at.publisher, 500, on_flag, &at.is_closed);
    broker_wait(&at.broker, at.is_closed);
    vd_follower_close(at.follower, on_flag, &at.is_follower_closed);
    broker_wait(&at.broker, at.is_follower_closed);
    assert_int_equal(at.synced, 1);
    local("start kafka");
    broker_fini(&at.broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_publisher_and_topics_survive_a_killed_broker)};

    if (getenv("KAFKA_BROKERS") == NULL || getenv("VOTINGD_TEST_LOCAL") == NULL) {
        fprintf(stderr, "skipped: KAFKA_BROKERS or VOTINGD_TEST_LOCAL is not set\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
