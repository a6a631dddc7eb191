/* A voter: the 12 members of a record of voters_topic, the 16 columns of a row of `voters`. */
#ifndef VD_ELECTION_VOTER_H
#define VD_ELECTION_VOTER_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "pg.h"

/* The texts, in the order of the columns; what the topic has in `address` stands in the middle. */
enum el_voter_text {
    EL_VOTER_ID,
    EL_VOTER_NAME,
    EL_VOTER_BIRTH, /* ISO 8601 with milliseconds and Z */
    EL_VOTER_GENDER,
    EL_VOTER_NATIONALITY,
    EL_VOTER_REGISTRATION,
    EL_VOTER_STREET, /* "number name" */
    EL_VOTER_CITY,
    EL_VOTER_STATE,
    EL_VOTER_COUNTRY,
    EL_VOTER_POSTCODE,
    EL_VOTER_EMAIL,
    EL_VOTER_PHONE,
    EL_VOTER_CELL,
    EL_VOTER_PICTURE,
    EL_VOTER_TEXTS,
};

struct el_text {
    const char *data; /* borrowed, not zero-terminated; UTF-8 */
    size_t len;
};

struct el_voter {
    struct el_text text[EL_VOTER_TEXTS];
    int32_t registered_age; /* years on election day */
};

/* The reference's name of a text: "voter_id", "address_street", ... as the columns are called. */
const char *el_voter_text_name(enum el_voter_text text);

/* Append the record's value. */
void el_voter_format(const struct el_voter *voter, struct vd_buf *out);

#define EL_VOTER_TEXT_CHARS_MAX 255     /* the columns' own limit, in characters */
#define EL_VOTER_PICTURE_BYTES_MAX 8192 /* its column has no limit */
#define EL_VOTER_AGE_MAX 200

/* Check what PostgreSQL would refuse: text that is not UTF-8, too long or has a NUL in it, an empty
 * voter_id; and an age outside 0 to EL_VOTER_AGE_MAX. Fails: VD_INVALID, naming the member. */
enum vd_status el_voter_check(const struct el_voter *voter, struct vd_err *err) VD_MUST_CHECK;

/* Voters as one array a column, for unnest. Zeroed is empty; begin may be repeated. */
#define EL_VOTER_COLUMNS (EL_VOTER_TEXTS + 1)
struct el_voter_columns {
    struct vd_buf column[EL_VOTER_COLUMNS];
};
void el_voter_columns_begin(struct el_voter_columns *columns);
void el_voter_columns_add(struct el_voter_columns *columns, const struct el_voter *voter);
/* 'values' are $1 to $16 of el_voter_insert_sql; they borrow from 'columns'. */
void el_voter_columns_end(struct el_voter_columns *columns,
                          struct vd_pg_value values[EL_VOTER_COLUMNS]);
void el_voter_columns_fini(struct el_voter_columns *columns);

/* $1 to $16 are the columns. A voter_id that is there already stays as it is. */
extern const char el_voter_insert_sql[];

/* As above; $17 is the bigint array of `source_record`. */
extern const char el_voter_import_sql[];

/* $1: text array of ids. A row for each, in that order: source_record, then the 16 columns. */
extern const char el_voter_select_sql[];

#endif
