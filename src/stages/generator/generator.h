/* The generator stage's state. generator.c has its life, publish.c its batches. */
#ifndef VD_GENERATOR_GENERATOR_H
#define VD_GENERATOR_GENERATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "generator/candidates.h"
#include "generator/conf.h"
#include "generator/page.h"
#include "generator/progress.h"
#include "generator/source.h"
#include "stage.h"

/* Indices of the descriptor's ports. */
enum gen_output {
    GEN_OUT_VOTERS,
    GEN_OUT_CANDIDATES,
    GEN_OUT_PROGRESS,
    GEN_OUT_REJECTED,
};
#define GEN_TABLE_PROGRESS 0

enum gen_state {
    GEN_CONNECTING, /* to PostgreSQL */
    GEN_PREPARING,  /* tables and candidates */
    GEN_OPENING,    /* the source */
    GEN_SYNCING,    /* reading how far it came */
    GEN_RUNNING,
    GEN_COMPLETE,
    GEN_HALTED,
};

/* What an answered batch adds to the counts once it is committed. */
struct gen_pending {
    size_t voters, rejected;
};
#define GEN_PENDING_MAX 8 /* more than the engine ever has under way */

struct generator {
    struct gen_conf conf; /* first: the option table's structure */
    struct vd_stage *stage;
    struct vd_log *log;
    enum gen_state state;
    bool is_stopping;
    bool is_sync_stale; /* the progress must be read once more: the producer is a new one */

    struct vd_pg *pg;
    struct vd_err pg_trouble;     /* status VD_OK: connected */
    struct vd_err source_trouble; /* status VD_OK: none */
    struct vd_timer *retry;       /* of the preparation */
    int64_t retry_ms;

    struct gen_candidates candidates;
    bool are_candidates_due; /* to be published before the next voter */

    const struct gen_source_ops *ops;
    struct gen_source_host host;
    struct gen_source *source;
    char *key;        /* owned: of our progress row */
    char *definition; /* owned; NULL until the source is open */

    struct gen_place place; /* where the next page begins: all batches answered so far included */
    bool is_known_complete; /* the row says so */

    struct vd_batch *batch; /* under way in PostgreSQL, with 'page' */
    struct gen_page page;
    struct gen_pending pending[GEN_PENDING_MAX]; /* answered, not committed; oldest first */
    size_t pending_count;

    struct vd_timer *pace;
    int64_t paced_from_ms; /* 0: not yet */
    double paced;          /* voters since then */

    struct vd_timer *report;
    int64_t started_ms; /* of this run, for the closing line */
    int64_t reported_ms;
    int64_t committed;        /* voters in this run */
    int64_t reported;         /* of them in the last line */
    int64_t reject_lines;     /* bad records logged one by one */
    int64_t rejected_quietly; /* since the last line */
    struct {
        struct vd_metric *voters, *rejected, *reached, *target;
    } metrics;
};

/* Take a step of the state machine. */
void gen_set_state(struct generator *generator, enum gen_state state);

/* Say what is wrong, or that nothing is, as far as the engine should know. */
void gen_show_trouble(struct generator *generator);

/* Read the progress row, then run. */
void gen_sync(struct generator *generator);

/* Voters in all, as far as known; -1: not known. */
int64_t gen_target(const struct generator *generator);

/* publish.c: callbacks of the descriptor, and of its timers. */
void gen_on_batch(struct vd_stage *stage, void *state, struct vd_batch *batch);
void gen_on_committed(struct vd_stage *stage, void *state, struct vd_batch *batch);
void gen_on_pace(void *arg);
void gen_on_report(void *arg);

#endif
