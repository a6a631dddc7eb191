/* How many voters, candidates and votes PostgreSQL holds, kept current at a small and bounded cost,
 * however many browsers watch and however large the tables are.
 *
 * Each count_ms one cheap query reads the server's own insert and delete counters. Only when they
 * moved are the tables counted, and the pause before the next count grows with what the last one
 * cost: 50 times its duration while the counters move, 4 times once they stand still. So counting
 * takes at most 2 % of a connection's time during the rush, and is exact soon after it. In between,
 * a total that is expensive to count is carried on by its table's counters. A server process may
 * keep its last inserts to itself for 10 s, so counting goes on for a little longer than that. */
#ifndef VD_DASHBOARD_COUNTS_H
#define VD_DASHBOARD_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum counts_table { COUNTS_VOTERS, COUNTS_CANDIDATES, COUNTS_VOTES, COUNTS_TABLES };

/* What the cheap query says. */
struct counts_meter {
    int64_t changes;              /* inserts and deletes in the whole database, views included */
    int64_t grown[COUNTS_TABLES]; /* inserts less deletes per table; 0 for a view */
    bool has_tables;              /* all three exist */
    bool is_metered;              /* the server keeps such counters */
};

enum counts_step {
    COUNTS_HOLD,  /* what is shown is right, or as right as can be had now */
    COUNTS_GUESS, /* show the last count, carried on by the meter */
    COUNTS_SCAN,  /* count the tables */
};

/* When to count. Zeroed: nothing was counted yet. */
struct counts_rule {
    struct counts_meter last;     /* the meter before this one */
    struct counts_meter scanned;  /* the meter before the last count */
    struct counts_meter baseline; /* the meter once the last count had settled */
    bool has_scan;
    bool has_baseline;
    int64_t moved_ms;                /* loop time at which the meter, or a count, last changed */
    int64_t grown_ms[COUNTS_TABLES]; /* ... at which that table's meter last changed */
    int64_t scan_begin_ms;           /* of the last count */
    int64_t scan_end_ms;
};

#define COUNTS_BUSY_FACTOR 50 /* pause, in durations of the last count, while the meter moves */
#define COUNTS_QUIET_FACTOR 4 /* ... and once it stands still */
#define COUNTS_SETTLE_MS 1500 /* a busy server process reports its inserts once a second */
#define COUNTS_STILL_MS 3000  /* a meter that moves after this may tell of rows counted long ago */
#define COUNTS_TAIL_MS 11000  /* an idle one, those of its last second after 10 s */

/* What to do about a new reading of the meter at loop time 'now_ms'. */
enum counts_step counts_rule_step(struct counts_rule *rule, const struct counts_meter *meter,
                                  int64_t now_ms);

/* Note that a count, begun right after 'meter' was read, took from 'begin_ms' to 'end_ms' and did
 * or did not differ from the one before. */
void counts_rule_scanned(struct counts_rule *rule, const struct counts_meter *meter,
                         int64_t begin_ms, int64_t end_ms, bool is_changed);

/* 'counted', carried on to 'meter'; never less than was counted, and rather too little than too
 * much: growth that may have been counted already is left out. */
int64_t counts_rule_guess(const struct counts_rule *rule, const struct counts_meter *meter,
                          enum counts_table table, int64_t counted);

struct counts;
struct picture;
struct vd_stage;

/* Keep totals and registered voters per state current in 'picture' from now on, asking every
 * 'count_ms'. A lost connection leaves the last counts, marked as old.
 * Owns: the caller, who ends it with counts_free; 'picture' outlives it. */
struct counts *counts_new(struct vd_stage *stage, struct picture *picture, int64_t count_ms);
void counts_free(struct counts *counts); /* NULL is accepted */

#endif
