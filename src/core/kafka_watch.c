/* A question a second to any broker, on the errands' thread. */
#include "kafka_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "kafka_inside.h"
#include "loop_uv.h"

#define ANSWER_MS 1000         /* for an answer */
#define FAILURE_GRACE_MS 5000  /* a connection that fails is said after so long ... */
#define FAILURE_QUIET_MS 60000 /* ... and then so often */

struct vd_kafka_watch {
    struct vd_kafka *kafka; /* borrowed, like the next three */
    struct vd_loop *loop;
    struct vd_errands *errands;
    struct vd_trouble *trouble;
    struct vd_errand errand;
    bool is_asking;
    struct vd_err answer; /* the errand's until it is done */
    int64_t quiet_ms;     /* no word about single connections until then; loop clock */
};

static bool run_ping(struct vd_errand *errand)
{
    struct vd_kafka_watch *watch = vd_owner(errand, struct vd_kafka_watch, errand);

    watch->answer = (struct vd_err){0};
    (void)!vd_kafka_ping(watch->kafka, ANSWER_MS, &watch->answer); /* the answer says it */
    return true;
}

/* The library says only that nobody answered; why, its log has said. */
static void add_cause(struct vd_kafka *kafka, struct vd_err *err)
{
    pthread_mutex_lock(&kafka->lock);
    if (err->status == VD_OK && kafka->failure.count == 0) {
        kafka->failure.words[0] = '\0'; /* they are of earlier days */
    } else if (err->status != VD_OK && kafka->failure.words[0] != '\0') {
        (void)vd_fail(err, VD_FAILED, "no answer from \"%s\": %s", kafka->conf->brokers,
                      kafka->failure.words);
    }
    pthread_mutex_unlock(&kafka->lock);
}

static void on_pinged(struct vd_errand *errand)
{
    struct vd_kafka_watch *watch = vd_owner(errand, struct vd_kafka_watch, errand);
    struct vd_err *answer = &watch->answer;

    watch->is_asking = false;
    add_cause(watch->kafka, answer);
    vd_trouble_set(watch->trouble, answer->status != VD_OK ? answer->msg : NULL,
                   vd_loop_now_ms(watch->loop));
}

struct vd_kafka_watch *vd_kafka_watch_new(struct vd_kafka *kafka, struct vd_loop *loop,
                                          struct vd_errands *errands, struct vd_trouble *trouble)
{
    struct vd_kafka_watch *watch = vd_alloc(sizeof(*watch));

    watch->kafka = kafka;
    watch->loop = loop;
    watch->errands = errands;
    watch->trouble = trouble;
    watch->errand.run = run_ping;
    watch->errand.on_done = on_pinged;
    return watch;
}

/* Connections that fail while a broker answers: one of several is away, or one was restarted. */
static void report_failures(struct vd_kafka_watch *watch, int64_t now_ms)
{
    struct vd_kafka *kafka = watch->kafka;
    char words[sizeof(kafka->failure.words)] = "";
    int64_t count = 0;

    pthread_mutex_lock(&kafka->lock);
    if (watch->trouble->is_on) {
        kafka->failure.count = 0;
    } else if (kafka->failure.count > 0 && now_ms >= watch->quiet_ms &&
               vd_mono_ms() - kafka->failure.first_ms >= FAILURE_GRACE_MS) {
        count = kafka->failure.count;
        memcpy(words, kafka->failure.words, sizeof(words));
        kafka->failure.count = 0;
        watch->quiet_ms = now_ms + FAILURE_QUIET_MS;
    }
    pthread_mutex_unlock(&kafka->lock);
    if (count > 0) {
        vd_warn(kafka->log, "Kafka answers, but connections failed, %" PRId64 " times, last: %s",
                count, words);
    }
}

void vd_kafka_watch_tick(struct vd_kafka_watch *watch)
{
    atomic_store(&watch->kafka->is_away, watch->trouble->is_on);
    report_failures(watch, vd_loop_now_ms(watch->loop));
    if (!watch->is_asking) {
        watch->is_asking = true;
        vd_errands_submit(watch->errands, &watch->errand);
    }
}

void vd_kafka_watch_free(struct vd_kafka_watch *watch)
{
    free(watch);
}
