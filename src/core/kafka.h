/* What all Kafka clients of a node share: connection settings, topics, and a way to ask the broker
 * things without blocking the loop. */
#ifndef VD_CORE_KAFKA_H
#define VD_CORE_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "log.h"
#include "loop.h"
#include "metric.h"
#include "opt.h"

/* Section [kafka]. Keys `client.*` go to librdkafka unchanged and are kept apart. */
struct vd_kafka_conf {
    const char *application, *node; /* who we are; borrowed, not options */
    char *brokers;
    int64_t partitions;    /* of a topic without its own number */
    int64_t replication;   /* likewise; 0: the broker's default */
    int64_t topic_wait_ms; /* how long to wait for the broker at the start before saying so */
    struct vd_kafka_prop {
        char *name, *value;
    } * props; /* owned */
    size_t prop_count;
};
extern const struct vd_opt vd_kafka_opts[];

/* Section [topic:NAME]. */
struct vd_topic_conf {
    char *name;               /* of the section; not an option */
    int64_t partitions;       /* 0: the default of [kafka] on creation, any number on check */
    int64_t replication;      /* 0: likewise */
    char *cleanup;            /* delete | compact */
    int64_t retention_ms;     /* -1: for ever; 0: the broker's default on creation, any on check */
    int64_t generation;       /* raised by hand when the topic is recreated */
    int64_t segment_bytes;    /* 0: the broker's default */
    bool external;            /* other programs write or read it: checked by the topology */
    int32_t partitions_found; /* after vd_topics_ensure; not an option */
};
extern const struct vd_opt vd_topic_opts[];

struct vd_kafka; /* one per node */

/* 'conf', 'log' and 'metrics' are borrowed for its life. */
struct vd_kafka *vd_kafka_new(struct vd_loop *loop, const struct vd_kafka_conf *conf,
                              struct vd_log *log, struct vd_metrics *metrics);

/* Every client made from vd_kafka_client_conf is gone by then. Cancels vd_topics_ensure: on_done is
 * not called any more. Blocks until its thread has noticed, two seconds at most. */
void vd_kafka_free(struct vd_kafka *kafka);

/* Bytes of the largest record that the node's producers take: `client.message.max.bytes`. */
size_t vd_kafka_conf_record_max(const struct vd_kafka_conf *conf);
size_t vd_kafka_record_max(const struct vd_kafka *kafka);

/* What a record takes of that beside its key and value: on the wire, with vd-src. */
#define VD_KAFKA_OVERHEAD_BYTES 512

/* Check `client.*` names (without that prefix) and values against librdkafka and against what the
 * protocol fixes (enable.auto.commit, isolation.level, transactional.id, group.instance.id ... may
 * not be set). */
enum vd_status vd_kafka_check_prop(const char *name, const char *value,
                                   struct vd_err *err) VD_MUST_CHECK;

/* A configuration with brokers, client id, logging and `client.*` set. Pairs name, value follow,
 * ended by NULL; they win over client.*. Its opaque is taken, the log needs it: pass your own with
 * each message (RD_KAFKA_V_OPAQUE) or interceptor, and never call rd_kafka_conf_set_opaque. A
 * client that is never polled drops the error callback (rd_kafka_conf_set_error_cb), or errors pile
 * up. Owns: the caller, or rd_kafka_new. Aborts where librdkafka refuses one of our own values.
 * Thread: any. */
rd_kafka_conf_t *vd_kafka_client_conf(const struct vd_kafka *kafka, const char *first, ...)
    __attribute__((sentinel));

struct vd_topics_events {
    /* The broker is away or not ready, for this reason; at most every 5 s. */
    void (*on_waiting)(void *arg, const struct vd_err *reason);
    /* Once. NULL, or what differs and how to mend it (VD_INVALID). */
    void (*on_done)(void *arg, const struct vd_err *failure);
    void *arg;
};

/* Create missing topics and compare existing ones, in the background; it goes on trying until
 * on_done. Fills in partitions_found; the topics, not their array, are borrowed until then. */
void vd_topics_ensure(struct vd_kafka *kafka, struct vd_topic_conf *const *topics, size_t count,
                      const struct vd_topics_events *events);

/* Blocking form for --check --connect: compare only, create nothing, but ask whether it could be;
 * unclean leader elections are refused as well (exactly-once protocol, H7). Waits for an absent
 * broker up to 'timeout_ms', then VD_FAILED. */
enum vd_status vd_topics_compare(struct vd_kafka *kafka, struct vd_topic_conf *const *topics,
                                 size_t count, int timeout_ms, struct vd_err *err) VD_MUST_CHECK;

/* Fill in partitions_found, 0 for a topic that does not exist. Blocks.
 * Fails: VD_FAILED without an answer within 'timeout_ms'. */
enum vd_status vd_topics_look(struct vd_kafka *kafka, struct vd_topic_conf *const *topics,
                              size_t count, int timeout_ms, struct vd_err *err) VD_MUST_CHECK;

/* Delete the records in front of the offsets in 'list', for good. Blocks.
 * Fails: VD_FAILED within 'timeout_ms'; some of the partitions may have been served. */
enum vd_status vd_topics_purge(struct vd_kafka *kafka, const rd_kafka_topic_partition_list_t *list,
                               int timeout_ms, struct vd_err *err) VD_MUST_CHECK;

/* Ask for the offset behind the last record of every partition in 'list', now, and fill it in.
 * committed false: high watermark (uncommitted records count); true: last stable offset.
 * Fails: VD_FAILED after 'timeout_ms'. Thread: any but the loop; it blocks. */
enum vd_status vd_kafka_end_offsets(struct vd_kafka *kafka, rd_kafka_topic_partition_list_t *list,
                                    bool committed, int timeout_ms,
                                    struct vd_err *err) VD_MUST_CHECK;

/* The same for the first offset that exists. */
enum vd_status vd_kafka_begin_offsets(struct vd_kafka *kafka, rd_kafka_topic_partition_list_t *list,
                                      int timeout_ms, struct vd_err *err) VD_MUST_CHECK;

/* Block until the last stable offset of a partition has reached the high watermark it has now
 * (exactly-once protocol, 2.4), or 'timeout_ms' passed (VD_AGAIN). Thread: any but the loop. */
enum vd_status vd_kafka_wait_settled(struct vd_kafka *kafka, const char *topic, int32_t partition,
                                     int timeout_ms, struct vd_err *err) VD_MUST_CHECK;

/* Say in 'err' (VD_AGAIN) why a group's committed offsets cannot be read, with 'code' as the
 * library's last word after 'waited_ms' of asking. While brokers answer, nothing should last longer
 * than a transaction may: then the likely cause is named, and its cure. Thread: any. */
void vd_kafka_explain_committed(struct vd_kafka *kafka, rd_kafka_resp_err_t code, int64_t waited_ms,
                                struct vd_err *err);

/* Read the header `vd-src` and all else of a librdkafka message into 'record', which borrows.
 * Fails as vd_position_parse; the record is filled in nevertheless, without position. */
struct vd_record;
enum vd_status vd_record_from_message(const rd_kafka_message_t *message, struct vd_record *record,
                                      struct vd_err *err) VD_MUST_CHECK;

#endif
