/* Pictures of the past: the totals of every table at one moment of event time, from what the
 * history keeps. What it does not keep is null. An answer is made once for each step of the
 * history's axis and kept until a total of it changes, unless it is long. All on the loop thread.
 */
#ifndef VD_DASHBOARD_PAST_H
#define VD_DASHBOARD_PAST_H

#include <stdint.h>

#include "buf.h"
#include "history.h"
#include "picture.h"

#define PAST_KEPT 16                  /* answers */
#define PAST_KEPT_BYTES (64UL * 1024) /* a longer one is made each time */

/* One answer. */
struct past_answer {
    uint64_t number;    /* of those that were kept; 0: is none of them */
    uint64_t texts_seq; /* of the picture whose rows it has */
    int64_t as_of_ms;
    int64_t step_ms;
    struct vd_buf body; /* owned */
};

/* Zeroed but for what is borrowed. */
struct past {
    const struct picture *picture;      /* borrowed, like the history */
    struct history *history;            /* this is who asks for its news */
    uint64_t made;                      /* answers that were kept so far */
    struct past_answer kept[PAST_KEPT]; /* a ring by number */
    struct past_answer large;           /* the last one that was not */
};

void past_fini(struct past *past);

/* The picture as it was at 'at_ms', as JSON (wire.h): of a time before all that is known, the step
 * before it; of a later one, the newest.
 * Owns: 'past', until the next call. */
const struct past_answer *past_at(struct past *past, int64_t at_ms);

#endif
