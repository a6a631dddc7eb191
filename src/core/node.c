/* The life of a node: start what the topology names, run the loop, drain, end. */
#include "node.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "failpoint.h"
#include "node_impl.h"
#include "producer.h"

#define TICK_MS 1000
/* glibc gives every thread a heap of its own, up to eight a core; librdkafka's many threads would
 * keep what each has freed. */
#define ARENAS 2
#define PUBLISHER_FLUSH_MS 2000
#define CONNECT_TIMEOUT_MS 10000
#define AWAY_GRACE_MS 2000 /* a server that does not answer for longer is told of */
/* A drain waits so long for a transaction although no broker answers. */
#define LEAVE_MS 3000

/* ---- the end ------------------------------------------------------------------------------ */

/* Ends the process if the drain does not; a thread, because what hangs may be the loop itself. It
 * outlives the topology: its argument is the number itself. */
static void *watch_deadline(void *arg)
{
    int64_t ms = (intptr_t)arg;
    static const char text[] = "votingd: the drain did not end within drain_timeout_ms; ending "
                               "now: nothing is lost, open work is repeated at the next start\n";
    ssize_t written;

    vd_pause_ms(ms); /* signals go to the main thread */
    written = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)written; /* nothing is left to do about it */
    _exit(VD_EXIT_DEADLINE);
}

static void start_deadline(struct vd_node *node)
{
    sigset_t all;
    sigset_t before;
    pthread_t thread;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, watch_deadline,
                       (void *)(intptr_t)node->topology->daemon.drain_timeout_ms) != 0) {
        vd_warn(node->log, "could not start the deadline of the drain; it may take longer");
    } else {
        pthread_detach(thread);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The second signal, at any moment and wherever the loop hangs. */
static void on_second_signal(int number)
{
    static const char text[] = "votingd: second signal: ending now: nothing is lost, open work is "
                               "repeated at the next start\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);

    (void)written; /* nothing is left to do about it */
    _exit(VD_EXIT_FORCED);
}

static void close_signals(struct vd_node *node)
{
    const struct sigaction force = {.sa_handler = on_second_signal};

    uv_close((uv_handle_t *)&node->sigint, NULL);
    uv_close((uv_handle_t *)&node->sigterm, NULL);
    (void)sigaction(SIGINT, &force, NULL); /* both numbers are good */
    (void)sigaction(SIGTERM, &force, NULL);
}

static void on_errands_closed(void *arg)
{
    struct vd_node *node = arg;

    vd_kafka_watch_free(vd_take(node->watch));
    vd_kafka_free(vd_take(node->host.kafka));
    vd_timer_close(vd_take(node->tick));
}

static void on_follower_closed(void *arg)
{
    struct vd_node *node = arg;

    node->host.follower = NULL;
    vd_web_close(vd_take(node->host.web)); /* from here on nobody calls the stages */
    for (size_t i = 0; i < node->stage_count; i++) {
        vd_stage_free(node->stages[i]);
    }
    node->stage_count = 0;
    vd_http_close(vd_take(node->host.http));
    vd_errands_close(vd_take(node->host.errands), on_errands_closed, node);
}

static void on_publisher_closed(void *arg)
{
    struct vd_node *node = arg;

    node->host.publisher = NULL;
    vd_follower_close(node->host.follower, on_follower_closed, node);
}

static void on_stage_stopped(void *arg)
{
    struct vd_node *node = arg;

    if (--node->stages_running == 0) {
        vd_presence_close(vd_take(node->presence));
        vd_publisher_close(node->host.publisher, PUBLISHER_FLUSH_MS, on_publisher_closed, node);
    }
}

/* A call of the library in the middle of a transaction may block until a broker answers, whatever
 * time it is given (2.0.2). What it was to commit will be repeated: that need not be waited for. */
static void leave_without_broker(struct vd_node *node, int64_t now_ms)
{
    size_t busy = 0;

    for (size_t i = 0; i < node->stage_count; i++) {
        const struct vd_stage *stage = node->stages[i];
        int64_t txn_ms = stage->txn != NULL ? vd_txn_busy_ms(stage->txn) : 0;

        if (stage->life == VD_LIFE_STOPPED) {
            continue;
        }
        if (txn_ms == 0 || (!node->broker.is_on && txn_ms <= VD_TXN_TIMEOUT_MS)) {
            return; /* it ends by itself */
        }
        busy++;
    }
    if (busy == 0 || now_ms - node->drain_ms < LEAVE_MS) {
        return;
    }
    vd_warn(node->log,
            "no answer from Kafka in the middle of %zu transactions: ending now: nothing "
            "is lost, they are repeated at the next start",
            busy);
    _exit(VD_EXIT_DEADLINE);
}

/* Begin to end, once. A second signal forces. */
static void drain(struct vd_node *node, int exit_code)
{
    if (node->is_draining) {
        return;
    }
    node->is_draining = true;
    node->drain_ms = vd_loop_now_ms(&node->loop);
    node->exit_code = exit_code;
    close_signals(node);
    start_deadline(node);
    node->stages_running++; /* one for ourselves: stages may stop at once */
    for (size_t i = 0; i < node->stage_count; i++) {
        if (node->stages[i]->life != VD_LIFE_NEW) {
            node->stages_running++;
            vd_stage_drain(node->stages[i], on_stage_stopped, node);
        }
    }
    vd_presence_speak(node->presence);
    on_stage_stopped(node);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct vd_node *node = signal->data;

    vd_info(node->log, "%s: draining, at most %lld s; again to force",
            number == SIGINT ? "SIGINT" : "SIGTERM",
            (long long)node->topology->daemon.drain_timeout_ms / 1000);
    drain(node, VD_EXIT_OK);
}

/* Another process has our name: it goes on, we end at once, as in a crash. */
static void on_fenced(void *arg, const char *stage, const char *reason)
{
    struct vd_node *node = arg;

    vd_error(node->log,
             "stage \"%s\" was fenced: %s; ending, because two processes run as node "
             "\"%s\"",
             stage, reason, node->host.node);
    _exit(VD_EXIT_FENCED);
}

/* ---- the start ---------------------------------------------------------------------------- */

static void tell_server(struct vd_node *node, struct vd_trouble *trouble, const char *server)
{
    enum vd_trouble_news news = vd_trouble_news(trouble, vd_loop_now_ms(&node->loop));
    char lasted[VD_DURATION_BYTES];

    vd_duration_format(trouble->lasted_ms, lasted);
    if (news == VD_TROUBLE_BEGUN) {
        vd_warn(node->log, "waiting for %s: %s", server, trouble->cause);
    } else if (news == VD_TROUBLE_LASTS) {
        vd_warn(node->log, "still waiting for %s, for %s: %s", server, lasted, trouble->cause);
    } else if (news == VD_TROUBLE_OVER) {
        vd_info(node->log, "%s answers again after %s", server, lasted);
    }
}

static void on_tick(void *arg)
{
    struct vd_node *node = arg;
    int64_t now_ms = vd_loop_now_ms(&node->loop);

    vd_metric_observe(node->loop_lag, (double)(now_ms - node->tick_due_ms) / 1000.0);
    if (node->is_drain_asked) {
        drain(node, VD_EXIT_OK);
    }
    if (!node->is_draining || node->stages_running > 0) { /* until nobody needs the servers */
        vd_kafka_watch_tick(node->watch);
        tell_server(node, &node->broker, "Kafka");
        tell_server(node, &node->database, "PostgreSQL");
    }
    if (node->is_draining) {
        leave_without_broker(node, now_ms);
    }
    for (size_t i = 0; i < node->stage_count; i++) {
        vd_stage_tick(node->stages[i]);
    }
    node->tick_due_ms = now_ms + TICK_MS;
    vd_timer_start(node->tick, TICK_MS);
}

static void on_topics_waiting(void *arg, const struct vd_err *err)
{
    struct vd_node *node = arg;
    char text[sizeof(node->waiting_for)];

    (void)snprintf(text, sizeof(text), "waiting for Kafka: %s", err->msg); /* cut to fit */
    if (strcmp(text, node->waiting_for) != 0) { /* once, not every 5 s of an outage */
        vd_log_write(node->log, node->broker.is_on ? VD_LOG_DEBUG : VD_LOG_WARN, "%s", text);
        memcpy(node->waiting_for, text, sizeof(text));
    }
}

/* ---- the nodes topic -------------------------------------------------------------------------
 *
 * Telemetry, so it is asked for behind all others, and a node runs without. */

static void on_nodes_waiting(void *arg, const struct vd_err *err)
{
    struct vd_node *node = arg;

    vd_debug(node->log, "waiting for the nodes topic: %s", err->msg); /* all else is running */
}

static void on_nodes_done(void *arg, const struct vd_err *failure)
{
    struct vd_node *node = arg;

    if (node->is_draining) {
        return;
    }
    if (failure != NULL) {
        vd_warn(node->log,
                "this node is not shown in the pipeline view: %s (nodes_topic in [votingd] names "
                "another topic; empty: none)",
                failure->msg);
        return;
    }
    vd_follower_look_again(node->host.follower);
    vd_presence_start(node->presence);
}

static void ensure_nodes_topic(struct vd_node *node)
{
    const struct vd_topics_events events = {
        .on_waiting = on_nodes_waiting, .on_done = on_nodes_done, .arg = node};

    if (node->topology->nodes_topic != NULL) {
        vd_topics_ensure(node->host.kafka, &node->topology->nodes_topic, 1, &events);
    }
}

/* ---- the topics ------------------------------------------------------------------------------ */

static void on_topics_done(void *arg, const struct vd_err *failure)
{
    struct vd_node *node = arg;
    struct vd_err err = {0};

    node->waiting_for[0] = '\0';
    if (node->is_draining) {
        return;
    }
    if (failure != NULL) {
        vd_error(node->log, "%s", failure->msg);
        drain(node, VD_EXIT_CONFIG);
        return;
    }
    node->has_topics = true;
    if (vd_follower_start(node->host.follower, node->topology->topics, node->topology->topic_count,
                          &err) != VD_OK) {
        vd_error(node->log, "%s", err.msg);
        drain(node, VD_EXIT_FAILURE);
        return;
    }
    for (size_t i = 0; i < node->stage_count; i++) {
        if (vd_stage_run(node->stages[i], &err) != VD_OK) {
            vd_error(node->log, "%s", err.msg);
            drain(node, VD_EXIT_FAILURE);
            return;
        }
    }
    ensure_nodes_topic(node);
    vd_info(node->log, "running: %zu stages, http://%s/", node->stage_count,
            vd_web_address(node->host.web));
}

static void open_host(struct vd_node *node)
{
    struct vd_topology *topology = node->topology;
    struct vd_host *host = &node->host;
    struct vd_log *log = node->log;

    node->broker.grace_ms = AWAY_GRACE_MS;
    node->database.grace_ms = AWAY_GRACE_MS;
    host->loop = &node->loop;
    host->metrics = vd_metrics_new();
    host->application = topology->daemon.application;
    host->node = topology->node;
    host->conninfo = topology->postgres.conninfo;
    host->broker = &node->broker;
    host->database = &node->database;
    host->on_fenced = on_fenced;
    host->arg = node;
    host->kafka = vd_kafka_new(&node->loop, &topology->kafka, log, host->metrics);
    host->errands = vd_errands_new(&node->loop);
    node->watch = vd_kafka_watch_new(host->kafka, &node->loop, host->errands, &node->broker);
    host->follower = vd_follower_new(host->kafka, &node->loop, log, host->metrics);
    host->publisher = vd_publisher_new(host->kafka, &node->loop, log, host->metrics);
    host->http = vd_http_new(&node->loop);
    host->web = vd_web_new(&node->loop, &topology->web, log, host->metrics);
    node->presence = vd_presence_new(node);
}

static enum vd_status open_stages(struct vd_node *node, struct vd_err *err)
{
    struct vd_topology *topology = node->topology;

    node->stages = vd_alloc_array(topology->stage_count + 1, sizeof(struct vd_stage *));
    for (size_t i = 0; i < topology->stage_count; i++) {
        struct vd_stage *stage = vd_stage_open(topology->stages[i], &node->host, err);

        if (stage == NULL) {
            return err->status;
        }
        node->stages[node->stage_count++] = stage;
        if (vd_stage_start(stage, err) != VD_OK) {
            return err->status;
        }
    }
    return VD_OK;
}

static void open_signals(struct vd_node *node)
{
    (void)signal(SIGPIPE, SIG_IGN); /* a closed socket is an error code, not an end */
    uv_signal_init(&node->loop.uv, &node->sigint);
    uv_signal_init(&node->loop.uv, &node->sigterm);
    node->sigint.data = node;
    node->sigterm.data = node;
    uv_signal_start(&node->sigint, on_signal, SIGINT);
    uv_signal_start(&node->sigterm, on_signal, SIGTERM);
}

#ifdef VD_FAILPOINTS
static enum vd_status arm_failpoints(const struct vd_topology *topology, struct vd_err *err)
{
    const char **names = vd_alloc_array(topology->stage_count + 1, sizeof(char *));
    enum vd_status status;

    for (size_t i = 0; i < topology->stage_count; i++) {
        names[i] = topology->stages[i]->name;
    }
    status = vd_failpoints_arm(getenv("VOTINGD_FAILPOINTS"), names, topology->stage_count, err);
    free(names);
    return status;
}
#else
static enum vd_status arm_failpoints(const struct vd_topology *topology, struct vd_err *err)
{
    return VD_OK;
}
#endif

static void start(struct vd_node *node)
{
    const struct vd_topics_events events = {
        .on_waiting = on_topics_waiting, .on_done = on_topics_done, .arg = node};
    struct vd_err err = {0};

    node->tick_due_ms = vd_loop_now_ms(&node->loop) + TICK_MS;
    vd_timer_start(node->tick, TICK_MS);
    if (arm_failpoints(node->topology, &err) != VD_OK || vd_node_open_routes(node, &err) != VD_OK ||
        open_stages(node, &err) != VD_OK || vd_web_start(node->host.web, &err) != VD_OK) {
        vd_error(node->log, "%s", err.msg);
        drain(node, VD_EXIT_FAILURE);
        return;
    }
    vd_topics_ensure(node->host.kafka, node->topology->topics,
                     vd_topology_data_topics(node->topology), &events);
}

static enum vd_log_level parse_level(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    enum vd_log_level level = VD_LOG_ERROR;

    while (level < VD_LOG_DEBUG && strcmp(names[level], name) != 0) {
        level++;
    }
    return level; /* the option table allows no other name */
}

int vd_node_run(struct vd_topology *topology)
{
    struct vd_node *node = vd_alloc(sizeof(*node));
    int exit_code;

    vd_log_setup(parse_level(topology->daemon.log_level),
                 strcmp(topology->daemon.log_format, "json") == 0 ? VD_LOG_JSON : VD_LOG_TEXT);
    node->topology = topology;
    node->log = vd_log_new("node");
    (void)mallopt(M_ARENA_MAX, ARENAS); /* refused: more memory, nothing else */
    vd_info(node->log, "votingd %s, node \"%s\", application \"%s\"", VD_VERSION, topology->node,
            topology->daemon.application);
    vd_loop_init(&node->loop);
    open_signals(node);
    open_host(node);
    node->tick = vd_timer_new(&node->loop, on_tick, node);
    start(node);
    uv_run(&node->loop.uv, UV_RUN_DEFAULT);
    vd_loop_fini(&node->loop);
    vd_metrics_free(node->host.metrics);
    vd_info(node->log, "stopped");
    exit_code = node->exit_code;
    vd_log_free(node->log);
    free(node->stages);
    free(node);
    return exit_code;
}

static enum vd_status check_kafka(struct vd_topology *topology, struct vd_err *err)
{
    struct vd_log *log = vd_log_new("check");
    struct vd_loop loop;
    struct vd_metrics *metrics = vd_metrics_new();
    struct vd_kafka *kafka;
    enum vd_status status;

    vd_loop_init(&loop);
    kafka = vd_kafka_new(&loop, &topology->kafka, log, metrics);
    status =
        vd_topics_compare(kafka, topology->topics, topology->topic_count, CONNECT_TIMEOUT_MS, err);
    vd_kafka_free(kafka);
    vd_loop_fini(&loop);
    vd_metrics_free(metrics);
    vd_log_free(log);
    return status;
}

enum vd_status vd_node_check_connect(struct vd_topology *topology, struct vd_err *err)
{
    const char *conninfo = topology->postgres.conninfo;
    struct vd_err kafka_err = {0};
    struct vd_err pg_err = {0};
    enum vd_status kafka = check_kafka(topology, &kafka_err);
    enum vd_status pg = VD_OK; /* both are asked, so that one run tells all */

    if (conninfo[0] != '\0') {
        pg = vd_pg_check_server(conninfo, CONNECT_TIMEOUT_MS, &pg_err);
    }
    if (kafka == VD_OK && pg == VD_OK) {
        return VD_OK;
    }
    return vd_fail(err, kafka == VD_INVALID || pg == VD_INVALID ? VD_INVALID : VD_FAILED, "%s%s%s",
                   kafka != VD_OK ? kafka_err.msg : "", kafka != VD_OK && pg != VD_OK ? "; " : "",
                   pg != VD_OK ? pg_err.msg : "");
}
