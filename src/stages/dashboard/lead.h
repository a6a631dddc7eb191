/* The replay that an operator leads: the moment of the past that all pages show which follow it.
 * It is part of what a picture says beside its rows, so it comes in the same order by the same
 * ways, and the count knows nothing of it. All on the loop thread. */
#ifndef VD_DASHBOARD_LEAD_H
#define VD_DASHBOARD_LEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define LEAD_SPEED_MAX 1000
#define LEAD_NAME_BYTES 64 /* of an operator's name, with its end */

/* Zeroed: nobody leads. Times are UTC milliseconds. */
struct lead {
    bool is_on;
    bool is_running;
    int64_t at_ms;            /* event time of the moment that is shown at 'since_ms' */
    int64_t since_ms;         /* wall clock of the last action */
    int64_t speed;            /* 1 to LEAD_SPEED_MAX, kept while it stands still */
    int64_t began_ms;         /* wall clock of the action before which nobody led */
    char by[LEAD_NAME_BYTES]; /* who acted last */
};

/* What an action is judged by. */
struct lead_world {
    int64_t now_ms;    /* wall clock */
    int64_t newest_ms; /* event time of the newest total: there is nothing beyond; 0: unknown */
};

/* Do what 'body' asks for as 'by': a JSON object with "action", which is start, pause, seek or
 * stop, and but for stop "at_ms" and "speed"; what is left out stays as it is. Fails: VD_INVALID,
 * naming the field and its remedy; 'lead' stays as it is. */
enum vd_status lead_act(struct lead *lead, const char *body, const char *by,
                        const struct lead_world *world, struct vd_err *err) VD_MUST_CHECK;

/* The moment that is due now. */
int64_t lead_position(const struct lead *lead, const struct lead_world *world);

/* At the newest total it stands still. True if it does so from now on. */
bool lead_settle(struct lead *lead, const struct lead_world *world);

#endif
