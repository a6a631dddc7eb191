/* CSV. */
#include "generator/csv.h"

#include <string.h>

/* A field in quotes; *at stands behind the opening one, and then behind the closing one. */
static enum vd_status read_quoted(struct gen_csv *csv, const struct el_text *record, size_t *at,
                                  struct el_text *field, struct vd_err *err)
{
    size_t start = csv->unquoted.len;

    for (;;) {
        const char *from = record->data + *at;
        size_t rest = record->len - *at;
        const char *quote = rest > 0 ? memchr(from, '"', rest) : NULL;

        if (quote == NULL) {
            return vd_fail(err, VD_INVALID, "a quote is not closed");
        }
        vd_buf_add(&csv->unquoted, from, (size_t)(quote - from));
        *at += (size_t)(quote - from) + 1;
        if (*at >= record->len || record->data[*at] != '"') {
            break;
        }
        vd_buf_add_char(&csv->unquoted, '"');
        (*at)++;
    }
    field->data = csv->unquoted.data + start;
    field->len = csv->unquoted.len - start;
    return VD_OK;
}

static enum vd_status read_plain(const struct el_text *record, char separator, size_t *at,
                                 struct el_text *field, struct vd_err *err)
{
    const char *from = record->data + *at;
    size_t rest = record->len - *at;
    const char *end = rest > 0 ? memchr(from, separator, rest) : NULL;

    field->data = from;
    field->len = end != NULL ? (size_t)(end - from) : rest;
    if (field->len > 0 && memchr(from, '"', field->len) != NULL) {
        return vd_fail(err, VD_INVALID, "a quote inside a field that has none around it");
    }
    *at += field->len;
    return VD_OK;
}

enum vd_status gen_csv_split(struct gen_csv *csv, const struct el_text *record, char separator,
                             struct vd_err *err)
{
    size_t at = 0;

    csv->count = 0;
    vd_buf_clear(&csv->unquoted);
    vd_buf_reserve(&csv->unquoted, record->len + 1); /* so that it never moves under the fields */
    for (;;) {
        struct el_text *field = &csv->field[csv->count];
        bool is_quoted = at < record->len && record->data[at] == '"';

        if (csv->count == GEN_CSV_FIELDS_MAX) {
            return vd_fail(err, VD_INVALID, "more than %d fields", GEN_CSV_FIELDS_MAX);
        }
        at += is_quoted ? 1 : 0;
        if ((is_quoted ? read_quoted(csv, record, &at, field, err)
                       : read_plain(record, separator, &at, field, err)) != VD_OK) {
            return VD_INVALID;
        }
        csv->count++;
        if (at >= record->len) {
            return VD_OK;
        }
        if (record->data[at] != separator) {
            return vd_fail(err, VD_INVALID, "text behind the closing quote of field %zu",
                           csv->count);
        }
        at++;
    }
}
