/* When PostgreSQL's tables are counted. */
#include "dashboard/counts.h"

#include "test.h"

static struct counts_meter meter_at(int64_t changes)
{
    return (struct counts_meter){
        .changes = changes,
        .grown = {changes, 0, 0},
        .has_tables = true,
        .is_metered = true,
    };
}

TEST(nothing_is_counted_before_the_tables_exist)
{
    struct counts_rule rule = {0};
    struct counts_meter meter = meter_at(5);

    meter.has_tables = false;
    assert_int_equal(counts_rule_step(&rule, &meter, 0), COUNTS_HOLD);
    meter.has_tables = true;
    assert_int_equal(counts_rule_step(&rule, &meter, 1000), COUNTS_SCAN);
}

TEST(quiet_database_is_left_alone_after_the_tail)
{
    struct counts_rule rule = {0};
    struct counts_meter meter = meter_at(5);
    int64_t now_ms = 0;
    int scans = 0;

    for (; now_ms < 60000; now_ms += 1000) {
        if (counts_rule_step(&rule, &meter, now_ms) == COUNTS_SCAN) {
            counts_rule_scanned(&rule, &meter, now_ms, now_ms + 5, scans == 0);
            assert_true(now_ms <= COUNTS_TAIL_MS + 1000);
            scans++;
        }
    }
    assert_in_range(scans, 2, 13);
}

TEST(moving_meter_pauses_by_the_cost_of_the_last_count)
{
    struct counts_rule rule = {0};
    int64_t busy_ms = 0;
    int64_t now_ms = 0;

    while (now_ms < 600000) {
        struct counts_meter meter = meter_at(now_ms);

        if (counts_rule_step(&rule, &meter, now_ms) == COUNTS_SCAN) {
            counts_rule_scanned(&rule, &meter, now_ms, now_ms + 400, true);
            now_ms += 400;
            busy_ms += 400;
        }
        now_ms += 1000;
    }
    assert_true(busy_ms <= 600000 / COUNTS_BUSY_FACTOR + 400);
}

TEST(last_count_comes_soon_after_the_meter_stands_still)
{
    struct counts_rule rule = {0};
    struct counts_meter meter = meter_at(1);

    assert_int_equal(counts_rule_step(&rule, &meter, 0), COUNTS_SCAN);
    counts_rule_scanned(&rule, &meter, 0, 400, true);
    meter = meter_at(2);
    assert_int_equal(counts_rule_step(&rule, &meter, 1400), COUNTS_HOLD);
    assert_int_equal(counts_rule_step(&rule, &meter, 2400), COUNTS_SCAN);
}

TEST(guess_never_counts_a_row_twice)
{
    struct counts_rule rule = {0};
    struct counts_meter meter = meter_at(0);

    assert_int_equal(counts_rule_step(&rule, &meter, 0), COUNTS_SCAN);
    counts_rule_scanned(&rule, &meter, 0, 1000, true);
    /* 500 rows that were counted are reported late; without a baseline nothing is guessed. */
    meter = meter_at(500);
    assert_int_equal(counts_rule_step(&rule, &meter, 2000), COUNTS_HOLD);
    assert_int_equal(counts_rule_guess(&rule, &meter, COUNTS_VOTERS, 500), 500);
    assert_int_equal(counts_rule_step(&rule, &meter, 2600), COUNTS_GUESS);
    assert_int_equal(counts_rule_guess(&rule, &meter, COUNTS_VOTERS, 500), 500);
    meter = meter_at(700);
    assert_int_equal(counts_rule_step(&rule, &meter, 3600), COUNTS_GUESS);
    assert_int_equal(counts_rule_guess(&rule, &meter, COUNTS_VOTERS, 500), 700);
    meter = meter_at(0);
    assert_int_equal(counts_rule_guess(&rule, &meter, COUNTS_VOTERS, 500), 500);
}

TEST(rows_that_an_idle_server_process_tells_of_late_are_not_guessed)
{
    struct counts_rule rule = {0};
    struct counts_meter meter = meter_at(500);

    assert_int_equal(counts_rule_step(&rule, &meter, 0), COUNTS_SCAN);
    counts_rule_scanned(&rule, &meter, 0, 1000, true);
    assert_int_equal(counts_rule_step(&rule, &meter, 3000), COUNTS_GUESS);
    meter = meter_at(512);
    (void)counts_rule_step(&rule, &meter, 9000); /* whatever it is */
    assert_int_equal(counts_rule_guess(&rule, &meter, COUNTS_VOTERS, 512), 512);
    meter = meter_at(520);
    (void)counts_rule_step(&rule, &meter, 10000); /* whatever it is */
    assert_int_equal(counts_rule_guess(&rule, &meter, COUNTS_VOTERS, 512), 520);
}

TEST(server_without_counters_is_counted_for_ever)
{
    struct counts_rule rule = {0};
    struct counts_meter meter = meter_at(0);

    meter.is_metered = false;
    assert_int_equal(counts_rule_step(&rule, &meter, 0), COUNTS_SCAN);
    counts_rule_scanned(&rule, &meter, 0, 10, true);
    assert_int_equal(counts_rule_step(&rule, &meter, 100000), COUNTS_SCAN);
}

RUN_TESTS(cmocka_unit_test(nothing_is_counted_before_the_tables_exist),
          cmocka_unit_test(quiet_database_is_left_alone_after_the_tail),
          cmocka_unit_test(moving_meter_pauses_by_the_cost_of_the_last_count),
          cmocka_unit_test(last_count_comes_soon_after_the_meter_stands_still),
          cmocka_unit_test(guess_never_counts_a_row_twice),
          cmocka_unit_test(rows_that_an_idle_server_process_tells_of_late_are_not_guessed),
          cmocka_unit_test(server_without_counters_is_counted_for_ever))
