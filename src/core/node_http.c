/* What a node says of itself: metrics, liveness, readiness. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "node_impl.h"

static void on_healthz(void *arg, const struct vd_web_request *request,
                       struct vd_web_response *response)
{
    /* Handlers run on the loop: that this one runs is the answer. */
    vd_buf_add_text(&response->body, "{\"status\":\"ok\"}\n");
}

static void add_stage(struct vd_buf *out, const char *name, bool is_ready, const char *reason)
{
    vd_buf_add_text(out, "{\"stage\":");
    vd_buf_add_json(out, name, strlen(name));
    vd_buf_printf(out, ",\"ready\":%s", is_ready ? "true" : "false");
    if (!is_ready) {
        vd_buf_add_text(out, ",\"cause\":");
        vd_buf_add_json(out, reason, strlen(reason));
    }
    vd_buf_add_char(out, '}');
}

static void on_readyz(void *arg, const struct vd_web_request *request,
                      struct vd_web_response *response)
{
    struct vd_node *node = arg;
    struct vd_buf stages = {0};
    bool is_ready = node->has_topics && !node->is_draining;

    for (size_t i = 0; i < node->stage_count; i++) {
        const struct vd_stage *stage = node->stages[i];
        const char *reason = "";
        bool is_stage_ready = vd_stage_is_ready(stage, &reason);
        char both[2 * VD_ERR_MSG_BYTES + 64];

        if (node->waiting_for[0] != '\0' && stage->life == VD_LIFE_STARTED) {
            bool has_trouble = stage->trouble[0] != '\0';

            (void)snprintf(both, sizeof(both), "%s%s%s", node->waiting_for, has_trouble ? "; " : "",
                           stage->trouble); /* fits */
            reason = both;
        }
        if (i > 0) {
            vd_buf_add_char(&stages, ',');
        }
        add_stage(&stages, stage->conf->name, is_stage_ready, reason);
        is_ready = is_ready && is_stage_ready;
    }
    response->status = is_ready ? 200 : 503;
    vd_buf_printf(&response->body, "{\"ready\":%s,\"node\":", is_ready ? "true" : "false");
    vd_buf_add_json(&response->body, node->host.node, strlen(node->host.node));
    vd_buf_add_text(&response->body, ",\"stages\":[");
    vd_buf_add(&response->body, stages.data, stages.len);
    vd_buf_add_text(&response->body, "]}\n");
    vd_buf_fini(&stages);
}

static void on_metrics(void *arg, const struct vd_web_request *request,
                       struct vd_web_response *response)
{
    struct vd_node *node = arg;

    vd_node_update_process(node);
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    vd_metrics_format(node->host.metrics, &response->body);
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
    return vd_web_route(node->host.web, "GET /metrics", on_metrics, node, err);
}
