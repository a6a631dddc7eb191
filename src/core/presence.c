/* When a node speaks of itself, and what its words are compared with. */
#include "presence.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "node_impl.h"

#define WINDOW_ROUNDS 5 /* records that rates and quantiles reach back */

struct vd_presence {
    struct vd_node *node; /* borrowed */
    struct vd_timer *timer;
    char *key;          /* "APPLICATION.NODE": a node's name has no dot */
    int64_t started_ms; /* UTC */
    /* A ring: the next record is compared with the oldest counts, and replaces them. */
    struct vd_presence_counts rounds[WINDOW_ROUNDS];
    size_t next;
    struct vd_buf record;
    bool is_started;
    bool is_last; /* this record is */
};

/* Every stage has been ready once. */
static bool was_ready(const struct vd_node *node)
{
    for (size_t i = 0; i < node->stage_count; i++) {
        if (!node->stages[i]->was_ready) {
            return false;
        }
    }
    return true;
}

static const char *find_state(const struct vd_presence *presence)
{
    if (presence->is_last) {
        return "stopped";
    }
    if (presence->node->is_draining) {
        return "draining";
    }
    return was_ready(presence->node) ? "running" : "starting";
}

static void write_record(struct vd_presence *presence)
{
    const struct vd_presence_about about = {.state = find_state(presence),
                                            .started_ms = presence->started_ms,
                                            .interval_ms =
                                                presence->node->topology->daemon.nodes_ms};

    vd_node_update_process(presence->node);
    vd_buf_clear(&presence->record);
    vd_presence_write(&presence->record, presence->node, &about, &presence->rounds[presence->next]);
    presence->next = (presence->next + 1) % WINDOW_ROUNDS;
}

static void send_record(struct vd_presence *presence)
{
    struct vd_node *node = presence->node;
    const struct vd_publication record = {.topic = node->topology->nodes_topic->name,
                                          .partition = 0,
                                          .key = presence->key,
                                          .key_len = strlen(presence->key),
                                          .value = presence->record.data,
                                          .value_len = presence->record.len,
                                          .is_fleeting = true};
    struct vd_err err = {0};

    if (vd_publisher_send(node->host.publisher, &record, &err) != VD_OK) {
        vd_debug(node->log, "left out a record of this node: %s", err.msg); /* the next will do */
    }
}

void vd_presence_speak(struct vd_presence *presence)
{
    if (!presence->is_started) {
        return;
    }
    write_record(presence); /* also when it goes nowhere: the window moves on */
    if (!presence->node->broker.is_on) {
        send_record(presence);
    }
    vd_timer_start(presence->timer, presence->node->topology->daemon.nodes_ms);
}

static void on_time(void *arg)
{
    vd_presence_speak(arg);
}

struct vd_presence *vd_presence_new(struct vd_node *node)
{
    struct vd_presence *presence = vd_alloc(sizeof(*presence));

    presence->node = node;
    presence->timer = vd_timer_new(&node->loop, on_time, presence);
    presence->key = vd_format("%s.%s", node->host.application, node->host.node);
    presence->started_ms = vd_wall_ms();
    for (size_t i = 0; i < WINDOW_ROUNDS; i++) {
        presence->rounds[i].at_ms = vd_loop_now_ms(&node->loop);
    }
    return presence;
}

void vd_presence_start(struct vd_presence *presence)
{
    presence->is_started = presence->node->topology->nodes_topic != NULL;
    vd_presence_speak(presence);
}

void vd_presence_close(struct vd_presence *presence)
{
    presence->is_last = true;
    vd_presence_speak(presence);
    vd_timer_close(presence->timer);
    for (size_t i = 0; i < WINDOW_ROUNDS; i++) {
        free(presence->rounds[i].values);
    }
    vd_buf_fini(&presence->record);
    free(presence->key);
    free(presence);
}
