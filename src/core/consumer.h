/* A member of a consumer group on the loop. It decides nothing: the stage's cycle assigns, pauses
 * and keeps positions (exactly-once protocol, 1.3 and 1.4). */
#ifndef VD_CORE_CONSUMER_H
#define VD_CORE_CONSUMER_H

#include "errand.h"
#include "kafka.h"
#include "txn.h"

struct vd_consumer;

struct vd_consumer_events {
    /* Partitions were given to us; the library, and with it the whole group, waits for
     * vd_consumer_accept. 'parts' is borrowed. */
    void (*on_assign)(void *arg, const rd_kafka_topic_partition_list_t *parts);
    /* All partitions are to be given up; the library waits for vd_consumer_unassign. 'is_lost':
     * they already belong to somebody else. */
    void (*on_revoke)(void *arg, bool is_lost);
    /* One record. Owns: 'event' is the receiver's, which destroys it; 'message' lives in it. */
    void (*on_message)(void *arg, rd_kafka_event_t *event, const rd_kafka_message_t *message);
    /* The end of a partition was reached; 'at' says where. Borrowed. */
    void (*on_end)(void *arg, const rd_kafka_topic_partition_t *at);
    /* A fault of the whole member (VD_INVALID: for good, such as a fenced instance id), or of a
     * partition (a position outside the log), or VD_AGAIN while the broker refuses (no such topic,
     * no right to it). Faults of the network are only logged. */
    void (*on_fault)(void *arg, const struct vd_err *err, bool is_fenced);
    void *arg;
};

struct vd_consumer_conf {
    const char *group;
    const char *instance; /* of the static member */
    const char *const *topics;
    size_t topic_count;
    struct vd_errands *errands; /* make its blocking calls; they outlive it */
    struct vd_log *log;
    struct vd_consumer_events events;
};

/* Make a member; it joins with vd_consumer_start.
 * Owns:  the caller, who ends it with vd_consumer_close; 'conf' is copied.
 * Fails: VD_INVALID where librdkafka refuses the settings. */
enum vd_status vd_consumer_new(struct vd_kafka *kafka, struct vd_loop *loop,
                               const struct vd_consumer_conf *conf, struct vd_consumer **consumer,
                               struct vd_err *err) VD_MUST_CHECK;

/* Begin joining. */
enum vd_status vd_consumer_start(struct vd_consumer *consumer, struct vd_err *err) VD_MUST_CHECK;

/* For committed offsets, asked on another thread. Borrowed. */
rd_kafka_t *vd_consumer_handle(struct vd_consumer *consumer);

/* Accept an assignment, without reading anything as yet, and take the snapshot of the group's
 * metadata that the assignment's batches will carry. The group may go on from here; a partition is
 * ours until on_revoke.
 * Owns: *group is the caller's. Fails: VD_AGAIN: the membership is gone again; another assignment
 * follows. */
enum vd_status vd_consumer_accept(struct vd_consumer *consumer, struct vd_group **group,
                                  struct vd_err *err) VD_MUST_CHECK;

/* Read exactly these partitions, from explicit offsets; between an accepted assignment and the end
 * of on_revoke as often as one likes. Fails: VD_AGAIN. */
enum vd_status vd_consumer_read(struct vd_consumer *consumer,
                                const rd_kafka_topic_partition_list_t *parts,
                                struct vd_err *err) VD_MUST_CHECK;

/* Give all partitions up, the answer to on_revoke. */
void vd_consumer_unassign(struct vd_consumer *consumer);

void vd_consumer_pause(struct vd_consumer *consumer, const rd_kafka_topic_partition_list_t *parts);
void vd_consumer_resume(struct vd_consumer *consumer, const rd_kafka_topic_partition_list_t *parts);

/* End the member, who may come back with its partitions within the session: no event comes any
 * more, and on_closed is called on the loop when its memory is gone. */
void vd_consumer_close(struct vd_consumer *consumer, void (*on_closed)(void *arg), void *arg);

#endif
