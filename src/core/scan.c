#include "scan.h"

#include <assert.h>
#include <inttypes.h>

#include "nudge.h"

rd_kafka_t *vd_scan_client(const struct vd_kafka *kafka, const char *reset, struct vd_err *err)
{
    char text[512] = "";
    rd_kafka_conf_t *conf = vd_kafka_client_conf(
        kafka, "isolation.level", "read_committed", "auto.offset.reset", reset,
        "enable.partition.eof", "true", "enable.auto.commit", "false", "enable.auto.offset.store",
        "false", "check.crcs", "true", "fetch.wait.max.ms", "10", NULL);
    rd_kafka_t *rk;

    rd_kafka_conf_set_error_cb(conf, NULL); /* nobody polls it: errors would pile up */
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        (void)vd_fail(err, VD_INVALID, "could not create a Kafka consumer: %s", text);
    }
    return rk;
}

void vd_scan_client_free(rd_kafka_t *rk)
{
    if (rk != NULL) {
        rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
}

enum vd_status vd_scan_open(struct vd_scan *scan, rd_kafka_t *rk, const char *topic, int timeout_ms,
                            struct vd_err *err)
{
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_resp_err_t error;

    *scan = (struct vd_scan){.rk = rk, .topic = rd_kafka_topic_new(rk, topic, NULL)};
    assert(scan->topic != NULL); /* the name was checked with the topology */
    /* Or the first fetch waits for the library's next look around, up to a second. */
    error = rd_kafka_metadata(rk, 0, scan->topic, &metadata, timeout_ms);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_topic_destroy(scan->topic);
        return vd_fail(err, VD_AGAIN, "could not look at \"%s\": %s", topic,
                       rd_kafka_err2str(error));
    }
    rd_kafka_metadata_destroy(metadata);
    scan->queue = rd_kafka_queue_new(rk);
    scan->partitions = rd_kafka_topic_partition_list_new(1);
    return VD_OK;
}

void vd_scan_close(struct vd_scan *scan)
{
    for (int i = 0; i < scan->partitions->cnt; i++) {
        /* Fails only if it is not read. */
        (void)rd_kafka_consume_stop(scan->topic, scan->partitions->elems[i].partition);
    }
    rd_kafka_topic_partition_list_destroy(scan->partitions);
    rd_kafka_queue_destroy(scan->queue);
    rd_kafka_topic_destroy(scan->topic);
}

enum vd_status vd_scan_fail(const struct vd_scan *scan, int32_t partition, const char *reason,
                            struct vd_err *err)
{
    return vd_fail(err, VD_AGAIN, "could not read \"%s\" partition %" PRId32 ": %s",
                   rd_kafka_topic_name(scan->topic), partition, reason);
}

enum vd_status vd_scan_begin(struct vd_scan *scan, int32_t partition, int64_t from,
                             struct vd_err *err)
{
    if (rd_kafka_consume_start_queue(scan->topic, partition, from, scan->queue) != 0) {
        return vd_scan_fail(scan, partition, rd_kafka_err2str(rd_kafka_last_error()), err);
    }
    (void)rd_kafka_topic_partition_list_add(scan->partitions, rd_kafka_topic_name(scan->topic),
                                            partition);
    return VD_OK;
}

rd_kafka_message_t *vd_scan_next(struct vd_scan *scan, int timeout_ms)
{
    rd_kafka_message_t *message = rd_kafka_consume_queue(scan->queue, 0);

    if (message == NULL && scan->in_a_row >= VD_NUDGE_RECORDS) {
        vd_nudge_now(scan->rk, scan->partitions);
    }
    if (message == NULL) {
        scan->in_a_row = 0;
        message = rd_kafka_consume_queue(scan->queue, timeout_ms);
    }
    scan->in_a_row += message != NULL;
    return message;
}
