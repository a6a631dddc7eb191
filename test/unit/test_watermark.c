/* Event time over all partitions, and which partitions are to be counted anew. */
#include "test.h"

#include "aggregation/rebuild.h"
#include "aggregation/watermark.h"

#define LATE 60
#define PARTITIONS 4

static void put(struct agg_watermark *watermark, int32_t partition, int64_t event_s, bool is_idle)
{
    agg_watermark_put(
        watermark, partition,
        &(struct agg_meta){.event_s = event_s, .is_idle = is_idle, .watermark_s = -1});
}

TEST(the_partition_that_is_furthest_behind_gives_the_watermark)
{
    struct agg_watermark *watermark = agg_watermark_new(LATE);

    assert_true(agg_watermark_get(watermark, 0) == -1); /* partitions are not known yet */
    assert_true(agg_watermark_get(watermark, 2) == -1);
    put(watermark, 1, 1000, false);
    assert_true(agg_watermark_get(watermark, 2) == -1); /* 0 has no META */
    put(watermark, 0, -1, false);
    assert_true(agg_watermark_get(watermark, 2) == -1); /* ... and then no event time */
    put(watermark, 0, 500, false);
    assert_true(agg_watermark_get(watermark, 2) == 440);
    put(watermark, 0, 2000, false);
    assert_true(agg_watermark_get(watermark, 2) == 940);
    agg_watermark_free(watermark);
}

TEST(the_newest_event_time_is_that_of_the_partition_that_is_furthest_ahead)
{
    struct agg_watermark *watermark = agg_watermark_new(LATE);

    assert_true(agg_watermark_newest(watermark) == -1);
    put(watermark, 2, 1000, false); /* 0 and 1 have no META */
    assert_true(agg_watermark_newest(watermark) == 1000);
    put(watermark, 0, 2000, true);
    assert_true(agg_watermark_newest(watermark) == 2000);
    agg_watermark_free(watermark);
}

TEST(an_idle_partition_does_not_hold_it_and_the_furthest_of_all_idle_gives_it)
{
    struct agg_watermark *watermark = agg_watermark_new(LATE);

    put(watermark, 0, 1000, false);
    put(watermark, 1, 2000, false);
    put(watermark, 2, -1, true); /* never had a vote */
    assert_true(agg_watermark_get(watermark, 3) == 940);
    put(watermark, 0, 1000, true);
    assert_true(agg_watermark_get(watermark, 3) == 1940);
    put(watermark, 0, 1001, false); /* it is back, and late */
    assert_true(agg_watermark_get(watermark, 3) == 1940);
    put(watermark, 0, 3000, true);
    assert_true(agg_watermark_get(watermark, 3) == 1940); /* 1 is not idle */
    put(watermark, 1, 2000, true);
    assert_true(agg_watermark_get(watermark, 3) == 2940);
    agg_watermark_free(watermark);
}

TEST(a_start_takes_the_highest_that_any_partition_has_stored)
{
    struct agg_watermark *watermark = agg_watermark_new(LATE);
    const struct agg_meta first = {.event_s = 100, .watermark_s = 700};
    const struct agg_meta second = {.event_s = 100, .watermark_s = 900};

    agg_watermark_put(watermark, 1, &second);
    assert_true(agg_watermark_get(watermark, PARTITIONS) == 900);
    agg_watermark_put(watermark, 0, &first);
    assert_true(agg_watermark_get(watermark, PARTITIONS) == 900);
    agg_watermark_free(watermark);
}

TEST(a_time_ahead_of_the_clock_is_cut)
{
    assert_true(agg_event_cap(-1, 1000) == -1);
    assert_true(agg_event_cap(1060, 1000) == 1060);
    assert_true(agg_event_cap(1061, 1000) == 1060);
    assert_true(agg_event_cap(INT64_MAX, 1000) == 1060);
}

static uint64_t random_below(uint64_t *state, uint64_t limit)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (*state >> 33) % limit;
}

/* Event times only rise, as in META. In whatever order nodes hear of them, the watermark never goes
 * back, and without idleness all come to the same. */
TEST(it_never_goes_back_and_the_order_does_not_matter)
{
    for (uint64_t seed = 1; seed <= 10000; seed++) {
        struct agg_watermark *one = agg_watermark_new(LATE);
        struct agg_watermark *other = agg_watermark_new(LATE);
        uint64_t random = seed;
        int64_t event_s[PARTITIONS] = {0};
        bool has_idle = random_below(&random, 2) == 1;
        int64_t before = -1;

        for (int step = 0; step < 30; step++) {
            int32_t p = (int32_t)random_below(&random, PARTITIONS);

            event_s[p] += (int64_t)random_below(&random, 100);
            put(one, p, event_s[p], has_idle && random_below(&random, 3) == 0);
            assert_true(agg_watermark_get(one, PARTITIONS) >= before);
            before = agg_watermark_get(one, PARTITIONS);
        }
        for (int32_t p = PARTITIONS - 1; p >= 0; p--) {
            put(one, p, event_s[p], false);
            put(other, p, event_s[p], false);
        }
        if (!has_idle) {
            assert_true(agg_watermark_get(one, PARTITIONS) == agg_watermark_get(other, PARTITIONS));
        }
        agg_watermark_free(one);
        agg_watermark_free(other);
    }
}

TEST(the_option_rebuild_names_partitions_and_numbers)
{
    static const struct {
        const char *text;
        int32_t partition;
        uint32_t number;
    } cases[] = {
        {"", 0, 0},        {"3", 0, 3},           {"3", 31, 3},           {"2:5", 2, 5},
        {"2:5", 1, 0},     {"1, 2:5 ,3:1", 2, 5}, {"1, 2:5", 0, 1},       {"4, 2:1", 2, 4},
        {"8000", 0, 8000}, {"2:1,2:2", 2, 2},     {"2147483647:1", 0, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t number = 99;

        assert_int_equal(agg_rebuild_wanted(cases[i].text, cases[i].partition, &number, NULL),
                         VD_OK);
        assert_int_equal(number, cases[i].number);
    }
}

TEST(what_is_no_rebuild_number_is_refused_with_the_item)
{
    static const char *const cases[] = {"x", "1:", ":1", "1:x", "1:2:3", "8001", "-1", "1 2", ",1"};
    uint32_t number = 99;
    struct vd_err err = {0};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(agg_rebuild_wanted(cases[i], 0, &number, NULL), VD_INVALID);
    }
    assert_int_equal(agg_rebuild_wanted("1,2:9000", 0, &number, &err), VD_INVALID);
    assert_string_equal(err.msg, "option \"rebuild\": expected NUMBER or PARTITION:NUMBER (at most "
                                 "8000), separated by commas, got \"2:9000\"");
    assert_int_equal(number, 99);
}

RUN_TESTS(
    cmocka_unit_test(the_partition_that_is_furthest_behind_gives_the_watermark),
    cmocka_unit_test(the_newest_event_time_is_that_of_the_partition_that_is_furthest_ahead),
    cmocka_unit_test(an_idle_partition_does_not_hold_it_and_the_furthest_of_all_idle_gives_it),
    cmocka_unit_test(a_start_takes_the_highest_that_any_partition_has_stored),
    cmocka_unit_test(a_time_ahead_of_the_clock_is_cut),
    cmocka_unit_test(it_never_goes_back_and_the_order_does_not_matter),
    cmocka_unit_test(the_option_rebuild_names_partitions_and_numbers),
    cmocka_unit_test(what_is_no_rebuild_number_is_refused_with_the_item))
