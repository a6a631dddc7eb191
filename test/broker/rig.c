/* A node by hand: what node.c does, for one stage. */
#include "rig.h"

#include <unistd.h>

#define DEADLINE_MS 180000
#define LOOK_MS 5

struct probe probe;

/* ---- life ----------------------------------------------------------------------------------- */

static void on_follower_closed(void *arg)
{
    struct rig *rig = arg;

    vd_errands_close(vd_take(rig->host.errands), NULL, NULL);
    vd_stage_free(vd_take(rig->stage));
    vd_timer_close(vd_take(rig->timer));
    vd_kafka_free(vd_take(rig->host.kafka));
}

static void on_publisher_closed(void *arg)
{
    struct rig *rig = arg;

    rig->host.publisher = NULL;
    vd_follower_close(vd_take(rig->host.follower), on_follower_closed, rig);
}

static void on_stage_stopped(void *arg)
{
    struct rig *rig = arg;

    rig->drained_ms = vd_mono_ns() / 1000000 - rig->drain_began_ms;
    vd_publisher_close(rig->host.publisher, 1000, on_publisher_closed, rig);
}

static void on_time(void *arg)
{
    struct rig *rig = arg;

    if (rig->stage == NULL) {
        return;
    }
    if (rig->stage->buffered > rig->buffered_max) {
        rig->buffered_max = rig->stage->buffered;
    }
    if (!rig->is_draining && rig->is_done(rig)) {
        rig->is_draining = true;
        rig->drain_began_ms = vd_mono_ns() / 1000000;
        vd_stage_drain(rig->stage, on_stage_stopped, rig);
    }
    if (vd_loop_now_ms(&rig->loop) > rig->deadline_ms) {
        char reason[256];

        (void)vd_stage_is_ready(rig->stage, reason, sizeof(reason));
        fail_msg("not done: %zu committed, %zu held, life %d, not ready: %s", probe.committed,
                 rig->stage->buffered, rig->stage->life, reason);
    }
    vd_stage_tick(rig->stage);
    vd_timer_start(rig->timer, LOOK_MS);
}

static void on_topics(void *arg, const struct vd_err *failure)
{
    struct rig *rig = arg;
    struct vd_err err = {0};

    if (failure != NULL) {
        fail_msg("%s", failure->msg);
    }
    assert_int_equal(vd_follower_start(rig->host.follower, rig->topics, rig->topic_count, NULL),
                     VD_OK);
    if (vd_stage_run(rig->stage, &err) != VD_OK) {
        fail_msg("%s", err.msg);
    }
}

static void on_waiting(void *arg, const struct vd_err *err)
{
    fprintf(stderr, "waiting: %s\n", err->msg); /* a node's standard output counts commits */
}

static void on_fenced(void *arg, const char *stage, const char *reason)
{
    fail_msg("stage %s was fenced: %s", stage, reason);
}

void rig_open(struct rig *rig, const char *application, const char *node,
              const struct vd_stage_desc *desc)
{
    struct vd_host *host = &rig->host;

    memset(rig, 0, sizeof(*rig));
    vd_loop_init(&rig->loop);
    rig->log = vd_log_new("rig");
    rig->metrics = vd_metrics_new();
    rig->kafka_conf = (struct vd_kafka_conf){.brokers = vd_strdup(peer_brokers()),
                                             .partitions = RIG_PARTITIONS,
                                             .replication = 1,
                                             .topic_wait_ms = 1000};
    host->loop = &rig->loop;
    host->metrics = rig->metrics;
    host->application = application;
    host->node = node;
    host->on_fenced = on_fenced;
    rig->kafka_conf.application = application;
    rig->kafka_conf.node = node;
    host->kafka = vd_kafka_new(&rig->loop, &rig->kafka_conf, rig->log, rig->metrics);
    host->errands = vd_errands_new(&rig->loop);
    host->follower = vd_follower_new(host->kafka, &rig->loop, rig->log, rig->metrics);
    host->publisher = vd_publisher_new(host->kafka, &rig->loop, rig->log, rig->metrics);
    rig->conf = (struct vd_stage_conf){.name = vd_strdup("probe"),
                                       .enabled = true,
                                       .batch = {.records = 100, .wait_ms = 10},
                                       .buffer = {.records = 500, .bytes = 1 << 20},
                                       .retry = {.min_ms = 10, .max_ms = 100},
                                       .desc = desc,
                                       .ini = &rig->ini,
                                       .inputs = rig->inputs,
                                       .outputs = rig->outputs,
                                       .tables = rig->tables,
                                       .source = "test"};
}

struct vd_topic_conf *rig_topic(struct rig *rig, const char *name, int64_t partitions)
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

void rig_run(struct rig *rig, bool (*is_done)(struct rig *rig))
{
    struct vd_err err = {0};

    rig->is_done = is_done;
    rig->stage = vd_stage_open(&rig->conf, &rig->host, &err);
    assert_non_null(rig->stage);
    assert_int_equal(vd_stage_start(rig->stage, &err), VD_OK);
    rig->timer = vd_timer_new(&rig->loop, on_time, rig);
    rig->deadline_ms = vd_loop_now_ms(&rig->loop) + DEADLINE_MS;
    vd_timer_start(rig->timer, LOOK_MS);
    if (rig->has_own_topics) {
        for (size_t i = 0; i < rig->topic_count; i++) {
            rig->topics[i]->partitions_found = (int32_t)rig->topics[i]->partitions;
        }
        on_topics(rig, NULL);
    } else {
        vd_topics_ensure(
            rig->host.kafka, rig->topics, rig->topic_count,
            &(struct vd_topics_events){.on_waiting = on_waiting, .on_done = on_topics, .arg = rig});
    }
    uv_run(&rig->loop.uv, UV_RUN_DEFAULT);
    vd_loop_fini(&rig->loop);
    vd_metrics_free(rig->metrics);
    for (size_t i = 0; i < rig->topic_count; i++) {
        free(rig->topics[i]->name);
        free(rig->topics[i]->cleanup);
        free(rig->topics[i]);
    }
    free(rig->kafka_conf.brokers);
    free(rig->conf.name);
    vd_log_free(rig->log);
}

/* ---- the stage that copies ------------------------------------------------------------------ */

struct copy {
    struct vd_timer *timer;
    struct vd_batch *batch; /* to be answered when the timer rings */
};

static void answer(struct vd_batch *batch)
{
    struct vd_err err = {0};

    if (probe.fail_next > 0) {
        probe.fail_next--;
        (void)vd_fail(&err, probe.fault != VD_OK ? probe.fault : VD_AGAIN, "not now");
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

static void on_copy_time(void *arg)
{
    struct copy *copy = arg;

    answer(vd_take(copy->batch));
}

static enum vd_status copy_start(struct vd_stage *stage, void *state, struct vd_err *err)
{
    struct copy *copy = state;

    copy->timer = vd_timer_new(vd_stage_loop(stage), on_copy_time, copy);
    return VD_OK;
}

static void copy_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    struct copy *copy = state;

    probe.is_called_in = probe.is_called_in || probe.is_in_batch;
    probe.is_in_batch = true;
    if (probe.delay_ms > 0) {
        assert_null(copy->batch);
        copy->batch = batch;
        vd_timer_start(copy->timer, probe.delay_ms);
    } else {
        answer(batch);
    }
    probe.is_in_batch = false;
}

static void copy_committed(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    probe.committed += vd_batch_count(batch);
    probe.batches++;
    if (probe.commit_pipe > 0 && write(probe.commit_pipe, "c", 1) != 1) {
        _exit(3); /* whoever started us is gone */
    }
}

static void copy_rewound(struct vd_stage *stage, void *state)
{
    probe.rewound++;
}

static void copy_assign(struct vd_stage *stage, void *state, struct vd_assign *assign)
{
    probe.assigned++;
    vd_assign_start(assign, vd_assign_committed(assign), vd_assign_last(assign));
}

static void copy_revoke(struct vd_stage *stage, void *state, int32_t partition)
{
    probe.revoked++;
}

static void copy_stop(struct vd_stage *stage, void *state)
{
    struct copy *copy = state;

    probe.stopped++;
    assert_null(copy->batch);
    vd_timer_close(vd_take(copy->timer));
}

const struct vd_stage_desc rig_copy = {
    VD_STAGE_HEAD,
    .name = "probe",
    .summary = "copies",
    .state_size = sizeof(struct copy),
    .inputs = (const struct vd_port[]){{.name = "in"}, VD_PORT_END},
    .outputs = (const struct vd_port[]){{.name = "out", .flags = VD_PORT_CHAINED}, VD_PORT_END},
    .start = copy_start,
    .assign = copy_assign,
    .batch = copy_batch,
    .committed = copy_committed,
    .rewound = copy_rewound,
    .revoke = copy_revoke,
    .stop = copy_stop,
};

void rig_open_copy(struct rig *rig, const char *application, const char *node)
{
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    VD_AUTO(mem) char *out = vd_format("%s-out", application);
    VD_AUTO(mem) char *dead = vd_format("%s-dead", application);

    rig_open(rig, application, node, &rig_copy);
    rig->inputs[0] = rig_topic(rig, in, RIG_PARTITIONS);
    rig->outputs[0] = rig_topic(rig, out, RIG_PARTITIONS);
    rig->conf.dead_topic = rig_topic(rig, dead, 1);
}

static bool is_limit_reached(struct rig *rig)
{
    return probe.committed >= probe.limit && rig->stage->buffered == 0;
}

void rig_run_copy(const char *application, size_t limit)
{
    struct rig rig;

    probe.committed = 0;
    probe.limit = limit;
    rig_open_copy(&rig, application, "main");
    rig_run(&rig, is_limit_reached);
}

bool rig_has_all(struct rig *rig)
{
    const struct vd_stage *stage = rig->stage;
    size_t committed = 0;

    for (size_t i = 0; i < stage->part_count; i++) {
        committed += stage->parts[i]->head == NULL ? (size_t)stage->parts[i]->next_offset : 0;
    }
    return stage->part_count == RIG_PARTITIONS && stage->group != NULL &&
           committed == rig->expected;
}

static bool is_running(struct rig *rig)
{
    return rig->stage->life == VD_LIFE_RUNNING;
}

char *rig_make_topics(void)
{
    char *application = peer_name("engine");
    struct rig rig;

    rig_open_copy(&rig, application, "main");
    rig_run(&rig, is_running);
    memset(&probe, 0, sizeof(probe));
    return application;
}

void rig_send_numbers(const char *application, int from, int to)
{
    VD_AUTO(mem) char *in = vd_format("%s-in", application);

    for (int i = from; i < to; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "%d", i);
        peer_send(in, i % RIG_PARTITIONS, text, text);
    }
    peer_flush();
}

void rig_check_copies(const char *application, size_t count)
{
    VD_AUTO(mem) char *out = vd_format("%s-out", application);
    struct peer_log log = peer_read(out, true);
    int64_t last[RIG_PARTITIONS] = {-1, -1, -1, -1};

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
