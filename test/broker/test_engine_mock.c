/* The engine's answers to errors, against librdkafka's mock cluster: for the calls and codes that a
 * real broker gives only in bad moments. The mock shows aborted records and knows no fencing, so
 * nothing is said here about losses and duplicates: broker_engine_nodes and _outage do that. */
#include "rig.h"

#include <librdkafka/rdkafka_mock.h>

#include "producer.h"

#define RECORDS 2000

/* Kafka protocol, API keys. */
enum {
    FETCH = 1,
    ADD_PARTITIONS = 24,
    ADD_OFFSETS = 25,
    END_TXN = 26,
    TXN_OFFSET_COMMIT = 28,
};

struct fault {
    int16_t api;
    rd_kafka_resp_err_t error;
};

static struct {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    const struct fault *faults;
    size_t count, pushed;
    size_t batches; /* committed when the last fault was pushed */
    int64_t recycled;
    size_t fenced;
    int refused; /* how far the test of a refusal is */
} scene;

static void open_mock(const char *application)
{
    static const char *const stems[] = {"in", "out", "dead"};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[256];

    rd_kafka_conf_set(conf, "log_level", "3", text, sizeof(text)); /* it has no broker: as wished */
    scene.rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    assert_non_null(scene.rk);
    scene.cluster = rd_kafka_mock_cluster_new(scene.rk, 1);
    assert_non_null(scene.cluster);
    for (size_t i = 0; i < sizeof(stems) / sizeof(stems[0]); i++) {
        VD_AUTO(mem) char *topic = vd_format("%s-%s", application, stems[i]);

        assert_int_equal(
            rd_kafka_mock_topic_create(scene.cluster, topic, i == 2 ? 1 : RIG_PARTITIONS, 1),
            RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    (void)setenv("KAFKA_BROKERS", rd_kafka_mock_cluster_bootstraps(scene.cluster), 1);
}

static void close_mock(void)
{
    rd_kafka_mock_cluster_destroy(scene.cluster);
    rd_kafka_destroy(scene.rk);
}

/* One fault after the other, with some work between; the run is over when everything is committed
 * all the same. */
static bool is_done_in_spite(struct rig *rig)
{
    if (scene.pushed < scene.count && probe.batches >= scene.batches + 2) {
        const struct fault *fault = &scene.faults[scene.pushed++];

        scene.batches = probe.batches + 1;
        rd_kafka_mock_push_request_errors(scene.cluster, fault->api, 1, fault->error);
    }
    scene.recycled = vd_txn_recycled(rig->stage->txn);
    return scene.fenced > 0 || rig_has_all(rig);
}

static void on_fenced(void *arg, const char *stage, const char *reason)
{
    scene.fenced++;
}

/* As after a stall of the machine: the broker has ended the first transaction, which is older than
 * it may get, and we ourselves have returned to the group under another member id. */
static void stall(void)
{
    const int half_ms = VD_TXN_TIMEOUT_MS / 2 + 500;

    rd_kafka_mock_broker_push_request_error_rtts(scene.cluster, 1, ADD_OFFSETS, 1,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, half_ms);
    rd_kafka_mock_broker_push_request_error_rtts(scene.cluster, 1, TXN_OFFSET_COMMIT, 2,
                                                 RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, half_ms,
                                                 RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, 0);
}

static void run_after(void (*prepare)(void), const struct fault *faults, size_t count)
{
    VD_AUTO(mem) char *application = peer_name("mock");
    struct rig rig;

    memset(&scene, 0, sizeof(scene));
    memset(&probe, 0, sizeof(probe));
    scene.faults = faults;
    scene.count = count;
    open_mock(application);
    rig_send_numbers(application, 0, RECORDS);
    if (prepare != NULL) {
        prepare();
    }
    rig_open_copy(&rig, application, "main");
    rig.host.on_fenced = on_fenced;
    rig.has_own_topics = true;
    rig.expected = RECORDS;
    rig.conf.batch.records = 40;
    probe.delay_ms = 1;
    rig_run(&rig, is_done_in_spite);
    close_mock();
    assert_int_equal(scene.pushed, count);
}

static void run_with(const struct fault *faults, size_t count)
{
    run_after(NULL, faults, count);
}

TEST(after_a_doubt_the_producer_is_replaced_and_the_batch_repeated)
{
    static const struct fault doubts[] = {
        {ADD_PARTITIONS, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE},
        {ADD_PARTITIONS, RD_KAFKA_RESP_ERR_PRODUCER_FENCED}, /* once is no proof of a second one */
        {ADD_PARTITIONS, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING},
        {ADD_OFFSETS, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE},
        {ADD_OFFSETS, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED},
        {TXN_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION},
        {TXN_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID},
        {END_TXN, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE},
        {END_TXN, RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID},
    };
    const size_t count = sizeof(doubts) / sizeof(doubts[0]);

    run_with(doubts, count);
    assert_int_equal(probe.committed, RECORDS);
    assert_int_equal(scene.recycled, count);
    assert_int_equal(probe.rewound, count);
    assert_int_equal(scene.fenced, 0);
}

TEST(a_passing_error_is_waited_out_with_the_same_batch)
{
    static const struct fault passing[] = {
        {ADD_PARTITIONS, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS},
        {ADD_PARTITIONS, RD_KAFKA_RESP_ERR_NOT_COORDINATOR},
        {ADD_OFFSETS, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS},
        {TXN_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_NOT_COORDINATOR},
        {END_TXN, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE},
    };

    run_with(passing, sizeof(passing) / sizeof(passing[0]));
    assert_int_equal(probe.committed, RECORDS);
    assert_int_equal(probe.rewound, 0);
}

TEST(a_producer_that_is_fenced_twice_in_a_minute_has_a_double)
{
    static const struct fault fences[] = {
        {END_TXN, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH},
        {ADD_OFFSETS, RD_KAFKA_RESP_ERR_PRODUCER_FENCED},
    };

    run_with(fences, sizeof(fences) / sizeof(fences[0]));
    assert_true(scene.fenced > 0);
}

TEST(a_fence_of_a_transaction_that_has_timed_out_does_not_count)
{
    run_after(stall, NULL, 0);
    assert_int_equal(probe.committed, RECORDS);
    assert_int_equal(scene.recycled, 2);
    assert_int_equal(scene.fenced, 0);
}

TEST(a_fence_by_instance_id_counts_as_well)
{
    static const struct fault fences[] = {
        {ADD_PARTITIONS, RD_KAFKA_RESP_ERR_PRODUCER_FENCED},
        {TXN_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID},
    };

    run_with(fences, sizeof(fences) / sizeof(fences[0]));
    assert_true(scene.fenced > 0);
}

/* ---- a start before the committed offset ----------------------------------------------------- */

static void commit_by_hand(const char *application, int64_t offset)
{
    VD_AUTO(mem) char *group = vd_format("%s.probe", application);
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_t *rk;
    char text[256];

    rd_kafka_conf_set(conf, "bootstrap.servers", peer_brokers(), text, sizeof(text));
    rd_kafka_conf_set(conf, "group.id", group, text, sizeof(text));
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    rd_kafka_topic_partition_list_add(list, in, 0)->offset = offset;
    assert_int_equal(rd_kafka_commit(rk, list, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
}

static void start_early(struct vd_stage *stage, void *state, struct vd_assign *assign)
{
    int64_t committed = vd_assign_committed(assign);

    probe.assigned++;
    vd_assign_start(assign, committed == VD_NO_OFFSET ? VD_NO_OFFSET : 4, 3);
}

TEST(a_start_put_back_in_doubt_is_put_back_again)
{
    VD_AUTO(mem) char *application = peer_name("mock");
    struct vd_stage_desc desc = rig_copy;
    struct rig rig;

    memset(&scene, 0, sizeof(scene));
    memset(&probe, 0, sizeof(probe));
    open_mock(application);
    rig_send_numbers(application, 0, RECORDS);
    commit_by_hand(application, 10);
    rd_kafka_mock_push_request_errors(scene.cluster, END_TXN, 1,
                                      RD_KAFKA_RESP_ERR_INVALID_TXN_STATE);
    rig_open_copy(&rig, application, "main");
    desc.assign = start_early;
    rig.conf.desc = &desc;
    rig.has_own_topics = true;
    rig.expected = RECORDS;
    rig_run(&rig, is_done_in_spite);
    close_mock();
    /* Offset 10 is past the start, and proves nothing. */
    assert_int_equal(probe.assigned, 2 * RIG_PARTITIONS);
    assert_int_equal(probe.committed, RECORDS - 4);
}

/* ---- a broker that refuses ------------------------------------------------------------------- */

enum { QUIET, REFUSED, READY_AGAIN };

/* Once all is committed and the stage is ready, nothing can be read for a second. */
static bool is_ready_again(struct rig *rig)
{
    char reason[VD_ERR_MSG_BYTES];
    bool is_ready = vd_stage_is_ready(rig->stage, reason, sizeof(reason));

    if (scene.refused == QUIET && is_ready && rig_has_all(rig)) {
        scene.refused = REFUSED;
        scene.batches = probe.batches;
        for (int i = 0; i < 3; i++) { /* the library waits for 0.5 s after each */
            rd_kafka_mock_push_request_errors(scene.cluster, FETCH, 1,
                                              RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
        }
    } else if (scene.refused == REFUSED && !is_ready) {
        scene.refused = READY_AGAIN;
        assert_non_null(strstr(reason, "could not read: "));
        assert_non_null(strstr(reason, "Topic authorization failed"));
    }
    return scene.refused == READY_AGAIN && is_ready;
}

TEST(a_quiet_stage_is_ready_again_when_the_broker_refuses_no_more)
{
    VD_AUTO(mem) char *application = peer_name("mock");
    struct rig rig;

    memset(&scene, 0, sizeof(scene));
    memset(&probe, 0, sizeof(probe));
    open_mock(application);
    rig_send_numbers(application, 0, 100);
    rig_open_copy(&rig, application, "main");
    rig.has_own_topics = true;
    rig.expected = 100;
    rig_run(&rig, is_ready_again);
    close_mock();
    assert_int_equal(probe.batches, scene.batches); /* nothing came that could have shown it */
    assert_int_equal(probe.committed, 100);
}

RUN_TESTS(cmocka_unit_test(a_quiet_stage_is_ready_again_when_the_broker_refuses_no_more),
          cmocka_unit_test(after_a_doubt_the_producer_is_replaced_and_the_batch_repeated),
          cmocka_unit_test(a_start_put_back_in_doubt_is_put_back_again),
          cmocka_unit_test(a_passing_error_is_waited_out_with_the_same_batch),
          cmocka_unit_test(a_producer_that_is_fenced_twice_in_a_minute_has_a_double),
          cmocka_unit_test(a_fence_of_a_transaction_that_has_timed_out_does_not_count),
          cmocka_unit_test(a_fence_by_instance_id_counts_as_well))
