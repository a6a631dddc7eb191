/* The totals of the past, by event time, in bounded memory: for every row the last total of each
 * step, on an axis that all rows share. There are two axes: the whole election in at most 'points'
 * steps, which double in length whenever they no longer fit, and its last HISTORY_RECENT steps of
 * one second.
 *
 * A step without a record has the total of the one before it: what is published is all there is to
 * know. It is a gap where that is not so: before the first record of a row that is read back after
 * a start, and where records are gone that nobody here has read, which the offsets tell. A source's
 * event time may run as it likes, except that no election lasts longer than HISTORY_LEAP_MS. */
#ifndef VD_DASHBOARD_HISTORY_H
#define VD_DASHBOARD_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_STEP_MS 1000 /* of event times, which are whole seconds */
#define HISTORY_RECENT 1200  /* the last 15 min, whenever they are asked for */
#define HISTORY_LEAP_MS (366LL * 24 * 3600 * 1000)
#define HISTORY_GAP INT64_MIN /* no total is known */

/* What the axes may hold: 8 bytes for each point of each row. */
struct history_limits {
    size_t points; /* of the whole */
    uint32_t rows; /* of a table; one that has more keeps no history */
    size_t tables; /* of the picture */
};

struct history;

struct history *history_new(const struct history_limits *limits);
void history_free(struct history *history);

/* One published total, and which record told it. */
struct history_total {
    size_t table;
    uint32_t row;
    int64_t total;
    int64_t event_ms;
    int32_t partition;
    int64_t offset;
    bool is_live; /* false: read back after a start */
};

/* Take a record in. Those of a partition come in the order of their offsets; those of different
 * partitions in any. */
void history_take(struct history *history, const struct history_total *total);

/* Rises with whatever changes an answer. */
uint64_t history_version(const struct history *history);

/* The oldest event time since which a total has changed since the last call; INT64_MAX if none has.
 * What was made of older steps is as it would be made now. */
int64_t history_news(struct history *history);

/* True if the table has more rows than may have a past. */
bool history_is_too_large(const struct history *history, size_t table);

/* True if the row has a past. */
bool history_has(const struct history *history, size_t table, uint32_t row);

/* Points at equal distances: number i stands for what is from from_ms + i * step_ms to the next,
 * and has the last total of it. */
struct history_range {
    int64_t from_ms;
    int64_t step_ms;
    size_t count; /* 0: nothing is known */
    size_t axis;  /* on which they are */
};

/* The points to show of what is kept between 'from_ms' and 'to_ms' (inclusive): as fine as it is
 * kept, but steps not shorter than 'step_ms' and no more of them than 'points_max' (from 2). Where
 * that is all from the beginning on, the first point is the step before it: the line's start. */
struct history_asked {
    int64_t from_ms;
    int64_t to_ms;
    int64_t step_ms;
    size_t points_max;
};
struct history_range history_find(const struct history *history, const struct history_asked *asked);

/* The one point that has 'at_ms', as fine as it is kept; of a time before all that is kept, the
 * step before it, and of a later one the last. */
struct history_range history_at(const struct history *history, int64_t at_ms);

/* The totals of a row at the points of 'range', which history_find or history_at gave; HISTORY_GAP
 * where none is known. */
void history_read(const struct history *history, size_t table, uint32_t row,
                  const struct history_range *range, int64_t *totals);

#endif
