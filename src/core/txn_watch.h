/* Sees, through librdkafka's interceptors, whether an answer of the transaction coordinator was
 * lost: a request that was sent again may still arrive late and end the next transaction
 * (exactly-once protocol, H3), so the producer must be replaced. */
#ifndef VD_CORE_TXN_WATCH_H
#define VD_CORE_TXN_WATCH_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "log.h"

struct vd_txn_watch {
    const struct vd_log *log; /* of the producer; borrowed */
    atomic_int end_txn_sent;
    atomic_bool is_doubtful;
};

/* Make the producer created from 'conf' report to 'watch', which outlives it. */
void vd_txn_watch_attach(struct vd_txn_watch *watch, rd_kafka_conf_t *conf);

/* Forget what was seen; call it before a transaction begins. */
void vd_txn_watch_reset(struct vd_txn_watch *watch);

/* True if a transactional request of this transaction was sent twice or its answer was lost. */
bool vd_txn_watch_is_doubtful(const struct vd_txn_watch *watch);

#endif
