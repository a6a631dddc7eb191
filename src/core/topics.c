/* Topics as the topology declares them: created where missing, compared where they exist. */
#include <assert.h>
#include <string.h>

#include "alloc.h"
#include "kafka_inside.h"
#include "loop_uv.h"
#include "queue.h"
#include "topics_admin.h"

#define ROUND_MS 5000         /* of one attempt on the thread */
#define PAUSE_MS 100          /* between two attempts, doubling ... */
#define PAUSE_MAX_MS 2000     /* ... up to this */
#define SLICE_MS 50           /* how soon a pause notices that it is cancelled */
#define WAITING_EVERY_MS 5000 /* between two calls of on_waiting */
#define NOTES_MAX 8           /* from the thread to the loop */

/* What the thread tells the loop. */
struct note {
    bool is_done;
    struct vd_err err;
};

struct vd_topics_run {
    struct vd_kafka *kafka;
    struct vd_topic_conf **topics; /* the caller's, in an array of our own */
    struct vd_topics_ask ask;      /* the thread's until it is joined, with copies */
    atomic_bool is_cancelled;
    pthread_t thread;
    struct vd_queue *queue;
    struct vd_topics_events events;
    struct vd_topics_run *next;
};

static struct vd_topic_conf *copy_topics(struct vd_topic_conf *const *topics, size_t count)
{
    struct vd_topic_conf *copies = vd_alloc_array(count, sizeof(*copies));

    for (size_t i = 0; i < count; i++) {
        copies[i] = *topics[i];
        copies[i].name = vd_strdup(topics[i]->name);
        copies[i].cleanup = vd_strdup(topics[i]->cleanup);
    }
    return copies;
}

static void close_client(struct vd_topics_ask *ask)
{
    if (ask->rk != NULL) {
        rd_kafka_destroy_flags(vd_take(ask->rk), RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
}

static void free_topics(struct vd_topics_ask *ask)
{
    for (size_t i = 0; i < ask->count; i++) {
        free(ask->topics[i].name);
        free(ask->topics[i].cleanup);
    }
    free(ask->topics);
}

static void nap(int64_t ms, const atomic_bool *is_cancelled)
{
    for (; ms > 0 && (is_cancelled == NULL || !atomic_load(is_cancelled)); ms -= SLICE_MS) {
        vd_pause_ms(SLICE_MS);
    }
}

/* Try until it is decided, cancelled, or 'deadline_ms' on the monotonic clock has passed (0: none).
 * 'tell' hears of each attempt that has to be repeated. */
static enum vd_status try_until_decided(struct vd_topics_ask *ask, int64_t deadline_ms,
                                        void (*tell)(void *arg, const struct vd_err *err),
                                        void *arg, struct vd_err *err)
{
    int64_t pause_ms = PAUSE_MS;
    enum vd_status status;

    for (;;) {
        const int64_t left_ms = deadline_ms == 0 ? ROUND_MS : deadline_ms - vd_mono_ms();

        status = vd_topics_round(ask, left_ms < ROUND_MS ? (int)left_ms : ROUND_MS, err);
        if (status == VD_OK || status == VD_INVALID) {
            return status;
        }
        if (tell != NULL) {
            tell(arg, err);
        }
        if ((ask->is_cancelled != NULL && atomic_load(ask->is_cancelled)) ||
            (deadline_ms != 0 && vd_mono_ms() + pause_ms >= deadline_ms)) {
            return VD_FAILED;
        }
        nap(pause_ms, ask->is_cancelled);
        pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
    }
}

/* ---- on the thread --------------------------------------------------------------------------- */

struct telling {
    struct vd_topics_run *run;
    int64_t next_ms; /* monotonic; not earlier */
};

static void tell_waiting(void *arg, const struct vd_err *err)
{
    struct telling *telling = arg;
    const int64_t now_ms = vd_mono_ms();
    struct note *note;

    if (now_ms < telling->next_ms) {
        return;
    }
    telling->next_ms = now_ms + WAITING_EVERY_MS;
    note = vd_alloc(sizeof(*note));
    note->err = *err;
    if (vd_queue_push(telling->run->queue, note) != VD_OK) {
        free(note); /* the loop is behind: it has enough of these to read */
    }
}

static void *run_thread(void *arg)
{
    struct vd_topics_run *run = arg;
    struct telling telling = {.run = run,
                              .next_ms = vd_mono_ms() + run->kafka->conf->topic_wait_ms};
    struct note *note = vd_alloc(sizeof(*note));
    enum vd_status status = vd_topics_open(&run->ask, run->kafka, &note->err);

    note->is_done = true;
    if (status == VD_OK) {
        status = try_until_decided(&run->ask, 0, tell_waiting, &telling, &note->err);
    }
    note->err.status = status;
    close_client(&run->ask); /* here: it may take a moment */
    while (vd_queue_push(run->queue, note) != VD_OK) {
        if (atomic_load(&run->is_cancelled)) {
            free(note);
            return NULL;
        }
        nap(SLICE_MS, &run->is_cancelled);
    }
    return NULL;
}

/* ---- on the loop ----------------------------------------------------------------------------- */

static void end_run(struct vd_topics_run *run)
{
    struct vd_topics_run **at = &run->kafka->runs;
    int error;

    atomic_store(&run->is_cancelled, true);
    error = pthread_join(run->thread, NULL);
    assert(error == 0);
    (void)error; /* only asserted */
    while (*at != run) {
        at = &(*at)->next;
    }
    *at = run->next;
    vd_queue_close(run->queue, free);
    free_topics(&run->ask);
    free(run->topics);
    free(run);
}

static void on_note(void *arg, void *item)
{
    struct vd_topics_run *run = arg;
    struct note *note = item;
    const struct vd_topics_events events = run->events;

    if (!note->is_done) {
        events.on_waiting(events.arg, &note->err);
    } else {
        for (size_t i = 0; i < run->ask.count; i++) {
            run->topics[i]->partitions_found = run->ask.topics[i].partitions_found;
        }
        end_run(run); /* first: on_done may free the node's vd_kafka */
        events.on_done(events.arg, note->err.status == VD_OK ? NULL : &note->err);
    }
    free(note);
}

void vd_topics_ensure(struct vd_kafka *kafka, struct vd_topic_conf *const *topics, size_t count,
                      const struct vd_topics_events *events)
{
    struct vd_topics_run *run = vd_alloc(sizeof(*run));
    int error;

    run->kafka = kafka;
    run->topics = vd_alloc_array(count, sizeof(*run->topics));
    for (size_t i = 0; i < count; i++) {
        run->topics[i] = topics[i];
    }
    run->ask = (struct vd_topics_ask){.conf = kafka->conf,
                                      .log = kafka->log,
                                      .topics = copy_topics(topics, count),
                                      .count = count,
                                      .is_cancelled = &run->is_cancelled};
    run->events = *events;
    run->queue = vd_queue_new(kafka->loop, NOTES_MAX, on_note, run);
    run->next = kafka->runs;
    kafka->runs = run;
    error = pthread_create(&run->thread, NULL, run_thread, run);
    assert(error == 0); /* no thread left at the start: nothing else would work either */
    (void)error;
}

void vd_topics_cancel(struct vd_kafka *kafka)
{
    while (kafka->runs != NULL) {
        end_run(kafka->runs);
    }
}

/* Ask about copies of 'topics' and fill in what was found. */
static enum vd_status ask_blocking(struct vd_topics_ask *ask, struct vd_kafka *kafka,
                                   struct vd_topic_conf *const *topics, int timeout_ms,
                                   struct vd_err *err)
{
    enum vd_status status = vd_topics_open(ask, kafka, err);

    if (status == VD_OK) {
        status = try_until_decided(ask, vd_mono_ms() + timeout_ms, NULL, NULL, err);
    }
    for (size_t i = 0; i < ask->count; i++) {
        topics[i]->partitions_found = ask->topics[i].partitions_found;
    }
    close_client(ask);
    free_topics(ask);
    return status;
}

enum vd_status vd_topics_compare(struct vd_kafka *kafka, struct vd_topic_conf *const *topics,
                                 size_t count, int timeout_ms, struct vd_err *err)
{
    struct vd_topics_ask ask = {.conf = kafka->conf,
                                .log = kafka->log,
                                .topics = copy_topics(topics, count),
                                .count = count,
                                .is_dry = true};

    return ask_blocking(&ask, kafka, topics, timeout_ms, err);
}

enum vd_status vd_topics_look(struct vd_kafka *kafka, struct vd_topic_conf *const *topics,
                              size_t count, int timeout_ms, struct vd_err *err)
{
    struct vd_topics_ask ask = {.conf = kafka->conf,
                                .log = kafka->log,
                                .topics = copy_topics(topics, count),
                                .count = count,
                                .is_look = true};

    return ask_blocking(&ask, kafka, topics, timeout_ms, err);
}

enum vd_status vd_topics_purge(struct vd_kafka *kafka, const rd_kafka_topic_partition_list_t *list,
                               int timeout_ms, struct vd_err *err)
{
    struct vd_topics_ask ask = {.conf = kafka->conf, .log = kafka->log};
    enum vd_status status = vd_topics_open(&ask, kafka, err);

    if (status == VD_OK) {
        status = vd_topics_delete_before(&ask, list, timeout_ms, err);
    }
    close_client(&ask);
    return status;
}
