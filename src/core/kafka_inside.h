/* struct vd_kafka as the kafka room sees it; nobody else includes this. */
#ifndef VD_CORE_KAFKA_INSIDE_H
#define VD_CORE_KAFKA_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "kafka.h"

#define VD_KAFKA_CAUSES_MAX 32 /* different complaints remembered at a time */

/* One complaint of librdkafka, told apart by its words without their numbers. */
struct vd_kafka_cause {
    uint64_t hash;
    int64_t since_ms; /* monotonic; when it was last written */
    int64_t held_back;
};

struct vd_topics_run; /* one vd_topics_ensure under way, in topics.c */

struct vd_kafka {
    struct vd_loop *loop;             /* borrowed */
    const struct vd_kafka_conf *conf; /* borrowed */
    struct vd_log *log;               /* borrowed */
    struct vd_metric *errors, *lines_held_back;
    atomic_int clients; /* made so far: the end of a client.id */
    pthread_mutex_t lock;
    rd_kafka_t *probes[2];                             /* by 'committed'; under the lock */
    struct vd_kafka_cause causes[VD_KAFKA_CAUSES_MAX]; /* under the lock */
    struct {
        int64_t count, first_ms; /* since they were told; monotonic */
        char words[512];         /* of the last one */
    } failure;                   /* connections lost or not made; under the lock */
    atomic_bool is_away;         /* no broker answers, and that is said already */
    struct vd_topics_run *runs;  /* the loop's own */
};

/* The level that a line of librdkafka's log has in ours; 'level' is of syslog. Thread: any. */
enum vd_log_level vd_kafka_log_level(int level, const char *text);

/* Takes a line of librdkafka's log. Thread: any. */
void vd_kafka_on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text);

/* Ask any broker for a sign of life. Fails: VD_FAILED after 'timeout_ms'. Thread: any but the loop;
 * it blocks. */
enum vd_status vd_kafka_ping(struct vd_kafka *kafka, int timeout_ms,
                             struct vd_err *err) VD_MUST_CHECK;

/* End every vd_topics_ensure without calling on_done. */
void vd_topics_cancel(struct vd_kafka *kafka);

#endif
