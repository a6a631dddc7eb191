/* PostgreSQL's side of the picture: the meter, the count, and what they say. */
#include "counts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "picture.h"
#include "stage.h"

/* Read-only and on one core: the page must never stand in the way of the votes. */
#define SESSION_SQL                            \
    "SET default_transaction_read_only = on;"  \
    "SET max_parallel_workers_per_gather = 0;" \
    "SET statement_timeout = '120s'"

#define METER_TABLE(name)                                                \
    "coalesce(pg_stat_get_tuples_inserted(to_regclass('" name "')::oid)" \
    " - pg_stat_get_tuples_deleted(to_regclass('" name "')::oid), 0)"

static const char meter_sql[] =
    "SELECT pg_stat_get_db_tuples_inserted(d.oid) + pg_stat_get_db_tuples_deleted(d.oid)"
    ", " METER_TABLE("voters") ", " METER_TABLE("candidates") ", " METER_TABLE(
        "votes") ", to_regclass('voters') IS NOT NULL AND to_regclass('candidates') IS NOT NULL"
                 " AND to_regclass('votes') IS NOT NULL"
                 ", current_setting('track_counts')::boolean"
                 " FROM pg_database d WHERE d.datname = current_database()";

/* One pass gives registered voters by state and in total. 4,000 is more than any country's units on
 * one page; the total counts all. */
static const char voters_sql[] =
    "SELECT address_state, count(*), (sum(count(*)) OVER ())::bigint FROM voters"
    " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 4000";
static const char candidates_sql[] = "SELECT count(*) FROM candidates";
static const char votes_sql[] = "SELECT count(*) FROM votes";

struct counts {
    struct vd_stage *stage;
    struct picture *picture;
    struct vd_pg *pg;       /* owned */
    struct vd_timer *timer; /* owned; the next reading of the meter */
    int64_t count_ms;
    struct counts_rule rule;
    struct counts_meter meter; /* the newest reading */
    int64_t counted[COUNTS_TABLES];
    int64_t scan_begin_ms;
    bool has_warned; /* of a failing query, until one works again */
    struct vd_metric *scans;
};

static const size_t totals_column[COUNTS_TABLES] = {
    [COUNTS_VOTERS] = TOTALS_VOTERS,
    [COUNTS_CANDIDATES] = TOTALS_CANDIDATES,
    [COUNTS_VOTES] = TOTALS_STORED,
};

static int64_t get_int(const struct vd_pg_reply *reply, size_t stmt, size_t row, size_t column)
{
    const char *text = vd_pg_reply_get(reply, stmt, row, column, NULL);

    return text == NULL ? 0 : strtoll(text, NULL, 10);
}

static bool get_bool(const struct vd_pg_reply *reply, size_t stmt, size_t row, size_t column)
{
    const char *text = vd_pg_reply_get(reply, stmt, row, column, NULL);

    return text != NULL && text[0] == 't';
}

static int64_t clamp(int64_t value)
{
    return value < 0 ? 0 : value > PICTURE_INT_MAX ? PICTURE_INT_MAX : value;
}

static void set_database(struct counts *counts, enum picture_database state)
{
    struct picture_about *about = &counts->picture->about;

    if (about->database == state ||
        (state == PICTURE_DATABASE_OLD && about->database == PICTURE_DATABASE_ABSENT)) {
        return;
    }
    about->database = state;
    picture_touch(counts->picture);
}

static void show(struct counts *counts, bool is_guess)
{
    for (enum counts_table i = 0; i < COUNTS_TABLES; i++) {
        int64_t value = counts->counted[i];

        if (is_guess) {
            value = counts_rule_guess(&counts->rule, &counts->meter, i, value);
        }
        (void)picture_set(counts->picture, PICTURE_TOTALS, 0, totals_column[i],
                          clamp(value)); /* the picture knows whether it changed */
    }
    set_database(counts, PICTURE_DATABASE_CURRENT);
}

static void plan(struct counts *counts)
{
    vd_timer_start(counts->timer, counts->count_ms);
}

/* A query failed: say so once, keep what is shown, ask again later. */
static void on_failed(struct counts *counts, const struct vd_err *err)
{
    if (counts->pg == NULL) {
        return; /* stopping: what was under way is answered with an error */
    }
    if (!counts->has_warned) {
        vd_warn(vd_stage_log(counts->stage), "keeping the last counts: %s", err->msg);
        counts->has_warned = true;
    }
    set_database(counts, PICTURE_DATABASE_OLD);
    plan(counts);
}

/* A state that is not listed has no voters. Only what differs is set: a picture is not new because
 * it was counted again. */
static void take_states(struct counts *counts, const struct vd_pg_reply *reply)
{
    struct picture *picture = counts->picture;
    size_t listed = vd_pg_reply_rows(reply, 0);
    uint32_t known = picture->tables[PICTURE_STATE].count;
    VD_AUTO(mem) bool *is_listed = vd_alloc_array(known + 1, sizeof(bool));

    for (size_t i = 0; i < listed; i++) {
        size_t len = 0;
        const char *state = vd_pg_reply_get(reply, 0, i, 0, &len);
        uint32_t row =
            state == NULL ? PICTURE_NONE : picture_row(picture, PICTURE_STATE, state, len);

        if (row == PICTURE_NONE) {
            continue;
        }
        if (row < known) {
            is_listed[row] = true;
        }
        (void)picture_set(picture, PICTURE_STATE, row, COLUMN_REGISTERED,
                          clamp(get_int(reply, 0, i, 1))); /* changed or not */
    }
    for (uint32_t row = 0; row < known; row++) {
        if (!is_listed[row]) {
            (void)picture_set(picture, PICTURE_STATE, row, COLUMN_REGISTERED, 0); /* or was */
        }
    }
}

static void on_counted(void *arg, const struct vd_pg_reply *reply)
{
    struct counts *counts = arg;
    const struct vd_err *err = vd_pg_reply_err(reply);
    int64_t before[COUNTS_TABLES];

    if (err != NULL) {
        on_failed(counts, err);
        return;
    }
    vd_metric_add(counts->scans, 1);
    memcpy(before, counts->counted, sizeof(before));
    counts->counted[COUNTS_VOTERS] = vd_pg_reply_rows(reply, 0) > 0 ? get_int(reply, 0, 0, 2) : 0;
    counts->counted[COUNTS_CANDIDATES] = get_int(reply, 1, 0, 0);
    counts->counted[COUNTS_VOTES] = get_int(reply, 2, 0, 0);
    counts_rule_scanned(&counts->rule, &counts->meter, counts->scan_begin_ms,
                        vd_loop_now_ms(vd_stage_loop(counts->stage)),
                        memcmp(before, counts->counted, sizeof(before)) != 0);
    take_states(counts, reply);
    counts->has_warned = false;
    counts->picture->about.database_ms = vd_wall_ms();
    show(counts, false);
    plan(counts);
}

static void scan(struct counts *counts)
{
    static const struct vd_pg_stmt stmts[] = {
        {.sql = voters_sql},
        {.sql = candidates_sql},
        {.sql = votes_sql},
    };
    struct vd_err err = {0};

    counts->scan_begin_ms = vd_loop_now_ms(vd_stage_loop(counts->stage));
    if (vd_pg_run(counts->pg, stmts, sizeof(stmts) / sizeof(stmts[0]), on_counted, counts, &err) !=
        VD_OK) {
        on_failed(counts, &err);
    }
}

static void on_meter(void *arg, const struct vd_pg_reply *reply)
{
    struct counts *counts = arg;
    const struct vd_err *err = vd_pg_reply_err(reply);
    enum counts_step step = COUNTS_HOLD;

    if (err != NULL || vd_pg_reply_rows(reply, 0) != 1) {
        on_failed(counts,
                  err != NULL ? err : &(struct vd_err){.msg = "the database is not listed"});
        return;
    }
    counts->meter.changes = get_int(reply, 0, 0, 0);
    for (enum counts_table i = 0; i < COUNTS_TABLES; i++) {
        counts->meter.grown[i] = get_int(reply, 0, 0, 1 + i);
    }
    counts->meter.has_tables = get_bool(reply, 0, 0, 4);
    counts->meter.is_metered = get_bool(reply, 0, 0, 5);
    step = counts_rule_step(&counts->rule, &counts->meter,
                            vd_loop_now_ms(vd_stage_loop(counts->stage)));
    if (step == COUNTS_SCAN) {
        scan(counts);
        return;
    }
    if (counts->rule.has_scan) {
        counts->picture->about.database_ms = vd_wall_ms();
        show(counts, step == COUNTS_GUESS);
    }
    plan(counts);
}

static void on_time(void *arg)
{
    static const struct vd_pg_stmt stmt = {.sql = meter_sql};
    struct counts *counts = arg;
    struct vd_err err = {0};

    if (!vd_pg_is_ready(counts->pg)) {
        return; /* on_ready begins anew */
    }
    if (vd_pg_run(counts->pg, &stmt, 1, on_meter, counts, &err) != VD_OK) {
        on_failed(counts, &err);
    }
}

static void on_ready(void *arg)
{
    struct counts *counts = arg;

    vd_timer_start(counts->timer, 0);
}

static void on_lost(void *arg, const struct vd_err *err)
{
    struct counts *counts = arg;

    vd_timer_stop(counts->timer);
    if (counts->picture->about.database == PICTURE_DATABASE_CURRENT) {
        vd_warn(vd_stage_log(counts->stage), "the counts of the database are old now: %s",
                err->msg);
    }
    set_database(counts, PICTURE_DATABASE_OLD);
}

struct counts *counts_new(struct vd_stage *stage, struct picture *picture, int64_t count_ms)
{
    struct counts *counts = vd_alloc(sizeof(*counts));
    const struct vd_pg_events events = {.on_ready = on_ready, .on_lost = on_lost, .arg = counts};

    counts->stage = stage;
    counts->picture = picture;
    counts->count_ms = count_ms;
    counts->scans = vd_stage_metric(stage, VD_COUNTER, "dashboard_counts_total", NULL,
                                    "full counts of voters, candidates and votes");
    counts->timer = vd_timer_new(vd_stage_loop(stage), on_time, counts);
    counts->pg = vd_stage_pg(stage, SESSION_SQL, &events);
    return counts;
}

void counts_free(struct counts *counts)
{
    if (counts == NULL) {
        return;
    }
    if (counts->pg != NULL) {
        vd_pg_close(vd_take(counts->pg)); /* answers what is under way */
    }
    vd_timer_close(counts->timer);
    free(counts);
}
