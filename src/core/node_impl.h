/* A node as its parts see it; core only. node.c holds its life, node_http.c what it says
 * when asked, presence.c what it tells all. */
#ifndef VD_CORE_NODE_IMPL_H
#define VD_CORE_NODE_IMPL_H

#include "kafka_watch.h"
#include "loop_uv.h"
#include "node.h"
#include "presence.h"
#include "stage_impl.h"

struct vd_node {
    struct vd_loop loop;
    struct vd_topology *topology;
    struct vd_host host;
    struct vd_log *log;
    struct vd_stage **stages;
    size_t stage_count;    /* opened */
    size_t stages_running; /* started and not yet stopped */
    uv_signal_t sigint, sigterm;
    struct vd_timer *tick;
    int64_t tick_due_ms;                /* when the tick should have run: the loop's lag */
    struct vd_trouble broker, database; /* servers that do not answer */
    struct vd_kafka_watch *watch;
    bool has_topics; /* found or made */
    bool is_draining;
    bool is_drain_asked;                     /* by an operator: the next tick begins it */
    int64_t drain_ms;                        /* since when; loop clock */
    char waiting_for[VD_ERR_MSG_BYTES + 32]; /* why the topics are not there yet; "": nothing */
    struct vd_presence *presence;
    int exit_code;
    struct vd_metric *loop_lag, *resident, *cpu;
};

/* Routes /metrics, /healthz and /readyz. */
enum vd_status vd_node_open_routes(struct vd_node *node, struct vd_err *err) VD_MUST_CHECK;

/* Whether the stage is ready, and if not why, what the node waits for included. */
#define VD_NODE_CAUSE_BYTES (2 * VD_ERR_MSG_BYTES + 64)
bool vd_node_stage_is_ready(const struct vd_node *node, const struct vd_stage *stage,
                            char cause[VD_NODE_CAUSE_BYTES]);

/* Gauges of the process: memory, CPU time. */
void vd_node_update_process(struct vd_node *node);

#endif
