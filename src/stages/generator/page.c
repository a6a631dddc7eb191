/* Pages. */
#include "generator/page.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"

/* Where the columns stand in el_voter_select_sql. */
#define COLUMN_RECORD 0
#define COLUMN_TEXTS 1
#define COLUMN_AGE (COLUMN_TEXTS + EL_VOTER_TEXTS)

void gen_page_clear(struct gen_page *page)
{
    page->after = (struct gen_place){0};
    page->is_last = false;
    vd_buf_clear(&page->text);
    vd_buf_clear(&page->records);
    page->voters = 0;
    page->message_count = 0;
    page->reject_count = 0;
}

void gen_page_fini(struct gen_page *page)
{
    if (page == NULL) {
        return;
    }
    vd_buf_fini(&page->text);
    vd_buf_fini(&page->records);
    el_voter_columns_fini(&page->columns);
    free(page->items);
    free(page->messages);
    free(page->rejects);
    *page = (struct gen_page){0};
}

/* Room for one more element in an array of 'count'. */
static void *grow(void *array, size_t count, size_t *cap, size_t element)
{
    if (count < *cap) {
        return array;
    }
    *cap = *cap > 0 ? *cap * 2 : 64;
    return vd_realloc(array, *cap * element);
}

static struct gen_slice add_slice(struct gen_page *page, const char *bytes, size_t len)
{
    struct gen_slice slice = {.at = page->text.len, .len = len};

    vd_buf_add(&page->text, bytes, len);
    return slice;
}

static void add_message(struct gen_page *page, const struct el_voter *voter)
{
    const struct el_text *id = &voter->text[EL_VOTER_ID];
    struct gen_message *message;

    page->messages =
        grow(page->messages, page->message_count, &page->message_cap, sizeof(*page->messages));
    message = &page->messages[page->message_count++];
    message->key = add_slice(page, id->data, id->len);
    message->value.at = page->text.len;
    el_voter_format(voter, &page->text);
    message->value.len = page->text.len - message->value.at;
}

static void add_row(struct gen_page *page, const struct el_voter *voter)
{
    if (page->voters++ == 0) {
        el_voter_columns_begin(&page->columns);
    }
    el_voter_columns_add(&page->columns, voter);
}

void gen_page_add(struct gen_page *page, const struct el_voter *voter)
{
    add_row(page, voter);
    add_message(page, voter);
}

void gen_page_import(struct gen_page *page, const struct el_voter *voter,
                     const struct gen_item *item, const struct el_text *raw)
{
    size_t i = page->voters;

    if (i == 0) {
        vd_pg_array_begin(&page->records, VD_PG_INT8);
    }
    add_row(page, voter);
    vd_pg_array_add_int8(&page->records, item->record);
    page->items = grow(page->items, i, &page->item_cap, sizeof(*page->items));
    page->items[i] = *item;
    page->items[i].raw = add_slice(page, raw->data, raw->len);
}

static void add_reject(struct gen_page *page, const struct gen_item *item, const char *reason)
{
    struct gen_reject *reject;

    page->rejects =
        grow(page->rejects, page->reject_count, &page->reject_cap, sizeof(*page->rejects));
    reject = &page->rejects[page->reject_count++];
    reject->item = *item;
    (void)snprintf(reject->reason, sizeof(reject->reason), "%s", reason); /* cut to fit */
}

void gen_page_reject(struct gen_page *page, int64_t number, const struct el_text *raw,
                     const char *reason)
{
    struct gen_item item = {.number = number, .raw = add_slice(page, raw->data, raw->len)};

    add_reject(page, &item, reason);
}

size_t gen_page_stmts(struct gen_page *page, struct vd_pg_value values[EL_VOTER_COLUMNS + 1],
                      struct vd_pg_stmt stmts[GEN_PAGE_STMTS])
{
    bool is_import = page->records.len > 0;

    if (page->voters == 0) {
        return 0;
    }
    el_voter_columns_end(&page->columns, values);
    stmts[0] = (struct vd_pg_stmt){
        .sql = el_voter_insert_sql, .values = values, .count = EL_VOTER_COLUMNS};
    if (!is_import) {
        return 1;
    }
    vd_pg_array_end(&page->records);
    values[EL_VOTER_COLUMNS] = vd_pg_array_value(&page->records);
    stmts[0].sql = el_voter_import_sql;
    stmts[0].count++;
    stmts[1] =
        (struct vd_pg_stmt){.sql = el_voter_select_sql, .values = &values[EL_VOTER_ID], .count = 1};
    return 2;
}

static struct el_text get_text(const struct vd_pg_reply *reply, size_t stmt, size_t row,
                               size_t column)
{
    struct el_text text = {.data = "", .len = 0};
    const char *data = vd_pg_reply_get(reply, stmt, row, column, &text.len);

    if (data != NULL) {
        text.data = data;
    } else {
        text.len = 0;
    }
    return text;
}

static bool is_mine(const struct vd_pg_reply *reply, size_t stmt, size_t row, int64_t record)
{
    const char *text = vd_pg_reply_get(reply, stmt, row, COLUMN_RECORD, NULL);

    return text != NULL && strtoll(text, NULL, 10) == record;
}

enum vd_status gen_page_read_back(struct gen_page *page, const struct vd_pg_reply *reply,
                                  size_t stmt, struct vd_err *err)
{
    if (vd_pg_reply_rows(reply, stmt) != page->voters) {
        return vd_fail(err, VD_FAILED,
                       "could not read voters back: %zu of %zu rows are in table \"voters\"",
                       vd_pg_reply_rows(reply, stmt), page->voters);
    }
    for (size_t row = 0; row < page->voters; row++) {
        struct el_voter voter;
        struct el_text age = get_text(reply, stmt, row, COLUMN_AGE);

        for (size_t i = 0; i < EL_VOTER_TEXTS; i++) {
            voter.text[i] = get_text(reply, stmt, row, COLUMN_TEXTS + i);
        }
        voter.registered_age = (int32_t)strtol(age.data, NULL, 10);
        if (is_mine(reply, stmt, row, page->items[row].record)) {
            add_message(page, &voter);
        } else {
            char reason[GEN_REASON_BYTES];

            (void)snprintf(reason, sizeof(reason), "voter_id \"%.*s\" was registered before",
                           (int)(voter.text[EL_VOTER_ID].len), voter.text[EL_VOTER_ID].data);
            add_reject(page, &page->items[row], reason);
        }
    }
    return VD_OK;
}
