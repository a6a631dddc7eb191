/* Wakes the fetching threads of librdkafka. When a broker's thread finds nothing that it may fetch,
 * because all partitions are paused or what was fetched fills the queue, it sleeps for up to a
 * second before it looks again (2.0.2; 2.2.0 has fetch.queue.backoff.ms for the second case). Any
 * request to that broker wakes it, so we ask for an offset that nobody needs. Without this a paused
 * stage runs at a third of its speed, and a table that is read faster than it comes takes a second
 * per full queue. */
#ifndef VD_CORE_NUDGE_H
#define VD_CORE_NUDGE_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "errand.h"

/* Records taken without a pause after which an empty queue may mean a thread that sleeps. */
#define VD_NUDGE_RECORDS 1000

/* Wake the threads that fetch these partitions; the offsets in 'list' are overwritten. Blocks until
 * the brokers have answered, half a second at most. Thread: any but the loop. */
void vd_nudge_now(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list);

/* The same for the loop, as an errand. Zeroed, nothing is under way; while something is, the
 * structure stays where it is. */
struct vd_nudge {
    struct vd_errand errand;
    struct vd_errands *errands;
    rd_kafka_t *rk;
    rd_kafka_topic_partition_list_t *asked; /* NULL: nothing is under way */
    rd_kafka_topic_partition_list_t *next;  /* asked for meanwhile; NULL: nothing */
};

/* Wake the threads that fetch these partitions; the list is copied, all else is borrowed. */
void vd_nudge(struct vd_nudge *nudge, struct vd_errands *errands, rd_kafka_t *rk,
              const rd_kafka_topic_partition_list_t *list);

/* Forget what is not under way yet: errands or client are about to end. */
void vd_nudge_drop(struct vd_nudge *nudge);

static inline bool vd_nudge_is_busy(const struct vd_nudge *nudge)
{
    return nudge->asked != NULL;
}

#endif
