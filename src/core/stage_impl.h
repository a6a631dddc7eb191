/* A running stage as the engine sees it; core only. part.c holds records, batch.c what is made of
 * them, cycle.c the rounds, rebalance.c what comes and goes, assign.c what is asked
 * about it, stage.c life and the interface. */
#ifndef VD_CORE_STAGE_IMPL_H
#define VD_CORE_STAGE_IMPL_H

#include "consumer.h"
#include "errand.h"
#include "publisher.h"
#include "stage.h"
#include "table_follow.h"
#include "topology.h"
#include "trouble.h"
#include "txn.h"

/* What a node offers its stages; it outlives them. */
struct vd_host {
    struct vd_loop *loop;
    struct vd_kafka *kafka;
    struct vd_errands *errands; /* blocking calls of the consumers */
    struct vd_follower *follower;
    struct vd_publisher *publisher;
    struct vd_http *http;
    struct vd_web *web;
    struct vd_metrics *metrics;
    struct vd_trouble *broker, *database; /* do the servers answer? NULL: nobody asks */
    const char *conninfo;
    const char *application;
    const char *node;
    void (*on_fenced)(void *arg, const char *stage, const char *reason); /* the process must end */
    void *arg;
};

/* ---- part.c: the partitions that are ours, and their records not yet committed --------------- */

struct vd_held {
    struct vd_held *next;
    rd_kafka_event_t *event; /* owns the bytes */
    size_t bytes;            /* of key and value */
    int64_t arrived_ms;      /* loop clock */
    char *fault;             /* owned; why the record is a dead letter already. NULL: it is not */
    bool is_passed_by;       /* a replay for another stage, or a receipt: only its offset counts */
    const rd_kafka_headers_t *headers; /* the event's; NULL: none */
    struct vd_record record;
};

struct vd_part {
    size_t input;
    int32_t partition;
    bool is_owned;
    int refs;            /* one while owned, one for each batch with records of it */
    int64_t next_offset; /* the next one expected; records below it are dropped */
    int64_t seen_end;    /* the end when it was reached last: markers before it are no lag */
    int64_t last; /* source offset last emitted on the chained output, batches under way included */
    int64_t last_committed;
    int64_t floor; /* what records up to here became was emitted before they were read */
    struct vd_held *head, *tail; /* not committed, by offset */
    struct vd_held *cursor;      /* the first that no batch has; NULL: none */
    size_t waiting;              /* from cursor on */
    size_t held_count;
    size_t held_bytes;     /* of their keys and values */
    bool is_at_end;        /* nothing has come since the end was reached */
    bool is_heard;         /* a record, or the end, has come since the broker refused last */
    struct vd_metric *lag; /* NULL: not shown yet */
    char *stopped;         /* owned; why nothing of it is offered any more; NULL: it is */
};

struct vd_part *vd_part_new(size_t input, int32_t partition, int64_t next_offset, int64_t last);
void vd_part_unref(struct vd_part *part);

/* Add a record. Owns: takes 'event'. */
struct vd_held *vd_part_push(struct vd_part *part, rd_kafka_event_t *event, size_t bytes,
                             int64_t now_ms);

/* Free the records below 'offset': they are committed. */
void vd_part_commit(struct vd_part *part, int64_t offset);

/* Let batches begin again at the first record not committed; or at 'first' of a batch put back. */
void vd_part_rewind(struct vd_part *part);
void vd_part_put_back(struct vd_part *part, struct vd_held *first, size_t count);

/* ---- batch.c --------------------------------------------------------------------------------- */

/* The records of one partition in a batch. */
struct vd_span {
    struct vd_part *part; /* a reference */
    struct vd_held *first;
    size_t count;
    int64_t end;  /* offset behind the last one */
    int64_t last; /* part->last once this batch is emitted */
};

struct vd_batch {
    struct vd_stage *stage;
    struct vd_batch *next; /* in the list of batches under way, oldest first */
    size_t input;
    struct vd_span *spans; /* by input order of partitions */
    size_t span_count;
    struct vd_held **records; /* what the stage sees: by partition, then offset */
    size_t *spans_of;         /* the span of each */
    size_t count;
    bool is_woken;       /* every partition has a span, be it of no records */
    size_t chained_from; /* the next record that may be emitted on the chained output */
    struct vd_txn_job *job;
    bool is_answered;
    bool is_done; /* by the stage, which is told of the commit; not one that is all dead letters */
    bool has_excess; /* a record emitted is too large for any producer */
    bool is_void;    /* its partitions are gone, or an earlier batch failed */
};

struct vd_batch *vd_batch_new(struct vd_stage *stage, size_t input);
void vd_batch_free(struct vd_batch *batch);

/* Take up to 'count' waiting records of 'part' into the batch. */
void vd_batch_take(struct vd_batch *batch, struct vd_part *part, size_t count);

/* Have a span of 'part' in the batch, also without records. */
void vd_batch_stand(struct vd_batch *batch, struct vd_part *part);

/* Record 'i' is a dead letter when it is taken again, and the stage does not see it any more. */
void vd_batch_spoil(struct vd_batch *batch, size_t i, const char *reason);

/* Count the age of every record of the span at 'now_ms' (UTC); those without a timestamp have none.
 */
void vd_span_observe(const struct vd_span *span, struct vd_metric *latency, int64_t now_ms);

/* Number the chain, add offsets and metadata: the job is ready to be submitted. */
void vd_batch_seal(struct vd_batch *batch);

/* ---- the stage ------------------------------------------------------------------------------- */

enum vd_stage_life {
    VD_LIFE_NEW,      /* start was not called */
    VD_LIFE_STARTED,  /* start succeeded; topics are not known yet */
    VD_LIFE_RUNNING,  /* reads and writes */
    VD_LIFE_HALTED,   /* only a person can help; nothing is read */
    VD_LIFE_DRAINING, /* no new batches */
    VD_LIFE_CLOSING,  /* producer and consumer are ending */
    VD_LIFE_STOPPED,
};

struct vd_rebalance; /* an assignment and its questions to the stage; rebalance.c */

struct vd_stage {
    const struct vd_stage_conf *conf;
    const struct vd_stage_desc *desc;
    const struct vd_host *host;
    struct vd_log *log;
    void *state;
    enum vd_stage_life life;
    size_t input_count, output_count;

    struct vd_consumer *consumer; /* NULL: no inputs */
    struct vd_txn *txn;           /* NULL: no inputs and no transactional outputs */
    const char **topics;          /* outputs by index, then the dead-letter topic */
    size_t topic_count;
    struct vd_group *group; /* snapshot of the present assignment; NULL: none */
    char tag[VD_TAG_BYTES];

    struct vd_part **parts;
    size_t part_count;
    size_t next_part; /* whose turn it is */
    size_t buffered;  /* records held in all parts */
    size_t buffered_bytes;
    bool is_paused;

    struct vd_batch *batches, **batches_end; /* under way, oldest first */
    struct vd_batch *at_stage;               /* the one being worked on, not yet answered */
    size_t jobs;                             /* commits handed to the producer */
    int64_t job_since_ms;                    /* since when it has the oldest; loop clock */
    uint64_t run;
    bool is_rewinding;  /* wait until nothing is under way, then begin again */
    uint64_t producer;  /* number of the one that a source has read its progress under */
    bool is_ended;      /* a source has nothing more */
    bool is_woken;      /* offer a batch, with or without records */
    size_t batch_limit; /* records; smaller than the option while a bad record is looked for */
    size_t attempts;    /* of the batch offered last */
    int64_t backoff_ms;
    struct vd_timer *wait;  /* for a full batch */
    struct vd_timer *retry; /* while active, nothing is offered */

    rd_kafka_topic_partition_list_t *assigned; /* by the group; NULL: nothing */
    bool is_taking_over;                       /* until the stage is asked about 'assigned' */
    bool is_takeover_running;                  /* a takeover job is with the producer */
    bool is_takeover_stale;                    /* it is about something else than 'assigned' */
    struct vd_rebalance *rebalance;            /* being answered, or NULL */
    struct vd_rebalance *rebalances; /* all that wait for something, also of no interest */
    bool is_rereading;               /* the producer's thread reads what was emitted */
    bool is_rechecking;              /* asks anew when nothing is under way any more */
    bool is_revoking;
    struct vd_timer *revoke_deadline;

    bool was_ready;
    struct vd_trouble unready;      /* what /readyz says, for the log */
    char trouble[VD_ERR_MSG_BYTES]; /* by the stage itself; "": none */
    bool is_txn_waiting;
    char fault[VD_ERR_MSG_BYTES]; /* by the engine: a failed batch, a waiting producer; "": none */
    char refusal[VD_ERR_MSG_BYTES]; /* by the broker, to read; "": none */
    int64_t refusal_look_ms; /* when it was last asked whether it still refuses; loop clock */
    bool is_held;            /* the stage has something left to do before it is closed */
    void (*on_stopped)(void *arg);
    void *stopped_arg;

    struct {
        struct vd_metric *in, *dead, *batches, *retries, *commit, *latency, *dropped, *buffered,
            *recycled, *pauses, *stopped;
        struct vd_metric **out; /* by output; owned, but not what is in it */
    } metrics;
};

/* stage.c: life, in the order of the calls. vd_stage_open creates it and checks nothing that the
 * topology has not checked; start calls the stage; run begins to read, once topics are known. */
struct vd_stage *vd_stage_open(const struct vd_stage_conf *conf, const struct vd_host *host,
                               struct vd_err *err);
enum vd_status vd_stage_start(struct vd_stage *stage, struct vd_err *err) VD_MUST_CHECK;
enum vd_status vd_stage_run(struct vd_stage *stage, struct vd_err *err) VD_MUST_CHECK;
void vd_stage_drain(struct vd_stage *stage, void (*on_stopped)(void *arg), void *arg);
/* After on_stopped, when nobody (tables, web server) calls the stage any more, or if start failed.
 * Calls the stage's stop. */
void vd_stage_free(struct vd_stage *stage);
void vd_stage_tick(struct vd_stage *stage); /* every second: gauges, waiting, the log's words */
/* 'reason' is set if it is not. */
bool vd_stage_is_ready(const struct vd_stage *stage, char *reason, size_t bytes);
void vd_stage_set_life(struct vd_stage *stage, enum vd_stage_life life);
const char *vd_stage_life_name(enum vd_stage_life life);              /* "running" */
void vd_stage_fail(struct vd_stage *stage, const struct vd_err *err); /* NULL: it works again */
/* vd_stage_stop_partition, of any input. */
void vd_stage_stop_part(struct vd_stage *stage, struct vd_part *part, const char *format, ...)
    VD_PRINTF(3, 4);
/* Nothing is under way any more while draining: go on to close. */
void vd_stage_continue_drain(struct vd_stage *stage);

/* cycle.c */
/* Offer a batch, and do what else can be done now, in the next turn of the loop: the stage is never
 * called from within a call of its own. */
void vd_cycle_offer(struct vd_stage *stage);
void vd_cycle_on_message(void *arg, rd_kafka_event_t *event, const rd_kafka_message_t *message);
void vd_cycle_on_end(void *arg, const rd_kafka_topic_partition_t *at);
void vd_cycle_on_job(struct vd_stage *stage, struct vd_txn_job *job);
void vd_cycle_rewind(struct vd_stage *stage); /* everything under way is void */
void vd_cycle_on_timer(void *arg);
void vd_cycle_set_paused(struct vd_stage *stage, bool is_paused); /* all but those stopped */
/* Have the library ask for all partitions anew, from where each stands: one that has nothing new
 * then says so once more. */
void vd_cycle_refetch(struct vd_stage *stage);
/* Stop the partition, or let those stopped be fetched again when they are given up. */
void vd_cycle_stop_part(struct vd_stage *stage, struct vd_part *part, const char *reason);
void vd_cycle_release_stopped(struct vd_stage *stage);
bool vd_cycle_is_idle(const struct vd_stage *stage);

/* rebalance.c */
void vd_rebalance_on_assign(void *arg, const rd_kafka_topic_partition_list_t *parts);
void vd_rebalance_on_revoke(void *arg, bool is_lost);
void vd_rebalance_on_takeover(struct vd_stage *stage, struct vd_txn_job *job);
void vd_rebalance_on_deadline(void *arg);
void vd_rebalance_continue(struct vd_stage *stage); /* what waits until nothing is under way */
void vd_rebalance_again(struct vd_stage *stage);    /* take the present assignment over once more */
void vd_rebalance_drop(struct vd_stage *stage);     /* forget partitions and open questions */

/* assign.c */
/* Ask the stage about all partitions of a takeover, and read on when all is answered. */
void vd_assign_ask(struct vd_stage *stage, const struct vd_txn_job *job);
void vd_assign_on_rewind(struct vd_stage *stage, struct vd_txn_job *job);
void vd_assign_on_read(struct vd_stage *stage, struct vd_txn_job *job);
void vd_assign_fini(struct vd_stage *stage); /* questions never answered */

/* stage_api.c */
/* The partition of an input if it is ours, or NULL. */
struct vd_part *vd_stage_find_part(const struct vd_stage *stage, size_t input, int32_t partition);
/* The topic of the chained output; NULL: there is none. */
const struct vd_topic_conf *vd_stage_chained_topic(const struct vd_stage *stage);

#endif
