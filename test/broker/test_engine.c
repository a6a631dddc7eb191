/* The engine against a real broker: a stage that copies, one that fails, one that makes records. */
#include "../unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "loop_uv.h"
#include "peer.h"
#include "stage_impl.h"

#define PARTITIONS 4
#define DEADLINE_MS 60000

/* ---- a node by hand ------------------------------------------------------------------------- */

struct rig {
    struct vd_loop loop;
    struct vd_log *log;
    struct vd_kafka_conf kafka_conf;
    struct vd_host host;
    struct vd_stage_conf conf;
    struct vd_ini ini;
    struct vd_topic_conf *topics[4];
    size_t topic_count;
    struct vd_topic_conf *inputs[2], *outputs[3], *tables[2];
    struct vd_stage *stage;
    struct vd_timer *timer;
    bool (*is_done)(struct rig *rig);
    int64_t deadline_ms;
    bool is_draining;
};

/* What the stages under test do and saw. */
struct probe {
    size_t limit;     /* drain when so many were committed */
    size_t committed; /* records of committed batches */
    size_t fail_next; /* fail so many batches first */
    size_t rewound;
    size_t made; /* by a source */
};

static struct probe probe;

static struct vd_topic_conf *add_topic(struct rig *rig, const char *name, int64_t partitions)
{
    struct vd_topic_conf *topic = vd_alloc(sizeof(*topic));

    topic->name = vd_strdup(name);
    topic->cleanup = vd_strdup("delete");
    topic->partitions = partitions;
    topic->replication = 1;
    topic->retention_ms = -1;
    rig->topics[rig->topic_count++] = topic;
    return topic;
}

static void on_stage_stopped(void *arg)
{
    struct rig *rig = arg;

    vd_publisher_close(rig->host.publisher, 1000, NULL, NULL);
    vd_follower_close(rig->host.follower, NULL, NULL);
    vd_stage_free(rig->stage);
    vd_timer_close(rig->timer);
    vd_kafka_free(vd_take(rig->host.kafka));
}

static void on_time(void *arg)
{
    struct rig *rig = arg;

    if (rig->is_done(rig)) {
        if (!rig->is_draining) {
            rig->is_draining = true;
            vd_stage_drain(rig->stage, on_stage_stopped, rig);
        }
        return;
    }
    assert_true(vd_loop_now_ms(&rig->loop) < rig->deadline_ms);
    vd_stage_tick(rig->stage);
    vd_timer_start(rig->timer, 5);
}

static void on_topics(void *arg, const struct vd_err *failure)
{
    struct rig *rig = arg;
    struct vd_err err = {0};

    if (failure != NULL) {
        fail_msg("%s", failure->msg);
    }
    vd_follower_start(rig->host.follower, rig->topics, rig->topic_count);
    assert_int_equal(vd_stage_run(rig->stage, &err), VD_OK);
}

static void on_waiting(void *arg, const struct vd_err *err)
{
    print_message("waiting: %s\n", err->msg);
}

static void on_fenced(void *arg, const char *stage, const char *reason)
{
    fail_msg("stage %s was fenced: %s", stage, reason);
}

static void rig_open(struct rig *rig, const char *application, const struct vd_stage_desc *desc)
{
    memset(rig, 0, sizeof(*rig));
    vd_loop_init(&rig->loop);
    rig->log = vd_log_new("rig");
    rig->kafka_conf = (struct vd_kafka_conf){.brokers = vd_strdup(peer_brokers()),
                                             .partitions = PARTITIONS,
                                             .replication = 1,
                                             .topic_wait_ms = 1000};
    rig->host.loop = &rig->loop;
    rig->host.metrics = vd_metrics_new();
    rig->host.application = application;
    rig->host.node = "main";
    rig->host.on_fenced = on_fenced;
    rig->host.kafka = vd_kafka_new(&rig->loop, &rig->kafka_conf, application, "main", rig->log,
                                   rig->host.metrics);
    rig->host.follower = vd_follower_new(rig->host.kafka, &rig->loop, rig->log, rig->host.metrics);
    rig->host.publisher =
        vd_publisher_new(rig->host.kafka, &rig->loop, rig->log, rig->host.metrics);
    rig->conf = (struct vd_stage_conf){.name = vd_strdup("probe"),
                                       .enabled = true,
                                       .batch = {.records = 100, .wait_ms = 10},
                                       .buffer = {.records = 500},
                                       .retry = {.min_ms = 10, .max_ms = 100},
                                       .desc = desc,
                                       .ini = &rig->ini,
                                       .inputs = rig->inputs,
                                       .outputs = rig->outputs,
                                       .tables = rig->tables,
                                       .source = "test"};
}

static void rig_run(struct rig *rig, bool (*is_done)(struct rig *rig))
{
    struct vd_err err = {0};

    rig->is_done = is_done;
    rig->stage = vd_stage_open(&rig->conf, &rig->host, &err);
    assert_non_null(rig->stage);
    assert_int_equal(vd_stage_start(rig->stage, &err), VD_OK);
    rig->timer = vd_timer_new(&rig->loop, on_time, rig);
    rig->deadline_ms = vd_loop_now_ms(&rig->loop) + DEADLINE_MS;
    vd_timer_start(rig->timer, 5);
    vd_topics_ensure(rig->host.kafka, rig->topics, rig->topic_count, on_waiting, on_topics, rig);
    uv_run(&rig->loop.uv, UV_RUN_DEFAULT);
    vd_loop_fini(&rig->loop);
    vd_metrics_free(rig->host.metrics);
    for (size_t i = 0; i < rig->topic_count; i++) {
        free(rig->topics[i]->name);
        free(rig->topics[i]->cleanup);
        free(rig->topics[i]);
    }
    free(rig->kafka_conf.brokers);
    free(rig->conf.name);
    vd_log_free(rig->log);
}

/* ---- stages --------------------------------------------------------------------------------- */

static void copy_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    struct vd_err err = {0};

    if (probe.fail_next > 0) {
        probe.fail_next--;
        (void)vd_fail(&err, VD_AGAIN, "not now");
        vd_batch_fail(batch, &err);
        return;
    }
    for (size_t i = 0; i < vd_batch_count(batch); i++) {
        const struct vd_record *record = vd_batch_record(batch, i);
        const struct vd_msg msg = {.key = record->key,
                                   .key_len = record->key_len,
                                   .value = record->value,
                                   .value_len = record->value_len,
                                   .partition = VD_SAME};

        if (record->value_len == 3 && memcmp(record->value, "bad", 3) == 0) {
            (void)vd_fail(&err, VD_INVALID, "value is bad");
            vd_batch_fail(batch, &err);
            return;
        }
        vd_batch_emit(batch, 0, i, &msg);
    }
    vd_batch_done(batch);
}

static void copy_committed(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    probe.committed += vd_batch_count(batch);
}

static void count_rewound(struct vd_stage *stage, void *state)
{
    probe.rewound++;
}

static const struct vd_stage_desc copy_desc = {
    VD_STAGE_HEAD,
    .name = "probe",
    .summary = "copies",
    .inputs = (const struct vd_port[]){{.name = "in"}, VD_PORT_END},
    .outputs = (const struct vd_port[]){{.name = "out", .flags = VD_PORT_CHAINED}, VD_PORT_END},
    .batch = copy_batch,
    .committed = copy_committed,
    .rewound = count_rewound,
};

static bool is_limit_reached(struct rig *rig)
{
    return probe.committed >= probe.limit;
}

static void run_copy(const char *application, size_t limit)
{
    struct rig rig;
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    VD_AUTO(mem) char *out = vd_format("%s-out", application);
    VD_AUTO(mem) char *dead = vd_format("%s-dead", application);

    probe.committed = 0;
    probe.limit = limit;
    rig_open(&rig, application, &copy_desc);
    rig.inputs[0] = add_topic(&rig, in, PARTITIONS);
    rig.outputs[0] = add_topic(&rig, out, PARTITIONS);
    rig.conf.dead_topic = add_topic(&rig, dead, 1);
    rig_run(&rig, is_limit_reached);
}

static bool is_at_once(struct rig *rig)
{
    return rig->stage->life == VD_LIFE_RUNNING;
}

/* Make the topics by running the stage for a moment. */
static char *make_topics(void)
{
    char *application = peer_name("engine");
    struct rig rig;
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    VD_AUTO(mem) char *out = vd_format("%s-out", application);
    VD_AUTO(mem) char *dead = vd_format("%s-dead", application);

    memset(&probe, 0, sizeof(probe));
    rig_open(&rig, application, &copy_desc);
    rig.inputs[0] = add_topic(&rig, in, PARTITIONS);
    rig.outputs[0] = add_topic(&rig, out, PARTITIONS);
    rig.conf.dead_topic = add_topic(&rig, dead, 1);
    rig_run(&rig, is_at_once);
    return application;
}

static void send_numbers(const char *application, int from, int to)
{
    VD_AUTO(mem) char *in = vd_format("%s-in", application);

    for (int i = from; i < to; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "%d", i);
        peer_send(in, i % PARTITIONS, text, text);
    }
    peer_flush();
}

/* Each input record once, in order, with an unbroken chain of positions. */
static void check_copies(const char *application, size_t count)
{
    VD_AUTO(mem) char *out = vd_format("%s-out", application);
    struct peer_log log = peer_read(out, true);
    int64_t last[PARTITIONS] = {-1, -1, -1, -1};

    assert_int_equal(log.count, count);
    for (size_t i = 0; i < log.count; i++) {
        struct vd_position position;
        struct vd_err err = {0};

        assert_int_equal(
            vd_position_parse(log.records[i].source, log.records[i].source_len, &position, &err),
            VD_OK);
        assert_int_equal(position.partition, log.records[i].partition);
        assert_int_equal(position.previous, last[position.partition]);
        assert_true(position.offset > position.previous);
        last[position.partition] = position.offset;
    }
    peer_log_free(&log);
}

/* ---- tests ---------------------------------------------------------------------------------- */

TEST(every_record_is_copied_once)
{
    VD_AUTO(mem) char *application = make_topics();

    send_numbers(application, 0, 5000);
    run_copy(application, 5000);
    check_copies(application, 5000);
}

TEST(a_stage_stopped_in_the_middle_goes_on_where_it_was)
{
    VD_AUTO(mem) char *application = make_topics();
    size_t before;

    send_numbers(application, 0, 5000);
    run_copy(application, 700);
    before = probe.committed;
    assert_in_range(before, 700, 4999);
    send_numbers(application, 5000, 6000);
    run_copy(application, 6000 - before);
    assert_int_equal(probe.committed, 6000 - before);
    check_copies(application, 6000);
}

TEST(a_batch_that_fails_is_offered_again)
{
    VD_AUTO(mem) char *application = make_topics();

    send_numbers(application, 0, 1000);
    probe.fail_next = 5;
    run_copy(application, 1000);
    assert_int_equal(probe.fail_next, 0);
    check_copies(application, 1000);
}

TEST(a_bad_record_alone_becomes_a_dead_letter)
{
    VD_AUTO(mem) char *application = make_topics();
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    VD_AUTO(mem) char *dead = vd_format("%s-dead", application);
    struct peer_log log;

    send_numbers(application, 0, 500);
    peer_send(in, 2, "poison", "bad");
    peer_send(in, 1, "poison", "bad");
    send_numbers(application, 500, 1000);
    run_copy(application, 1002);
    check_copies(application, 1000);
    log = peer_read(dead, true);
    assert_int_equal(log.count, 2);
    assert_string_equal(log.records[0].key, "poison");
    assert_string_equal(log.records[0].value, "bad");
    assert_string_equal(log.records[0].reason, "value is bad");
    peer_log_free(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_is_copied_once),
        cmocka_unit_test(a_stage_stopped_in_the_middle_goes_on_where_it_was),
        cmocka_unit_test(a_batch_that_fails_is_offered_again),
        cmocka_unit_test(a_bad_record_alone_becomes_a_dead_letter),
    };

    if (peer_brokers() == NULL) {
        return 77;
    }
    vd_log_setup(getenv("VERBOSE") != NULL ? VD_LOG_DEBUG : VD_LOG_WARN, VD_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
