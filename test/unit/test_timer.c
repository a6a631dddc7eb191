#include "timer.h"

#include "loop_uv.h"

#include "test.h"

struct clockwork {
    struct vd_loop loop;
    struct vd_timer *timer, *other;
    int rings;
    int again; /* rings that start the timer anew */
};

static void on_ring(void *arg)
{
    struct clockwork *clock = arg;

    clock->rings++;
    if (clock->rings <= clock->again) {
        vd_timer_start(clock->timer, 1);
    }
}

static void on_last_ring(void *arg)
{
    struct clockwork *clock = arg;

    clock->rings++;
    vd_timer_close(clock->timer);
    vd_timer_close(clock->other);
}

TEST(a_timer_rings_once)
{
    struct clockwork clock = {0};
    int64_t start;

    vd_loop_init(&clock.loop);
    start = vd_loop_now_ms(&clock.loop);
    clock.timer = vd_timer_new(&clock.loop, on_ring, &clock);
    assert_false(vd_timer_is_active(clock.timer));
    vd_timer_start(clock.timer, 5);
    assert_true(vd_timer_is_active(clock.timer));
    uv_run(&clock.loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(clock.rings, 1);
    assert_false(vd_timer_is_active(clock.timer));
    assert_true(vd_loop_now_ms(&clock.loop) >= start + 5);
    vd_timer_close(clock.timer);
    uv_run(&clock.loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&clock.loop.uv), 0);
}

TEST(a_timer_may_be_started_by_its_own_ring)
{
    struct clockwork clock = {.again = 3};

    vd_loop_init(&clock.loop);
    clock.timer = vd_timer_new(&clock.loop, on_ring, &clock);
    vd_timer_start(clock.timer, -7);
    uv_run(&clock.loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(clock.rings, 4);
    vd_timer_close(clock.timer);
    uv_run(&clock.loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&clock.loop.uv), 0);
}

TEST(a_later_start_replaces_the_earlier_one)
{
    struct clockwork clock = {0};

    vd_loop_init(&clock.loop);
    clock.timer = vd_timer_new(&clock.loop, on_ring, &clock);
    vd_timer_start(clock.timer, 1000000);
    vd_timer_start(clock.timer, 1);
    uv_run(&clock.loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(clock.rings, 1);
    vd_timer_close(clock.timer);
    uv_run(&clock.loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&clock.loop.uv), 0);
}

TEST(a_stopped_timer_does_not_ring)
{
    struct clockwork clock = {0};

    vd_loop_init(&clock.loop);
    clock.timer = vd_timer_new(&clock.loop, on_ring, &clock);
    vd_timer_start(clock.timer, 1);
    vd_timer_stop(clock.timer);
    uv_run(&clock.loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(clock.rings, 0);
    vd_timer_close(clock.timer);
    uv_run(&clock.loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&clock.loop.uv), 0);
}

TEST(a_timer_that_is_due_but_closed_does_not_ring)
{
    struct clockwork clock = {0};

    vd_loop_init(&clock.loop);
    clock.timer = vd_timer_new(&clock.loop, on_last_ring, &clock);
    clock.other = vd_timer_new(&clock.loop, on_ring, &clock);
    vd_timer_start(clock.timer, 1);
    vd_timer_start(clock.other, 1);
    uv_run(&clock.loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(clock.rings, 1);
    vd_timer_close(NULL);
    assert_int_equal(uv_loop_close(&clock.loop.uv), 0);
}

TEST(the_clocks_go_forward)
{
    int64_t mono = vd_mono_ns();
    int64_t wall = vd_wall_ms();

    assert_true(wall > INT64_C(1600000000000));
    assert_true(vd_mono_ns() >= mono);
}

RUN_TESTS(cmocka_unit_test(a_timer_rings_once),
          cmocka_unit_test(a_timer_may_be_started_by_its_own_ring),
          cmocka_unit_test(a_later_start_replaces_the_earlier_one),
          cmocka_unit_test(a_stopped_timer_does_not_ring),
          cmocka_unit_test(a_timer_that_is_due_but_closed_does_not_ring),
          cmocka_unit_test(the_clocks_go_forward))
