/* One-shot timers: uv_timer_t with its memory. */
#include "timer.h"

#include <assert.h>

#include "alloc.h"
#include "loop_uv.h"

struct vd_timer {
    uv_timer_t uv;
    vd_timer_fn *on_time;
    void *arg;
};

struct vd_timer *vd_timer_new(struct vd_loop *loop, vd_timer_fn *on_time, void *arg)
{
    struct vd_timer *timer = vd_alloc(sizeof(*timer));

    timer->on_time = on_time;
    timer->arg = arg;
    (void)uv_timer_init(&loop->uv, &timer->uv); /* always 0 */
    timer->uv.data = timer;
    return timer;
}

static void on_uv_timer(uv_timer_t *handle)
{
    struct vd_timer *timer = handle->data;

    timer->on_time(timer->arg);
}

void vd_timer_start(struct vd_timer *timer, int64_t ms)
{
    int error = uv_timer_start(&timer->uv, on_uv_timer, ms > 0 ? (uint64_t)ms : 0, 0);

    assert(error == 0); /* only a closed timer refuses */
    (void)error;
}

void vd_timer_stop(struct vd_timer *timer)
{
    (void)uv_timer_stop(&timer->uv); /* always 0 */
}

bool vd_timer_is_active(const struct vd_timer *timer)
{
    return uv_is_active((const uv_handle_t *)&timer->uv) != 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void vd_timer_close(struct vd_timer *timer)
{
    if (timer != NULL) {
        uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
    }
}
