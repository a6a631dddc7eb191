/* What the files of the aggregation stage share: its state. */
#ifndef VD_AGGREGATION_AGGREGATION_H
#define VD_AGGREGATION_AGGREGATION_H

#include "groups.h"
#include "merge.h"
#include "stage.h"
#include "tally.h"

/* Ports: the partials come first, then one per group. */
enum { INPUT_VOTES, PORT_PARTIALS = 0, PORT_FIRST_GROUP };

/* A partition of the votes. */
struct part {
    struct agg_tally *tally; /* NULL: never taken over */
    uint64_t asked;          /* number of the last question about it */
    uint64_t echoed;         /* commit number last seen in the table */
    int64_t committed_ms;    /* when the last commit was reported */
    bool is_overdue;         /* an echo is missing and was told */
};

/* Where does a partition start? Open until the table shows all that its last owner wrote. */
struct question {
    struct question *next;
    struct aggregation *aggregation;
    struct vd_assign *assign; /* NULL: answered */
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

    struct vd_stage *stage;
    struct agg_merge *merge;
    struct part *parts;
    size_t part_count;
    struct question *questions;
    uint64_t question_count;
    struct watch watches[AGG_GROUP_COUNT];
    struct vd_timer *publish;
    int64_t checked_ms;
    bool has_ignored;

    struct vd_batch *answered; /* waits for its commit */
    int32_t *touched;          /* its partitions */
    size_t touched_count, touched_cap;
    struct vd_buf scratch, key, value;

    struct vd_metric *votes, *dead, *seen, *repeat, *stale, *published, *ignored, *lost_echo;
};

/* ---- takeover.c: the partials' table, and where a partition starts ----------------------------
 */

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

/* Do the sums of a tally fit? If not, the stage is halted. */
bool agg_takeover_check(struct aggregation *aggregation, const struct agg_tally *tally);

#endif
