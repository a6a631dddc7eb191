/* What a node says of itself to all others: a small record on the nodes topic, under its name,
 * again and again, so that one page can show every node. It is telemetry: it goes out beside all
 * transactions, waits for nobody, and its loss does no harm. */
#ifndef VD_CORE_PRESENCE_H
#define VD_CORE_PRESENCE_H

#include <stdint.h>

#include "buf.h"

struct vd_node;
struct vd_presence; /* of one node */

/* Nothing is said before vd_presence_start. Owns: the caller ends it with vd_presence_close. */
struct vd_presence *vd_presence_new(struct vd_node *node);

/* The topics are there: speak now, and every nodes_ms from now on. */
void vd_presence_start(struct vd_presence *presence);

/* Speak now, since something has changed. */
void vd_presence_speak(struct vd_presence *presence);

/* Final: say that the node has stopped. Never blocks; the publisher is still open. */
void vd_presence_close(struct vd_presence *presence);

/* ---- presence_record.c ----------------------------------------------------------------------- */

#define VD_PRESENCE_FORMAT 1

/* Every count of a record at one moment, in the order in which the record has them. Zeroed is the
 * moment at which all were 0. */
struct vd_presence_counts {
    int64_t at_ms;   /* loop clock */
    int64_t *values; /* owned */
    size_t count;
};

struct vd_presence_about {
    const char *state;   /* "starting", "running", "draining" or "stopped" */
    int64_t started_ms;  /* UTC; with the name it tells this process from all others */
    int64_t interval_ms; /* until the next record */
};

/* Write the record of 'node' as JSON, integers only: [total, recent] pairs count from the start and
 * since 'counts', quantiles since then, too. Afterwards 'counts' are those of this record. */
void vd_presence_write(struct vd_buf *out, const struct vd_node *node,
                       const struct vd_presence_about *about, struct vd_presence_counts *counts);

#endif
