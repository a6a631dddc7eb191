/* The record of a node on the nodes topic (docs/nodes.md). */
#include "presence.h"

#include <string.h>

#include "alloc.h"
#include "node_impl.h"

/* One writing of a record. */
struct writer {
    struct vd_buf *out;
    struct vd_presence_counts *counts;
    size_t at; /* the next of them */
};

/* What was added to a count since it was written last: counts are told apart by their order, which
 * is the same in every record of a process. */
static int64_t recent(struct writer *to, int64_t total)
{
    struct vd_presence_counts *counts = to->counts;
    int64_t before = 0;

    if (to->at == counts->count) {
        counts->count++;
        counts->values = vd_realloc(counts->values, counts->count * sizeof(*counts->values));
    } else {
        before = counts->values[to->at];
    }
    counts->values[to->at++] = total;
    return total - before;
}

static void add_name(struct writer *to, const char *name)
{
    vd_buf_printf(to->out, ",\"%s\":", name);
}

static void add_text(struct writer *to, const char *name, const char *text)
{
    add_name(to, name);
    vd_buf_add_json(to->out, text, strlen(text));
}

static void add_int(struct writer *to, const char *name, int64_t value)
{
    add_name(to, name);
    vd_buf_add_int(to->out, value);
}

static void add_pair(struct writer *to, const char *name, int64_t total)
{
    add_name(to, name);
    vd_buf_printf(to->out, "[%lld,%lld]", (long long)total, (long long)recent(to, total));
}

/* [p50, p99] of what a histogram saw since 'before', in microseconds; null if that is nothing. */
static void add_quantiles(struct writer *to, const char *name, const struct vd_metric *metric)
{
    struct vd_histogram seen;
    int64_t p50_us;

    vd_metric_read(metric, &seen);
    for (size_t i = 0; i < VD_HISTOGRAM_BUCKETS; i++) {
        seen.counts[i] = recent(to, seen.counts[i]);
    }
    p50_us = vd_histogram_quantile_us(&seen, 500);
    add_name(to, name);
    if (p50_us < 0) {
        vd_buf_add_text(to->out, "null");
    } else {
        vd_buf_printf(to->out, "[%lld,%lld]", (long long)p50_us,
                      (long long)vd_histogram_quantile_us(&seen, 990));
    }
}

/* "{"port":...,"topic":..." of the next member of a list. */
static void begin_port(struct writer *to, const char *port, const struct vd_topic_conf *topic)
{
    if (to->out->data[to->out->len - 1] != '[') {
        vd_buf_add_char(to->out, ',');
    }
    vd_buf_add_text(to->out, "{\"port\":");
    vd_buf_add_json(to->out, port, strlen(port));
    add_text(to, "topic", topic->name);
}

/* How far the partitions that are ours are behind; null until the broker has told. */
static void add_lag(struct writer *to, const struct vd_stage *stage, size_t input)
{
    int64_t partitions = 0;
    int64_t lag = 0;
    bool is_known = false;

    for (size_t i = 0; i < stage->part_count; i++) {
        const struct vd_part *part = stage->parts[i];

        if (part->input != input) {
            continue;
        }
        partitions++;
        if (part->lag != NULL) {
            is_known = true;
            lag += vd_metric_value(part->lag);
        }
    }
    add_int(to, "partitions", partitions);
    add_name(to, "lag");
    if (is_known) {
        vd_buf_add_int(to->out, lag);
    } else {
        vd_buf_add_text(to->out, "null");
    }
}

static void add_ports(struct writer *to, const struct vd_stage *stage)
{
    const struct vd_stage_conf *conf = stage->conf;

    vd_buf_add_text(to->out, ",\"inputs\":[");
    for (size_t i = 0; i < stage->input_count; i++) {
        if (conf->inputs[i] != NULL) {
            begin_port(to, stage->desc->inputs[i].name, conf->inputs[i]);
            add_lag(to, stage, i);
            vd_buf_add_char(to->out, '}');
        }
    }
    vd_buf_add_text(to->out, "],\"outputs\":[");
    for (size_t i = 0; i < stage->output_count; i++) {
        if (conf->outputs[i] != NULL) {
            begin_port(to, stage->desc->outputs[i].name, conf->outputs[i]);
            add_pair(to, "records", vd_metric_value(stage->metrics.out[i]));
            vd_buf_add_char(to->out, '}');
        }
    }
    vd_buf_add_text(to->out, "],\"tables\":[");
    for (size_t i = 0; i < conf->table_count; i++) {
        if (conf->tables[i] != NULL) {
            begin_port(to, conf->table_names[i], conf->tables[i]);
            vd_buf_add_char(to->out, '}');
        }
    }
    vd_buf_add_char(to->out, ']');
    add_text(to, "dead_topic", conf->dead_topic != NULL ? conf->dead_topic->name : "");
}

/* Records emitted, and those of them that the stage has refused. */
static void add_emitted(struct writer *to, const struct vd_stage *stage)
{
    int64_t out = 0;
    int64_t rejected = 0;

    for (size_t i = 0; i < stage->output_count; i++) {
        int64_t emitted = vd_metric_value(stage->metrics.out[i]);

        out += emitted;
        if ((stage->desc->outputs[i].flags & VD_PORT_REJECTED) != 0) {
            rejected += emitted;
        }
    }
    add_pair(to, "out", out);
    add_pair(to, "rejected", rejected);
}

static void add_stage(struct writer *to, const struct vd_node *node, const struct vd_stage *stage)
{
    char cause[VD_NODE_CAUSE_BYTES];
    bool is_ready = vd_node_stage_is_ready(node, stage, cause);

    vd_buf_add_text(to->out, "{\"stage\":");
    vd_buf_add_json(to->out, stage->conf->name, strlen(stage->conf->name));
    add_text(to, "module", stage->desc->name);
    add_text(to, "state", vd_stage_life_name(stage->life));
    add_text(to, "cause", is_ready ? "" : cause);
    add_pair(to, "in", vd_metric_value(stage->metrics.in));
    add_emitted(to, stage);
    add_pair(to, "dead", vd_metric_value(stage->metrics.dead));
    add_pair(to, "retries", vd_metric_value(stage->metrics.retries));
    add_pair(to, "batches", vd_metric_value(stage->metrics.batches));
    add_pair(to, "recycled", vd_metric_value(stage->metrics.recycled));
    add_int(to, "buffered", (int64_t)stage->buffered);
    add_int(to, "stopped", vd_metric_value(stage->metrics.stopped));
    add_quantiles(to, "latency_us", stage->metrics.latency);
    add_quantiles(to, "commit_us", stage->metrics.commit);
    add_ports(to, stage);
    vd_buf_add_char(to->out, '}');
}

static void add_missing(struct writer *to, const char *server, const struct vd_trouble *trouble)
{
    if (!trouble->is_on) {
        return;
    }
    if (to->out->data[to->out->len - 1] != '[') {
        vd_buf_add_char(to->out, ',');
    }
    vd_buf_printf(to->out, "{\"server\":\"%s\"", server);
    add_text(to, "cause", trouble->cause);
    vd_buf_add_char(to->out, '}');
}

void vd_presence_write(struct vd_buf *out, const struct vd_node *node,
                       const struct vd_presence_about *about, struct vd_presence_counts *counts)
{
    struct writer to = {.out = out, .counts = counts};
    int64_t now_ms = vd_loop_now_ms(&node->loop);

    vd_buf_printf(out, "{\"format\":%d", VD_PRESENCE_FORMAT);
    add_text(&to, "application", node->host.application);
    add_text(&to, "node", node->host.node);
    add_text(&to, "version", VD_VERSION);
    add_text(&to, "state", about->state);
    add_int(&to, "started_ms", about->started_ms);
    add_int(&to, "interval_ms", about->interval_ms);
    add_int(&to, "window_ms", now_ms - counts->at_ms);
    add_int(&to, "resident_bytes", vd_metric_value(node->resident));
    add_pair(&to, "cpu_ms", vd_metric_value(node->cpu));
    vd_buf_add_text(out, ",\"missing\":[");
    add_missing(&to, "Kafka", &node->broker);
    add_missing(&to, "PostgreSQL", &node->database);
    vd_buf_add_text(out, "],\"stages\":[");
    for (size_t i = 0; i < node->stage_count; i++) {
        if (i > 0) {
            vd_buf_add_char(out, ',');
        }
        add_stage(&to, node, node->stages[i]);
    }
    vd_buf_add_text(out, "]}");
    counts->at_ms = now_ms;
}
