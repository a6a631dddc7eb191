/* Topics and offsets, asked of a real broker. */
#include "broker.h"

#include <pthread.h>

static void expect_in(const char *text, const char *needle)
{
    if (strstr(text, needle) == NULL) {
        fail_msg("\"%s\" is not in: %s", needle, text);
    }
}

static struct broker_answer ensure(struct broker *at)
{
    struct broker_answer answer = {0};

    vd_topics_ensure(at->kafka, at->list, at->topic_count,
                     &(struct vd_topics_events){broker_on_waiting, broker_on_done, &answer});
    broker_wait(at, answer.is_done);
    return answer;
}

TEST(missing_topics_are_created_as_declared_and_found_the_same_later)
{
    struct broker at;
    struct vd_topic_conf *plain, *table;
    struct vd_err err = {0};

    broker_init(&at);
    plain = broker_topic(&at, "plain", 3, "delete");
    plain->retention_ms = -1;
    table = broker_topic(&at, "table", 2, "compact");
    table->segment_bytes = 4194304;
    broker_topic(&at, "default", 0, "delete");
    assert_int_equal(vd_topics_compare(at.kafka, at.list, at.topic_count, 30000, &err), VD_OK);
    assert_int_equal(plain->partitions_found, 0);
    assert_string_equal(ensure(&at).err.msg, "");
    assert_int_equal(plain->partitions_found, 3);
    assert_int_equal(table->partitions_found, 2);
    assert_int_equal(at.topics[2].partitions_found, 1);
    assert_string_equal(ensure(&at).err.msg, "");
    assert_int_equal(vd_topics_compare(at.kafka, at.list, at.topic_count, 30000, &err), VD_OK);
    assert_int_equal(plain->partitions_found, 3);
    broker_fini(&at);
}

TEST(every_topic_that_differs_is_named_with_what_to_do)
{
    struct broker at;
    struct broker_answer answer;
    struct vd_err err = {0};
    char wanted[400];

    broker_init(&at);
    broker_topic(&at, "a", 3, "delete")->retention_ms = 3600000;
    broker_topic(&at, "b", 1, "delete");
    broker_ensure(&at);
    at.topics[0].partitions = 4;
    at.topics[0].retention_ms = -1;
    free(at.topics[1].cleanup);
    at.topics[1].cleanup = vd_strdup("compact");
    answer = ensure(&at);
    assert_int_equal(answer.err.status, VD_INVALID);
    snprintf(wanted, sizeof(wanted),
             "topic \"%s\": has 3 partitions, declared 4: declare 3, or delete it and raise its "
             "generation; ",
             at.topics[0].name);
    expect_in(answer.err.msg, wanted);
    snprintf(wanted, sizeof(wanted),
             "topic \"%s\": retention.ms is 3600000, declared -1: change it with kafka-configs, or "
             "declare retention_ms = 3600000",
             at.topics[0].name);
    expect_in(answer.err.msg, wanted);
    snprintf(wanted, sizeof(wanted),
             "topic \"%s\": cleanup.policy is \"delete\", declared \"compact\": change it with "
             "kafka-configs, or declare cleanup = delete",
             at.topics[1].name);
    expect_in(answer.err.msg, wanted);
    assert_int_equal(vd_topics_compare(at.kafka, at.list, at.topic_count, 30000, &err), VD_INVALID);
    assert_string_equal(err.msg, answer.err.msg);
    broker_fini(&at);
}

TEST(a_topic_that_cannot_be_created_is_told_before_and_at_the_start)
{
    struct broker at;
    struct vd_err err = {0};
    struct broker_answer answer;

    broker_init(&at);
    broker_topic(&at, "bad name", 1, "delete");
    assert_int_equal(vd_topics_compare(at.kafka, at.list, 1, 30000, &err), VD_INVALID);
    expect_in(err.msg, "could not create topic \"trial-bad name-");
    answer = ensure(&at);
    assert_int_equal(answer.err.status, VD_INVALID);
    assert_string_equal(answer.err.msg, err.msg);
    at.topic_count = 0;
    free(at.topics[0].name);
    vd_opt_fini(vd_topic_opts, &at.topics[0]);
    broker_fini(&at);
}

TEST(too_many_replicas_are_refused_by_a_check_and_waited_out_by_a_start)
{
    struct broker at;
    struct vd_err err = {0};
    struct broker_answer answer = {0};

    broker_init(&at);
    at.conf.topic_wait_ms = 0;
    broker_topic(&at, "wide", 1, "delete")->replication = 99;
    assert_int_equal(vd_topics_compare(at.kafka, at.list, 1, 30000, &err), VD_INVALID);
    expect_in(err.msg, "could not create topic \"trial-wide-");
    vd_topics_ensure(at.kafka, at.list, 1,
                     &(struct vd_topics_events){broker_on_waiting, broker_on_done, &answer});
    broker_wait(&at, answer.waited > 0);
    expect_in(answer.waiting.msg, "could not create topic \"trial-wide-");
    assert_false(answer.is_done);
    broker_fini(&at); /* and cancels */
    assert_false(answer.is_done);
}

/* As an operator might: with a setting that no topology declares. */
static void create_unclean(struct broker *at, const char *name)
{
    char text[256];
    rd_kafka_t *rk =
        rd_kafka_new(RD_KAFKA_PRODUCER, vd_kafka_client_conf(at->kafka, "linger.ms", "0", NULL),
                     text, sizeof(text));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, 1, 1, text, sizeof(text));
    rd_kafka_event_t *event;

    assert_int_equal(rd_kafka_NewTopic_set_config(topic, "unclean.leader.election.enable", "true"),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
    event = rd_kafka_queue_poll(queue, 30000);
    assert_non_null(event);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

TEST(unclean_elections_are_refused_by_a_check)
{
    struct broker at;
    struct vd_err err = {0};

    broker_init(&at);
    create_unclean(&at, broker_topic(&at, "unclean", 1, "delete")->name);
    assert_string_equal(ensure(&at).err.msg, "");
    assert_int_equal(vd_topics_compare(at.kafka, at.list, 1, 30000, &err), VD_INVALID);
    expect_in(err.msg, "unclean.leader.election.enable is true, which loses committed records: set "
                       "it to false");
    broker_fini(&at);
}

TEST(nodes_that_start_together_agree)
{
    enum { NODES = 4 };
    struct broker_answer answers[NODES] = {0};
    struct broker at;
    size_t done = 0;

    broker_init(&at);
    broker_topic(&at, "x", 3, "delete");
    broker_topic(&at, "y", 2, "compact");
    for (size_t i = 0; i < NODES; i++) {
        vd_topics_ensure(
            at.kafka, at.list, at.topic_count,
            &(struct vd_topics_events){broker_on_waiting, broker_on_done, &answers[i]});
    }
    for (size_t i = 0; i < NODES; i++) {
        broker_wait(&at, answers[i].is_done);
        assert_string_equal(answers[i].err.msg, "");
        done++;
    }
    assert_int_equal(done, NODES);
    broker_fini(&at);
}

static int64_t ask_end(struct broker *at, bool committed)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    struct vd_err err = {0};
    int64_t end;

    rd_kafka_topic_partition_list_add(list, at->topics[0].name, 0);
    if (vd_kafka_end_offsets(at->kafka, list, committed, WAIT_MAX_MS, &err) != VD_OK) {
        fail_msg("%s", err.msg);
    }
    end = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return end;
}

TEST(an_open_transaction_shows_in_one_end_and_not_in_the_other)
{
    const int64_t deadline_ms = vd_mono_ms() + WAIT_MAX_MS;
    struct broker at;
    rd_kafka_t *rk;
    struct vd_err err = {0};

    broker_init(&at);
    broker_topic(&at, "votes", 1, "delete");
    broker_ensure(&at);
    rk = broker_producer(&at, at.topics[0].name);
    assert_int_equal(ask_end(&at, false), 0);
    assert_int_equal(ask_end(&at, true), 0);
    assert_int_equal(vd_kafka_wait_settled(at.kafka, at.topics[0].name, 0, WAIT_MAX_MS, &err),
                     VD_OK);

    broker_expect(rd_kafka_begin_transaction(rk));
    broker_send(rk, at.topics[0].name, 0, "a", "1");
    broker_send(rk, at.topics[0].name, 0, "b", "1");
    assert_int_equal(rd_kafka_flush(rk, WAIT_MAX_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(ask_end(&at, false), 2);
    assert_int_equal(ask_end(&at, true), 0);
    do { /* a broker that is slow says nothing in that time */
        assert_int_equal(vd_kafka_wait_settled(at.kafka, at.topics[0].name, 0, 300, &err),
                         VD_AGAIN);
    } while (strstr(err.msg, "is not settled") == NULL && vd_mono_ms() < deadline_ms);
    expect_in(err.msg, "partition 0 is not settled: readable up to offset 0, written up to 2");

    broker_expect(rd_kafka_commit_transaction(rk, 30000));
    assert_int_equal(vd_kafka_wait_settled(at.kafka, at.topics[0].name, 0, WAIT_MAX_MS, &err),
                     VD_OK);
    assert_int_equal(ask_end(&at, true), 3); /* two records, one marker */
    assert_int_equal(ask_end(&at, false), 3);
    rd_kafka_destroy(rk);
    broker_fini(&at);
}

struct committer {
    rd_kafka_t *rk;
    struct broker *at;
};

static void *commit_later(void *arg)
{
    struct committer *committer = arg;

    usleep(300000);
    broker_expect(rd_kafka_commit_transaction(committer->rk, 30000));
    return NULL;
}

TEST(waiting_for_a_settled_partition_ends_with_the_transaction)
{
    struct broker at;
    struct committer committer = {.at = &at};
    struct vd_err err = {0};
    pthread_t thread;

    broker_init(&at);
    broker_topic(&at, "votes", 1, "delete");
    broker_ensure(&at);
    committer.rk = broker_producer(&at, at.topics[0].name);
    broker_expect(rd_kafka_begin_transaction(committer.rk));
    broker_send(committer.rk, at.topics[0].name, 0, "a", "1");
    assert_int_equal(rd_kafka_flush(committer.rk, WAIT_MAX_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(pthread_create(&thread, NULL, commit_later, &committer), 0);
    assert_int_equal(vd_kafka_wait_settled(at.kafka, at.topics[0].name, 0, 30000, &err), VD_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    rd_kafka_destroy(committer.rk);
    broker_fini(&at);
}

TEST(the_end_of_a_topic_that_is_not_there_is_a_failure_in_time)
{
    struct broker at;
    struct vd_err err = {0};
    const int64_t start_ns = vd_mono_ns();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    broker_init(&at);
    rd_kafka_topic_partition_list_add(list, "trial-missing", 0);
    assert_int_equal(vd_kafka_end_offsets(at.kafka, list, false, 1000, &err), VD_FAILED);
    assert_true(vd_mono_ns() - start_ns < IN_TIME_MS * 1000000LL);
    rd_kafka_topic_partition_list_destroy(list);
    broker_fini(&at);
}

TEST(a_start_without_a_broker_says_so_and_can_be_cancelled)
{
    struct broker at;
    struct broker_answer answer = {0};
    struct vd_err err = {0};

    broker_init(&at);
    free(at.conf.brokers);
    at.conf.brokers = vd_strdup("127.0.0.1:1");
    at.conf.topic_wait_ms = 0;
    broker_topic(&at, "x", 1, "delete");
    vd_topics_ensure(at.kafka, at.list, 1,
                     &(struct vd_topics_events){broker_on_waiting, broker_on_done, &answer});
    broker_wait(&at, answer.waited > 0);
    expect_in(answer.waiting.msg, "no answer from \"127.0.0.1:1\": ");
    assert_int_equal(vd_topics_compare(at.kafka, at.list, 1, 300, &err), VD_FAILED);
    expect_in(err.msg, "no answer from \"127.0.0.1:1\": ");
    at.topic_count = 0;
    broker_fini(&at);
    assert_false(answer.is_done);
    free(at.topics[0].name);
    vd_opt_fini(vd_topic_opts, &at.topics[0]);
}

RUN_BROKER_TESTS(
    cmocka_unit_test(missing_topics_are_created_as_declared_and_found_the_same_later),
    cmocka_unit_test(every_topic_that_differs_is_named_with_what_to_do),
    cmocka_unit_test(a_topic_that_cannot_be_created_is_told_before_and_at_the_start),
    cmocka_unit_test(too_many_replicas_are_refused_by_a_check_and_waited_out_by_a_start),
    cmocka_unit_test(unclean_elections_are_refused_by_a_check),
    cmocka_unit_test(nodes_that_start_together_agree),
    cmocka_unit_test(an_open_transaction_shows_in_one_end_and_not_in_the_other),
    cmocka_unit_test(waiting_for_a_settled_partition_ends_with_the_transaction),
    cmocka_unit_test(the_end_of_a_topic_that_is_not_there_is_a_failure_in_time),
    cmocka_unit_test(a_start_without_a_broker_says_so_and_can_be_cancelled))
