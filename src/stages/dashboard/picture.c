/* Tables, rows and the ring of settled pictures. */
#include "picture.h"

#include <assert.h>
#include <string.h>

#include "alloc.h"

const struct picture_shape picture_shapes[PICTURE_TABLES] = {
    [PICTURE_TOTALS] = {.name = "totals",
                        .texts = {"id"},
                        .columns = {"voters", "candidates", "stored", "counted"}},
    [PICTURE_CANDIDATE] = {.name = "candidate",
                           .texts = {"candidate_id", "candidate_name", "party_affiliation",
                                     "photo_url"},
                           .columns = {"votes"}},
    [PICTURE_STATE] = {.name = "state", .texts = {"state"}, .columns = {"votes", "registered"}},
    [PICTURE_STATE_CANDIDATE] = {.name = "state_candidate",
                                 .texts = {"id", "state", "candidate_id"},
                                 .columns = {"votes"}},
    [PICTURE_AGE] = {.name = "age", .texts = {"age"}, .columns = {"votes"}},
    [PICTURE_AGE_GROUP] = {.name = "age_group", .texts = {"age_group"}, .columns = {"votes"}},
    [PICTURE_GENDER] = {.name = "gender", .texts = {"gender"}, .columns = {"votes"}},
    [PICTURE_PARTY] = {.name = "party", .texts = {"party_affiliation"}, .columns = {"votes"}},
    [PICTURE_CITY] = {.name = "city", .texts = {"city"}, .columns = {"votes"}},
};

#define TOTALS_KEY "all"

size_t picture_text_count(enum picture_table table)
{
    size_t n = 0;

    while (picture_shapes[table].texts[n] != NULL) {
        n++;
    }
    return n;
}

size_t picture_column_count(enum picture_table table)
{
    size_t n = 0;

    while (picture_shapes[table].columns[n] != NULL) {
        n++;
    }
    return n;
}

uint32_t picture_find(const struct picture *picture, enum picture_table table, const char *key,
                      size_t len)
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

static uint32_t add_row(struct picture *picture, enum picture_table table, const char *key,
                        size_t len)
{
    struct picture_rows *rows = &picture->tables[table];
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
    row->texts[0] = vd_strndup(key, kept_bytes(key, len));
    row->sequence = PICTURE_NO_SEQUENCE;
    row->is_changed = true;
    row->is_renamed = true;
    picture->is_dirty = true;
    (void)vd_map_put(&rows->by_key, key, len, (void *)((uintptr_t)rows->count + 1)); /* was free */
    return rows->count++;
}

uint32_t picture_row(struct picture *picture, enum picture_table table, const char *key, size_t len)
{
    uint32_t row = PICTURE_NONE;

    if (len == 0 || len > PICTURE_KEY_BYTES || memchr(key, '\0', len) != NULL) {
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

static struct picture_row *row_at(struct picture *picture, enum picture_table table, uint32_t row)
{
    assert(row < picture->tables[table].count);
    return &picture->tables[table].rows[row];
}

void picture_set_text(struct picture *picture, enum picture_table table, uint32_t row, size_t text,
                      const char *value)
{
    size_t len = kept_bytes(value, strlen(value));
    struct picture_row *target = row_at(picture, table, row);
    const char *old = target->texts[text];

    assert(text > 0 && text < PICTURE_TEXTS_MAX);
    if (old != NULL && strlen(old) == len && memcmp(old, value, len) == 0) {
        return;
    }
    free(target->texts[text]);
    target->texts[text] = vd_strndup(value, len);
    target->is_renamed = true;
    picture->is_dirty = true;
}

bool picture_set(struct picture *picture, enum picture_table table, uint32_t row, size_t column,
                 int64_t value)
{
    struct picture_row *target = row_at(picture, table, row);

    assert(column < picture_column_count(table));
    assert(value == PICTURE_NULL || (value >= 0 && value <= PICTURE_INT_MAX));
    if (target->pending[column] == value) {
        return false;
    }
    target->pending[column] = value;
    target->is_changed = true;
    picture->is_dirty = true;
    return true;
}

bool picture_count(struct picture *picture, enum picture_table table, uint32_t row, int64_t total,
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
    const struct picture_rows *candidates = &picture->tables[PICTURE_CANDIDATE];
    int64_t sum = 0;

    for (uint32_t i = 0; i < candidates->count; i++) {
        int64_t votes = candidates->rows[i].pending[COLUMN_VOTES];

        sum = votes > PICTURE_INT_MAX - sum ? PICTURE_INT_MAX : sum + votes;
    }
    (void)picture_set(picture, PICTURE_TOTALS, 0, TOTALS_COUNTED,
                      sum); /* changed or not: settled */
}

static void settle_table(struct picture *picture, enum picture_table table,
                         struct picture_frame *frame)
{
    struct picture_rows *rows = &picture->tables[table];
    size_t columns = picture_column_count(table);
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
    rows->settled = rows->count;
    frame->values[table] = values;
    frame->counts[table] = rows->count;
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
    for (enum picture_table table = 0; table < PICTURE_TABLES; table++) {
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
    row = picture_row(picture, PICTURE_TOTALS, TOTALS_KEY, strlen(TOTALS_KEY));
    for (size_t column = TOTALS_VOTERS; column <= TOTALS_STORED; column++) {
        (void)picture_set(picture, PICTURE_TOTALS, row, column, PICTURE_NULL); /* a fresh row */
    }
    (void)picture_settle(picture); /* there is something to settle */
}

void picture_fini(struct picture *picture)
{
    for (enum picture_table table = 0; table < PICTURE_TABLES; table++) {
        struct picture_rows *rows = &picture->tables[table];

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

int64_t picture_value(const struct picture_frame *frame, enum picture_table table, uint32_t row,
                      size_t column)
{
    assert(row < frame->counts[table]);
    return frame->values[table][row * picture_column_count(table) + column];
}
