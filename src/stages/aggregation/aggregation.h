/* What the files of the aggregation stage share: its state. */
#ifndef VD_AGGREGATION_AGGREGATION_H
#define VD_AGGREGATION_AGGREGATION_H

#include "groups.h"
#include "merge.h"
#include "stage.h"
#include "tally.h"
#include "watermark.h"

/* Ports: the partials come first, then one per group. */
enum { INPUT_VOTES, PORT_PARTIALS = 0, PORT_FIRST_GROUP };

/* A partition of the votes. */
struct part {
    struct agg_tally *tally; /* NULL: not ours, or stopped */
    uint64_t asked;          /* number of the last question about it */
    uint64_t echoed;         /* commit number last seen in the table */
    uint64_t highest;        /* of those seen */
    int64_t echoed_ms;       /* since when one is missing, if one is */
    uint64_t lost;           /* commit number that the table passed over; 0: none */
    int64_t active_ms;       /* when its last record came, or it was taken over */
    bool is_recount_due;     /* a replay asks, until the recount's end */
    bool has_stale;          /* a vote of a generation that is over was told */
    bool has_newer;          /* a newer version's META was told, while not ours */
    size_t source;           /* its last record in the batch at hand, or VD_NO_SOURCE */
};

/* Where does a partition start? Open until the table shows all that its last owner wrote. */
struct question {
    struct question *next;
    struct aggregation *aggregation;
    struct vd_assign *assign;
    uint64_t number;
};

/* The table of one group's public topic. */
struct watch {
    struct aggregation *aggregation;
    size_t group;
};

struct aggregation {
    int64_t publish_ms;
    int64_t results_max;
    int64_t lateness_ms;
    int64_t idle_timeout_ms;
    char *rebuild;

    struct vd_stage *stage;
    struct agg_merge *merge;
    struct agg_watermark *watermark;
    struct part *parts;
    size_t part_count;
    struct question *questions;
    uint64_t question_count;
    struct watch watches[AGG_GROUP_COUNT];
    struct vd_timer *publish;
    int64_t checked_ms;
    bool has_ignored;
    int64_t verifying_ms; /* since when echoes are looked for at the table's end; 0: they are not */
    bool is_full;         /* the publisher took no more in the last round */
    int64_t drained_ms;   /* until then a drain may last; 0: none is under way */

    struct vd_batch *answered; /* waits for its commit */
    struct vd_buf scratch, key, value;

    struct vd_metric *votes, *dead, *seen, *repeat, *stale, *future, *published, *ignored,
        *lost_echo, *recounts, *watermark_s, *watermark_lag_s;
};

/* ---- takeover.c: the partials' table, and where a partition starts --------------------------- */

/* The partition's place in 'parts', which grows as needed: not to be kept over a further call. */
struct part *agg_part_get(struct aggregation *aggregation, int32_t partition);

/* Halt the stage if there are more results than it may hold. */
void agg_takeover_check_results(struct aggregation *aggregation);

/* Follow the partials into the merge; in the stage's start. */
void agg_takeover_watch(struct aggregation *aggregation);

/* A callback of the descriptor each. */
void agg_takeover_assign(struct vd_stage *stage, void *state, struct vd_assign *assign);
void agg_takeover_revoke(struct vd_stage *stage, void *state, int32_t partition);

/* Answer what is still open; in the stage's stop. */
void agg_takeover_fini(struct aggregation *aggregation);

/* ---- upkeep.c: what an owner owes its partitions while no votes come ------------------------- */

/* In every round, while the table is current: echoes, idleness, recounts, sums, the watermark. */
void agg_upkeep(struct aggregation *aggregation);

/* True once everything committed has come back in the table. */
bool agg_upkeep_is_settled(const struct aggregation *aggregation);

#endif
