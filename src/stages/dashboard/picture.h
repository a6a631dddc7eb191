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
#include "map.h"

enum picture_table {
    PICTURE_TOTALS, /* one row, "all" */
    PICTURE_CANDIDATE,
    PICTURE_STATE,
    PICTURE_STATE_CANDIDATE,
    PICTURE_AGE,
    PICTURE_AGE_GROUP,
    PICTURE_GENDER,
    PICTURE_PARTY,
    PICTURE_CITY,
    PICTURE_TABLES,
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

#define PICTURE_COLUMNS_MAX 4
#define PICTURE_TEXTS_MAX 4
#define PICTURE_KEPT 16        /* pictures that can still be asked for by their number */
#define PICTURE_TEXT_BYTES 255 /* of one text; what is longer is cut */
#define PICTURE_KEY_BYTES 2100 /* of a row's key: two names of 255 characters and a bar */
#define PICTURE_INT_MAX ((1LL << 53) - 1)
#define PICTURE_NULL INT64_MIN   /* a value that is not known; null on the wire */
#define PICTURE_NO_SEQUENCE (-1) /* of a total that another program wrote */
#define PICTURE_NONE UINT32_MAX  /* no row */
#define PICTURE_EPOCH_BYTES 17

struct picture_shape {
    const char *name;
    const char *texts[PICTURE_TEXTS_MAX + 1]; /* the first is the row's key; NULL ends the list */
    const char *columns[PICTURE_COLUMNS_MAX + 1]; /* NULL ends the list */
};
extern const struct picture_shape picture_shapes[PICTURE_TABLES];

size_t picture_text_count(enum picture_table table);
size_t picture_column_count(enum picture_table table);

enum picture_database {
    PICTURE_DATABASE_ABSENT,  /* never counted */
    PICTURE_DATABASE_CURRENT, /* the counts are those of the database */
    PICTURE_DATABASE_OLD,     /* the database is away: the last counts stay */
};

/* What a picture says beside its rows; times are UTC milliseconds, 0: never. */
struct picture_about {
    int64_t as_of_ms;    /* newest timestamp among the records of totals */
    int64_t received_ms; /* the last record came in */
    int64_t changed_ms;  /* a count last changed */
    enum picture_database database;
    int64_t database_ms; /* the counts of the database were last known to hold */
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

struct picture_rows {
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
    uint32_t counts[PICTURE_TABLES]; /* rows */
    int64_t *values[PICTURE_TABLES]; /* owned; row by row, column by column */
};

struct picture {
    char epoch[PICTURE_EPOCH_BYTES];
    uint64_t seq;       /* of the newest picture; 0: none yet */
    uint64_t texts_seq; /* the picture in which a row was last added or renamed */
    uint32_t rows_max;
    uint64_t refused;           /* records of rows beyond rows_max, or of keys that are too long */
    struct picture_about about; /* of the next picture */
    bool is_dirty;
    struct picture_rows tables[PICTURE_TABLES];
    struct picture_frame frames[PICTURE_KEPT]; /* a ring by seq */
};

/* Begin 'epoch' (at most 16 characters) with an empty first picture, of number 1; a table takes at
 * most 'rows_max' rows. */
void picture_init(struct picture *picture, const char *epoch, uint32_t rows_max);
void picture_fini(struct picture *picture);

/* The row of 'key', added if it is new; PICTURE_NONE if the table is full, or the key empty or
 * longer than PICTURE_KEY_BYTES. */
uint32_t picture_row(struct picture *picture, enum picture_table table, const char *key,
                     size_t len);

/* The row of 'key', or PICTURE_NONE. */
uint32_t picture_find(const struct picture *picture, enum picture_table table, const char *key,
                      size_t len);

/* Set text number 'text' of a row; invalid UTF-8 is mended on the wire, not here. */
void picture_set_text(struct picture *picture, enum picture_table table, uint32_t row, size_t text,
                      const char *value);

/* Set one value; PICTURE_NULL if it is not known. True if it changed. */
bool picture_set(struct picture *picture, enum picture_table table, uint32_t row, size_t column,
                 int64_t value);

/* Take in an absolute total: with a sequence unless that is lower than one seen; without one
 * (another program's) if it is larger than what is there. True if the value changed. */
bool picture_count(struct picture *picture, enum picture_table table, uint32_t row, int64_t total,
                   int64_t sequence);

/* Note that something in 'about' changed that readers should see. */
void picture_touch(struct picture *picture);

/* Make what is pending the next picture. False if nothing was. */
bool picture_settle(struct picture *picture);

/* The picture of that number, or the newest one; NULL if it is no longer, or not yet, there. */
const struct picture_frame *picture_frame_at(const struct picture *picture, uint64_t seq);
const struct picture_frame *picture_frame_last(const struct picture *picture);

/* One value of a settled picture. */
int64_t picture_value(const struct picture_frame *frame, enum picture_table table, uint32_t row,
                      size_t column);

#endif
