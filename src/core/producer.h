/* A transactional producer that blocks; txn.c gives it a thread. Every call from that thread only,
 * unless said otherwise. After any doubt the instance is replaced (recycled), never aborted
 * (exactly-once protocol, 1.2 and H4). */
#ifndef VD_CORE_PRODUCER_H
#define VD_CORE_PRODUCER_H

#include <stdatomic.h>

#include "txn.h"

/* How long one transaction may take, begin to commit; the broker ends it then. */
#define VD_TXN_TIMEOUT_MS 10000

struct vd_producer;

struct vd_producer *vd_producer_new(struct vd_kafka *kafka, const char *transactional_id,
                                    const char *const *topics, size_t topic_count,
                                    struct vd_log *log);
void vd_producer_free(struct vd_producer *producer);

/* Create the instance if there is none and let the coordinator settle what the last one left; one
 * attempt of about 2 s.
 * Fails: VD_AGAIN: the broker is away, call again. VD_INVALID: another process uses the same
 * transactional.id: fenced twice in a minute, or once in a source's transaction; one that was
 *         old enough to time out does not count. */
enum vd_status vd_producer_ready(struct vd_producer *producer, struct vd_err *err) VD_MUST_CHECK;

/* Run one transaction, begin to commit.
 * Fails: VD_FAILED: it may or may not have been committed; recycle, then ask. */
enum vd_status vd_producer_commit(struct vd_producer *producer, struct vd_txn_job *job,
                                  struct vd_err *err) VD_MUST_CHECK;

/* Destroy the instance; the next vd_producer_ready makes a new one with the next epoch. */
void vd_producer_recycle(struct vd_producer *producer);

/* True once the broker has refused the producer because a newer one has its transactional.id. */
bool vd_producer_is_fenced(const struct vd_producer *producer);

/* How many instances have been ready so far: which of them is the present one. Nobody else can have
 * committed under the transactional.id since it became ready. Thread: any. */
uint64_t vd_producer_number(const struct vd_producer *producer);

/* Thread: any. */
int64_t vd_producer_recycled(const struct vd_producer *producer);

#endif
