/* A list under a mutex from the loop to the thread, a vd_queue back. */
#include "errand.h"

#include <assert.h>
#include <pthread.h>

#include "alloc.h"
#include "loop_uv.h"
#include "queue.h"

#define DONE_MAX 256 /* errands done that the loop has not taken yet */
#define PAUSE_MS 100 /* before an errand is repeated, or while the loop is behind */

struct vd_errands {
    struct vd_queue *done;
    pthread_t thread;
    void (*on_closed)(void *arg);
    void *arg;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct vd_errand *first, **end;
    bool is_closing;
};

static void append(struct vd_errands *errands, struct vd_errand *errand)
{
    pthread_mutex_lock(&errands->lock);
    errand->next = NULL;
    *errands->end = errand;
    errands->end = &errand->next;
    pthread_cond_signal(&errands->wake);
    pthread_mutex_unlock(&errands->lock);
}

/* The next errand; NULL when there will be none. */
static struct vd_errand *take(struct vd_errands *errands)
{
    struct vd_errand *errand;

    pthread_mutex_lock(&errands->lock);
    while (errands->first == NULL && !errands->is_closing) {
        pthread_cond_wait(&errands->wake, &errands->lock);
    }
    errand = errands->first;
    if (errand != NULL) {
        errands->first = errand->next;
        if (errands->first == NULL) {
            errands->end = &errands->first;
        }
    }
    pthread_mutex_unlock(&errands->lock);
    return errand;
}

static void give_back(struct vd_errands *errands, void *item)
{
    while (vd_queue_push(errands->done, item) != VD_OK) {
        vd_pause_ms(PAUSE_MS);
    }
}

static void *run_thread(void *arg)
{
    struct vd_errands *errands = arg;
    struct vd_errand *errand;

    while ((errand = take(errands)) != NULL) {
        if (errand->run(errand)) {
            give_back(errands, errand);
        } else {
            vd_pause_ms(PAUSE_MS);
            append(errands, errand);
        }
    }
    give_back(errands, errands); /* stands for the end */
    return NULL;
}

static void end(struct vd_errands *errands)
{
    void (*on_closed)(void *arg) = errands->on_closed;
    void *arg = errands->arg;
    int error = pthread_join(errands->thread, NULL);

    assert(error == 0);
    (void)error; /* only asserted */
    vd_queue_close(errands->done, NULL);
    pthread_cond_destroy(&errands->wake);
    pthread_mutex_destroy(&errands->lock);
    free(errands);
    if (on_closed != NULL) {
        on_closed(arg);
    }
}

static void on_item(void *arg, void *item)
{
    struct vd_errands *errands = arg;
    struct vd_errand *errand = item;

    if (item == errands) {
        end(errands);
    } else {
        errand->on_done(errand);
    }
}

struct vd_errands *vd_errands_new(struct vd_loop *loop)
{
    struct vd_errands *errands = vd_alloc(sizeof(*errands));
    int error;

    errands->end = &errands->first;
    pthread_mutex_init(&errands->lock, NULL);
    pthread_cond_init(&errands->wake, NULL);
    errands->done = vd_queue_new(loop, DONE_MAX, on_item, errands);
    error = pthread_create(&errands->thread, NULL, run_thread, errands);
    assert(error == 0); /* no thread left at the start: nothing else would work either */
    (void)error;
    return errands;
}

void vd_errands_submit(struct vd_errands *errands, struct vd_errand *errand)
{
    assert(!errands->is_closing); /* written by the loop only */
    append(errands, errand);
}

void vd_errands_close(struct vd_errands *errands, void (*on_closed)(void *arg), void *arg)
{
    errands->on_closed = on_closed;
    errands->arg = arg;
    pthread_mutex_lock(&errands->lock);
    errands->is_closing = true;
    pthread_cond_signal(&errands->wake);
    pthread_mutex_unlock(&errands->lock);
}
