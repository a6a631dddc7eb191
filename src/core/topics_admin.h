/* One conversation with the brokers about topics: look, create, compare. */
#ifndef VD_CORE_TOPICS_ADMIN_H
#define VD_CORE_TOPICS_ADMIN_H

#include <stdatomic.h>

#include "kafka.h"

struct vd_topics_ask {
    rd_kafka_t *rk; /* a consumer, so that asking for a topic creates none */
    const struct vd_kafka_conf *conf;
    struct vd_log *log;
    struct vd_topic_conf *topics; /* the thread's own; partitions_found is filled in */
    size_t count;
    bool is_dry;               /* create nothing, only ask whether it would work */
    bool is_look;              /* neither create nor compare */
    atomic_bool *is_cancelled; /* NULL: it cannot be */
};

/* A client for 'ask'. Fails: VD_INVALID where librdkafka refuses the settings. Thread: any. */
enum vd_status vd_topics_open(struct vd_topics_ask *ask, struct vd_kafka *kafka,
                              struct vd_err *err) VD_MUST_CHECK;

/* One attempt of at most 'timeout_ms'. Blocks.
 * Fails: VD_INVALID, something differs from what is declared and stays so; VD_AGAIN, not ready yet;
 *        VD_FAILED, no answer. */
enum vd_status vd_topics_round(struct vd_topics_ask *ask, int timeout_ms,
                               struct vd_err *err) VD_MUST_CHECK;

/* Delete the records in front of the offsets in 'list'. One attempt of at most 'timeout_ms'.
 * Blocks. Fails: VD_FAILED with the first refusal; other partitions may have been served. */
enum vd_status vd_topics_delete_before(struct vd_topics_ask *ask,
                                       const rd_kafka_topic_partition_list_t *list, int timeout_ms,
                                       struct vd_err *err) VD_MUST_CHECK;

#endif
