/* The plugin interface, installed as <votingd/stage.h>.
 *
 * A stage is a shared module with one exported function that returns one constant descriptor. The
 * engine owns consumers, producers, transactions, offsets, retries, back-pressure, dead letters,
 * metrics and shutdown; the stage turns batches of records into records.
 *
 * Life, every callback on the loop thread:
 *   check     options are set; no side effects; 'stage' is NULL, since nothing runs yet; --check
 *             calls it, too, also for stages that are disabled
 *   start     open what is needed: timers, routes, watches. Must not block; the broker may be away,
 *             so partition counts are not known yet
 *   assign    a partition is about to be read; answer with vd_assign_start, once
 *   batch     records of one input (none for a source); emit, then answer, once
 *   committed a batch that was answered "done" is durable, in the order they were answered
 *   rewound   every batch not yet committed is void; its records will be offered again. Forget
 *             whatever came from them. A source: nobody else can commit in its name from here on;
 *             read how far it came. Also before its first batch
 *   revoke    a partition is no longer ours
 *   drain     no more batches will come; answer the one under way soon
 *   stop      free everything; also called after a start that failed. The state itself is core's
 *
 *   audit     apart from all that: compare what the stage has read and written (audit.h). Options
 *             are set, nothing runs, it may block; what it allocates it frees
 */
#ifndef VD_CORE_STAGE_H
#define VD_CORE_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alloc.h"
#include "audit.h"
#include "buf.h"
#include "err.h"
#include "hash.h"
#include "http.h"
#include "log.h"
#include "loop.h"
#include "map.h"
#include "metric.h"
#include "opt.h"
#include "pg.h"
#include "record.h"
#include "table.h"
#include "timer.h"
#include "web.h"

/* Within a major, functions are only added, and the descriptor only grows at its end: its size says
 * how much of it a module has. Every other structure of the installed headers keeps its layout,
 * since modules hold them by value and in arrays. */
#define VD_ABI_MAGIC 0x76647367u /* "vdsg" */
#define VD_ABI_MAJOR 1
#define VD_ABI_MINOR 1

struct vd_stage;  /* one running instance, the host's side of it */
struct vd_batch;  /* records under way */
struct vd_assign; /* a question: where does a partition start? */

/* A named input, output or table of a stage; the topology maps the name to a topic. */
struct vd_port {
    const char *name; /* NULL ends the list */
    unsigned flags;
    const char *help;
};
#define VD_PORT_END  \
    {                \
        .name = NULL \
    }
#define VD_PORT_OPTIONAL 0x1u /* the topology may leave it out */
/* Output: at most one record per input record, always to the input's own partition number, carrying
 * the offset of the one before it; both topics have equally many partitions. */
#define VD_PORT_CHAINED 0x2u
/* Output: always to the input's own partition number; a takeover waits until it is settled. */
#define VD_PORT_COPARTITIONED 0x4u
/* Output: outside transactions, for vd_stage_publish; idempotent, gzip or uncompressed. */
#define VD_PORT_PLAIN 0x8u
/* Output: records that the stage refuses, key and value as they came, each with a reason; one of an
 * input can be replayed with --dead-letters. */
#define VD_PORT_REJECTED 0x10u
/* Table: it stands for any number of tables that the topology adds, each under a name of its own;
 * named "*", and the last of its list. Since 1.1. */
#define VD_PORT_FURTHER 0x20u

/* Stage flags. */
#define VD_STAGE_SERIAL 0x1u /* never offer a batch while another one is not yet committed */
/* The stage writes down itself how far it has come, with vd_batch_reach: also a batch that moves
 * past nothing but records which are not its business, such as dead letters of the engine's, is
 * offered to it. Since 1.1. */
#define VD_STAGE_KEEPS_POSITION 0x2u

struct vd_stage_desc {
    uint32_t magic;
    uint16_t abi_major, abi_minor;
    size_t size; /* of this structure in the module */
    const char *name;
    const char *summary; /* one line, lower case */
    size_t state_size;
    const struct vd_opt *opts;     /* of the state; NULL: none */
    const struct vd_port *inputs;  /* NULL: none, as for a source */
    const struct vd_port *outputs; /* NULL: none */
    const struct vd_port *tables;  /* NULL: none */
    unsigned flags;

    enum vd_status (*check)(struct vd_stage *stage, void *state, struct vd_err *err);
    enum vd_status (*start)(struct vd_stage *stage, void *state, struct vd_err *err);
    void (*assign)(struct vd_stage *stage, void *state, struct vd_assign *assign);
    void (*batch)(struct vd_stage *stage, void *state, struct vd_batch *batch);
    void (*committed)(struct vd_stage *stage, void *state, struct vd_batch *batch);
    void (*rewound)(struct vd_stage *stage, void *state);
    void (*revoke)(struct vd_stage *stage, void *state, int32_t partition);
    void (*drain)(struct vd_stage *stage, void *state);
    void (*stop)(struct vd_stage *stage, void *state);
    /* since minor 1 */
    enum vd_status (*audit)(struct vd_audit *audit, void *state, struct vd_err *err);
    /* Bytes of the largest key and value that the stage may emit or publish, where that follows
     * from its own limits: a topology whose client.message.max.bytes has no room for them is
     * refused. 0: it follows from its input, see vd_stage_record_max. */
    size_t record_bytes;
};

#define VD_STAGE_HEAD                                                            \
    .magic = VD_ABI_MAGIC, .abi_major = VD_ABI_MAJOR, .abi_minor = VD_ABI_MINOR, \
    .size = sizeof(struct vd_stage_desc)

#define VD_STAGE_SYMBOL "vd_stage_describe"
typedef const struct vd_stage_desc *vd_stage_describe_fn(void);

#define VD_STAGE_EXPORT(descriptor)                             \
    VD_API const struct vd_stage_desc *vd_stage_describe(void); \
    VD_API const struct vd_stage_desc *vd_stage_describe(void)  \
    {                                                           \
        return &(descriptor);                                   \
    }

/* ---- the instance ---------------------------------------------------------------------------- */

VD_API struct vd_log *vd_stage_log(const struct vd_stage *stage);
VD_API struct vd_loop *vd_stage_loop(const struct vd_stage *stage);
VD_API const char *vd_stage_name(const struct vd_stage *stage); /* of the section */
VD_API const char *vd_stage_node(const struct vd_stage *stage);
VD_API const char *vd_stage_application(const struct vd_stage *stage); /* since 1.1 */

/* The table, or the topic behind a port, by the port's index in the descriptor; NULL where an
 * optional port is not mapped. */
VD_API struct vd_table *vd_stage_table(const struct vd_stage *stage, size_t table);

/* Number of tables, and their names: those of the descriptor, with the ones that the topology added
 * in the place of VD_PORT_FURTHER, in the file's order. Since 1.1. */
VD_API size_t vd_stage_table_count(const struct vd_stage *stage);
VD_API const char *vd_stage_table_name(const struct vd_stage *stage, size_t table);

VD_API const char *vd_stage_input_topic(const struct vd_stage *stage, size_t input); /* since 1.1 */
VD_API const char *vd_stage_output_topic(const struct vd_stage *stage, size_t output);

/* Number of partitions of the topic of an input or output; 0 until the topics were found, that is
 * in check and start. */
VD_API int32_t vd_stage_input_partitions(const struct vd_stage *stage, size_t input);
VD_API int32_t vd_stage_output_partitions(const struct vd_stage *stage, size_t output);

/* Generation of the topic of an input. */
VD_API int16_t vd_stage_input_generation(const struct vd_stage *stage, size_t input);

/* Generation of the topic of an output; 0 where an optional one is not mapped. */
VD_API int16_t vd_stage_output_generation(const struct vd_stage *stage, size_t output);

/* Bytes that key and value of an emitted record may have together; client.message.max.bytes leaves
 * no room for more, and the record it comes from becomes a dead letter, or, if it comes from none,
 * the stage halts. Since 1.1. */
VD_API size_t vd_stage_record_max(const struct vd_stage *stage);

/* True while the partition of input 0 is assigned to this node. */
VD_API bool vd_stage_owns(const struct vd_stage *stage, int32_t partition);

/* True if all there is in the partition of input 0 was read and committed; false if it is not ours.
 * Since 1.1. */
VD_API bool vd_stage_at_end(const struct vd_stage *stage, int32_t partition);

/* A connection of the stage's own, with the topology's [postgres] settings; see vd_pg_new.
 * Owns: the stage, which ends it with vd_pg_close in stop. */
VD_API struct vd_pg *vd_stage_pg(struct vd_stage *stage, const char *session_sql,
                                 const struct vd_pg_events *events);

/* The node's HTTP client and web server. */
VD_API struct vd_http *vd_stage_http(const struct vd_stage *stage);
VD_API struct vd_web *vd_stage_web(const struct vd_stage *stage);

/* A metric "votingd_NAME" with the label stage="..."; 'labels' are added to it, or NULL. */
VD_API struct vd_metric *vd_stage_metric(struct vd_stage *stage, enum vd_metric_type type,
                                         const char *name, const char *labels, const char *help);

/* Say why the stage cannot work now: it shows in /readyz and in the log. NULL: it can again. No
 * batches are offered meanwhile. */
VD_API void vd_stage_set_trouble(struct vd_stage *stage, const char *format, ...) VD_PRINTF(2, 3);

/* Stop the whole stage for good: nothing is read any more, /readyz says why. For faults that only a
 * person can mend. */
VD_API void vd_stage_halt(struct vd_stage *stage, const char *format, ...) VD_PRINTF(2, 3);

/* Stop one partition of input 0: nothing of it is read or committed any more and /readyz says why,
 * until it is assigned anew; the others run on. A batch under way with records of it comes to
 * nothing, whatever the answer, and is offered again without them: answer it with vd_batch_fail and
 * forget what came of it. The first reason stays. For faults that only a person can mend. Since
 * 1.1. */
VD_API void vd_stage_stop_partition(struct vd_stage *stage, int32_t partition, const char *format,
                                    ...) VD_PRINTF(3, 4);

/* Replace the producer before its next transaction: one that it reported as done has not happened.
 * Since 1.1. */
VD_API void vd_stage_doubt(struct vd_stage *stage);

/* Within drain: there is something left to do for which tables and vd_stage_publish are needed, and
 * it needs no batches. The stage is closed when it calls release, so it must have a deadline. Since
 * 1.1. */
VD_API void vd_stage_hold(struct vd_stage *stage);
VD_API void vd_stage_release(struct vd_stage *stage);

/* Bind committed offsets to 'tag' (hex digits); it comes back in vd_assign_tag. */
VD_API void vd_stage_set_tag(struct vd_stage *stage, const char *tag);

/* ---- assignment ------------------------------------------------------------------------------ */

/* Ask about all partitions anew, when nothing is under way any more: each is revoked and assigned
 * once more, and what was read and not committed is read again. For a stage whose outside effect
 * may have changed behind its back. */
VD_API void vd_stage_recheck(struct vd_stage *stage); /* since 1.1 */

VD_API int32_t vd_assign_partition(const struct vd_assign *assign);
VD_API int64_t vd_assign_committed(const struct vd_assign *assign); /* VD_NO_OFFSET: none */
VD_API int64_t vd_assign_last(const struct vd_assign *assign);      /* of the chained output */
VD_API const char *vd_assign_tag(const struct vd_assign *assign); /* "" without a commit of ours */

/* The offsets of the partition that exist, the first and the one behind the last; and the source
 * offset that the last record of this generation in the chained output carries (VD_NO_OFFSET: there
 * is none, or no chained output): what the committed offset can be held against. Since 1.1. */
VD_API int64_t vd_assign_begin(const struct vd_assign *assign);
VD_API int64_t vd_assign_end(const struct vd_assign *assign);
VD_API int64_t vd_assign_emitted(const struct vd_assign *assign);

/* Begin at 'offset' (VD_NO_OFFSET: at the beginning), with 'last' as the chain's last emitted
 * source offset. What records up to 'last' become was emitted before, so vd_batch_emit and dead
 * letters leave it out. An offset before the committed one is committed first; one outside the log
 * stops the partition. Answer later if need be; a revoked question is answered without effect. */
VD_API void vd_assign_start(struct vd_assign *assign, int64_t offset, int64_t last);

/* The other answer: do not read the partition, as after vd_stage_stop_partition. Since 1.1. */
VD_API void vd_assign_stop(struct vd_assign *assign, const char *format, ...) VD_PRINTF(2, 3);

/* False once the question is of no interest any more: the assignment was revoked, or is asked about
 * anew. What the topics show of the partition may then be its new owner's. Since 1.1. */
VD_API bool vd_assign_is_current(const struct vd_assign *assign);

/* Records of the chained output that come from source offset 'from' on, in order, each with its
 * position; borrowed for the call. 'count' 0: there are no more. 'err': they cannot be read
 * (VD_INVALID: a person must act), or the question is not current any more (VD_AGAIN);
 * else NULL. */
typedef void vd_reread_fn(void *arg, const struct vd_record *records, size_t count,
                          const struct vd_err *err);

/* Read again what was emitted for the partition, a part of bounded size; for the next one call it
 * once more, behind the last record's source offset. One at a time in the whole stage, and before
 * the question is answered.
 * Callback: exactly once, later, on the loop. Since 1.1. */
VD_API void vd_assign_reread(struct vd_assign *assign, int64_t from, vd_reread_fn *on_read,
                             void *arg);

/* ---- batches --------------------------------------------------------------------------------- */

VD_API size_t vd_batch_input(const struct vd_batch *batch); /* index of the input */
VD_API size_t vd_batch_count(const struct vd_batch *batch); /* 0 for a source */
VD_API const struct vd_record *vd_batch_record(const struct vd_batch *batch, size_t i);

/* The offset that the batch commits for a partition of its input, and so moves past what comes
 * before; VD_NO_OFFSET: none. Since 1.1. */
VD_API int64_t vd_batch_reach(const struct vd_batch *batch, int32_t partition);

/* The offset in the same partition of the record that record 'i' repeats, because this stage had
 * set that one aside and it was replayed; VD_NO_OFFSET: it is no replay. Since 1.1. */
VD_API int64_t vd_batch_replay_of(const struct vd_batch *batch, size_t i);

#define VD_BY_KEY (-1)        /* partition: murmur2 of the key, as Kafka's Java client */
#define VD_SAME (-2)          /* partition: that of the source record */
#define VD_NO_SOURCE SIZE_MAX /* emitted by no record in particular */

struct vd_msg {
    const char *key; /* NULL: none */
    size_t key_len;
    const char *value; /* NULL: a tombstone */
    size_t value_len;
    int32_t partition;    /* a number, VD_BY_KEY or VD_SAME; chained and copartitioned: VD_SAME */
    int64_t timestamp_ms; /* 0: that of the source record, or now */
    const char *reason;   /* of a rejected record, which then gets the headers of a
                             dead letter (docs/dead-letters.md); NULL: it is none */
};

/* Add a record to the batch's transaction; bytes are copied. 'source' is the index of the input
 * record that it comes from, which gives it its position header. */
VD_API void vd_batch_emit(struct vd_batch *batch, size_t output, size_t source,
                          const struct vd_msg *msg);

/* Send input record 'i' to the dead-letter topic with 'reason', in the same transaction. */
VD_API void vd_batch_dead(struct vd_batch *batch, size_t i, const char *reason);

/* Answers, exactly one per batch, now or later.
 * done: commit what was emitted, with the input's offsets, in one transaction.
 * end:  as done, and a source has nothing more to give until vd_stage_wake.
 * fail: nothing counts. VD_AGAIN: offer it again soon. VD_FAILED: with backoff, shown in /readyz.
 *       VD_INVALID: a record of it is bad; it is halved until that one is alone, which becomes a
 *       dead letter with the message as reason. */
VD_API void vd_batch_done(struct vd_batch *batch);
VD_API void vd_batch_end(struct vd_batch *batch);
VD_API void vd_batch_fail(struct vd_batch *batch, const struct vd_err *err);

/* Offer batches to a source again. To a stage with inputs: offer it a batch of input 0 now, with
 * the records that wait, be it none, until one such batch is committed; it commits where each
 * partition stands. A batch of no records that ends in doubt counts as void and is offered again,
 * so what is emitted in it must do no harm if it is there twice. */
VD_API void vd_stage_wake(struct vd_stage *stage);

/* ---- outside transactions -------------------------------------------------------------------- */

/* Send a record to a plain output. Idempotent producer, retried by the library; it may be lost or
 * doubled by a crash, so send absolute values and reconcile with a table of the topic.
 * Fails: VD_AGAIN while the producer's queue is full. */
VD_API enum vd_status vd_stage_publish(struct vd_stage *stage, size_t output,
                                       const struct vd_msg *msg, struct vd_err *err) VD_MUST_CHECK;

#endif
