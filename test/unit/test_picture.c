/* The picture: totals in, numbered pictures out. */
#include "dashboard/picture.h"

#include <string.h>

#include "alloc.h"
#include "test.h"

static uint32_t candidate(struct picture *picture, const char *id)
{
    return picture_row(picture, PICTURE_CANDIDATE, id, strlen(id));
}

static int64_t votes(const struct picture *picture, uint32_t row)
{
    return picture_value(picture_frame_last(picture), PICTURE_CANDIDATE, row, COLUMN_VOTES);
}

TEST(first_picture_is_empty_and_has_number_one)
{
    struct picture picture;

    picture_init(&picture, "e1", 100);
    assert_int_equal(picture.seq, 1);
    assert_int_equal(picture_frame_last(&picture)->counts[PICTURE_CANDIDATE], 0);
    assert_true(picture_value(picture_frame_last(&picture), PICTURE_TOTALS, 0, TOTALS_VOTERS) ==
                PICTURE_NULL);
    assert_int_equal(picture_value(picture_frame_last(&picture), PICTURE_TOTALS, 0, TOTALS_COUNTED),
                     0);
    assert_false(picture_settle(&picture));
    picture_fini(&picture);
}

TEST(lower_sequence_is_ignored)
{
    struct picture picture;
    uint32_t row = 0;

    picture_init(&picture, "e1", 100);
    row = candidate(&picture, "a");
    assert_true(picture_count(&picture, PICTURE_CANDIDATE, row, 10, 10));
    assert_false(picture_count(&picture, PICTURE_CANDIDATE, row, 9, 9));
    assert_true(picture_count(&picture, PICTURE_CANDIDATE, row, 11, 11));
    assert_false(picture_count(&picture, PICTURE_CANDIDATE, row, 11, 11));
    assert_true(picture_settle(&picture));
    assert_int_equal(votes(&picture, row), 11);
    picture_fini(&picture);
}

TEST(higher_sequence_may_lower_a_total_after_a_rebuild)
{
    struct picture picture;
    uint32_t row = 0;

    picture_init(&picture, "e1", 100);
    row = candidate(&picture, "a");
    assert_true(picture_count(&picture, PICTURE_CANDIDATE, row, 10, 10));
    assert_true(picture_count(&picture, PICTURE_CANDIDATE, row, 3, (1LL << 40) + 3));
    assert_false(picture_count(&picture, PICTURE_CANDIDATE, row, 11, 11));
    assert_true(picture_settle(&picture));
    assert_int_equal(votes(&picture, row), 3);
    picture_fini(&picture);
}

TEST(totals_of_another_program_count_by_the_largest)
{
    struct picture picture;
    uint32_t row = 0;

    picture_init(&picture, "e1", 100);
    row = candidate(&picture, "a");
    assert_true(picture_count(&picture, PICTURE_CANDIDATE, row, 7, PICTURE_NO_SEQUENCE));
    assert_false(picture_count(&picture, PICTURE_CANDIDATE, row, 5, PICTURE_NO_SEQUENCE));
    assert_true(picture_count(&picture, PICTURE_CANDIDATE, row, 8, PICTURE_NO_SEQUENCE));
    assert_true(picture_settle(&picture));
    assert_int_equal(votes(&picture, row), 8);
    picture_fini(&picture);
}

TEST(pending_values_are_not_seen_before_they_settle)
{
    struct picture picture;
    uint32_t row = 0;

    picture_init(&picture, "e1", 100);
    row = candidate(&picture, "a");
    assert_true(picture_count(&picture, PICTURE_CANDIDATE, row, 1, 1));
    assert_true(picture_settle(&picture));
    assert_true(picture_count(&picture, PICTURE_CANDIDATE, row, 2, 2));
    assert_int_equal(votes(&picture, row), 1);
    assert_int_equal(picture.seq, 2);
    assert_true(picture_settle(&picture));
    assert_int_equal(votes(&picture, row), 2);
    assert_int_equal(picture_value(picture_frame_at(&picture, 2), PICTURE_CANDIDATE, row, 0), 1);
    picture_fini(&picture);
}

TEST(counted_is_the_sum_over_candidates)
{
    struct picture picture;

    picture_init(&picture, "e1", 100);
    (void)picture_count(&picture, PICTURE_CANDIDATE, candidate(&picture, "a"), 40, 40);
    (void)picture_count(&picture, PICTURE_CANDIDATE, candidate(&picture, "b"), 2, 2);
    assert_true(picture_settle(&picture));
    assert_int_equal(picture_value(picture_frame_last(&picture), PICTURE_TOTALS, 0, TOTALS_COUNTED),
                     42);
    picture_fini(&picture);
}

TEST(only_the_last_pictures_are_kept)
{
    struct picture picture;
    uint32_t row = 0;

    picture_init(&picture, "e1", 100);
    row = candidate(&picture, "a");
    for (int i = 1; i <= PICTURE_KEPT + 4; i++) {
        (void)picture_count(&picture, PICTURE_CANDIDATE, row, i, i);
        assert_true(picture_settle(&picture));
    }
    assert_null(picture_frame_at(&picture, picture.seq - PICTURE_KEPT));
    assert_non_null(picture_frame_at(&picture, picture.seq - PICTURE_KEPT + 1));
    assert_null(picture_frame_at(&picture, picture.seq + 1));
    assert_null(picture_frame_at(&picture, 0));
    picture_fini(&picture);
}

TEST(full_table_takes_no_further_row)
{
    struct picture picture;

    picture_init(&picture, "e1", 2);
    assert_int_equal(candidate(&picture, "a"), 0);
    assert_int_equal(candidate(&picture, "b"), 1);
    assert_int_equal(candidate(&picture, "c"), PICTURE_NONE);
    assert_int_equal(candidate(&picture, "a"), 0);
    assert_int_equal(candidate(&picture, ""), PICTURE_NONE);
    assert_int_equal(picture.refused, 2);
    picture_fini(&picture);
}

TEST(rename_is_a_change_and_the_same_name_is_none)
{
    struct picture picture;
    uint32_t row = 0;

    picture_init(&picture, "e1", 100);
    row = candidate(&picture, "a");
    picture_set_text(&picture, PICTURE_CANDIDATE, row, TEXT_NAME, "Ann");
    assert_true(picture_settle(&picture));
    picture_set_text(&picture, PICTURE_CANDIDATE, row, TEXT_NAME, "Ann");
    assert_false(picture_settle(&picture));
    picture_set_text(&picture, PICTURE_CANDIDATE, row, TEXT_NAME, "Anna");
    assert_true(picture_settle(&picture));
    assert_int_equal(picture.texts_seq, 3);
    picture_fini(&picture);
}

TEST(long_text_is_cut_between_characters)
{
    struct picture picture;
    char text[2 * PICTURE_TEXT_BYTES + 1] = "";
    uint32_t row = 0;

    for (size_t i = 0; i + 1 < sizeof(text); i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    picture_init(&picture, "e1", 100);
    row = candidate(&picture, "a");
    picture_set_text(&picture, PICTURE_CANDIDATE, row, TEXT_NAME, text);
    assert_int_equal(strlen(picture.tables[PICTURE_CANDIDATE].rows[row].texts[TEXT_NAME]),
                     PICTURE_TEXT_BYTES - 1);
    picture_fini(&picture);
}

TEST(aggregates_have_names_of_their_own_and_titles)
{
    struct picture picture;
    struct vd_err err = {0};
    size_t table = 0;

    picture_init(&picture, "e1", 100);
    assert_int_equal(picture_add_table(&picture, "age_group-x", &table, &err), VD_OK);
    assert_int_equal(table, PICTURE_AGGREGATES);
    assert_string_equal(picture.tables[table].title, "Age group x");
    assert_int_equal(picture_find_table(&picture, "age_group-x"), table);
    assert_int_equal(picture_find_table(&picture, "age"), PICTURE_NONE);
    assert_int_equal(picture_add_table(&picture, "totals", &table, &err), VD_INVALID);
    assert_string_equal(err.msg,
                        "table \"totals\": the dashboard has one of that name; take another");
    for (int i = PICTURE_AGGREGATES + 1; i < PICTURE_TABLES_MAX; i++) {
        VD_AUTO(mem) char *name = vd_format("t%d", i);

        assert_int_equal(picture_add_table(&picture, name, &table, &err), VD_OK);
    }
    assert_int_equal(picture_add_table(&picture, "one_more", &table, &err), VD_INVALID);
    assert_string_equal(err.msg, "table \"one_more\": at most 32 tables are shown; remove one");
    assert_true(picture_settle(&picture));
    picture_fini(&picture);
}

TEST(text_that_is_not_known_any_more_is_a_rename)
{
    struct picture picture;
    struct vd_err err = {0};
    size_t table = 0;
    uint32_t row = 0;

    picture_init(&picture, "e1", 100);
    assert_int_equal(picture_add_table(&picture, "city", &table, &err), VD_OK);
    assert_int_equal(picture_text(&picture, table, "city"), 0);
    assert_int_equal(picture_text(&picture, table, "city"), 0);
    assert_int_equal(picture_text(&picture, PICTURE_STATE, "other"), PICTURE_NONE);
    row = picture_row(&picture, table, "", 0);
    picture_set_text(&picture, table, row, 0, "Ulm");
    assert_true(picture_settle(&picture));
    picture_set_text(&picture, table, row, 0, "Ulm");
    assert_false(picture_settle(&picture));
    picture_set_text(&picture, table, row, 0, NULL);
    assert_true(picture_settle(&picture));
    assert_null(picture.tables[table].rows[row].texts[0]);
    picture_fini(&picture);
}

RUN_TESTS(cmocka_unit_test(first_picture_is_empty_and_has_number_one),
          cmocka_unit_test(lower_sequence_is_ignored),
          cmocka_unit_test(higher_sequence_may_lower_a_total_after_a_rebuild),
          cmocka_unit_test(totals_of_another_program_count_by_the_largest),
          cmocka_unit_test(pending_values_are_not_seen_before_they_settle),
          cmocka_unit_test(counted_is_the_sum_over_candidates),
          cmocka_unit_test(only_the_last_pictures_are_kept),
          cmocka_unit_test(full_table_takes_no_further_row),
          cmocka_unit_test(rename_is_a_change_and_the_same_name_is_none),
          cmocka_unit_test(long_text_is_cut_between_characters),
          cmocka_unit_test(aggregates_have_names_of_their_own_and_titles),
          cmocka_unit_test(text_that_is_not_known_any_more_is_a_rename))
