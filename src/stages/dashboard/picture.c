/* Tables, rows and the ring of settled pictures. */
#include "picture.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "alloc.h"

#define TOTALS_KEY "all"

static const char *const votes_only[] = {"votes"};

static const struct shape {
    const char *name;
    const char *texts[PICTURE_TEXTS_MAX];
    size_t text_count;
    const char *const *columns;
    size_t column_count;
} known[PICTURE_AGGREGATES] = {
    [PICTURE_TOTALS] = {"totals",
                        {"id"},
                        1,
                        (const char *const[]){"voters", "candidates", "stored", "counted"},
                        4},
    [PICTURE_CANDIDATE] = {"candidate",
                           {"candidate_id", "candidate_name", "party_affiliation", "photo_url"},
                           4,
                           votes_only,
                           1},
    [PICTURE_STATE] = {"state", {"state"}, 1, (const char *const[]){"votes", "registered"}, 2},
};

/* "age_group" as "Age group". */
static char *make_title(const char *name)
{
    char *title = vd_strdup(name);

    for (char *at = title; *at != '\0'; at++) {
        *at = *at == '_' || *at == '-' ? ' ' : *at;
    }
    title[0] = (char)toupper((unsigned char)title[0]);
    return title;
}

static void add_table(struct picture *picture, const char *name, const char *const *columns,
                      size_t column_count)
{
    struct picture_table *table = &picture->tables[picture->table_count++];

    assert(column_count <= PICTURE_COLUMNS_MAX);
    table->name = vd_strdup(name);
    table->title = make_title(name);
    table->columns = columns;
    table->column_count = column_count;
}

size_t picture_find_table(const struct picture *picture, const char *name)
{
    for (size_t i = 0; i < picture->table_count; i++) {
        if (strcmp(picture->tables[i].name, name) == 0) {
            return i;
        }
    }
    return PICTURE_NONE;
}

enum vd_status picture_add_table(struct picture *picture, const char *name, size_t *table,
                                 struct vd_err *err)
{
    if (picture_find_table(picture, name) != PICTURE_NONE) {
        return vd_fail(err, VD_INVALID,
                       "table \"%s\": the dashboard has one of that name; take another", name);
    }
    if (picture->table_count == PICTURE_TABLES_MAX) {
        return vd_fail(err, VD_INVALID, "table \"%s\": at most %d tables are shown; remove one",
                       name, PICTURE_TABLES_MAX);
    }
    *table = picture->table_count;
    add_table(picture, name, votes_only, 1);
    picture->is_dirty = true;
    return VD_OK;
}

size_t picture_text(struct picture *picture, size_t table, const char *name)
{
    struct picture_table *target = &picture->tables[table];

    for (size_t i = 0; i < target->text_count; i++) {
        if (strcmp(target->texts[i], name) == 0) {
            return i;
        }
    }
    if (table < PICTURE_AGGREGATES || target->text_count == PICTURE_TEXTS_MAX || *name == '\0' ||
        strlen(name) > PICTURE_NAME_BYTES) {
        return PICTURE_NONE;
    }
    target->texts[target->text_count] = vd_strdup(name);
    target->is_reshaped = true;
    picture->is_dirty = true;
    return target->text_count++;
}

uint32_t picture_find(const struct picture *picture, size_t table, const char *key, size_t len)
{
    const void *found = vd_map_find(&picture->tables[table].by_key, key, len);

    return found == NULL ? PICTURE_NONE : (uint32_t)((uintptr_t)found - 1);
}

/* Bytes of 'text' that are kept: at most PICTURE_TEXT_BYTES, no character cut in half. */
static size_t kept_bytes(const char *text, size_t len)
{
    if (len <= PICTURE_TEXT_BYTES) {
        return len;
    }
    len = PICTURE_TEXT_BYTES;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) {
        len--;
    }
    return len;
}

static uint32_t add_row(struct picture *picture, size_t table, const char *key, size_t len)
{
    struct picture_table *rows = &picture->tables[table];
    struct picture_row *row = NULL;

    if (rows->count >= picture->rows_max) {
        picture->refused++;
        return PICTURE_NONE;
    }
    if (rows->count == rows->cap) {
        rows->cap = rows->cap == 0 ? 16 : rows->cap * 2;
        rows->rows = vd_realloc(rows->rows, rows->cap * sizeof(rows->rows[0]));
    }
    row = &rows->rows[rows->count];
    memset(row, 0, sizeof(*row));
    row->texts[0] = table < PICTURE_AGGREGATES ? vd_strndup(key, kept_bytes(key, len)) : NULL;
    row->sequence = PICTURE_NO_SEQUENCE;
    row->is_changed = true;
    row->is_renamed = true;
    picture->is_dirty = true;
    (void)vd_map_put(&rows->by_key, key, len, (void *)((uintptr_t)rows->count + 1)); /* was free */
    return rows->count++;
}

uint32_t picture_row(struct picture *picture, size_t table, const char *key, size_t len)
{
    bool is_text = table < PICTURE_AGGREGATES;
    uint32_t row = PICTURE_NONE;

    if (len > PICTURE_KEY_BYTES || (is_text && (len == 0 || memchr(key, '\0', len) != NULL))) {
        picture->refused++;
        return PICTURE_NONE;
    }
    row = picture_find(picture, table, key, len);
    if (row != PICTURE_NONE) {
        return row;
    }
    row = add_row(picture, table, key, len);
    if (row != PICTURE_NONE && table == PICTURE_STATE) {
        picture->tables[table].rows[row].pending[COLUMN_REGISTERED] = PICTURE_NULL;
    }
    return row;
}

static struct picture_row *row_at(struct picture *picture, size_t table, uint32_t row)
{
    assert(row < picture->tables[table].count);
    return &picture->tables[table].rows[row];
}

void picture_set_text(struct picture *picture, size_t table, uint32_t row, size_t text,
                      const char *value)
{
    struct picture_row *target = row_at(picture, table, row);
    size_t len = value == NULL ? 0 : kept_bytes(value, strlen(value));
    const char *old = target->texts[text];

    assert(text >= (table < PICTURE_AGGREGATES ? 1 : 0) && text < PICTURE_TEXTS_MAX);
    if (old == NULL || value == NULL ? old == value
                                     : strlen(old) == len && memcmp(old, value, len) == 0) {
        return;
    }
    free(target->texts[text]);
    target->texts[text] = value == NULL ? NULL : vd_strndup(value, len);
    target->is_renamed = true;
    picture->is_dirty = true;
}

bool picture_set(struct picture *picture, size_t table, uint32_t row, size_t column, int64_t value)
{
    struct picture_row *target = row_at(picture, table, row);

    assert(column < picture->tables[table].column_count);
    assert(value == PICTURE_NULL || (value >= 0 && value <= PICTURE_INT_MAX));
    if (target->pending[column] == value) {
        return false;
    }
    target->pending[column] = value;
    target->is_changed = true;
    picture->is_dirty = true;
    return true;
}

bool picture_count(struct picture *picture, size_t table, uint32_t row, int64_t total,
                   int64_t sequence)
{
    struct picture_row *target = row_at(picture, table, row);

    if (sequence == PICTURE_NO_SEQUENCE) {
        return total > target->pending[COLUMN_VOTES] &&
               picture_set(picture, table, row, COLUMN_VOTES, total);
    }
    if (sequence < target->sequence) {
        return false;
    }
    target->sequence = sequence;
    return picture_set(picture, table, row, COLUMN_VOTES, total);
}

void picture_touch(struct picture *picture)
{
    picture->is_dirty = true;
}

static void sum_counted(struct picture *picture)
{
    const struct picture_table *candidates = &picture->tables[PICTURE_CANDIDATE];
    int64_t sum = 0;

    for (uint32_t i = 0; i < candidates->count; i++) {
        int64_t votes = candidates->rows[i].pending[COLUMN_VOTES];

        sum = votes > PICTURE_INT_MAX - sum ? PICTURE_INT_MAX : sum + votes;
    }
    (void)picture_set(picture, PICTURE_TOTALS, 0, TOTALS_COUNTED,
                      sum); /* changed or not: settled */
}

static void settle_table(struct picture *picture, size_t table, struct picture_frame *frame)
{
    struct picture_table *rows = &picture->tables[table];
    size_t columns = rows->column_count;
    int64_t *values = vd_realloc(frame->values[table],
                                 (rows->count > 0 ? rows->count : 1) * columns * sizeof(values[0]));

    for (uint32_t i = 0; i < rows->count; i++) {
        struct picture_row *row = &rows->rows[i];

        memcpy(values + i * columns, row->pending, columns * sizeof(values[0]));
        if (row->is_changed) {
            row->changed_seq = frame->seq;
            row->is_changed = false;
        }
        if (row->is_renamed) {
            row->texts_seq = picture->texts_seq = frame->seq;
            row->is_renamed = false;
        }
    }
    if (rows->is_reshaped) {
        rows->shape_seq = picture->texts_seq = frame->seq;
        rows->is_reshaped = false;
    }
    rows->settled = rows->count;
    frame->values[table] = values;
    frame->counts[table] = rows->count;
    frame->columns[table] = (uint8_t)columns;
}

bool picture_settle(struct picture *picture)
{
    struct picture_frame *frame = NULL;

    if (!picture->is_dirty) {
        return false;
    }
    sum_counted(picture);
    picture->seq++;
    frame = &picture->frames[picture->seq % PICTURE_KEPT];
    frame->seq = picture->seq;
    frame->about = picture->about;
    for (size_t table = 0; table < picture->table_count; table++) {
        settle_table(picture, table, frame);
    }
    picture->is_dirty = false;
    return true;
}

void picture_init(struct picture *picture, const char *epoch, uint32_t rows_max)
{
    uint32_t row = 0;

    memset(picture, 0, sizeof(*picture));
    assert(rows_max > 0 && strlen(epoch) < sizeof(picture->epoch));
    memcpy(picture->epoch, epoch, strlen(epoch) + 1);
    picture->rows_max = rows_max;
    for (size_t i = 0; i < PICTURE_AGGREGATES; i++) {
        const struct shape *shape = &known[i];

        add_table(picture, shape->name, shape->columns, shape->column_count);
        for (size_t text = 0; text < shape->text_count; text++) {
            picture->tables[i].texts[text] = vd_strdup(shape->texts[text]);
        }
        picture->tables[i].text_count = shape->text_count;
    }
    row = picture_row(picture, PICTURE_TOTALS, TOTALS_KEY, strlen(TOTALS_KEY));
    for (size_t column = TOTALS_VOTERS; column <= TOTALS_STORED; column++) {
        (void)picture_set(picture, PICTURE_TOTALS, row, column, PICTURE_NULL); /* a fresh row */
    }
    (void)picture_settle(picture); /* there is something to settle */
}

void picture_fini(struct picture *picture)
{
    for (size_t table = 0; table < picture->table_count; table++) {
        struct picture_table *rows = &picture->tables[table];

        free(rows->name);
        free(rows->title);
        for (size_t text = 0; text < rows->text_count; text++) {
            free(rows->texts[text]);
        }
        for (uint32_t i = 0; i < rows->count; i++) {
            for (size_t text = 0; text < PICTURE_TEXTS_MAX; text++) {
                free(rows->rows[i].texts[text]);
            }
        }
        free(rows->rows);
        vd_map_fini(&rows->by_key, NULL);
        for (size_t i = 0; i < PICTURE_KEPT; i++) {
            free(picture->frames[i].values[table]);
        }
    }
    memset(picture, 0, sizeof(*picture));
}

const struct picture_frame *picture_frame_at(const struct picture *picture, uint64_t seq)
{
    const struct picture_frame *frame = &picture->frames[seq % PICTURE_KEPT];

    return seq > 0 && frame->seq == seq ? frame : NULL;
}

const struct picture_frame *picture_frame_last(const struct picture *picture)
{
    return picture_frame_at(picture, picture->seq);
}

int64_t picture_value(const struct picture_frame *frame, size_t table, uint32_t row, size_t column)
{
    assert(row < frame->counts[table]);
    return frame->values[table][row * frame->columns[table] + column];
}
