/* The consistent picture: every published total in tables with named columns, rows with small ids
 * that hold for one epoch, and a sequence number that rises by one with every picture.
 *
 * What comes in is pending until picture_settle makes it the next picture; websocket and API read
 * only settled pictures, so no two of them disagree for one 'seq'. All on the loop thread. */
#ifndef VD_DASHBOARD_PICTURE_H
#define VD_DASHBOARD_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "lead.h"
#include "map.h"

/* The tables that are known by number, since more than one source fills them; the first text of
 * their rows is the key. Behind them come the aggregates that the topology publishes: one column,
 * COLUMN_VOTES, and texts whose names their records tell. */
enum {
    PICTURE_TOTALS, /* one row, "all" */
    PICTURE_CANDIDATE,
    PICTURE_STATE,
    PICTURE_AGGREGATES,
};

/* Columns of PICTURE_TOTALS. */
enum {
    TOTALS_VOTERS,     /* rows of the table voters */
    TOTALS_CANDIDATES, /* rows of the table candidates */
    TOTALS_STORED,     /* rows of the table votes */
    TOTALS_COUNTED,    /* sum of votes over all candidates; kept by picture_settle */
};

/* Columns of every other table; only states have the second one. */
enum {
    COLUMN_VOTES,
    COLUMN_REGISTERED,
};

/* Texts of PICTURE_CANDIDATE. */
enum {
    TEXT_ID,
    TEXT_NAME,
    TEXT_PARTY,
    TEXT_PHOTO,
};

#define PICTURE_TABLES_MAX 32
#define PICTURE_COLUMNS_MAX 4
#define PICTURE_TEXTS_MAX 4
#define PICTURE_KEPT 16        /* pictures that can still be asked for by their number */
#define PICTURE_TEXT_BYTES 255 /* of one text; what is longer is cut */
#define PICTURE_NAME_BYTES 64  /* of a text's name */
#define PICTURE_KEY_BYTES 2100 /* of a row's key: two names of 255 characters and a bar */
#define PICTURE_INT_MAX ((1LL << 53) - 1)
#define PICTURE_NULL INT64_MIN   /* a value that is not known; null on the wire */
#define PICTURE_NO_SEQUENCE (-1) /* of a total that another program wrote */
#define PICTURE_NONE UINT32_MAX  /* no row, text or table */
#define PICTURE_EPOCH_BYTES 17

enum picture_database {
    PICTURE_DATABASE_ABSENT,  /* never counted */
    PICTURE_DATABASE_CURRENT, /* the counts are those of the database */
    PICTURE_DATABASE_OLD,     /* the database is away: the last counts stay */
};

/* What a picture says beside its rows; times are UTC milliseconds, 0: never. */
struct picture_about {
    int64_t as_of_ms;    /* event time of the newest total: its record's timestamp */
    int64_t started_ms;  /* since then the next two are known */
    int64_t received_ms; /* the last record came in */
    int64_t changed_ms;  /* a count last changed */
    enum picture_database database;
    int64_t database_ms; /* the counts of the database were last known to hold */
    struct lead lead;
};

struct picture_row {
    char *texts[PICTURE_TEXTS_MAX]; /* owned; NULL: not known */
    int64_t pending[PICTURE_COLUMNS_MAX];
    int64_t sequence;     /* of the newest total of ours; PICTURE_NO_SEQUENCE: none */
    uint64_t changed_seq; /* the picture in which a value last changed */
    uint64_t texts_seq;   /* the picture in which a text last changed */
    bool is_changed;      /* pending differs from the last picture */
    bool is_renamed;      /* so do the texts */
};

struct picture_table {
    char *name;                     /* owned; "age_group" */
    char *title;                    /* owned; "Age group" */
    char *texts[PICTURE_TEXTS_MAX]; /* owned; their names */
    size_t text_count;
    const char *const *columns; /* their names */
    size_t column_count;
    uint64_t shape_seq; /* the picture in which a text was first met; 0: the start */
    bool is_reshaped;   /* one was met since the last picture */
    struct picture_row *rows;
    uint32_t count;
    uint32_t settled; /* rows of the newest picture */
    uint32_t cap;
    struct vd_map by_key; /* row + 1, as a pointer */
};

/* One settled picture; no one changes it afterwards. */
struct picture_frame {
    uint64_t seq;
    struct picture_about about;
    uint32_t counts[PICTURE_TABLES_MAX]; /* rows */
    uint8_t columns[PICTURE_TABLES_MAX];
    int64_t *values[PICTURE_TABLES_MAX]; /* owned; row by row, column by column */
};

struct picture {
    char epoch[PICTURE_EPOCH_BYTES];
    uint64_t seq;       /* of the newest picture; 0: none yet */
    uint64_t texts_seq; /* the picture in which a row or a text was last added or renamed */
    uint32_t rows_max;
    uint64_t refused;           /* records of rows beyond rows_max, or of keys that are too long */
    struct picture_about about; /* of the next picture */
    bool is_dirty;
    struct picture_table tables[PICTURE_TABLES_MAX];
    size_t table_count;
    struct picture_frame frames[PICTURE_KEPT]; /* a ring by seq */
};

/* Begin 'epoch' (at most 16 characters) with an empty first picture, of number 1; a table takes at
 * most 'rows_max' rows. */
void picture_init(struct picture *picture, const char *epoch, uint32_t rows_max);
void picture_fini(struct picture *picture);

/* Add an empty aggregate; its title follows from its name.
 * Fails: VD_INVALID if the name is taken, or there are PICTURE_TABLES_MAX tables. */
enum vd_status picture_add_table(struct picture *picture, const char *name, size_t *table,
                                 struct vd_err *err) VD_MUST_CHECK;

/* The table named so, or PICTURE_NONE. */
size_t picture_find_table(const struct picture *picture, const char *name);

/* The text of an aggregate's rows that is named so, added if it is new; PICTURE_NONE if there are
 * PICTURE_TEXTS_MAX, or the name is empty or longer than PICTURE_NAME_BYTES. */
size_t picture_text(struct picture *picture, size_t table, const char *name);

/* The row of 'key', added if it is new; PICTURE_NONE if the table is full, or the key longer than
 * PICTURE_KEY_BYTES, or empty where it is the row's first text too. */
uint32_t picture_row(struct picture *picture, size_t table, const char *key, size_t len);

/* The row of 'key', or PICTURE_NONE. */
uint32_t picture_find(const struct picture *picture, size_t table, const char *key, size_t len);

/* Set text number 'text' of a row, which is not its key; NULL if it is not known. Invalid UTF-8 is
 * mended on the wire, not here. */
void picture_set_text(struct picture *picture, size_t table, uint32_t row, size_t text,
                      const char *value);

/* Set one value; PICTURE_NULL if it is not known. True if it changed. */
bool picture_set(struct picture *picture, size_t table, uint32_t row, size_t column, int64_t value);

/* Take in an absolute total: with a sequence unless that is lower than one seen; without one
 * (another program's) if it is larger than what is there. True if the value changed. */
bool picture_count(struct picture *picture, size_t table, uint32_t row, int64_t total,
                   int64_t sequence);

/* Note that something in 'about' changed that readers should see. */
void picture_touch(struct picture *picture);

/* Make what is pending the next picture. False if nothing was. */
bool picture_settle(struct picture *picture);

/* The picture of that number, or the newest one; NULL if it is no longer, or not yet, there. */
const struct picture_frame *picture_frame_at(const struct picture *picture, uint64_t seq);
const struct picture_frame *picture_frame_last(const struct picture *picture);

/* One value of a settled picture. */
int64_t picture_value(const struct picture_frame *frame, size_t table, uint32_t row, size_t column);

#endif
