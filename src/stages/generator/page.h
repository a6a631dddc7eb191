/* A page: the voters and bad records that one transaction takes from a source, as SQL columns and
 * as records for Kafka. */
#ifndef VD_GENERATOR_PAGE_H
#define VD_GENERATOR_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "election/voter.h"
#include "err.h"
#include "generator/progress.h"
#include "pg.h"

#define GEN_REASON_BYTES 256

/* A slice of one of the page's buffers; they may move while they grow. */
struct gen_slice {
    size_t at, len;
};

struct gen_message {
    struct gen_slice key, value; /* of page->text */
};

/* A record of a register, good or bad. */
struct gen_item {
    int64_t record;       /* its value in column source_record */
    int64_t number;       /* as a person would look for it: line of the file, or record */
    struct gen_slice raw; /* of page->text: what stood there */
};

struct gen_reject {
    struct gen_item item;
    char reason[GEN_REASON_BYTES];
};

struct gen_page {
    struct gen_place after; /* where the next page begins; the counts are the generator's */
    bool is_last;           /* and there is none */

    struct vd_buf text;
    struct el_voter_columns columns;
    size_t voters;          /* in 'columns' */
    struct vd_buf records;  /* imports: the column source_record */
    struct gen_item *items; /* imports: one a voter, to report those that are there twice */
    struct gen_message *messages;
    size_t message_count;
    struct gen_reject *rejects;
    size_t reject_count;
    size_t item_cap, message_cap, reject_cap;
};

/* The value of column source_record: bits of what the register is known by, so that two registers
 * in one table do not take each other's rows for their own, and the record's number in it. */
static inline __attribute__((unused)) int64_t gen_record_mark(uint64_t hash, int64_t number)
{
    return (int64_t)((hash >> 49 << 48) + ((uint64_t)number & (((uint64_t)1 << 48) - 1)));
}

/* Empty the page and keep its memory; fini frees it. */
void gen_page_clear(struct gen_page *page);
void gen_page_fini(struct gen_page *page);

/* Add a made voter: a row and its message. */
void gen_page_add(struct gen_page *page, const struct el_voter *voter);

/* Add an imported voter: a row only; the message comes from what the table then has. item->raw is
 * not read; 'raw' is copied. */
void gen_page_import(struct gen_page *page, const struct el_voter *voter,
                     const struct gen_item *item, const struct el_text *raw);

/* Add a record that is no voter. 'raw' and 'reason' are copied, the latter cut to fit. */
void gen_page_reject(struct gen_page *page, int64_t number, const struct el_text *raw,
                     const char *reason);

/* The statements that insert the page's voters, and read them back if they are imported; with none
 * there is nothing to run. 'stmts' borrow from 'values' and the page. Returns: how many. */
#define GEN_PAGE_STMTS 2
size_t gen_page_stmts(struct gen_page *page, struct vd_pg_value values[EL_VOTER_COLUMNS + 1],
                      struct vd_pg_stmt stmts[GEN_PAGE_STMTS]);

/* Make the messages of an imported page from the rows that were read back by statement 'stmt': a
 * voter whose row belongs to another record becomes a reject. Fails: VD_FAILED if rows are missing
 * or of the wrong form. */
enum vd_status gen_page_read_back(struct gen_page *page, const struct vd_pg_reply *reply,
                                  size_t stmt, struct vd_err *err) VD_MUST_CHECK;

#endif
