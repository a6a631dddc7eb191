/* All nodes of the application, as each said of itself last on the nodes topic. What a record says
 * is checked and written anew, so nothing but known members of known forms reaches a browser. */
#ifndef VD_DASHBOARD_PIPELINE_H
#define VD_DASHBOARD_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "record.h"
#include "web.h"

#define PIPELINE_FORMAT 1
#define PIPELINE_NODES_MAX 200
#define PIPELINE_RECORD_BYTES 65536      /* a longer one is no node's */
#define PIPELINE_SILENCES 5              /* intervals without a record, and a node is gone; */
#define PIPELINE_SILENCE_MS 5000         /* not before this time, though */
#define PIPELINE_KEPT_MS (24 * 3600000L) /* how long one that is gone or has stopped is shown */
#define PIPELINE_STATE_BYTES 17

struct pipeline_node {
    char *name; /* owned */
    char state[PIPELINE_STATE_BYTES];
    int64_t interval_ms;   /* between two records */
    int64_t heard_ms;      /* of the last record; loop clock, may be negative */
    struct vd_buf members; /* of its JSON object, each but the first behind a comma */
};

struct pipeline {
    const char *application;     /* whose nodes are shown; borrowed */
    bool is_followed;            /* the topology maps the nodes topic */
    struct pipeline_node *nodes; /* owned; by name */
    size_t count;
    int64_t ignored; /* records of other applications, or of a format that is not ours */
    int64_t invalid; /* those that are no record of a node at all */
    int64_t refused; /* those for which there was no room */
    int64_t (*now_ms)(void *arg); /* loop clock */
    void *arg;
};

void pipeline_fini(struct pipeline *pipeline);

/* Take a record of the nodes topic that was news at 'heard_ms'. A tombstone ends its node.
 * Fails: VD_INVALID if it is malformed. Counted, like what is ignored or refused. */
enum vd_status pipeline_take(struct pipeline *pipeline, const struct vd_record *record,
                             int64_t heard_ms, struct vd_err *err) VD_MUST_CHECK;

/* The answer of /api/v1/pipeline. */
void pipeline_write(struct pipeline *pipeline, struct vd_buf *out);

/* Register GET /api/v1/pipeline; 'pipeline' outlives it.
 * Fails: VD_INVALID if it is taken. */
enum vd_status pipeline_serve(struct vd_web *web, struct pipeline *pipeline,
                              struct vd_err *err) VD_MUST_CHECK;

#endif
