/* A plain idempotent producer on the loop, for published totals (exactly-once protocol, 6.4). */
#ifndef VD_CORE_PUBLISHER_H
#define VD_CORE_PUBLISHER_H

#include "kafka.h"

struct vd_publisher;

struct vd_publisher *vd_publisher_new(struct vd_kafka *kafka, struct vd_loop *loop,
                                      struct vd_log *log, struct vd_metrics *metrics);

/* Copies key and value; partition must be a number. 
 * Fails: VD_AGAIN while the library's queue is full (kept small). */
enum vd_status vd_publisher_send(struct vd_publisher *publisher, const char *topic, int32_t partition,
                                 const void *key, size_t key_len, const void *value,
                                 size_t value_len, struct vd_err *err) VD_MUST_CHECK;

size_t vd_publisher_waiting(const struct vd_publisher *publisher); /* records not yet acknowledged */

/* Final: waits in the background for what is queued, at most 'timeout_ms'; then on_closed, or NULL. */
void vd_publisher_close(struct vd_publisher *publisher, int timeout_ms, void (*on_closed)(void *arg),
                        void *arg);

#endif
