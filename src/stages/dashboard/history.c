/* Two axes of steps, and for each row what it was at the end of them. */
#include "history.h"

#include <assert.h>
#include <string.h>

#include "alloc.h"

/* Nothing came in this step: the total is the one before. */
#define SAME (INT64_MIN + 1)

enum axis_kind {
    AXIS_WHOLE,  /* coarsens when it is full */
    AXIS_RECENT, /* forgets its oldest quarter when it is full */
    AXES,
};

/* Steps are counted from 1970, so that two of them are always one of the next coarser ones. */
struct axis {
    int64_t step_ms;
    int64_t first; /* number of the first step */
    size_t used;   /* steps from there */
    size_t size;
};

/* A row on one axis. */
struct line {
    int64_t before;  /* the total ahead of the first step, or HISTORY_GAP */
    int64_t *totals; /* owned; 'size' of the axis: a total, SAME or HISTORY_GAP */
};

struct history_row {
    bool is_used;
    uint32_t holes;   /* of its partition, at its last record */
    int64_t event_ms; /* of its last record: time does not go back in one row */
    struct line lines[AXES];
};

/* One partition of a table's topic, from offset 0 without a hole if all of it was read. */
struct reading {
    int64_t next; /* offset */
    uint32_t holes;
};

struct history_table {
    struct history_row *rows; /* owned */
    uint32_t row_count;
    bool is_too_large;
    struct reading *readings; /* owned; by partition */
    size_t reading_count;
};

struct history {
    struct history_limits limits;
    uint64_t version;
    int64_t news_ms; /* since when totals have changed; see history_news */
    bool has_leapt;  /* what a row had before its first record is not known */
    struct axis axes[AXES];
    struct history_table *tables; /* owned */
};

struct history *history_new(const struct history_limits *limits)
{
    struct history *history = vd_alloc(sizeof(*history));

    history->limits = *limits;
    history->news_ms = INT64_MAX;
    history->tables = vd_alloc_array(limits->tables, sizeof(*history->tables));
    history->axes[AXIS_WHOLE] = (struct axis){.step_ms = HISTORY_STEP_MS, .size = limits->points};
    history->axes[AXIS_RECENT] = (struct axis){.step_ms = HISTORY_STEP_MS, .size = HISTORY_RECENT};
    return history;
}

static void forget_rows(struct history_table *table)
{
    for (uint32_t i = 0; i < table->row_count; i++) {
        for (size_t kind = 0; kind < AXES; kind++) {
            free(table->rows[i].lines[kind].totals);
        }
    }
    free(vd_take(table->rows));
    table->row_count = 0;
}

void history_free(struct history *history)
{
    if (history == NULL) {
        return;
    }
    for (size_t i = 0; i < history->limits.tables; i++) {
        forget_rows(&history->tables[i]);
        free(history->tables[i].readings);
    }
    free(history->tables);
    free(history);
}

/* ---- the axes ----------------------------------------------------------------------------------
 */

static void clear(int64_t *totals, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        totals[i] = SAME;
    }
}

/* Two steps become one: what is known at its end is what the later of them says. */
static void coarsen_line(struct line *line, const struct axis *axis, size_t count)
{
    size_t odd = (size_t)(axis->first % 2); /* then the first step is the later one of its pair */

    for (size_t i = 0; i < count; i++) {
        size_t later = 2 * i + 1 - odd;
        int64_t total = later < axis->used ? line->totals[later] : SAME;

        line->totals[i] = total == SAME && later > 0 ? line->totals[later - 1] : total;
    }
    clear(line->totals, count, axis->used);
}

/* Make room for 'count' steps ahead of the first. */
static void lead_line(struct line *line, const struct axis *axis, size_t count)
{
    memmove(line->totals + count, line->totals, axis->used * sizeof(line->totals[0]));
    clear(line->totals, 0, count);
}

/* Forget the first 'count' steps. */
static void trim_line(struct line *line, const struct axis *axis, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        line->before = line->totals[i] == SAME ? line->before : line->totals[i];
    }
    memmove(line->totals, line->totals + count, (axis->used - count) * sizeof(line->totals[0]));
    clear(line->totals, axis->used - count, axis->used);
}

typedef void change_line_fn(struct line *line, const struct axis *axis, size_t count);

static void change_lines(struct history *history, enum axis_kind kind, change_line_fn *change,
                         size_t count)
{
    for (size_t i = 0; i < history->limits.tables; i++) {
        for (uint32_t row = 0; row < history->tables[i].row_count; row++) {
            struct line *line = &history->tables[i].rows[row].lines[kind];

            if (line->totals != NULL) {
                change(line, &history->axes[kind], count);
            }
        }
    }
}

static void coarsen(struct history *history)
{
    struct axis *axis = &history->axes[AXIS_WHOLE];
    size_t count = (axis->used + (size_t)(axis->first % 2) + 1) / 2;

    change_lines(history, AXIS_WHOLE, coarsen_line, count);
    axis->step_ms *= 2;
    axis->first /= 2;
    axis->used = count;
}

static void lead(struct history *history, enum axis_kind kind, size_t count)
{
    change_lines(history, kind, lead_line, count);
    history->axes[kind].first -= (int64_t)count;
    history->axes[kind].used += count;
}

static void trim(struct history *history, int64_t first)
{
    struct axis *axis = &history->axes[AXIS_RECENT];
    int64_t gone = first - axis->first;
    size_t count = gone < (int64_t)axis->used ? (size_t)gone : axis->used;

    change_lines(history, AXIS_RECENT, trim_line, count);
    axis->first = first;
    axis->used -= count;
}

/* Steps from the first to the last of an axis that also has step number 'step'. */
static size_t span(const struct axis *axis, int64_t step)
{
    int64_t end = axis->first + (int64_t)axis->used;
    int64_t first = step < axis->first ? step : axis->first;

    return (size_t)((step < end ? end : step + 1) - first);
}

/* Have the step of 'event_ms' on the axis.
 * Returns: false if it is older than what the axis keeps. */
static bool reach(struct history *history, enum axis_kind kind, int64_t event_ms)
{
    struct axis *axis = &history->axes[kind];
    int64_t step = event_ms / axis->step_ms;

    if (axis->used == 0) {
        axis->first = step;
    }
    while (kind == AXIS_WHOLE && span(axis, step) > axis->size) {
        coarsen(history);
        step = event_ms / axis->step_ms;
    }
    if (span(axis, step) > axis->size) {
        if (step < axis->first) {
            return false;
        }
        trim(history, step + 1 - (int64_t)(axis->size - axis->size / 4));
    }
    if (step < axis->first) {
        lead(history, kind, (size_t)(axis->first - step));
    }
    axis->used = span(axis, step);
    return true;
}

/* ---- what comes in -----------------------------------------------------------------------------
 */

/* An offset that is missing is the end of another program's transaction; more than one are records
 * that were compacted away. Fewer than expected: the topic was made anew. */
static const struct reading *take_offset(struct history_table *table,
                                         const struct history_total *total)
{
    size_t wanted = (size_t)total->partition + 1;
    struct reading *reading = NULL;

    if (wanted > table->reading_count) {
        table->readings = vd_realloc(table->readings, wanted * sizeof(*table->readings));
        memset(&table->readings[table->reading_count], 0,
               (wanted - table->reading_count) * sizeof(*table->readings));
        table->reading_count = wanted;
    }
    reading = &table->readings[total->partition];
    if (total->offset != reading->next && total->offset != reading->next + 1) {
        reading->holes++;
    }
    reading->next = total->offset + 1;
    return reading;
}

static void tell_news(struct history *history, int64_t since_ms)
{
    history->news_ms = since_ms < history->news_ms ? since_ms : history->news_ms;
}

/* The row, or NULL if it or its table is not kept. */
static struct history_row *get_row(struct history *history, struct history_table *table,
                                   uint32_t number)
{
    if (number >= history->limits.rows && !table->is_too_large) {
        table->is_too_large = true;
        tell_news(history, 0);
    }
    if (table->is_too_large) {
        forget_rows(table);
        return NULL;
    }
    if (number >= table->row_count) {
        table->rows = vd_realloc(table->rows, (number + 1) * sizeof(*table->rows));
        memset(&table->rows[table->row_count], 0,
               (number + 1 - table->row_count) * sizeof(*table->rows));
        table->row_count = number + 1;
    }
    return &table->rows[number];
}

static void begin_row(struct history *history, struct history_row *row, int64_t before)
{
    row->is_used = true;
    for (size_t kind = 0; kind < AXES; kind++) {
        struct line *line = &row->lines[kind];
        size_t size = history->axes[kind].size;

        line->before = before;
        line->totals = vd_alloc_array(size, sizeof(line->totals[0]));
        clear(line->totals, 0, size);
    }
}

/* Put a total on one axis. 'gap_ms': nothing is known after this time, up to the total; -1: all is.
 */
static void put(struct history *history, enum axis_kind kind, struct line *line,
                const struct history_total *total, int64_t gap_ms)
{
    const struct axis *axis = &history->axes[kind];
    bool is_kept = reach(history, kind, total->event_ms);
    int64_t at = total->event_ms / axis->step_ms - axis->first;
    int64_t gap = gap_ms / axis->step_ms + 1 - axis->first;

    if (!is_kept) {
        line->before = total->total;
        return;
    }
    if (gap_ms >= 0 && gap < 0) {
        line->before = HISTORY_GAP;
        gap = 0;
    }
    if (gap_ms >= 0 && gap < at) {
        line->totals[gap] = HISTORY_GAP;
    }
    line->totals[at] = total->total;
}

/* Begin anew behind a leap that no election makes: one wrong clock must not flatten all the rest.
 */
static void leap(struct history *history)
{
    for (size_t i = 0; i < history->limits.tables; i++) {
        forget_rows(&history->tables[i]);
    }
    history->axes[AXIS_WHOLE].step_ms = HISTORY_STEP_MS;
    history->axes[AXIS_WHOLE].used = 0;
    history->axes[AXIS_RECENT].used = 0;
    history->has_leapt = true;
    tell_news(history, 0);
}

void history_take(struct history *history, const struct history_total *total)
{
    struct history_table *table = &history->tables[total->table];
    const struct reading *reading = take_offset(table, total);
    struct history_row *row = get_row(history, table, total->row);
    const struct axis *whole = &history->axes[AXIS_WHOLE];
    struct history_total placed = *total;
    int64_t gap_ms = -1;

    assert(total->table < history->limits.tables && total->event_ms >= 0);
    if (row == NULL ||
        (whole->used > 0 && total->event_ms < whole->first * whole->step_ms - HISTORY_LEAP_MS)) {
        return;
    }
    if (whole->used > 0 &&
        total->event_ms >
            (whole->first + (int64_t)whole->used) * whole->step_ms + HISTORY_LEAP_MS) {
        leap(history);
        row = get_row(history, table, total->row);
    }
    if (!row->is_used) {
        bool is_from_zero = (total->is_live || reading->holes == 0) && !history->has_leapt;

        begin_row(history, row, is_from_zero ? 0 : HISTORY_GAP);
        tell_news(history, is_from_zero ? placed.event_ms : 0);
    } else {
        placed.event_ms = total->event_ms > row->event_ms ? total->event_ms : row->event_ms;
        gap_ms = reading->holes == row->holes ? -1 : row->event_ms;
        tell_news(history, gap_ms >= 0 ? gap_ms : placed.event_ms);
    }
    for (enum axis_kind kind = 0; kind < AXES; kind++) {
        put(history, kind, &row->lines[kind], &placed, gap_ms);
    }
    row->event_ms = placed.event_ms;
    row->holes = reading->holes;
    history->version++;
}

/* ---- what is asked for -------------------------------------------------------------------------
 */

uint64_t history_version(const struct history *history)
{
    return history->version;
}

int64_t history_news(struct history *history)
{
    int64_t news_ms = history->news_ms;

    history->news_ms = INT64_MAX;
    return news_ms;
}

bool history_is_too_large(const struct history *history, size_t table)
{
    return history->tables[table].is_too_large;
}

bool history_has(const struct history *history, size_t table, uint32_t row)
{
    const struct history_table *held = &history->tables[table];

    return row < held->row_count && held->rows[row].is_used;
}

/* The finer axis, where it goes back as far as 'from_ms'. */
static enum axis_kind finest(const struct history *history, int64_t from_ms)
{
    const struct axis *recent = &history->axes[AXIS_RECENT];
    bool is_recent = recent->used > 0 && from_ms >= recent->first * recent->step_ms;

    return is_recent ? AXIS_RECENT : AXIS_WHOLE;
}

struct history_range history_find(const struct history *history, const struct history_asked *asked)
{
    enum axis_kind kind = finest(history, asked->from_ms);
    const struct axis *axis = &history->axes[kind];
    int64_t begin_ms = axis->first * axis->step_ms;
    int64_t to_ms = begin_ms + (int64_t)axis->used * axis->step_ms - 1;
    int64_t from_ms = asked->from_ms > begin_ms ? asked->from_ms : begin_ms;
    struct history_range range = {.axis = kind, .step_ms = axis->step_ms};

    to_ms = asked->to_ms < to_ms ? asked->to_ms : to_ms;
    if (axis->used == 0 || from_ms > to_ms) {
        return range;
    }
    for (;; range.step_ms *= 2) {
        int64_t first = from_ms / range.step_ms;

        first -= asked->from_ms < begin_ms && first > 0 ? 1 : 0;
        range.from_ms = first * range.step_ms;
        range.count = (size_t)(to_ms / range.step_ms - first) + 1;
        if (range.step_ms >= asked->step_ms && range.count <= asked->points_max) {
            return range;
        }
    }
}

struct history_range history_at(const struct history *history, int64_t at_ms)
{
    enum axis_kind kind = finest(history, at_ms);
    const struct axis *axis = &history->axes[kind];
    int64_t first = axis->first > 0 ? axis->first - 1 : 0;
    int64_t last = axis->first + (int64_t)axis->used - 1;
    int64_t step = at_ms / axis->step_ms;

    step = step > last ? last : step;
    step = step < first ? first : step;
    return (struct history_range){.from_ms = step * axis->step_ms,
                                  .step_ms = axis->step_ms,
                                  .count = axis->used > 0 ? 1 : 0,
                                  .axis = kind};
}

/* What a row had when the step number 'at' of the axis began. */
static int64_t total_before(const struct line *line, size_t at)
{
    while (at > 0 && line->totals[at - 1] == SAME) {
        at--;
    }
    return at > 0 ? line->totals[at - 1] : line->before;
}

void history_read(const struct history *history, size_t table, uint32_t row,
                  const struct history_range *range, int64_t *totals)
{
    const struct axis *axis = &history->axes[range->axis];
    int64_t first = range->from_ms / axis->step_ms - axis->first;
    size_t at = first > 0 ? (size_t)first : 0;
    const struct line *line = NULL;
    int64_t total = HISTORY_GAP;

    assert(history_has(history, table, row));
    line = &history->tables[table].rows[row].lines[range->axis];
    at = at < axis->used ? at : axis->used;
    total = total_before(line, at);
    for (size_t i = 0; i < range->count; i++) {
        int64_t end_ms = range->from_ms + (int64_t)(i + 1) * range->step_ms;

        for (; at < axis->used && (axis->first + (int64_t)at) * axis->step_ms < end_ms; at++) {
            total = line->totals[at] == SAME ? total : line->totals[at];
        }
        totals[i] = total;
    }
}
