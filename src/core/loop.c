/* The loop and its clocks. */
#include "loop.h"

#include <assert.h>
#include <time.h>

#include "loop_uv.h"

void vd_loop_init(struct vd_loop *loop)
{
    int error = uv_loop_init(&loop->uv);

    assert(error == 0); /* no descriptors left before anything was opened */
    (void)error;
}

void vd_loop_fini(struct vd_loop *loop)
{
    int error = uv_loop_close(&loop->uv);

    assert(error == 0); /* a handle was left open */
    (void)error;
}

int64_t vd_loop_now_ms(const struct vd_loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

int64_t vd_wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t vd_mono_ns(void)
{
    return (int64_t)uv_hrtime();
}

int64_t vd_mono_ms(void)
{
    return vd_mono_ns() / 1000000;
}

void vd_pause_ms(int64_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&pause, NULL); /* woken early: whoever waits looks once more */
}
