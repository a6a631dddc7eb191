/* The set of ids by which an audit knows millions of voters. */
#include "election/ids.h"

#include <stdio.h>

#include "test.h"

TEST(ids_are_numbered_in_the_order_they_come)
{
    struct el_ids ids;

    el_ids_init(&ids);
    assert_int_equal(el_ids_find(&ids, "a", 1), EL_NO_ID);
    assert_int_equal(el_ids_add(&ids, "a", 1), 0);
    assert_int_equal(el_ids_add(&ids, "b", 1), 1);
    assert_int_equal(el_ids_add(&ids, "a", 1), 0);
    assert_int_equal(el_ids_add(&ids, "", 0), 2);
    assert_int_equal(el_ids_find(&ids, "b", 1), 1);
    assert_int_equal(el_ids_find(&ids, "ab", 2), EL_NO_ID);
    assert_int_equal(ids.count, 3);
    el_ids_fini(&ids);
}

TEST(a_hundred_thousand_ids_keep_their_numbers)
{
    enum { COUNT = 100000 };
    struct el_ids ids;
    char id[16];

    el_ids_init(&ids);
    for (uint32_t i = 0; i < COUNT; i++) {
        int len = snprintf(id, sizeof(id), "%u", i);

        assert_int_equal(el_ids_add(&ids, id, (size_t)len), i);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        int len = snprintf(id, sizeof(id), "%u", i);

        assert_int_equal(el_ids_find(&ids, id, (size_t)len), i);
    }
    assert_int_equal(ids.count, COUNT);
    el_ids_fini(&ids);
}

TEST(an_empty_set_can_be_ended_twice)
{
    struct el_ids ids;

    el_ids_init(&ids);
    el_ids_fini(&ids);
    el_ids_fini(&ids);
    assert_int_equal(el_ids_add(&ids, "again", 5), 0);
    el_ids_fini(&ids);
}

RUN_TESTS(cmocka_unit_test(ids_are_numbered_in_the_order_they_come),
          cmocka_unit_test(a_hundred_thousand_ids_keep_their_numbers),
          cmocka_unit_test(an_empty_set_can_be_ended_twice))
