#include "node_impl.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#include "test.h"

static const struct vd_port inputs[] = {{.name = "voters"}, VD_PORT_END};
static const struct vd_port outputs[] = {{.name = "votes"},
                                         {.name = "refused", .flags = VD_PORT_REJECTED},
                                         {.name = "spare", .flags = VD_PORT_OPTIONAL},
                                         VD_PORT_END};
static const struct vd_stage_desc desc = {.name = "sample", .inputs = inputs, .outputs = outputs};

/* A node with one stage, which nothing runs. */
struct scene {
    struct vd_topic_conf in, out, refused, names, lost;
    struct vd_topic_conf *in_topics[1], *out_topics[3], *table_topics[1];
    const char *table_names[1];
    struct vd_stage_conf conf;
    struct vd_part mine, fresh;
    struct vd_part *parts[2];
    struct vd_metric *emitted[3];
    struct vd_stage stage;
    struct vd_stage *stages[1];
    struct vd_metrics *metrics;
    struct vd_node node;
    struct vd_presence_counts counts;
};

static struct vd_metric *series(struct scene *at, enum vd_metric_type type, const char *name)
{
    return vd_metric_get(at->metrics, type, name, NULL, "");
}

static void begin_stage(struct scene *at)
{
    at->conf = (struct vd_stage_conf){.name = (char *)(uintptr_t) "voting",
                                      .desc = &desc,
                                      .inputs = at->in_topics,
                                      .outputs = at->out_topics,
                                      .tables = at->table_topics,
                                      .table_names = at->table_names,
                                      .table_count = 1,
                                      .dead_topic = &at->lost};
    at->stage = (struct vd_stage){.conf = &at->conf,
                                  .desc = &desc,
                                  .life = VD_LIFE_RUNNING,
                                  .input_count = 1,
                                  .output_count = 3,
                                  .parts = at->parts,
                                  .part_count = 2,
                                  .buffered = 3};
    at->emitted[0] = series(at, VD_COUNTER, "votes");
    at->emitted[1] = series(at, VD_COUNTER, "refused");
    at->emitted[2] = series(at, VD_COUNTER, "spare");
    at->stage.metrics.out = at->emitted;
    at->stage.metrics.in = series(at, VD_COUNTER, "in");
    at->stage.metrics.dead = series(at, VD_COUNTER, "dead");
    at->stage.metrics.batches = series(at, VD_COUNTER, "batches");
    at->stage.metrics.retries = series(at, VD_COUNTER, "retries");
    at->stage.metrics.recycled = series(at, VD_GAUGE, "recycled");
    at->stage.metrics.stopped = series(at, VD_GAUGE, "stopped");
    at->stage.metrics.commit = series(at, VD_HISTOGRAM, "commit");
    at->stage.metrics.latency = series(at, VD_HISTOGRAM, "latency");
}

static void begin(struct scene *at)
{
    static char names[5][8] = {"in", "out", "refused", "names", "lost"};

    *at = (struct scene){.in = {.name = names[0]},
                         .out = {.name = names[1]},
                         .refused = {.name = names[2]},
                         .names = {.name = names[3]},
                         .lost = {.name = names[4]},
                         .table_names = {"candidates"}};
    at->in_topics[0] = &at->in;
    at->out_topics[0] = &at->out;
    at->out_topics[1] = &at->refused;
    at->table_topics[0] = &at->names;
    at->metrics = vd_metrics_new();
    at->mine.lag = series(at, VD_GAUGE, "lag");
    at->parts[0] = &at->mine;
    at->parts[1] = &at->fresh;
    begin_stage(at);
    at->stages[0] = &at->stage;
    vd_loop_init(&at->node.loop);
    at->node.host.application = "election";
    at->node.host.node = "west";
    at->node.resident = series(at, VD_GAUGE, "resident");
    at->node.cpu = series(at, VD_COUNTER, "cpu");
    at->node.stages = at->stages;
    at->node.stage_count = 1;
    at->counts.at_ms = vd_loop_now_ms(&at->node.loop) - 2500;
}

static void end(struct scene *at)
{
    vd_loop_fini(&at->node.loop);
    vd_metrics_free(at->metrics);
    free(at->counts.values);
}

static void expect(struct scene *at, const char *state, const char *text)
{
    const struct vd_presence_about about = {
        .state = state, .started_ms = 1700000000000, .interval_ms = 2000};
    VD_AUTO(buf) struct vd_buf out = {0};

    vd_presence_write(&out, &at->node, &about, &at->counts);
    assert_string_equal(vd_buf_text(&out), text);
}

#define HEAD \
    "{\"format\":1,\"application\":\"election\",\"node\":\"west\",\"version\":\"" VD_VERSION

TEST(a_record_tells_counts_from_the_start_and_of_late)
{
    struct scene at;

    begin(&at);
    vd_metric_set(at.node.resident, 4096);
    vd_metric_add(at.node.cpu, 70);
    vd_metric_add(at.stage.metrics.in, 9);
    vd_metric_add(at.emitted[0], 5);
    vd_metric_add(at.emitted[1], 2);
    vd_metric_set(at.mine.lag, 44);
    vd_metric_observe(at.stage.metrics.commit, 0.0005);
    expect(&at, "running",
           HEAD "\",\"state\":\"running\",\"started_ms\":1700000000000,\"interval_ms\":2000,"
                "\"window_ms\":2500,\"resident_bytes\":4096,\"cpu_ms\":[70,70],\"missing\":[],"
                "\"stages\":[{\"stage\":\"voting\",\"module\":\"sample\",\"state\":\"running\","
                "\"cause\":\"\",\"in\":[9,9],\"out\":[7,7],\"rejected\":[2,2],\"dead\":[0,0],"
                "\"retries\":[0,0],\"batches\":[0,0],\"recycled\":[0,0],\"buffered\":3,"
                "\"stopped\":0,\"latency_us\":null,\"commit_us\":[500,500],\"inputs\":[{\"port\":"
                "\"voters\",\"topic\":\"in\",\"partitions\":2,\"lag\":44}],\"outputs\":[{\"port\":"
                "\"votes\",\"topic\":\"out\",\"records\":[5,5]},{\"port\":\"refused\",\"topic\":"
                "\"refused\",\"records\":[2,2]}],\"tables\":[{\"port\":\"candidates\",\"topic\":"
                "\"names\"}],\"dead_topic\":\"lost\"}]}");
    vd_metric_add(at.stage.metrics.in, 1);
    vd_metric_observe(at.stage.metrics.latency, 0.0005);
    expect(&at, "running",
           HEAD "\",\"state\":\"running\",\"started_ms\":1700000000000,\"interval_ms\":2000,"
                "\"window_ms\":0,\"resident_bytes\":4096,\"cpu_ms\":[70,0],\"missing\":[],"
                "\"stages\":[{\"stage\":\"voting\",\"module\":\"sample\",\"state\":\"running\","
                "\"cause\":\"\",\"in\":[10,1],\"out\":[7,0],\"rejected\":[2,0],\"dead\":[0,0],"
                "\"retries\":[0,0],\"batches\":[0,0],\"recycled\":[0,0],\"buffered\":3,"
                "\"stopped\":0,\"latency_us\":[500,500],\"commit_us\":null,\"inputs\":[{\"port\":"
                "\"voters\",\"topic\":\"in\",\"partitions\":2,\"lag\":44}],\"outputs\":[{\"port\":"
                "\"votes\",\"topic\":\"out\",\"records\":[5,0]},{\"port\":\"refused\",\"topic\":"
                "\"refused\",\"records\":[2,0]}],\"tables\":[{\"port\":\"candidates\",\"topic\":"
                "\"names\"}],\"dead_topic\":\"lost\"}]}");
    end(&at);
}

TEST(a_record_tells_what_is_missing_and_why_a_stage_is_not_ready)
{
    struct scene at;

    begin(&at);
    at.node.stage_count = 1;
    at.stage.input_count = 0;
    at.stage.output_count = 0;
    at.conf.table_count = 0;
    at.conf.dead_topic = NULL;
    at.stage.life = VD_LIFE_HALTED;
    strcpy(at.stage.trouble, "no \"candidates\"");
    vd_trouble_set(&at.node.broker, "no broker", 1);
    vd_trouble_set(&at.node.database, "refused", 1);
    expect(&at, "draining",
           HEAD "\",\"state\":\"draining\",\"started_ms\":1700000000000,\"interval_ms\":2000,"
                "\"window_ms\":2500,\"resident_bytes\":0,\"cpu_ms\":[0,0],\"missing\":["
                "{\"server\":\"Kafka\",\"cause\":\"no broker\"},{\"server\":\"PostgreSQL\","
                "\"cause\":\"refused\"}],\"stages\":[{\"stage\":\"voting\",\"module\":\"sample\","
                "\"state\":\"halted\",\"cause\":\"no \\\"candidates\\\"\",\"in\":[0,0],"
                "\"out\":[0,0],\"rejected\":[0,0],\"dead\":[0,0],\"retries\":[0,0],"
                "\"batches\":[0,0],\"recycled\":[0,0],\"buffered\":3,\"stopped\":0,"
                "\"latency_us\":null,\"commit_us\":null,\"inputs\":[],\"outputs\":[],"
                "\"tables\":[],\"dead_topic\":\"\"}]}");
    end(&at);
}

TEST(a_lag_that_no_broker_has_told_is_not_known)
{
    const struct vd_presence_about about = {.state = "starting"};
    VD_AUTO(buf) struct vd_buf out = {0};
    struct scene at;

    begin(&at);
    at.mine.lag = NULL;
    vd_presence_write(&out, &at.node, &about, &at.counts);
    assert_non_null(strstr(vd_buf_text(&out), "\"partitions\":2,\"lag\":null}"));
    end(&at);
}

RUN_TESTS(cmocka_unit_test(a_record_tells_counts_from_the_start_and_of_late),
          cmocka_unit_test(a_record_tells_what_is_missing_and_why_a_stage_is_not_ready),
          cmocka_unit_test(a_lag_that_no_broker_has_told_is_not_known))
