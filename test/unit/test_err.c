#include "err.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

TEST(fail_sets_status_and_words)
{
    struct vd_err err = {0};

    assert_int_equal(vd_fail(&err, VD_INVALID, "option \"%s\": got %d", "port", 7), VD_INVALID);
    assert_int_equal(err.status, VD_INVALID);
    assert_string_equal(err.msg, "option \"port\": got 7");
}

TEST(fail_accepts_its_own_message_as_argument)
{
    struct vd_err err = {0};

    (void)vd_fail(&err, VD_AGAIN, "the inner words");
    assert_int_equal(vd_fail(&err, VD_FAILED, "outer: %s", err.msg), VD_FAILED);
    assert_string_equal(err.msg, "outer: the inner words");
}

TEST(fail_without_a_place_for_words_returns_the_status)
{
    assert_int_equal(vd_fail(NULL, VD_AGAIN, "unheard"), VD_AGAIN);
    assert_int_equal(vd_fail_in(NULL, "unheard"), VD_FAILED);
}

TEST(fail_in_puts_the_context_in_front)
{
    struct vd_err err = {0};

    (void)vd_fail(&err, VD_AGAIN, "no room");
    assert_int_equal(vd_fail_in(&err, "stage \"%s\"", "voting"), VD_AGAIN);
    assert_int_equal(vd_fail_in(&err, "%s:%d", "election.ini", 3), VD_AGAIN);
    assert_string_equal(err.msg, "election.ini:3: stage \"voting\": no room");
}

TEST(long_messages_are_cut_to_fit)
{
    static char text[3000];
    struct vd_err err = {0};

    memset(text, 'x', sizeof(text) - 1);
    (void)vd_fail(&err, VD_FAILED, "%s", text);
    assert_int_equal(strlen(err.msg), VD_ERR_MSG_BYTES - 1);
    (void)vd_fail_in(&err, "front");
    assert_int_equal(strlen(err.msg), VD_ERR_MSG_BYTES - 1);
    assert_memory_equal(err.msg, "front: xxx", 10);
    (void)vd_fail_in(&err, "%s", text);
    assert_int_equal(strlen(err.msg), VD_ERR_MSG_BYTES - 1);
    assert_memory_equal(err.msg + VD_ERR_MSG_BYTES - 3, ": ", 3);
}

TEST(statuses_have_names)
{
    assert_string_equal(vd_status_name(VD_OK), "ok");
    assert_string_equal(vd_status_name(VD_AGAIN), "again");
    assert_string_equal(vd_status_name(VD_INVALID), "invalid");
    assert_string_equal(vd_status_name(VD_FAILED), "failed");
    assert_string_equal(vd_status_name((enum vd_status)77), "unknown");
}

RUN_TESTS(cmocka_unit_test(fail_sets_status_and_words),
          cmocka_unit_test(fail_accepts_its_own_message_as_argument),
          cmocka_unit_test(fail_without_a_place_for_words_returns_the_status),
          cmocka_unit_test(fail_in_puts_the_context_in_front),
          cmocka_unit_test(long_messages_are_cut_to_fit), cmocka_unit_test(statuses_have_names))
