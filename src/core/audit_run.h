/* An audit: reads what the stages of a topology have written, and compares; core only. audit.c
 * walks the stages, audit_read.c reads topics, audit_sql.c the database. */
#ifndef VD_CORE_AUDIT_RUN_H
#define VD_CORE_AUDIT_RUN_H

#include <libpq-fe.h>

#include "audit_report.h"
#include "loop_uv.h"
#include "topology.h"

/* Ask broker and database, and let every stage that runs on this node compare what it finds.
 * Blocks; what takes long is told on standard error. 'out' gets the page, 'outcome' what follows
 * from it. Fails: VD_INVALID where a topic is missing, VD_FAILED where broker or database cannot be
 * read. */
enum vd_status vd_audit_topology(struct vd_topology *topology, bool is_json, struct vd_buf *out,
                                 enum vd_audit_outcome *outcome, struct vd_err *err) VD_MUST_CHECK;

/* ---- what the files share -------------------------------------------------------------------- */

/* A topic as it stood when the audit began; arrays by partition. */
struct vd_audit_mark {
    const struct vd_topic_conf *topic;
    int32_t partitions;
    int64_t *begin;   /* of the first record that is kept */
    int64_t *stable;  /* last stable offset: what can be read ends there */
    int64_t *written; /* high watermark */
};

struct vd_audit_run {
    struct vd_topology *topology;
    struct vd_log *log;
    struct vd_metrics *metrics;
    struct vd_loop loop; /* never run: Kafka's room wants one */
    struct vd_kafka *kafka;
    rd_kafka_t *reader;
    struct vd_audit_mark *marks; /* as topology->topics */
    size_t mark_count;           /* without the nodes topic, which is never at rest */
    PGconn *sql;                 /* NULL: not connected */
    struct vd_audit_report report;
    bool is_sound;     /* the record at hand: its headers are of our form; */
    int64_t replay_of; /* the record that it repeats */
    int64_t told_ms;   /* when progress was told last */
    bool is_told;      /* a line of progress stands on the terminal */
};

struct vd_audit {
    struct vd_audit_run *run;
    const struct vd_stage_conf *conf;
    int64_t **committed; /* by input and partition */
};

/* ---- audit_read.c ---------------------------------------------------------------------------- */

/* Open the reader and fill in the marks. */
enum vd_status vd_audit_open_topics(struct vd_audit_run *run, struct vd_err *err) VD_MUST_CHECK;
void vd_audit_close_topics(struct vd_audit_run *run);

/* What is to be read: a marked topic, up to its mark. */
struct vd_audit_reading {
    const struct vd_audit_mark *mark;
    const int64_t *from; /* by partition; NULL: the beginnings */
    const char *stage;   /* in whose eyes: who reads, wrote, or set aside ... */
    enum vd_audit_port port;
    vd_audit_record_fn *on_record;
    void *arg;
};
enum vd_status vd_audit_read_topic(struct vd_audit_run *run, const struct vd_audit_reading *what,
                                   struct vd_err *err) VD_MUST_CHECK;

/* Where a marked topic ends now, by partition; uncommitted records count. */
enum vd_status vd_audit_ask_ends(struct vd_audit_run *run, const struct vd_audit_mark *mark,
                                 int64_t *ends, struct vd_err *err) VD_MUST_CHECK;

/* The offsets that a group has committed for a topic, VD_NO_OFFSET for none; by partition. */
enum vd_status vd_audit_ask_committed(struct vd_audit_run *run, const char *group,
                                      const struct vd_audit_mark *mark, int64_t *committed,
                                      struct vd_err *err) VD_MUST_CHECK;

/* Tell how far a long reading has come, now and then; NULL: it is over. */
void vd_audit_tell(struct vd_audit_run *run, const char *what, int64_t count);

/* ---- audit_sql.c ----------------------------------------------------------------------------- */

/* Connect, and begin the transaction that all queries share. */
enum vd_status vd_audit_connect(struct vd_audit_run *run, struct vd_err *err) VD_MUST_CHECK;

#endif
