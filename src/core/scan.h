/* Reads partitions of one topic outside of any group, blocking: librdkafka's simple consumer, each
 * scan with a queue of its own, so that nothing of one is left for the next. Only committed records
 * are seen. Thread: any but the loop, one at a time. */
#ifndef VD_CORE_SCAN_H
#define VD_CORE_SCAN_H

#include "kafka.h"

struct vd_scan {
    rd_kafka_t *rk; /* borrowed */
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_partition_list_t *partitions; /* that were begun */
    int in_a_row;                                /* taken since the queue was last empty */
};

/* A client for scans. 'reset' is auto.offset.reset: what becomes of an offset that is not there.
 * Owns: the caller, who ends it with vd_scan_client_free after its scans.
 * Fails: NULL, VD_INVALID in 'err': librdkafka refuses the settings. */
rd_kafka_t *vd_scan_client(const struct vd_kafka *kafka, const char *reset,
                           struct vd_err *err) VD_MUST_CHECK;
void vd_scan_client_free(rd_kafka_t *rk); /* NULL is accepted */

/* Look the topic up. Owns: vd_scan_close, where this did not fail.
 * Fails: VD_AGAIN without an answer within 'timeout_ms'. */
enum vd_status vd_scan_open(struct vd_scan *scan, rd_kafka_t *rk, const char *topic, int timeout_ms,
                            struct vd_err *err) VD_MUST_CHECK;
void vd_scan_close(struct vd_scan *scan);

/* Read a partition from an offset on, logical ones included.
 * Fails: VD_AGAIN with librdkafka's reason. */
enum vd_status vd_scan_begin(struct vd_scan *scan, int32_t partition, int64_t from,
                             struct vd_err *err) VD_MUST_CHECK;

/* The next record, error or end of a partition (RD_KAFKA_RESP_ERR__PARTITION_EOF); NULL: nothing
 * came within 'timeout_ms'. Owns: the caller destroys it. */
rd_kafka_message_t *vd_scan_next(struct vd_scan *scan, int timeout_ms);

/* VD_AGAIN with the words that a scan fails with: "could not read "TOPIC" partition N: REASON". */
enum vd_status vd_scan_fail(const struct vd_scan *scan, int32_t partition, const char *reason,
                            struct vd_err *err);

#endif
