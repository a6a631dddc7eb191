/* Something that is wrong for a while: said once it has lasted, again now and then, and once when
 * it is over. What is over sooner than it is said is not said at all. */
#ifndef VD_CORE_TROUBLE_H
#define VD_CORE_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define VD_DURATION_BYTES 32

/* One of several that are hit by a trouble, such as a connection to a server. Zeroed before its
 * first use. */
struct vd_witness {
    struct vd_witness *next; /* in the trouble's list, while it is hit */
    bool is_hit;
    char cause[VD_ERR_MSG_BYTES];
};

struct vd_trouble {
    int64_t grace_ms;      /* how long it lasts before it is said */
    bool is_on;            /* it is wrong now ... */
    int64_t since_ms;      /* ... since then, on the loop's clock ... */
    int64_t since_wall_ms; /* ... and on the wall's */
    int64_t lasted_ms;     /* how long it has lasted, or did in the end */
    char cause[VD_ERR_MSG_BYTES];
    bool is_told;
    int64_t pause_ms, next_ms; /* until it is said again, and when */
    struct vd_witness *hit;    /* borrowed; by vd_trouble_tell */
};

enum vd_trouble_news {
    VD_TROUBLE_NO_NEWS,
    VD_TROUBLE_BEGUN,
    VD_TROUBLE_LASTS,
    VD_TROUBLE_OVER,
};

/* It is wrong, by the newest cause; NULL: it is not, or not any more. */
void vd_trouble_set(struct vd_trouble *trouble, const char *cause, int64_t now_ms);

/* The same for one of several: it is wrong as long as it is for any of them, and the cause is what
 * all of them say, each word once. 'witness' is borrowed until it says NULL. */
void vd_trouble_tell(struct vd_trouble *trouble, struct vd_witness *witness, const char *cause,
                     int64_t now_ms);

/* What is to be said now, if anything. Each is returned once: whoever asks says it. */
enum vd_trouble_news vd_trouble_news(struct vd_trouble *trouble, int64_t now_ms);

/* "4 s", "2 min", "1 h 5 min". */
void vd_duration_format(int64_t ms, char text[VD_DURATION_BYTES]);

#endif
