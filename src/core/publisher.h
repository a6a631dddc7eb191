/* A plain idempotent producer on the loop, for published totals (exactly-once protocol, 6.4). */
#ifndef VD_CORE_PUBLISHER_H
#define VD_CORE_PUBLISHER_H

#include "kafka.h"

struct vd_publisher;

struct vd_publisher *vd_publisher_new(struct vd_kafka *kafka, struct vd_loop *loop,
                                      struct vd_log *log, struct vd_metrics *metrics);

struct vd_publication {
    const char *topic;
    int32_t partition; /* a number */
    const void *key;
    size_t key_len;
    const void *value; /* NULL: a tombstone */
    size_t value_len;
    int64_t timestamp_ms; /* UTC; 0: now */
    bool is_fleeting; /* worth nothing later: no word if it is lost, and an end hardly waits for it
                       */
};

/* Copies everything. The first one creates the producer. A record that is not acknowledged within a
 * minute is counted and given up.
 * Fails: VD_AGAIN while the library's queue is full (10 000 records, 16 MiB), or four fleeting
 * records wait already; VD_INVALID, too large; VD_FAILED, anything else. */
enum vd_status vd_publisher_send(struct vd_publisher *publisher,
                                 const struct vd_publication *record,
                                 struct vd_err *err) VD_MUST_CHECK;

/* Records not yet acknowledged, fleeting ones left out. */
size_t vd_publisher_waiting(const struct vd_publisher *publisher);

/* Final: waits in the background for what is queued, at most 'timeout_ms', or half a second where
 * all of it is fleeting; then on_closed on the loop, or NULL. */
void vd_publisher_close(struct vd_publisher *publisher, int timeout_ms,
                        void (*on_closed)(void *arg), void *arg);

#endif
