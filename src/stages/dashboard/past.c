/* Rows of the history, put together as a picture. */
#include "past.h"

#include <assert.h>
#include <stdlib.h>

#include "alloc.h"
#include "wire.h"

static_assert(HISTORY_GAP == PICTURE_NULL, "what is not known is the same in both");

void past_fini(struct past *past)
{
    for (size_t i = 0; i < PAST_KEPT; i++) {
        vd_buf_fini(&past->kept[i].body);
    }
    vd_buf_fini(&past->large.body);
}

/* A row that never had a record had no votes then if it has none now. */
static int64_t read_votes(const struct past *past, size_t table, uint32_t row,
                          const struct history_range *range)
{
    int64_t votes = PICTURE_NULL;

    if (range->count > 0 && history_has(past->history, table, row)) {
        history_read(past->history, table, row, range, &votes);
    } else if (past->picture->tables[table].rows[row].pending[COLUMN_VOTES] == 0) {
        votes = 0;
    }
    return votes;
}

/* The votes of a table's rows, and their sum: a gap where one of them is. */
static int64_t read_table(const struct past *past, size_t table, const struct history_range *range,
                          struct picture_frame *frame)
{
    uint32_t rows = frame->counts[table];
    size_t columns = frame->columns[table];
    int64_t *values = vd_alloc_array(rows * columns + 1, sizeof(*values));
    int64_t sum = 0;

    for (uint32_t row = 0; row < rows; row++) {
        int64_t votes = read_votes(past, table, row, range);

        for (size_t column = 0; column < columns; column++) {
            values[row * columns + column] = column == COLUMN_VOTES ? votes : PICTURE_NULL;
        }
        sum = sum != PICTURE_NULL && votes != PICTURE_NULL && votes <= PICTURE_INT_MAX - sum
                  ? sum + votes
                  : PICTURE_NULL;
    }
    frame->values[table] = values;
    return sum;
}

/* All counted is the sum of the candidates; the counts of the database have no past. */
static void put_totals(struct picture_frame *frame, int64_t counted)
{
    int64_t *values = vd_alloc_array(frame->columns[PICTURE_TOTALS], sizeof(*values));

    for (size_t column = 0; column < frame->columns[PICTURE_TOTALS]; column++) {
        values[column] = column == TOTALS_COUNTED ? counted : PICTURE_NULL;
    }
    frame->values[PICTURE_TOTALS] = values;
}

static void write_answer(const struct past *past, const struct history_range *range,
                         struct past_answer *answer)
{
    const struct picture *picture = past->picture;
    struct picture_frame frame = *picture_frame_last(picture);
    struct wire_past about = {.as_of_ms = answer->as_of_ms, .step_ms = answer->step_ms};
    int64_t counted = PICTURE_NULL;

    for (size_t table = PICTURE_CANDIDATE; table < picture->table_count; table++) {
        bool is_too_large = history_is_too_large(past->history, table);
        int64_t sum;

        if (is_too_large) {
            about.without[about.without_count++] = picture->tables[table].name;
            frame.counts[table] = 0;
        }
        sum = read_table(past, table, range, &frame);
        if (table == PICTURE_CANDIDATE && !is_too_large) {
            counted = sum;
        }
    }
    put_totals(&frame, counted);
    wire_past(&answer->body, picture, &frame, &about);
    for (size_t table = 0; table < picture->table_count; table++) {
        free(frame.values[table]);
    }
}

/* What is no longer as it would be made now is asked for no more. */
static void forget_changed(struct past *past)
{
    int64_t news_ms = history_news(past->history);

    for (size_t i = 0; i < PAST_KEPT; i++) {
        if (past->kept[i].as_of_ms >= news_ms) {
            past->kept[i].number = 0;
        }
    }
}

const struct past_answer *past_at(struct past *past, int64_t at_ms)
{
    struct history_range range = history_at(past->history, at_ms);
    int64_t as_of_ms = range.count > 0 ? range.from_ms + range.step_ms - 1 : 0;
    struct past_answer *answer = NULL;
    struct past_answer made;

    forget_changed(past);
    for (size_t i = 0; i < PAST_KEPT; i++) {
        answer = &past->kept[i];
        if (answer->number > 0 && answer->as_of_ms == as_of_ms &&
            answer->step_ms == range.step_ms && answer->texts_seq == past->picture->texts_seq) {
            return answer;
        }
    }
    made = (struct past_answer){
        .texts_seq = past->picture->texts_seq, .as_of_ms = as_of_ms, .step_ms = range.step_ms};
    write_answer(past, &range, &made);
    answer = &past->large;
    if (made.body.len <= PAST_KEPT_BYTES) {
        made.number = ++past->made;
        answer = &past->kept[made.number % PAST_KEPT];
    }
    vd_buf_fini(&answer->body);
    *answer = made;
    return answer;
}
