/* A bounded queue from any thread to the loop, or from the loop to one thread. Wake-ups coalesce. */
#ifndef VD_CORE_QUEUE_H
#define VD_CORE_QUEUE_H

#include <stddef.h>

#include "err.h"
#include "loop.h"

struct vd_queue;

typedef void vd_queue_fn(void *arg, void *item);

/* A queue whose items are given to 'on_item' on the loop, oldest first.
 * Owns: the caller, who ends it with vd_queue_close when no thread pushes any more. */
struct vd_queue *vd_queue_new(struct vd_loop *loop, size_t items_max, vd_queue_fn *on_item, void *arg);

/* Add one item and wake the loop.
 * Owns:   takes 'item' on VD_OK; otherwise it is still the caller's.
 * Fails:  VD_AGAIN while items_max wait.
 * Thread: any. */
enum vd_status vd_queue_push(struct vd_queue *queue, void *item) VD_MUST_CHECK;

/* Final. Items still waiting are given to 'release'. */
void vd_queue_close(struct vd_queue *queue, void (*release)(void *item));

#endif
