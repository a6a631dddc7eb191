/* One CSV record (RFC 4180) into its fields. */
#ifndef VD_GENERATOR_CSV_H
#define VD_GENERATOR_CSV_H

#include <stddef.h>

#include "buf.h"
#include "election/voter.h"
#include "err.h"

#define GEN_CSV_FIELDS_MAX 256

struct gen_csv {
    struct el_text field[GEN_CSV_FIELDS_MAX]; /* borrow from the record, or from 'unquoted' */
    size_t count;
    struct vd_buf unquoted; /* fields with doubled quotes */
};

/* Split 'record', without its line end, at 'separator'. Fails: VD_INVALID for text behind a closing
 * quote, a quote inside a field without quotes, an open quote, or more than GEN_CSV_FIELDS_MAX
 * fields. */
enum vd_status gen_csv_split(struct gen_csv *csv, const struct el_text *record, char separator,
                             struct vd_err *err) VD_MUST_CHECK;

#endif
