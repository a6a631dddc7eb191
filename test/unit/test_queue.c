#include "queue.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "loop_uv.h"

#include "test.h"

#define THREADS 8
#define ITEMS_EACH 5000
#define QUEUE_MAX 64

struct scene {
    struct vd_loop loop;
    struct vd_queue *queue;
    int taken;
    int taken_max; /* close at this many; 0: never */
    int released;
    int order[8];
};

static int numbers[] = {0, 1, 2, 3, 4, 5, 6, 7};
static struct scene *now; /* for release, which has no argument */

static void on_release(void *item)
{
    (void)item;
    now->released++;
}

static void on_item(void *arg, void *item)
{
    struct scene *scene = arg;

    scene->order[scene->taken++] = *(int *)item;
    if (scene->taken == scene->taken_max) {
        vd_queue_close(scene->queue, on_release);
    }
}

static void begin(struct scene *scene, size_t items_max)
{
    now = scene;
    vd_loop_init(&scene->loop);
    scene->queue = vd_queue_new(&scene->loop, items_max, on_item, scene);
}

TEST(items_come_in_order)
{
    struct scene scene = {.taken_max = 5};

    begin(&scene, 8);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(vd_queue_push(scene.queue, &numbers[i]), VD_OK);
    }
    assert_int_equal(scene.taken, 0);
    uv_run(&scene.loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(scene.taken, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(scene.order[i], i);
    }
    assert_int_equal(uv_loop_close(&scene.loop.uv), 0);
}

TEST(a_full_queue_leaves_the_item_to_its_owner)
{
    struct scene scene = {0};

    begin(&scene, 2);
    assert_int_equal(vd_queue_push(scene.queue, &numbers[0]), VD_OK);
    assert_int_equal(vd_queue_push(scene.queue, &numbers[1]), VD_OK);
    assert_int_equal(vd_queue_push(scene.queue, &numbers[2]), VD_AGAIN);
    uv_run(&scene.loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(scene.taken, 2);
    assert_int_equal(vd_queue_push(scene.queue, &numbers[2]), VD_OK);
    vd_queue_close(scene.queue, on_release);
    assert_int_equal(scene.released, 1);
    uv_run(&scene.loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(scene.taken, 2);
    assert_int_equal(uv_loop_close(&scene.loop.uv), 0);
}

TEST(a_queue_closed_by_its_own_item_gives_no_more)
{
    struct scene scene = {.taken_max = 2};

    begin(&scene, 8);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(vd_queue_push(scene.queue, &numbers[i]), VD_OK);
    }
    uv_run(&scene.loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(scene.taken, 2);
    assert_int_equal(scene.released, 4);
    assert_int_equal(uv_loop_close(&scene.loop.uv), 0);
}

TEST(close_accepts_null_and_no_release)
{
    struct scene scene = {0};

    begin(&scene, 1);
    assert_int_equal(vd_queue_push(scene.queue, &numbers[0]), VD_OK);
    vd_queue_close(scene.queue, NULL);
    vd_queue_close(NULL, NULL);
    uv_run(&scene.loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&scene.loop.uv), 0);
}

struct crowd {
    struct vd_loop loop;
    struct vd_queue *queue;
    int last[THREADS];
    int total;
};

struct item {
    struct crowd *crowd;
    int thread;
    int number;
};

static struct item items[THREADS][ITEMS_EACH];

static void on_crowd_item(void *arg, void *pushed)
{
    struct crowd *crowd = arg;
    struct item *item = pushed;

    assert_int_equal(item->number, crowd->last[item->thread] + 1);
    crowd->last[item->thread] = item->number;
    if (++crowd->total == THREADS * ITEMS_EACH) {
        vd_queue_close(crowd->queue, NULL);
    }
}

static void *push_items(void *arg)
{
    struct item *own = arg;

    for (int i = 0; i < ITEMS_EACH; i++) {
        own[i].number = i + 1; /* not atomic: the queue must order it before on_item */
        while (vd_queue_push(own[i].crowd->queue, &own[i]) == VD_AGAIN) {
            sched_yield();
        }
    }
    return NULL;
}

TEST(many_threads_lose_nothing_and_keep_their_order)
{
    struct crowd crowd = {0};
    pthread_t threads[THREADS];

    vd_loop_init(&crowd.loop);
    crowd.queue = vd_queue_new(&crowd.loop, QUEUE_MAX, on_crowd_item, &crowd);
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < ITEMS_EACH; i++) {
            items[t][i] = (struct item){.crowd = &crowd, .thread = t};
        }
        assert_int_equal(pthread_create(&threads[t], NULL, push_items, items[t]), 0);
    }
    uv_run(&crowd.loop.uv, UV_RUN_DEFAULT);
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
        assert_int_equal(crowd.last[t], ITEMS_EACH);
    }
    assert_int_equal(uv_loop_close(&crowd.loop.uv), 0);
}

RUN_TESTS(cmocka_unit_test(items_come_in_order),
          cmocka_unit_test(a_full_queue_leaves_the_item_to_its_owner),
          cmocka_unit_test(a_queue_closed_by_its_own_item_gives_no_more),
          cmocka_unit_test(close_accepts_null_and_no_release),
          cmocka_unit_test(many_threads_lose_nothing_and_keep_their_order))
