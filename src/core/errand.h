/* A thread that makes blocking calls for the loop, one after the other. */
#ifndef VD_CORE_ERRAND_H
#define VD_CORE_ERRAND_H

#include <stdbool.h>

#include "loop.h"

struct vd_errands; /* the thread */

/* Embedded in what the errand is about. */
struct vd_errand {
    bool (*run)(struct vd_errand *errand); /* on the thread; false: once more, behind the others */
    void (*on_done)(struct vd_errand *errand); /* on the loop, once; may free the errand */
    struct vd_errand *next;                    /* the thread's own */
};

struct vd_errands *vd_errands_new(struct vd_loop *loop);

/* Owns: the errand, until its on_done. Not after vd_errands_close. */
void vd_errands_submit(struct vd_errands *errands, struct vd_errand *errand);

/* Final: every errand submitted is run to its end first, so those that repeat themselves have to
 * notice. Then on_closed on the loop, or NULL. */
void vd_errands_close(struct vd_errands *errands, void (*on_closed)(void *arg), void *arg);

#endif
