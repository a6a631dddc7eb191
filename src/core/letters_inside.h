/* What the parts of --dead-letters share; nobody else includes this. */
#ifndef VD_CORE_LETTERS_INSIDE_H
#define VD_CORE_LETTERS_INSIDE_H

#include "letter.h"
#include "letters.h"
#include "loop_uv.h"
#include "scan.h"

#define VD_LETTERS_TIMEOUT_MS 10000 /* without an answer from the brokers */

/* ---- letters_filter.c: which letters are meant ----------------------------------------------- */

enum vd_letters_action {
    VD_LETTERS_LIST,
    VD_LETTERS_SHOW,
    VD_LETTERS_REPLAY,
    VD_LETTERS_PURGE,
};

struct vd_letters_filter {
    const struct vd_letters_conf *conf;
    enum vd_letters_action action;
    int64_t first, last;        /* offsets */
    int64_t since_ms, until_ms; /* wall clock */
    int64_t limit;
};

/* 'now_ms' is the wall clock, which "2h" counts from. */
enum vd_status vd_letters_filter_parse(const struct vd_letters_conf *conf, int64_t now_ms,
                                       struct vd_letters_filter *filter,
                                       struct vd_err *err) VD_MUST_CHECK;

/* Whether a letter is meant; neither limit nor topic are looked at. */
bool vd_letters_filter_match(const struct vd_letters_filter *filter, const struct vd_letter *letter,
                             bool is_replayed);

/* ---- letters.c: what they all work on -------------------------------------------------------- */

/* A topic that holds letters. */
struct vd_letters_box {
    struct vd_topic_conf *topic; /* partitions_found 0: it does not exist yet */
    const char *stage;           /* the first one that writes it */
    bool is_rejected;            /* an output of rejected records, not a dead-letter topic */
};

struct vd_letters {
    struct vd_topology *topology;
    struct vd_letters_filter filter;
    struct vd_letters_box *boxes; /* those that are meant */
    size_t box_count;
    struct vd_loop loop;
    struct vd_metrics *metrics;
    struct vd_log *log;
    struct vd_kafka *kafka;
    rd_kafka_t *rk; /* reads letters */
};

/* Write to standard output. */
enum vd_status vd_letters_put(const struct vd_buf *text, struct vd_err *err) VD_MUST_CHECK;

/* ---- letters_read.c -------------------------------------------------------------------------- */

enum vd_letters_state {
    VD_LETTERS_NEW,
    VD_LETTERS_REPLAYED,
    VD_LETTERS_RECEIPT, /* no letter */
};

/* One record of a topic of letters. Returns: false to stop. */
typedef bool vd_letters_fn(void *arg, const struct vd_letters_box *box,
                           const struct vd_letter *letter, enum vd_letters_state state);

/* Give all records that are committed now to 'each', partition by partition, in order. Partitions
 * that the filter leaves out are not read.
 * Fails: VD_AGAIN or VD_FAILED without an answer from the brokers. */
enum vd_status vd_letters_read(struct vd_letters *letters, const struct vd_letters_box *box,
                               vd_letters_fn *each, void *arg, struct vd_err *err) VD_MUST_CHECK;

/* ---- letters_print.c ------------------------------------------------------------------------- */

/* Bytes for a terminal: control characters and what is not UTF-8 escaped as in C, cut with "..."
 * behind 'columns' characters (0: not cut). */
void vd_letters_add_safe(struct vd_buf *out, const char *bytes, size_t len, size_t columns);

/* A text for a terminal, padded to 'columns' and two blanks more. */
void vd_letters_add_padded(struct vd_buf *out, const char *text, size_t columns);

/* The state in words: "new", "again" (it was replayed before, as another letter), "replayed". */
const char *vd_letters_state_name(const struct vd_letter *letter, enum vd_letters_state state);

/* "2026-11-03 20:15:00", of UTC; "-" for -1. */
void vd_letters_add_time(struct vd_buf *out, int64_t ms);

void vd_letters_add_heading(struct vd_buf *out); /* of the lines that follow */
void vd_letters_add_line(struct vd_buf *out, const struct vd_letter *letter,
                         enum vd_letters_state state);
void vd_letters_add_whole(struct vd_buf *out, const struct vd_letter *letter,
                          enum vd_letters_state state);

/* One JSON object on a line; 'is_whole': with headers and value. */
void vd_letters_add_json(struct vd_buf *out, const struct vd_letter *letter,
                         enum vd_letters_state state, bool is_whole);

/* ---- the actions; each returns the exit code, or says what failed ---------------------------- */

int vd_letters_list(struct vd_letters *letters, struct vd_err *err);
int vd_letters_show(struct vd_letters *letters, struct vd_err *err);
int vd_letters_replay(struct vd_letters *letters, struct vd_err *err);
int vd_letters_purge(struct vd_letters *letters, struct vd_err *err);

#endif
