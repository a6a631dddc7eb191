/* A bounded queue from any thread to the loop. Wake-ups coalesce. */
#ifndef VD_CORE_QUEUE_H
#define VD_CORE_QUEUE_H

#include <stddef.h>

#include "err.h"
#include "loop.h"

struct vd_queue;

typedef void vd_queue_fn(void *arg, void *item);

/* A queue of at most 'items_max' (> 0) whose items are given to 'on_item' on the loop, oldest
 * first; on_item may push and close. Owns: the caller, who ends it with vd_queue_close when no
 * thread pushes any more. */
struct vd_queue *vd_queue_new(struct vd_loop *loop, size_t items_max, vd_queue_fn *on_item,
                              void *arg);

/* Add one item and wake the loop.
 * Owns:   takes 'item' on VD_OK; otherwise it is still the caller's.
 * Fails:  VD_AGAIN while items_max wait.
 * Thread: any. */
enum vd_status vd_queue_push(struct vd_queue *queue, void *item) VD_MUST_CHECK;

/* Final: on_item is not called again. Items still waiting are given to 'release' (NULL: dropped)
 * before this returns; memory goes when the loop turns. NULL is accepted. */
void vd_queue_close(struct vd_queue *queue, void (*release)(void *item));

#endif
