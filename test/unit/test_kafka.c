/* Settings of Kafka clients, and questions to brokers that do not answer. */
#include "kafka.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "kafka_inside.h"
#include "kafka_watch.h"
#include "loop_uv.h"

#include "test.h"

struct fixture {
    struct vd_loop loop;
    struct vd_kafka_conf conf;
    struct vd_log *log;
    struct vd_metrics *metrics;
    struct vd_kafka *kafka;
    struct vd_errands *errands;
    struct vd_kafka_watch *watch;
    struct vd_trouble trouble;
};

static void fixture_init(struct fixture *at, const char *brokers)
{
    vd_loop_init(&at->loop);
    vd_opt_defaults(vd_kafka_opts, &at->conf);
    free(at->conf.brokers);
    at->conf.brokers = strdup(brokers);
    at->log = vd_log_new("kafka");
    at->metrics = vd_metrics_new();
    at->conf.application = "trial";
    at->conf.node = "one";
    at->kafka = vd_kafka_new(&at->loop, &at->conf, at->log, at->metrics);
}

static void fixture_fini(struct fixture *at)
{
    vd_kafka_free(at->kafka);
    vd_metrics_free(at->metrics);
    vd_log_free(at->log);
    vd_opt_fini(vd_kafka_opts, &at->conf);
    vd_loop_fini(&at->loop);
}

/* A port of this machine, listening (then the socket stays open and never answers) or closed. */
static int take_port(int *fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(*fd >= 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

static void expect_prop(rd_kafka_conf_t *conf, const char *name, const char *wanted)
{
    char value[256];
    size_t bytes = sizeof(value);

    assert_int_equal(rd_kafka_conf_get(conf, name, value, &bytes), RD_KAFKA_CONF_OK);
    assert_string_equal(value, wanted);
}

TEST(properties_that_are_wrong_or_fixed_are_refused_with_the_reason)
{
    static const struct {
        const char *name, *value, *msg;
    } wrong[] = {
        {"fetch.wait.max.m", "20", "did you mean \"fetch.wait.max.ms\"?"},
        {"zzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "1",
         "property \"zzzzzzzzzzzzzzzzzzzzzzzzzzzzz\": unknown to librdkafka "},
        {"linger.ms", "soon", "property \"linger.ms\": librdkafka refuses it: "},
        {"socket.timeout.ms", "1", "property \"socket.timeout.ms\": librdkafka refuses it: "},
        {"isolation.level", "read_committed",
         "property \"isolation.level\": may not be set: stages read committed records only"},
        {"bootstrap.servers", "b:9092",
         "property \"bootstrap.servers\": may not be set: set \"brokers\" in [kafka]"},
        {"transactional.id", "x",
         "property \"transactional.id\": may not be set: it is made of application, stage and "
         "node"},
        {"group.instance.id", "x", "may not be set"},
        {"enable.auto.commit", "true", "may not be set"},
        {"auto.offset.reset", "latest", "may not be set"},
        {"acks", "1", "may not be set"},
        {"partitioner", "random", "may not be set"},
        {"log_cb", "0x1", "property \"log_cb\": librdkafka refuses it: "},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct vd_err err = {0};

        assert_int_equal(vd_kafka_check_prop(wrong[i].name, wrong[i].value, &err), VD_INVALID);
        if (strstr(err.msg, wrong[i].msg) == NULL) {
            fail_msg("%s: got: %s", wrong[i].name, err.msg);
        }
    }
}

TEST(properties_for_one_kind_of_client_are_accepted)
{
    static const char *const right[][2] = {{"compression.type", "lz4"},
                                           {"fetch.wait.max.ms", "20"},
                                           {"security.protocol", "ssl"},
                                           {"sasl.password", "secret"},
                                           {"linger.ms", "2"}};

    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        struct vd_err err = {0};

        assert_int_equal(vd_kafka_check_prop(right[i][0], right[i][1], &err), VD_OK);
    }
}

TEST(a_client_has_the_settings_of_the_protocol_the_topology_and_the_caller_in_this_order)
{
    struct vd_kafka_prop props[] = {
        {.name = (char *)"compression.type", .value = (char *)"lz4"},
        {.name = (char *)"linger.ms", .value = (char *)"7"},
        {.name = (char *)"reconnect.backoff.max.ms", .value = (char *)"3000"}};
    struct fixture at = {0};
    rd_kafka_conf_t *conf;

    fixture_init(&at, "a:1,b:2");
    at.conf.props = props;
    at.conf.prop_count = sizeof(props) / sizeof(props[0]);
    conf = vd_kafka_client_conf(at.kafka, "linger.ms", "0", "group.id", "g", NULL);
    expect_prop(conf, "bootstrap.servers", "a:1,b:2");
    expect_prop(conf, "client.id", "trial.one.1");
    expect_prop(conf, "allow.auto.create.topics", "false");
    expect_prop(conf, "socket.nagle.disable", "true");
    expect_prop(conf, "compression.type", "lz4");
    expect_prop(conf, "reconnect.backoff.max.ms", "3000");
    expect_prop(conf, "linger.ms", "0");
    expect_prop(conf, "group.id", "g");
    rd_kafka_conf_destroy(conf);
    conf = vd_kafka_client_conf(at.kafka, "log_level", "6", NULL);
    expect_prop(conf, "client.id", "trial.one.2");
    expect_prop(conf, "linger.ms", "7");
    rd_kafka_conf_destroy(conf);
    at.conf.prop_count = 0;
    fixture_fini(&at);
}

TEST(what_the_library_says_has_the_level_that_asks_for_what_a_person_must_do)
{
    static const struct {
        int level;
        const char *text;
        enum vd_log_level wanted;
    } lines[] = {
        {LOG_CRIT, "Application maximum poll interval exceeded", VD_LOG_ERROR},
        {LOG_ERR, "1/1 brokers are down", VD_LOG_WARN},
        {LOG_WARNING, "Connect failed", VD_LOG_WARN},
        {LOG_NOTICE, "a notice", VD_LOG_INFO},
        {LOG_INFO, "connected", VD_LOG_DEBUG},
        {LOG_WARNING,
         "Configuration property linger.ms is a producer property and will be ignored by this "
         "consumer instance",
         VD_LOG_DEBUG},
        {LOG_WARNING,
         "[thrd:main]: Failed to acquire transactional PID from broker TxnCoordinator/1: Broker: "
         "Coordinator load in progress: retrying",
         VD_LOG_DEBUG},
        {LOG_WARNING,
         "[thrd:main]: Failed to acquire idempotence PID from broker 127.0.0.1:9092/1: Broker: "
         "Coordinator load in progress: retrying",
         VD_LOG_DEBUG},
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_int_equal(vd_kafka_log_level(lines[i].level, lines[i].text), lines[i].wanted);
    }
}

TEST(a_question_keeps_its_deadline_when_nobody_listens_or_nobody_answers)
{
    for (int is_listening = 0; is_listening < 2; is_listening++) {
        struct fixture at = {0};
        struct vd_err err = {0};
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        int64_t start_ns;
        char brokers[32];
        int fd;

        snprintf(brokers, sizeof(brokers), "127.0.0.1:%d", take_port(&fd));
        if (is_listening) {
            assert_int_equal(listen(fd, 16), 0);
        }
        fixture_init(&at, brokers);
        start_ns = vd_mono_ns();
        rd_kafka_topic_partition_list_add(list, "votes", 3);
        assert_int_equal(vd_kafka_end_offsets(at.kafka, list, true, 300, &err), VD_FAILED);
        assert_true(vd_mono_ns() - start_ns < 2000000000);
        assert_non_null(strstr(err.msg, "could not ask for the end of \"votes\" partition 3: "));
        rd_kafka_topic_partition_list_destroy(list);
        assert_int_equal(vd_kafka_wait_settled(at.kafka, "votes", 3, 100, &err), VD_FAILED);
        assert_non_null(strstr(err.msg, "could not settle: could not ask for the end of "));
        fixture_fini(&at);
        close(fd);
    }
}

static void watch_init(struct fixture *at)
{
    at->errands = vd_errands_new(&at->loop);
    at->watch = vd_kafka_watch_new(at->kafka, &at->loop, at->errands, &at->trouble);
}

static void watch_turn(struct fixture *at)
{
    vd_kafka_watch_tick(at->watch);
    uv_run(&at->loop.uv, UV_RUN_ONCE);
}

static void watch_fini(struct fixture *at)
{
    vd_errands_close(at->errands, NULL, NULL);
    uv_run(&at->loop.uv, UV_RUN_DEFAULT);
    vd_kafka_watch_free(at->watch);
}

/* Standard error goes to a file meanwhile. */
static size_t count_lines(FILE *file, const char *needle)
{
    char line[4096];
    size_t count = 0;

    rewind(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        count += strstr(line, needle) != NULL;
    }
    return count;
}

TEST(a_setting_that_the_library_warns_of_holds_up_no_question)
{
    struct vd_kafka_prop prop = {.name = (char *)"socket.blocking.max.ms", .value = (char *)"100"};
    struct fixture at = {0};
    struct vd_err err = {0};

    fixture_init(&at, "127.0.0.1:1");
    at.conf.props = &prop;
    at.conf.prop_count = 1;
    assert_int_equal(vd_kafka_ping(at.kafka, 100, &err), VD_FAILED);
    at.conf.prop_count = 0;
    fixture_fini(&at);
}

TEST(clients_that_miss_their_broker_leave_it_to_the_watch_to_say_so)
{
    enum { CLIENTS = 6 };
    const int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    FILE *file = tmpfile();
    rd_kafka_t *clients[CLIENTS];
    struct vd_metric *held_back;
    struct fixture at = {0};
    char brokers[32];
    int fd;

    assert_non_null(file);
    snprintf(brokers, sizeof(brokers), "127.0.0.1:%d", take_port(&fd));
    fixture_init(&at, brokers);
    held_back =
        vd_metric_get(at.metrics, VD_COUNTER, "votingd_kafka_log_lines_held_back_total", NULL, "");
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        char text[256];

        clients[i] =
            rd_kafka_new(RD_KAFKA_PRODUCER, vd_kafka_client_conf(at.kafka, "log_level", "6", NULL),
                         text, sizeof(text));
    }
    for (int turns = 0; turns < 500 && vd_metric_value(held_back) < CLIENTS - 1; turns++) {
        rd_kafka_poll(clients[turns % CLIENTS], 10);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        rd_kafka_destroy(clients[i]);
    }
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    assert_true(vd_metric_value(held_back) >= CLIENTS - 1);
    assert_int_equal(count_lines(file, "Connection refused"), 0);
    assert_int_equal(count_lines(file, "brokers are down"), 0);
    assert_int_equal(count_lines(file, "will be ignored"), 0);
    watch_init(&at);
    while (!at.trouble.is_on) {
        watch_turn(&at);
    }
    assert_non_null(strstr(at.trouble.cause, "no answer from \"127.0.0.1:"));
    assert_non_null(strstr(at.trouble.cause, "failed: Connection refused"));
    assert_null(strstr(at.trouble.cause, "(after "));
    assert_null(strstr(at.trouble.cause, "[thrd:"));
    watch_fini(&at);
    fixture_fini(&at);
    fclose(file);
    close(saved);
    close(fd);
}

/* As if a broker answered; of another one, connections fail. */
TEST(a_connection_that_fails_while_others_work_is_told_after_a_while)
{
    const int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    FILE *file = tmpfile();
    struct fixture at = {0};

    assert_non_null(file);
    fixture_init(&at, "127.0.0.1:1");
    watch_init(&at);
    at.kafka->failure.count = 3;
    at.kafka->failure.first_ms = vd_mono_ns() / 1000000 - 4000;
    (void)snprintf(at.kafka->failure.words, sizeof(at.kafka->failure.words), "b2: no route");
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    vd_kafka_watch_tick(at.watch);
    assert_int_equal(count_lines(file, "no route"), 0);
    at.kafka->failure.first_ms -= 2000;
    vd_kafka_watch_tick(at.watch);
    vd_kafka_watch_tick(at.watch);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    assert_int_equal(
        count_lines(file, "Kafka answers, but connections failed, 3 times, last: b2: no route"), 1);
    watch_fini(&at);
    fixture_fini(&at);
    fclose(file);
    close(saved);
}

TEST(offsets_that_stay_pending_are_told_with_the_likely_cause_and_its_cure)
{
    static const struct {
        rd_kafka_resp_err_t code;
        int64_t waited_ms;
        bool is_away, is_hanging;
    } cases[] = {
        {RD_KAFKA_RESP_ERR__TIMED_OUT, 29999, false, false},
        {RD_KAFKA_RESP_ERR__TIMED_OUT, 30000, false, true},
        {RD_KAFKA_RESP_ERR__TIMED_OUT, 30000, true, false}, /* nobody answers anything */
        {RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, 30000, true, true},
        {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, 30000, false, false},
    };
    struct fixture at = {0};
    struct vd_err err = {0};

    fixture_init(&at, "kafka.example:9092");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        atomic_store(&at.kafka->is_away, cases[i].is_away);
        vd_kafka_explain_committed(at.kafka, cases[i].code, cases[i].waited_ms, &err);
        assert_int_equal(err.status, VD_AGAIN);
        assert_int_equal(strstr(err.msg, "find-hanging") != NULL, cases[i].is_hanging);
    }
    vd_kafka_explain_committed(at.kafka, RD_KAFKA_RESP_ERR__TIMED_OUT, 5000, &err);
    assert_string_equal(err.msg, "could not read committed offsets: Local: Timed out");
    atomic_store(&at.kafka->is_away, false);
    vd_kafka_explain_committed(at.kafka, RD_KAFKA_RESP_ERR__TIMED_OUT, 65000, &err);
    assert_string_equal(
        err.msg, "could not read committed offsets for 65 s: Local: Timed out: most likely a "
                 "transaction that Kafka has forgotten never ends in __consumer_offsets: find it "
                 "with \"kafka-transactions.sh --bootstrap-server kafka.example:9092 find-hanging "
                 "--broker-id ID\", end it with \"abort\" of the same program");
    fixture_fini(&at);
}

RUN_TESTS(cmocka_unit_test(properties_that_are_wrong_or_fixed_are_refused_with_the_reason),
          cmocka_unit_test(properties_for_one_kind_of_client_are_accepted),
          cmocka_unit_test(
              a_client_has_the_settings_of_the_protocol_the_topology_and_the_caller_in_this_order),
          cmocka_unit_test(what_the_library_says_has_the_level_that_asks_for_what_a_person_must_do),
          cmocka_unit_test(a_question_keeps_its_deadline_when_nobody_listens_or_nobody_answers),
          cmocka_unit_test(a_setting_that_the_library_warns_of_holds_up_no_question),
          cmocka_unit_test(clients_that_miss_their_broker_leave_it_to_the_watch_to_say_so),
          cmocka_unit_test(a_connection_that_fails_while_others_work_is_told_after_a_while),
          cmocka_unit_test(offsets_that_stay_pending_are_told_with_the_likely_cause_and_its_cure))
