/* The event loop of the process, and its two clocks. */
#ifndef VD_CORE_LOOP_H
#define VD_CORE_LOOP_H

#include <stdint.h>

#include "err.h"

struct vd_loop; /* in front of uv_loop_t; see loop_uv.h inside core */

/* Milliseconds that only go forward, from an arbitrary start; cached per turn of the loop. */
VD_API int64_t vd_loop_now_ms(const struct vd_loop *loop);

/* Wall clock: milliseconds since 1970 UTC. Thread: any. */
VD_API int64_t vd_wall_ms(void);

/* Monotonic nanoseconds, not cached. Thread: any. */
VD_API int64_t vd_mono_ns(void);

#endif
