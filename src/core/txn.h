/* A transactional producer on a thread of its own (exactly-once protocol, 1). The loop submits
 * jobs; the thread runs them one after the other and gives them back on the loop, in order. */
#ifndef VD_CORE_TXN_H
#define VD_CORE_TXN_H

#include <stdatomic.h>

#include "buf.h"
#include "kafka.h"
#include "reader.h"
#include "record.h"

struct vd_txn;

/* The group's metadata as it was right after an assignment; shared by the batches of that time. */
struct vd_group {
    atomic_int refs;
    rd_kafka_consumer_group_metadata_t *md;
};
struct vd_group *vd_group_ref(struct vd_group *group);
void vd_group_unref(struct vd_group *group); /* NULL is accepted. Thread: any, both */

struct vd_txn_header {
    size_t name_at, name_len; /* in the arena */
    size_t at, len;           /* likewise */
    bool has_value;
};

/* One record to produce; its bytes stand in the job's arena. */
struct vd_txn_record {
    uint16_t topic; /* index into the producer's topics */
    bool has_key, has_value, has_position;
    int32_t partition;
    int64_t timestamp_ms;
    size_t key_at, key_len, value_at, value_len;
    struct vd_position position;
    size_t header_count;
    size_t header_first; /* index into the job's headers */
};

enum vd_txn_kind {
    VD_TXN_COMMIT,   /* produce 'records', send 'offsets', commit */
    VD_TXN_REWIND,   /* the same for offsets that go back: it is done when they are what they are */
    VD_TXN_TAKEOVER, /* settle what the predecessor left of 'offsets', then fill them in (2.4) */
    VD_TXN_READ,     /* read the next part of 'range' */
};

/* What a takeover finds of one partition, by the index of 'offsets'. */
struct vd_extent {
    bool is_chained;    /* in: what was emitted for it stands in 'chained' */
    int64_t begin, end; /* the offsets that exist: the first, and the one behind the last */
    int64_t emitted;    /* source offset of the last record in 'chained'; VD_NO_OFFSET: none */
    struct vd_err err;  /* VD_OK, or why the partition must not be read */
};

enum vd_txn_outcome {
    VD_TXN_DONE,   /* committed; or the answers are filled in */
    VD_TXN_VOID,   /* certainly not committed, or not found out; 'err' says why */
    VD_TXN_FENCED, /* another process uses this transactional.id */
};

struct vd_txn_job {
    enum vd_txn_kind kind;
    void *owner;       /* the loop's own */
    uint64_t run;      /* jobs of a run behind a void one are void as well */
    uint64_t producer; /* of a source: the producer's number when it last read its progress */
    struct vd_buf arena;
    struct vd_txn_record *records;
    size_t record_count, record_cap;
    struct vd_txn_header *headers;
    size_t header_count, header_cap;
    rd_kafka_topic_partition_list_t *offsets; /* with metadata; NULL: none, as for a source */
    bool is_standing;       /* these were committed before: in doubt they tell nothing */
    struct vd_group *group; /* NULL for a source */
    rd_kafka_topic_partition_list_t *settle; /* takeover: partitions to wait for */
    struct vd_extent *extents;               /* takeover: by the index of 'offsets' */
    const char *chained;                     /* takeover: topic; NULL: no output is chained */
    int16_t generation;                      /* takeover: of the chained output's input */
    struct vd_range *range;                  /* owned */
    enum vd_txn_outcome outcome;
    struct vd_err err;
    double seconds; /* begin to end of commit */
};

struct vd_txn_job *vd_txn_job_new(enum vd_txn_kind kind, void *owner);
void vd_txn_job_free(struct vd_txn_job *job); /* NULL is accepted */

/* Add a record to a job; key and value, which may be NULL, are copied. Returns: the record, for the
 * caller to fill in the rest; borrowed until the next one is added. */
struct vd_txn_record *vd_txn_job_add(struct vd_txn_job *job, const void *key, size_t key_len,
                                     const void *value, size_t value_len);

/* Add a header to the record added last; name and value, which may be NULL, are copied. */
void vd_txn_job_header(struct vd_txn_job *job, const char *name, const void *value, size_t len);

/* Add an offset to be committed, with its note as metadata. */
void vd_txn_job_add_offset(struct vd_txn_job *job, const char *topic, int32_t partition,
                           int64_t offset, const struct vd_commit_note *note);

typedef void vd_txn_done_fn(void *arg, struct vd_txn_job *job);

#define VD_TXN_JOBS_MAX 4

struct vd_txn_conf {
    const char *transactional_id;
    const char *const *topics; /* borrowed for the life of the producer */
    size_t topic_count;
    vd_txn_done_fn *on_done; /* takes the job */
    void *arg;
};

/* Start the thread; the producer is created there and waits for the broker. 'conf' is copied. */
struct vd_txn *vd_txn_new(struct vd_kafka *kafka, struct vd_loop *loop,
                          const struct vd_txn_conf *conf, struct vd_log *log);

/* The consumer whose group the offsets belong to; it must outlive the producer. Set it before the
 * first job that has offsets. */
void vd_txn_set_consumer(struct vd_txn *txn, rd_kafka_t *consumer);

/* Hand a job to the thread. Owns: the job, until on_done. At most VD_TXN_JOBS_MAX are under way,
 * which the caller keeps count of (asserted). */
void vd_txn_submit(struct vd_txn *txn, struct vd_txn_job *job);

/* Make jobs of 'run' and earlier that have not begun void:
 * their records belong to somebody else. */
void vd_txn_void(struct vd_txn *txn, uint64_t run);

/* What the thread waits for ("broker: ..."), copied to 'text'; false if it does not wait. */
bool vd_txn_is_waiting(struct vd_txn *txn, char *text, size_t bytes);

/* From now on wait no more for a broker that is away: jobs that would have to come back void. For a
 * stage that drains; what was blocked already ends with its transaction's time. */
void vd_txn_leave(struct vd_txn *txn);

/* The number of the producer that is ready, 0: none has been yet. A source's jobs are void under
 * any other than the one that they name: since it read its progress, another process may have gone
 * on. Thread: any. */
uint64_t vd_txn_producer(const struct vd_txn *txn);

/* Replace the producer before its next commit. */
void vd_txn_doubt(struct vd_txn *txn);

/* How long the transaction under way has taken, in milliseconds; 0: none is. */
int64_t vd_txn_busy_ms(struct vd_txn *txn);

/* Times the producer was replaced after a doubt. Thread: any. */
int64_t vd_txn_recycled(const struct vd_txn *txn);

/* Ask the thread to end; jobs under way are given back void. on_closed runs on the loop when the
 * thread is gone. A blocked commit is waited for: the caller has a deadline. */
void vd_txn_close(struct vd_txn *txn, void (*on_closed)(void *arg), void *arg);

#endif
