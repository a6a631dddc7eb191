/* The loop as core sees it; not installed. */
#ifndef VD_CORE_LOOP_UV_H
#define VD_CORE_LOOP_UV_H

#include <uv.h>

#include "loop.h"

struct vd_loop {
    uv_loop_t uv;
};

void vd_loop_init(struct vd_loop *loop);

/* Monotonic milliseconds, not cached. Thread: any. */
int64_t vd_mono_ms(void);

/* Block this thread; a signal may end it early. Thread: any but the loop. */
void vd_pause_ms(int64_t ms);

/* Every handle must be closed before; asserts that none is left. */
void vd_loop_fini(struct vd_loop *loop);

#endif
