/* A ring under a mutex, and uv_async_send. While items wait, either a wake-up is pending or the
 * loop is taking them: only a push into an empty ring has to wake the loop. */
#include "queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>

#include "alloc.h"
#include "loop_uv.h"

struct vd_queue {
    uv_async_t async;
    vd_queue_fn *on_item;
    void *arg;
    bool is_closed; /* the loop's */

    pthread_mutex_t lock; /* of what follows */
    void **items;         /* ring */
    size_t items_max;
    size_t first, count;
};

/* Take the oldest item; false if there is none. */
static bool pop(struct vd_queue *queue, void **item)
{
    bool is_there;

    pthread_mutex_lock(&queue->lock);
    is_there = queue->count > 0;
    if (is_there) {
        *item = queue->items[queue->first];
        queue->first = (queue->first + 1) % queue->items_max;
        queue->count--;
    }
    pthread_mutex_unlock(&queue->lock);
    return is_there;
}

static size_t waiting(struct vd_queue *queue)
{
    size_t count;

    pthread_mutex_lock(&queue->lock);
    count = queue->count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}

/* No more than waited at the start: threads that push without pause must not hold up the rest of
 * the loop. */
static void drain(struct vd_queue *queue)
{
    void *item = NULL;

    for (size_t left = waiting(queue); left > 0 && !queue->is_closed; left--) {
        if (!pop(queue, &item)) {
            return;
        }
        queue->on_item(queue->arg, item);
    }
    if (!queue->is_closed && waiting(queue) > 0) {
        (void)uv_async_send(&queue->async); /* fails only on a handle of another type */
    }
}

static void on_async(uv_async_t *handle)
{
    drain(handle->data);
}

struct vd_queue *vd_queue_new(struct vd_loop *loop, size_t items_max, vd_queue_fn *on_item,
                              void *arg)
{
    struct vd_queue *queue = vd_alloc(sizeof(*queue));
    int error;

    assert(items_max > 0);
    queue->items = vd_alloc_array(items_max, sizeof(*queue->items));
    queue->items_max = items_max;
    queue->on_item = on_item;
    queue->arg = arg;
    pthread_mutex_init(&queue->lock, NULL);
    error = uv_async_init(&loop->uv, &queue->async, on_async);
    assert(error == 0); /* no descriptors left for the loop's first wake-up */
    (void)error;
    queue->async.data = queue;
    return queue;
}

enum vd_status vd_queue_push(struct vd_queue *queue, void *item)
{
    enum vd_status status = VD_AGAIN;

    pthread_mutex_lock(&queue->lock);
    if (queue->count < queue->items_max) {
        queue->items[(queue->first + queue->count) % queue->items_max] = item;
        if (queue->count++ == 0) {
            /* Under the lock: the loop may close the queue as soon as it has this item. */
            (void)uv_async_send(&queue->async); /* fails only on a handle of another type */
        }
        status = VD_OK;
    }
    pthread_mutex_unlock(&queue->lock);
    return status;
}

static void on_queue_closed(uv_handle_t *handle)
{
    struct vd_queue *queue = handle->data;

    pthread_mutex_destroy(&queue->lock);
    free(queue->items);
    free(queue);
}

void vd_queue_close(struct vd_queue *queue, void (*release)(void *item))
{
    void *item = NULL;

    if (queue == NULL) {
        return;
    }
    assert(!queue->is_closed);
    queue->is_closed = true;
    while (pop(queue, &item)) {
        if (release != NULL) {
            release(item);
        }
    }
    uv_close((uv_handle_t *)&queue->async, on_queue_closed);
}
