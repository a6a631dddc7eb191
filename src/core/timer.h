/* One-shot timers on the loop. */
#ifndef VD_CORE_TIMER_H
#define VD_CORE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "loop.h"

struct vd_timer;

typedef void vd_timer_fn(void *arg);

/* Owns: the caller, who ends it with vd_timer_close. */
VD_API struct vd_timer *vd_timer_new(struct vd_loop *loop, vd_timer_fn *on_time, void *arg);

/* Call on_time once, in 'ms' milliseconds; an earlier appointment is replaced. */
VD_API void vd_timer_start(struct vd_timer *timer, int64_t ms);
VD_API void vd_timer_stop(struct vd_timer *timer);
VD_API bool vd_timer_is_active(const struct vd_timer *timer);

/* Final: on_time is not called again; memory goes when the loop turns. NULL is accepted. */
VD_API void vd_timer_close(struct vd_timer *timer);

#endif
