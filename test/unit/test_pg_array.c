#include "pg.h"

#include <string.h>

#include "alloc.h"

#include "test.h"

static void assert_array(const struct vd_buf *array, const void *wanted, size_t len)
{
    struct vd_pg_value value = vd_pg_array_value(array);

    assert_true(value.is_binary);
    assert_int_equal(value.len, len);
    assert_memory_equal(value.data, wanted, len);
}

TEST(an_empty_array_has_no_dimension)
{
    static const uint8_t wanted[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 23};
    VD_AUTO(buf) struct vd_buf array = {0};

    vd_pg_array_begin(&array, VD_PG_INT4);
    vd_pg_array_end(&array);
    assert_array(&array, wanted, sizeof(wanted));
}

TEST(integers_stand_behind_their_length)
{
    static const uint8_t wanted[] = {0, 0, 0, 1, 0, 0, 0,   0,   0,   0,   0, 23, 0, 0, 0, 2, 0, 0,
                                     0, 1, 0, 0, 0, 4, 255, 255, 255, 255, 0, 0,  0, 4, 0, 0, 1, 2};
    VD_AUTO(buf) struct vd_buf array = {0};

    vd_pg_array_begin(&array, VD_PG_INT4);
    vd_pg_array_add_int4(&array, -1);
    vd_pg_array_add_int4(&array, 258);
    vd_pg_array_end(&array);
    assert_array(&array, wanted, sizeof(wanted));
}

TEST(a_null_is_flagged_in_the_head)
{
    static const uint8_t wanted[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0,   2,   0,   0,
                                     0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0,  0, 7, 255, 255, 255, 255};
    VD_AUTO(buf) struct vd_buf array = {0};

    vd_pg_array_begin(&array, VD_PG_INT8);
    vd_pg_array_add_int8(&array, 7);
    vd_pg_array_add_null(&array);
    vd_pg_array_end(&array);
    assert_array(&array, wanted, sizeof(wanted));
}

TEST(texts_have_any_length)
{
    static const uint8_t wanted[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0,   0,   25, 0, 0, 0,
                                     2, 0, 0, 0, 1, 0, 0, 0, 2, 'h', 'i', 0,  0, 0, 0};
    VD_AUTO(buf) struct vd_buf array = {0};

    vd_pg_array_begin(&array, VD_PG_TEXT);
    vd_pg_array_add_text(&array, "hi!", 2);
    vd_pg_array_add_text(&array, NULL, 0);
    vd_pg_array_end(&array);
    assert_array(&array, wanted, sizeof(wanted));
}

static int64_t timestamp_of(int64_t unix_us)
{
    VD_AUTO(buf) struct vd_buf array = {0};

    vd_pg_array_begin(&array, VD_PG_TIMESTAMP);
    vd_pg_array_add_timestamp(&array, unix_us);
    vd_pg_array_end(&array);
    assert_int_equal(array.len, 32);
    return (int64_t)vd_be64(array.data + 24);
}

TEST(timestamps_count_from_the_year_2000)
{
    assert_true(timestamp_of(INT64_C(946684800000000)) == 0);
    assert_true(timestamp_of(INT64_C(946684799999999)) == -1);
    assert_true(timestamp_of(INT64_C(1700000000123456)) == INT64_C(753315200123456));
    assert_true(timestamp_of(INT64_MIN) == INT64_MIN + 1);
    assert_true(timestamp_of(INT64_MAX) == INT64_MAX - INT64_C(946684800000000));
}

TEST(begin_starts_over_in_the_same_buffer)
{
    VD_AUTO(buf) struct vd_buf array = {0};

    for (int round = 0; round < 2; round++) {
        vd_pg_array_begin(&array, VD_PG_INT8);
        for (int i = 0; i < 1000; i++) {
            vd_pg_array_add_int8(&array, i);
        }
        vd_pg_array_end(&array);
        assert_int_equal(vd_be32(array.data + 12), 1000);
        assert_int_equal(array.len, 20 + 1000 * 12);
    }
}

RUN_TESTS(cmocka_unit_test(an_empty_array_has_no_dimension),
          cmocka_unit_test(integers_stand_behind_their_length),
          cmocka_unit_test(a_null_is_flagged_in_the_head), cmocka_unit_test(texts_have_any_length),
          cmocka_unit_test(timestamps_count_from_the_year_2000),
          cmocka_unit_test(begin_starts_over_in_the_same_buffer))
