#include "trouble.h"

#include "test.h"

static struct vd_trouble fresh(void)
{
    return (struct vd_trouble){.grace_ms = 2000};
}

TEST(what_is_over_soon_is_never_said)
{
    struct vd_trouble trouble = fresh();

    assert_int_equal(vd_trouble_news(&trouble, 1000), VD_TROUBLE_NO_NEWS);
    vd_trouble_set(&trouble, "gone", 1000);
    assert_int_equal(vd_trouble_news(&trouble, 2999), VD_TROUBLE_NO_NEWS);
    vd_trouble_set(&trouble, NULL, 2999);
    assert_int_equal(vd_trouble_news(&trouble, 3000), VD_TROUBLE_NO_NEWS);
    vd_trouble_set(&trouble, "gone", 3100); /* its grace begins anew */
    assert_int_equal(vd_trouble_news(&trouble, 4000), VD_TROUBLE_NO_NEWS);
    assert_int_equal(vd_trouble_news(&trouble, 5100), VD_TROUBLE_BEGUN);
}

TEST(what_lasts_is_said_once_and_then_less_and_less_often)
{
    struct vd_trouble trouble = fresh();
    int said[8] = {0};
    int count = 0;

    for (int second = 0; second <= 3600; second++) {
        vd_trouble_set(&trouble, "gone", second * 1000);
        if (vd_trouble_news(&trouble, second * 1000) != VD_TROUBLE_NO_NEWS && count < 8) {
            said[count++] = second;
        }
    }
    assert_int_equal(count, 8);
    assert_int_equal(said[0], 2);
    assert_int_equal(said[1], 62);
    assert_int_equal(said[2], 182);
    assert_int_equal(said[3], 422);
    assert_int_equal(said[4], 902);
    assert_int_equal(said[5], 1502);
    assert_int_equal(said[6], 2102);
}

TEST(what_one_of_several_says_neither_hides_nor_ends_what_another_says)
{
    struct vd_trouble trouble = fresh();
    struct vd_witness first = {0};
    struct vd_witness second = {0};
    struct vd_witness third = {0};

    vd_trouble_tell(&trouble, &first, NULL, 500); /* is well, and always was */
    assert_false(trouble.is_on);
    vd_trouble_tell(&trouble, &first, "refused", 1000);
    vd_trouble_tell(&trouble, &second, "too many connections", 2000);
    vd_trouble_tell(&trouble, &third, "refused", 3000); /* is not said twice */
    assert_string_equal(trouble.cause, "refused; too many connections");
    vd_trouble_tell(&trouble, &first, NULL, 4000);
    assert_true(trouble.is_on);
    assert_int_equal(trouble.since_ms, 1000);
    vd_trouble_tell(&trouble, &third, "reset", 5000);
    assert_string_equal(trouble.cause, "reset; too many connections");
    vd_trouble_tell(&trouble, &third, NULL, 6000);
    assert_string_equal(trouble.cause, "too many connections");
    vd_trouble_tell(&trouble, &second, NULL, 7000);
    assert_false(trouble.is_on);
    assert_null(trouble.hit);
}

TEST(its_end_is_said_once_with_how_long_it_lasted)
{
    struct vd_trouble trouble = fresh();

    vd_trouble_set(&trouble, "first", 1000);
    assert_int_equal(vd_trouble_news(&trouble, 3000), VD_TROUBLE_BEGUN);
    vd_trouble_set(&trouble, "second", 8000);
    assert_string_equal(trouble.cause, "second");
    assert_int_equal(trouble.since_ms, 1000);
    vd_trouble_set(&trouble, NULL, 9000);
    vd_trouble_set(&trouble, NULL, 9500);
    assert_int_equal(vd_trouble_news(&trouble, 10000), VD_TROUBLE_OVER);
    assert_int_equal(trouble.lasted_ms, 8000);
    assert_int_equal(vd_trouble_news(&trouble, 10000), VD_TROUBLE_NO_NEWS);
}

TEST(a_moment_between_two_questions_does_not_end_it)
{
    struct vd_trouble trouble = fresh();

    vd_trouble_set(&trouble, "gone", 1000);
    assert_int_equal(vd_trouble_news(&trouble, 3000), VD_TROUBLE_BEGUN);
    vd_trouble_set(&trouble, NULL, 3500);
    vd_trouble_set(&trouble, "gone", 3900);
    assert_int_equal(vd_trouble_news(&trouble, 4000), VD_TROUBLE_NO_NEWS);
    assert_int_equal(trouble.since_ms, 1000);
}

TEST(durations_are_short_words)
{
    static const struct {
        int64_t ms;
        const char *words;
    } rows[] = {{0, "0 s"},         {1999, "1 s"},    {99999, "99 s"},        {100000, "1 min"},
                {600000, "10 min"}, {3600000, "1 h"}, {3900000, "1 h 5 min"}, {90000000, "25 h"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[VD_DURATION_BYTES];

        vd_duration_format(rows[i].ms, text);
        assert_string_equal(text, rows[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_over_soon_is_never_said),
        cmocka_unit_test(what_lasts_is_said_once_and_then_less_and_less_often),
        cmocka_unit_test(what_one_of_several_says_neither_hides_nor_ends_what_another_says),
        cmocka_unit_test(its_end_is_said_once_with_how_long_it_lasted),
        cmocka_unit_test(a_moment_between_two_questions_does_not_end_it),
        cmocka_unit_test(durations_are_short_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
