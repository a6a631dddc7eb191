/* What a node says of itself: metrics, liveness, readiness. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "node_impl.h"

static void on_healthz(void *arg, const struct vd_web_request *request,
                       struct vd_web_response *response)
{
    /* Handlers run on the loop: that this one runs is the answer. */
    vd_buf_add_text(&response->body, "{\"status\":\"ok\"}\n");
}

static void add_text(struct vd_buf *out, const char *name, const char *text)
{
    vd_buf_printf(out, ",\"%s\":", name);
    vd_buf_add_json(out, text, strlen(text));
}

/* "since" as a time of day, like the log's. */
static void add_since(struct vd_buf *out, const struct vd_trouble *trouble)
{
    time_t since = (time_t)(trouble->since_wall_ms / 1000);
    struct tm utc;
    char text[32];

    if (trouble->is_on && gmtime_r(&since, &utc) != NULL) {
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc); /* fits */
        add_text(out, "since", text);
    }
}

bool vd_node_stage_is_ready(const struct vd_node *node, const struct vd_stage *stage,
                            char cause[VD_NODE_CAUSE_BYTES])
{
    bool is_ready = vd_stage_is_ready(stage, cause, VD_ERR_MSG_BYTES);

    if (!is_ready && node->waiting_for[0] != '\0' && stage->life == VD_LIFE_STARTED) {
        (void)snprintf(cause, VD_NODE_CAUSE_BYTES, "%s%s%s", node->waiting_for,
                       stage->trouble[0] != '\0' ? "; " : "", stage->trouble); /* fits */
    }
    return is_ready;
}

static bool add_stage(struct vd_buf *out, const struct vd_node *node, const struct vd_stage *stage)
{
    char cause[VD_NODE_CAUSE_BYTES];
    bool is_ready = vd_node_stage_is_ready(node, stage, cause);

    vd_buf_add_text(out, "{\"stage\":");
    vd_buf_add_json(out, stage->conf->name, strlen(stage->conf->name));
    vd_buf_printf(out, ",\"ready\":%s", is_ready ? "true" : "false");
    if (!is_ready) {
        add_text(out, "cause", cause);
        add_since(out, &stage->unready);
    }
    vd_buf_add_char(out, '}');
    return is_ready;
}

static void add_missing(struct vd_buf *out, const char *server, const struct vd_trouble *trouble)
{
    if (!trouble->is_on) {
        return;
    }
    if (out->len > 0) {
        vd_buf_add_char(out, ',');
    }
    vd_buf_printf(out, "{\"server\":\"%s\"", server);
    add_since(out, trouble);
    add_text(out, "cause", trouble->cause);
    vd_buf_add_char(out, '}');
}

static void on_readyz(void *arg, const struct vd_web_request *request,
                      struct vd_web_response *response)
{
    struct vd_node *node = arg;
    VD_AUTO(buf) struct vd_buf stages = {0};
    VD_AUTO(buf) struct vd_buf missing = {0};
    bool is_ready = node->has_topics && !node->is_draining && !node->broker.is_on;

    for (size_t i = 0; i < node->stage_count; i++) {
        if (i > 0) {
            vd_buf_add_char(&stages, ',');
        }
        is_ready = add_stage(&stages, node, node->stages[i]) && is_ready;
    }
    add_missing(&missing, "Kafka", &node->broker);
    add_missing(&missing, "PostgreSQL", &node->database);
    response->status = is_ready ? 200 : 503;
    vd_buf_printf(&response->body, "{\"ready\":%s,\"node\":", is_ready ? "true" : "false");
    vd_buf_add_json(&response->body, node->host.node, strlen(node->host.node));
    vd_buf_printf(&response->body, ",\"missing\":[%s],\"stages\":[%s]}\n", vd_buf_text(&missing),
                  vd_buf_text(&stages));
}

static void on_metrics(void *arg, const struct vd_web_request *request,
                       struct vd_web_response *response)
{
    struct vd_node *node = arg;

    vd_node_update_process(node);
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    vd_metrics_format(node->host.metrics, &response->body);
}

static void on_drain(void *arg, const struct vd_web_request *request,
                     struct vd_web_response *response)
{
    struct vd_node *node = arg;

    vd_web_request_audit(request, "drain the node", "ok");
    node->is_drain_asked = true; /* not now: the answer is to leave first */
    response->status = 202;
    vd_buf_add_text(&response->body, "{\"status\":\"draining\",\"node\":");
    vd_buf_add_json(&response->body, node->host.node, strlen(node->host.node));
    vd_buf_add_text(&response->body, "}\n");
}

void vd_node_update_process(struct vd_node *node)
{
    struct rusage usage;
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");

    if (statm != NULL) {
        if (fscanf(statm, "%*s %ld", &pages) == 1) {
            vd_metric_set(node->resident, pages * sysconf(_SC_PAGESIZE));
        }
        (void)fclose(statm); /* it was only read */
    }
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        vd_metric_set(node->cpu, (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
                                     (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000);
    }
}

enum vd_status vd_node_open_routes(struct vd_node *node, struct vd_err *err)
{
    struct vd_metrics *metrics = node->host.metrics;

    node->loop_lag = vd_metric_get(metrics, VD_HISTOGRAM, "votingd_loop_lag_seconds", NULL,
                                   "how late the loop's one-second tick was");
    node->resident = vd_metric_get(metrics, VD_GAUGE, "process_resident_memory_bytes", NULL,
                                   "resident memory of the process");
    node->cpu = vd_metric_get(metrics, VD_COUNTER, "votingd_process_cpu_milliseconds_total", NULL,
                              "CPU time of the process, user and system");
    if (vd_web_route(node->host.web, "GET /healthz", on_healthz, node, err) != VD_OK ||
        vd_web_route(node->host.web, "GET /readyz", on_readyz, node, err) != VD_OK) {
        return err->status;
    }
    vd_web_allow(node->host.web, "GET /healthz", VD_WEB_ANYONE);
    if (vd_web_route_action(node->host.web, "POST /api/v1/drain", on_drain, node, err) != VD_OK) {
        return err->status;
    }
    return vd_web_route(node->host.web, "GET /metrics", on_metrics, node, err);
}
