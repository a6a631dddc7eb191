/* The loop as core sees it; not installed. */
#ifndef VD_CORE_LOOP_UV_H
#define VD_CORE_LOOP_UV_H

#include <uv.h>

#include "loop.h"

struct vd_loop {
    uv_loop_t uv;
};

void vd_loop_init(struct vd_loop *loop);

/* Every handle must be closed before; asserts that none is left. */
void vd_loop_fini(struct vd_loop *loop);

#endif
