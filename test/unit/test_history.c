/* The totals of the past: axes, gaps, what comes late and what is read back. */
#include "dashboard/history.h"

#include <string.h>

#include "test.h"

#define T0 1700000000000 /* a multiple of all steps up to 256 s */
#define S 1000LL
#define GAP HISTORY_GAP
#define TABLES 3

static struct history *make_history(size_t points)
{
    return history_new(&(struct history_limits){.points = points, .rows = 4, .tables = TABLES});
}

/* Row 'row' of table 0, partition 0: total 'total' 'at_s' after T0. */
static void take(struct history *history, uint32_t row, int64_t offset, int64_t at_s, int64_t total)
{
    history_take(history, &(struct history_total){.row = row,
                                                  .total = total,
                                                  .event_ms = T0 + at_s * S + 500,
                                                  .offset = offset});
}

static struct history_range find(const struct history *history, int64_t from_s, int64_t to_s,
                                 int64_t step_s)
{
    return history_find(history, &(struct history_asked){.from_ms = T0 + from_s * S,
                                                         .to_ms = T0 + to_s * S,
                                                         .step_ms = step_s * S,
                                                         .points_max = 10000});
}

/* The points of the row between two times must be these. */
static void check(const struct history *history, uint32_t row, const struct history_range *range,
                  const int64_t *totals, size_t count)
{
    int64_t got[64] = {0};

    assert_int_equal(range->count, count);
    history_read(history, 0, row, range, got);
    for (size_t i = 0; i < count; i++) {
        if (got[i] != totals[i]) {
            fail_msg("point %zu: %lld instead of %lld", i, (long long)got[i], (long long)totals[i]);
        }
    }
}

#define CHECK(history, row, range, ...)                              \
    check((history), (row), (range), (const int64_t[]){__VA_ARGS__}, \
          sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

TEST(a_second_without_a_record_has_the_total_before_it)
{
    struct history *history = make_history(100);
    struct history_range range;

    take(history, 0, 0, 2, 5);
    take(history, 0, 1, 2, 6);
    take(history, 1, 2, 4, 1);
    take(history, 0, 3, 5, 7);
    range = find(history, 0, 100, 0);
    assert_true(range.from_ms == T0 + 1 * S && range.step_ms == S);
    CHECK(history, 0, &range, 0, 6, 6, 6, 7);
    CHECK(history, 1, &range, 0, 0, 0, 1, 1);
    assert_true(history_has(history, 0, 1));
    assert_false(history_has(history, 0, 2));
    assert_false(history_has(history, 1, 0));
    history_free(history);
}

TEST(steps_double_until_any_length_fits)
{
    struct history *history = make_history(8);
    struct history_range range;

    for (int64_t i = 0; i < 100; i++) {
        take(history, 0, i, i, i + 1);
    }
    range = find(history, -1, 1000, 0); /* older than the last seconds, which are kept one by one */
    assert_true(range.step_ms == 16 * S && range.from_ms == T0 - 16 * S);
    CHECK(history, 0, &range, 0, 16, 32, 48, 64, 80, 96, 100);
    history_free(history);

    history = make_history(8);
    for (int64_t i = 0; i < 8; i++) {
        take(history, 0, i, i, i + 1);
    }
    range = find(history, 0, 1000, 0);
    CHECK(history, 0, &range, 1, 2, 3, 4, 5, 6, 7, 8);
    take(history, 0, 8, 8, 9);
    range = find(history, -1, 1000, 0);
    CHECK(history, 0, &range, 0, 2, 4, 6, 8, 9);
    history_free(history);
}

TEST(the_last_quarter_of_an_hour_stays_fine)
{
    struct history *history = make_history(100);
    struct history_range range;
    int64_t end = 10 * 3600;

    for (int64_t i = 0; i <= end; i++) {
        take(history, 0, i, i, i + 1);
    }
    range = find(history, end - 900, end, 0);
    assert_true(range.step_ms == S && range.count == 901);
    range = find(history, end - 3, end, 0);
    CHECK(history, 0, &range, end - 2, end - 1, end, end + 1);
    range = find(history, 0, end, 0);
    assert_true(range.step_ms == 512 * S && range.count <= 100);
    history_free(history);
}

TEST(a_quiet_row_keeps_its_total_in_the_last_seconds)
{
    struct history *history = make_history(100);
    struct history_range range;

    take(history, 1, 0, 0, 42);
    for (int64_t i = 1; i < 5000; i++) {
        take(history, 0, i, i, i);
    }
    range = find(history, 4997, 9999, 0);
    CHECK(history, 1, &range, 42, 42, 42);
    take(history, 1, 5000, 6000, 43); /* a pause longer than the axis */
    range = find(history, 5999, 9999, 0);
    CHECK(history, 0, &range, 4999, 4999);
    CHECK(history, 1, &range, 42, 43);
    history_free(history);
}

TEST(records_of_partitions_come_in_any_order)
{
    struct history *history = make_history(100);
    struct history_range range;

    take(history, 0, 0, 50, 9);
    for (int64_t i = 0; i < 3; i++) {
        history_take(history, &(struct history_total){.row = 1,
                                                      .total = i + 1,
                                                      .event_ms = T0 + (47 + i) * S,
                                                      .partition = 1,
                                                      .offset = i});
    }
    range = find(history, 0, 100, 0);
    CHECK(history, 0, &range, 0, 0, 0, 0, 9);
    CHECK(history, 1, &range, 0, 1, 2, 3, 3);
    take(history, 0, 1, 45, 10); /* the publisher's clock went back: time does not */
    range = find(history, 50, 100, 0);
    CHECK(history, 0, &range, 10);
    history_free(history);
}

TEST(what_was_before_a_start_is_a_gap_unless_nothing_is_missing)
{
    struct history *history = make_history(100);
    struct history_range range;

    take(history, 0, 17, 1, 500); /* read back behind what was compacted */
    take(history, 1, 18, 3, 7);
    history_take(history,
                 &(struct history_total){
                     .row = 2, .total = 1, .event_ms = T0 + 4 * S, .offset = 19, .is_live = true});
    range = find(history, 0, 100, 0);
    CHECK(history, 0, &range, GAP, 500, 500, 500, 500);
    CHECK(history, 1, &range, GAP, GAP, GAP, 7, 7);
    CHECK(history, 2, &range, 0, 0, 0, 0, 1); /* new before our eyes: it had none */
    history_free(history);
}

TEST(records_that_are_gone_leave_a_gap_and_an_end_of_transaction_does_not)
{
    struct history *history = make_history(100);
    struct history_range range;

    take(history, 0, 0, 0, 1);
    take(history, 0, 2, 2, 3);
    take(history, 0, 9, 6, 30);
    take(history, 0, 10, 7, 31);
    take(history, 0, 0, 9, 32); /* the topic was made anew */
    range = find(history, 0, 100, 0);
    CHECK(history, 0, &range, 1, 1, 3, GAP, GAP, GAP, 30, 31, GAP, 32);
    range = find(history, 0, 100, 4);
    CHECK(history, 0, &range, GAP, 31, 32);
    range = find(history, 8, 100, 0);
    CHECK(history, 0, &range, GAP, 32);
    history_free(history);
}

TEST(a_gap_stays_one_when_steps_double)
{
    struct history *history = make_history(8);
    struct history_range range;

    take(history, 0, 0, 0, 1);
    take(history, 0, 9, 6, 30);
    take(history, 0, 10, 9, 31);
    range = find(history, -1, 100, 0);
    assert_true(range.step_ms == 2 * S);
    CHECK(history, 0, &range, 0, GAP, GAP, GAP, 30, 31);
    history_free(history);
}

TEST(answers_have_no_shorter_steps_and_no_more_points_than_asked_for)
{
    struct history *history = make_history(100);
    struct history_asked asked = {.from_ms = T0, .to_ms = INT64_MAX, .points_max = 10000};
    struct history_range range;

    assert_int_equal(history_find(history, &asked).count, 0);
    for (int64_t i = 0; i < 64; i++) {
        take(history, 0, i, i, i + 1);
    }
    asked.step_ms = 5 * S;
    range = history_find(history, &asked);
    assert_true(range.step_ms == 8 * S && range.count == 8);
    asked.step_ms = 0;
    asked.points_max = 3;
    range = history_find(history, &asked);
    assert_true(range.step_ms == 32 * S && range.count == 2);
    CHECK(history, 0, &range, 32, 64);
    asked.points_max = 2;
    asked.from_ms = 0;
    range = history_find(history, &asked);
    assert_true(range.step_ms == 64 * S);
    CHECK(history, 0, &range, 0, 64);
    asked = (struct history_asked){.from_ms = T0 + 64 * S, .to_ms = T0 + 99 * S, .points_max = 9};
    assert_int_equal(history_find(history, &asked).count, 0);
    asked = (struct history_asked){.from_ms = 0, .to_ms = T0 - 1, .points_max = 9};
    assert_int_equal(history_find(history, &asked).count, 0);
    history_free(history);
}

TEST(event_time_may_run_faster_than_any_clock)
{
    struct history *history = make_history(200);
    struct history_range range;
    int64_t day = 24LL * 3600;

    for (int64_t i = 0; i < 300; i++) {
        take(history, 0, i, i * day, i + 1); /* a day a record */
    }
    range = find(history, 0, 300 * day, 0);
    assert_true(range.count > 90 && range.count <= 200);
    history_free(history);
}

TEST(a_leap_that_no_election_makes_begins_anew)
{
    struct history *history = make_history(100);
    struct history_range range;
    int64_t leap = HISTORY_LEAP_MS / S + 2;

    take(history, 0, 0, 0, 1);
    take(history, 1, 1, leap, 1); /* the first clock was wrong */
    take(history, 1, 2, leap + 1, 2);
    assert_false(history_has(history, 0, 0));
    range = find(history, 0, leap + 10, 0);
    assert_true(range.step_ms == S);
    CHECK(history, 1, &range, GAP, 1, 2);
    take(history, 0, 3, 0, 5); /* and so is this one */
    assert_false(history_has(history, 0, 0));
    take(history, 0, 4, leap + 1, 6);
    CHECK(history, 0, &range, GAP, GAP, 6);
    history_free(history);
}

TEST(a_table_with_too_many_rows_keeps_nothing)
{
    struct history *history = make_history(100);
    uint64_t version = 0;

    take(history, 0, 0, 0, 1);
    assert_false(history_is_too_large(history, 0));
    take(history, 4, 1, 0, 1);
    assert_true(history_is_too_large(history, 0));
    assert_false(history_is_too_large(history, 1));
    assert_false(history_has(history, 0, 0));
    version = history_version(history);
    take(history, 0, 2, 5, 2);
    assert_false(history_has(history, 0, 0));
    assert_true(history_version(history) == version);
    history_free(history);
    history_free(NULL);
}

TEST(one_point_is_found_at_any_time)
{
    static const struct {
        int64_t at_s, from_s;
        int64_t total;
    } cases[] = {{-900, 9, 0}, {9, 9, 0}, {10, 10, 1}, {12, 12, 1}, {15, 15, 6}, {4000, 15, 6}};
    struct history *history = make_history(100);

    assert_int_equal(history_at(history, T0).count, 0);
    take(history, 0, 0, 10, 1);
    take(history, 0, 1, 15, 6);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct history_range range = history_at(history, T0 + cases[i].at_s * S + 999);

        assert_int_equal(range.from_ms, T0 + cases[i].from_s * S);
        CHECK(history, 0, &range, cases[i].total);
    }
    history_free(history);
}

TEST(news_are_as_old_as_the_oldest_change)
{
    struct history *history = make_history(100);

    assert_int_equal(history_news(history), INT64_MAX);
    take(history, 0, 0, 10, 1);
    take(history, 0, 1, 20, 2);
    assert_int_equal(history_news(history), T0 + 10 * S + 500);
    assert_int_equal(history_news(history), INT64_MAX);
    take(history, 0, 9, 30, 3); /* seven are missing: nothing is known since the last one */
    assert_int_equal(history_news(history), T0 + 20 * S + 500);
    take(history, 1, 10, 40, 1); /* a row whose first records are missing */
    assert_int_equal(history_news(history), 0);
    history_free(history);
}

RUN_TESTS(cmocka_unit_test(one_point_is_found_at_any_time),
          cmocka_unit_test(news_are_as_old_as_the_oldest_change),
          cmocka_unit_test(a_second_without_a_record_has_the_total_before_it),
          cmocka_unit_test(steps_double_until_any_length_fits),
          cmocka_unit_test(the_last_quarter_of_an_hour_stays_fine),
          cmocka_unit_test(a_quiet_row_keeps_its_total_in_the_last_seconds),
          cmocka_unit_test(records_of_partitions_come_in_any_order),
          cmocka_unit_test(what_was_before_a_start_is_a_gap_unless_nothing_is_missing),
          cmocka_unit_test(records_that_are_gone_leave_a_gap_and_an_end_of_transaction_does_not),
          cmocka_unit_test(a_gap_stays_one_when_steps_double),
          cmocka_unit_test(answers_have_no_shorter_steps_and_no_more_points_than_asked_for),
          cmocka_unit_test(event_time_may_run_faster_than_any_clock),
          cmocka_unit_test(a_leap_that_no_election_makes_begins_anew),
          cmocka_unit_test(a_table_with_too_many_rows_keeps_nothing))
